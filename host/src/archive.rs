//! What is remembered of versions: the bytes of their parts, and which generation began with which.
//!
//! A commit names the code that makes the rows, by digests. Who goes on from there, after a crash, a
//! rollback or on another machine, needs the bytes behind them. Nothing here is in a message's way.

pub mod cassandra;
pub mod directory;
mod history;

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::{lookup, sink};
pub use history::{
    WAY_BACK, Which, before, ends_what_it_began, left_open, never_begun, ran, taken_back,
    was_traded_away,
};

/// A plugin or a lookup, as it is kept: whatever has its digest has its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The name of its file: what a `.wat` ends in says how it is read.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Part {
    /// The SHA-256 of its bytes, in lower-case hexadecimal.
    pub fn digest(&self) -> String {
        lookup::hex_digest(&self.bytes)
    }
}

/// One version for another, as it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trade {
    /// What makes the rows from now on.
    pub code: Code,
    /// What made them before.
    pub replaced: Code,
    /// Who asked for it.
    pub by: String,
    /// What changes in the rows, for people.
    pub diff: String,
    /// Whether it is none: a start has brought other files, and nobody proved or watched anything.
    pub is_deployment: bool,
}

/// What became of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is on probation, or whoever ordered it ended before telling.
    Running,
    /// It has stood its probation.
    Kept,
    /// The process ended first, and the version went on without being watched.
    Unwatched,
    /// The version before is back.
    RolledBack,
    /// It was given up before a row was written under it.
    Abandoned,
    /// There was no trade: a start has brought it.
    Deployed,
}

impl Outcome {
    const ALL: [Self; 6] = [
        Self::Running,
        Self::Kept,
        Self::Unwatched,
        Self::RolledBack,
        Self::Abandoned,
        Self::Deployed,
    ];

    /// Whether the version that was traded in may still make rows.
    fn is_in(self) -> bool {
        match self {
            Self::Running | Self::Kept | Self::Unwatched | Self::Deployed => true,
            Self::RolledBack | Self::Abandoned => false,
        }
    }

    /// Its name in tables and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Kept => "kept",
            Self::Unwatched => "unwatched",
            Self::RolledBack => "rolled_back",
            Self::Abandoned => "abandoned",
            Self::Deployed => "deployed",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// How a trade ended, so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// What became of it.
    pub outcome: Outcome,
    /// Why; empty, if there is nothing to say.
    pub reason: String,
    /// The longest that a worker stood still for it, in microseconds; 0 leaves what was noted before.
    pub pause_us: u64,
}

/// A generation that a trade began with, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number.
    pub generation: u32,
    /// What makes the rows in it.
    pub code: Code,
    /// What made them before.
    pub replaced: Code,
    /// Who asked for it.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub taken_ms: i64,
    /// What changed in the rows, for people.
    pub diff: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why; empty, if there is nothing to say.
    pub reason: String,
    /// The longest that a worker stood still for it, in microseconds; none before the trade is done.
    pub pause_us: Option<u64>,
}

impl Trade {
    fn begins(&self) -> Outcome {
        match self.is_deployment {
            true => Outcome::Deployed,
            false => Outcome::Running,
        }
    }
}

impl Generation {
    fn begun(generation: u32, trade: &Trade) -> Self {
        Self {
            generation,
            code: trade.code.clone(),
            replaced: trade.replaced.clone(),
            by: trade.by.clone(),
            taken_ms: now_ms(),
            diff: trade.diff.clone(),
            outcome: trade.begins(),
            reason: String::new(),
            pause_us: None,
        }
    }

    /// Whether it was asked for, and what it brought in may make rows since.
    pub(crate) fn is_asked(&self) -> bool {
        self.outcome.is_in() && self.by != WAY_BACK
    }
}

/// Where versions are remembered. Calls wait for their answers, within deadlines of the store's own.
pub trait Archive: Send + Sync {
    /// Keeps a part, unless it is there already. It is there whole, or not at all.
    ///
    /// # Errors
    /// When it cannot be kept: then a restart could not run it.
    fn keep(&self, part: &Part) -> Result<(), Error>;

    /// The part of a digest; `None`, if it was never kept.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was kept.
    fn fetch(&self, digest: &str) -> Result<Option<Part>, Error>;

    /// Takes the first generation from `at_least` on that no other trade of this group has taken.
    ///
    /// # Errors
    /// When it cannot be written down. It may be taken nevertheless, and is nobody's then.
    fn take(&self, at_least: u32, trade: &Trade) -> Result<u32, Error>;

    /// Notes how a trade ended; once more, if it ended otherwise later.
    ///
    /// # Errors
    /// When it cannot be written down.
    fn finish(&self, generation: u32, end: &End) -> Result<(), Error>;

    /// Notes how a trade ended, if what is noted of it is `so_far`; whether it was. For whoever does not see it
    /// to its end himself: who does may have told it meanwhile.
    ///
    /// # Errors
    /// When it cannot be written down.
    fn finish_if(&self, generation: u32, so_far: Outcome, end: &End) -> Result<bool, Error>;

    /// The latest generations that trades of this group began with, the last one first.
    ///
    /// # Errors
    /// When they cannot be read.
    fn history(&self, generations_max: usize) -> Result<Vec<Generation>, Error>;
}

/// Why something of a version cannot be remembered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store does not answer, or refuses.
    #[error(transparent)]
    Store(#[from] sink::Error),
    /// A file cannot be written or read.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// What is kept is not what was to be kept.
    #[error("{place} {what}: {reason}; remove it, and it is kept again")]
    Damaged {
        /// Where it is kept.
        place: String,
        /// What it is.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Too many generations in a row are taken.
    #[error("the generations from {0} on are taken by others")]
    Taken(u32),
}

impl Error {
    /// Whether waiting may mend it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::File { .. } | Self::Damaged { .. } | Self::Taken(_) => false,
        }
    }
}

/// How many generations in a row are tried before it is given up: each is a member that trades now.
const TAKE_MAX: u32 = 1_000;

/// The present, in milliseconds since 1970: for people; nothing is ordered by it.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// A part as it was read back, if it is what its digest says.
fn verified(place: &str, digest: &str, part: Part) -> Result<Part, Error> {
    let found = part.digest();
    if found == digest {
        return Ok(part);
    }
    Err(Error::Damaged {
        place: place.to_owned(),
        what: digest.to_owned(),
        reason: format!("the bytes kept there have the digest {found}"),
    })
}

#[cfg(test)]
mod tests;
