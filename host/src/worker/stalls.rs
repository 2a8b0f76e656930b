//! What holds a worker up, in the log: once when it begins, once when it ends.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Instant;

/// What a worker waits for, told once when it begins and once when it ends.
#[derive(Debug, Default)]
pub struct Stalls {
    since: BTreeMap<&'static str, (String, Instant)>,
}

impl Stalls {
    /// A room does not get on. Logged only if that is new, or for another reason than before.
    pub fn waits(&mut self, room: &'static str, reason: &dyn Display) {
        let reason = reason.to_string();
        match self.since.get_mut(room) {
            Some((told, _)) if *told == reason => {}
            Some((told, _)) => {
                tracing::warn!(room, reason, "still waiting");
                *told = reason;
            }
            None => {
                tracing::warn!(room, reason, "waiting");
                self.since.insert(room, (reason, Instant::now()));
            }
        }
    }

    /// A room gets on again.
    pub fn goes_on(&mut self, room: &'static str) {
        if let Some((_, since)) = self.since.remove(room) {
            tracing::info!(room, waited_ms = since.elapsed().as_millis(), "going on");
        }
    }
}
