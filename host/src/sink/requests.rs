//! How many requests a store was sent, and what came of them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Requests of rows, counted in all sessions that share this.
#[derive(Debug, Default)]
pub struct Requests {
    in_flight: AtomicUsize,
    acknowledged: AtomicU64,
    failed: AtomicU64,
}

impl Requests {
    /// One is sent.
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// One has come to its end.
    pub fn end(&self, is_acknowledged: bool) {
        let ended = if is_acknowledged {
            &self.acknowledged
        } else {
            &self.failed
        };
        ended.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many are under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// How many have come to each end so far.
    pub fn ended(&self) -> [(&'static str, u64); 2] {
        [
            ("acknowledged", self.acknowledged.load(Ordering::Relaxed)),
            ("failed", self.failed.load(Ordering::Relaxed)),
        ]
    }
}
