//! A plugin's answer into rows, each cell of it checked before a driver sees it.
//!
//! Two kinds of fault are told apart. An answer that is wrong as a whole, because messages have no
//! outcome or two, or because it points at what is not there, is a failed call. A row that its table
//! cannot take is the fault of its message, which is then rejected with all its rows.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::message::Batch;
use crate::row::{Cells, Filtered, Rejected, Rows, Stage};

use super::bindings::{self, Outcome};
use super::isolate::Fault;
use super::shape::{BadRow, Shape};

/// The longest reason that is kept, in bytes.
const REASON_BYTES_MAX: usize = 1_024;

/// What converting needs to know of the pipeline.
pub(super) struct Rules<'a> {
    /// How each target's rows must look.
    pub(super) shapes: &'a [Shape],
    /// The plugin's codes, and whether a rejection with it merely counts as filtered.
    pub(super) codes: &'a [(Arc<str>, bool)],
    /// The most bytes of rows a batch may become.
    pub(super) rows_max: usize,
}

/// The outcomes of a batch, as they come together.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// By target.
    rows: Vec<Rows>,
    size: usize,
    written: usize,
    pub(super) rejected: Vec<Rejected>,
    filtered: BTreeMap<Arc<str>, usize>,
    /// The outcome of each message of a call, by its index there: [`ROWS`] and so on. In the upper
    /// half, a bit for each table that has a row of it.
    marks: Vec<u32>,
}

/// Outcomes, in an [`Answer`]'s marks.
const ROWS: u32 = 1;
const REJECTED: u32 = 2;
const FILTERED: u32 = 3;
const OUTCOME: u32 = 3;
/// One of the message's rows is refused.
const BAD: u32 = 4;
/// A table has several rows of it.
const SEVERAL: u32 = 8;
const TABLES: u32 = 16;

impl Answer {
    pub(super) fn new(targets: usize) -> Self {
        let rows = (0..targets)
            .map(|target| Rows {
                target,
                ..Rows::default()
            })
            .collect();
        Self {
            rows,
            ..Self::default()
        }
    }

    pub(super) fn filter(&mut self, code: &Arc<str>, messages: usize) {
        *self.filtered.entry(code.clone()).or_default() += messages;
    }

    pub(super) fn reject(&mut self, message: u32, code: &str, reason: String) {
        let (message, stage, code) = (message as usize, Stage::Transform, code.into());
        self.rejected.push(Rejected {
            message,
            stage,
            code,
            reason,
        });
    }

    /// Takes the outcome of a call whose messages have these indices in the batch. After a fault
    /// nothing of it was taken.
    pub(super) fn take(
        &mut self,
        outcome: Outcome,
        batch: &Batch,
        sources: &[u32],
        rules: &Rules<'_>,
    ) -> Result<(), Fault> {
        self.marks.clear();
        self.marks.resize(sources.len(), 0);
        self.mark(&outcome, rules)?;
        let bad = self.check(&outcome.rows, rules);
        for rows in outcome.rows {
            self.append(rows, batch, sources, !bad.is_empty());
        }
        let has_rows = |mark: &&u32| **mark & OUTCOME == ROWS && **mark & BAD == 0;
        self.written += self.marks.iter().filter(has_rows).count();
        for (message, row) in bad {
            self.reject(sources[message as usize], row.code, row.reason);
        }
        for rejection in outcome.rejected {
            let (code, is_filtered) = &rules.codes[usize::from(rejection.code)];
            if *is_filtered {
                self.filter(code, 1);
                continue;
            }
            let mut reason = rejection.reason;
            reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
            self.reject(sources[rejection.message as usize], code, reason);
        }
        for filtered in outcome.filtered {
            self.filter(&rules.codes[usize::from(filtered.code)].0, 1);
        }
        Ok(())
    }

    /// The whole: rows by target, rejected by message, filtered by code.
    pub(super) fn finish(mut self) -> (Vec<Rows>, usize, Vec<Rejected>, Vec<Filtered>) {
        self.rows.retain(|rows| !rows.is_empty());
        self.rejected.sort_by_key(|rejected| rejected.message);
        let filtered = self
            .filtered
            .into_iter()
            .filter(|(_, messages)| *messages > 0);
        let filtered = filtered
            .map(|(code, messages)| Filtered { code, messages })
            .collect();
        (self.rows, self.written, self.rejected, filtered)
    }

    /// Marks each message with its outcome; a fault unless each has exactly one.
    fn mark(&mut self, outcome: &Outcome, rules: &Rules<'_>) -> Result<(), Fault> {
        let messages = self.marks.len();
        let mut size = self.size;
        for rows in &outcome.rows {
            let target = usize::from(rows.target);
            let Some(shape) = rules.shapes.get(target) else {
                return Err(bad_answer(format!("there is no target {target}")));
            };
            check_packed(rows)?;
            size += rows.rows.bytes.len();
            let table = 1 << (TABLES + shape.table);
            for source in &rows.sources {
                let Some(mark) = self.marks.get_mut(*source as usize) else {
                    return Err(bad_answer(format!(
                        "a row is of message {source} of {messages}"
                    )));
                };
                let several = if *mark & table == 0 { 0 } else { SEVERAL };
                *mark |= ROWS | table | several;
            }
        }
        if size > rules.rows_max {
            let reason = format!("the batch would become {size} bytes of rows");
            return Err(Fault {
                code: "output",
                reason,
            });
        }
        let rejected = outcome
            .rejected
            .iter()
            .map(|it| (it.message, it.code, REJECTED));
        let filtered = outcome
            .filtered
            .iter()
            .map(|it| (it.message, it.code, FILTERED));
        for (message, code, mark) in rejected.chain(filtered) {
            if usize::from(code) >= rules.codes.len() {
                return Err(bad_answer(format!("there is no code {code}")));
            }
            match self.marks.get_mut(message as usize) {
                Some(place) if *place == 0 => *place = mark,
                Some(_) => return Err(bad_answer(format!("message {message} has two outcomes"))),
                None => {
                    return Err(bad_answer(format!(
                        "an outcome is of message {message} of {messages}"
                    )));
                }
            }
        }
        if let Some(message) = self.marks.iter().position(|mark| *mark == 0) {
            return Err(bad_answer(format!("message {message} has no outcome")));
        }
        self.size = size;
        Ok(())
    }

    /// Checks each row, and answers with the messages that have a bad one, each once.
    fn check(&mut self, groups: &[bindings::Rows], rules: &Rules<'_>) -> Vec<(u32, BadRow)> {
        let mut bad: Vec<(u32, BadRow)> = vec![];
        let mut has_several = false;
        for rows in groups {
            let shape = &rules.shapes[usize::from(rows.target)];
            let mut rest = &rows.rows.bytes[..];
            for (length, source) in rows.rows.lengths.iter().zip(&rows.sources) {
                let (row, after) = rest.split_at(usize::try_from(*length).unwrap_or(0));
                rest = after;
                let mark = &mut self.marks[*source as usize];
                has_several |= *mark & SEVERAL != 0;
                if let Err(row) = shape.check(row)
                    && *mark & BAD == 0
                {
                    *mark |= BAD;
                    bad.push((*source, row));
                }
            }
        }
        if has_several {
            self.check_several(groups, rules, &mut bad);
        }
        bad
    }

    /// Two rows of one message with one key have one write time too, so neither would win.
    fn check_several(
        &mut self,
        groups: &[bindings::Rows],
        rules: &Rules<'_>,
        bad: &mut Vec<(u32, BadRow)>,
    ) {
        let mut seen = HashSet::new();
        for rows in groups {
            let shape = &rules.shapes[usize::from(rows.target)];
            let mut rest = &rows.rows.bytes[..];
            for (length, source) in rows.rows.lengths.iter().zip(&rows.sources) {
                let (row, after) = rest.split_at(usize::try_from(*length).unwrap_or(0));
                rest = after;
                let mark = &mut self.marks[*source as usize];
                if *mark & SEVERAL == 0 || *mark & BAD != 0 {
                    continue;
                }
                let cells: Vec<_> = Cells::new(&row[2..]).collect();
                let key: Vec<_> = shape.key.iter().map(|column| cells[*column]).collect();
                if !seen.insert((
                    shape.table,
                    *source,
                    key.iter().map(cell_bytes).collect::<Vec<_>>(),
                )) {
                    *mark |= BAD;
                    let reason = "two rows of the message have the same key".to_owned();
                    bad.push((
                        *source,
                        BadRow {
                            code: "duplicate_row",
                            reason,
                        },
                    ));
                }
            }
        }
    }

    /// Takes rows over, but not those of bad messages.
    fn append(&mut self, rows: bindings::Rows, batch: &Batch, sources: &[u32], has_bad: bool) {
        let all = &mut self.rows[usize::from(rows.target)];
        let mut end = u32::try_from(all.bytes.len()).expect("`mark` has checked the size");
        let mut start = 0;
        for (length, source) in rows.rows.lengths.iter().zip(&rows.sources) {
            let length = u32::try_from(*length).expect("`mark` has checked the lengths");
            let row = start as usize..(start + length) as usize;
            start += length;
            if has_bad {
                if self.marks[*source as usize] & BAD != 0 {
                    continue;
                }
                all.bytes.extend_from_slice(&rows.rows.bytes[row]);
            }
            end += length;
            let message = sources[*source as usize];
            let write_time = batch.write_time(message as usize);
            all.ends.push(end);
            all.sources.push(message);
            all.write_times
                .push(write_time.expect("a message without one was not packed"));
        }
        if has_bad {
            // Its rows were copied one by one.
        } else if all.bytes.is_empty() {
            all.bytes = rows.rows.bytes;
        } else {
            all.bytes.extend_from_slice(&rows.rows.bytes);
        }
    }
}

/// Whether lengths, bytes and sources fit each other.
fn check_packed(rows: &bindings::Rows) -> Result<(), Fault> {
    let (count, sources) = (rows.rows.lengths.len(), rows.sources.len());
    if count != sources {
        return Err(bad_answer(format!(
            "there are {count} rows with {sources} sources"
        )));
    }
    let add = |sum: usize, length: &i32| sum.checked_add(usize::try_from(*length).ok()?);
    if rows.rows.lengths.iter().try_fold(0, add) != Some(rows.rows.bytes.len()) {
        return Err(bad_answer(
            "the lengths of the rows do not fit their bytes".to_owned(),
        ));
    }
    Ok(())
}

fn cell_bytes<'a>(cell: &crate::row::Cell<'a>) -> Option<&'a [u8]> {
    match cell {
        crate::row::Cell::Value(bytes) => Some(bytes),
        crate::row::Cell::Null | crate::row::Cell::Unset => None,
    }
}

fn bad_answer(reason: String) -> Fault {
    Fault {
        code: "bad_answer",
        reason,
    }
}

#[cfg(test)]
mod tests;
