//! Where rows go: a store of tables, and a store of dead letters beside it.
//!
//! A batch is written when every row is acknowledged and every rejected message is kept. Only then
//! is there a [`Written`], which nothing outside this room can make: it is the proof that the
//! checkpoint asks for. Sinks attempt; only the worker decides to try again.

pub mod cassandra;
pub mod dead_letter;
pub mod memory;
pub mod none;
mod requests;
pub mod schema;
pub mod sqlite;
pub mod value;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub use requests::Requests;

use crate::failpoint;
use crate::message::{Span, WriteTime};
use crate::row::{CqlType, Key, Rejected, Stage, Target, Transformed};

/// A store of tables.
///
/// Writing is an upsert with the row's write time: the greater one wins, so that writing a batch
/// twice leaves the tables as writing it once.
pub trait Sink: Send {
    /// Connects, checks the live tables against what the plugin declares, and prepares statements.
    /// Answers with each target's key. May be called again after an error.
    ///
    /// # Errors
    /// [`Error::Schema`] with the difference, if a table is missing or a column is wrong.
    fn prepare(&mut self, targets: &[Target]) -> Result<Vec<Key>, Error>;

    /// Starts to write the rows of a batch. Called again with the same batch after an error, it
    /// writes only those that are not acknowledged yet.
    fn start(&mut self, batch: &Arc<Transformed>);

    /// Waits at most `wait` for the writing to end; `None` = it goes on.
    ///
    /// # Errors
    /// What stopped it; other rows of the batch may have been written.
    fn poll(&mut self, wait: Duration) -> Option<Result<Vec<Refused>, Error>>;
}

/// A row that the store does not take, whatever is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The message it comes from: an index into the batch.
    pub message: usize,
    /// What the store says.
    pub reason: String,
}

/// A value that a query is asked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its type.
    pub kind: CqlType,
    /// Its encoded value.
    pub cell: Vec<u8>,
}

/// What a query answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Its rows, with a value for each column.
    pub rows: Vec<Vec<value::Value>>,
}

/// A store of dead letters.
pub trait Letters: Send {
    /// Whose judgement it is from now on.
    fn judged_by(&mut self, origin: &dead_letter::Origin);

    /// Starts to keep the rejected messages of a batch. Called again with the same batch after an
    /// error, it keeps at least those that are not kept yet.
    fn start(&mut self, batch: &Arc<Transformed>, rejected: &[Rejected]);

    /// Waits at most `wait` until all are kept; `None` = not yet.
    ///
    /// # Errors
    /// Why they cannot be kept.
    fn poll(&mut self, wait: Duration) -> Option<Result<(), Error>>;
}

/// Proof that what these spans cover is durable: rows acknowledged, dead letters kept.
#[derive(Debug)]
pub struct Written(Vec<Progress>);

/// How far one partition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The offsets that are written.
    pub span: Span,
    /// The write time of the last message among them; `None` if there was no message.
    pub write_time: Option<WriteTime>,
}

impl Written {
    /// How far each partition is written.
    pub fn progress(&self) -> &[Progress] {
        &self.0
    }

    /// The same without some partitions: those that were taken from us while we wrote.
    #[must_use]
    pub fn without(mut self, released: &BTreeSet<i32>) -> Self {
        self.0
            .retain(|progress| !released.contains(&progress.span.partition));
        self
    }

    fn of(batch: &Transformed) -> Self {
        let last = |partition: i32| {
            let messages = batch.batch.messages().enumerate();
            let ours = messages.filter(|(_, message)| message.partition == partition);
            ours.filter_map(|(index, _)| batch.batch.write_time(index))
                .max()
        };
        let spans = batch.spans().iter();
        Self(
            spans
                .map(|&span| Progress {
                    span,
                    write_time: last(span.partition),
                })
                .collect(),
        )
    }
}

/// The room: a sink and the store of dead letters beside it.
pub struct Room {
    sink: Box<dyn Sink>,
    letters: Box<dyn Letters>,
    state: State,
}

enum State {
    Idle,
    Writing(Arc<Transformed>),
    Keeping(Arc<Transformed>, Vec<Rejected>),
}

impl Room {
    /// A room of the two.
    pub fn new(sink: Box<dyn Sink>, letters: Box<dyn Letters>) -> Self {
        Self {
            sink,
            letters,
            state: State::Idle,
        }
    }

    /// The sink alone.
    pub fn into_sink(self) -> Box<dyn Sink> {
        self.sink
    }

    /// Whose judgement dead letters are from now on.
    pub fn judged_by(&mut self, origin: &dead_letter::Origin) {
        self.letters.judged_by(origin);
    }

    /// As [`Sink::prepare`].
    ///
    /// # Errors
    /// As [`Sink::prepare`].
    pub fn prepare(&mut self, targets: &[Target]) -> Result<Vec<Key>, Error> {
        self.sink.prepare(targets)
    }

    /// Takes a batch and starts to write it.
    pub fn start(&mut self, batch: &Arc<Transformed>) {
        failpoint::reach("transformed");
        self.sink.start(batch);
        self.state = State::Writing(batch.clone());
    }

    /// Goes on after an error, with what is not durable yet.
    ///
    /// # Panics
    /// If there is no batch.
    pub fn resume(&mut self) {
        match &self.state {
            State::Writing(batch) => self.sink.start(batch),
            State::Keeping(batch, rejected) => self.letters.start(batch, rejected),
            State::Idle => panic!("there is no batch to go on with"),
        }
    }

    /// Waits at most `wait` until the batch is durable; `None` = not yet.
    ///
    /// # Errors
    /// What stopped it. [`Room::resume`] goes on.
    ///
    /// # Panics
    /// If there is no batch.
    pub fn poll(&mut self, wait: Duration) -> Option<Result<Outcome, Error>> {
        if let State::Writing(batch) = &self.state {
            if failpoint::has_bug("bug-commit-early") {
                return Some(Ok(outcome(batch, batch.rejected.clone())));
            }
            let refused = match self.sink.poll(wait)? {
                Ok(refused) => refused,
                Err(error) => return Some(Err(error)),
            };
            let rejected = rejected(batch, &refused);
            if !rejected.is_empty() {
                self.letters.start(batch, &rejected);
            }
            self.state = State::Keeping(batch.clone(), rejected);
        }
        let State::Keeping(batch, rejected) = &mut self.state else {
            panic!("there is no batch to wait for");
        };
        if !rejected.is_empty()
            && let Err(error) = self.letters.poll(wait)?
        {
            return Some(Err(error));
        }
        let outcome = outcome(batch, std::mem::take(rejected));
        failpoint::reach("written");
        self.state = State::Idle;
        Some(Ok(outcome))
    }
}

/// What became of a batch in this room.
#[derive(Debug)]
pub struct Outcome {
    /// How far each partition is written.
    pub written: Written,
    /// The messages that ended as dead letters, by index: the plugin's, and those whose rows were
    /// refused.
    pub rejected: Vec<Rejected>,
}

fn outcome(batch: &Transformed, rejected: Vec<Rejected>) -> Outcome {
    Outcome {
        written: Written::of(batch),
        rejected,
    }
}

fn rejected(batch: &Transformed, refused: &[Refused]) -> Vec<Rejected> {
    let mut rejected = batch.rejected.clone();
    for row in refused {
        if !rejected.iter().any(|other| other.message == row.message) {
            let (message, reason) = (row.message, row.reason.clone());
            let code = "row_refused".into();
            rejected.push(Rejected {
                message,
                stage: Stage::Write,
                code,
                reason,
            });
        }
    }
    rejected.sort_by_key(|rejected| rejected.message);
    rejected
}

/// Why rows cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store is away, slow or overloaded: waiting may mend it.
    #[error("{store}: {reason}")]
    Unavailable {
        /// Which store, and where.
        store: String,
        /// A short code for metrics: `overloaded`, `write_timeout`, `no_connection`, ...
        code: &'static str,
        /// What its driver says.
        reason: String,
    },
    /// The live tables are not what the plugin declares; the text is the difference and the way out.
    #[error("{0}")]
    Schema(String),
    /// The store refuses us or everything we write: a person must mend it.
    #[error("{store}: {reason}")]
    Refused {
        /// Which store, and where.
        store: String,
        /// What its driver says.
        reason: String,
    },
}

impl Error {
    /// Why, for metrics: `overloaded`, `write_timeout`, `schema`, ...
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { code, .. } => code,
            Self::Schema(_) => "schema",
            Self::Refused { .. } => "refused",
        }
    }

    /// Whether waiting may mend it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Schema(_) | Self::Refused { .. } => false,
        }
    }
}
