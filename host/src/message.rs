//! What a source hands on: messages, the spans of offsets they cover, and batches of both.
//!
//! A batch keeps the bytes of all its messages in one block, so that taking a message costs a copy
//! and no allocation. It knows nothing of Kafka: a file's lines are messages too.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One partition's half-open range of offsets: `start` is the first, `end` the next one to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The partition, from 0.
    pub partition: i32,
    /// The offset of the first message it covers.
    pub start: i64,
    /// The offset after the last one it covers, as Kafka commits it.
    pub end: i64,
}

/// When a row was written, in microseconds since 1970: what Cassandra compares cells by.
///
/// It is derived from the message, never from the clock, so that a replay writes identical rows.
pub type WriteTime = i64;

/// The time of a message that has none, in [`Message::timestamp`].
pub const NO_TIMESTAMP: i64 = -1;

/// One consumed Kafka record, or one line of a file.
#[derive(Clone, Copy, PartialEq)]
pub struct Message<'a> {
    /// The partition it was read from.
    pub partition: i32,
    /// Its offset in that partition.
    pub offset: i64,
    /// Its time in milliseconds since 1970, or [`NO_TIMESTAMP`].
    pub timestamp: i64,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers as `wit/plugin.wit` packs them: `[u16 n]`, then n times
    /// `[i32 length][name][i32 length][value]`. Empty = none.
    pub headers: &'a [u8],
}

impl fmt::Debug for Message<'_> {
    // Values are people's data: a log shows where they are, not what they say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}/{})", self.partition, self.offset)
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    partition: i32,
    offset: i64,
    timestamp: i64,
    /// `None`: not stamped yet, or refused by the clock.
    write_time: Option<WriteTime>,
    at: u32,
    key: i32,
    value: i32,
    headers: u32,
}

/// What one turn of a source collected.
#[derive(Clone, Debug)]
pub struct Batch {
    topic: Arc<str>,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    spans: Vec<Span>,
    is_of_lines: bool,
}

impl Batch {
    /// An empty batch of a topic.
    pub fn new(topic: Arc<str>) -> Self {
        Self {
            topic,
            bytes: Vec::new(),
            entries: Vec::new(),
            spans: Vec::new(),
            is_of_lines: false,
        }
    }

    /// The same messages, which people know as the lines of a file, the one at offset 0 as line 1.
    #[must_use]
    pub fn of_lines(self) -> Self {
        Self {
            is_of_lines: true,
            ..self
        }
    }

    /// Where the message at an index is, as people find it.
    ///
    /// # Panics
    /// If there is none.
    pub fn place(&self, index: usize) -> String {
        let Entry {
            partition, offset, ..
        } = self.entries[index];
        if self.is_of_lines {
            return format!("line {}", offset + 1);
        }
        format!("{}/{partition}/{offset}", self.topic)
    }

    /// The topic all messages come from; a file's name, if they come from a file.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no message. It may still cover offsets: those of aborted transactions.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there are neither messages nor offsets to commit.
    pub fn is_bare(&self) -> bool {
        self.is_empty() && self.spans.is_empty()
    }

    /// How many messages there are of each partition.
    pub fn counts(&self) -> BTreeMap<i32, usize> {
        let mut counts = BTreeMap::new();
        // Messages of one partition come in runs, which spares most of the look-ups.
        for run in self.entries.chunk_by(|a, b| a.partition == b.partition) {
            *counts.entry(run[0].partition).or_default() += run.len();
        }
        counts
    }

    /// The bytes of all keys, values and headers.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The offsets covered, at most one span a partition, in order of first appearance.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Adds a message and lets its partition's span reach just past it.
    ///
    /// # Panics
    /// If its offset lies before the end of that span, or the batch would exceed 2 GiB.
    pub fn push(&mut self, message: &Message<'_>) {
        self.push_again(message, None);
    }

    /// As [`Batch::push`], of a message that may have got its write time before: it keeps it.
    ///
    /// # Panics
    /// As [`Batch::push`].
    pub fn push_again(&mut self, message: &Message<'_>, write_time: Option<WriteTime>) {
        self.cover(message.partition, message.offset, message.offset + 1);
        let size = |part: Option<&[u8]>| {
            part.map_or(-1, |bytes| {
                i32::try_from(bytes.len()).expect("Kafka's messages are < 2 GiB")
            })
        };
        let at = u32::try_from(self.bytes.len()).expect("a batch is closed long before 4 GiB");
        for part in [message.key, message.value, Some(message.headers)]
            .into_iter()
            .flatten()
        {
            self.bytes.extend_from_slice(part);
        }
        self.entries.push(Entry {
            partition: message.partition,
            offset: message.offset,
            timestamp: message.timestamp,
            write_time,
            at,
            key: size(message.key),
            value: size(message.value),
            headers: u32::try_from(message.headers.len()).expect("headers are < 4 GiB"),
        });
    }

    /// Lets the span of a partition reach `end`, although no message stands before it: offsets of
    /// aborted transactions, transaction markers, and those that compaction removed.
    /// `start` is used when the batch covers nothing of the partition yet.
    ///
    /// # Panics
    /// If `end` lies before what is covered already.
    pub fn cover(&mut self, partition: i32, start: i64, end: i64) {
        match self
            .spans
            .iter_mut()
            .find(|span| span.partition == partition)
        {
            Some(span) => {
                assert!(
                    start >= span.end,
                    "offset {start} of {partition} is before {}",
                    span.end
                );
                span.end = end;
            }
            None => self.spans.push(Span {
                partition,
                start,
                end,
            }),
        }
    }

    /// Keeps so many messages, and the offsets before those that it gives up.
    pub fn truncate(&mut self, messages: usize) {
        for given_up in self.entries.drain(messages.min(self.entries.len())..).rev() {
            let mut spans = self.spans.iter_mut();
            if let Some(span) = spans.find(|span| span.partition == given_up.partition) {
                span.end = given_up.offset;
            }
            self.bytes.truncate(given_up.at as usize);
        }
        self.spans.retain(|span| span.start < span.end);
    }

    /// Some of its messages as a batch of their own, with the write times they have.
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    pub fn part(&self, messages: Range<usize>) -> Self {
        let mut part = Self {
            is_of_lines: self.is_of_lines,
            ..Self::new(self.topic.clone())
        };
        for index in messages {
            part.push_again(&self.message(index), self.write_time(index));
        }
        part
    }

    /// Takes the spans of partitions out: whoever owns them now will read them again. The messages
    /// stay, and writing them is harmless.
    pub fn release(&mut self, is_released: impl Fn(i32) -> bool) {
        self.spans.retain(|span| !is_released(span.partition));
    }

    /// The message at an index.
    ///
    /// # Panics
    /// If there is none.
    pub fn message(&self, index: usize) -> Message<'_> {
        let entry = &self.entries[index];
        let mut rest = &self.bytes[entry.at as usize..];
        let mut part = |length: i32| {
            let (part, after) = rest.split_at(usize::try_from(length).ok()?);
            rest = after;
            Some(part)
        };
        let (key, value) = (part(entry.key), part(entry.value));
        let headers = &rest[..entry.headers as usize];
        let Entry {
            partition,
            offset,
            timestamp,
            ..
        } = *entry;
        Message {
            partition,
            offset,
            timestamp,
            key,
            value,
            headers,
        }
    }

    /// All messages, in the order they were read.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = Message<'_>> {
        (0..self.len()).map(|index| self.message(index))
    }

    /// The write time of the message at an index; `None` if the clock refused it because it claims
    /// to come from the future.
    pub fn write_time(&self, index: usize) -> Option<WriteTime> {
        self.entries[index].write_time
    }

    /// Gives every message that has none its write time: `stamp` is asked in order, with partition
    /// and timestamp.
    pub fn stamp(&mut self, mut stamp: impl FnMut(i32, i64) -> Option<WriteTime>) {
        for entry in &mut self.entries {
            if entry.write_time.is_none() {
                entry.write_time = stamp(entry.partition, entry.timestamp);
            }
        }
    }
}

/// A message's headers, unpacked from [`Message::headers`]. What is cut off is left out.
pub fn headers(packed: &[u8]) -> Vec<(String, Option<&[u8]>)> {
    let Some((count, mut rest)) = packed.split_first_chunk::<2>() else {
        return Vec::new();
    };
    let mut part = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            rest = after;
            return Some(None);
        };
        let (part, after) = after.split_at_checked(length)?;
        rest = after;
        Some(Some(part))
    };
    let mut header = || {
        let name = String::from_utf8_lossy(part()??).into_owned();
        Some((name, part()?))
    };
    (0..u16::from_be_bytes(*count))
        .map_while(|_| header())
        .collect()
}

#[cfg(test)]
mod tests;
