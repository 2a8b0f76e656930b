//! The corridor: takes a batch from the source through the plugin into the sink, and records it.
//!
//! One thread, one batch in flight, nothing shared with other workers. This is the only place that
//! tries again, and the only one that waits; while it waits it keeps its membership of the group.

mod breaker;
mod clock;
mod collect;
mod control;
mod made;
mod membership;
mod pause;
mod report;
mod rest;
mod stalls;
mod suspects;
mod trade;
mod transform;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::{self, Checkpoint, Commit};
use crate::failpoint::{self, has_bug};
use crate::message::Batch;
use crate::plugin;
use crate::recent::Recent;
use crate::retry::Backoff;
use crate::row::Transformed;
use crate::sink::{self, Written};
use crate::source::{self, Limits, Source, Taken};

use breaker::Breaker;
pub use breaker::Opened;
pub use clock::Clock;
pub use control::{Control, Ends};
pub use made::sweeping;
pub use pause::Pause;
pub use report::{Done, Report, Reports};
pub use stalls::Stalls;
use suspects::Suspects;
pub use trade::{Back, Fitted, Order, Trade};
use trade::{Entering, Trial};

/// How a worker goes about its batches.
#[derive(Clone, Debug)]
pub struct Config {
    /// How large a batch may grow.
    pub limits: Limits,
    /// The time from one batch's start to the next; `None` = a batch closes as soon as it can.
    pub interval: Option<Duration>,
    /// Whether an error that a person must mend ends the work instead of holding it.
    pub is_fatal_when_held: bool,
    /// Whether rejected messages are kept. If not, they count as left out, with their code.
    pub keeps_letters: bool,
    /// Whether too many of them hold the work.
    pub has_breaker: bool,
    /// Where workers note what is in the plugin, for those that come after; `None` = nowhere.
    pub notes: Option<PathBuf>,
    /// Where batches that are done are kept for a while, to try another version on.
    pub recent: Option<Arc<Recent>>,
}

/// The rooms of one worker.
pub struct Rooms {
    /// Where its messages come from.
    pub source: Box<dyn Source>,
    /// What turns them into rows.
    pub fitted: Fitted,
    /// Where the rows go.
    pub sink: sink::Room,
    /// Where progress is kept.
    pub checkpoint: Box<dyn Checkpoint>,
}

/// How the work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything taken is written and committed.
    Drained,
    /// The grace period ended with a batch in flight: it will be read again.
    Unfinished,
}

/// Why a worker stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its source cannot go on.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// Its plugin cannot go on.
    #[error(transparent)]
    Plugin(#[from] plugin::Error),
    /// Its sink cannot go on.
    #[error(transparent)]
    Sink(#[from] sink::Error),
    /// Its progress cannot be kept.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    /// Too much of what it takes becomes dead letters.
    #[error("{0}")]
    Breaker(Opened),
}

/// The longest the worker leaves its source alone, so that it stays in the group.
const SERVE_MAX: Duration = Duration::from_millis(100);
/// How long to wait before trying again what a person must mend.
const HELD: Duration = Duration::from_secs(5);

/// One worker. [`Worker::run`] is its life.
pub struct Worker {
    config: Config,
    rooms: Rooms,
    control: Arc<Control>,
    reports: Reports,
    clock: Clock,
    /// The next offset to record of each partition that is ours.
    positions: BTreeMap<i32, i64>,
    /// The partitions that were taken from us while the batch in flight was on its way.
    released: BTreeSet<i32>,
    next_batch: Instant,
    stalls: Stalls,
    breaker: Option<Breaker>,
    suspects: Suspects,
    /// A trade that the broker does not know of yet.
    entering: Option<Entering>,
    /// While what runs is on probation.
    trial: Option<Trial>,
}

/// What became of a batch.
enum Carried {
    /// It is durable.
    Done,
    /// It is durable as far as the breaker let it through.
    Broken(Opened),
    /// What runs is on probation and cannot go on.
    Failed(String),
    /// The grace period ended first.
    Unfinished,
}

impl Worker {
    /// A worker that has not begun.
    pub fn new(config: Config, rooms: Rooms, control: Arc<Control>, reports: Reports) -> Self {
        let clock = Clock::default();
        let (positions, released) = (BTreeMap::new(), BTreeSet::new());
        let (next_batch, stalls) = (Instant::now(), Stalls::default());
        let has_breaker = config.has_breaker && config.keeps_letters;
        let suspects = Suspects::open(config.notes.as_deref());
        Self {
            config,
            rooms,
            control,
            reports,
            clock,
            positions,
            released,
            next_batch,
            stalls,
            breaker: has_breaker.then(Breaker::default),
            suspects,
            entering: None,
            trial: None,
        }
    }

    /// Works until it is told to stop, the source ends, or something fails for good.
    ///
    /// # Errors
    /// What it cannot mend by waiting.
    pub fn run(mut self, topic: Arc<str>) -> Result<Ended, Error> {
        let ended = self.work(&topic);
        // What is written is committed even if the work failed: less to repeat.
        let committed = self.rooms.checkpoint.commit(Commit::Now);
        self.rooms.source.close();
        let ended = ended?;
        committed?;
        Ok(ended)
    }

    fn work(&mut self, topic: &Arc<str>) -> Result<Ended, Error> {
        loop {
            self.obey()?;
            if self.rests()? {
                if self.control.is_stopping() {
                    return Ok(Ended::Drained);
                }
                continue;
            }
            let began = Instant::now();
            let (batch, taken) = self.collect(topic.clone())?;
            let collected = began.elapsed();
            if !batch.is_bare() {
                self.reports.send(Report::Taken {
                    messages: batch.counts(),
                });
                match self.carry(batch, began, collected)? {
                    Carried::Done => {}
                    Carried::Broken(opened) if self.trial.is_some() => {
                        self.fails(opened.to_string())?;
                    }
                    Carried::Broken(opened) => self.hold(opened)?,
                    Carried::Failed(reason) => self.fails(reason)?,
                    Carried::Unfinished => return Ok(Ended::Unfinished),
                }
            } else if self.entered()? {
                self.commit()?;
            }
            self.reports
                .stand(&*self.rooms.source, &self.rooms.fitted.plugin);
            if taken == Taken::End || self.control.is_stopping() {
                return Ok(Ended::Drained);
            }
        }
    }

    /// Carries a batch through plugin and sink, however often the sink must be asked.
    fn carry(
        &mut self,
        batch: Batch,
        began: Instant,
        collected: Duration,
    ) -> Result<Carried, Error> {
        self.released.clear();
        let started = Instant::now();
        let transformed = match self.transform(batch) {
            Ok(transformed) => Arc::new(transformed),
            Err(Error::Plugin(error)) if self.trial.is_some() => {
                return Ok(Carried::Failed(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        let calls = self.rooms.fitted.plugin.take_calls();
        let applied = started.elapsed();
        let is_first = self.entering.is_some();
        if !self.entered()? {
            return Ok(Carried::Unfinished);
        }
        let Some(outcome) = self.write(&transformed)? else {
            return Ok(Carried::Unfinished);
        };
        if is_first {
            failpoint::reach("first-write");
        }
        self.keep_keys(&transformed);
        if let Some(recent) = &self.config.recent {
            recent.keep(&transformed);
        }
        let phases = [collected, applied, started.elapsed() - applied];
        let targets = &self.rooms.fitted.targets;
        let mut done = Done::of(&transformed, &outcome.rejected, targets, began, phases);
        (done.generation, done.calls) = (self.clock.generation(), calls);
        if !self.config.keeps_letters {
            done.keep_no_letters();
        }
        self.record(outcome.written);
        let recorded = Instant::now();
        self.commit()?;
        done.phases[3] = recorded.elapsed();
        self.reports.send(Report::Done(done));
        let breaker = self.breaker.as_mut();
        let opened =
            breaker.and_then(|breaker| breaker.count(transformed.batch.len(), &outcome.rejected));
        Ok(opened.map_or(Carried::Done, Carried::Broken))
    }

    /// Writes until everything is durable. `None`: the grace period ended first.
    fn write(&mut self, batch: &Arc<Transformed>) -> Result<Option<sink::Outcome>, Error> {
        let mut backoff = Backoff::default();
        self.rooms.sink.start(batch);
        loop {
            match self.rooms.sink.poll(SERVE_MAX) {
                Some(Ok(outcome)) => {
                    self.stalls.goes_on(&self.reports, "sink");
                    return Ok(Some(outcome));
                }
                Some(Err(error)) => self.recover(error, &mut backoff)?,
                None => {}
            }
            self.serve()?;
            if self.control.is_grace_over() {
                return Ok(None);
            }
        }
    }

    /// Waits after a failed write, and starts it again.
    fn recover(&mut self, error: sink::Error, backoff: &mut Backoff) -> Result<(), Error> {
        self.stalls.waits(&self.reports, "sink", &error);
        self.reports.send(Report::Retries { code: error.code() });
        if error.is_transient() {
            let wait = backoff.wait();
            self.pause(if has_bug("bug-retry-storm") {
                Duration::ZERO
            } else {
                wait
            })?;
        } else {
            if self.config.is_fatal_when_held {
                return Err(error.into());
            }
            self.pause(HELD)?;
            if let Err(error) = self.rooms.sink.prepare(&self.rooms.fitted.targets) {
                self.stalls.waits(&self.reports, "sink", &error);
            }
        }
        self.rooms.sink.resume();
        Ok(())
    }

    /// Waits, but stays in the group, and ends early when the grace period does.
    fn pause(&mut self, wait: Duration) -> Result<(), Error> {
        let until = Instant::now() + wait;
        loop {
            self.serve()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.control.is_grace_over() {
                return Ok(());
            }
            std::thread::park_timeout(left.min(SERVE_MAX));
        }
    }

    fn record(&mut self, written: Written) {
        let written = written.without(&self.released);
        for progress in written.progress() {
            self.positions
                .insert(progress.span.partition, progress.span.end);
        }
        self.rooms.checkpoint.record(&written);
    }

    /// Commits about once a second, and at once where `--once` waits for nothing else.
    fn commit(&mut self) -> Result<(), Error> {
        let reached: Vec<i32> = self.control.ends().reached_by(&self.positions);
        let when = if reached.is_empty() {
            Commit::IfDue
        } else {
            Commit::Now
        };
        match self.rooms.checkpoint.commit(when) {
            Ok(()) => self.control.ends().finish(&reached),
            // The offsets are kept for the next turn: the work goes on, a restart repeats more.
            Err(error) => tracing::warn!(%error, "commit failed"),
        }
        if self.control.ends().is_finished() {
            self.control.stop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
