//! The source of a pipeline, and what must be known of it before it is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::Args;
use crate::checkpoint;
use crate::config;
use crate::pipeline::Opened;
use crate::retry::Backoff;
use crate::source::{Error, kafka, replay};
use crate::telemetry::Board;
use crate::worker::{Ends, Reports, Stalls};

/// Opens a worker's source.
pub(in crate::cli) type SourceOpener = Box<dyn Fn() -> Result<Opened, Error> + Send + Sync>;

/// Where a pipeline's messages come from, and what is known of it before.
pub(super) struct Stream {
    pub(super) source: SourceOpener,
    pub(super) ends: Ends,
    pub(super) partitions: usize,
}

/// A topic, as soon as it can be seen; with `--once` also up to where it is read.
///
/// # Errors
/// When it cannot be read, or with `--once` others of the group are at work.
pub(super) fn topic(
    config: kafka::Config,
    rows: Option<checkpoint::cassandra::Config>,
    args: &Args,
    (stop, board): (&AtomicBool, &Arc<Board>),
) -> anyhow::Result<Stream> {
    let partitions = partitions(&config, stop, board)?;
    let mut ends = Ends::default();
    if args.once {
        if !args.share {
            // They would do part of the work, and this would end before theirs is done.
            let way_out = "stop them, give another --group, or say --share to do only what falls to \
                           this process";
            refuse_company(&config, stop, way_out)?;
        }
        let each = partitions
            .iter()
            .map(|&(partition, _, end)| (partition, end));
        ends = Ends::new(each.collect());
    }
    let partitions = partitions.len();
    let rows = rows.map(checkpoint::cassandra::Store::open).transpose();
    let rows = rows
        .context("a thread for sluice.checkpoints")?
        .map(Arc::new);
    let source = move || -> Result<Opened, Error> {
        let (source, checkpoint) = kafka::open(&config, rows.clone())?;
        Ok((Box::new(source), Box::new(checkpoint)))
    };
    Ok(Stream {
        source: Box::new(source),
        ends,
        partitions,
    })
}

/// The topic that a file is taken for, if none is named.
pub(super) fn file_name(path: &Path) -> String {
    let name = path.file_name().filter(|_| path.as_os_str() != "-");
    name.map_or_else(|| "stdin".into(), |name| name.to_string_lossy())
        .into_owned()
}

/// A file, which is one partition.
pub(super) fn file(path: PathBuf, topic: Arc<str>) -> Stream {
    let source = move || -> Result<Opened, Error> {
        let source = replay::open(&path, &topic)?;
        Ok((
            Box::new(source),
            Box::new(checkpoint::memory::Memory::default()),
        ))
    };
    Stream {
        source: Box::new(source),
        ends: Ends::default(),
        partitions: 1,
    }
}

/// The topic's partitions with their ends, as soon as the topic can be seen.
fn partitions(
    config: &kafka::Config,
    stop: &AtomicBool,
    board: &Arc<Board>,
) -> anyhow::Result<Vec<(i32, i64, i64)>> {
    // There are no workers yet: the first is waited for.
    let board = board.clone();
    let reports = Reports::new(0, move |report| board.observe(&report));
    let (mut backoff, mut stalls) = (Backoff::default(), Stalls::default());
    loop {
        match kafka::partitions(config) {
            Ok(partitions) => {
                stalls.goes_on(&reports, "source");
                return Ok(partitions);
            }
            Err(error) if error.is_transient() && !stop.load(Ordering::Relaxed) => {
                stalls.waits(&reports, "source", &error);
                std::thread::sleep(backoff.wait());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// How long a member that was killed is still counted: its session time-out, once more if it was
/// killed while the group was changing (the broker then gives it a new session), and a little.
const SESSION_MAX: Duration = Duration::from_secs(22);

/// Waits for members to be gone that are about to be, and refuses if others stay: `way_out` says what to
/// do about them.
///
/// # Errors
/// If the brokers do not answer, or members stay.
pub(in crate::cli) fn refuse_company(
    config: &kafka::Config,
    stop: &AtomicBool,
    way_out: &str,
) -> anyhow::Result<()> {
    let until = Instant::now() + SESSION_MAX;
    let mut is_told = false;
    loop {
        let members = kafka::members(config)?;
        if members == 0 || stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if Instant::now() >= until {
            let reason = format!(
                "the group `{}` has {members} other members: {way_out}",
                config.group
            );
            return Err(config::Error::Setting(reason).into());
        }
        if !std::mem::replace(&mut is_told, true) {
            tracing::info!(
                group = config.group,
                members,
                "waiting for other members to leave"
            );
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
