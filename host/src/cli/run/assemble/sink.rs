//! The sink of a pipeline, with the store of dead letters that belongs beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Args, SinkKind, SourceKind};
use crate::checkpoint;
use crate::config::{self, DeadLetters, Found};
use crate::pipeline::SinkOpener;
use crate::sink::dead_letter::Origin;
use crate::sink::{Error, Letters, Requests, Room, cassandra, dead_letter, none, sqlite};
use crate::source::kafka;

/// Opens a worker's sink, with a store of dead letters beside it.
pub(in crate::cli) fn opener(
    kind: &SinkKind,
    found: &Found,
    letters: LettersOpener,
    requests: &Arc<Requests>,
) -> anyhow::Result<SinkOpener> {
    Ok(match kind {
        SinkKind::Cassandra => {
            let mut config = cassandra_config(found)?;
            config.requests = requests.clone();
            Box::new(move |origin| {
                Ok(Room::new(
                    Box::new(cassandra::Cassandra::open(&config)?),
                    letters(origin)?,
                ))
            })
        }
        SinkKind::Sqlite(directory) => {
            let config = sqlite_config(directory, found)?;
            Box::new(move |origin| {
                Ok(Room::new(
                    Box::new(sqlite::Sqlite::open(&config)?),
                    letters(origin)?,
                ))
            })
        }
        SinkKind::None => {
            let schema = found.schema("`--sink none`")?.text.clone();
            Box::new(move |origin| {
                Ok(Room::new(
                    Box::new(none::None::open(&schema)?),
                    letters(origin)?,
                ))
            })
        }
    })
}

pub(in crate::cli) type LettersOpener =
    Box<dyn Fn(Origin) -> Result<Box<dyn Letters>, Error> + Send + Sync>;

/// Opens the store of dead letters that belongs beside a worker's sink.
pub(super) fn letters(
    args: &Args,
    found: &Found,
    topic: &str,
) -> Result<LettersOpener, config::Error> {
    Ok(match (&args.sink, &args.source) {
        _ if found.file.dead_letters == DeadLetters::Off => {
            tracing::info!("dead letters are off: rejected messages count as left out");
            Box::new(|_| Ok(Box::new(dead_letter::Off)))
        }
        (SinkKind::Sqlite(directory), _) => in_file(directory.clone()),
        (SinkKind::Cassandra | SinkKind::None, SourceKind::Kafka) => beside_topic(found, topic)?,
        (SinkKind::Cassandra | SinkKind::None, SourceKind::File(_)) => in_file(".".into()),
    })
}

/// Dead letters in the topic that belongs to one.
pub(in crate::cli) fn beside_topic(
    found: &Found,
    topic: &str,
) -> Result<LettersOpener, config::Error> {
    let kafka = &found.file.kafka;
    let (brokers, topic) = (kafka.brokers.clone(), topic.to_owned());
    let properties = kafka.client(found.folder.as_deref())?;
    Ok(Box::new(move |origin| {
        let topic = dead_letter::Topic::open(&brokers, &topic, &properties, origin)?;
        Ok(Box::new(topic))
    }))
}

/// Dead letters in a file of a directory.
pub(in crate::cli) fn in_file(directory: PathBuf) -> LettersOpener {
    Box::new(move |origin| {
        let file = dead_letter::File::open(&directory, origin)?;
        Ok(Box::new(file))
    })
}

/// Where rows about a group's progress go: beside its tables, if those are in Cassandra.
pub(super) fn rows(
    args: &Args,
    found: &Found,
    kafka: &kafka::Config,
) -> anyhow::Result<Option<checkpoint::cassandra::Config>> {
    if args.sink != SinkKind::Cassandra {
        return Ok(None);
    }
    Ok(Some(checkpoint::cassandra::Config {
        cassandra: cassandra_config(found)?,
        pipeline: found.file.name.clone(),
        group: kafka.group.clone(),
        topic: kafka.topic.clone(),
    }))
}

/// The SQLite sink's configuration.
pub(in crate::cli) fn sqlite_config(
    directory: &Path,
    found: &Found,
) -> Result<sqlite::Config, config::Error> {
    Ok(sqlite::Config {
        directory: directory.to_owned(),
        keyspace: found.file.cassandra.keyspace.clone(),
        schema: found.schema("SQLite")?.text.clone(),
    })
}

/// The Cassandra sink's configuration.
pub(in crate::cli) fn cassandra_config(found: &Found) -> Result<cassandra::Config, config::Error> {
    let section = &found.file.cassandra;
    let mut config = cassandra::Config {
        contact_points: section.contact_points.clone(),
        local_datacenter: section.local_datacenter.clone(),
        pipeline: Some(found.named.clone()),
        consistency: section.consistency,
        ttl: section.ttl,
        request_timeout: section.request_timeout,
        ..cassandra::Config::new(section.keyspace.clone())
    };
    section.enter(found.folder.as_deref(), &mut config)?;
    Ok(config)
}
