//! How far the work is done: offsets that were written, to go on from.
//!
//! It takes nothing but the sink's proof, so committing before writing does not compile, and it
//! never moves backwards.

pub mod cassandra;
pub mod kafka;
pub mod letters;
pub mod memory;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::code::Code;
use crate::sink::Written;

/// What must be done with what was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Commit if the last commit is about a second ago; do not wait for the answer.
    IfDue,
    /// Commit now and wait for the answer, within a deadline.
    Now,
}

/// Where progress is kept.
pub trait Checkpoint {
    /// Notes what was written. What is of a partition that is not ours any more is dropped.
    ///
    /// # Panics
    /// If a span does not follow on what was recorded of its partition before.
    fn record(&mut self, written: &Written);

    /// Commits what was recorded.
    ///
    /// # Errors
    /// When it could not be committed. What was recorded is kept for the next call.
    fn commit(&mut self, when: Commit) -> Result<(), Error>;

    /// What is recorded from now on is made by other code, in this generation. The next commit says so
    /// of all partitions; it is sent at once and not waited for. Where nothing is kept for others, there is
    /// nobody to tell.
    fn trade(&mut self, _code: &Arc<Code>, _generation: u32) {}

    /// Goes back to these offsets, in a generation whose rows beat those before. The one exception to
    /// never moving backwards: what was recorded is made again.
    ///
    /// `late` is where the code that recorded so far began with each partition, also with those that are
    /// nobody's at the moment: who gets one later, while its commit still names that code, begins there.
    fn rewind(&mut self, _to: &BTreeMap<i32, i64>, _generation: u32, _late: &BTreeMap<i32, i64>) {}
}

/// Why progress could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("the group's offsets could not be committed: {0}")]
pub struct Error(pub String);
