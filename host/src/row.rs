//! What a plugin answers: rows of encoded cells, rejected and filtered messages.
//!
//! Cells are encoded as the CQL native protocol version 4 has them (section 6 of its
//! specification); SQLite's sink decodes the same bytes. Nothing here knows who wrote them.

mod duration;
pub mod text;

use std::sync::Arc;

use crate::message::{Batch, Span, WriteTime};

/// The type of a cell, as CQL names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are CQL's names")]
#[rustfmt::skip]
pub enum CqlType {
    Ascii, Text, Blob, Boolean, Tinyint, Smallint, Int, Bigint, Float, Double, Timestamp, Date,
    Time, Uuid, Timeuuid, Inet, Decimal, Varint, Duration,
}

impl CqlType {
    /// Every type, in the order of `wit/plugin.wit`.
    #[rustfmt::skip]
    pub const ALL: [Self; 19] = [
        Self::Ascii, Self::Text, Self::Blob, Self::Boolean, Self::Tinyint, Self::Smallint,
        Self::Int, Self::Bigint, Self::Float, Self::Double, Self::Timestamp, Self::Date, Self::Time,
        Self::Uuid, Self::Timeuuid, Self::Inet, Self::Decimal, Self::Varint, Self::Duration,
    ];

    /// Its name in CQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Text => "text",
            Self::Blob => "blob",
            Self::Boolean => "boolean",
            Self::Tinyint => "tinyint",
            Self::Smallint => "smallint",
            Self::Int => "int",
            Self::Bigint => "bigint",
            Self::Float => "float",
            Self::Double => "double",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Time => "time",
            Self::Uuid => "uuid",
            Self::Timeuuid => "timeuuid",
            Self::Inet => "inet",
            Self::Decimal => "decimal",
            Self::Varint => "varint",
            Self::Duration => "duration",
        }
    }

    /// The type of a name in CQL; `varchar` is `text`.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if name == "varchar" { "text" } else { name };
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The length of its cells in bytes, if all have the same.
    pub fn width(self) -> Option<usize> {
        match self {
            Self::Boolean | Self::Tinyint => Some(1),
            Self::Smallint => Some(2),
            Self::Int | Self::Float | Self::Date => Some(4),
            Self::Bigint | Self::Double | Self::Timestamp | Self::Time => Some(8),
            Self::Uuid | Self::Timeuuid => Some(16),
            Self::Ascii
            | Self::Text
            | Self::Blob
            | Self::Inet
            | Self::Decimal
            | Self::Varint
            | Self::Duration => None,
        }
    }
}

/// A named cell: a column of a table or of reference data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, as the table or the header of the reference data has it.
    pub name: String,
    /// Its type.
    pub kind: CqlType,
}

/// What a row does to its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Writes every declared column.
    Upsert,
    /// Deletes the row with this key.
    Delete,
}

/// A table that a plugin writes into: one prepared statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The table's name, without the keyspace.
    pub table: String,
    /// What the rows do.
    pub operation: Operation,
    /// The cells of each row, in this order.
    pub columns: Vec<Column>,
}

/// The primary key of a target's table, as indices into the target's columns. It comes from the
/// live table (or the schema file), because a plugin does not declare it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Key {
    /// The columns of the partition key, in its order.
    pub partition: Vec<usize>,
    /// The clustering columns, in their order.
    pub clustering: Vec<usize>,
}

/// The largest partition key Cassandra stores, in bytes. A composite key takes 3 more a component.
pub const PARTITION_KEY_BYTES_MAX: usize = 65_535;

/// The largest row a plugin may write, in bytes.
pub const ROW_BYTES_MAX: usize = 1 << 20;

/// Rows for one target, already checked against its columns.
///
/// A row is the CQL `<values>` block: `[u16 n]`, then n times `[i32 length][cell]`, big-endian; a
/// length of -1 is null, of -2 unset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Index into the plugin's targets.
    pub target: usize,
    /// The rows, one after another.
    pub bytes: Vec<u8>,
    /// Where each row ends in `bytes`.
    pub ends: Vec<u32>,
    /// The write time of each row: that of its message.
    pub write_times: Vec<WriteTime>,
    /// The message each row comes from: an index into the batch.
    pub sources: Vec<u32>,
}

impl Rows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The row at an index, with its leading count.
    pub fn row(&self, index: usize) -> &[u8] {
        let start = if index == 0 {
            0
        } else {
            self.ends[index - 1] as usize
        };
        &self.bytes[start..self.ends[index] as usize]
    }

    /// The cells of the row at an index.
    pub fn cells(&self, index: usize) -> Cells<'_> {
        Cells {
            rest: &self.row(index)[2..],
        }
    }
}

/// A cell of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// The column is left as it is.
    Unset,
    /// The column is cleared.
    Null,
    /// Its encoded value.
    Value(&'a [u8]),
}

/// The cells of a row that was checked before.
#[derive(Clone, Debug)]
pub struct Cells<'a> {
    rest: &'a [u8],
}

impl<'a> Cells<'a> {
    /// The cells of the bytes after a row's count.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Cells<'a> {
    type Item = Cell<'a>;

    fn next(&mut self) -> Option<Cell<'a>> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        let Ok(size) = usize::try_from(length) else {
            self.rest = rest;
            return Some(if length == -2 {
                Cell::Unset
            } else {
                Cell::Null
            });
        };
        let (cell, rest) = rest.split_at(size);
        self.rest = rest;
        Some(Cell::Value(cell))
    }
}

/// Appends a cell with its length.
pub fn push_cell(bytes: &mut Vec<u8>, cell: Option<&[u8]>) {
    let length = cell.map_or(-1, |cell| {
        i32::try_from(cell.len()).expect("a cell is < 2 GiB")
    });
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(cell.unwrap_or_default());
}

/// Who refused a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The host could not decode it.
    Decode,
    /// The plugin refused it, or failed on it.
    Transform,
    /// Its row is not one that the table takes.
    Write,
}

impl Stage {
    /// Its name in dead letters and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Transform => "transform",
            Self::Write => "write",
        }
    }
}

/// A message refused with a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its index in the batch.
    pub message: usize,
    /// Who refused it.
    pub stage: Stage,
    /// Why, for programs: `[a-z0-9_]{1,32}`.
    pub code: Arc<str>,
    /// Why, for people.
    pub reason: String,
}

/// Messages left out on purpose, by code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filtered {
    /// Why: one of the plugin's codes, or `tombstone`.
    pub code: Arc<str>,
    /// How many messages.
    pub messages: usize,
}

/// A batch after the plugin: every message of it is in exactly one of rows, rejected and filtered.
#[derive(Clone, Debug)]
pub struct Transformed {
    /// The batch it was made from: dead letters keep their messages whole.
    pub batch: Batch,
    /// The rows, at most one entry a target.
    pub rows: Vec<Rows>,
    /// How many messages have rows.
    pub written: usize,
    /// The refused messages, by index.
    pub rejected: Vec<Rejected>,
    /// The messages left out.
    pub filtered: Vec<Filtered>,
}

impl Transformed {
    /// A batch of one message, which is refused.
    ///
    /// # Panics
    /// If it is of more.
    pub fn rejected(batch: Batch, rejected: Rejected) -> Self {
        assert_eq!(batch.len(), 1, "the others have no outcome");
        Self {
            batch,
            rows: Vec::new(),
            written: 0,
            rejected: vec![rejected],
            filtered: Vec::new(),
        }
    }

    /// The offsets it covers.
    pub fn spans(&self) -> &[Span] {
        self.batch.spans()
    }

    /// How many messages were left out on purpose.
    pub fn filtered_count(&self) -> usize {
        self.filtered.iter().map(|filtered| filtered.messages).sum()
    }

    /// How many messages have no outcome, or more than one (then it is negative). Always 0.
    pub fn conservation_gap(&self) -> i64 {
        let out = self.written + self.rejected.len() + self.filtered_count();
        i64::try_from(self.batch.len()).expect("a batch is small")
            - i64::try_from(out).expect("a batch is small")
    }
}
