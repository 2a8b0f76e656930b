//! Rows into memory, and from there into text: what tests compare.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::message::WriteTime;
use crate::row::{Cell, Key, Operation, Target, Transformed, text};

use super::schema::{self, Schema};
use super::{Error, Refused, Sink};

/// A row: its cells by column; `None` is null.
type Row = BTreeMap<String, Option<Vec<u8>>>;
/// A key's encoded cells, in the key's order.
type KeyCells = Vec<Vec<u8>>;

/// A row as it stands, or a deleted one, which keeps older writes out.
#[derive(Clone, Debug, PartialEq)]
struct Stored {
    written: WriteTime,
    row: Option<Row>,
}

/// Tables in memory. Clones share them, so that a test can look while a worker writes.
#[derive(Clone)]
pub struct Memory {
    schema: Schema,
    targets: Vec<(Target, Key)>,
    tables: Arc<Mutex<BTreeMap<String, BTreeMap<KeyCells, Stored>>>>,
}

impl Memory {
    /// Empty tables, as a schema file has them.
    ///
    /// # Errors
    /// If the schema cannot be read.
    pub fn open(schema: &str) -> Result<Self, Error> {
        let schema = Schema::parse(schema).map_err(|error| Error::Schema(error.to_string()))?;
        Ok(Self {
            schema,
            targets: vec![],
            tables: Arc::default(),
        })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables
            .values()
            .flat_map(BTreeMap::values)
            .filter(|stored| stored.row.is_some())
            .count()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn write(&self, transformed: &Transformed) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        for rows in &transformed.rows {
            let (target, key) = &self.targets[rows.target];
            let table = tables.entry(target.table.clone()).or_default();
            for index in 0..rows.len() {
                let cells: Vec<_> = rows.cells(index).collect();
                let key = key.partition.iter().chain(&key.clustering);
                let key = key
                    .map(|column| value(cells[*column]).unwrap_or_default())
                    .collect();
                let written = rows.write_times[index];
                let old = table.get(&key);
                if old.is_some_and(|old| old.written > written) {
                    continue;
                }
                let row = match target.operation {
                    Operation::Delete => None,
                    Operation::Upsert => {
                        let old = old.and_then(|old| old.row.clone());
                        Some(merged(old.unwrap_or_default(), target, &cells))
                    }
                };
                table.insert(key, Stored { written, row });
            }
        }
    }
}

fn value(cell: Cell<'_>) -> Option<Vec<u8>> {
    match cell {
        Cell::Value(bytes) => Some(bytes.to_vec()),
        Cell::Null | Cell::Unset => None,
    }
}

/// A row after an upsert: columns that it leaves unset stay as they were.
fn merged(mut row: Row, target: &Target, cells: &[Cell<'_>]) -> Row {
    for (column, cell) in target.columns.iter().zip(cells) {
        if *cell != Cell::Unset || !row.contains_key(&column.name) {
            row.insert(column.name.clone(), value(*cell));
        }
    }
    row
}

impl Sink for Memory {
    fn prepare(&mut self, targets: &[Target]) -> Result<Vec<Key>, Error> {
        let keys = schema::keys(targets, &self.schema.tables).map_err(|difference| {
            Error::Schema(format!(
                "schema.cql is not what the plugin writes:\n{difference}"
            ))
        })?;
        self.targets = targets.iter().cloned().zip(keys.iter().cloned()).collect();
        Ok(keys)
    }

    fn start(&mut self, batch: &Arc<Transformed>) {
        self.write(batch);
    }

    fn poll(&mut self, _: Duration) -> Option<Result<Vec<Refused>, Error>> {
        Some(Ok(vec![]))
    }
}

impl fmt::Display for Memory {
    /// Each table with its rows in the order of their encoded keys, a line for each cell that is
    /// not null, in the order of the schema.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        for table in &self.schema.tables {
            let rows = tables.get(&table.name).into_iter().flatten();
            for row in rows.filter_map(|(_, stored)| stored.row.as_ref()) {
                writeln!(f, "{}", table.name)?;
                for column in &table.columns {
                    let cell = row.get(&column.name).and_then(Option::as_ref);
                    if let (Some(kind), Some(cell)) = (column.known(), cell) {
                        writeln!(
                            f,
                            "  {} = {}",
                            column.name,
                            text::show(kind, cell).escape_debug()
                        )?;
                    }
                }
            }
        }
        Ok(())
    }
}
