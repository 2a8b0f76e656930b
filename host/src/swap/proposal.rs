//! What the proof found, for whoever decides.

use std::fmt;

use serde::Serialize;

use super::diff::Diff;
use super::policy::{micros, percent};
use crate::version::Version;

/// What the proof found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Proposal {
    /// What runs.
    pub old: Name,
    /// What would run.
    pub new: Name,
    /// Whether the new one's version is the lower one.
    pub is_older: bool,
    /// How many samples of the candidate's own gave its golden rows; `None`, if it brings none.
    pub samples: Option<usize>,
    /// What would be other than now, over the last messages.
    pub diff: Diff,
    /// The time of the plugin for a message, old and new, in nanoseconds; `None`, if there were too few
    /// messages to tell.
    pub nanos_a_message: Option<[u64; 2]>,
    /// The memory of an instance after these messages, old and new, in bytes.
    pub memory_bytes: [usize; 2],
    /// All of it, as people are shown it.
    pub text: String,
}

/// What a plugin or a lookup is called.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Name {
    /// Its own name.
    pub name: String,
    /// A plugin's version; of a lookup, nothing.
    pub version: String,
    /// The digest of its bytes.
    pub digest: String,
}

impl Proposal {
    /// With the text for people.
    pub(super) fn told(mut self) -> Self {
        self.text = self.to_string();
        self
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let older = if self.is_older {
            ", an older version"
        } else {
            ""
        };
        writeln!(f, "new: {}{older}", self.new)?;
        writeln!(f, "old: {}", self.old)?;
        match self.samples {
            Some(samples) => writeln!(
                f,
                "its own samples: {samples}, and they give its golden rows"
            )?,
            // A lookup has none.
            None if self.new.version.is_empty() => {}
            None => writeln!(f, "its own samples: none that could be tried")?,
        }
        match self.diff.messages {
            0 => writeln!(f, "no message has come yet to try it on")?,
            messages => {
                let (changed, rejected) = (self.diff.changed_share(), self.diff.rejected_share());
                let (changed, rejected) = (percent(changed), percent(rejected));
                writeln!(
                    f,
                    "tried on the last {messages} messages, of which nothing was written:"
                )?;
                writeln!(
                    f,
                    "  {changed} of the rows differ, {rejected} of the messages are newly rejected"
                )?;
                write!(f, "{}", self.diff)?;
            }
        }
        if let Some([old, new]) = self.nanos_a_message {
            let (old, new) = (micros(old), micros(new));
            writeln!(f, "time a message: {new}, now {old}")?;
        }
        if self.diff.messages > 0 {
            let [old, new] = self.memory_bytes.map(|bytes| bytes >> 10);
            writeln!(f, "memory: {new} KiB, now {old} KiB")?;
        }
        Ok(())
    }
}

impl Name {
    pub(super) fn of(version: &Version) -> Self {
        let description = version.plugin.description();
        Self {
            name: description.name.clone(),
            version: description.version.clone(),
            digest: version.plugin.digest().to_owned(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            version,
            digest,
        } = self;
        let space = if version.is_empty() { "" } else { " " };
        write!(f, "{name}{space}{version} ({})", short(digest))
    }
}

/// The beginning of a digest, as people are shown it.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
