//! What a worker tells about its work, for whoever counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::Span;
use crate::plugin::{Calls, Instance};
use crate::row::{Rejected, Stage, Target, Transformed};
use crate::source::{Source, Standing};

/// What a worker tells about its work.
#[derive(Clone, Debug)]
pub enum Report {
    /// It has subscribed, loaded the plugin and prepared its statements.
    Ready,
    /// Messages were taken from the source.
    Taken {
        /// How many, by partition.
        messages: BTreeMap<i32, usize>,
    },
    /// A batch is durable.
    Done(Done),
    /// A room does not get on, or for another reason than before.
    Waits {
        /// Which worker, from 0.
        worker: usize,
        /// Which room of it: `source` or `sink`; or its `breaker`, or a person's `pause`.
        room: &'static str,
        /// Why, for people.
        reason: String,
    },
    /// A room gets on again.
    GoesOn {
        /// Which worker, from 0.
        worker: usize,
        /// Which room of it.
        room: &'static str,
    },
    /// A write failed, and is tried again.
    Retries {
        /// Why, for programs.
        code: &'static str,
    },
    /// A partition cannot go on; a person must mend it.
    Stopped {
        /// Which one.
        partition: i32,
        /// Why, for people.
        reason: String,
    },
    /// How a worker stands, about once a second.
    Standing {
        /// Which worker, from 0.
        worker: usize,
        /// How far its partitions are.
        partitions: Vec<Standing>,
        /// The memory of its plugin's instance, in bytes.
        memory: usize,
    },
    /// A partition is not its own any more.
    Released {
        /// Which one.
        partition: i32,
    },
    /// It runs another version, and the broker knows.
    Traded {
        /// Which worker, from 0.
        worker: usize,
        /// The generation in which it writes now.
        generation: u32,
        /// The first offset of each of its partitions that is the version's.
        firsts: BTreeMap<i32, i64>,
        /// How long it did nothing else.
        pause: Duration,
    },
    /// The version on probation cannot go on.
    Failing {
        /// Which worker, from 0.
        worker: usize,
        /// Why, for people.
        reason: String,
    },
    /// The version on probation has made more rows than could be taken back: it stays.
    Settled {
        /// Which worker, from 0.
        worker: usize,
    },
    /// What the version on probation did is undone.
    WentBack {
        /// How many offsets are read again.
        messages: u64,
    },
}

/// The reports of one worker, on their way.
pub struct Reports {
    worker: usize,
    to: Box<dyn Fn(Report) + Send>,
    stood: Instant,
}

/// How often the standing of partitions is told.
const STANDING_EVERY: Duration = Duration::from_secs(1);

impl Reports {
    /// Those of the worker with this number, from 0. `to` takes them, and may wait while too many
    /// are on their way.
    pub fn new(worker: usize, to: impl Fn(Report) + Send + 'static) -> Self {
        let (to, stood) = (Box::new(to), Instant::now());
        Self { worker, to, stood }
    }

    /// The worker's number, from 0.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Sends one.
    pub fn send(&self, report: Report) {
        (self.to)(report);
    }

    /// Tells how the worker stands, if that is due.
    pub(super) fn stand(&mut self, source: &dyn Source, plugin: &Instance) {
        if self.stood.elapsed() >= STANDING_EVERY {
            self.stood = Instant::now();
            self.send(Report::Standing {
                worker: self.worker,
                partitions: source.standing(),
                memory: plugin.memory_bytes(),
            });
        }
    }
}

/// A durable batch.
#[derive(Clone, Debug)]
pub struct Done {
    /// The generation in which it was written.
    pub generation: u32,
    /// The offsets it covered.
    pub spans: Vec<Span>,
    /// How many messages it had.
    pub messages: usize,
    /// How many messages have rows.
    pub written: usize,
    /// How many rows that were, by table.
    pub rows: BTreeMap<Arc<str>, usize>,
    /// How many messages were left out, by code.
    pub filtered: BTreeMap<Arc<str>, usize>,
    /// How many messages became dead letters, by stage and code.
    pub letters: BTreeMap<(&'static str, Arc<str>), usize>,
    /// How the plugin was called.
    pub calls: Calls,
    /// When its first message was taken.
    pub began: Instant,
    /// How long collecting, transforming, writing and committing took.
    pub phases: [Duration; 4],
}

impl Done {
    /// What there is to tell of a batch of which `rejected` have no rows; `phases` as in
    /// [`Done::phases`], as far as they are over.
    pub(super) fn of(
        batch: &Transformed,
        rejected: &[Rejected],
        targets: &[Target],
        began: Instant,
        [fetch, transform, write]: [Duration; 3],
    ) -> Done {
        let refused = rejected
            .iter()
            .filter(|letter| letter.stage == Stage::Write);
        let refused: BTreeSet<usize> = refused.map(|letter| letter.message).collect();
        let mut done = Done {
            generation: 0,
            spans: batch.spans().to_vec(),
            messages: batch.batch.len(),
            written: batch.written + batch.rejected.len() - rejected.len(),
            rows: BTreeMap::new(),
            filtered: BTreeMap::new(),
            letters: BTreeMap::new(),
            calls: Calls::default(),
            began,
            phases: [fetch, transform, write, Duration::ZERO],
        };
        for rows in &batch.rows {
            let sources = rows.sources.iter();
            let gone = sources.filter(|&&message| refused.contains(&(message as usize)));
            let table = targets[rows.target].table.as_str().into();
            *done.rows.entry(table).or_default() += rows.len() - gone.count();
        }
        for filtered in &batch.filtered {
            *done.filtered.entry(filtered.code.clone()).or_default() += filtered.messages;
        }
        for letter in rejected {
            let letter = (letter.stage.name(), letter.code.clone());
            *done.letters.entry(letter).or_default() += 1;
        }
        done
    }

    /// Counts what was rejected as left out: nothing keeps it.
    pub(super) fn keep_no_letters(&mut self) {
        for ((_, code), messages) in std::mem::take(&mut self.letters) {
            *self.filtered.entry(code).or_default() += messages;
        }
    }

    /// How many messages became dead letters.
    pub fn dead_letters(&self) -> usize {
        self.letters.values().sum()
    }

    /// How many messages were left out.
    pub fn filtered(&self) -> usize {
        self.filtered.values().sum()
    }

    /// How many messages have no outcome, or more than one (then it is negative). Always 0.
    pub fn conservation_gap(&self) -> i64 {
        let outcomes = self.written + self.filtered() + self.dead_letters();
        i64::try_from(self.messages).expect("a batch is small")
            - i64::try_from(outcomes).expect("a batch is small")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Batch, Message};
    use crate::row::{Filtered, Operation, Rows};

    fn letter(message: usize, stage: Stage) -> Rejected {
        Rejected {
            message,
            stage,
            code: "bad".into(),
            reason: String::new(),
        }
    }

    /// Of five messages the first three have two rows, one and one; the sink refuses the first; the
    /// plugin rejects another, and leaves one out.
    #[test]
    fn rows_of_refused_messages_are_not_written() {
        let mut batch = Batch::new("plays".into());
        for offset in 0..5 {
            batch.push(&Message {
                partition: 0,
                offset,
                timestamp: 0,
                key: None,
                value: None,
                headers: b"",
            });
        }
        let rows = Rows {
            ends: vec![1, 2, 3, 4],
            sources: vec![0, 0, 1, 2],
            ..Rows::default()
        };
        let transformed = Transformed {
            batch,
            rows: vec![rows],
            written: 3,
            rejected: vec![letter(3, Stage::Transform)],
            filtered: vec![Filtered {
                code: "dull".into(),
                messages: 1,
            }],
        };
        let table = Target {
            table: "plays".to_owned(),
            operation: Operation::Upsert,
            columns: vec![],
        };
        let rejected = [letter(3, Stage::Transform), letter(0, Stage::Write)];
        let phases = [Duration::ZERO; 3];
        let mut done = Done::of(&transformed, &rejected, &[table], Instant::now(), phases);
        assert_eq!((done.written, done.conservation_gap()), (2, 0));
        assert_eq!(done.rows, [("plays".into(), 2)].into());
        let letters = ["transform", "write"].map(|stage| ((stage, "bad".into()), 1));
        assert_eq!(done.letters, letters.into());
        done.keep_no_letters();
        assert_eq!((done.dead_letters(), done.conservation_gap()), (0, 0));
        assert_eq!(
            done.filtered,
            [("bad".into(), 2), ("dull".into(), 1)].into()
        );
    }
}
