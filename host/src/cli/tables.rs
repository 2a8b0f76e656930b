//! Which pipeline's tables a verb is about, and where they are.

use std::path::PathBuf;
use std::str::FromStr;

use super::run::assemble::own_name;
use super::run::assemble::sink::{cassandra_config, sqlite_config};
use super::settings::Settings;
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

    /// The pipeline of a carried name or a path, with its tables at this place.
    pub(super) fn pipeline(&self, what: &str) -> anyhow::Result<Found> {
        let settings = Settings {
            cassandra: self.cassandra.clone(),
            keyspace: self.keyspace.clone(),
            ..Settings::default()
        };
        pipeline(what, &settings)
    }

    /// The store, to be asked.
    pub(super) fn open(&self, found: &Found) -> anyhow::Result<query::Store> {
        Ok(match self.kind() {
            Kind::Cassandra => query::Store::Cassandra(cassandra(found)?),
            Kind::Sqlite(directory) => {
                let config = sqlite_config(&directory, found)?;
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

/// A pipeline's tables in Cassandra.
pub(super) fn cassandra(found: &Found) -> anyhow::Result<cassandra::Reader> {
    Ok(cassandra::Reader::open(&cassandra_config(found)?)?)
}

/// The pipeline of a carried name or a path, with flags over its configuration.
pub(super) fn pipeline(what: &str, settings: &Settings) -> anyhow::Result<Found> {
    config::find(what, None, &settings.flags(), own_name)
}
