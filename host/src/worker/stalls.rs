//! What holds a worker up: told once when it begins, once when it ends.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Instant;

use super::{Report, Reports};

/// What a worker waits for, told once when it begins and once when it ends.
#[derive(Debug, Default)]
pub struct Stalls {
    since: BTreeMap<&'static str, (String, Instant)>,
}

impl Stalls {
    /// A room of a worker does not get on. Told only if that is new, or for another reason than before.
    pub fn waits(&mut self, reports: &Reports, room: &'static str, reason: &dyn Display) {
        let reason = reason.to_string();
        let worker = reports.worker();
        match self.since.get_mut(room) {
            Some((told, _)) if *told == reason => return,
            Some((told, _)) => {
                tracing::warn!(worker, room, reason, "still waiting");
                told.clone_from(&reason);
            }
            None => {
                tracing::warn!(worker, room, reason, "waiting");
                self.since.insert(room, (reason.clone(), Instant::now()));
            }
        }
        reports.send(Report::Waits {
            worker,
            room,
            reason,
        });
    }

    /// A room of a worker gets on again.
    pub fn goes_on(&mut self, reports: &Reports, room: &'static str) {
        if let Some((_, since)) = self.since.remove(room) {
            let worker = reports.worker();
            let waited_seconds = since.elapsed().as_secs_f64();
            tracing::info!(worker, room, waited_seconds, "going on");
            reports.send(Report::GoesOn { worker, room });
        }
    }
}
