//! What a version made of a batch, by message.

use crate::message::Batch;
use crate::row::{Cell, CqlType, Operation, Rejected, Target, Transformed, text};

use super::Side;

/// The longest value that is shown, in characters.
const SHOWN_MAX: usize = 40;

/// Where a row is: its message, then its place in the version's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    message: u32,
    rows: usize,
    row: usize,
}

/// A version's answer, with its rows in the order of their messages.
pub struct Made<'a> {
    transformed: &'a Transformed,
    pub(super) side: Side<'a>,
    places: Vec<Place>,
}

/// What became of a message.
pub(super) enum Outcome<'a> {
    /// It has these rows; none, if it was left out on purpose.
    Rows(&'a [Place]),
    /// It was refused, or failed on.
    Rejected(&'a Rejected),
}

/// A row that is looked at in full.
pub(super) struct Row<'a> {
    pub(super) target: &'a Target,
    cells: Vec<Cell<'a>>,
    key_columns: Vec<usize>,
    /// The cells of its key, in the key's order.
    pub(super) key: Vec<Cell<'a>>,
}

impl<'a> Made<'a> {
    /// What a version of this side answered.
    pub fn of(transformed: &'a Transformed, side: Side<'a>) -> Self {
        let all = transformed.rows.iter().enumerate();
        let places = all.flat_map(|(rows, all)| {
            let sources = all.sources.iter().enumerate();
            sources.map(move |(row, &message)| Place { message, rows, row })
        });
        let mut places: Vec<_> = places.collect();
        places.sort_unstable();
        Self {
            transformed,
            side,
            places,
        }
    }

    pub(super) fn batch(&self) -> &Batch {
        &self.transformed.batch
    }

    pub(super) fn outcome(&self, message: usize) -> Outcome<'_> {
        let rejected = &self.transformed.rejected;
        if let Ok(index) = rejected.binary_search_by_key(&message, |rejected| rejected.message) {
            return Outcome::Rejected(&rejected[index]);
        }
        let start = self
            .places
            .partition_point(|place| (place.message as usize) < message);
        let after = &self.places[start..];
        let count = after
            .iter()
            .take_while(|place| place.message as usize == message)
            .count();
        Outcome::Rows(&after[..count])
    }

    /// Whether rows of both can be compared byte by byte.
    pub(super) fn has_tables_of(&self, other: &Self) -> bool {
        self.side.targets == other.side.targets && self.side.keys == other.side.keys
    }

    /// The target of a row and its bytes.
    pub(super) fn bytes(&self, place: &Place) -> (usize, &[u8]) {
        let rows = &self.transformed.rows[place.rows];
        (rows.target, rows.row(place.row))
    }

    pub(super) fn target(&self, place: &Place) -> &'a Target {
        &self.side.targets[self.transformed.rows[place.rows].target]
    }

    pub(super) fn rows(&self, places: &[Place]) -> Vec<Row<'_>> {
        let row = |place: &Place| {
            let rows = &self.transformed.rows[place.rows];
            let cells: Vec<_> = rows.cells(place.row).collect();
            let key = &self.side.keys[rows.target];
            let key_columns: Vec<_> = key
                .partition
                .iter()
                .chain(&key.clustering)
                .copied()
                .collect();
            Row {
                target: self.target(place),
                key: key_columns.iter().map(|column| cells[*column]).collect(),
                cells,
                key_columns,
            }
        };
        places.iter().map(row).collect()
    }
}

impl<'a> Row<'a> {
    /// Its columns' names and types.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'a str, CqlType)> {
        let columns = self.target.columns.iter();
        columns.map(|column| (&*column.name, column.kind))
    }

    /// The cell of a column, if there is one.
    pub(super) fn cell(&self, name: &str) -> Option<Cell<'a>> {
        let index = self.columns().position(|(column, _)| column == name)?;
        Some(self.cells[index])
    }

    /// Its key as a person reads it.
    pub(super) fn key_text(&self) -> String {
        let named = self
            .key_columns
            .iter()
            .zip(&self.key)
            .map(|(column, cell)| {
                let column = &self.target.columns[*column];
                let value = value_text(column.kind, *cell);
                format!("{}={}", column.name, value.unwrap_or_default())
            });
        named.collect::<Vec<_>>().join(" ")
    }
}

/// What a row does to its table, as a person reads it.
pub(super) fn operation(target: &Target) -> &'static str {
    match target.operation {
        Operation::Upsert => "written",
        Operation::Delete => "deleted",
    }
}

/// A cell as a person reads it; `None` is null.
pub(super) fn value_text(kind: CqlType, cell: Cell<'_>) -> Option<String> {
    let shown = match cell {
        Cell::Null => return None,
        Cell::Unset => return Some("(left as it is)".to_owned()),
        Cell::Value(bytes) => text::show(kind, bytes).escape_debug().to_string(),
    };
    let end = shown.char_indices().nth(SHOWN_MAX);
    Some(match end {
        Some((end, _)) => format!("{}...", &shown[..end]),
        None => shown,
    })
}
