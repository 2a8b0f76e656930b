//! How the rows of a target must look, and whether one does.

use crate::row::{CqlType, Key, PARTITION_KEY_BYTES_MAX, ROW_BYTES_MAX, Target};

use super::Error;

/// Why a row cannot be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    pub(super) code: &'static str,
    pub(super) reason: String,
}

/// How the rows of a target must look.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The first target of the same table: rows of several may have one key.
    pub(super) table: u32,
    /// The columns of the primary key.
    pub(super) key: Vec<usize>,
    columns: Vec<Column>,
    /// How many components the partition key has.
    components: usize,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    kind: CqlType,
    check: Check,
    role: Role,
}

/// What a cell's bytes must be.
#[derive(Clone, Copy, Debug)]
enum Check {
    Width(usize),
    Utf8,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Partition,
    Clustering,
    Plain,
}

impl Shape {
    /// The shapes of a plugin's targets, given their tables' keys.
    pub(super) fn all(targets: &[Target], keys: &[Key]) -> Result<Vec<Self>, Error> {
        if targets.len() != keys.len() {
            let (targets, keys) = (targets.len(), keys.len());
            return Err(Error::Keys(format!(
                "there are {keys} keys for {targets} targets"
            )));
        }
        let shape = |(target, key): (&Target, &Key)| {
            let table = targets
                .iter()
                .position(|other| other.table == target.table)
                .unwrap_or(0);
            Self::of(target, key, u32::try_from(table).expect("targets are few"))
        };
        targets.iter().zip(keys).map(shape).collect()
    }

    fn of(target: &Target, key: &Key, table: u32) -> Result<Self, Error> {
        let all: Vec<usize> = key
            .partition
            .iter()
            .chain(&key.clustering)
            .copied()
            .collect();
        if key.partition.is_empty() || all.iter().any(|column| *column >= target.columns.len()) {
            return Err(Error::Keys(format!(
                "the key of `{}` is not of its columns",
                target.table
            )));
        }
        let columns = target
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| Column {
                name: column.name.clone(),
                kind: column.kind,
                check: match (column.kind.width(), column.kind) {
                    (_, CqlType::Timeuuid) => Check::Other,
                    (Some(width), _) => Check::Width(width),
                    (None, CqlType::Text) => Check::Utf8,
                    (None, _) => Check::Other,
                },
                role: if key.partition.contains(&index) {
                    Role::Partition
                } else if key.clustering.contains(&index) {
                    Role::Clustering
                } else {
                    Role::Plain
                },
            });
        let (columns, components) = (columns.collect(), key.partition.len());
        Ok(Self {
            table,
            key: all,
            columns,
            components,
        })
    }

    /// Checks a row: `[u16 n]`, then n times `[i32 length][cell]`.
    pub(super) fn check(&self, row: &[u8]) -> Result<(), BadRow> {
        if row.len() > ROW_BYTES_MAX {
            let reason = format!("the row has {} bytes, more than {ROW_BYTES_MAX}", row.len());
            return Err(BadRow {
                code: "row_too_large",
                reason,
            });
        }
        let Some((count, mut rest)) = row.split_first_chunk::<2>() else {
            return Err(bad_row("the row has no count of cells".to_owned()));
        };
        let count = usize::from(u16::from_be_bytes(*count));
        if count != self.columns.len() {
            return Err(bad_row(format!(
                "the row has {count} cells, not {}",
                self.columns.len()
            )));
        }
        let mut partition = 0;
        for column in &self.columns {
            let Some((length, after)) = rest.split_first_chunk::<4>() else {
                return Err(bad_row(format!(
                    "the row ends before column `{}`",
                    column.name
                )));
            };
            let length = i32::from_be_bytes(*length);
            let Ok(size) = usize::try_from(length) else {
                column.check_absent(length)?;
                rest = after;
                continue;
            };
            let Some((cell, after)) = after.split_at_checked(size) else {
                return Err(bad_row(format!(
                    "the row ends within column `{}`",
                    column.name
                )));
            };
            rest = after;
            if !column.accepts(cell) {
                let (name, kind) = (&column.name, column.kind.name());
                return Err(bad_row(format!(
                    "column `{name}`: {size} bytes that are no {kind}"
                )));
            }
            match column.role {
                Role::Plain => {}
                Role::Partition => partition += size,
                Role::Clustering => column.check_size(size)?,
            }
        }
        if !rest.is_empty() {
            return Err(bad_row(format!(
                "the row goes on after its last column, with {} bytes",
                rest.len()
            )));
        }
        self.check_partition(partition)
    }

    fn check_partition(&self, size: usize) -> Result<(), BadRow> {
        let stored = if self.components == 1 {
            size
        } else {
            size + 3 * self.components
        };
        if stored > PARTITION_KEY_BYTES_MAX {
            return Err(bad_key(format!(
                "the partition key has {stored} bytes, more than {PARTITION_KEY_BYTES_MAX}"
            )));
        }
        if stored == 0 {
            let column = &self.columns[self.key[0]].name;
            return Err(bad_key(format!(
                "the partition key, column `{column}`, is empty"
            )));
        }
        Ok(())
    }
}

impl Column {
    fn check_absent(&self, length: i32) -> Result<(), BadRow> {
        let name = &self.name;
        match (length, self.role) {
            (-1 | -2, Role::Plain) => Ok(()),
            (-1 | -2, Role::Partition | Role::Clustering) => Err(bad_key(format!(
                "column `{name}` is of the key and has no value"
            ))),
            _ => Err(bad_row(format!("column `{name}` has a length of {length}"))),
        }
    }

    fn check_size(&self, size: usize) -> Result<(), BadRow> {
        if size > PARTITION_KEY_BYTES_MAX {
            let (name, max) = (&self.name, PARTITION_KEY_BYTES_MAX);
            return Err(bad_key(format!(
                "column `{name}` of the key has {size} bytes, more than {max}"
            )));
        }
        Ok(())
    }

    fn accepts(&self, cell: &[u8]) -> bool {
        match self.check {
            Check::Width(width) => cell.len() == width,
            // Most text is ASCII, and seeing that is several times faster.
            Check::Utf8 => is_ascii(cell) || std::str::from_utf8(cell).is_ok(),
            Check::Other => accepts_other(self.kind, cell),
        }
    }
}

/// Cells are short: here the odd bytes at a text's end cost a word, not a branch each.
fn is_ascii(text: &[u8]) -> bool {
    let (words, _) = text.as_chunks::<8>();
    let high = match (text.last_chunk::<8>(), text.first_chunk::<4>()) {
        // The last word may overlap the one before it.
        (Some(last), _) => words.iter().fold(u64::from_ne_bytes(*last), |high, word| {
            high | u64::from_ne_bytes(*word)
        }),
        (None, Some(first)) => {
            let last = text.last_chunk::<4>().unwrap_or(first);
            u64::from(u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last))
        }
        (None, None) => text.iter().fold(0, |high, byte| high | u64::from(*byte)),
    };
    high & u64::from_ne_bytes([0x80; 8]) == 0
}

fn accepts_other(kind: CqlType, cell: &[u8]) -> bool {
    match kind {
        CqlType::Ascii => cell.is_ascii(),
        CqlType::Inet => matches!(cell.len(), 4 | 16),
        CqlType::Varint => !cell.is_empty(),
        CqlType::Decimal => cell.len() > 4,
        CqlType::Duration => cell.len() >= 3,
        CqlType::Timeuuid => cell.len() == 16 && cell[6] >> 4 == 1,
        CqlType::Text
        | CqlType::Blob
        | CqlType::Boolean
        | CqlType::Tinyint
        | CqlType::Smallint
        | CqlType::Int
        | CqlType::Bigint
        | CqlType::Float
        | CqlType::Double
        | CqlType::Timestamp
        | CqlType::Date
        | CqlType::Time
        | CqlType::Uuid => true,
    }
}

fn bad_row(reason: String) -> BadRow {
    BadRow {
        code: "bad_row",
        reason,
    }
}

fn bad_key(reason: String) -> BadRow {
    BadRow {
        code: "bad_key",
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_is_not_ascii_is_found_wherever_it_stands() {
        for length in 0..40 {
            let mut text = vec![b'a'; length];
            assert!(is_ascii(&text), "{length}");
            for at in 0..length {
                text[at] = 0x80;
                assert!(!is_ascii(&text), "{at} of {length}");
                text[at] = b'a';
            }
        }
    }
}
