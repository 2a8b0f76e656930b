//! Messages packed for the guest: what decoded, in columns, of which a call takes a range.

use std::ops::Range;
use std::sync::Arc;

use crate::message::Batch;
use crate::row::{Rejected, Stage};

use super::bindings::{Messages, Packed};
use super::decode::{Column, Decoder};
use super::description::Description;

/// The messages of a batch that the plugin sees. Its memory is used again for the next batch.
#[derive(Debug, Default)]
pub(super) struct Pack {
    /// Each message's index in the batch.
    pub(super) sources: Vec<u32>,
    fields: Vec<Column>,
    values: Column,
    keys: Column,
    timestamps: Vec<i64>,
    partitions: Vec<i32>,
    offsets: Vec<i64>,
    headers: Column,
}

/// The messages that the plugin does not see.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    pub(super) rejected: Vec<Rejected>,
    pub(super) tombstones: usize,
}

impl Pack {
    pub(super) fn new(description: &Description) -> Self {
        Self {
            fields: vec![Column::default(); description.fields.len()],
            ..Self::default()
        }
    }

    /// Takes the messages of a batch, and answers with those that are not to be seen.
    pub(super) fn fill(
        &mut self,
        batch: &Batch,
        description: &Description,
        decoder: &mut Decoder,
    ) -> Unseen {
        self.clear();
        let takes_tombstones = description.has_delete();
        let wants = |what| description.wants.contains(what);
        let (values, keys, headers) = (wants("values"), wants("keys"), wants("headers"));
        let (timestamps, positions) = (wants("timestamps"), wants("positions"));
        let mut unseen = Unseen::default();
        for (index, message) in batch.messages().enumerate() {
            let mut reject = |code: &str, reason| {
                let (stage, code) = (Stage::Decode, Arc::from(code));
                unseen.rejected.push(Rejected {
                    message: index,
                    stage,
                    code,
                    reason,
                });
            };
            if batch.write_time(index).is_none() {
                reject(
                    "far_future",
                    format!("its time, {} ms, is too far ahead", message.timestamp),
                );
                continue;
            }
            match message.value {
                None if !takes_tombstones => {
                    unseen.tombstones += 1;
                    continue;
                }
                None => Decoder::skip(&mut self.fields),
                Some(value) if decoder.has_fields() => {
                    if let Err(refusal) = decoder.decode(value, &mut self.fields) {
                        reject(refusal.code, refusal.reason);
                        continue;
                    }
                }
                Some(_) => {}
            }
            self.sources
                .push(u32::try_from(index).expect("a batch is small"));
            if values {
                self.values.push(message.value);
            }
            if keys {
                self.keys.push(message.key);
            }
            if timestamps {
                self.timestamps.push(message.timestamp);
            }
            if positions {
                self.partitions.push(message.partition);
                self.offsets.push(message.offset);
            }
            if headers {
                let none = [0, 0];
                let headers = Some(message.headers).filter(|headers| !headers.is_empty());
                self.headers.push(Some(headers.unwrap_or(&none)));
            }
        }
        unseen
    }

    /// The fields of some messages, in order, for [`Pack::messages`].
    pub(super) fn fields(&self, range: &Range<usize>) -> Vec<Packed<'_>> {
        self.fields.iter().map(|field| part(field, range)).collect()
    }

    /// Some messages, as the guest takes them.
    pub(super) fn messages<'a>(
        &'a self,
        topic: &'a str,
        fields: &'a [Packed<'a>],
        range: &Range<usize>,
    ) -> Messages<'a> {
        Messages {
            topic,
            count: u32::try_from(range.len()).expect("a batch is small"),
            fields,
            values: part(&self.values, range),
            keys: part(&self.keys, range),
            timestamps: self.timestamps.get(range.clone()).unwrap_or_default(),
            partitions: self.partitions.get(range.clone()).unwrap_or_default(),
            offsets: self.offsets.get(range.clone()).unwrap_or_default(),
            headers: part(&self.headers, range),
        }
    }

    fn clear(&mut self) {
        let columns = [&mut self.values, &mut self.keys, &mut self.headers];
        columns
            .into_iter()
            .chain(&mut self.fields)
            .for_each(Column::clear);
        self.sources.clear();
        self.timestamps.clear();
        self.partitions.clear();
        self.offsets.clear();
    }
}

/// The values of some messages; none, if the column was not wanted.
fn part<'a>(column: &'a Column, range: &Range<usize>) -> Packed<'a> {
    let Some(lengths) = column.lengths.get(range.clone()) else {
        return Packed::default();
    };
    let size = |lengths: &[i32]| -> usize {
        lengths
            .iter()
            .map(|length| usize::try_from(*length).unwrap_or(0))
            .sum()
    };
    let start = size(&column.lengths[..range.start]);
    let end = if range.end == column.lengths.len() {
        column.bytes.len()
    } else {
        start + size(lengths)
    };
    Packed {
        bytes: &column.bytes[start..end],
        lengths,
    }
}
