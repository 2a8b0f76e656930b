//! What becomes of an offer, step by step: one JSON object each.

use std::collections::BTreeMap;

use serde::Serialize;

use super::proposal::Name;
use super::{Former, Proposal};

/// What happened to an offer.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A step has begun, or is done.
    Step {
        /// Which one.
        step: &'static str,
        /// What was found, or what is waited for.
        detail: String,
    },
    /// The proof is over, and somebody decides.
    Proposed(Proposal),
    /// The version before is found, and somebody decides.
    WouldGoBack(Former),
    /// It does not get in: the version that runs goes on.
    Refused {
        /// Why, for programs.
        code: &'static str,
        /// Why, and the way out.
        reason: String,
    },
    /// Every worker runs it.
    Traded(Traded),
    /// It was taken back during its probation.
    RolledBack {
        /// Why.
        reason: String,
        /// What runs again.
        to: Name,
        /// The generation of what runs now.
        generation: u32,
        /// How many messages were read again.
        messages: u64,
    },
    /// Its probation is over.
    Kept {
        /// After how many batches.
        batches: u64,
        /// Why it is over before all batches of it came; empty, if they did.
        reason: &'static str,
    },
    /// A host of the group got further with its turn, if all of it is to swap.
    Member {
        /// Which one.
        member: String,
        /// How far: `proving`, `probation`, `kept`, `refused`, `rolled_back`.
        outcome: &'static str,
        /// Why; empty, if there is nothing to say.
        reason: String,
    },
    /// Every host of the group runs it.
    Everywhere {
        /// How many.
        members: usize,
    },
    /// A host of the group does not run it, and those after it had no turn.
    Stopped {
        /// Which one, and why.
        reason: String,
    },
}

/// A trade that every worker has made.
#[derive(Clone, Debug, Serialize)]
pub struct Traded {
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its digest.
    pub digest: String,
    /// The lookups' digests, by name.
    pub lookups: BTreeMap<String, String>,
    /// The generation in which it writes.
    pub generation: u32,
    /// The first offset of each partition that it makes rows of.
    pub first_offsets: BTreeMap<i32, i64>,
    /// How long each worker paused for it, in microseconds.
    pub pauses_us: BTreeMap<usize, u64>,
}
