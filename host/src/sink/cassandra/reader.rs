//! Reading tables and running statements, for verbs and checks: nothing here is in a message's way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::cluster::metadata::{ColumnType, NativeType};
use scylla::deserialize::row::ColumnIterator;
use scylla::response::query_result::QueryResult;
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use tokio::runtime::Runtime;

use super::Config;
use super::session::{self, Failure};
use crate::row::CqlType;
use crate::sink::schema::{Table, check_name};
use crate::sink::value::Value;
use crate::sink::{Answer, Error, Parameter};

/// The nodes, as one of them tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The version of the node that answered.
    pub version: String,
    /// The data centres that there are.
    pub datacenters: BTreeSet<String>,
    /// Whether there is the configured keyspace.
    pub has_keyspace: bool,
}

/// A session for reading.
pub struct Reader {
    config: Config,
    session: Arc<Session>,
    runtime: Runtime,
}

impl Reader {
    /// Connects.
    ///
    /// # Errors
    /// When no node answers, or none lets us in.
    pub fn open(config: &Config) -> Result<Self, Error> {
        check_name("keyspace", &config.keyspace)?;
        let runtime = session::runtime().map_err(|error| Error::Refused {
            store: config.store(),
            reason: error.to_string(),
        })?;
        let session = runtime.block_on(session::connect(config))?;
        Ok(Self {
            config: config.clone(),
            session: Arc::new(session),
            runtime,
        })
    }

    /// What there is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn cluster(&self) -> Result<Cluster, Error> {
        let (session, config) = (&self.session, &self.config);
        let ask = |what: &str, from: &str| format!("SELECT {what} FROM {from}");
        let own = ask("data_center, release_version", "system.local");
        let peers = ask("data_center, release_version", "system.peers");
        let keyspaces = ask("keyspace_name", "system_schema.keyspaces");
        let nodes =
            |query| session::rows::<(Option<String>, Option<String>)>(session, config, query);
        let names = session::rows::<(String,)>(session, config, keyspaces);
        let asked = async { tokio::try_join!(nodes(own), nodes(peers), names) };
        let (own, peers, names) = self.runtime.block_on(asked)?;
        let version = own.first().and_then(|(_, version)| version.clone());
        let nodes = own.into_iter().chain(peers);
        Ok(Cluster {
            version: version.unwrap_or_default(),
            datacenters: nodes.filter_map(|(datacenter, _)| datacenter).collect(),
            has_keyspace: names.iter().any(|(name,)| *name == config.keyspace),
        })
    }

    /// The live tables of the keyspace; none if there is no such keyspace.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn tables(&self) -> Result<Vec<Table>, Error> {
        let (tables, _) = self
            .runtime
            .block_on(session::live(&self.session, &self.config))?;
        Ok(tables)
    }

    /// Runs a statement that answers nothing.
    ///
    /// # Errors
    /// When it could not be run.
    pub fn execute(&self, statement: &str) -> Result<(), Error> {
        let run = self.session.query_unpaged(statement, ());
        self.runtime
            .block_on(run)
            .map_err(|error| self.error(&error))?;
        Ok(())
    }

    /// Runs a query, whose parameters stand in it as `?`.
    ///
    /// # Errors
    /// When it could not be run, or a parameter has not the type of its column.
    pub fn select(&self, query: &str, parameters: &[Parameter]) -> Result<Answer, Error> {
        self.runtime
            .block_on(Box::pin(self.selected(query, parameters)))
    }

    /// Runs a statement that answers nothing, whose parameters stand in it as `?`.
    ///
    /// # Errors
    /// As [`Reader::select`].
    pub fn run(&self, statement: &str, parameters: &[Parameter]) -> Result<(), Error> {
        let asked = Box::pin(self.asked(statement, parameters));
        self.runtime.block_on(asked).map(drop)
    }

    /// Lets time pass. A session that nobody drives loses its connections.
    pub fn rest(&self, time: Duration) {
        self.runtime
            .block_on(async { tokio::time::sleep(time).await });
    }

    fn refused(&self, reason: String) -> Error {
        Error::Refused {
            store: self.config.store(),
            reason,
        }
    }

    async fn asked(&self, query: &str, parameters: &[Parameter]) -> Result<QueryResult, Error> {
        let prepared = self.session.prepare(query).await;
        let prepared = prepared.map_err(|error| self.error(&error.into()))?;
        for (variable, parameter) in prepared.get_variable_col_specs().iter().zip(parameters) {
            let wanted = cql_type(variable.typ());
            if wanted != Some(parameter.kind) {
                let (name, kind) = (variable.name(), parameter.kind.name());
                let wanted = wanted.map_or("of another type", CqlType::name);
                return Err(self.refused(format!(
                    "the query gives {kind} for `{name}`, which is {wanted}"
                )));
            }
        }
        let answer = self
            .session
            .execute_unpaged(&prepared, Bound(parameters))
            .await;
        answer.map_err(|error| self.error(&error))
    }

    async fn selected(&self, query: &str, parameters: &[Parameter]) -> Result<Answer, Error> {
        let refused = |reason: String| self.refused(reason);
        let answer = self.asked(query, parameters).await?;
        let answer = answer
            .into_rows_result()
            .map_err(|error| refused(error.to_string()))?;
        let specs = answer.column_specs();
        let columns = specs
            .iter()
            .map(|column| column.name().to_owned())
            .collect();
        let mut rows = Vec::with_capacity(answer.rows_num());
        let raw = answer
            .rows::<ColumnIterator<'_, '_>>()
            .map_err(|error| refused(error.to_string()))?;
        for row in raw {
            let row = row.map_err(|error| refused(error.to_string()))?;
            let mut values = Vec::with_capacity(specs.len());
            for column in row {
                let column = column.map_err(|error| refused(error.to_string()))?;
                values.push(match (column.slice, cql_type(column.spec.typ())) {
                    (None, _) => Value::Null,
                    (Some(cell), Some(kind)) => Value::of_cell(kind, cell.as_slice()),
                    (Some(cell), None) => Value::Blob(cell.as_slice().to_vec()),
                });
            }
            rows.push(values);
        }
        Ok(Answer { columns, rows })
    }

    fn error(&self, error: &scylla::errors::ExecutionError) -> Error {
        Failure::of(&self.config, error).into_error(&self.config)
    }
}

struct Bound<'a>(&'a [Parameter]);

impl SerializeRow for Bound<'_> {
    fn serialize(
        &self,
        _: &RowSerializationContext<'_>,
        row: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        for parameter in self.0 {
            row.make_cell_writer()
                .set_value(&parameter.cell)
                .map_err(SerializationError::new)?;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn cql_type(kind: &ColumnType<'_>) -> Option<CqlType> {
    let ColumnType::Native(kind) = kind else {
        return None;
    };
    Some(match kind {
        NativeType::Ascii => CqlType::Ascii,
        NativeType::Text => CqlType::Text,
        NativeType::Blob => CqlType::Blob,
        NativeType::Boolean => CqlType::Boolean,
        NativeType::TinyInt => CqlType::Tinyint,
        NativeType::SmallInt => CqlType::Smallint,
        NativeType::Int => CqlType::Int,
        NativeType::BigInt | NativeType::Counter => CqlType::Bigint,
        NativeType::Float => CqlType::Float,
        NativeType::Double => CqlType::Double,
        NativeType::Timestamp => CqlType::Timestamp,
        NativeType::Date => CqlType::Date,
        NativeType::Time => CqlType::Time,
        NativeType::Uuid => CqlType::Uuid,
        NativeType::Timeuuid => CqlType::Timeuuid,
        NativeType::Inet => CqlType::Inet,
        NativeType::Decimal => CqlType::Decimal,
        NativeType::Varint => CqlType::Varint,
        NativeType::Duration => CqlType::Duration,
        _ => return None,
    })
}
