//! A pause that somebody asked for: by whom, and since when.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

/// Whether the work of a process is paused. All that take messages heed the same one.
#[derive(Debug, Default)]
pub struct Pause {
    is_on: AtomicBool,
    /// By whom, and since when, for people.
    told: Mutex<Option<String>>,
    ends: AtomicU64,
}

impl Pause {
    pub(super) fn begin(&self, by: &str) -> String {
        let mut told = self.lock();
        let since = || format!("paused by {by} since {:.0}", Timestamp::now());
        let told = told.get_or_insert_with(since).clone();
        self.is_on.store(true, Ordering::Relaxed);
        told
    }

    pub(super) fn end(&self) {
        *self.lock() = None;
        self.is_on.store(false, Ordering::Relaxed);
        self.ends.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    pub(super) fn told(&self) -> Option<String> {
        if !self.is_on() {
            return None;
        }
        self.lock().clone()
    }

    pub(super) fn ends(&self) -> u64 {
        self.ends.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
