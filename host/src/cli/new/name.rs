//! What a plugin can be called: it becomes the name of packages and, with `_` for `-`, of a keyspace.

use anyhow::{bail, ensure};

use crate::config;

/// As many characters as a keyspace's name may have.
const NAME_MAX: usize = 48;

/// The words that CQL takes for nothing else, so that no keyspace is called so without quotes.
const WORDS: &str = "add allow alter and apply asc authorize batch begin by columnfamily create delete desc describe \
    drop entries execute from full grant if in index infinity insert into is keyspace limit \
    materialized modify nan norecursive not null of on or order primary rename revoke schema select \
    set table to token truncate unlogged update use using view where with";

/// The package of the SDK that a plugin in Rust lies beside.
const SDK: &str = "sluice-plugin";

/// Whether a plugin may be called so.
///
/// # Errors
/// Why not.
pub(super) fn check(name: &str) -> anyhow::Result<()> {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_legal = name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(|letter| is_word(letter) || letter == '-')
        && name.len() <= NAME_MAX;
    ensure!(
        is_legal,
        "`{name}` cannot be the name of a plugin: a lower-case letter, then lower-case letters, digits and \
         `-`, at most {NAME_MAX} in all"
    );
    let taken = if sluice_bundled::pipeline(name).is_some() {
        "a pipeline that this binary carries"
    } else if name == SDK {
        "what the SDK for Rust is called"
    } else if WORDS.split(' ').any(|word| word == name) {
        "a word of CQL's own, and its keyspace would be called so"
    } else if config::is_taken(&name.replace('-', "_")) {
        "what a keyspace of Cassandra's or the host's own is called"
    } else {
        return Ok(());
    };
    bail!("`{name}` cannot be the name of a plugin: it is {taken}; give another name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_name_says_why() {
        let long = "a".repeat(NAME_MAX + 1);
        for (name, words) in [
            ("", "lower-case"),
            ("A", "lower-case"),
            ("a_b", "lower-case"),
            (&*long, "at most 48"),
            ("netflix", "carries"),
            ("table", "CQL"),
            ("with", "CQL"),
            ("system", "Cassandra"),
            ("system-auth", "Cassandra"),
            ("sluice", "the host's own"),
            ("sluice-plugin", "SDK"),
        ] {
            let reason = check(name).unwrap_err().to_string();
            assert!(reason.contains(words), "{name}: {reason}");
        }
        for name in [&long[1..], "a", "a-9", "tables", "systems", "std", "group"] {
            check(name).unwrap();
        }
    }
}
