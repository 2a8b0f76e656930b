//! Another version at a batch's boundary, and the way back.
//!
//! What the version before has written is committed under its own name; the new one's name is
//! committed before its first row. So whoever goes on after a crash knows which of them wrote what
//! was cut off, and lets that one write it again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::made::Made;
use super::{Error, Report, Worker};
use crate::checkpoint::Commit;
use crate::code::Code;
use crate::failpoint;
use crate::message::Batch;
use crate::plugin::{self, Instance};
use crate::retry::Backoff;
use crate::row::{Key, Target, Transformed};
use crate::sink::dead_letter::Origin;
use crate::sink::{self, Sink};
use crate::version::Version;

/// A version as one worker runs it.
pub struct Fitted {
    /// What it is told apart by.
    pub code: Arc<Code>,
    /// Whose judgement its dead letters are.
    pub origin: Origin,
    /// Its own instance of the plugin.
    pub plugin: Instance,
    /// What the plugin declares, to prepare the sink again when the tables have changed.
    pub targets: Vec<Target>,
    /// The keys of their tables.
    pub keys: Vec<Key>,
}

impl Fitted {
    /// Fits a version to a worker whose tables have these keys.
    ///
    /// # Errors
    /// As [`Version::instance`].
    pub fn of(version: &Version, keys: Vec<Key>) -> Result<Self, plugin::Error> {
        Ok(Self {
            code: Arc::new(version.code()),
            origin: version.origin(),
            plugin: version.instance(keys.clone())?,
            targets: version.plugin.description().targets.clone(),
            keys,
        })
    }
}

/// What a worker is told to do at its next batch's boundary.
pub enum Order {
    /// Run this from now on, on probation.
    Trade(Box<Trade>),
    /// The probation is over: what ran before is not needed any more.
    Keep,
    /// Back to what ran before.
    Back(Box<Back>),
}

/// A version for the one that runs.
pub struct Trade {
    /// The version.
    pub fitted: Fitted,
    /// Where its rows go, if its tables or columns are others.
    pub sink: Option<sink::Room>,
    /// The generation in which it writes; a later one, where the worker has met a later one.
    pub generation: u32,
    /// How many bytes of keys are kept, so that rows can be deleted that only this version made.
    pub keys_bytes_max: usize,
}

/// The way back.
pub struct Back {
    /// The generation of what is taken back; what ran before writes in the next one.
    pub generation: u32,
    /// Deletes rows of the tables that the version has written, by their keys, in their order.
    pub sweeper: Box<dyn Sink>,
    /// Where the version began with each partition, whichever worker had it then.
    pub from: BTreeMap<i32, i64>,
}

/// What is needed for the way back.
pub(super) struct Trial {
    before: Fitted,
    sink: Option<sink::Room>,
    /// The first offset of each partition that the version on probation makes rows of.
    pub(super) since: BTreeMap<i32, i64>,
    pub(super) made: Made,
}

/// A trade whose commit is on its way.
pub(super) struct Entering {
    pause: Duration,
    generation: u32,
    firsts: BTreeMap<i32, i64>,
}

impl Worker {
    /// Does what it was told to do at a batch's boundary. Whether there was something.
    pub(super) fn obey(&mut self) -> Result<bool, Error> {
        match self.control.take_order(self.reports.worker()) {
            None => return Ok(false),
            Some(Order::Trade(trade)) => self.trade(*trade),
            Some(Order::Keep) => self.trial = None,
            Some(Order::Back(back)) => self.go_back(*back)?,
        }
        Ok(true)
    }

    fn trade(&mut self, trade: Trade) {
        let began = Instant::now();
        failpoint::reach("trading");
        let generation = trade.generation.max(self.clock.generation() + 1);
        let made = Made::new(&trade.fitted, trade.keys_bytes_max);
        let (before, sink) = self.fit(trade.fitted, trade.sink);
        self.trial = Some(Trial {
            before,
            sink,
            since: self.positions.clone(),
            made,
        });
        self.enter(generation, began);
        failpoint::reach("traded");
    }

    /// Runs a version from now on. Gives what ran before, with its sink, if that is another.
    fn fit(&mut self, fitted: Fitted, sink: Option<sink::Room>) -> (Fitted, Option<sink::Room>) {
        let sink = sink.map(|sink| std::mem::replace(&mut self.rooms.sink, sink));
        self.rooms.sink.judged_by(&fitted.origin);
        let before = std::mem::replace(&mut self.rooms.fitted, fitted);
        // What the other one rejected says nothing of this one.
        if let Some(breaker) = &mut self.breaker {
            *breaker = super::Breaker::default();
        }
        (before, sink)
    }

    /// Begins with a generation: sends the commit that says so, and does not wait for it.
    fn enter(&mut self, generation: u32, began: Instant) {
        self.clock.enter(generation);
        self.control.met(generation);
        if !failpoint::has_bug("bug-trade-unnamed") {
            let code = &self.rooms.fitted.code;
            self.rooms.checkpoint.trade(code, generation);
        }
        self.entering = Some(Entering {
            generation,
            firsts: self.positions.clone(),
            pause: began.elapsed(),
        });
    }

    /// Waits until the broker knows whose rows follow. `false`: the grace period ended first.
    pub(super) fn entered(&mut self) -> Result<bool, Error> {
        let Some(entering) = self.entering.take() else {
            return Ok(true);
        };
        let began = Instant::now();
        if !self.commit_surely()? {
            return Ok(false);
        }
        self.reports.send(Report::Traded {
            worker: self.reports.worker(),
            generation: entering.generation,
            firsts: entering.firsts,
            pause: entering.pause + began.elapsed(),
        });
        Ok(true)
    }

    /// Commits, however often the broker must be asked. `false`: the grace period ended first.
    fn commit_surely(&mut self) -> Result<bool, Error> {
        let mut backoff = Backoff::default();
        while let Err(error) = self.rooms.checkpoint.commit(Commit::Now) {
            self.stalls.waits(&self.reports, "checkpoint", &error);
            self.pause(backoff.wait())?;
            if self.control.is_grace_over() {
                return Ok(false);
            }
        }
        self.stalls.goes_on(&self.reports, "checkpoint");
        Ok(true)
    }

    /// What a version on probation did is undone: its rows are deleted, and the one before reads its
    /// messages again. Each step leaves a group that can go on with one of the two, whole.
    fn go_back(&mut self, back: Back) -> Result<(), Error> {
        let Some(trial) = self.trial.take() else {
            let worker = self.reports.worker();
            self.reports.send(Report::Settled { worker });
            return Ok(());
        };
        let began = Instant::now();
        let mut messages = 0;
        let to: BTreeMap<i32, i64> = self
            .positions
            .iter()
            .map(|(&partition, &position)| {
                let since = [trial.since.get(&partition), back.from.get(&partition)];
                let from = since.into_iter().flatten().copied().min();
                let from = from.filter(|_| !failpoint::has_bug("bug-no-rewind"));
                let from = from.unwrap_or(position).min(position);
                messages += position.abs_diff(from);
                (partition, from)
            })
            .collect();
        let generation = back.generation.max(self.clock.generation() + 1);
        self.entering = None;
        self.clock.enter(generation);
        self.rooms.source.rewind(&to)?;
        self.rooms.checkpoint.rewind(&to, generation, &back.from);
        self.positions.clone_from(&to);
        // Still under its own name: whoever goes on from here makes its rows again.
        if !self.commit_surely()? {
            return Ok(());
        }
        failpoint::reach("rewound");
        if !self.sweep(&trial.made, back.sweeper)? {
            return Ok(());
        }
        failpoint::reach("swept");
        self.fit(trial.before, trial.sink);
        self.enter(generation + 1, began);
        self.reports.send(Report::WentBack { messages });
        Ok(())
    }

    /// Deletes the rows of these keys. `false`: the grace period ended first.
    fn sweep(&mut self, made: &Made, mut sweeper: Box<dyn Sink>) -> Result<bool, Error> {
        let batch = Arc::new(made.deletes(Batch::new("".into())));
        if batch.rows.is_empty() {
            return Ok(true);
        }
        let mut backoff = Backoff::default();
        sweeper.start(&batch);
        loop {
            match sweeper.poll(super::SERVE_MAX) {
                Some(Ok(refused)) => {
                    for row in refused {
                        tracing::warn!(reason = row.reason, "a row could not be taken back");
                    }
                    self.stalls.goes_on(&self.reports, "sink");
                    return Ok(true);
                }
                Some(Err(error)) => {
                    self.stalls.waits(&self.reports, "sink", &error);
                    self.pause(backoff.wait())?;
                    sweeper.start(&batch);
                }
                None => {}
            }
            self.serve()?;
            if self.control.is_grace_over() {
                return Ok(false);
            }
        }
    }

    /// Keeps what would have to be deleted on the way back.
    pub(super) fn keep_keys(&mut self, batch: &Transformed) {
        if let Some(trial) = &mut self.trial
            && !trial.made.keep(batch)
        {
            // There is no way back any more.
            self.trial = None;
            let worker = self.reports.worker();
            self.reports.send(Report::Settled { worker });
        }
    }

    /// A version on probation cannot go on: somebody decides, and meanwhile nothing is taken.
    pub(super) fn fails(&mut self, reason: String) -> Result<(), Error> {
        let worker = self.reports.worker();
        self.reports.send(Report::Failing { worker, reason });
        while !self.control.is_stopping() && !self.obey()? {
            self.commit()?;
            self.pause(super::SERVE_MAX)?;
        }
        // What was taken and not written is read again, whoever runs now.
        let positions = self.positions.clone();
        Ok(self.rooms.source.rewind(&positions)?)
    }
}
