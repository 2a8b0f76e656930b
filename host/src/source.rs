//! Where messages come from: a topic, or a file taken for one.
//!
//! A source collects batches and keeps its place among the group's members. It must not know what
//! becomes of a message; what was written comes back only as an offset to commit.

pub mod kafka;
pub mod letters;
pub mod replay;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::access;
use crate::message::{Batch, WriteTime};

/// How large a batch may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most messages in a batch.
    pub messages_max: usize,
    /// The most bytes in a batch. A single larger message still makes a batch.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages_max: 16_384,
            bytes_max: 16 << 20,
        }
    }
}

/// What a call of [`Source::take`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Something was added to the batch: messages, or a span without any.
    Some,
    /// Nothing came in time.
    Nothing,
    /// There is nothing more, and there never will be: a file's end.
    End,
}

/// A change of what this source owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A partition is ours from now on.
    Assigned {
        /// Which one.
        partition: i32,
        /// The offset it is read from.
        start: i64,
        /// How many times rows were to be corrected: the pipeline's generation.
        generation: u32,
        /// The write time of the last message committed, which the next one must exceed.
        write_time: Option<WriteTime>,
    },
    /// A partition is somebody else's now. What is in flight of it must not be committed.
    Released {
        /// Which one.
        partition: i32,
    },
}

/// How far a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which one.
    pub partition: i32,
    /// The offset to go on from, as the broker has acknowledged it.
    pub committed: Option<i64>,
    /// The offset after the last message of the log, as the last fetch told it.
    pub end: Option<i64>,
}

/// Where messages come from.
///
/// One thread drives it: the worker's.
pub trait Source {
    /// Adds what is there to `batch`, as far as `limits` allow, and waits at most `wait` for the
    /// first message. Never waits once there is one.
    ///
    /// # Errors
    /// When the source cannot go on, or not now ([`Error::is_transient`]); `batch` keeps what it has.
    fn take(&mut self, batch: &mut Batch, limits: Limits, wait: Duration) -> Result<Taken, Error>;

    /// Keeps the membership alive and serves rebalances while the worker is busy elsewhere. Call it
    /// at least every 100 ms; it does not wait and takes no messages.
    ///
    /// # Errors
    /// As [`Source::take`].
    fn serve(&mut self) -> Result<(), Error>;

    /// What was assigned and released since the last call, in order. Look after every `take` and
    /// `serve`, before anything else is done: messages of a partition follow its `Assigned`.
    fn changes(&mut self) -> Vec<Change>;

    /// Reads again from these offsets of partitions that it owns, or on from where it is, if that is
    /// the same: what was taken and not written comes back.
    ///
    /// # Errors
    /// If it cannot go back, as one that is read once cannot.
    fn rewind(&mut self, _to: &BTreeMap<i32, i64>) -> Result<(), Error> {
        Err(Error::Rewind("this is read once, and not again".into()))
    }

    /// Whether the last error that waiting may mend still holds: of one and the same, `take` and
    /// `serve` tell once. A source that never waits need not say so.
    fn is_held_up(&self) -> bool {
        false
    }

    /// How far each partition is that is ours, as far as that is known without asking; of a file
    /// there is nothing to tell.
    fn standing(&self) -> Vec<Standing> {
        Vec::new()
    }

    /// Leaves the group, within a deadline of its own. Commit first: it does not.
    fn close(&mut self);
}

/// An error of a client library, whose type stays inside this room.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a source cannot give messages.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The brokers cannot be reached, or not now.
    #[error("Kafka at {brokers}: {source}")]
    Broker {
        /// Where they were looked for.
        brokers: String,
        /// What librdkafka says.
        source: BoxError,
    },
    /// TLS or the login is refused, by the brokers or by us.
    #[error("Kafka at {brokers}: {}", access::explain(.reason))]
    Refused {
        /// Where they were looked for.
        brokers: String,
        /// What librdkafka says.
        reason: String,
    },
    /// The topic does not exist (yet).
    #[error("topic `{topic}` does not exist on {brokers}")]
    NoTopic {
        /// Which one.
        topic: String,
        /// Where it was looked for.
        brokers: String,
    },
    /// The place to go on from is not in the log.
    #[error(
        "partition {partition} of `{topic}`: offset {wanted} is not in the log, which holds {low} to \
         {high}; nothing was skipped. Say where to go on: `host replay --from-offset {partition}={low}`, or \
         --start under a new --group"
    )]
    Gap {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset that should be read next.
        wanted: i64,
        /// The first offset in the log.
        low: i64,
        /// The offset after the last.
        high: i64,
    },
    /// The topic is not the one that the group has read: it was deleted, and made anew.
    #[error(
        "partition {partition} of `{topic}`: the group would go on at {wanted} of a topic that is \
         deleted; this one was made anew under its name, and holds {low} to {high}; nothing was skipped. \
         Say where to begin: --start earliest, latest or a time, or `host replay --from-beginning`"
    )]
    MadeAnew {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset that was to be read next.
        wanted: i64,
        /// The first offset in the log.
        low: i64,
        /// The offset after the last.
        high: i64,
    },
    /// What the broker holds at an offset is damaged.
    #[error(
        "partition {partition} of `{topic}` is damaged at offset {offset}: {source}; nothing was \
         skipped"
    )]
    Corrupt {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset that should be read next.
        offset: i64,
        /// What librdkafka says.
        source: BoxError,
    },
    /// The commit's metadata cannot be read.
    #[error("the group's commit for partition {partition}: {reason}")]
    Metadata {
        /// The partition.
        partition: i32,
        /// What is wrong with it.
        reason: String,
    },
    /// It is not known whether anything is kept of a group that has no commits.
    #[error(
        "{0}; where the group was must be known first: the rows of sluice.checkpoints may tell"
    )]
    Kept(String),
    /// The group cannot go back to where it was told to.
    #[error("nothing was changed: {0}")]
    Rewind(String),
    /// A file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A setting that librdkafka refuses.
    #[error("Kafka's settings: {0}")]
    Settings(BoxError),
}

impl Error {
    /// The one partition that it stops, if the others go on.
    pub fn partition(&self) -> Option<i32> {
        match self {
            Self::Gap { partition, .. }
            | Self::MadeAnew { partition, .. }
            | Self::Corrupt { partition, .. }
            | Self::Metadata { partition, .. } => Some(*partition),
            Self::Broker { .. }
            | Self::Refused { .. }
            | Self::NoTopic { .. }
            | Self::Kept(_)
            | Self::Rewind(_)
            | Self::File { .. }
            | Self::Settings(_) => None,
        }
    }

    /// Whether waiting may mend it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Broker { .. } | Self::NoTopic { .. } | Self::Kept(_) => true,
            // Who was let in once may be let in again; who never was may only be early.
            Self::Refused { reason, .. } => !access::is_final(reason),
            Self::Gap { .. }
            | Self::MadeAnew { .. }
            | Self::Corrupt { .. }
            | Self::Metadata { .. }
            | Self::Rewind(_)
            | Self::File { .. }
            | Self::Settings(_) => false,
        }
    }
}
