//! What runs, what is on its way, and what was, for whoever asks.

use std::sync::PoisonError;

use serde_json::{Value, json};

use super::group::Share;
use super::life::Life;
use super::means::Ran;
use super::probation::Tallies;
use crate::archive::{self, Generation, Outcome};
use crate::code::Code;

/// How much of the history is told.
pub(super) const HISTORY_MAX: usize = 20;

/// What was told last.
#[derive(Default)]
pub(super) struct Status {
    pub(super) code: Code,
    current: Value,
    before: Value,
    candidate: Value,
    /// From which generation on, and for how many batches.
    probation: Option<(u32, u32)>,
    history: Vec<Generation>,
    /// Whether the history may tell more than was read of it.
    is_behind: bool,
    group: Vec<Share>,
}

impl Status {
    pub(super) fn of(first: &Ran) -> Self {
        Self {
            code: first.version.code(),
            current: named(first),
            ..Self::default()
        }
    }

    /// Notes what the group runs. Whether the history is to be read again: commits tell of something new, the
    /// end of a trade is open, or another member may have something else to say of it.
    pub(super) fn note_group(&mut self, shares: Vec<Share>) -> bool {
        let is_open = |trade: &Generation| trade.outcome == Outcome::Running;
        let is_open = self.probation.is_some() || self.history.iter().any(is_open);
        let is_behind = self.is_behind || is_open || self.group != shares;
        self.group = shares;
        self.is_behind = false;
        is_behind
    }

    /// Notes the history as it was read beside the steward, who may have read a later one meanwhile.
    pub(super) fn note_history(&mut self, read: Result<Vec<Generation>, archive::Error>) {
        match read {
            Ok(history) if !self.is_behind => self.history = history,
            // Whether the store answers is told by those who write to it.
            Ok(_) | Err(_) => self.is_behind = true,
        }
    }

    #[cfg(test)]
    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        self.history.iter().map(|trade| trade.outcome).collect()
    }

    pub(super) fn told(&self, tallies: &Tallies) -> Value {
        let probation = self.probation.map(|(generation, of)| {
            let batches = tallies.between(generation, u32::MAX).batches;
            json!({ "batches": batches, "of": of })
        });
        json!({
            "current": self.current,
            "before": self.before,
            "candidate": self.candidate,
            "probation": probation,
            "history": self.history,
            "group": self.group,
        })
    }
}

fn named(ran: &Ran) -> Value {
    let (origin, code) = (ran.version.origin(), ran.version.code());
    json!({
        "name": origin.name,
        "version": origin.version,
        "digest": origin.digest,
        "lookups": code.lookups,
        "generation": ran.generation,
    })
}

impl Life {
    /// Lets others see what runs now.
    pub(super) fn show(&self, probation: Option<u32>) {
        let history = self.means.archive.as_ref();
        let history = history.map_or(Ok(Vec::new()), |archive| archive.history(HISTORY_MAX));
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        match history {
            Ok(history) => status.history = history,
            Err(error) => tracing::warn!(%error, "the history cannot be read"),
        }
        // Whoever reads it just now may have an earlier one in hand.
        status.is_behind = true;
        (self.means.runs)(&self.current);
        status.code = self.current.version.code();
        status.current = named(&self.current);
        status.before = self.before.as_ref().map_or(Value::Null, named);
        status.probation = probation.map(|of| (self.current.generation, of));
    }

    /// Says that the version on probation is watched, if a member that started since has noted otherwise: it
    /// cannot know who is there.
    pub(super) fn claim(&self) {
        let generation = self.current.generation;
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let mut trades = status.history.iter_mut();
        let ours = trades.find(|trade| trade.generation == generation);
        let Some(ours) = ours.filter(|trade| trade.outcome == Outcome::Unwatched) else {
            return;
        };
        ours.outcome = Outcome::Running;
        drop(status);
        self.finish(generation, Outcome::Running, "", 0);
    }

    /// Lets others see what is being proved.
    pub(super) fn set_candidate(&self, what: Option<&str>) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.candidate = what.map_or(Value::Null, Value::from);
    }
}
