//! `[produce]` of `pipeline.toml`: what a pipeline's messages look like.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// What the messages of a pipeline look like, and how they come.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// How many names are made up.
    pub people: usize,
    /// One more name, which stays the same.
    pub me: String,
    /// The time from one burst to the next: a message for each person.
    #[serde(deserialize_with = "duration")]
    pub every: Duration,
    /// How many bursts.
    pub bursts: u64,
    /// How batches are compressed: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    #[serde(default = "none")]
    pub compression: String,
    /// The members of each message, a JSON object, in this order.
    pub members: Vec<Member>,
}

fn none() -> String {
    "none".to_owned()
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(serde::de::Error::custom)
}

/// A member of each message.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What stands there.
    pub value: Value,
}

/// What stands in a member of a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Value {
    /// A person's name: each in turn.
    Person,
    /// A cell of a lookup's column, any that is not empty.
    Cell {
        /// The lookup.
        lookup: String,
        /// The column.
        column: String,
    },
    /// The time in milliseconds since 1970. No two messages of a person have the same.
    NowMs,
    /// The time as ISO 8601 has it, in UTC, with milliseconds.
    NowIso,
    /// A whole number from the first to the second.
    Range(i64, i64),
}

impl TryFrom<String> for Value {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let range = || {
            let (first, last) = text.split_once("..")?;
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some(Self::Range(first, last))
        };
        let cell = || {
            let (lookup, column) = text.split_once('.')?;
            let is_named = !lookup.is_empty() && !column.is_empty();
            is_named.then(|| Self::Cell {
                lookup: lookup.to_owned(),
                column: column.to_owned(),
            })
        };
        match text.as_str() {
            "person" => Ok(Self::Person),
            "now_ms" => Ok(Self::NowMs),
            "now_iso" => Ok(Self::NowIso),
            other if other.contains("..") => range().ok_or_else(|| {
                format!("`{other}` is no range: say two whole numbers, the smaller first: 1..10")
            }),
            other => cell().ok_or_else(|| {
                format!(
                    "`{other}` is no value: say person, now_ms, now_iso, 1..10, or LOOKUP.COLUMN"
                )
            }),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person => f.write_str("person"),
            Self::Cell { lookup, column } => write!(f, "{lookup}.{column}"),
            Self::NowMs => f.write_str("now_ms"),
            Self::NowIso => f.write_str("now_iso"),
            Self::Range(first, last) => write!(f, "{first}..{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_written_alike() {
        for text in ["person", "now_ms", "now_iso", "1..10", "-5..-5", "a.b.c"] {
            let value = Value::try_from(text.to_owned()).unwrap();
            assert_eq!(value.to_string(), text);
        }
        for text in ["", "now", ".b", "a.", "10..1", "1..", "a..b"] {
            let refused = Value::try_from(text.to_owned()).unwrap_err();
            assert!(refused.contains(text), "{refused}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        let text = "people = 1\nme = \"A\"\nevery = \"10s\"\nbursts = 1\nmembers = []\n";
        let description: Description = toml::from_str(text).unwrap();
        assert_eq!(description.every, Duration::from_secs(10));
        assert_eq!(description.compression, "none");
        toml::from_str::<Description>(&format!("burst = 1\n{text}")).unwrap_err();
    }
}
