//! `pipeline.toml` as a type: its sections, their keys, and what holds when a key is left out.
//!
//! The doc comments here are what editors and `host config schema` tell of a key.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::Reference;
use super::security::{CassandraTls, KafkaSecurity, Properties};
use super::swap::SwapSection;
use super::{Document, Error, Flag};
use crate::sink::cassandra::{self, Consistency};
use crate::{plugin, produce, source};

/// A pipeline's configuration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "pipeline.toml")]
pub struct File {
    /// The pipeline's name.
    #[schemars(extend("x-reads" = "name"))]
    pub name: String,
    /// The topic it reads.
    #[schemars(extend("x-reads" = "topic"))]
    pub topic: String,
    /// Where its tables' schema is; `schema.cql` beside this file, if not given.
    #[schemars(extend("x-reads" = "path"))]
    pub schema: Option<PathBuf>,
    /// Where its tables' queries are; `queries.cql` beside this file, if not given.
    #[schemars(extend("x-reads" = "path"))]
    pub queries: Option<PathBuf>,
    /// Where dead letters go.
    #[serde(default)]
    pub dead_letters: DeadLetters,
    /// Whether a worker holds when more than 5 % of its last 1,000 messages became dead letters.
    #[serde(default = "yes")]
    pub breaker: bool,
    /// The plugin.
    pub plugin: PluginSection,
    /// Where reference data is, by the lookup's name.
    #[serde(default)]
    pub lookups: BTreeMap<String, LookupSection>,
    /// What becomes of the plugin's rejections, by code.
    #[serde(default)]
    pub rejections: BTreeMap<String, Verdict>,
    /// The source.
    #[serde(default)]
    pub kafka: KafkaSection,
    /// The sink.
    pub cassandra: CassandraSection,
    /// How batches are closed.
    #[serde(default)]
    pub batch: BatchSection,
    /// What a running host is asked by programs.
    #[serde(default)]
    pub admin: AdminSection,
    /// How much another version may differ where nobody is asked.
    #[serde(default)]
    pub swap: SwapSection,
    /// How the plugin is made from its sources.
    pub build: Option<BuildSection>,
    /// What `host produce` makes.
    pub produce: Option<produce::Description>,
    /// What `host demo` shows in the end.
    pub demo: Option<DemoSection>,
}

/// The name alone: what else it holds may be secret.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut file = f.debug_struct("File");
        file.field("name", &self.name).finish_non_exhaustive()
    }
}

impl File {
    /// Reads a file's text, with the environment over it.
    ///
    /// # Errors
    /// [`Error::Faults`], pointing at the places.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        Self::read(name, text, &[]).map(|(file, _)| file)
    }

    /// Reads a file's text, with the environment over it, and flags over that; and tells where
    /// each setting comes from.
    ///
    /// # Errors
    /// [`Error::Faults`], pointing at the places.
    pub fn read(name: &str, text: &str, flags: &[Flag]) -> Result<(Self, Document), Error> {
        let document = Document::read(name, text, super::variables(), flags)?;
        Ok((document.file()?, document))
    }
}

/// `[plugin]`
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginSection {
    /// The component, from this file's folder.
    #[schemars(extend("x-reads" = "path"))]
    pub path: PathBuf,
    /// Handed to the plugin as it starts, as JSON.
    #[serde(default)]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// What the plugin may use.
    #[serde(default)]
    pub limits: LimitsSection,
}

/// `[plugin.limits]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSection {
    /// The memory of an instance, in bytes.
    #[schemars(range(min = 1))]
    pub memory_max: usize,
    /// What one call may hand over, in bytes.
    #[schemars(range(min = 1))]
    pub output_max: usize,
    /// The longest that a call may take.
    #[serde(with = "duration")]
    #[schemars(with = "String", extend("x-reads" = "duration"))]
    pub call_max: Duration,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let limits = plugin::Limits::default();
        Self {
            memory_max: limits.memory_max,
            output_max: limits.output_max,
            call_max: limits.call_max,
        }
    }
}

/// `[lookups.NAME]`: a file of reference data.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupSection {
    /// The CSV file, from this file's folder.
    #[schemars(extend("x-reads" = "path"))]
    pub path: PathBuf,
    /// Whether its first line names the columns.
    #[serde(default = "yes")]
    pub header: bool,
}

fn yes() -> bool {
    true
}

/// What becomes of a rejected message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is kept as a dead letter.
    DeadLetter,
    /// It is counted as left out.
    Filter,
}

/// `[kafka]`
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSection {
    /// Where brokers are looked for first: `HOST:PORT`, with commas between them.
    #[schemars(extend("x-reads" = "addresses"))]
    pub brokers: String,
    /// The consumer group.
    #[schemars(extend("x-reads" = "name"))]
    pub group: String,
    /// Properties of librdkafka, but those that the host owns.
    #[schemars(with = "BTreeMap<String, String>")]
    pub properties: Properties,
    /// TLS and login.
    pub security: KafkaSecurity,
}

impl Default for KafkaSection {
    fn default() -> Self {
        Self {
            brokers: produce::BROKERS.to_owned(),
            group: format!("sluice-{}", super::document::NAME),
            properties: Properties::default(),
            security: KafkaSecurity::default(),
        }
    }
}

/// `[cassandra]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CassandraSection {
    /// Where nodes are looked for first: `HOST:PORT`.
    #[serde(default = "contact_points")]
    #[schemars(length(min = 1), extend("x-reads" = "addresses"))]
    pub contact_points: Vec<String>,
    /// The data centre whose nodes are asked; any, if not given.
    pub local_datacenter: Option<String>,
    /// As whom to log in.
    pub username: Option<String>,
    /// With what.
    #[schemars(with = "Option<String>", extend("x-reads" = "secret"))]
    pub password: Option<Reference>,
    /// How TLS is spoken; not at all, if not given.
    pub tls: Option<CassandraTls>,
    /// The keyspace of the pipeline's tables.
    #[schemars(extend("x-reads" = "keyspace"))]
    pub keyspace: String,
    /// How many replicas must acknowledge a row, as CQL names it; `local_quorum`, or `local_one`
    /// where there is one replica, if not given.
    #[schemars(with = "Option<String>", extend("x-reads" = "consistency"))]
    pub consistency: Option<Consistency>,
    /// How long rows live; as the table says, if not given.
    #[serde(default, deserialize_with = "duration::optional")]
    #[schemars(with = "Option<String>", extend("x-reads" = "duration"))]
    pub ttl: Option<Duration>,
    /// How long an answer is waited for. The server should give up earlier; it does after 2 s.
    #[serde(default = "request_timeout", with = "duration")]
    #[schemars(with = "String", extend("x-reads" = "duration"))]
    pub request_timeout: Duration,
}

fn request_timeout() -> Duration {
    cassandra::Config::new(String::new()).request_timeout
}

fn contact_points() -> Vec<String> {
    cassandra::Config::new(String::new()).contact_points
}

/// `[batch]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BatchSection {
    /// The time from one batch to the next; batches close as soon as they can, if not given or 0.
    #[serde(deserialize_with = "duration::optional")]
    #[schemars(with = "Option<String>", extend("x-reads" = "duration"))]
    pub interval: Option<Duration>,
    /// The most messages in a batch.
    #[schemars(range(min = 1))]
    pub messages_max: usize,
    /// The most bytes in a batch; a single larger message still makes one.
    #[schemars(range(min = 1))]
    pub bytes_max: usize,
}

impl Default for BatchSection {
    fn default() -> Self {
        let limits = source::Limits::default();
        Self {
            interval: None,
            messages_max: limits.messages_max,
            bytes_max: limits.bytes_max,
        }
    }
}

/// `[admin]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSection {
    /// Where a running host answers over HTTP: `HOST:PORT`, with the next free port where that is
    /// taken; or `off`.
    #[schemars(extend("x-reads" = "address or off"))]
    pub address: String,
    /// Names that it may be asked by, besides its address and `localhost`.
    pub hosts: Vec<String>,
}

impl Default for AdminSection {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:9464".to_owned(),
            hosts: Vec::new(),
        }
    }
}

/// Where dead letters go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeadLetters {
    /// To a topic beside the one that is read, or to a file beside SQLite's.
    #[default]
    On,
    /// Nowhere: rejected messages count as left out.
    Off,
}

/// `[build]`: how `host build` makes the plugin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildSection {
    /// What is run in this file's folder, one after another and without a shell; `NAME=VALUE` before a
    /// command sets a variable for it.
    pub commands: Vec<String>,
    /// What they make, from this file's folder: a core module, `.wat` text or a component.
    #[schemars(extend("x-reads" = "path"))]
    pub output: PathBuf,
    /// A command that succeeds where something needed is there, and how to get that where it does not.
    #[serde(default)]
    pub needs: BTreeMap<String, String>,
}

/// `[demo]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DemoSection {
    /// A query with its parameters, as it is typed; `{me}`, `{hour}` and the like stand for what the
    /// demo's messages had.
    pub query: String,
}

/// Times as people write them: `30s`.
pub(super) mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(in crate::config) fn serialize<S: Serializer>(
        time: &Duration,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*time))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text).map_err(de::Error::custom)
    }

    pub(in crate::config) fn optional<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        deserialize(from).map(Some)
    }
}
