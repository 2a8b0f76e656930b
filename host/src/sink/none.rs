//! Rows into nothing: to measure all else, or to see what a plugin rejects.

use std::sync::Arc;
use std::time::Duration;

use super::schema::{self, Schema};
use super::{Error, Refused, Sink};
use crate::row::{Key, Target, Transformed};

/// A sink that acknowledges every row and keeps none.
pub struct None {
    schema: Schema,
}

impl None {
    /// A sink for the tables of a schema file: they are checked as a store's would be.
    ///
    /// # Errors
    /// If the schema cannot be read.
    pub fn open(schema: &str) -> Result<Self, Error> {
        let schema = Schema::parse(schema).map_err(|error| Error::Schema(error.to_string()))?;
        Ok(Self { schema })
    }
}

impl Sink for None {
    fn prepare(&mut self, targets: &[Target]) -> Result<Vec<Key>, Error> {
        schema::keys(targets, &self.schema.tables).map_err(|difference| {
            Error::Schema(format!(
                "schema.cql is not what the plugin writes:\n{difference}"
            ))
        })
    }

    fn start(&mut self, _: &Arc<Transformed>) {}

    fn poll(&mut self, _: Duration) -> Option<Result<Vec<Refused>, Error>> {
        Some(Ok(Vec::new()))
    }
}
