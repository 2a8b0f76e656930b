//! Letters in the topic `<topic>.dlq`. What is no letter any more stays there: that it was redriven is
//! remembered as offsets of groups of the redrive's own, one for all codes and one for each code.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, Letter, Store};
use crate::message::{Message, headers};
use crate::row::push_cell;
use crate::source::Error;
use crate::source::kafka::{Config, Reader, committed};

/// Offsets by partition.
type Offsets = BTreeMap<i32, i64>;

/// The group whose offsets tell how far a pipeline's letters were redriven: those of one code, or all.
fn group(pipeline: &str, code: Option<&str>) -> String {
    match code {
        None => format!("{pipeline}-redrive"),
        Some(code) => format!("{pipeline}-redrive-{code}"),
    }
}

/// Letters in a topic.
pub struct Topic {
    /// None, if there is no topic.
    reader: Option<Reader>,
    /// The letters' topic, and the pipeline's group.
    config: Config,
    /// How far letters of all codes were redriven.
    all: Offsets,
    /// How far those of one code were.
    each: BTreeMap<String, Offsets>,
    /// Plugins that were taken back.
    taken_back: BTreeSet<String>,
}

impl Topic {
    /// All letters in a topic: `config` has it, and the pipeline's group.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub fn read(config: &Config) -> Result<Self, Error> {
        Self::open(config, None, false)
    }

    /// The letters that were not redriven, to be redriven now: those of one code, or all.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub fn change(config: &Config, code: Option<&str>) -> Result<Self, Error> {
        Self::open(config, code, true)
    }

    fn open(config: &Config, code: Option<&str>, is_change: bool) -> Result<Self, Error> {
        let all = match offsets(config, None) {
            Err(Error::NoTopic { .. }) => None,
            all => Some(all?),
        };
        let mut topic = Self {
            reader: None,
            config: config.clone(),
            all: all.clone().unwrap_or_default(),
            each: BTreeMap::new(),
            taken_back: BTreeSet::new(),
        };
        if all.is_none() {
            return Ok(topic);
        }
        let group = group(&config.group, code);
        let config = Config {
            group,
            ..config.clone()
        };
        let from = if is_change {
            &topic.all
        } else {
            &Offsets::new()
        };
        let reader = Reader::open(&config, from)?;
        // Offsets behind the end are of a topic that was made anew.
        let ends = reader.ends();
        topic
            .all
            .retain(|partition, offset| ends.get(partition) >= Some(&*offset));
        topic.reader = Some(reader);
        Ok(topic)
    }

    /// The same, with the digests of plugins that were taken back: whatever they refused was read again
    /// by the version before them, so their letters are settled.
    #[must_use]
    pub fn without(self, taken_back: BTreeSet<String>) -> Self {
        Self { taken_back, ..self }
    }

    /// Whether the letter at a place was redriven already, or its message read again.
    fn is_settled(&mut self, partition: i32, offset: i64, letter: &Letter) -> Result<bool, Error> {
        let is_passed = |offsets: &Offsets| {
            offsets
                .get(&partition)
                .is_some_and(|passed| offset < *passed)
        };
        if self.taken_back.contains(&letter.digest) {
            return Ok(true);
        }
        // What lacks its value was passed over.
        if letter.left_out.is_some() {
            return Ok(false);
        }
        if is_passed(&self.all) {
            return Ok(true);
        }
        if !self.each.contains_key(&letter.code) {
            let mut offsets = offsets(&self.config, Some(&letter.code))?;
            if let Some(reader) = &self.reader {
                let ends = reader.ends();
                offsets.retain(|partition, offset| ends.get(partition) >= Some(&*offset));
            }
            self.each.insert(letter.code.clone(), offsets);
        }
        Ok(self.each.get(&letter.code).is_some_and(is_passed))
    }
}

fn offsets(config: &Config, code: Option<&str>) -> Result<Offsets, Error> {
    let config = Config {
        group: group(&config.group, code),
        ..config.clone()
    };
    let each = committed(&config)?.into_iter();
    Ok(each
        .filter_map(|(partition, offset)| Some((partition, offset?)))
        .collect())
}

impl Store for Topic {
    fn next(&mut self) -> Result<Option<Entry>, Error> {
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        let read = reader.next(|message| (message.partition, message.offset, letter(message)))?;
        let Some((partition, offset, letter)) = read else {
            return Ok(None);
        };
        let is_settled = match &letter {
            Some(letter) => self.is_settled(partition, offset, letter)?,
            None => false,
        };
        Ok(Some(Entry {
            partition,
            offset,
            letter,
            is_settled,
        }))
    }

    fn settle(&mut self) -> Result<(), Error> {
        self.reader.as_ref().map_or(Ok(()), Reader::commit)
    }

    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// The first of the headers that make a message a letter; those of the message stand before it.
const FIRST: &str = "__connect.errors.topic";

/// The header that counts how often a message was tried. It stays on the message, and so does the
/// count go on.
const ATTEMPT: &str = "sluice.attempt";

fn letter(message: &Message<'_>) -> Option<Letter> {
    let all = headers(message.headers);
    let first = all.iter().rposition(|(name, _)| name == FIRST)?;
    let (before, own) = all.split_at(first);
    let text = |wanted: &str| {
        let (_, value) = own.iter().find(|(name, _)| name == wanted)?;
        str::from_utf8((*value)?).ok().map(str::to_owned)
    };
    let attempt = own.iter().filter(|(name, _)| name == ATTEMPT);
    let kept: Vec<_> = before.iter().chain(attempt).collect();
    let mut packed = u16::try_from(kept.len()).ok()?.to_be_bytes().to_vec();
    for (name, value) in kept {
        push_cell(&mut packed, Some(name.as_bytes()));
        push_cell(&mut packed, *value);
    }
    let number = |wanted: &str| text(wanted)?.parse::<i64>().ok();
    Some(Letter {
        topic: text(FIRST)?,
        partition: i32::try_from(number("__connect.errors.partition")?).ok()?,
        offset: number("__connect.errors.offset").filter(|offset| *offset >= 0)?,
        timestamp: message.timestamp,
        key: message.key.map(<[u8]>::to_vec),
        value: message.value.map(<[u8]>::to_vec),
        headers: packed,
        left_out: text("sluice.value_left_out"),
        write_time: number("sluice.write_time"),
        stage: text("__connect.errors.stage")?,
        code: text("__connect.errors.exception.class.name")?,
        reason: text("__connect.errors.exception.message")?,
        plugin: text("__connect.errors.connector.name")?,
        version: text("sluice.plugin.version")?,
        digest: text("sluice.plugin.digest")?,
    })
}
