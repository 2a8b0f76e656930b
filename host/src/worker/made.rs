//! The keys of the rows that a version on probation has made.

use std::collections::{BTreeMap, HashSet};

use super::Fitted;
use crate::message::{Batch, WriteTime};
use crate::row::{Cell, Column, Key, Operation, Rows, Target, Transformed, push_cell};

/// Keys by partition and table, as rows of a target that deletes.
pub(super) struct Made {
    /// The keys of what each target writes; none, of one that deletes.
    keys: Vec<Option<Vec<usize>>>,
    by_partition: BTreeMap<i32, Partition>,
    bytes_left: usize,
}

#[derive(Default)]
struct Partition {
    /// By target.
    rows: BTreeMap<usize, HashSet<Box<[u8]>>>,
    last: WriteTime,
}

/// The targets that delete what others write, in the same order, by their tables' keys.
pub fn sweeping(targets: &[Target], keys: &[Key]) -> Vec<Target> {
    let written = targets
        .iter()
        .zip(keys)
        .filter(|(target, _)| writes(target));
    let sweeping = written.map(|(target, key)| Target {
        table: target.table.clone(),
        operation: Operation::Delete,
        columns: columns(key)
            .map(|column| target.columns[column].clone())
            .collect::<Vec<Column>>(),
    });
    sweeping.collect()
}

fn writes(target: &Target) -> bool {
    match target.operation {
        Operation::Upsert => true,
        Operation::Delete => false,
    }
}

fn columns(key: &Key) -> impl Iterator<Item = usize> {
    key.partition.iter().chain(&key.clustering).copied()
}

impl Made {
    pub(super) fn new(fitted: &Fitted, bytes_max: usize) -> Self {
        let targets = fitted.targets.iter().zip(&fitted.keys);
        let keys = targets.map(|(target, key)| writes(target).then(|| columns(key).collect()));
        Self {
            keys: keys.collect(),
            by_partition: BTreeMap::new(),
            bytes_left: bytes_max,
        }
    }

    /// Keeps the keys of a batch's rows. `false`: there are too many to keep them all.
    pub(super) fn keep(&mut self, batch: &Transformed) -> bool {
        for rows in &batch.rows {
            let Some(Some(key)) = self.keys.get(rows.target) else {
                continue;
            };
            for index in 0..rows.len() {
                let message = rows.sources[index] as usize;
                let partition = batch.batch.message(message).partition;
                let partition = self.by_partition.entry(partition).or_default();
                partition.last = partition.last.max(rows.write_times[index]);
                let row = key_of(rows, index, key);
                let size = row.len() + KEY_OVERHEAD;
                if partition.rows.entry(rows.target).or_default().insert(row) {
                    let Some(left) = self.bytes_left.checked_sub(size) else {
                        return false;
                    };
                    self.bytes_left = left;
                }
            }
        }
        true
    }

    /// Deletes of all of them: later than what was made, and earlier than what is made again in a
    /// later generation.
    pub(super) fn deletes(&self, batch: Batch) -> Transformed {
        let mut all = Vec::new();
        let written = (0..self.keys.len()).filter(|&target| self.keys[target].is_some());
        for (sweeper, target) in written.enumerate() {
            let mut rows = Rows {
                target: sweeper,
                ..Rows::default()
            };
            for partition in self.by_partition.values() {
                for row in partition.rows.get(&target).into_iter().flatten() {
                    rows.bytes.extend_from_slice(row);
                    let end = u32::try_from(rows.bytes.len()).expect("keys are kept in few bytes");
                    rows.ends.push(end);
                    rows.write_times.push(partition.last + 1);
                    rows.sources.push(0);
                }
            }
            if !rows.is_empty() {
                all.push(rows);
            }
        }
        Transformed {
            batch,
            rows: all,
            written: 0,
            rejected: Vec::new(),
            filtered: Vec::new(),
        }
    }
}

/// What a set takes beside the key itself, in bytes, about.
const KEY_OVERHEAD: usize = 32;

fn key_of(rows: &Rows, index: usize, key: &[usize]) -> Box<[u8]> {
    let cells: Vec<Cell<'_>> = rows.cells(index).collect();
    let count = u16::try_from(key.len()).expect("a key has few columns");
    let mut row = count.to_be_bytes().to_vec();
    for &column in key {
        let value = match cells.get(column) {
            Some(Cell::Value(value)) => Some(*value),
            Some(Cell::Null | Cell::Unset) | None => None,
        };
        push_cell(&mut row, value);
    }
    row.into()
}
