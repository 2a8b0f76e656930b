//! Which code makes rows.

use std::collections::BTreeMap;

/// A plugin and its lookups, by the SHA-256 of their bytes in lower-case hexadecimal. It travels in the
/// metadata of every commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code {
    /// The plugin's digest.
    pub plugin: String,
    /// The lookups' digests, by name.
    pub lookups: BTreeMap<String, String>,
}
