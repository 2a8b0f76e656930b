//! Questions about a topic and its group, asked without joining.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};

use super::start::{self, Topic};
use super::{Config, failure, settings};
use crate::source::Error;

/// Whether librdkafka takes the settings. Nobody is asked.
///
/// # Errors
/// The setting that it refuses, or that is not the user's.
pub fn verify(config: &Config) -> Result<(), Error> {
    let settings = settings::client(config)?.create_native_config();
    settings.map_err(|error| Error::Settings(error.into()))?;
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

/// Asks about a topic and its group until a moment has come.
pub struct Asker<'a> {
    client: BaseConsumer,
    config: &'a Config,
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
            client: ask(settings)?,
            config,
            until,
        })
    }

    /// The brokers.
    ///
    /// # Errors
    /// When they do not answer.
    pub fn cluster(&self) -> Result<Cluster, Error> {
        let topic = self.topic();
        let metadata = self.client.fetch_metadata(Some(topic.topic), topic.wait);
        let metadata = metadata.map_err(|error| topic.fail(error))?;
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

    fn topic(&self) -> Topic<'_, DefaultConsumerContext> {
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
const CALL_MAX: Duration = Duration::from_secs(30);

/// As [`Asker::partitions`], asked once.
///
/// # Errors
/// As [`Asker::partitions`].
pub fn partitions(config: &Config) -> Result<Vec<(i32, i64, i64)>, Error> {
    // Not as one of the group: its coordinator is not needed.
    let settings = settings::client(config)?;
    Asker::with(&settings, config, Instant::now() + CALL_MAX)?.partitions()
}

/// As [`Asker::committed`], asked once.
///
/// # Errors
/// As [`Asker::committed`].
pub fn committed(config: &Config) -> Result<Vec<(i32, Option<i64>)>, Error> {
    Asker::new(config, Instant::now() + CALL_MAX)?.committed()
}

/// How many members the group has now.
///
/// # Errors
/// When the brokers do not answer.
pub fn members(config: &Config) -> Result<usize, Error> {
    let client = ask(&settings::client(config)?)?;
    let groups = client
        .fetch_group_list(Some(&config.group), start::ASK_WAIT_MAX)
        .map_err(|error| failure::of(error, &config.brokers, &config.topic))?;
    Ok(groups
        .groups()
        .iter()
        .map(|group| group.members().len())
        .sum())
}

fn ask(settings: &ClientConfig) -> Result<BaseConsumer, Error> {
    settings
        .create()
        .map_err(|error| Error::Settings(error.into()))
}
