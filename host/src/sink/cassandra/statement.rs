//! A target's statement, and rows as they are bound to it.

use std::sync::OnceLock;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::errors::ExecutionError;
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use scylla::statement::Consistency;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;

use super::Config;
use super::plan::UNIT_ROWS_MAX;
use super::session::Failure;
use crate::message::WriteTime;
use crate::row::{Cell, Cells, Operation, Rows, Target};
use crate::sink::Error;
use crate::sink::schema::{check_name, token};

/// The statement of a target.
pub(super) struct Statement {
    prepared: PreparedStatement,
    operation: Operation,
    consistency: Consistency,
    /// By size, made when first needed: making one clones the statement for each row.
    batches: Vec<OnceLock<Batch>>,
}

impl Statement {
    pub(super) async fn prepare(
        session: &Session,
        config: &Config,
        target: &Target,
        consistency: Consistency,
    ) -> Result<Self, Error> {
        let prepared = session.prepare(text(config, target)?).await;
        let mut prepared =
            prepared.map_err(|error| Failure::of(config, &error.into()).into_error(config))?;
        prepared.set_is_idempotent(true);
        prepared.set_consistency(consistency);
        Ok(Self {
            prepared,
            operation: target.operation,
            consistency,
            batches: (0..=UNIT_ROWS_MAX).map(|_| OnceLock::new()).collect(),
        })
    }

    /// A row as this statement binds it.
    pub(super) fn bound<'a>(&self, rows: &'a Rows, row: usize) -> Values<'a> {
        Values {
            cells: rows.cells(row),
            write_time: rows.write_times[row],
            operation: self.operation,
            message: rows.sources[row] as usize,
        }
    }

    /// Writes rows in one request.
    pub(super) async fn send(
        &self,
        session: &Session,
        rows: &[Values<'_>],
    ) -> Result<(), ExecutionError> {
        if let [row] = rows {
            session.execute_unpaged(&self.prepared, row).await?;
        } else {
            let batch = self.batches[rows.len()].get_or_init(|| self.batch(rows.len()));
            session.batch(batch, rows).await?;
        }
        Ok(())
    }

    fn batch(&self, rows: usize) -> Batch {
        let prepared = BatchStatement::PreparedStatement(self.prepared.clone());
        let mut batch = Batch::new_with_statements(BatchType::Unlogged, vec![prepared; rows]);
        batch.set_is_idempotent(true);
        batch.set_consistency(self.consistency);
        batch
    }
}

fn text(config: &Config, target: &Target) -> Result<String, Error> {
    check_name("table", &target.table)?;
    for column in &target.columns {
        check_name("column", &column.name)?;
    }
    let table = format!(
        "{}.{}",
        token::quote(&config.keyspace),
        token::quote(&target.table)
    );
    let names: Vec<_> = target
        .columns
        .iter()
        .map(|column| token::quote(&column.name))
        .collect();
    Ok(match target.operation {
        Operation::Upsert => {
            let ttl = config
                .ttl
                .map(|ttl| format!("TTL {} AND ", ttl.max(Duration::from_secs(1)).as_secs()));
            let (names, values) = (names.join(", "), vec!["?"; names.len()].join(", "));
            let ttl = ttl.unwrap_or_default();
            format!("INSERT INTO {table} ({names}) VALUES ({values}) USING {ttl}TIMESTAMP ?")
        }
        Operation::Delete => {
            let key = names.join(" = ? AND ");
            format!("DELETE FROM {table} USING TIMESTAMP ? WHERE {key} = ?")
        }
    })
}

/// A row as it is bound: its cells are sent as they are, with the write time beside them.
#[derive(Clone)]
pub(super) struct Values<'a> {
    cells: Cells<'a>,
    write_time: WriteTime,
    operation: Operation,
    /// The message it comes from: an index into the batch.
    pub(super) message: usize,
}

impl SerializeRow for Values<'_> {
    fn serialize(
        &self,
        _: &RowSerializationContext<'_>,
        row: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        let write_time = self.write_time.to_be_bytes();
        let set = |row: &mut RowWriter<'_>, cell: &[u8]| {
            row.make_cell_writer()
                .set_value(cell)
                .map(|_| ())
                .map_err(SerializationError::new)
        };
        if self.operation == Operation::Delete {
            set(row, &write_time)?;
        }
        for cell in self.cells.clone() {
            match cell {
                Cell::Value(cell) => set(row, cell)?,
                Cell::Null => drop(row.make_cell_writer().set_null()),
                Cell::Unset => drop(row.make_cell_writer().set_unset()),
            }
        }
        if self.operation == Operation::Upsert {
            set(row, &write_time)?;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        false
    }
}
