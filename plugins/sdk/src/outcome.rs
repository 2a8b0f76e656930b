//! What goes out: rows, written cell by cell, and refused messages.

use crate::component::types as wit;
use crate::description::{Code, Description, Target, position};
use crate::{Batch, Cell, CqlType, Match, Message, Packed};

/// What becomes of a batch. Every message gets rows, or is rejected, or is filtered.
pub struct Outcome {
    groups: Vec<Group>,
    rejected: Vec<(Message, Code, String)>,
    filtered: Vec<(Message, Code)>,
    rows_expected: usize,
    row_bytes: usize,
}

struct Group {
    target: Target,
    rows: Packed,
    sources: Vec<u32>,
}

/// A message that gets no rows, and why: what [`Outcome::each`] takes for an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be used: it becomes a dead letter, with a reason for a person.
    Rejected(Code, String),
    /// It is left out on purpose.
    Filtered(Code),
}

impl Outcome {
    pub(crate) fn new(targets: &[Target], rows_expected: usize, row_bytes: usize) -> Self {
        let group = |&target| Group {
            target,
            rows: Packed::default(),
            sources: Vec::new(),
        };
        let groups = targets.iter().map(group).collect();
        Self {
            groups,
            rejected: Vec::new(),
            filtered: Vec::new(),
            rows_expected,
            row_bytes,
        }
    }

    /// Begins a row of a declared target for a message. Its cells follow in the target's order;
    /// every one must be written, if only as null.
    ///
    /// # Panics
    /// If the target is not in the plugin's description.
    #[inline]
    pub fn row(&mut self, target: Target, message: Message) -> Row<'_> {
        let group = self.groups.iter_mut().find(|group| group.target == target);
        let Some(group) = group else {
            panic!("`{}` is not in the plugin's description", target.table);
        };
        if group.sources.is_empty() {
            group
                .rows
                .bytes
                .reserve(self.rows_expected * self.row_bytes);
            group.rows.lengths.reserve(self.rows_expected);
            group.sources.reserve(self.rows_expected);
        }
        let start = group.rows.bytes.len();
        group.rows.bytes.extend_from_slice(&[0, 0]);
        Row {
            group,
            start,
            cells: 0,
            message,
        }
    }

    /// Refuses a message with a reason for a person; it becomes a dead letter.
    pub fn reject(&mut self, message: Message, code: Code, reason: impl Into<String>) {
        self.rejected.push((message, code, reason.into()));
    }

    /// Leaves a message out on purpose.
    pub fn filter(&mut self, message: Message, code: Code) {
        self.filtered.push((message, code));
    }

    /// Does the same for each message of a batch. A refusal takes back the rows that the message
    /// had so far.
    pub fn each(
        &mut self,
        batch: &Batch<'_>,
        mut transform: impl FnMut(Message, &mut Self) -> Result<(), Refusal>,
    ) {
        for message in batch {
            let Err(refusal) = transform(message, self) else {
                continue;
            };
            for group in &mut self.groups {
                group.take_back(message);
            }
            match refusal {
                Refusal::Rejected(code, reason) => self.reject(message, code, reason),
                Refusal::Filtered(code) => self.filter(message, code),
            }
        }
    }

    pub(crate) fn into_wit(self, description: &Description) -> wit::Outcome {
        let small = |index| u16::try_from(index).expect("the host admits 16 targets, 32 codes");
        let code = |code: Code| small(position(description.codes, code.0, |code| code.0));
        let rows = self
            .groups
            .into_iter()
            .enumerate()
            .map(|(index, group)| wit::Rows {
                target: small(index),
                rows: group.rows,
                sources: group.sources,
            });
        wit::Outcome {
            rows: rows.filter(|rows| !rows.sources.is_empty()).collect(),
            rejected: (self.rejected.into_iter())
                .map(|(message, why, reason)| wit::Rejection {
                    message: message.0,
                    code: code(why),
                    reason,
                })
                .collect(),
            filtered: (self.filtered.into_iter())
                .map(|(message, why)| wit::Filtered {
                    message: message.0,
                    code: code(why),
                })
                .collect(),
        }
    }
}

impl Group {
    fn take_back(&mut self, message: Message) {
        while self.sources.pop_if(|source| *source == message.0).is_some() {
            let length = self
                .rows
                .lengths
                .pop()
                .expect("a row has a source and a length");
            let kept = self.rows.bytes.len() - length.unsigned_abs() as usize;
            self.rows.bytes.truncate(kept);
        }
    }
}

/// A row that is being written. It is complete when it goes out of scope.
///
/// Natively, cells are held against the target's columns, so that a test finds a cell in the wrong
/// place; on WebAssembly the host does that, once for all languages.
pub struct Row<'a> {
    group: &'a mut Group,
    start: usize,
    cells: u16,
    message: Message,
}

impl Row<'_> {
    /// A cell as it came.
    #[inline]
    pub fn cell(&mut self, cell: Cell<'_>) -> &mut Self {
        self.push(cell.bytes())
    }

    /// The cells of a match, or as many nulls.
    #[inline]
    pub fn cells(&mut self, found: Match<'_>) -> &mut Self {
        let bytes = &mut self.group.rows.bytes;
        match found.cells {
            Some(cells) => bytes.extend_from_slice(cells),
            None => bytes.resize(bytes.len() + 4 * found.columns, 0xff),
        }
        self.cells += u16::try_from(found.columns).expect("a row has at most 65,535 cells");
        self
    }

    /// A null cell: the column is cleared.
    pub fn null(&mut self) -> &mut Self {
        self.push(None)
    }

    /// Leaves the column as it is. Then two messages of one key may mix in a row: know why.
    pub fn unset(&mut self) -> &mut Self {
        self.group
            .rows
            .bytes
            .extend_from_slice(&(-2_i32).to_be_bytes());
        self.cells += 1;
        self
    }

    /// A `text`.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.typed(&[CqlType::Text, CqlType::Ascii], text.as_bytes())
    }

    /// A `blob`.
    pub fn blob(&mut self, bytes: &[u8]) -> &mut Self {
        self.typed(&[CqlType::Blob], bytes)
    }

    /// A `boolean`.
    pub fn boolean(&mut self, value: bool) -> &mut Self {
        self.typed(&[CqlType::Boolean], &[u8::from(value)])
    }

    /// A `tinyint`.
    pub fn tinyint(&mut self, value: i8) -> &mut Self {
        self.typed(&[CqlType::Tinyint], &value.to_be_bytes())
    }

    /// A `smallint`.
    pub fn smallint(&mut self, value: i16) -> &mut Self {
        self.typed(&[CqlType::Smallint], &value.to_be_bytes())
    }

    /// An `int`.
    pub fn int(&mut self, value: i32) -> &mut Self {
        self.typed(&[CqlType::Int], &value.to_be_bytes())
    }

    /// A `bigint`.
    pub fn bigint(&mut self, value: i64) -> &mut Self {
        self.typed(&[CqlType::Bigint], &value.to_be_bytes())
    }

    /// A `float`.
    pub fn float(&mut self, value: f32) -> &mut Self {
        self.typed(&[CqlType::Float], &value.to_be_bytes())
    }

    /// A `double`.
    pub fn double(&mut self, value: f64) -> &mut Self {
        self.typed(&[CqlType::Double], &value.to_be_bytes())
    }

    /// A `timestamp`: milliseconds since 1970.
    pub fn timestamp(&mut self, milliseconds: i64) -> &mut Self {
        self.typed(&[CqlType::Timestamp], &milliseconds.to_be_bytes())
    }

    /// A `date`: days since 1970.
    pub fn date(&mut self, days: i32) -> &mut Self {
        // On the wire 2^31 stands for 1970: the sign's bit is turned over.
        self.typed(&[CqlType::Date], &(days ^ i32::MIN).to_be_bytes())
    }

    /// A `uuid` or `timeuuid`.
    pub fn uuid(&mut self, uuid: [u8; 16]) -> &mut Self {
        self.typed(&[CqlType::Uuid, CqlType::Timeuuid], &uuid)
    }

    #[inline]
    fn typed(&mut self, kinds: &[CqlType], cell: &[u8]) -> &mut Self {
        if cfg!(debug_assertions) {
            let target = self.group.target;
            let column = target.columns().nth(usize::from(self.cells));
            let is_right = column.is_some_and(|(_, kind)| kinds.contains(&kind));
            let (at, table) = (self.cells, target.table);
            assert!(
                is_right,
                "cell {at} of `{table}` is {kinds:?}, but declared as {column:?}"
            );
        }
        self.push(Some(cell))
    }

    #[inline]
    fn push(&mut self, cell: Option<&[u8]>) -> &mut Self {
        let length = cell.map_or(-1, |cell| i32::try_from(cell.len()).expect("under 2 GiB"));
        let cell = cell.unwrap_or_default();
        let bytes = &mut self.group.rows.bytes;
        bytes.reserve(4 + cell.len());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(cell);
        self.cells += 1;
        self
    }
}

impl Drop for Row<'_> {
    #[inline]
    fn drop(&mut self) {
        if cfg!(debug_assertions) && !std::thread::panicking() {
            let (table, declared) = (self.group.target.table, self.group.target.columns().count());
            assert_eq!(
                usize::from(self.cells),
                declared,
                "cells of a row of `{table}`"
            );
        }
        let Packed { bytes, lengths } = &mut self.group.rows;
        bytes[self.start..self.start + 2].copy_from_slice(&self.cells.to_be_bytes());
        lengths.push(i32::try_from(bytes.len() - self.start).expect("a row is under 2 GiB"));
        self.group.sources.push(self.message.0);
    }
}
