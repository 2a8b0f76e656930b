//! Versions beside the tables: `sluice.plugins` and `sluice.generations`, where every member finds them.
//!
//! A call connects and leaves again: trades are rare, and a session that nobody drives loses its
//! connections.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Archive, End, Error, Generation, Outcome, Part, TAKE_MAX, Trade};
use crate::checkpoint;
use crate::code::Code;
use crate::row::CqlType;
use crate::sink::cassandra::{Config, Reader};
use crate::sink::value::Value;
use crate::sink::{self, Parameter};

/// How much of a part is in one row: far below what a node takes at once.
const CHUNK_BYTES: usize = 1 << 20;

/// The partition that the row of a generation itself has; those of a topic count from 0.
const ITSELF: i32 = -1;

const HEAD: &str = "SELECT size, name FROM sluice.plugins WHERE digest = ? LIMIT 1";

const CHUNK: &str = "SELECT bytes FROM sluice.plugins WHERE digest = ? AND chunk = ?";

const KEEP_CHUNK: &str = "INSERT INTO sluice.plugins (digest, chunk, bytes) VALUES (?, ?, ?)";

const KEEP_HEAD: &str =
    "INSERT INTO sluice.plugins (digest, size, name, kept_at) VALUES (?, ?, ?, ?)";

const TAKE: &str = "INSERT INTO sluice.generations (pipeline, consumer_group, generation, partition, \
    plugin, lookups, replaced_plugin, replaced_lookups, taken_by, taken_at, diff, outcome) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS";

// Conditional as the insert is: of two ways to write a cell, only like ones are ordered.
const FINISH: &str = "UPDATE sluice.generations SET outcome = ?, reason = ?, ended_at = ? \
    WHERE pipeline = ? AND consumer_group = ? AND generation = ? AND partition = ? IF EXISTS";

const FINISH_IF: &str = "UPDATE sluice.generations SET outcome = ?, reason = ?, ended_at = ? \
    WHERE pipeline = ? AND consumer_group = ? AND generation = ? AND partition = ? IF outcome = ?";

const PAUSED: &str = "UPDATE sluice.generations SET pause_us = ? \
    WHERE pipeline = ? AND consumer_group = ? AND generation = ? AND partition = ? IF EXISTS";

const HISTORY: &str = "SELECT generation, plugin, lookups, replaced_plugin, replaced_lookups, taken_by, \
    taken_at, diff, outcome, reason, pause_us FROM sluice.generations \
    WHERE pipeline = ? AND consumer_group = ? AND partition = ? \
    ORDER BY generation DESC LIMIT ? ALLOW FILTERING";

const BEGUN: &str = "SELECT generation, first_offset, plugin, lookups, taken_by FROM sluice.generations \
    WHERE pipeline = ? AND consumer_group = ? AND partition = ? ALLOW FILTERING";

/// Where a generation began with a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The generation.
    pub generation: u32,
    /// The first offset read in it.
    pub first_offset: i64,
    /// What made the rows from there on.
    pub code: Code,
    /// Which member of the group said so.
    pub by: String,
}

/// The versions of one group.
#[derive(Debug)]
pub struct Cassandra {
    config: Config,
    pipeline: String,
    group: String,
    /// Whether the tables were made, or found to be as they should be.
    is_made: AtomicBool,
}

impl Cassandra {
    /// Those of a pipeline's group. Nothing is asked yet.
    pub fn new(config: Config, pipeline: String, group: String) -> Self {
        Self {
            config,
            pipeline,
            group,
            is_made: AtomicBool::new(false),
        }
    }

    /// A session, and the tables of this version.
    fn reader(&self) -> Result<Reader, Error> {
        if self.is_made.load(Ordering::Relaxed) {
            return Ok(Reader::open(&self.config)?);
        }
        let reader = open(
            &self.config,
            &[
                "SELECT size FROM sluice.plugins LIMIT 1",
                "SELECT ended_at FROM sluice.generations LIMIT 1",
            ],
        )?;
        self.is_made.store(true, Ordering::Relaxed);
        Ok(reader)
    }

    fn key(&self, generation: u32) -> [Parameter; 4] {
        [
            text(&self.pipeline),
            text(&self.group),
            int(generation),
            partition(),
        ]
    }

    /// What [`FINISH`] sets, and where.
    fn end(&self, generation: u32, end: &End) -> Vec<Parameter> {
        let set = [
            text(end.outcome.name()),
            text(&end.reason),
            timestamp(super::now_ms()),
        ];
        set.into_iter().chain(self.key(generation)).collect()
    }
}

impl Archive for Cassandra {
    fn keep(&self, part: &Part) -> Result<(), Error> {
        let (reader, digest) = (self.reader()?, part.digest());
        if head(&reader, &digest)?.is_some() {
            return Ok(());
        }
        for (chunk, bytes) in (0..).zip(part.bytes.chunks(CHUNK_BYTES)) {
            let bytes = of(CqlType::Blob, bytes);
            reader.run(KEEP_CHUNK, &[text(&digest), int(chunk), bytes])?;
        }
        // Last: what has no head is not there.
        let size = bigint(part.bytes.len() as u64);
        let head = [
            text(&digest),
            size,
            text(&part.name),
            timestamp(super::now_ms()),
        ];
        reader.run(KEEP_HEAD, &head)?;
        Ok(())
    }

    fn fetch(&self, digest: &str) -> Result<Option<Part>, Error> {
        fetch(&self.reader()?, digest)
    }

    fn take(&self, at_least: u32, trade: &Trade) -> Result<u32, Error> {
        let reader = self.reader()?;
        for generation in at_least..at_least.saturating_add(TAKE_MAX) {
            let mut row = Vec::from(self.key(generation));
            row.extend([
                text(&trade.code.plugin),
                lookups(&trade.code),
                text(&trade.replaced.plugin),
                lookups(&trade.replaced),
                text(&trade.by),
                timestamp(super::now_ms()),
                text(&trade.diff),
                text(trade.begins().name()),
            ]);
            if is_applied(&reader.select(TAKE, &row)?) {
                return Ok(generation);
            }
        }
        Err(Error::Taken(at_least))
    }

    fn finish(&self, generation: u32, end: &End) -> Result<(), Error> {
        let reader = self.reader()?;
        if !is_applied(&reader.select(FINISH, &self.end(generation, end))?) {
            return Err(self.damaged(generation, "there is no such row"));
        }
        if end.pause_us > 0 {
            let mut row = vec![bigint(end.pause_us)];
            row.extend(self.key(generation));
            reader.select(PAUSED, &row)?;
        }
        Ok(())
    }

    fn finish_if(&self, generation: u32, so_far: Outcome, end: &End) -> Result<bool, Error> {
        let mut row = self.end(generation, end);
        row.push(text(so_far.name()));
        Ok(is_applied(&self.reader()?.select(FINISH_IF, &row)?))
    }

    fn history(&self, generations_max: usize) -> Result<Vec<Generation>, Error> {
        let [pipeline, group, _, partition] = self.key(0);
        let limit = int(u32::try_from(generations_max).unwrap_or(u32::MAX));
        let answer = self
            .reader()?
            .select(HISTORY, &[pipeline, group, partition, limit])?;
        let rows = answer.rows.iter();
        rows.map(|row| generation(row).ok_or_else(|| self.damaged(0, "a row cannot be read")))
            .collect()
    }
}

impl Cassandra {
    /// Where each generation began with a partition.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn begun(&self, partition: i32) -> Result<Vec<Begun>, Error> {
        let [pipeline, group, ..] = self.key(0);
        let partition = of(CqlType::Int, &partition.to_be_bytes());
        let answer = self
            .reader()?
            .select(BEGUN, &[pipeline, group, partition])?;
        let begun = |row: &Vec<Value>| match &row[..] {
            [
                Value::Integer(generation),
                Value::Integer(first_offset),
                Value::Text(plugin),
                Value::Text(lookups),
                Value::Text(by),
            ] => Some(Begun {
                generation: u32::try_from(*generation).ok()?,
                first_offset: *first_offset,
                code: Code {
                    plugin: plugin.clone(),
                    lookups: serde_json::from_str(lookups).ok()?,
                },
                by: by.clone(),
            }),
            _ => None,
        };
        let rows = answer.rows.iter();
        rows.map(|row| begun(row).ok_or_else(|| self.damaged(0, "a row cannot be read")))
            .collect()
    }

    fn damaged(&self, generation: u32, reason: &str) -> Error {
        Error::Damaged {
            place: "sluice.generations".to_owned(),
            what: format!(
                "{} of {}, generation {generation}",
                self.pipeline, self.group
            ),
            reason: reason.to_owned(),
        }
    }
}

/// A session. The host's own tables are made, if one of these queries is refused: an older host made them,
/// or none did.
pub(crate) fn open(config: &Config, queries: &[&str]) -> Result<Reader, sink::Error> {
    let reader = Reader::open(config)?;
    for query in queries {
        match reader.select(query, &[]) {
            Ok(_) => {}
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => {
                checkpoint::cassandra::apply(config)?;
                break;
            }
        }
    }
    Ok(reader)
}

/// The size and name of a part that is there whole.
fn head(reader: &Reader, digest: &str) -> Result<Option<(u64, String)>, Error> {
    let head = reader.select(HEAD, &[text(digest)])?;
    Ok(match head.rows.first().map(|row| &row[..]) {
        Some([Value::Integer(size), Value::Text(name)]) => {
            Some((size.unsigned_abs(), name.clone()))
        }
        Some(_) | None => None,
    })
}

fn fetch(reader: &Reader, digest: &str) -> Result<Option<Part>, Error> {
    let Some((size, name)) = head(reader, digest)? else {
        return Ok(None);
    };
    let mut part = Part {
        name,
        bytes: Vec::new(),
    };
    for chunk in 0.. {
        if part.bytes.len() as u64 >= size {
            break;
        }
        let answer = reader.select(CHUNK, &[text(digest), int(chunk)])?;
        match answer.rows.first().map(|row| &row[..]) {
            Some([Value::Blob(bytes)]) if !bytes.is_empty() => part.bytes.extend(bytes),
            Some(_) | None => break,
        }
    }
    super::verified("sluice.plugins", digest, part).map(Some)
}

/// A row of [`HISTORY`].
fn generation(row: &[Value]) -> Option<Generation> {
    let text = |at: usize| {
        if let Value::Text(text) = &row[at] {
            return text.clone();
        }
        String::new()
    };
    let code = |at: usize| {
        Some(Code {
            plugin: text(at),
            lookups: serde_json::from_str::<BTreeMap<_, _>>(&text(at + 1)).ok()?,
        })
    };
    let number = |at: usize| {
        if let Value::Integer(number) | Value::Timestamp(number) = row[at] {
            return Some(number);
        }
        None
    };
    Some(Generation {
        generation: u32::try_from(number(0)?).ok()?,
        code: code(1)?,
        replaced: code(3)?,
        by: text(5),
        taken_ms: number(6)?,
        diff: text(7),
        outcome: Outcome::of(&text(8))?,
        reason: text(9),
        pause_us: number(10).and_then(|pause| u64::try_from(pause).ok()),
    })
}

/// Whether a conditional statement did what it says.
pub(crate) fn is_applied(answer: &sink::Answer) -> bool {
    answer.rows.first().and_then(|row| row.first()) == Some(&Value::Boolean(true))
}

fn of(kind: CqlType, cell: &[u8]) -> Parameter {
    Parameter {
        kind,
        cell: cell.to_vec(),
    }
}

pub(crate) fn text(text: &str) -> Parameter {
    of(CqlType::Text, text.as_bytes())
}

fn int(number: u32) -> Parameter {
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    of(CqlType::Int, &number.to_be_bytes())
}

fn partition() -> Parameter {
    of(CqlType::Int, &ITSELF.to_be_bytes())
}

fn bigint(number: u64) -> Parameter {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    of(CqlType::Bigint, &number.to_be_bytes())
}

pub(crate) fn timestamp(ms: i64) -> Parameter {
    of(CqlType::Timestamp, &ms.to_be_bytes())
}

fn lookups(code: &Code) -> Parameter {
    text(&serde_json::to_string(&code.lookups).expect("texts are always JSON"))
}
