//! What comes in: messages, the cells of their fields, and what lookups know of them.

use uuid::Uuid;

use crate::description::{Description, Field, Lookup, position};
use crate::{Packed, component};

pub use component::Messages;

/// How a lookup is searched: the host does it, or a test.
pub(crate) type Find<'a> = &'a dyn Fn(u16, &Packed) -> Packed;

/// The name space of ids: `uuid5(NAMESPACE_URL, "sluice:position")`.
const POSITIONS: Uuid = Uuid::from_u128(0x67ffd616_6234_5b16_af12_c81cbe97856e);

/// A message: where to find its cells in the columns of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message(pub(crate) u32);

impl Message {
    #[inline]
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// A batch of messages, as columns.
pub struct Batch<'a> {
    messages: &'a Messages,
    description: &'a Description,
    find: Find<'a>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(
        messages: &'a Messages,
        description: &'a Description,
        find: Find<'a>,
    ) -> Self {
        Self {
            messages,
            description,
            find,
        }
    }

    /// The topic all messages come from.
    pub fn topic(&self) -> &'a str {
        &self.messages.topic
    }

    /// How many messages there are: at least one.
    #[expect(
        clippy::len_without_is_empty,
        reason = "the host calls with messages only"
    )]
    pub fn len(&self) -> usize {
        self.messages.count as usize
    }

    /// The cells of a declared field.
    ///
    /// # Panics
    /// If it is not in the plugin's description.
    pub fn field(&self, field: Field) -> Cells<'a> {
        let index = position(self.description.fields, field.name, |field| field.name);
        Cells::new(&self.messages.fields[index])
    }

    /// The messages' bytes as they came ([`crate::Wants::VALUES`]); null = a tombstone.
    pub fn values(&self) -> Cells<'a> {
        Cells::new(&self.messages.values)
    }

    /// The messages' keys ([`crate::Wants::KEYS`]).
    pub fn keys(&self) -> Cells<'a> {
        Cells::new(&self.messages.keys)
    }

    /// The messages' headers ([`crate::Wants::HEADERS`]): [`Cell::header`] finds one by its name.
    pub fn headers(&self) -> Cells<'a> {
        Cells::new(&self.messages.headers)
    }

    /// A message's time in milliseconds since 1970 ([`crate::Wants::TIMESTAMPS`]), if it has one.
    pub fn timestamp(&self, message: Message) -> Option<i64> {
        Some(self.messages.timestamps[message.index()]).filter(|&time| time != -1)
    }

    /// A message's partition and its offset in there ([`crate::Wants::POSITIONS`]).
    pub fn position(&self, message: Message) -> (i32, i64) {
        let Messages {
            partitions,
            offsets,
            ..
        } = self.messages;
        (partitions[message.index()], offsets[message.index()])
    }

    /// An id for a row, made of where its message stands ([`crate::Wants::POSITIONS`]): a replay makes
    /// the same one. `row` tells the rows of one message apart: give them 0, 1 and so on.
    pub fn id(&self, message: Message, row: u32) -> [u8; 16] {
        let (topic, (partition, offset)) = (self.topic(), self.position(message));
        let name = format!("{topic}/{partition}/{offset}/{row}");
        Uuid::new_v5(&POSITIONS, name.as_bytes()).into_bytes()
    }

    /// Looks all keys up at once: [`Cells`] of this batch, or a [`Packed`] of the plugin's making.
    ///
    /// # Panics
    /// If the lookup is not in the plugin's description.
    pub fn find(&self, lookup: Lookup, keys: impl AsRef<Packed>) -> Found {
        let index = position(self.description.lookups, lookup.name, |lookup| lookup.name);
        let index = u16::try_from(index).expect("the host admits 16 lookups");
        let packed = (self.find)(index, keys.as_ref());
        let mut at = 0;
        let starts = packed.lengths.iter().map(|&length| {
            let start = at;
            at += length.max(0).unsigned_abs();
            start
        });
        Found {
            starts: starts.collect(),
            packed,
            columns: lookup.columns.len(),
        }
    }
}

impl IntoIterator for &Batch<'_> {
    type Item = Message;
    type IntoIter = std::iter::Map<std::ops::Range<u32>, fn(u32) -> Message>;

    fn into_iter(self) -> Self::IntoIter {
        (0..self.messages.count).map(Message)
    }
}

/// A column of a batch: one cell a message.
pub struct Cells<'a> {
    packed: &'a Packed,
    cells: Vec<Cell<'a>>,
}

impl<'a> Cells<'a> {
    fn new(packed: &'a Packed) -> Self {
        let mut rest = packed.bytes.as_slice();
        let cells = packed.lengths.iter().map(|&length| {
            let cell;
            (cell, rest) = rest.split_at(usize::try_from(length).ok()?);
            Some(cell)
        });
        Self {
            cells: cells.map(Cell).collect(),
            packed,
        }
    }

    /// The cell of a message.
    ///
    /// # Panics
    /// If the message is of another batch, or what stands here was not asked for with
    /// [`Description::wants`].
    #[inline]
    pub fn at(&self, message: Message) -> Cell<'a> {
        self.cells[message.index()]
    }
}

impl AsRef<Packed> for Cells<'_> {
    fn as_ref(&self) -> &Packed {
        self.packed
    }
}

impl AsRef<Self> for Packed {
    fn as_ref(&self) -> &Self {
        self
    }
}

#[expect(
    clippy::derivable_impls,
    reason = "the bindings cannot derive for records alone"
)]
impl Default for Packed {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            lengths: Vec::new(),
        }
    }
}

impl Packed {
    /// Adds a value; `None` is null.
    pub fn push(&mut self, value: Option<&[u8]>) {
        let length = value.map_or(-1, |value| i32::try_from(value.len()).expect("under 2 GiB"));
        self.lengths.push(length);
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }
}

/// A value of a message, encoded; or null. The readers below panic where there is none: an
/// optional field's cell is asked with [`Cell::bytes`] or [`Cell::is_null`] first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a>(Option<&'a [u8]>);

impl<'a> Cell<'a> {
    /// Whether there is no value.
    #[inline]
    pub fn is_null(self) -> bool {
        self.0.is_none()
    }

    /// Its encoding, if it is not null.
    #[inline]
    pub fn bytes(self) -> Option<&'a [u8]> {
        self.0
    }

    /// A `text` or `ascii`.
    pub fn text(self) -> &'a str {
        std::str::from_utf8(self.value()).expect("the host hands over UTF-8")
    }

    /// A `boolean`.
    pub fn boolean(self) -> bool {
        self.fixed() != [0]
    }

    /// A `tinyint`.
    pub fn tinyint(self) -> i8 {
        i8::from_be_bytes(self.fixed())
    }

    /// A `smallint`.
    pub fn smallint(self) -> i16 {
        i16::from_be_bytes(self.fixed())
    }

    /// An `int`.
    pub fn int(self) -> i32 {
        i32::from_be_bytes(self.fixed())
    }

    /// A `bigint`, or the milliseconds since 1970 of a `timestamp`.
    pub fn bigint(self) -> i64 {
        i64::from_be_bytes(self.fixed())
    }

    /// A `float`.
    pub fn float(self) -> f32 {
        f32::from_be_bytes(self.fixed())
    }

    /// A `double`.
    pub fn double(self) -> f64 {
        f64::from_be_bytes(self.fixed())
    }

    /// The days since 1970 of a `date`.
    pub fn date(self) -> i32 {
        // 2^31 stands for 1970: the sign's bit is turned over.
        i32::from_be_bytes(self.fixed()) ^ i32::MIN
    }

    /// Of a message's headers, the value of the first of this name; null if there is none.
    pub fn header(self, name: &str) -> Self {
        let (_, mut rest) = self.value().split_at(2);
        while !rest.is_empty() {
            let (found, value);
            (found, rest) = split_cell(rest);
            (value, rest) = split_cell(rest);
            if found.0 == Some(name.as_bytes()) {
                return value;
            }
        }
        Cell(None)
    }

    pub(crate) fn value(self) -> &'a [u8] {
        self.0.expect("a cell that is read is not null")
    }

    fn fixed<const N: usize>(self) -> [u8; N] {
        self.value()
            .try_into()
            .expect("a cell is read as the type it was declared with")
    }
}

/// What a lookup found: one match, or none, for each key.
pub struct Found {
    packed: Packed,
    starts: Vec<u32>,
    columns: usize,
}

impl Found {
    /// What was found for the key of a message, if keys were given in the order of messages.
    ///
    /// # Panics
    /// If there was no such key.
    #[inline]
    pub fn at(&self, message: Message) -> Match<'_> {
        let start = self.starts[message.index()] as usize;
        let cells = usize::try_from(self.packed.lengths[message.index()]).ok();
        let cells = cells.map(|length| &self.packed.bytes[start..start + length]);
        Match {
            cells,
            columns: self.columns,
        }
    }
}

/// The cells that a lookup has for a key: ready to be copied into a row by [`crate::Row::cells`].
#[derive(Clone, Copy)]
pub struct Match<'a> {
    pub(crate) cells: Option<&'a [u8]>,
    pub(crate) columns: usize,
}

impl<'a> Match<'a> {
    /// Whether the lookup knows the key.
    #[inline]
    pub fn is_known(self) -> bool {
        self.cells.is_some()
    }

    /// The cell of a declared column, by its index; null if the key is unknown.
    pub fn cell(self, column: usize) -> Cell<'a> {
        assert!(
            column < self.columns,
            "the lookup declares {} columns",
            self.columns
        );
        let Some(mut rest) = self.cells else {
            return Cell(None);
        };
        for _ in 0..column {
            rest = split_cell(rest).1;
        }
        split_cell(rest).0
    }
}

/// The first cell of those of a row or a match, and the others.
pub(crate) fn split_cell(cells: &[u8]) -> (Cell<'_>, &[u8]) {
    let (length, rest) = cells
        .split_first_chunk()
        .expect("a cell begins with its length");
    match usize::try_from(i32::from_be_bytes(*length)) {
        Ok(length) => (Cell(Some(&rest[..length])), &rest[length..]),
        Err(_) => (Cell(None), rest),
    }
}
