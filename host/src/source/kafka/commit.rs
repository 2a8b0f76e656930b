//! The way back: offsets that were written, committed by the member that owns them.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;

use super::group::{self, Consumer};
use super::native;
use super::state::Place;
use crate::code::Code;
use crate::message::{Span, WriteTime};

/// How often offsets are committed.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// How long a commit may take that is waited for.
const COMMIT_WAIT_MAX: Duration = Duration::from_secs(10);

/// Commits what was written, as the member it came from. Does nothing once the source is closed.
#[derive(Debug)]
pub struct Committer {
    consumer: Weak<Consumer>,
    sent: Instant,
    is_failing: bool,
}

/// What the broker has acknowledged.
#[derive(Debug)]
pub struct News {
    /// The cluster's id.
    pub cluster: String,
    /// Who has committed: the member's id in the group.
    pub member: String,
    /// The last place of each partition.
    pub acknowledged: Vec<Place>,
    /// The places where this member began, in a generation that was new there.
    pub begun: Vec<Place>,
}

impl Committer {
    pub(super) fn new(consumer: &Arc<Consumer>) -> Self {
        Self {
            consumer: Arc::downgrade(consumer),
            sent: Instant::now(),
            is_failing: false,
        }
    }

    /// Notes that all messages of a span are durable. A span of a partition that is not ours any
    /// more is dropped: its new owner writes it again. So is what was written before we lost it and
    /// is ours again, as far as it is known already.
    ///
    /// # Panics
    /// If messages between what was noted before and the span would be skipped.
    pub fn record(&self, span: Span, write_time: Option<WriteTime>) {
        let Some(consumer) = self.consumer.upgrade() else {
            return;
        };
        let mut state = consumer.context().state();
        let Some(progress) = state.owned.get_mut(&span.partition) else {
            return;
        };
        progress.record(span, write_time);
    }

    /// Commits if the last time is about a second ago, and does not wait. A failure is logged, and
    /// the next commit carries its offsets too.
    pub fn commit_if_due(&mut self) {
        let Some(consumer) = self.consumer.upgrade() else {
            return;
        };
        if let Some(answer) = consumer.context().answer(Duration::ZERO) {
            self.note(answer);
        }
        if self.sent.elapsed() < COMMIT_EVERY {
            return;
        }
        self.sent = Instant::now();
        let sent = consumer.context().send(consumer.clone());
        if let Err(error) = sent {
            self.note(Err(error));
        }
    }

    /// Commits all that is written, and waits for the answer.
    ///
    /// # Errors
    /// When it was refused or did not come; what was written stays noted.
    pub fn commit_now(&mut self) -> Result<(), String> {
        let Some(consumer) = self.consumer.upgrade() else {
            return Err("the group was left before".into());
        };
        let deadline = Instant::now() + COMMIT_WAIT_MAX;
        let context = consumer.context();
        // One may be on its way that knows less, so it is asked again until nothing is left.
        while context
            .send(consumer.clone())
            .map_err(|error| error.to_string())?
        {
            let wait = deadline.saturating_duration_since(Instant::now());
            match context.answer(wait) {
                Some(Err(error)) if group::is_passing(error) && !wait.is_zero() => {
                    thread::sleep(group::COMMIT_AGAIN);
                }
                Some(answer) => {
                    self.note(answer);
                    answer.map_err(|error| error.to_string())?;
                }
                None => return Err(format!("no answer within {COMMIT_WAIT_MAX:?}")),
            }
        }
        self.sent = Instant::now();
        Ok(())
    }

    /// What is recorded from now on is made by other code, in this generation. A commit that says so is
    /// sent, if none is on its way.
    pub fn trade(&self, code: &Arc<Code>, generation: u32) {
        if let Some(consumer) = self.consumer.upgrade() {
            let context = consumer.context();
            context.state().trade(code, generation);
            // Whoever waits for it later asks again.
            let _ = context.send(consumer.clone());
        }
    }

    /// Goes back to these offsets, in this generation; and to those of `late` in partitions that come
    /// later, while their commits name the code that ours name now.
    pub fn rewind(&self, to: &BTreeMap<i32, i64>, generation: u32, late: &BTreeMap<i32, i64>) {
        if let Some(consumer) = self.consumer.upgrade() {
            consumer.context().state().rewind(to, generation, late);
        }
    }

    /// What the broker has acknowledged since this was last asked; `None` = nothing.
    pub fn news(&self) -> Option<News> {
        let consumer = self.consumer.upgrade()?;
        let mut state = consumer.context().state();
        if state.acknowledged.is_empty() && state.begun.is_empty() {
            return None;
        }
        let (acknowledged, begun) = (
            std::mem::take(&mut state.acknowledged),
            std::mem::take(&mut state.begun),
        );
        drop(state);
        Some(News {
            // It came with the answer to the first question.
            cluster: consumer.client().fetch_cluster_id(Duration::ZERO)?,
            member: native::member(&consumer),
            acknowledged: acknowledged.into_values().collect(),
            begun: begun.into_values().collect(),
        })
    }

    /// The offset that the broker has acknowledged for a partition of ours.
    pub fn committed(&self, partition: i32) -> Option<i64> {
        let consumer = self.consumer.upgrade()?;
        let state = consumer.context().state();
        state.owned.get(&partition)?.committed
    }

    fn note(&mut self, answer: Result<(), RDKafkaErrorCode>) {
        match answer {
            Ok(()) if self.is_failing => tracing::info!("offsets are committed again"),
            Err(error) if !self.is_failing => {
                tracing::warn!(%error, "offsets were not committed; they go with the next commit");
            }
            Ok(()) | Err(_) => {}
        }
        self.is_failing = answer.is_err();
    }
}
