//! The trade itself: every worker gets its instance, and says when it has begun.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::Refusal;
use super::steward::Word;
use crate::pipeline::Plan;
use crate::row::Key;
use crate::sink::{self, Sink};
use crate::version::Version;
use crate::worker::{self, Control, Fitted, Order, sweeping};

/// How many bytes of keys a worker keeps during a probation.
const KEYS_BYTES_MAX: usize = 32 << 20;
/// How often it is told which workers are waited for.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// How long workers are waited for. One that cannot write, because the store is away, gets there later.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Workers that are told things, and what they answered.
pub(super) struct Workers<'a> {
    pub(super) plan: &'a Plan,
    pub(super) control: &'a Control,
    pub(super) words: &'a Receiver<Word>,
}

/// What the workers answered.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// The greatest generation that one of them writes in.
    pub(super) generation: u32,
    /// Where the version begins in each partition.
    pub(super) firsts: BTreeMap<i32, i64>,
    /// How long each did nothing else.
    pub(super) pauses: BTreeMap<usize, Duration>,
    /// How many offsets are read again.
    pub(super) messages: u64,
    /// Who has not answered yet.
    pub(super) missing: BTreeSet<usize>,
    /// Why the version cannot go on, in a worker that has just begun with it.
    pub(super) failing: Option<String>,
}

/// One order a worker, made before the first is given: what cannot be made changes nothing.
pub(super) struct Orders {
    each: Vec<Order>,
    /// The generation from which on who follows them writes.
    generation: u32,
    /// Whether workers may rest until they have them.
    is_way_back: bool,
}

impl Orders {
    /// Gives every worker its own: who has one.
    fn give(self, control: &Control) -> BTreeSet<usize> {
        let workers = 0..self.each.len();
        for (worker, order) in self.each.into_iter().enumerate() {
            control.order(worker, order);
        }
        // After a trade whoever rests does so for what speaks against the version that others have just begun
        // with.
        if self.is_way_back {
            control.expect_orders(false);
        }
        workers.collect()
    }
}

impl Answers {
    /// The longest that a worker did nothing else, in microseconds.
    pub(super) fn pause_us(&self) -> u64 {
        self.pauses.values().copied().max().map_or(0, micros)
    }
}

/// A time in microseconds.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Workers<'_> {
    /// Makes what each worker needs to run a version instead of another.
    ///
    /// # Errors
    /// If the plugin cannot be started once more, or the store does not answer.
    pub(super) fn fit(
        &self,
        version: &Version,
        keys: &[Key],
        before: &Version,
        generation: u32,
    ) -> Result<Orders, Refusal> {
        let targets = &version.plugin.description().targets;
        let is_same = *targets == before.plugin.description().targets;
        let order = |_| {
            let sink = match is_same {
                true => None,
                false => Some(self.open(version)?),
            };
            Ok(Order::Trade(Box::new(worker::Trade {
                fitted: Fitted::of(version, keys.to_vec())?,
                sink,
                generation,
                keys_bytes_max: KEYS_BYTES_MAX,
            })))
        };
        let each: Result<_, Refusal> = (0..self.plan.workers).map(order).collect();
        Ok(Orders {
            each: each?,
            generation,
            is_way_back: false,
        })
    }

    fn open(&self, version: &Version) -> Result<sink::Room, sink::Error> {
        let mut room = (self.plan.sink)(version.origin())?;
        room.prepare(&version.plugin.description().targets)?;
        Ok(room)
    }

    /// Makes what each worker needs to undo what a version did.
    ///
    /// # Errors
    /// If the store does not answer.
    pub(super) fn undo(
        &self,
        version: &Version,
        keys: &[Key],
        from: &BTreeMap<i32, i64>,
        generation: u32,
    ) -> Result<Orders, sink::Error> {
        let targets = sweeping(&version.plugin.description().targets, keys);
        let order = |_| {
            let mut sweeper: Box<dyn Sink> = (self.plan.sink)(version.origin())?.into_sink();
            sweeper.prepare(&targets)?;
            Ok(Order::Back(Box::new(worker::Back {
                generation,
                sweeper,
                from: from.clone(),
            })))
        };
        let each: Result<_, sink::Error> = (0..self.plan.workers).map(order).collect();
        Ok(Orders {
            each: each?,
            generation,
            is_way_back: true,
        })
    }

    /// Gives every worker its order, and waits until all have begun.
    pub(super) fn order(&self, orders: Orders, tell: &mut dyn FnMut(String)) -> Answers {
        let at_least = orders.generation;
        let mut answers = Answers {
            missing: orders.give(self.control),
            ..Answers::default()
        };
        let until = Instant::now() + WAIT_MAX;
        let mut told = Instant::now();
        while !answers.missing.is_empty() && Instant::now() < until && !self.control.is_stopping() {
            match self.words.recv_timeout(TELL_EVERY / 10) {
                Ok(Word::Traded {
                    worker,
                    generation,
                    firsts,
                    pause,
                }) if generation >= at_least => {
                    answers.missing.remove(&worker);
                    answers.generation = answers.generation.max(generation);
                    answers.firsts.extend(firsts);
                    answers.pauses.insert(worker, pause);
                }
                // Of an order before these, which somebody has waited for long enough.
                Ok(Word::Traded { .. }) => {}
                Ok(Word::WentBack { messages }) => answers.messages += messages,
                Ok(Word::Failing { worker, reason }) => {
                    answers.missing.remove(&worker);
                    answers.failing = Some(reason);
                }
                // It has nothing to go back to, and stays with what it runs.
                Ok(Word::Settled { worker }) => _ = answers.missing.remove(&worker),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                let missing = answers.missing.iter().map(usize::to_string);
                let missing = missing.collect::<Vec<_>>().join(", ");
                tell(format!(
                    "waiting for a batch's boundary of worker {missing}"
                ));
            }
        }
        answers
    }

    /// Ends the probation of what runs.
    pub(super) fn keep(&self) {
        for worker in 0..self.plan.workers {
            self.control.order(worker, Order::Keep);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::Ends;

    /// A worker may have found the version bad that it was just given, before the last one has its order.
    #[test]
    fn only_the_way_back_ends_a_rest() {
        for is_way_back in [true, false] {
            let control = Control::new(std::sync::Arc::default(), Ends::default());
            control.expect_orders(true);
            let orders = Orders {
                each: vec![Order::Keep, Order::Keep],
                generation: 1,
                is_way_back,
            };
            assert_eq!(orders.give(&control), [0, 1].into());
            assert_eq!(control.expects_orders(), !is_way_back);
            for worker in [0, 1] {
                assert!(control.take_order(worker).is_some());
            }
        }
    }
}
