//! What is known of a running pipeline, for whoever asks: is it ready, what has it done.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;

use super::batch::Run;
use super::metrics::Metrics;
use crate::sink::Requests;
use crate::worker::{Done, Report};

/// What there is to know of a pipeline before it works.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// The run, as it is told apart from others.
    pub run: Run,
    /// The plugin's name, version and digest.
    pub plugin: [&'a str; 3],
    /// How many rows each lookup has.
    pub lookups: &'a [(String, usize)],
    /// Counts requests to the store, if it is one that does.
    pub requests: Option<Arc<Requests>>,
    /// Set, when the process is asked to end.
    pub stop: Arc<AtomicBool>,
}

/// What is known of a running pipeline.
pub struct Board {
    run: Run,
    stop: Arc<AtomicBool>,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many workers there are; `None` before that is known.
    workers: Option<usize>,
    ready: usize,
    /// What a worker's room waits for.
    waits: BTreeMap<(&'static str, usize), Wait>,
    /// Why a partition does not.
    stopped: BTreeMap<i32, String>,
    taken: u64,
    durable: u64,
    batches: u64,
    last: Option<(Timestamp, Done)>,
    partitions: BTreeMap<i32, Place>,
    /// Since when something durable waits for a commit, or for one that goes further.
    uncommitted: Option<Instant>,
}

/// Why a room does not get on.
struct Wait {
    reason: String,
    /// Up to when its time is counted.
    counted: Instant,
}

/// How far a partition is.
#[derive(Clone, Copy, Default)]
struct Place {
    durable: i64,
    committed: Option<i64>,
}

impl Board {
    /// Of a pipeline that is about to begin.
    pub fn new(about: About<'_>) -> Self {
        let About {
            run,
            plugin,
            lookups,
            requests,
            stop,
        } = about;
        Self {
            metrics: Metrics::new(&run.topic, plugin, lookups, requests),
            run,
            stop,
            state: Mutex::default(),
        }
    }

    /// The run it is about.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Says what runs from now on: the plugin's name, version and digest.
    pub fn runs(&self, plugin: [&str; 3], generation: u32) {
        self.metrics.runs(plugin, generation);
    }

    /// Says how many versions the group's commits name.
    pub fn group_runs(&self, versions: usize) {
        self.metrics.versions(versions);
    }

    /// Counts what became of a version that was offered.
    pub fn swapped(&self, outcome: &str) {
        self.metrics.swapped(outcome);
    }

    /// Says how many workers there will be.
    pub fn expect(&self, workers: usize) {
        self.state().workers = Some(workers);
    }

    /// Notes what a worker tells.
    pub fn observe(&self, report: &Report) {
        let mut state = self.state();
        match report {
            Report::Ready => state.ready += 1,
            Report::Taken { messages } => {
                for (&partition, &messages) in messages {
                    state.taken += messages as u64;
                    self.metrics.taken(partition, messages);
                }
            }
            Report::Done(done) => {
                self.metrics.done(done);
                state.done(done);
            }
            Report::Waits {
                worker,
                room,
                reason,
            } => {
                state.waits(room, *worker, reason);
                self.metrics.waiting(room, state.waiting(room));
            }
            Report::GoesOn { worker, room } => {
                state.count_waits(&self.metrics);
                state.waits.remove(&(*room, *worker));
                self.metrics.waiting(room, state.waiting(room));
            }
            Report::Retries { code } => self.metrics.retried(code),
            Report::Stopped { partition, reason } => {
                state.stopped.insert(*partition, reason.clone());
            }
            Report::Standing {
                worker,
                partitions,
                memory,
            } => {
                self.metrics.memory(*worker, *memory);
                for at in partitions {
                    self.metrics.standing(at.partition, at.committed, at.end);
                    if let Some(committed) = at.committed {
                        state.committed(at.partition, committed);
                    }
                }
            }
            Report::Traded { .. }
            | Report::Failing { .. }
            | Report::Settled { .. }
            | Report::WentBack { .. } => {}
            Report::Released { partition } => {
                state.stopped.remove(partition);
                state.partitions.remove(partition);
                state.look_for_uncommitted();
                self.metrics.released(*partition);
            }
        }
    }

    /// Why the pipeline is not ready, a line for each reason; empty = it is.
    pub fn reasons(&self) -> Vec<String> {
        self.state().reasons(self.stop.load(Ordering::Relaxed))
    }

    /// All metrics, as `/metrics` tells them.
    pub fn metrics(&self) -> String {
        let mut state = self.state();
        state.count_waits(&self.metrics);
        let is_stopping = self.stop.load(Ordering::Relaxed);
        let is_ready = state.reasons(is_stopping).is_empty();
        let pending = i64::try_from(state.taken - state.durable).unwrap_or(i64::MAX);
        self.metrics.ready.set(i64::from(is_ready));
        self.metrics.pending.set(pending);
        self.metrics.age.set(state.age());
        self.metrics.text()
    }

    /// The last batch as Spark would tell of it; null before the first.
    pub fn progress(&self) -> Value {
        let state = self.state();
        let last = state.last.as_ref();
        last.map_or(Value::Null, |(at, done)| {
            self.run.batch(state.batches - 1, *at, done)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn done(&mut self, done: &Done) {
        self.durable += done.messages as u64;
        self.batches += 1;
        for span in &done.spans {
            let place = self.partitions.entry(span.partition);
            place.or_default().durable = span.end;
        }
        self.last = Some((Timestamp::now(), done.clone()));
        self.look_for_uncommitted();
    }

    fn committed(&mut self, partition: i32, offset: i64) {
        let place = self.partitions.entry(partition).or_default();
        if place.committed != Some(offset) {
            place.committed = Some(offset);
            self.uncommitted = None;
            self.look_for_uncommitted();
        }
    }

    fn waits(&mut self, room: &'static str, worker: usize, reason: &str) {
        let wait = self.waits.entry((room, worker)).or_insert_with(|| Wait {
            reason: String::new(),
            counted: Instant::now(),
        });
        reason.clone_into(&mut wait.reason);
    }

    /// Counts the time of waits up to now.
    fn count_waits(&mut self, metrics: &Metrics) {
        for ((room, _), wait) in &mut self.waits {
            let now = Instant::now();
            metrics.held_up(room, now - wait.counted);
            wait.counted = now;
        }
    }

    fn waiting(&self, room: &str) -> usize {
        let waits = self.waits.keys().filter(|(which, _)| *which == room);
        waits.count()
    }

    fn look_for_uncommitted(&mut self) {
        // Of a file, nothing is ever committed.
        let waits = |place: &Place| place.committed.is_some_and(|offset| place.durable > offset);
        let since = *self.uncommitted.get_or_insert_with(Instant::now);
        let is_any = self.partitions.values().any(waits);
        self.uncommitted = is_any.then_some(since);
    }

    /// How long commits have not moved although something durable waits for one, in seconds.
    fn age(&self) -> f64 {
        let since = self.uncommitted.map(|since| since.elapsed());
        since.unwrap_or_default().as_secs_f64()
    }

    fn reasons(&self, is_stopping: bool) -> Vec<String> {
        let mut reasons = Vec::new();
        if is_stopping {
            reasons.push("stopping: what is in flight is finished first".to_owned());
        }
        let mut waits: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for ((room, _), wait) in &self.waits {
            // The rest is for the log.
            let reason = wait.reason.lines().next().unwrap_or_default();
            *waits.entry((*room, reason)).or_default() += 1;
        }
        for ((room, reason), workers) in waits {
            let mut line = format!("{room}: {reason}");
            if let Some(all) = self.workers.filter(|all| *all > 1) {
                let _ = write!(line, " ({workers} of {all} workers)");
            }
            reasons.push(line);
        }
        reasons.extend(
            self.stopped
                .values()
                .map(|reason| format!("source: {reason}")),
        );
        match self.workers {
            Some(workers) if self.ready >= workers => {}
            Some(workers) => {
                reasons.push(format!(
                    "starting: {} of {workers} workers are ready",
                    self.ready
                ));
            }
            None => reasons.push("starting: the source is looked for".to_owned()),
        }
        reasons
    }
}

#[cfg(test)]
mod tests;
