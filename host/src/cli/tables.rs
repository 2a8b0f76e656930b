//! Which pipeline's tables a verb is about, and where they are.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::run::assemble::own_name;
use crate::config::{self, Found};
use crate::query;
use crate::sink::{cassandra, sqlite};

/// A store of tables, as `--sink` names it.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Cassandra,
    Sqlite(PathBuf),
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("sqlite:") {
            Some(directory) if !directory.is_empty() => Ok(Self::Sqlite(directory.into())),
            None if text == "cassandra" => Ok(Self::Cassandra),
            Some(_) | None => Err("expected cassandra or sqlite:DIR".to_owned()),
        }
    }
}

/// Where the tables are.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Place {
    /// Cassandra nodes to begin with [default: localhost:9042]
    #[arg(long, value_name = "HOST:PORT,..", value_delimiter = ',')]
    cassandra: Vec<String>,
    /// Where the tables are: cassandra, or sqlite:DIR [default: cassandra]
    #[arg(long, value_name = "cassandra|sqlite:DIR")]
    sink: Option<Kind>,
    /// The keyspace of the tables [default: the pipeline's]
    #[arg(long)]
    keyspace: Option<String>,
}

impl Place {
    /// This place, where it says something, and else the other one.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            cassandra: if self.cassandra.is_empty() {
                other.cassandra
            } else {
                self.cassandra
            },
            sink: self.sink.or(other.sink),
            keyspace: self.keyspace.or(other.keyspace),
        }
    }

    /// The flags that lead to the same place, each after a blank.
    pub(super) fn typed(&self) -> String {
        let nodes = Some(self.cassandra.join(",")).filter(|nodes| !nodes.is_empty());
        let sink = match &self.sink {
            Some(Kind::Sqlite(directory)) => Some(format!("sqlite:{}", directory.display())),
            Some(Kind::Cassandra) | None => None,
        };
        let flags = [
            (" --cassandra ", nodes),
            (" --sink ", sink),
            (" --keyspace ", self.keyspace.clone()),
        ];
        let given = flags.into_iter().filter_map(|(flag, value)| {
            let value = value?;
            Some(format!("{flag}{}", shell_words::quote(&value)))
        });
        given.collect()
    }

    pub(super) fn kind(&self) -> Kind {
        self.sink.clone().unwrap_or(Kind::Cassandra)
    }

    /// The keyspace of a pipeline's tables.
    pub(super) fn keyspace(&self, file: &config::File) -> String {
        self.keyspace
            .clone()
            .unwrap_or_else(|| file.cassandra.keyspace.clone())
    }

    pub(super) fn cassandra(&self, found: &Found) -> anyhow::Result<cassandra::Reader> {
        let file = &found.file;
        let mut config = cassandra::Config::new(self.keyspace(file));
        config.pipeline = Some(file.name.clone());
        config.contact_points = if self.cassandra.is_empty() {
            file.cassandra.contact_points.clone()
        } else {
            self.cassandra.clone()
        };
        config
            .local_datacenter
            .clone_from(&file.cassandra.local_datacenter);
        file.cassandra.enter(found.folder.as_deref(), &mut config)?;
        Ok(cassandra::Reader::open(&config)?)
    }

    pub(super) fn sqlite(
        &self,
        directory: &Path,
        file: &config::File,
        schema: &str,
    ) -> sqlite::Config {
        sqlite::Config {
            directory: directory.to_owned(),
            keyspace: self.keyspace(file),
            schema: schema.to_owned(),
        }
    }

    /// The store, to be asked.
    pub(super) fn open(&self, found: &Found) -> anyhow::Result<query::Store> {
        Ok(match self.kind() {
            Kind::Cassandra => query::Store::Cassandra(self.cassandra(found)?),
            Kind::Sqlite(directory) => {
                let schema = &found.schema("SQLite")?.text;
                let config = self.sqlite(&directory, &found.file, schema);
                // Asking must not make an empty file of a mistyped directory.
                anyhow::ensure!(
                    config.path().is_file(),
                    "there is no {}",
                    config.path().display()
                );
                query::Store::Sqlite(sqlite::Reader::open(&config)?)
            }
        })
    }
}

/// The pipeline of a carried name or a path.
pub(super) fn pipeline(what: &str) -> anyhow::Result<Found> {
    config::find(what, None, &[], own_name)
}
