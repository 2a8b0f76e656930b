//! How a batch is collected, and when it is closed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Error, SERVE_MAX, Worker};
use crate::message::Batch;
use crate::retry::Backoff;
use crate::source::{Change, Limits, Taken};

/// So many messages at once mean a backlog, in which gathering more saves the database work.
const BACKLOG_MIN: usize = 1_000;
/// How long to wait for more messages in a backlog.
const GATHER_MAX: Duration = Duration::from_millis(5);

impl Worker {
    /// Collects a batch: what is there, or what comes until the interval ends.
    pub(super) fn collect(&mut self, topic: Arc<str>) -> Result<(Batch, Taken), Error> {
        let mut batch = Batch::new(topic);
        let mut last = Taken::Nothing;
        let mut backoff = Backoff::default();
        loop {
            let limits = self.limits();
            let wait = self.patience(&batch, last, limits);
            let Some(wait) = wait else { break };
            let taken = match self.rooms.source.take(&mut batch, limits, wait) {
                Ok(taken) => taken,
                Err(error) if error.is_transient() => {
                    self.stalls.waits(&self.reports, "source", &error);
                    self.changes(&mut batch);
                    self.released.clear();
                    self.pause(backoff.wait().min(SERVE_MAX))?;
                    batch.release(|released| self.released.contains(&released));
                    continue;
                }
                Err(error) => {
                    self.lose(error)?;
                    self.changes(&mut batch);
                    continue;
                }
            };
            self.source_goes_on();
            self.changes(&mut batch);
            last = taken;
            let is_told = self.control.is_stopping() || self.control.is_paused();
            let is_over = taken == Taken::End || is_told;
            if is_over || (taken == Taken::Nothing && batch.is_bare()) {
                break;
            }
        }
        if let Some(interval) = self.config.interval
            && !batch.is_bare()
        {
            self.next_batch = (self.next_batch + interval).max(Instant::now());
        }
        self.clock.stamp(&mut batch);
        Ok((batch, last))
    }

    /// Where processes died, a batch is one message.
    fn limits(&self) -> Limits {
        let mut limits = self.config.limits;
        if self.suspects.are_at(&self.positions) {
            limits.messages_max = 1;
        }
        limits
    }

    /// How long to wait for the next message of a batch; `None` = the batch is closed.
    fn patience(&self, batch: &Batch, last: Taken, limits: Limits) -> Option<Duration> {
        if batch.len() >= limits.messages_max || batch.bytes_len() >= limits.bytes_max {
            return None;
        }
        let is_bare = batch.is_bare();
        if self.config.interval.is_some() {
            let left = self.next_batch.saturating_duration_since(Instant::now());
            return match (left.is_zero(), is_bare) {
                (false, _) => Some(left.min(SERVE_MAX)),
                (true, true) => Some(SERVE_MAX),
                (true, false) => None,
            };
        }
        match last {
            _ if is_bare => Some(SERVE_MAX),
            Taken::Some if batch.len() >= BACKLOG_MIN => Some(GATHER_MAX),
            Taken::Some | Taken::Nothing | Taken::End => None,
        }
    }

    fn changes(&mut self, batch: &mut Batch) {
        for change in self.rooms.source.changes() {
            if let Change::Released { partition } = change {
                batch.release(|released| released == partition);
            }
            self.note(change);
        }
    }
}
