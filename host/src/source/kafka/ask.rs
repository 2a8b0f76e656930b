//! Questions about a topic and its group, asked without joining.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;

use super::start::{self, Topic};
use super::{Config, failure, group, meta, settings};
use crate::access::{self, Told};
use crate::code::Code;
use crate::source::Error;

/// How long one attempt waits before it is asked whether TLS or the login is refused.
const TURN: Duration = Duration::from_secs(1);

/// How long to listen then: what is told is there already.
const LISTEN: Duration = Duration::from_millis(20);

/// Whether librdkafka takes the settings. Nobody is asked.
///
/// # Errors
/// The setting that it refuses, or that is not the user's.
pub fn verify(config: &Config) -> Result<(), Error> {
    let settings = settings::client(config)?.create_native_config();
    settings.map_err(|error| Error::Settings(access::refused_setting(&error).into()))?;
    Ok(())
}

/// The brokers, as one of them tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's id; none, if its brokers have no name for it.
    pub id: Option<String>,
    /// How many brokers there are.
    pub brokers: usize,
}

/// What a partition's commit names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Which partition.
    pub partition: i32,
    /// The offset that the group goes on with.
    pub next: i64,
    /// The generation of the rows before it.
    pub generation: u32,
    /// What made them.
    pub code: Arc<Code>,
}

/// Asks about a topic and its group until a moment has come.
pub struct Asker<'a> {
    pub(super) client: BaseConsumer<Listener>,
    pub(super) config: &'a Config,
    until: Instant,
}

impl<'a> Asker<'a> {
    /// Prepares to ask; nothing is sent yet.
    ///
    /// # Errors
    /// When librdkafka refuses a setting.
    pub fn new(config: &'a Config, until: Instant) -> Result<Self, Error> {
        let mut settings = settings::client(config)?;
        settings.set("group.id", &config.group);
        Self::with(&settings, config, until)
    }

    fn with(settings: &ClientConfig, config: &'a Config, until: Instant) -> Result<Self, Error> {
        Ok(Self {
            client: client(settings)?,
            config,
            until,
        })
    }

    /// The brokers.
    ///
    /// # Errors
    /// When they do not answer.
    pub fn cluster(&self) -> Result<Cluster, Error> {
        let metadata = metadata(&self.client, self.config, self.until)?;
        Ok(Cluster {
            // It came with the metadata.
            id: self.client.client().fetch_cluster_id(Duration::ZERO),
            brokers: metadata.brokers().len(),
        })
    }

    /// The topic's partitions, each with its first offset and the one after its last stable message.
    ///
    /// # Errors
    /// When the brokers do not answer, or there is no such topic.
    pub fn partitions(&self) -> Result<Vec<(i32, i64, i64)>, Error> {
        let partitions = self.topic().partitions()?.into_iter();
        partitions
            .map(|partition| {
                let (low, end) = self.topic().ends(partition)?;
                Ok((partition, low, end))
            })
            .collect()
    }

    /// What the group has committed for each partition, whoever owns it; `None` = nothing.
    ///
    /// # Errors
    /// As [`Asker::partitions`].
    pub fn committed(&self) -> Result<Vec<(i32, Option<i64>)>, Error> {
        let partitions = self.topic().partitions()?;
        let commits = self.topic().commits(&partitions)?.into_iter();
        Ok(commits
            .map(|(partition, offset, _)| (partition, offset))
            .collect())
    }

    /// Which code the group's commits name. What names none, or cannot be read, is left out.
    ///
    /// # Errors
    /// As [`Asker::partitions`].
    pub fn named(&self) -> Result<Vec<Named>, Error> {
        let partitions = self.topic().partitions()?;
        let commits = self.topic().commits(&partitions)?.into_iter();
        let named = commits.filter_map(|(partition, offset, metadata)| {
            let past = meta::read(&metadata).ok()?;
            let is_named = !past.code.plugin.is_empty();
            is_named.then_some(Named {
                partition,
                next: offset?,
                generation: past.generation,
                code: past.code,
            })
        });
        Ok(named.collect())
    }

    /// Waits for the first answer, for a while.
    pub(super) fn reach(&self) -> Result<(), Error> {
        let until = self.until.min(Instant::now() + start::ASK_WAIT_MAX);
        metadata(&self.client, self.config, until).map(drop)
    }

    pub(super) fn topic(&self) -> Topic<'_, Listener> {
        let rest = self.until.saturating_duration_since(Instant::now());
        Topic {
            client: &self.client,
            brokers: &self.config.brokers,
            topic: &self.config.topic,
            wait: rest.min(start::ASK_WAIT_MAX),
        }
    }
}

/// How long the questions of one call may take in all.
pub(super) const CALL_MAX: Duration = Duration::from_secs(30);

/// As [`Asker::partitions`], asked once.
///
/// # Errors
/// As [`Asker::partitions`].
pub fn partitions(config: &Config) -> Result<Vec<(i32, i64, i64)>, Error> {
    // Not as one of the group: its coordinator is not needed.
    let settings = settings::client(config)?;
    let asker = Asker::with(&settings, config, Instant::now() + CALL_MAX)?;
    asker.reach()?;
    asker.partitions()
}

/// As [`Asker::committed`], asked once.
///
/// # Errors
/// As [`Asker::committed`].
pub fn committed(config: &Config) -> Result<Vec<(i32, Option<i64>)>, Error> {
    let asker = Asker::new(config, Instant::now() + CALL_MAX)?;
    asker.reach()?;
    asker.committed()
}

/// As [`Asker::named`], asked once.
///
/// # Errors
/// As [`Asker::named`].
pub fn named(config: &Config) -> Result<Vec<Named>, Error> {
    let asker = Asker::new(config, Instant::now() + CALL_MAX)?;
    asker.reach()?;
    asker.named()
}

/// How many members the group has now.
///
/// # Errors
/// When the brokers do not answer.
pub fn members(config: &Config) -> Result<usize, Error> {
    let client = client(&settings::client(config)?)?;
    metadata(&client, config, Instant::now() + start::ASK_WAIT_MAX)?;
    let groups = client
        .fetch_group_list(Some(&config.group), start::ASK_WAIT_MAX)
        .map_err(|error| failure::of(error, &config.brokers, &config.topic))?;
    Ok(groups
        .groups()
        .iter()
        .map(|group| group.members().len())
        .sum())
}

/// A client that listens to why no broker lets it in.
fn client(settings: &ClientConfig) -> Result<BaseConsumer<Listener>, Error> {
    let mut settings = settings.clone();
    // Only from this level on does librdkafka tell that a connection was closed, and what that hints at.
    settings.set_log_level(RDKafkaLogLevel::Info);
    settings
        .create_with_context(Listener::default())
        .map_err(|error| Error::Settings(access::refused_setting(&error).into()))
}

/// What the brokers say of the topic, or why none does.
fn metadata(
    client: &BaseConsumer<Listener>,
    config: &Config,
    until: Instant,
) -> Result<Metadata, Error> {
    let mut told = None;
    loop {
        let rest = until.saturating_duration_since(Instant::now());
        let error = match client.fetch_metadata(Some(&config.topic), rest.min(TURN)) {
            Ok(metadata) => return Ok(metadata),
            Err(error) => error,
        };
        // What librdkafka has to tell waits until it is asked for.
        while client.poll(LISTEN).is_some() {}
        told = client.context().0.take().or(told);
        let is_over = Instant::now() >= until || told.as_deref().is_some_and(access::is_final);
        match told {
            Some(reason) if is_over => {
                let brokers = config.brokers.clone();
                return Err(Error::Refused { brokers, reason });
            }
            None if is_over => return Err(failure::of(error, &config.brokers, &config.topic)),
            Some(_) | None => {}
        }
    }
}

/// Hears why no broker lets us in.
#[derive(Default)]
pub(super) struct Listener(Told);

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.note(message);
        group::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
        self.0.note(reason);
    }
}

impl ConsumerContext for Listener {}
