//! Reference data: a CSV file, read once, digested, its cells encoded, and shared by all instances
//! without a lock because nothing ever changes in it.
//!
//! The first row of a key wins and later ones are counted. Rows without a key are left out. Nothing
//! is trimmed or case-folded, on neither side.

mod csv;
mod error;

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use sha2::{Digest, Sha256};

use crate::row::{Column, CqlType, push_cell, text};

pub use error::Error;

/// Reference data that a plugin declares: `lookup` of `wit/plugin.wit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The name by which the pipeline's configuration says where the data is.
    pub name: String,
    /// The column that is searched.
    pub key: Column,
    /// The columns that a search answers with.
    pub columns: Vec<Column>,
}

/// How a file is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether its first line has the columns' names. If not, its columns are the key and then the
    /// declared columns, in their order.
    pub header: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { header: true }
    }
}

/// Entries begin at multiples of it, so that 32 bits address them.
const ALIGNMENT: usize = 8;
const BLOB_BYTES_MAX: usize = ALIGNMENT << 32;
/// An entry's head: the lengths of its key and of its cells.
const HEAD: usize = 8;
/// Keys looked up together, so that their cache misses overlap.
const GROUP: usize = 16;
/// A slot without an entry.
const FREE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The upper half of the key's hash: most other keys are told apart without reading them.
    tag: u32,
    /// Where the entry begins, in units of [`ALIGNMENT`].
    entry: u32,
}

/// Reference data, ready to be searched.
#[derive(Debug)]
pub struct Lookup {
    digest: String,
    /// Entries: `[u32 key length][u32 cells length][key][cells]`, each cell `[i32 length][bytes]`.
    blob: Vec<u8>,
    /// Open addressing with linear probing; its size is a power of two, at most half of it used.
    slots: Vec<Slot>,
    hasher: DefaultHashBuilder,
    len: usize,
    duplicates: usize,
}

impl Lookup {
    /// Reads a file's bytes; `file` names it in messages.
    ///
    /// # Errors
    /// If it is not a CSV file, lacks a declared column, or has a cell of another type.
    pub fn read(
        file: &str,
        bytes: &[u8],
        declared: &Declared,
        options: &Options,
    ) -> Result<Self, Error> {
        let mut reader = csv::Reader::new(file, bytes)?;
        let columns: Vec<&Column> = [&declared.key]
            .into_iter()
            .chain(&declared.columns)
            .collect();
        let places = places(file, &mut reader, &columns, options)?;
        let mut lookup = Self {
            digest: hex_digest(bytes),
            blob: vec![],
            slots: vec![
                Slot {
                    tag: 0,
                    entry: FREE
                };
                16
            ],
            hasher: DefaultHashBuilder::default(),
            len: 0,
            duplicates: 0,
        };
        let (mut key, mut cells, mut cell) = (vec![], vec![], vec![]);
        while let Some(record) = reader.next()? {
            for (index, (column, place)) in columns.iter().zip(&places).enumerate() {
                let text = record.cell(*place);
                cell.clear();
                if !text.is_empty() && !text::parse(column.kind, text, &mut cell) {
                    return Err(Error::Cell {
                        file: file.to_owned(),
                        line: record.line,
                        column: column.name.clone(),
                        kind: column.kind,
                        cell: text.chars().take(50).collect(),
                    });
                }
                if index == 0 {
                    key.clone_from(&cell);
                } else {
                    push_cell(&mut cells, (!text.is_empty()).then_some(&cell));
                }
            }
            if !key.is_empty() && !lookup.insert(&key, &cells) {
                return Err(Error::TooLarge {
                    file: file.to_owned(),
                });
            }
            cells.clear();
        }
        Ok(lookup)
    }

    /// The SHA-256 of the file's bytes, in lower-case hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many rows were left out because an earlier one has their key.
    pub fn duplicates(&self) -> usize {
        self.duplicates
    }

    /// Appends for each key the cells of its row, and their length; for an unknown one, and for an
    /// absent one (length -1), only a length of -1.
    ///
    /// # Panics
    /// If the lengths do not fit the keys.
    pub fn find(
        &self,
        keys: &[u8],
        lengths: &[i32],
        cells: &mut Vec<u8>,
        cell_lengths: &mut Vec<i32>,
    ) {
        let mut rest = keys;
        for lengths in lengths.chunks(GROUP) {
            let mut group = [&[][..]; GROUP];
            let mut hashes = [0; GROUP];
            let mut entries = [None; GROUP];
            // Three loops: the processor has all of a loop's loads under way at once.
            for (index, length) in lengths.iter().enumerate() {
                let (key, after) = rest.split_at(usize::try_from(*length).unwrap_or(0));
                (group[index], rest) = (key, after);
                hashes[index] = self.hasher.hash_one(key);
            }
            for (entry, hash) in entries.iter_mut().zip(hashes).take(lengths.len()) {
                *entry = self.probe(hash).next();
            }
            for (index, length) in lengths.iter().enumerate() {
                let found = match entries[index] {
                    Some(entry) if *length >= 0 => self
                        .cells(entry, group[index])
                        .or_else(|| self.search(hashes[index], group[index])),
                    _ => None,
                };
                let length = found.map(|found| i32::try_from(found.len()));
                cell_lengths
                    .push(length.map_or(-1, |length| length.expect("a row of CSV is < 2 GiB")));
                cells.extend_from_slice(found.unwrap_or_default());
            }
        }
    }

    /// Adds a key, unless it is there already; `false` if there is no room.
    fn insert(&mut self, key: &[u8], cells: &[u8]) -> bool {
        let hash = self.hasher.hash_one(key);
        if self.search(hash, key).is_some() {
            self.duplicates += 1;
            return true;
        }
        let entry = u32::try_from(self.blob.len() / ALIGNMENT)
            .ok()
            .filter(|entry| *entry != FREE);
        let (Some(entry), Ok(key_length), Ok(cells_length)) =
            (entry, u32::try_from(key.len()), u32::try_from(cells.len()))
        else {
            return false;
        };
        self.blob.extend(key_length.to_ne_bytes());
        self.blob.extend(cells_length.to_ne_bytes());
        self.blob.extend(key);
        self.blob.extend(cells);
        self.blob
            .resize(self.blob.len().next_multiple_of(ALIGNMENT), 0);
        if (self.len + 1) * 2 > self.slots.len() {
            self.grow();
        }
        self.place(hash, entry);
        self.len += 1;
        true
    }

    fn grow(&mut self) {
        let free = vec![
            Slot {
                tag: 0,
                entry: FREE
            };
            self.slots.len() * 2
        ];
        let slots = std::mem::replace(&mut self.slots, free);
        for slot in slots.into_iter().filter(|slot| slot.entry != FREE) {
            let (key, _) = self.entry(slot.entry);
            let hash = self.hasher.hash_one(key);
            self.place(hash, slot.entry);
        }
    }

    fn place(&mut self, hash: u64, entry: u32) {
        let mask = self.slots.len() - 1;
        let mut at = first_slot(hash, mask);
        while self.slots[at].entry != FREE {
            at = (at + 1) & mask;
        }
        self.slots[at] = Slot {
            tag: tag(hash),
            entry,
        };
    }

    /// The entries that may have a key of this hash.
    fn probe(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        let mask = self.slots.len() - 1;
        let start = first_slot(hash, mask);
        let slots = (start..).map(move |at| self.slots[at & mask]);
        let used = slots.take_while(|slot| slot.entry != FREE);
        used.filter(move |slot| slot.tag == tag(hash))
            .map(|slot| slot.entry)
    }

    fn search(&self, hash: u64, key: &[u8]) -> Option<&[u8]> {
        self.probe(hash).find_map(|entry| self.cells(entry, key))
    }

    /// An entry's cells, if this is its key.
    fn cells(&self, entry: u32, key: &[u8]) -> Option<&[u8]> {
        let (other, cells) = self.entry(entry);
        (other == key).then_some(cells)
    }

    fn entry(&self, entry: u32) -> (&[u8], &[u8]) {
        let at = entry as usize * ALIGNMENT;
        let length = |at: usize| {
            let bytes = self.blob[at..at + 4].try_into().expect("it is four bytes");
            u32::from_ne_bytes(bytes) as usize
        };
        let (key, cells) = (length(at), length(at + 4));
        self.blob[at + HEAD..at + HEAD + key + cells].split_at(key)
    }
}

/// Both halves of a hash: where its search begins, and its tag.
fn halves(hash: u64) -> (u32, u32) {
    let [a, b, c, d, tag @ ..] = hash.to_le_bytes();
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(tag))
}

fn first_slot(hash: u64, mask: usize) -> usize {
    halves(hash).0 as usize & mask
}

fn tag(hash: u64) -> u32 {
    halves(hash).1
}

/// Where the columns are in each record.
fn places(
    file: &str,
    reader: &mut csv::Reader<'_>,
    columns: &[&Column],
    options: &Options,
) -> Result<Vec<usize>, Error> {
    if !options.header {
        reader.expect_cells(columns.len());
        return Ok((0..columns.len()).collect());
    }
    let header = reader.next()?;
    let names: Vec<String> = header
        .iter()
        .flat_map(csv::Record::cells)
        .map(str::to_owned)
        .collect();
    let place = |column: &&Column| {
        let mut places = (0..names.len()).filter(|place| names[*place] == column.name);
        let Some(place) = places.next() else {
            let near = names
                .iter()
                .map(|name| (strsim::jaro_winkler(name, &column.name), name));
            let near = near
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|(nearness, _)| *nearness > 0.7);
            return Err(Error::NoColumn {
                file: file.to_owned(),
                column: column.name.clone(),
                hint: near.map_or(String::new(), |(_, name)| {
                    format!(": did you mean `{name}`?")
                }),
            });
        };
        if places.next().is_some() {
            let reason = format!("the header has column `{}` twice", column.name);
            return Err(Error::Malformed {
                file: file.to_owned(),
                line: 1,
                reason,
            });
        }
        Ok(place)
    };
    columns.iter().map(place).collect()
}

/// The values of one column, whatever their type; empty cells are left out. Columns of a file without
/// a header are called 1, 2 and so on.
///
/// # Errors
/// If the file is not a CSV file or lacks the column.
pub fn column(
    file: &str,
    bytes: &[u8],
    name: &str,
    options: &Options,
) -> Result<Vec<String>, Error> {
    let mut reader = csv::Reader::new(file, bytes)?;
    let named = if options.header {
        let column = Column {
            name: name.to_owned(),
            kind: CqlType::Text,
        };
        Some(places(file, &mut reader, &[&column], options)?[0])
    } else {
        let number = name.parse::<usize>().ok();
        number.and_then(|number| number.checked_sub(1))
    };
    let mut values = vec![];
    while let Some(record) = reader.next()? {
        let cell = named.and_then(|place| record.cells().nth(place));
        let cell = cell.ok_or_else(|| Error::NoColumn {
            file: file.to_owned(),
            column: name.to_owned(),
            hint: format!(
                ": without a header its columns are called 1 to {}",
                record.cells().count()
            ),
        })?;
        values.extend(
            Some(cell)
                .filter(|cell| !cell.is_empty())
                .map(str::to_owned),
        );
    }
    Ok(values)
}

/// The SHA-256 of bytes in lower-case hexadecimal.
pub(crate) fn hex_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests;
