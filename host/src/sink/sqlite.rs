//! Rows into SQLite: for the demo, for tests, and for work that one machine holds.
//!
//! A keyspace is a file; its tables are made from the same schema as Cassandra's. Two hidden
//! columns keep each row's write time and whether it is deleted, so that the greater write time
//! wins here too. Unlike Cassandra it is decided by the row, not by the cell: of two rows that leave
//! different columns unset the older must come first.

mod aggregate;
mod reader;
mod statement;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags};

pub use reader::Reader;

use super::schema::{self, Schema, check_name};
use super::value::Value;
use super::{Error, Refused, Sink};
use crate::row::{Cell, CqlType, Key, Rows, Target, Transformed};

/// How long to wait for another process that writes into the same file.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// How many statements stay prepared: one a target, and one for each set of columns left unset.
const STATEMENTS_MAX: usize = 64;

/// Where rows go.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of the files; made if it is missing.
    pub directory: PathBuf,
    /// The keyspace: the name of the file in it.
    pub keyspace: String,
    /// The schema's text, from which tables are made.
    pub schema: String,
}

impl Config {
    /// The file of the keyspace.
    pub fn path(&self) -> PathBuf {
        self.directory.join(format!("{}.db", self.keyspace))
    }
}

/// A sink into one file.
pub struct Sqlite {
    store: String,
    connection: Connection,
    schema: Schema,
    targets: Vec<Target>,
    batch: Option<Arc<Transformed>>,
}

impl Sqlite {
    /// Opens the file, and makes the tables that are missing.
    ///
    /// # Errors
    /// If the file cannot be opened, or has other tables than the schema says.
    pub fn open(config: &Config) -> Result<Self, Error> {
        let (connection, schema) = connect(config)?;
        let store = store(&config.path());
        Ok(Self {
            store,
            connection,
            schema,
            targets: Vec::new(),
            batch: None,
        })
    }

    fn write(&mut self, batch: &Transformed) -> Result<Vec<Refused>, Error> {
        let (store, targets, schema) = (&self.store, &self.targets, &self.schema);
        let failed = |error: rusqlite::Error| failure(store, &error);
        let transaction = self.connection.transaction().map_err(failed)?;
        let mut refused = Vec::new();
        for rows in batch.rows.iter().filter(|rows| !rows.is_empty()) {
            let target = &targets[rows.target];
            let table = schema
                .table(&target.table)
                .expect("`prepare` found the target's table");
            let whole = statement::text(table, target, |_| true);
            let mut whole = transaction.prepare_cached(&whole).map_err(failed)?;
            for row in 0..rows.len() {
                let written = if rows.cells(row).any(|cell| cell == Cell::Unset) {
                    let is_set: Vec<_> = rows.cells(row).map(|cell| cell != Cell::Unset).collect();
                    let part = statement::text(table, target, |column| is_set[column]);
                    let mut part = transaction.prepare_cached(&part).map_err(failed)?;
                    insert(&mut part, target, rows, row)
                } else {
                    insert(&mut whole, target, rows, row)
                };
                match written {
                    Ok(()) => {}
                    Err(error) if is_rows_fault(&error) => refused.push(Refused {
                        message: rows.sources[row] as usize,
                        reason: error.to_string(),
                    }),
                    Err(error) => return Err(failed(error)),
                }
            }
        }
        transaction.commit().map_err(failed)?;
        Ok(refused)
    }
}

impl Sink for Sqlite {
    fn prepare(&mut self, targets: &[Target]) -> Result<Vec<Key>, Error> {
        let keys = schema::keys(targets, &self.schema.tables).map_err(|difference| {
            Error::Schema(format!(
                "schema.cql is not what the plugin writes:\n{difference}"
            ))
        })?;
        self.targets = targets.to_vec();
        Ok(keys)
    }

    fn start(&mut self, batch: &Arc<Transformed>) {
        self.batch = Some(batch.clone());
    }

    /// Writes the batch, as one transaction: it takes a tenth of a second at most.
    fn poll(&mut self, _: Duration) -> Option<Result<Vec<Refused>, Error>> {
        let batch = self
            .batch
            .take()
            .expect("a batch is started before it is waited for");
        Some(self.write(&batch))
    }
}

fn store(path: &Path) -> String {
    format!("SQLite in {}", path.display())
}

/// Opens a keyspace's file, with the tables of the schema in it.
fn connect(config: &Config) -> Result<(Connection, Schema), Error> {
    check_name("keyspace", &config.keyspace)?;
    let schema = Schema::parse(&config.schema).map_err(|error| Error::Schema(error.to_string()))?;
    let store = store(&config.path());
    std::fs::create_dir_all(&config.directory).map_err(|error| Error::Refused {
        store: store.clone(),
        reason: error.to_string(),
    })?;
    let failed = |error: rusqlite::Error| failure(&store, &error);
    let connection = Connection::open(config.path()).map_err(failed)?;
    connection.busy_timeout(BUSY_MAX).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection
        .pragma_update(None, "journal_mode", "wal")
        .map_err(failed)?;
    // What is acknowledged here is committed in Kafka: it must outlast a loss of power.
    connection
        .pragma_update(None, "synchronous", "full")
        .map_err(failed)?;
    for table in &schema.tables {
        connection
            .execute(&statement::create(table), ())
            .map_err(failed)?;
        check(&connection, config, table)?;
    }
    Ok((connection, schema))
}

/// Compares the file with the schema, and makes nothing: the tables that it lacks; `None`, if there is no
/// file. What is lacking is made when the file is opened for writing.
///
/// # Errors
/// If the file cannot be read, or has other tables than the schema says.
pub fn missing(config: &Config) -> Result<Option<Vec<String>>, Error> {
    check_name("keyspace", &config.keyspace)?;
    let schema = Schema::parse(&config.schema).map_err(|error| Error::Schema(error.to_string()))?;
    let path = config.path();
    if !path.exists() {
        return Ok(None);
    }
    let failed = |error: rusqlite::Error| failure(&store(&path), &error);
    let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let connection = connection.map_err(failed)?;
    let is_made = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
    let mut missing = Vec::new();
    for table in &schema.tables {
        let made: i64 = connection
            .query_row(is_made, [&table.name], |row| row.get(0))
            .map_err(failed)?;
        if made > 0 {
            check(&connection, config, table)?;
        } else {
            missing.push(table.name.clone());
        }
    }
    Ok(Some(missing))
}

/// Compares a table in the file with the schema: it may have been made from another one.
fn check(connection: &Connection, config: &Config, table: &schema::Table) -> Result<(), Error> {
    let store = store(&config.path());
    let failed = |error: rusqlite::Error| failure(&store, &error);
    let mut columns = connection
        .prepare("SELECT name, type, pk FROM pragma_table_info(?1)")
        .map_err(failed)?;
    let live = columns
        .query_map([&table.name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .and_then(Iterator::collect::<Result<Vec<(String, String, i64)>, _>>)
        .map_err(failed)?;
    if live == statement::layout(table) {
        return Ok(());
    }
    let (path, name) = (config.path(), &table.name);
    Err(Error::Schema(format!(
        "table `{name}` in {} was made from another schema; move the file away to have it made anew",
        path.display()
    )))
}

/// Writes a row; those cells that are unset have no place in the statement.
fn insert(
    statement: &mut rusqlite::CachedStatement<'_>,
    target: &Target,
    rows: &Rows,
    row: usize,
) -> rusqlite::Result<()> {
    let mut place = 1;
    for (cell, column) in rows.cells(row).zip(&target.columns) {
        match cell {
            Cell::Unset => continue,
            Cell::Null => statement.raw_bind_parameter(place, rusqlite::types::Null)?,
            Cell::Value(cell) => statement.raw_bind_parameter(place, stored(column.kind, cell))?,
        }
        place += 1;
    }
    statement.raw_bind_parameter(place, rows.write_times[row])?;
    statement.raw_execute().map(|_| ())
}

/// A cell as SQLite stores it.
fn stored(kind: CqlType, cell: &[u8]) -> ToSqlOutput<'_> {
    let owned = match kind {
        CqlType::Ascii | CqlType::Text => return ToSqlOutput::Borrowed(ValueRef::Text(cell)),
        CqlType::Blob | CqlType::Decimal | CqlType::Varint | CqlType::Duration => {
            return ToSqlOutput::Borrowed(ValueRef::Blob(cell));
        }
        CqlType::Time => match cell.try_into() {
            Ok(nanoseconds) => Owned::Integer(i64::from_be_bytes(nanoseconds)),
            Err(_) => Owned::Null,
        },
        CqlType::Boolean
        | CqlType::Tinyint
        | CqlType::Smallint
        | CqlType::Int
        | CqlType::Bigint
        | CqlType::Float
        | CqlType::Double
        | CqlType::Timestamp
        | CqlType::Date
        | CqlType::Uuid
        | CqlType::Timeuuid
        | CqlType::Inet => match Value::of_cell(kind, cell) {
            Value::Null => Owned::Null,
            Value::Text(text) => Owned::Text(text),
            Value::Integer(number) | Value::Timestamp(number) => Owned::Integer(number),
            Value::Float(number) => real(number.into()),
            Value::Double(number) => real(number),
            Value::Boolean(yes) => Owned::Integer(yes.into()),
            Value::Blob(bytes) => Owned::Blob(bytes),
        },
    };
    ToSqlOutput::Owned(owned)
}

/// A number as SQLite stores it: `NaN`, of which it would make a null, as text, which no number is.
/// There too it is greater than any.
fn real(number: f64) -> Owned {
    if number.is_nan() {
        Owned::Text("NaN".into())
    } else {
        Owned::Real(number)
    }
}

/// Whether a row is to blame, not the store.
fn is_rows_fault(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
    )
}

fn failure(store: &str, error: &rusqlite::Error) -> Error {
    let (store, reason) = (store.to_owned(), error.to_string());
    let code = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "busy",
        Some(ErrorCode::DiskFull) => "disk_full",
        Some(ErrorCode::SystemIoFailure) => "io_error",
        _ => return Error::Refused { store, reason },
    };
    Error::Unavailable {
        store,
        code,
        reason,
    }
}

#[cfg(test)]
mod tests;
