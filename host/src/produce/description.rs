//! `[produce]` of `pipeline.toml`: what a pipeline's messages look like.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// What the messages of a pipeline look like, and how they come.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// How many names are made up.
    pub people: usize,
    /// One more name, which stays the same.
    #[schemars(extend("x-reads" = "name"))]
    pub me: String,
    /// Whose message is next.
    #[serde(default)]
    pub order: Order,
    /// The time from one burst to the next.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String", extend("x-reads" = "duration"))]
    pub every: Duration,
    /// How many messages a burst has; one for each person, if not given.
    pub burst: Option<NonZeroU64>,
    /// How many bursts; without end, if not given.
    pub bursts: Option<NonZeroU64>,
    /// How batches are compressed: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    #[serde(default = "none")]
    pub compression: String,
    /// Whether each message is shown as it is sent.
    #[serde(default)]
    pub print: bool,
    /// CSV files that only the producer takes cells from, by name.
    #[serde(default)]
    pub lists: BTreeMap<String, List>,
    /// The members of each message, a JSON object, in this order.
    pub members: Vec<Member>,
}

/// Whose message is next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Each person's in turn.
    #[default]
    Turns,
    /// Anybody's.
    Random,
}

/// A CSV file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Where it is, from this file's folder.
    #[schemars(extend("x-reads" = "path"))]
    pub path: PathBuf,
    /// Whether its first line names the columns. If not, they are called 1, 2 and so on.
    #[serde(default = "yes")]
    pub header: bool,
}

fn yes() -> bool {
    true
}

fn none() -> String {
    "none".to_owned()
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(serde::de::Error::custom)
}

/// A member of each message.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What stands there: `person`, `now_ms`, `now_iso`, `now_iso_micros`, `now_minute`, `1..10`, or
    /// the `LIST.COLUMN` or `LOOKUP.COLUMN` that cells are taken from.
    #[schemars(with = "String", extend("x-reads" = "value"))]
    pub value: Value,
}

/// What stands in a member of a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Value {
    /// A person's name.
    Person,
    /// A cell of a list's or lookup's column, any that is not empty.
    Cell {
        /// The list or lookup.
        list: String,
        /// The column.
        column: String,
    },
    /// The time. No two messages of a person have the same millisecond.
    Now(Clock),
    /// A whole number from the first to the second.
    Range(i64, i64),
}

/// How a time is written; always in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Milliseconds since 1970: `1772467501123`.
    Ms,
    /// ISO 8601 with milliseconds and zone: `2026-03-02T16:05:01.123Z`.
    Iso,
    /// ISO 8601 with microseconds and no zone: `2026-03-02T16:05:01.123456`.
    IsoMicros,
    /// Minutes: `2026-03-02 16:05`.
    Minute,
}

impl Clock {
    const ALL: [(&'static str, Self); 4] = [
        ("now_ms", Self::Ms),
        ("now_iso", Self::Iso),
        ("now_iso_micros", Self::IsoMicros),
        ("now_minute", Self::Minute),
    ];
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
            let (list, column) = text.split_once('.')?;
            let is_named = !list.is_empty() && !column.is_empty();
            is_named.then(|| Self::Cell {
                list: list.to_owned(),
                column: column.to_owned(),
            })
        };
        if text == "person" {
            return Ok(Self::Person);
        }
        if let Some((_, clock)) = Clock::ALL.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Now(*clock));
        }
        if text.contains("..") {
            return range().ok_or_else(|| {
                format!("`{text}` is no range: say two whole numbers, the smaller first: 1..10")
            });
        }
        cell().ok_or_else(|| {
            let clocks = Clock::ALL.map(|(name, _)| name).join(", ");
            format!("`{text}` is no value: say person, {clocks}, 1..10, or LIST.COLUMN")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        let cell = |list: &str, column: &str| Value::Cell {
            list: list.to_owned(),
            column: column.to_owned(),
        };
        for (text, expected) in [
            ("person", Value::Person),
            ("now_ms", Value::Now(Clock::Ms)),
            ("now_iso", Value::Now(Clock::Iso)),
            ("now_iso_micros", Value::Now(Clock::IsoMicros)),
            ("now_minute", Value::Now(Clock::Minute)),
            ("1..10", Value::Range(1, 10)),
            ("-5..-5", Value::Range(-5, -5)),
            ("a.b.c", cell("a", "b.c")),
            ("titles.1", cell("titles", "1")),
        ] {
            assert_eq!(Value::try_from(text.to_owned()), Ok(expected));
        }
        for text in ["", "now", "now_micros", ".b", "a.", "10..1", "1..", "a..b"] {
            let refused = Value::try_from(text.to_owned()).unwrap_err();
            assert!(refused.contains(text), "{refused}");
        }
    }

    const SMALL: &str = "people = 1\nme = \"A\"\nevery = \"10s\"\nmembers = []\n";

    #[test]
    fn what_is_not_said_has_defaults() {
        let description: Description = toml::from_str(SMALL).unwrap();
        assert_eq!(description.every, Duration::from_secs(10));
        assert_eq!(description.order, Order::Turns);
        assert_eq!((description.burst, description.bursts), (None, None));
        assert_eq!(description.compression, "none");
        assert!(!description.print && description.lists.is_empty());
        let list: List = toml::from_str("path = \"a.csv\"").unwrap();
        assert!(list.header);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let check = |line: &str, expected: &str| {
            let refused = toml::from_str::<Description>(&format!("{line}\n{SMALL}"));
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(expected), "{line}: {refused}");
        };
        check("order = \"any\"", "`turns` or `random`");
        check("burst = 0", "nonzero");
        check("bursts = 0", "nonzero");
        check("bursts = -1", "nonzero");
        check("print = \"yes\"", "boolean");
        check("brust = 1", "unknown field `brust`");
        check("lists.titles = { header = false }", "missing field `path`");
        check(
            "lists.titles = { path = \"a\", heading = false }",
            "unknown field `heading`",
        );
    }
}
