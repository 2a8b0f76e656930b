//! Progress in memory: for files, which are read whole each time, and for tests.

use std::collections::BTreeMap;

use crate::checkpoint::{Checkpoint, Commit, Error};
use crate::sink::Written;

/// Keeps progress as long as it lives.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    written: BTreeMap<i32, i64>,
    committed: BTreeMap<i32, i64>,
}

impl Memory {
    /// Nothing done yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The offset to go on from in a partition, once committed.
    pub fn committed(&self, partition: i32) -> Option<i64> {
        self.committed.get(&partition).copied()
    }
}

impl Checkpoint for Memory {
    fn record(&mut self, written: &Written) {
        for progress in written.progress() {
            let span = progress.span;
            let before = self.written.insert(span.partition, span.end);
            assert!(
                before.is_none_or(|before| before == span.start),
                "{span:?} does not follow on {before:?}"
            );
        }
    }

    fn commit(&mut self, _: Commit) -> Result<(), Error> {
        self.committed.clone_from(&self.written);
        Ok(())
    }
}
