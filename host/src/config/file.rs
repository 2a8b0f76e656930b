//! `pipeline.toml` as typed, with the environment over it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::Error;
use crate::produce;

/// A pipeline's configuration file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The pipeline's name.
    pub name: String,
    /// The topic it reads.
    pub topic: String,
    /// Where its tables' schema is, from the file's folder; `schema.cql` beside it, if not given.
    pub schema: Option<PathBuf>,
    /// Where its tables' queries are, from the file's folder; `queries.cql` beside it, if not given.
    pub queries: Option<PathBuf>,
    /// The plugin.
    pub plugin: PluginSection,
    /// Where reference data is.
    #[serde(default)]
    pub lookups: BTreeMap<String, LookupSection>,
    /// What to do with the plugin's rejections, by code.
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
    /// Where dead letters go.
    #[serde(default)]
    pub dead_letters: DeadLetters,
    /// What `host produce` makes.
    pub produce: Option<produce::Description>,
    /// What `host demo` shows in the end.
    pub demo: Option<DemoSection>,
}

/// `[plugin]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginSection {
    /// The component, from the file's folder.
    pub path: PathBuf,
    /// Handed to the plugin's `init` as JSON.
    #[serde(default)]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// What it may use.
    #[serde(default)]
    pub limits: LimitsSection,
}

/// `[plugin.limits]`: what is given replaces a default of the plugin room.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsSection {
    /// The memory of an instance, in bytes.
    pub memory_max: Option<usize>,
    /// What one call may hand over, in bytes.
    pub output_max: Option<usize>,
    /// The longest a call may take.
    #[serde(default, deserialize_with = "duration")]
    pub call_max: Option<Duration>,
}

/// `[lookups.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupSection {
    /// The CSV file, from the folder of `pipeline.toml`.
    pub path: PathBuf,
    /// Whether its first line names the columns.
    #[serde(default = "yes")]
    pub header: bool,
}

fn yes() -> bool {
    true
}

/// What becomes of a rejected message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is kept as a dead letter.
    DeadLetter,
    /// It is counted as left out.
    Filter,
}

/// `[kafka]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSection {
    /// Where brokers are looked for first.
    pub brokers: Option<String>,
    /// The consumer group.
    pub group: Option<String>,
    /// Properties of librdkafka, but those that the host owns.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// `[cassandra]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CassandraSection {
    /// Where nodes are looked for first.
    pub contact_points: Option<Vec<String>>,
    /// The data centre whose nodes are asked; the first contact's, if not given.
    pub local_datacenter: Option<String>,
    /// The keyspace of the pipeline's tables.
    pub keyspace: String,
    /// How many replicas must acknowledge: a level as CQL names it.
    pub consistency: Option<String>,
    /// How long rows live.
    #[serde(default, deserialize_with = "duration")]
    pub ttl: Option<Duration>,
}

/// `[batch]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchSection {
    /// The time from one batch to the next; none, if batches close as soon as they can.
    #[serde(default, deserialize_with = "duration")]
    pub interval: Option<Duration>,
    /// The most messages in a batch.
    pub messages_max: Option<usize>,
    /// The most bytes in a batch.
    pub bytes_max: Option<usize>,
}

/// Where dead letters go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeadLetters {
    /// To a topic beside the one that is read, or to a file beside SQLite's.
    #[default]
    On,
    /// Nowhere: rejected messages count as left out.
    Off,
}

/// `[demo]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoSection {
    /// A query with its parameters, as it is typed; `{me}`, `{hour}` and the like stand for what the
    /// demo's messages had.
    pub query: String,
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let parse = |text: String| humantime::parse_duration(&text).map_err(serde::de::Error::custom);
    text.map(parse).transpose()
}

/// The prefix of variables that stand over the file: `SLUICE_KAFKA__BROKERS` over `brokers` in
/// `[kafka]`.
const PREFIX: &str = "SLUICE_";

impl File {
    /// Reads a file's text, with the environment over it.
    ///
    /// # Errors
    /// [`Error::Invalid`], pointing at the place.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        Self::parse_with(name, text, std::env::vars())
    }

    fn parse_with(
        name: &str,
        text: &str,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let invalid = |error: toml::de::Error| Error::Invalid {
            name: name.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        };
        // The text alone first: its errors point into the file.
        let file: Self = toml::from_str(text).map_err(invalid)?;
        let mut table: toml::Table = toml::from_str(text).map_err(invalid)?;
        let mut is_changed = false;
        for (variable, value) in variables {
            if let Some(path) = variable.strip_prefix(PREFIX)
                && path.contains("__")
            {
                let path = path.to_lowercase();
                set(&mut table, &path.split("__").collect::<Vec<_>>(), &value);
                is_changed = true;
            }
        }
        if !is_changed {
            return Ok(file);
        }
        table.try_into().map_err(|error| Error::Invalid {
            name: format!("{name} with the environment's {PREFIX}* over it"),
            reason: error.to_string().trim_end().to_owned(),
        })
    }
}

/// Puts a value where its path leads: a number or a boolean, if it reads as one.
fn set(table: &mut toml::Table, path: &[&str], value: &str) {
    let (first, rest) = path.split_first().expect("`split` gives at least one part");
    if rest.is_empty() {
        let parsed = format!("v = {value}").parse::<toml::Table>().ok();
        let parsed = parsed.and_then(|mut table| table.remove("v"));
        let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
        table.insert((*first).to_owned(), value);
        return;
    }
    let section = table
        .entry(*first)
        .or_insert_with(|| toml::Table::new().into());
    if let Some(section) = section.as_table_mut() {
        set(section, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str =
        "name = 'a'\ntopic = 't'\n[plugin]\npath = 'a.wasm'\n[cassandra]\nkeyspace = 'k'\n";

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<File, Error> {
        let variables = variables.iter().map(|&(k, v)| (k.to_owned(), v.to_owned()));
        File::parse_with("pipeline.toml", text, variables)
    }

    #[test]
    fn the_environment_stands_over_the_file() {
        let variables = [
            ("SLUICE_KAFKA__BROKERS", "b:1"),
            ("SLUICE_BATCH__INTERVAL", "30s"),
            ("SLUICE_BATCH__MESSAGES_MAX", "17"),
            ("SLUICE_LOG", "debug"),
            ("OTHER__THING", "x"),
        ];
        let file = parse(SMALL, &variables).unwrap();
        assert_eq!(file.kafka.brokers.as_deref(), Some("b:1"));
        assert_eq!(file.batch.interval, Some(Duration::from_secs(30)));
        assert_eq!(file.batch.messages_max, Some(17));
    }

    #[test]
    fn errors_point_at_the_place() {
        #[track_caller]
        fn check(text: &str, variables: &[(&str, &str)], expected: &[&str]) {
            let error = parse(text, variables).unwrap_err().to_string();
            for part in expected {
                assert!(error.contains(part), "{error}\nlacks {part}");
            }
        }
        check(
            &format!("{SMALL}keyspaces = 'x'\n"),
            &[],
            &["line 7", "keyspaces", "keyspace"],
        );
        check("name = 'a'\n", &[], &["missing field `topic`"]);
        check(
            &SMALL.replace("'t'", "7"),
            &[],
            &["line 2", "invalid type: integer `7`"],
        );
        check(
            &format!("{SMALL}ttl = 'soon'\n"),
            &[],
            &["line 7", "expected number"],
        );
        check(
            SMALL,
            &[("SLUICE_KAFKA__BROKER", "b:1")],
            &["environment", "unknown field `broker`"],
        );
    }
}
