//! A version on probation: kept, or taken back.

use std::thread;
use std::time::{Duration, Instant};

use super::life::{Begun, Life};
use super::means::Ran;
use super::proposal::Name;
use super::steward::TICK;
use super::trade::Workers;
use super::{Event, Pending};
use crate::archive::{self, Outcome};

/// How soon is tried again what a rollback needs.
const AGAIN: Duration = Duration::from_secs(1);

/// A version that may still be taken back.
pub(super) struct Probation {
    pub(super) begun: Begun,
    pub(super) since: Instant,
    /// Whoever asked for it, if he still listens.
    pub(super) asker: Pending,
}

impl Life {
    pub(super) fn workers(&self) -> Workers<'_> {
        Workers {
            plan: &self.means.plan,
            control: &self.control,
            words: &self.words,
        }
    }

    /// Looks how the version on probation does.
    pub(super) fn watch(&mut self) {
        let Some(probation) = &self.probation else {
            return;
        };
        self.claim();
        let tally = self.tallies.between(self.current.generation, u32::MAX);
        if let Some(reason) = self.tallies.verdict() {
            self.roll_back(&reason);
        } else if tally.batches >= u64::from(self.means.policy.probation) {
            self.keep("");
        } else if probation.since.elapsed() >= self.means.policy.probation_time {
            self.keep("no more came within `probation_time`");
        }
    }

    /// Ends the probation: what runs stays. `reason` is empty, if it has stood it.
    pub(super) fn keep(&mut self, reason: &'static str) {
        let Some(probation) = self.probation.take() else {
            return;
        };
        self.tallies.end(false);
        self.workers().keep();
        let generation = self.current.generation;
        let batches = self.tallies.between(generation, u32::MAX).batches;
        self.finish(generation, Outcome::Kept, reason, probation.begun.pause_us);
        tracing::info!(
            generation,
            batches,
            reason,
            "the version's probation is over"
        );
        probation.asker.tell(Event::Kept { batches, reason });
        self.means.count("kept");
        self.show(None);
    }

    pub(super) fn roll_back(&mut self, reason: &str) {
        self.roll_back_for(reason, None);
    }

    /// Undoes what the version on probation did, and runs the one before again.
    pub(super) fn roll_back_for(&mut self, reason: &str, pending: Option<&Pending>) {
        let (Some(probation), Some(before)) = (self.probation.take(), self.before.take()) else {
            return;
        };
        // What it makes from here on would only have to be made again.
        self.tallies.end(true);
        let bad = self.current.clone();
        tracing::warn!(reason, generation = bad.generation, "rolling back");
        // The way back takes one generation, and the version before the next.
        let at_least = self.control.generation().max(bad.generation) + 2;
        let generation = self.take_generation(at_least, &before, &bad, reason);
        let orders = loop {
            let workers = self.workers();
            let made = workers.undo(
                &bad.version,
                &bad.keys,
                &probation.begun.firsts,
                generation - 1,
            );
            match made {
                Ok(orders) => break orders,
                Err(error) => tracing::warn!(%error, "the way back waits for the store"),
            }
            let until = Instant::now() + AGAIN;
            while Instant::now() < until {
                if self.control.is_stopping() {
                    return;
                }
                thread::sleep(TICK);
            }
        };
        let answers = self
            .workers()
            .order(orders, &mut |detail| tracing::info!(detail, "rolling back"));
        let pause_us = probation.begun.pause_us;
        self.finish(bad.generation, Outcome::RolledBack, reason, pause_us);
        self.finish(generation, Outcome::Kept, "", answers.pause_us());
        self.current = Ran {
            generation,
            ..before
        };
        self.before = None;
        self.means.count("rolled_back");
        self.show(None);
        let messages = answers.messages;
        tracing::warn!(reason, generation, messages, "rolled back");
        let event = Event::RolledBack {
            reason: reason.to_owned(),
            to: Name::of(&self.current.version),
            generation,
            messages,
        };
        for asker in [Some(&probation.asker), pending].into_iter().flatten() {
            asker.tell(event.clone());
        }
    }

    fn take_generation(&self, at_least: u32, to: &Ran, from: &Ran, reason: &str) -> u32 {
        let trade = archive::Trade {
            code: to.version.code(),
            replaced: from.version.code(),
            by: archive::WAY_BACK.to_owned(),
            diff: reason.to_owned(),
            is_deployment: false,
        };
        let taken = self.means.take(at_least, &trade);
        taken.unwrap_or_else(|error| {
            // What speaks against the version does not wait for a line in the history.
            tracing::warn!(%error, "the way back is not in the history");
            at_least
        })
    }
}
