//! Which code makes rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A plugin and its lookups, by the SHA-256 of their bytes in lower-case hexadecimal. It travels in the
/// metadata of every commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Code {
    /// The plugin's digest.
    pub plugin: String,
    /// The lookups' digests, by name.
    pub lookups: BTreeMap<String, String>,
}
