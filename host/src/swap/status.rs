//! What runs, what is on its way, and what was, for whoever asks.

use std::sync::PoisonError;

use serde_json::{Value, json};

use super::group::Share;
use super::life::Life;
use super::means::Ran;
use super::probation::Tallies;
use crate::archive::Generation;
use crate::code::Code;

/// How much of the history is told.
const HISTORY_MAX: usize = 20;

/// What was told last.
pub(super) struct Status {
    pub(super) code: Code,
    current: Value,
    before: Value,
    candidate: Value,
    /// From which generation on, and for how many batches.
    probation: Option<(u32, u32)>,
    history: Vec<Generation>,
    pub(super) group: Vec<Share>,
}

impl Status {
    pub(super) fn of(first: &Ran) -> Self {
        Self {
            code: first.version.code(),
            current: named(first),
            before: Value::Null,
            candidate: Value::Null,
            probation: None,
            history: Vec::new(),
            group: Vec::new(),
        }
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
        (self.means.runs)(&self.current);
        status.code = self.current.version.code();
        status.current = named(&self.current);
        status.before = self.before.as_ref().map_or(Value::Null, named);
        status.probation = probation.map(|of| (self.current.generation, of));
    }

    /// Lets others see what is being proved.
    pub(super) fn set_candidate(&self, what: Option<&str>) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.candidate = what.map_or(Value::Null, Value::from);
    }
}
