//! The source of a pipeline, and what must be known of it before it is opened.

use std::fmt::Display;
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

/// Who is told of waiting, and who ends it.
pub(super) type Watchers<'a> = (&'a Arc<AtomicBool>, &'a Arc<Board>);

/// A topic, as soon as it can be seen: how many partitions it has, and with `--once` up to where it is
/// read.
///
/// # Errors
/// When it cannot be read, or with `--once` others of the group are at work.
pub(super) fn reach(
    config: &kafka::Config,
    args: &Args,
    watchers: Watchers<'_>,
) -> anyhow::Result<(Ends, usize)> {
    let partitions = patiently(
        "source",
        watchers,
        || kafka::partitions(config),
        Error::is_transient,
    )?;
    let mut ends = Ends::default();
    if args.once {
        if !args.share {
            // They would do part of the work, and this would end before theirs is done.
            let way_out = "stop them, give another --group, or say --share to do only what falls to \
                           this process";
            refuse_company(config, watchers.0, way_out)?;
        }
        let each = partitions
            .iter()
            .map(|&(partition, _, end)| (partition, end));
        ends = Ends::new(each.collect());
    }
    Ok((ends, partitions.len()))
}

/// A topic that was reached.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn topic(
    config: kafka::Config,
    rows: Option<checkpoint::cassandra::Config>,
    tails: Option<kafka::Tails>,
    (ends, partitions): (Ends, usize),
) -> anyhow::Result<Stream> {
    let rows = rows.map(checkpoint::cassandra::Store::open).transpose();
    let rows = rows
        .context("a thread for sluice.checkpoints")?
        .map(Arc::new);
    let source = move || -> Result<Opened, Error> {
        let (source, checkpoint) = kafka::open(&config, rows.clone(), tails.clone())?;
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

/// Asks until there is an answer, or an error that waiting does not mend; `room` is what waits.
pub(super) fn patiently<T, E: Display>(
    room: &'static str,
    (stop, board): Watchers<'_>,
    ask: impl Fn() -> Result<T, E>,
    is_transient: impl Fn(&E) -> bool,
) -> Result<T, E> {
    // There are no workers yet: the first is waited for.
    let board = board.clone();
    let reports = Reports::new(0, move |report| board.observe(&report));
    let (mut backoff, mut stalls) = (Backoff::default(), Stalls::default());
    loop {
        match ask() {
            Err(error) if is_transient(&error) && !stop.load(Ordering::Relaxed) => {
                stalls.waits(&reports, room, &error);
                std::thread::sleep(backoff.wait());
            }
            answer => {
                if answer.is_ok() {
                    stalls.goes_on(&reports, room);
                }
                return answer;
            }
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
