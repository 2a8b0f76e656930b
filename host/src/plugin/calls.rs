//! How calls of a plugin went, for whoever counts.

use std::collections::BTreeMap;
use std::time::Duration;

/// How calls went since they were last asked for.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// How long each took, those that failed included.
    pub took: Vec<Duration>,
    /// How many failed, by kind: `trap`, `deadline`, `memory`, `stack`, `output` or `bad_answer`.
    pub failed: BTreeMap<&'static str, usize>,
}
