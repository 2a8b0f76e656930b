//! What the room is told of how a plugin is run.

use std::any::Any;
use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Limits;

/// How a plugin is run.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What it may use.
    pub limits: Limits,
    /// Where compiled components are kept; `None` = nowhere.
    pub cache: Option<PathBuf>,
    /// The codes of rejections that merely count as filtered.
    pub filter_codes: BTreeSet<String>,
    /// What `init` is given: a JSON object; empty = `{}`.
    pub config: String,
    /// Who tells a person that compiling takes a while; `None` = nobody.
    pub waits: Option<Waits>,
}

/// Tells that a plugin of a name is compiled, and its size in bytes, until the answer is dropped.
pub type Waits = fn(&str, usize) -> Box<dyn Any>;
