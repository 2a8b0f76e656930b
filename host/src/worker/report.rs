//! What a worker tells about its work, for whoever counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::Span;
use crate::row::{Rows, Transformed};

/// What a worker tells about its work.
#[derive(Clone, Debug)]
pub enum Report {
    /// It has subscribed, loaded the plugin and prepared its statements.
    Ready,
    /// Messages were taken from the source.
    Taken {
        /// How many.
        messages: usize,
    },
    /// A batch is durable.
    Done(Done),
}

/// A durable batch.
#[derive(Clone, Debug)]
pub struct Done {
    /// The offsets it covered.
    pub spans: Vec<Span>,
    /// How many messages have rows.
    pub written: usize,
    /// How many rows that were.
    pub rows: usize,
    /// How many messages were left out, by code.
    pub filtered: Vec<(Arc<str>, usize)>,
    /// How many messages became dead letters.
    pub dead_letters: usize,
    /// When its first message was taken.
    pub began: Instant,
    /// How long collecting, transforming and writing took.
    pub phases: [Duration; 3],
}

impl Done {
    /// What there is to tell of a batch; `phases` as in [`Done::phases`].
    pub(super) fn of(
        batch: &Transformed,
        dead_letters: usize,
        began: Instant,
        phases: [Duration; 3],
    ) -> Done {
        let refused = dead_letters - batch.rejected.len();
        let filtered = batch
            .filtered
            .iter()
            .map(|f| (f.code.clone(), f.messages))
            .collect();
        Done {
            spans: batch.spans().to_vec(),
            written: batch.written - refused,
            rows: batch.rows.iter().map(Rows::len).sum(),
            filtered,
            dead_letters,
            began,
            phases,
        }
    }
}
