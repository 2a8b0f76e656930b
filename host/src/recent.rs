//! The last messages of this process, kept in memory so that a candidate can be tried on them.
//!
//! A worker hands over each batch that is done. That costs it a lock and a counter, not a copy, but
//! for a batch that alone would be more than is kept: of that, the first messages are copied.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::message::Batch;
use crate::row::Transformed;

/// How much is kept, in bytes.
const BYTES_MAX: usize = 4 << 20;
/// How many batches are kept: each costs a candidate a call, however few its messages are.
const BATCHES_MAX: usize = 1_000;
/// What a message and a row take beside their bytes, and a batch beside its messages.
const EACH: usize = 64;

/// The last messages, newest last, at most so many bytes and 1,000 batches of them. Shared by all workers.
#[derive(Debug)]
pub struct Recent {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    batches: VecDeque<(Shared, usize)>,
    bytes: usize,
}

/// A batch that is kept.
#[derive(Clone, Debug)]
pub enum Shared {
    /// As a worker had it, with its rows.
    Done(Arc<Transformed>),
    /// The first messages of a larger one.
    First(Arc<Batch>),
}

impl Shared {
    /// Its messages.
    pub fn batch(&self) -> &Batch {
        match self {
            Self::Done(transformed) => &transformed.batch,
            Self::First(batch) => batch,
        }
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self::new(BYTES_MAX)
    }
}

impl Recent {
    /// Nothing yet; later at most so many bytes of messages and rows.
    pub fn new(bytes_max: usize) -> Self {
        let kept = Mutex::default();
        Self { bytes_max, kept }
    }

    /// Keeps a batch that is done, and lets go of the oldest ones.
    pub fn keep(&self, done: &Arc<Transformed>) {
        if done.batch.is_empty() {
            return;
        }
        let rows = done.rows.iter();
        let rows = rows.map(|rows| rows.bytes.len() + rows.len() * EACH);
        let bytes = weight(&done.batch) + rows.sum::<usize>();
        let (shared, bytes) = if bytes <= self.bytes_max {
            (Shared::Done(done.clone()), bytes)
        } else {
            // Half of the room, so that the batch before is not lost to it.
            let first = first(&done.batch, self.bytes_max / 2);
            if first.is_empty() {
                return;
            }
            let bytes = weight(&first);
            (Shared::First(Arc::new(first)), bytes)
        };
        let mut gone = Vec::new();
        let mut kept = self.lock();
        kept.batches.push_back((shared, bytes));
        kept.bytes += bytes;
        while (kept.bytes > self.bytes_max || kept.batches.len() > BATCHES_MAX)
            && let Some((oldest, bytes)) = kept.batches.pop_front()
        {
            kept.bytes -= bytes;
            gone.push(oldest);
        }
        // Freeing takes longer than counting: another worker need not wait for it.
        drop(kept);
        drop(gone);
    }

    /// What is kept, oldest first.
    pub fn batches(&self) -> Vec<Shared> {
        let kept = self.lock();
        kept.batches
            .iter()
            .map(|(shared, _)| shared.clone())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // What is counted twice or not at all after a panic is of no consequence.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn weight(batch: &Batch) -> usize {
    EACH + batch.bytes_len() + batch.len() * EACH
}

/// The first messages of a batch, as many as fit; none, if the very first does not.
fn first(batch: &Batch, bytes_max: usize) -> Batch {
    let mut left = bytes_max.saturating_sub(EACH);
    let fits = batch.messages().take_while(|message| {
        let parts = [message.key, message.value, Some(message.headers)];
        let parts = parts.into_iter().flatten().map(<[u8]>::len);
        let rest = left.checked_sub(EACH + parts.sum::<usize>());
        left = rest.unwrap_or(0);
        rest.is_some()
    });
    batch.part(0..fits.count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn done(first: i64, values: &[usize]) -> Arc<Transformed> {
        let mut batch = Batch::new("t".into());
        for (offset, length) in (first..).zip(values) {
            batch.push(&Message {
                partition: 0,
                offset,
                timestamp: 1,
                key: None,
                value: Some(&vec![b'v'; *length]),
                headers: b"",
            });
        }
        batch.stamp(|_, timestamp| Some(timestamp));
        let filtered = vec![];
        Arc::new(Transformed {
            batch,
            rows: vec![],
            written: values.len(),
            rejected: vec![],
            filtered,
        })
    }

    /// The newest are kept, as many as fit; of a batch that is too large, the first messages.
    #[test]
    fn the_newest_are_kept_within_the_bound() {
        let check = |batches: &[&[usize]], want: &[&[i64]]| {
            let recent = Recent::new(10 * EACH);
            let mut next = 0;
            for values in batches {
                recent.keep(&done(next, values));
                next += i64::try_from(values.len()).unwrap();
            }
            let kept = recent.batches();
            let offsets = kept.iter().map(|shared| {
                let messages = shared.batch().messages();
                messages.map(|message| message.offset).collect::<Vec<_>>()
            });
            assert_eq!(offsets.collect::<Vec<_>>(), want, "{batches:?}");
            let batches = kept.iter().map(Shared::batch);
            assert!(batches.clone().map(weight).sum::<usize>() <= 10 * EACH);
            let stamped = batches.clone().all(|batch| batch.write_time(0) == Some(1));
            assert!(stamped, "write times are kept");
        };
        check(&[], &[]);
        check(&[&[]], &[]);
        check(&[&[64], &[64]], &[&[0], &[1]]);
        check(&[&[64], &[64], &[64], &[64]], &[&[1], &[2], &[3]]);
        check(&[&[64], &[64; 3]], &[&[0], &[1, 2, 3]]);
        check(&[&[64], &[64; 4]], &[&[1, 2, 3, 4]]);
        check(&[&[64], &[64; 9]], &[&[0], &[1, 2]]);
        check(&[&[64; 9]], &[&[0, 1]]);
        check(&[&[64], &[64 * 10]], &[&[0]]);
    }

    #[test]
    fn batches_of_one_message_are_bounded_by_their_number() {
        let recent = Recent::default();
        for offset in 0..=1_000 {
            recent.keep(&done(offset, &[1]));
        }
        let kept = recent.batches();
        let first = kept[0].batch().message(0).offset;
        assert_eq!((kept.len(), first), (BATCHES_MAX, 1));
    }
}
