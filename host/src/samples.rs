//! A pipeline's samples through its real plugin, into memory, and from there into text: what
//! `host test` compares with the golden rows. Neither a broker nor a database takes part.

mod difference;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use tracing::subscriber::{NoSubscriber, with_default};

use crate::line::Line;
use crate::lookup::Lookup;
use crate::message::{Batch, Message};
use crate::plugin::{self, Plugin};
use crate::row::{Key, Transformed};
use crate::sink::memory::Memory;
use crate::sink::{self, Sink};
use crate::terminal;

pub use difference::difference;

/// The name of the topic that samples are said to come from.
const TOPIC: &str = "samples";

/// The time of the first sample, in milliseconds since 1970: 2026-01-01T00:00:00Z. Each next one
/// comes a millisecond later, where nothing is said of it.
const FIRST_MS: i64 = 1_767_225_600_000;

/// Splits that must all give the same: a plugin is a function of each message alone.
const SPLITS: [usize; 2] = [1, 7];

/// What samples are tried with.
pub struct Trial<'a> {
    /// The plugin, with its configuration.
    pub plugin: &'a Plugin,
    /// The reference data it declares, in its order.
    pub lookups: Vec<Arc<Lookup>>,
    /// The text of the tables' schema.
    pub schema: &'a str,
    /// The messages, one a line.
    pub samples: &'a [u8],
    /// Whether to go on: asked before each call.
    pub go_on: &'a dyn Fn() -> bool,
}

/// Why samples cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to try.
    #[error("there are no samples")]
    Empty,
    /// A line is a message and not as one is written.
    #[error("line {line}: {reason}")]
    Line {
        /// Which one, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The plugin cannot run.
    #[error(transparent)]
    Plugin(#[from] plugin::Error),
    /// The plugin does not fit the tables.
    #[error(transparent)]
    Sink(#[from] sink::Error),
    /// Whoever tries them does not want to go on.
    #[error("trying the samples was given up")]
    GivenUp,
    /// The plugin's answer for a message depends on what else is in the batch.
    #[error(
        "the plugin gives other rows when the samples come {size} at a time than when they come all at \
         once: what becomes of a message must not depend on its neighbours, nor on the calls before"
    )]
    Split {
        /// How many came at a time.
        size: usize,
        /// What they gave when they came at once.
        whole: String,
        /// What they gave when they came so many at a time.
        split: String,
    },
}

impl Trial<'_> {
    /// What becomes of the samples: the rows by table and key, a line for each cell; then rejected
    /// messages by their line; then how many were filtered, by code.
    ///
    /// They are tried in several splits into batches.
    ///
    /// # Errors
    /// If there are no samples, the plugin cannot run, does not fit the tables, or gives other rows for
    /// another split.
    pub fn run(&self) -> Result<String, Error> {
        let messages = self.messages()?;
        if messages.is_empty() {
            return Err(Error::Empty);
        }
        let whole = self.run_in_batches(&messages, messages.len())?;
        for size in SPLITS {
            // What the plugin has to say of them, it has said.
            let split = with_default(NoSubscriber::default(), || {
                self.run_in_batches(&messages, size)
            })?;
            if split != whole {
                return Err(Error::Split { size, whole, split });
            }
        }
        Ok(whole)
    }

    /// How many samples there are.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn count(&self) -> Result<usize, Error> {
        Ok(self.messages()?.len())
    }

    fn messages(&self) -> Result<Batch, Error> {
        Ok(batch(TOPIC, &read(self.samples)?).of_lines())
    }

    fn run_in_batches(&self, messages: &Batch, size: usize) -> Result<String, Error> {
        let mut memory = Memory::open(self.schema)?;
        let keys = memory.prepare(&self.plugin.description().targets)?;
        let mut refused = Refused::default();
        for transformed in self.transformed(keys, messages, size)? {
            memory.start(&transformed);
            refused.add(&transformed);
        }
        Ok(format!("{memory}{refused}"))
    }

    /// What the plugin makes of all the samples at once, for tables with these keys.
    ///
    /// # Errors
    /// If the samples cannot be read, or the plugin cannot run.
    pub fn at_once(&self, keys: Vec<Key>) -> Result<Vec<Arc<Transformed>>, Error> {
        let messages = self.messages()?;
        self.transformed(keys, &messages, messages.len().max(1))
    }

    fn transformed(
        &self,
        keys: Vec<Key>,
        messages: &Batch,
        size: usize,
    ) -> Result<Vec<Arc<Transformed>>, Error> {
        let mut instance = self.plugin.instance(keys, self.lookups.clone())?;
        let count = messages.len();
        let splits = (0..count).step_by(size);
        let each = |first: usize| {
            if !(self.go_on)() {
                return Err(Error::GivenUp);
            }
            let part = messages.part(first..count.min(first + size));
            Ok(Arc::new(instance.apply(part)?))
        };
        // The last batch comes first: what counts along with the messages shows as well.
        let mut made: Vec<_> = splits.rev().map(each).collect::<Result<_, Error>>()?;
        made.reverse();
        Ok(made)
    }
}

/// Samples, one a line; the last line may lack its end.
///
/// # Errors
/// The first line that is a message and not as one is written.
pub fn read(samples: &[u8]) -> Result<Vec<Line<'_>>, Error> {
    let samples = samples.strip_suffix(b"\n").unwrap_or(samples);
    if samples.is_empty() {
        return Ok(Vec::new());
    }
    let read = |(index, line)| {
        let line_number = index + 1;
        Line::read(line).map_err(|reason| Error::Line {
            line: line_number,
            reason,
        })
    };
    let lines = samples.split(|byte| *byte == b'\n');
    lines.enumerate().map(read).collect()
}

/// Lines as messages of partition 0, at the offsets from 0 on, with the write times that they have if
/// they come one after another.
pub fn batch<'a>(topic: &str, lines: impl IntoIterator<Item = &'a Line<'a>>) -> Batch {
    let mut batch = Batch::new(topic.into());
    for (offset, line) in (0..).zip(lines) {
        batch.push(&Message {
            partition: 0,
            offset,
            timestamp: line.timestamp.unwrap_or(FIRST_MS + offset),
            key: line.key.as_deref(),
            value: line.value.as_deref(),
            headers: &line.headers,
        });
    }
    let mut last = 0;
    batch.stamp(|_, timestamp| {
        last = (last + 1).max(timestamp * 1_000);
        Some(last)
    });
    batch
}

/// The messages that gave no rows.
#[derive(Default)]
struct Refused {
    rejected: String,
    filtered: BTreeMap<Arc<str>, usize>,
}

impl Refused {
    fn add(&mut self, transformed: &Transformed) {
        for rejected in &transformed.rejected {
            let place = transformed.batch.place(rejected.message);
            let (stage, code) = (rejected.stage.name(), &rejected.code);
            let reason = terminal::line(&rejected.reason);
            writeln!(
                self.rejected,
                "{place} rejected by {stage}: {code}: {reason}"
            )
            .expect("a string takes all that is written");
        }
        for filtered in &transformed.filtered {
            *self.filtered.entry(filtered.code.clone()).or_default() += filtered.messages;
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rejected)?;
        for (code, messages) in &self.filtered {
            writeln!(f, "filtered {code}: {messages}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::NO_TIMESTAMP;

    #[test]
    fn a_line_is_a_message() {
        for (text, expected) in [
            ("", &[][..]),
            ("\n", &[]),
            ("a", &["a"]),
            ("a\n", &["a"]),
            ("a\n\nb", &["a", "", "b"]),
            ("a\n\n", &["a", ""]),
        ] {
            let expected: Vec<_> = expected
                .iter()
                .map(|line| Line::of_value(line.as_bytes()))
                .collect();
            assert_eq!(read(text.as_bytes()).unwrap(), expected, "{text:?}");
        }
        let error = read(b"a\n{\"$message\": {}}\nb").unwrap_err().to_string();
        assert!(error.starts_with("line 2: "), "{error}");
    }

    #[test]
    fn a_later_message_has_a_later_write_time() {
        let lines = [
            r#"{"$message": {"timestamp": null, "value": 1}}"#,
            r#"{"$message": {"timestamp": 5, "value": 1}}"#,
            r#"{"$message": {"timestamp": 4, "value": 1}}"#,
            "plain",
        ]
        .join("\n");
        let batch = batch(TOPIC, &read(lines.as_bytes()).unwrap());
        let times: Vec<_> = batch.messages().map(|message| message.timestamp).collect();
        assert_eq!(times, [NO_TIMESTAMP, 5, 4, FIRST_MS + 3]);
        let written: Vec<_> = (0..4).map(|index| batch.write_time(index)).collect();
        let expected = [1, 5_000, 5_001, (FIRST_MS + 3) * 1_000];
        assert_eq!(written, expected.map(Some));
    }
}
