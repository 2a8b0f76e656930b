//! Dead letters, to be looked at, and as a source of the messages they were.
//!
//! A store gives its letters in the order they were kept. As messages they go in the order that they
//! once had, a window at a time, with the write time they had then: what was written since stays newer.

mod file;
mod topic;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

pub use file::File;
pub use topic::Topic;

use crate::message::{Batch, Message, WriteTime};
use crate::source::{Change, Error, Limits, Source, Taken};

/// How many bytes of messages are put in order at a time.
const WINDOW_BYTES_MAX: usize = 64 << 20;

/// What a letter takes besides its key, value and headers, about.
const LETTER_BYTES: usize = 512;

/// A dead letter: the message as it was, and why it was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// The topic of the message.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its time, as in [`Message::timestamp`].
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers, as in [`Message::headers`].
    pub headers: Vec<u8>,
    /// How many bytes its value had that was too large to be kept; `None` = it was kept.
    pub left_out: Option<String>,
    /// The write time of its rows; `None`, if its own time was too far ahead.
    pub write_time: Option<WriteTime>,
    /// Who refused it: `decode`, `transform`, `write`.
    pub stage: String,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub reason: String,
    /// The plugin that it was refused by or before.
    pub plugin: String,
    /// That plugin's version.
    pub version: String,
    /// The digest of its bytes.
    pub digest: String,
}

impl Letter {
    fn bytes_len(&self) -> usize {
        let parts = [&self.key, &self.value].into_iter().flatten();
        parts.map(Vec::len).sum::<usize>() + self.headers.len()
    }

    /// Which message it was.
    fn position(&self) -> (&str, i32, i64) {
        (&self.topic, self.partition, self.offset)
    }
}

/// What a store has at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The partition of the letters' own topic; 0 in a file.
    pub partition: i32,
    /// The offset there; a file's line, from 1.
    pub offset: i64,
    /// The letter; `None`, if what is there is none of ours.
    pub letter: Option<Letter>,
    /// Whether it was redriven already.
    pub is_settled: bool,
}

/// Which letters are meant.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Those of this plugin.
    pub plugin: String,
    /// Those with this code.
    pub code: Option<String>,
    /// Those of messages before this time, in milliseconds since 1970.
    pub before: Option<i64>,
    /// Those that have their value.
    pub is_whole: bool,
}

impl Wanted {
    /// The letter at a place, if it is meant and not settled.
    pub fn of<'a>(&self, entry: &'a Entry) -> Option<&'a Letter> {
        let letter = entry.letter.as_ref().filter(|_| !entry.is_settled)?;
        let is_meant = letter.plugin == self.plugin
            && self.code.as_ref().is_none_or(|code| *code == letter.code)
            && self.before.is_none_or(|before| letter.timestamp < before)
            && !(self.is_whole && letter.left_out.is_some());
        is_meant.then_some(letter)
    }
}

/// Where letters are kept.
pub trait Store {
    /// What it has next; `None` at the end as it stood at the start.
    ///
    /// # Errors
    /// When it cannot be read.
    fn next(&mut self) -> Result<Option<Entry>, Error>;

    /// Notes that all wanted letters read so far are no letters any more.
    ///
    /// # Errors
    /// When that could not be noted; then they still are.
    fn settle(&mut self) -> Result<(), Error>;

    /// Makes what was noted last.
    ///
    /// # Errors
    /// When that fails; then all are letters still.
    fn finish(&mut self) -> Result<(), Error>;
}

struct State {
    store: Box<dyn Store>,
    wanted: Wanted,
    /// In the order of the messages.
    window: Vec<Letter>,
    /// The next letter of the window to hand out.
    next: usize,
    /// How many of the window are durable: rows, or letters anew.
    durable: usize,
}

impl State {
    /// Reads the next window. Whether there is one.
    fn fill(&mut self) -> Result<bool, Error> {
        self.window.clear();
        (self.next, self.durable) = (0, 0);
        let mut bytes = 0;
        while bytes < WINDOW_BYTES_MAX {
            let entry = match self.store.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                // What is read already is handed out first; then it will show again.
                Err(_) if !self.window.is_empty() => break,
                Err(error) => return Err(error),
            };
            if self.wanted.of(&entry).is_some()
                && let Some(letter) = entry.letter
            {
                bytes += letter.bytes_len() + LETTER_BYTES;
                self.window.push(letter);
            }
        }
        // Of letters that a crash kept twice, the last stays. The order among them is kept.
        self.window.reverse();
        self.window.sort_by(|a, b| a.position().cmp(&b.position()));
        self.window
            .dedup_by(|later, first| later.position() == first.position());
        Ok(!self.window.is_empty())
    }

    fn is_durable(&self) -> bool {
        self.durable == self.window.len()
    }
}

/// Letters as a source: each is the message it was.
pub struct Letters {
    state: Rc<RefCell<State>>,
}

/// The way back: what is durable is no letter any more.
pub struct Settler {
    state: Rc<RefCell<State>>,
}

/// The wanted letters of a store, with the way back.
pub fn open(store: Box<dyn Store>, wanted: Wanted) -> (Letters, Settler) {
    let state = Rc::new(RefCell::new(State {
        store,
        wanted,
        window: Vec::new(),
        next: 0,
        durable: 0,
    }));
    let settler = Settler {
        state: state.clone(),
    };
    (Letters { state }, settler)
}

impl Settler {
    /// Notes that all that was handed out is durable.
    pub fn record(&self) {
        let mut state = self.state.borrow_mut();
        state.durable = state.next;
    }

    /// Settles what is durable, if a window is: half of one is not, and will be repeated.
    ///
    /// # Errors
    /// As [`Store::settle`].
    pub fn settle(&self) -> Result<(), Error> {
        let mut state = self.state.borrow_mut();
        if state.is_durable() {
            state.store.settle()?;
        }
        Ok(())
    }

    /// Settles for the last time.
    ///
    /// # Errors
    /// As [`Store::finish`].
    pub fn finish(&self) -> Result<(), Error> {
        self.settle()?;
        self.state.borrow_mut().store.finish()
    }
}

impl Source for Letters {
    fn take(&mut self, batch: &mut Batch, limits: Limits, _: Duration) -> Result<Taken, Error> {
        let state = &mut *self.state.borrow_mut();
        if state.next == state.window.len() {
            // A window is durable before the next is read.
            if !batch.is_empty() {
                return Ok(Taken::Nothing);
            }
            if !state.fill()? {
                return Ok(Taken::End);
            }
        }
        let before = batch.len();
        while let Some(letter) = state.window.get(state.next) {
            if batch.is_empty() {
                *batch = Batch::new(letter.topic.as_str().into());
            }
            let is_full = batch.len() >= limits.messages_max
                || batch.bytes_len() + letter.bytes_len() > limits.bytes_max;
            if (is_full && !batch.is_empty()) || **batch.topic() != *letter.topic {
                break;
            }
            let message = Message {
                partition: letter.partition,
                offset: letter.offset,
                timestamp: letter.timestamp,
                key: letter.key.as_deref(),
                value: letter.value.as_deref(),
                headers: &letter.headers,
            };
            batch.push_again(&message, letter.write_time);
            state.next += 1;
        }
        Ok(if batch.len() > before {
            Taken::Some
        } else {
            Taken::Nothing
        })
    }

    fn serve(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// No partition is owned: letters are of any.
    fn changes(&mut self) -> Vec<Change> {
        Vec::new()
    }

    fn close(&mut self) {}
}

#[cfg(test)]
mod tests;
