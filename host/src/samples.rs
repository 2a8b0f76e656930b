//! A pipeline's samples through its real plugin, into memory, and from there into text: what
//! `host test` compares with the golden rows. Neither a broker nor a database takes part.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use crate::lookup::Lookup;
use crate::message::{Batch, Message};
use crate::plugin::{self, Plugin};
use crate::row::{Key, Transformed};
use crate::sink::memory::Memory;
use crate::sink::{self, Sink};

/// The name of the topic that samples are said to come from.
const TOPIC: &str = "samples";

/// The time of the first sample, in milliseconds since 1970: 2026-01-01T00:00:00Z. Each next one
/// comes a millisecond later.
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
    /// The messages' values, one a line.
    pub samples: &'a [u8],
}

/// Why samples cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to try.
    #[error("there are no samples")]
    Empty,
    /// The plugin cannot run.
    #[error(transparent)]
    Plugin(#[from] plugin::Error),
    /// The plugin does not fit the tables.
    #[error(transparent)]
    Sink(#[from] sink::Error),
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
    /// If the plugin cannot run, does not fit the tables, or gives other rows for another split.
    pub fn run(&self) -> Result<String, Error> {
        let lines = lines(self.samples);
        if lines.is_empty() {
            return Err(Error::Empty);
        }
        let whole = self.run_in_batches(&lines, lines.len())?;
        for size in SPLITS {
            let split = self.run_in_batches(&lines, size)?;
            if split != whole {
                return Err(Error::Split { size, whole, split });
            }
        }
        Ok(whole)
    }

    /// How many samples there are.
    pub fn count(&self) -> usize {
        lines(self.samples).len()
    }

    fn run_in_batches(&self, lines: &[&[u8]], size: usize) -> Result<String, Error> {
        let mut memory = Memory::open(self.schema)?;
        let keys = memory.prepare(&self.plugin.description().targets)?;
        let mut refused = Refused::default();
        for transformed in self.transformed(keys, lines, size)? {
            memory.start(&transformed);
            refused.add(&transformed);
        }
        Ok(format!("{memory}{refused}"))
    }

    /// What the plugin makes of all the samples at once, for tables with these keys.
    ///
    /// # Errors
    /// If the plugin cannot run.
    pub fn at_once(&self, keys: Vec<Key>) -> Result<Vec<Arc<Transformed>>, Error> {
        let lines = lines(self.samples);
        self.transformed(keys, &lines, lines.len().max(1))
    }

    fn transformed(
        &self,
        keys: Vec<Key>,
        lines: &[&[u8]],
        size: usize,
    ) -> Result<Vec<Arc<Transformed>>, Error> {
        let mut instance = self.plugin.instance(keys, self.lookups.clone())?;
        // The last batch comes first: what counts along with the messages shows as well.
        let batches = lines.chunks(size).enumerate().rev();
        let each = |(index, lines)| Ok(Arc::new(instance.apply(batch(lines, index * size))?));
        let mut made: Vec<_> = batches.map(each).collect::<Result<_, Error>>()?;
        made.reverse();
        Ok(made)
    }
}

/// The lines of a file, without their ends; the last one may lack its own.
pub fn lines(samples: &[u8]) -> Vec<&[u8]> {
    let samples = samples.strip_suffix(b"\n").unwrap_or(samples);
    if samples.is_empty() {
        return Vec::new();
    }
    samples.split(|byte| *byte == b'\n').collect()
}

/// Lines as messages of partition 0, the first of them at an offset.
fn batch(lines: &[&[u8]], first: usize) -> Batch {
    let mut batch = Batch::new(TOPIC.into());
    for (offset, line) in (first..).zip(lines) {
        let offset = i64::try_from(offset).expect("a file has fewer lines than 2^63");
        batch.push(&Message {
            partition: 0,
            offset,
            timestamp: FIRST_MS + offset,
            key: None,
            value: Some(line),
            headers: b"",
        });
    }
    batch.stamp(|_, timestamp| Some(timestamp * 1_000));
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
            let line = transformed.batch.message(rejected.message).offset + 1;
            let (stage, code, reason) = (rejected.stage.name(), &rejected.code, &rejected.reason);
            writeln!(
                self.rejected,
                "line {line} rejected by {stage}: {code}: {reason}"
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
            let found: Vec<_> = lines(text.as_bytes())
                .iter()
                .map(|line| line.to_vec())
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|line| line.as_bytes().to_vec())
                .collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
