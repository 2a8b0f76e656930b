//! Places where a test ends the process as `kill -9` would, and bugs that a test switches on to see
//! whether the proof finds them. Without the feature `failpoints` there is nothing of it in the binary.
//!
//! With it, the variable `FAILPOINTS` says what happens, in the words of the crate `fail`:
//! `written=3%return` ends the process at three of a hundred batches that are written and not yet
//! committed; `bug-commit-early=return` switches a bug on.

/// A stage of the work that ends the process here, when it is asked to: nothing is flushed, closed
/// or committed any more.
#[cfg(feature = "failpoints")]
pub fn reach(stage: &str) {
    fail::fail_point!(stage, |_| std::process::abort());
}

/// A stage of the work.
#[cfg(not(feature = "failpoints"))]
pub fn reach(_: &str) {}

/// A stage of the work on messages, by partition and offset: `apply-0-7` is reached where the
/// message 7 of partition 0 is applied.
#[cfg(feature = "failpoints")]
pub fn reach_each(stage: &str, messages: impl Iterator<Item = (i32, i64)>) {
    messages.for_each(|(partition, offset)| reach(&format!("{stage}-{partition}-{offset}")));
}

/// A stage of the work on messages.
#[cfg(not(feature = "failpoints"))]
pub fn reach_each(_: &str, _: impl Iterator<Item = (i32, i64)>) {}

/// Whether a bug is switched on.
#[cfg(feature = "failpoints")]
pub fn has_bug(name: &str) -> bool {
    fail::eval(name, |_| ()).is_some()
}

/// Whether a bug is switched on: never.
#[cfg(not(feature = "failpoints"))]
pub const fn has_bug(_: &str) -> bool {
    false
}

/// Reads `FAILPOINTS`, once for the life of the process.
pub fn set_up() {
    #[cfg(feature = "failpoints")]
    std::mem::forget(fail::FailScenario::setup());
}
