//! What another version makes of the same messages: a difference that a person reads.
//!
//! A row is compared with the row of the same message, table and key: a plugin is a function of each
//! message alone, so nothing else of a batch matters.

mod made;
mod show;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::row::{Cell, Key, Stage, Target};

pub use made::Made;
use made::{Outcome, Row};

/// The examples that are kept of each kind.
const EXAMPLES_MAX: usize = 3;

/// What a version writes into, and why it rejects.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its targets.
    pub targets: &'a [Target],
    /// The keys of their tables, in the same order.
    pub keys: &'a [Key],
    /// Its own codes: what is rejected with another is a failure of its own.
    pub codes: &'a [Arc<str>],
}

/// What differs over some messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diff {
    /// How many messages both versions were given.
    pub messages: usize,
    /// The rows of messages that both versions take, by table.
    pub tables: BTreeMap<String, Rows>,
    /// Messages that only the new version rejects, by its code.
    pub newly_rejected: BTreeMap<String, Rejections>,
    /// How many messages only the old version rejects.
    pub no_longer_rejected: usize,
    /// How many messages they reject with different codes.
    pub rejected_otherwise: usize,
}

/// The rows of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rows {
    /// Those that are equal.
    pub same: usize,
    /// Those with the same key and another value.
    pub changed: usize,
    /// Those whose key only the new version makes.
    pub added: usize,
    /// Those whose key only the old version makes.
    pub removed: usize,
    /// In how many rows each column changed.
    pub columns: BTreeMap<String, usize>,
    /// The first of each kind that is not the same.
    pub examples: Vec<Example>,
}

/// A row that is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// `changed`, `added` or `removed`.
    pub what: &'static str,
    /// The message: topic, partition and offset.
    pub message: String,
    /// The row's key.
    pub key: String,
    /// The columns that changed.
    pub columns: Vec<Change>,
}

/// A value before and after; `None` is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "they are what they say")]
pub struct Change {
    pub column: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// Messages that are rejected with one code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rejections {
    /// How many.
    pub messages: usize,
    /// Whether the version failed on them (a trap, a deadline, a row that no table takes) instead of
    /// refusing them.
    pub is_failure: bool,
    /// The first of them, each with the reason.
    pub examples: Vec<String>,
}

impl Diff {
    /// Adds what both versions made of a batch, or the second of a part of the first's: its messages from
    /// `first` on.
    ///
    /// # Panics
    /// If they are other messages.
    pub fn add(&mut self, old: &Made<'_>, new: &Made<'_>, first: usize) {
        let batch = new.batch();
        for (index, message) in batch.messages().enumerate() {
            assert_eq!(
                message,
                old.batch().message(first + index),
                "another message"
            );
            self.messages += 1;
            let place = || format!("{}/{}/{}", batch.topic(), message.partition, message.offset);
            match (old.outcome(first + index), new.outcome(index)) {
                (Outcome::Rejected(was), Outcome::Rejected(is)) => {
                    self.rejected_otherwise += usize::from(was.code != is.code);
                }
                (Outcome::Rejected(_), Outcome::Rows(_)) => self.no_longer_rejected += 1,
                (Outcome::Rows(_), Outcome::Rejected(why)) => {
                    let entry = self.newly_rejected.entry(why.code.to_string());
                    let rejections = entry.or_default();
                    rejections.messages += 1;
                    let is_own = why.stage == Stage::Decode || new.side.codes.contains(&why.code);
                    rejections.is_failure |= !is_own;
                    if rejections.examples.len() < EXAMPLES_MAX {
                        let example = format!("{}: {}", place(), why.reason);
                        rejections.examples.push(example);
                    }
                }
                (Outcome::Rows(was), Outcome::Rows(is)) => {
                    if !self.add_same((old, was), (new, is)) {
                        self.add_rows(old.rows(was), new.rows(is), &place);
                    }
                }
            }
        }
    }

    /// Whether nothing differs.
    pub fn is_same(&self) -> bool {
        let rejected = self.no_longer_rejected + self.rejected_otherwise + self.newly_rejected();
        rejected == 0 && self.tables.values().all(|rows| rows.same == rows.len())
    }

    /// How many messages only the new version rejects.
    pub fn newly_rejected(&self) -> usize {
        let all = self.newly_rejected.values();
        all.map(|rejections| rejections.messages).sum()
    }

    /// How many messages the new version fails on, and the old one does not.
    pub fn newly_failing(&self) -> usize {
        let all = self.newly_rejected.values();
        let failures = all.filter(|rejections| rejections.is_failure);
        failures.map(|rejections| rejections.messages).sum()
    }

    /// Of the messages, the share that only the new version rejects: 0 to 1.
    pub fn rejected_share(&self) -> f64 {
        share(self.newly_rejected(), self.messages)
    }

    /// Of the rows that either version makes of messages that both take, the share that is not the
    /// same: 0 to 1.
    pub fn changed_share(&self) -> f64 {
        let all: usize = self.tables.values().map(Rows::len).sum();
        let same: usize = self.tables.values().map(|rows| rows.same).sum();
        share(all - same, all)
    }

    /// Counts a message's rows, if they are the same to the byte: nearly all are.
    fn add_same(
        &mut self,
        (old, was): (&Made<'_>, &[made::Place]),
        (new, is): (&Made<'_>, &[made::Place]),
    ) -> bool {
        let is_same = old.has_tables_of(new)
            && was.len() == is.len()
            && was
                .iter()
                .zip(is)
                .all(|(was, is)| old.bytes(was) == new.bytes(is));
        if is_same {
            for place in is {
                self.table(&new.target(place).table).same += 1;
            }
        }
        is_same
    }

    fn add_rows(&mut self, old: Vec<Row<'_>>, mut new: Vec<Row<'_>>, place: &dyn Fn() -> String) {
        for was in old {
            let mut others = new.iter();
            let found =
                others.position(|is| is.target.table == was.target.table && is.key == was.key);
            let Some(found) = found else {
                let table = self.table(&was.target.table);
                table.removed += 1;
                table.show("removed", &was, vec![], place);
                continue;
            };
            let is = new.swap_remove(found);
            let changes = changes(&was, &is);
            let table = self.table(&was.target.table);
            if changes.is_empty() {
                table.same += 1;
                continue;
            }
            table.changed += 1;
            for change in &changes {
                *table.columns.entry(change.column.clone()).or_default() += 1;
            }
            table.show("changed", &is, changes, place);
        }
        for is in new {
            let table = self.table(&is.target.table);
            table.added += 1;
            table.show("added", &is, vec![], place);
        }
    }

    fn table(&mut self, name: &str) -> &mut Rows {
        // Asked for each row: the name is copied for the first one only.
        if !self.tables.contains_key(name) {
            self.tables.insert(name.to_owned(), Rows::default());
        }
        self.tables
            .get_mut(name)
            .expect("it was put there just now")
    }
}

impl Rows {
    fn len(&self) -> usize {
        self.same + self.changed + self.added + self.removed
    }

    fn show(
        &mut self,
        what: &'static str,
        row: &Row<'_>,
        columns: Vec<Change>,
        place: &dyn Fn() -> String,
    ) {
        let alike = self.examples.iter().filter(|example| example.what == what);
        if alike.count() < EXAMPLES_MAX {
            let (message, key) = (place(), row.key_text());
            self.examples.push(Example {
                what,
                message,
                key,
                columns,
            });
        }
    }
}

/// The columns of a row that are not the same in both.
fn changes(old: &Row<'_>, new: &Row<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    if old.target.operation != new.target.operation {
        changes.push(Change {
            column: "(row)".to_owned(),
            old: Some(made::operation(old.target).to_owned()),
            new: Some(made::operation(new.target).to_owned()),
        });
        return changes;
    }
    let only_new = new.columns().filter(|(name, _)| old.cell(name).is_none());
    for (name, kind) in old.columns().chain(only_new) {
        // What a version does not write, it leaves as it is.
        let [was, is] = [old.cell(name), new.cell(name)].map(|cell| cell.unwrap_or(Cell::Unset));
        if was != is {
            changes.push(Change {
                column: name.to_owned(),
                old: made::value_text(kind, was),
                new: made::value_text(kind, is),
            });
        }
    }
    changes
}

#[expect(
    clippy::cast_precision_loss,
    reason = "there are less than 2^52 messages"
)]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests;
