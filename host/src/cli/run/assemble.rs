//! From flags and configuration to a [`Plan`]: which rooms a pipeline is made of.

pub(in crate::cli) mod sink;
mod stream;
mod swap;
mod tails;
pub(in crate::cli) mod versions;
mod watch;

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::Args;
use crate::archive::Part;
use crate::cli::waits;
use crate::config::{self, DeadLetters, Flag, Found, Verdict};
use crate::group;
use crate::lookup::{self, Lookup};
use crate::pipeline::Plan;
use crate::plugin::{self, Plugin};
use crate::recent::Recent;
use crate::source::{Limits, kafka};
use crate::swap::{Means, files};
use crate::telemetry::{Board, Run};
use crate::version::Version;
use crate::worker::{self, Ends, Pause};

pub(in crate::cli) use sink::LettersOpener;
pub(in crate::cli) use stream::SourceOpener;
use stream::Stream;
pub(in crate::cli) use stream::refuse_company;
pub use watch::Watched;

/// Where rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// Into Cassandra.
    Cassandra,
    /// Into SQLite databases of a directory.
    Sqlite(PathBuf),
    /// Nowhere: to measure the rest.
    None,
}

impl FromStr for SinkKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("sqlite:")) {
            ("cassandra", _) => Ok(Self::Cassandra),
            ("none", _) => Ok(Self::None),
            (_, Some(directory)) if !directory.is_empty() => Ok(Self::Sqlite(directory.into())),
            (_, _) => Err("expected cassandra, sqlite:DIR or none".to_owned()),
        }
    }
}

/// Where messages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A topic.
    Kafka,
    /// A file's lines; `-` is standard input.
    File(PathBuf),
}

impl FromStr for SourceKind {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "kafka" {
            Self::Kafka
        } else {
            Self::File(text.into())
        })
    }
}

/// A pipeline ready to run.
pub struct Assembled {
    /// What it is made of.
    pub plan: Arc<Plan>,
    /// What another version takes its place by, if it does not come to an end by itself.
    pub means: Option<Means>,
    /// The files that it is made of.
    pub files: Vec<files::Watched>,
    /// Which host of its group it is, if the group's hosts can tell each other.
    pub group: Option<group::Config>,
    /// What `--once` works up to.
    pub ends: Ends,
    /// What its tails pause by; workers that heed the same one pause with them.
    pub pause: Arc<Pause>,
    /// What is known of it, by its reports.
    pub board: Arc<Board>,
    /// Where that is told, until this is dropped.
    pub watched: Option<Watched>,
    /// When assembling began.
    pub began: Instant,
}

/// Puts a pipeline together.
///
/// # Errors
/// What is missing or wrong, before anything is read.
pub fn assemble(args: &Args, stop: &Arc<AtomicBool>) -> anyhow::Result<Assembled> {
    let began = Instant::now();
    let found = Arc::new(find(args)?);
    let mut loaded = versions::of_files(&found)?;
    let files = versions::files(&found, &loaded.version);
    let (archive, group) = (versions::archive(args, &found)?, group_of(args, &found)?);
    let mut kafka = kafka_config(args, &found)?;
    let topic = topic(args, &kafka.topic);
    let run = Run::new(&kafka.group, topic.clone());
    let (mut since, read) = (versions::Since::default(), kafka.clone());
    let (requests, pause) = (Arc::default(), Arc::default());
    let board = watch::board(run, &loaded.version, (&args.sink, &requests), stop);
    let watched = watch::open(&found.file.admin, &board)?;

    let Stream {
        source,
        ends,
        partitions,
    } = match &args.source {
        SourceKind::Kafka => {
            let reached = stream::reach(&kafka, args, (stop, &board))?;
            let mut tails = None;
            if let Some(archive) = archive.clone().filter(|_| !args.is_embedded) {
                let (watch, with) = ((stop, &board), (&requests, &pause));
                (loaded, since) = versions::go_on(loaded, &found, &kafka, &*archive, watch)?;
                tails = Some(tails::tails(args, &found, archive, with, watch)?);
            }
            kafka.code = loaded.version.code();
            let rows = sink::rows(args, &found, &kafka)?;
            stream::topic(kafka, rows, tails, reached)?
        }
        SourceKind::File(path) => stream::file(path.clone(), topic.clone()),
    };
    let is_finite = args.once || args.source != SourceKind::Kafka;
    let letters = sink::letters(args, &found, &topic)?;
    let sink = sink::opener(&args.sink, &found, letters, &requests)?;
    let (workers, recent) = (workers(args, partitions), Arc::<Recent>::default());
    let versions::Loaded { version, parts } = loaded;
    if let Some(archive) = archive.clone() {
        versions::keep(archive, parts.clone()).context("a thread for sluice.plugins")?;
    }
    board.expect(workers);
    let worker = worker::Config {
        notes: notes(args, &found, version.plugin.digest()),
        recent: (!is_finite).then(|| recent.clone()),
        ..worker_config(&found, is_finite)
    };
    let plan = Arc::new(Plan {
        topic,
        workers,
        worker,
        version,
        source,
        sink,
        grace: args.grace,
    });
    let means = (!is_finite).then(|| {
        let made = (plan.clone(), parts, archive, recent);
        let group = (args.source == SourceKind::Kafka).then_some(read);
        swap::means(found, made, (since, group), &board)
    });
    Ok(Assembled {
        plan,
        means,
        files,
        group,
        ends,
        pause,
        board,
        watched,
        began,
    })
}

/// Which host of its group this is; `None` for rows that are this machine's.
fn group_of(args: &Args, found: &Found) -> anyhow::Result<Option<group::Config>> {
    Ok(match &args.sink {
        SinkKind::Cassandra => Some(group::Config {
            cassandra: sink::cassandra_config(found)?,
            pipeline: found.file.name.clone(),
            group: found.file.kafka.group.clone(),
            member: config::host_name(),
        }),
        SinkKind::Sqlite(_) | SinkKind::None => None,
    })
}

/// The pipeline that is meant, as the flags change it.
fn find(args: &Args) -> anyhow::Result<Found> {
    let mut flags = args.settings.flags();
    let admin = args.admin.clone().into_iter();
    flags.extend(admin.map(|address| Flag::new("--admin", &["admin", "address"], address)));
    let mut found = config::find(&args.plugin, args.config.as_deref(), &flags, own_name)?;
    found.file.breaker &= !args.no_breaker;
    Ok(found)
}

/// The topic, or what a file is taken for.
fn topic(args: &Args, configured: &str) -> Arc<str> {
    match &args.source {
        SourceKind::Kafka => configured.into(),
        SourceKind::File(path) => {
            let named = args.settings.topic.clone();
            named.unwrap_or_else(|| stream::file_name(path)).into()
        }
    }
}

/// Loads a plugin of a name, and its reference data.
pub(in crate::cli) fn load(found: &Found, name: &str, bytes: &[u8]) -> anyhow::Result<Version> {
    let plugin = Part {
        name: name.to_owned(),
        bytes: bytes.to_vec(),
    };
    let lookup = |name: &str| versions::lookup_of_file(found, name);
    Ok(versions::load(found, plugin, &lookup)?.version)
}

/// The name a plugin gives itself, to find the pipeline it is for.
///
/// # Errors
/// If it is no plugin.
pub fn own_name(name: &str, bytes: &[u8]) -> anyhow::Result<String> {
    let config = plugin::Config {
        cache: config::cache_directory(),
        waits: Some(waits::compiling),
        ..Default::default()
    };
    let plugin = Plugin::load(name, bytes, &config).with_context(|| name.to_owned())?;
    Ok(plugin.description().name.clone())
}

/// The plugin room's configuration.
///
/// # Errors
/// If the pipeline's `[plugin.config]` cannot be written as JSON.
pub fn plugin_config(found: &Found) -> anyhow::Result<plugin::Config> {
    let section = &found.file.plugin;
    let limits = plugin::Limits {
        memory_max: section.limits.memory_max,
        output_max: section.limits.output_max,
        call_max: section.limits.call_max,
        ..plugin::Limits::default()
    };
    let filtered = found
        .file
        .rejections
        .iter()
        .filter(|(_, verdict)| **verdict == Verdict::Filter);
    Ok(plugin::Config {
        limits,
        cache: config::cache_directory(),
        filter_codes: filtered.map(|(code, _)| code.clone()).collect(),
        config: serde_json::to_string(&section.config).context("[plugin.config]")?,
        waits: Some(waits::compiling),
    })
}

/// Reads the reference data that the plugin declares.
///
/// # Errors
/// If one is not there, or not as the plugin declares it.
pub fn lookups(found: &Found, plugin: &Plugin) -> anyhow::Result<Vec<(String, Arc<Lookup>)>> {
    let declared = plugin.description().lookups.iter();
    declared
        .map(|declared| {
            let part = versions::lookup_of_file(found, &declared.name)?;
            Ok(versions::told(found, declared, &part)?)
        })
        .collect()
}

/// Reads one lookup: where it comes from, and what is in it.
///
/// # Errors
/// If it is not there, or not as the plugin declares it.
pub(in crate::cli) fn lookup(
    found: &Found,
    declared: &lookup::Declared,
) -> anyhow::Result<(String, Lookup)> {
    let part = versions::lookup_of_file(found, &declared.name)?;
    let lookup = versions::read(found, declared, &part)?;
    Ok((part.name, lookup))
}

/// A pipeline's topic and group, for whoever asks about them.
pub(in crate::cli) fn group_config(found: &Found) -> Result<kafka::Config, config::Error> {
    let kafka = &found.file.kafka;
    Ok(kafka::Config {
        brokers: kafka.brokers.clone(),
        topic: found.file.topic.clone(),
        group: kafka.group.clone(),
        properties: kafka.client(found.folder.as_deref())?,
        ..kafka::Config::default()
    })
}

/// The source's configuration, but for what travels with commits.
pub(in crate::cli) fn kafka_config(
    args: &Args,
    found: &Found,
) -> Result<kafka::Config, config::Error> {
    let mut config = kafka::Config {
        start: args.start,
        once: args.once,
        ..group_config(found)?
    };
    if args.is_embedded {
        config.properties.clear();
    }
    Ok(config)
}

/// How workers go about their batches; work is finite that comes to an end.
pub(in crate::cli) fn worker_config(found: &Found, is_finite: bool) -> worker::Config {
    let section = &found.file.batch;
    worker::Config {
        limits: Limits {
            messages_max: section.messages_max,
            bytes_max: section.bytes_max,
        },
        interval: section
            .interval
            .filter(|interval| *interval > Duration::ZERO),
        is_fatal_when_held: is_finite,
        keeps_letters: found.file.dead_letters == DeadLetters::On,
        has_breaker: found.file.breaker,
        notes: None,
        recent: None,
    }
}

/// Where it is noted what is in the plugin: apart for each log, if it is the same the next time,
/// and for each plugin, for one that was mended is to be trusted again.
fn notes(args: &Args, found: &Found, plugin: &str) -> Option<PathBuf> {
    let log = match &args.source {
        SourceKind::Kafka if args.is_embedded => return None,
        SourceKind::Kafka => {
            let (kafka, topic) = (&found.file.kafka, &found.file.topic);
            format!("{}\n{}\n{topic}", kafka.brokers, kafka.group)
        }
        SourceKind::File(path) if !path.is_file() => return None,
        SourceKind::File(path) => path.canonicalize().ok()?.display().to_string(),
    };
    let place = lookup::hex_digest(format!("{log}\n{plugin}").as_bytes());
    Some(config::cache_directory()?.join("in-plugin").join(place))
}

fn workers(args: &Args, partitions: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match &args.sink {
        // It has one writer.
        SinkKind::Sqlite(_) => 1,
        SinkKind::Cassandra | SinkKind::None => args
            .workers
            .map_or(cores.min(partitions).max(1), usize::from),
    }
}
