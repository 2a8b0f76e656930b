//! What is told of a message, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::super::dlq::escaped;
use crate::archive::cassandra::Begun;
use crate::message::{Batch, WriteTime};
use crate::row::{Operation, Transformed};
use crate::sink::value::Value;

/// What is known of a message.
pub(super) struct Explained {
    pub(super) topic: String,
    /// The offset that the group goes on with.
    pub(super) next: Option<i64>,
    /// In which generation it was read last.
    pub(super) begun: Begun,
    /// The plugin's name and version.
    pub(super) plugin: String,
    pub(super) fate: Fate,
    /// The message, alone.
    pub(super) batch: Batch,
}

/// What the version makes of a message.
pub(super) enum Fate {
    Rows(Vec<Row>),
    Rejected {
        stage: &'static str,
        code: String,
        reason: String,
    },
    Filtered {
        code: String,
    },
}

/// A row that the version makes, and what stands under its key.
pub(super) struct Row {
    pub(super) table: String,
    pub(super) operation: Operation,
    /// By column; none, where the column is left as it is.
    pub(super) values: Vec<(String, Option<Value>)>,
    /// The same columns of the table, and behind them the write time, if it has one.
    pub(super) stands: Option<Vec<Value>>,
    /// The earliest write time that the row can have, in microseconds.
    pub(super) written: WriteTime,
}

/// How a row and its table compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Same,
    Other,
    Older,
    Gone,
}

impl Fate {
    /// Of one message.
    pub(super) fn of(transformed: &Transformed, rows: Vec<Row>) -> Self {
        if let Some(rejected) = transformed.rejected.first() {
            Self::Rejected {
                stage: rejected.stage.name(),
                code: rejected.code.to_string(),
                reason: rejected.reason.clone(),
            }
        } else if let Some(filtered) = transformed.filtered.first() {
            Self::Filtered {
                code: filtered.code.to_string(),
            }
        } else {
            Self::Rows(rows)
        }
    }
}

impl Row {
    fn stands(&self) -> Stands {
        let Some(stands) = &self.stands else {
            return Stands::Gone;
        };
        if self.written_at().is_some_and(|at| at < self.written) {
            return Stands::Older;
        }
        let made = self.values.iter().zip(stands);
        let is_same = made
            .into_iter()
            .all(|((_, value), stands)| value.as_ref().is_none_or(|value| value == stands));
        if is_same && self.operation == Operation::Upsert {
            Stands::Same
        } else {
            Stands::Other
        }
    }

    /// When what stands there was written, in microseconds since 1970.
    fn written_at(&self) -> Option<WriteTime> {
        let last = self.stands.as_ref()?.get(self.values.len())?;
        if let Value::Integer(at) = last {
            return Some(*at);
        }
        None
    }

    /// What a person wants to know first.
    fn verdict(&self) -> &'static str {
        match (self.operation, self.stands()) {
            (Operation::Delete, Stands::Gone) => "deletes a row, which is not in the table",
            (Operation::Delete, _) => "deletes a row, and one stands there: written again later",
            (Operation::Upsert, Stands::Same) => "stands in the table as it was made",
            (Operation::Upsert, Stands::Other) => {
                "stands in the table with other values: written again later"
            }
            (Operation::Upsert, Stands::Older) => {
                "is not in the table, where an earlier write stands: it is not written yet"
            }
            (Operation::Upsert, Stands::Gone) => {
                "is not in the table: not written yet, deleted, or expired"
            }
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{} {}\n", self.table, self.verdict());
        for (index, (name, value)) in self.values.iter().enumerate() {
            let Some(value) = value else { continue };
            let shown = |value: &Value| escaped(value.to_string().as_bytes());
            let other = self.stands.as_ref().and_then(|stands| stands.get(index));
            let other = other.filter(|other| *other != value).map(shown);
            let other = other.map_or(String::new(), |other| format!("   (in the table: {other})"));
            line(&mut text, name, &format!("{}{other}", shown(value)));
        }
        if let Some(at) = self.written_at() {
            line(&mut text, "written at", &format!("{at} us"));
        }
        text
    }

    fn json(&self) -> Json {
        let made = self.values.iter();
        let made = made.filter_map(|(name, value)| Some((name.clone(), value.as_ref()?.to_json())));
        let stands = self.stands.as_ref().map(|stands| {
            let columns = self.values.iter().zip(stands);
            columns
                .map(|((name, _), value)| (name.clone(), value.to_json()))
                .collect::<serde_json::Map<_, _>>()
        });
        json!({
            "table": self.table,
            "operation": match self.operation {
                Operation::Upsert => "upsert",
                Operation::Delete => "delete",
            },
            "stands": match self.stands() {
                Stands::Same => "same",
                Stands::Other => "other",
                Stands::Older => "older",
                Stands::Gone => "gone",
            },
            "made": made.collect::<serde_json::Map<_, _>>(),
            "in_table": stands,
            "written_us": self.written_at(),
        })
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    writeln!(text, "  {name:12} {value}").expect("a text takes all that is written");
}

impl Explained {
    /// Whether the group will not read it again.
    fn is_committed(&self) -> bool {
        let offset = self.batch.message(0).offset;
        self.next.is_some_and(|next| offset < next)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let message = self.batch.message(0);
        let (partition, offset) = (message.partition, message.offset);
        let mut text = format!("{}/{partition}/{offset}\n", self.topic);
        if let Ok(time) = jiff::Timestamp::from_millisecond(message.timestamp) {
            line(&mut text, "time", &time.to_string());
        }
        let key = message.key.map_or("(none)".to_owned(), escaped);
        line(&mut text, "key", &key);
        let bytes = message.value.map_or(0, <[u8]>::len);
        line(&mut text, "value", &format!("{bytes} bytes"));
        let next = self.next.unwrap_or(0);
        let committed = if self.is_committed() {
            "yes".to_owned()
        } else {
            format!("not yet: the group goes on at {next}")
        };
        line(&mut text, "committed", &committed);
        let Begun {
            generation,
            first_offset,
            ..
        } = self.begun;
        let from = format!("{generation}, from offset {first_offset} on");
        line(&mut text, "generation", &from);
        let plugin = format!("{} {}", self.plugin, self.begun.code.plugin);
        line(&mut text, "plugin", &plugin);
        for (name, digest) in &self.begun.code.lookups {
            line(&mut text, "lookup", &format!("{name} {digest}"));
        }
        text.push('\n');
        match &self.fate {
            Fate::Rows(rows) if rows.is_empty() => text += "it makes no rows\n",
            Fate::Rows(rows) => {
                let rows: Vec<_> = rows.iter().map(Row::text).collect();
                text += &rows.join("\n");
            }
            Fate::Filtered { code } => {
                writeln!(text, "it is left out on purpose: {code}").expect("as in `line`");
            }
            Fate::Rejected {
                stage,
                code,
                reason,
            } => {
                let (topic, reason) = (&self.topic, escaped(reason.as_bytes()));
                writeln!(
                    text,
                    "it is rejected by {stage}: {code}: {reason}\nits dead letter is in `{topic}.dlq`; \
                     `dlq show` has it as {topic}/{partition}/{offset}"
                )
                .expect("as in `line`");
            }
        }
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        let message = self.batch.message(0);
        let mut object = json!({
            "topic": self.topic,
            "partition": message.partition,
            "offset": message.offset,
            "timestamp": message.timestamp,
            "committed": self.is_committed(),
            "generation": self.begun.generation,
            "first_offset": self.begun.first_offset,
            "begun_by": self.begun.by,
            "plugin": self.plugin,
            "code": self.begun.code,
        });
        match &self.fate {
            Fate::Rows(rows) => {
                object["outcome"] = "written".into();
                object["rows"] = rows.iter().map(Row::json).collect();
            }
            Fate::Filtered { code } => {
                object["outcome"] = "filtered".into();
                object["reason_code"] = code.as_str().into();
            }
            Fate::Rejected {
                stage,
                code,
                reason,
            } => {
                object["outcome"] = "rejected".into();
                object["stage"] = (*stage).into();
                object["reason_code"] = code.as_str().into();
                object["reason"] = reason.as_str().into();
            }
        }
        format!("{object}\n")
    }
}
