//! Membership of the group: what it gives and takes, and what the broker is told.
//!
//! librdkafka calls the hooks from within `poll`, on the worker's thread. They only note what was
//! given and give up what was taken; resolving starts is left to the source, which may wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use super::meta;
use super::native;
use super::state::{InFlight, Leave, Place, State};
use crate::access::{self, Told};
use crate::code::Code;
use crate::failpoint;

/// How long a partition's new owner may be kept waiting for our last commit.
const REVOKE_WAIT_MAX: Duration = Duration::from_secs(2);

/// How soon a commit is tried again that came while the group changed.
pub(super) const COMMIT_AGAIN: Duration = Duration::from_millis(50);

pub(super) type Consumer = BaseConsumer<Group>;

/// What the hooks share with the source and the committer.
pub(super) struct Group {
    pub(super) topic: String,
    state: Mutex<State>,
    /// Why no broker lets us in.
    pub(super) told: Told,
}

impl Group {
    pub(super) fn new(topic: &str, code: &Code) -> Self {
        Self {
            topic: topic.to_owned(),
            state: Mutex::new(State::of(code)),
            told: Told::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked stopped between two changes; leaving the group still needs the state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offsets with their metadata, as Kafka commits them.
    pub(super) fn list(&self, places: &[Place]) -> TopicPartitionList {
        let each = places.iter().map(|place| {
            let metadata = meta::write(&place.past);
            (place.partition, place.offset, metadata)
        });
        list(&self.topic, each)
    }

    /// Sends a commit of all that is due, unless one is on its way. Whether there is one now.
    pub(super) fn send(&self, consumer: Arc<Consumer>) -> Result<bool, RDKafkaErrorCode> {
        let mut state = self.state();
        if state.in_flight.is_none() {
            let due = state.due();
            if due.is_empty() {
                return Ok(false);
            }
            let commit = native::Commit::send(consumer, &self.list(&due))?;
            failpoint::reach("committing");
            let places = due;
            state.in_flight = Some(InFlight { commit, places });
        }
        Ok(true)
    }

    /// Waits at most `wait` for the commit on its way; `None` = there is none, or no answer yet.
    pub(super) fn answer(&self, wait: Duration) -> Option<Result<(), RDKafkaErrorCode>> {
        let mut state = self.state();
        let answer = state.in_flight.as_ref()?.commit.poll(wait)?;
        let in_flight = state.in_flight.take()?;
        if answer.is_ok() {
            state.acknowledge(in_flight.places);
        }
        Some(answer)
    }

    /// Before the group is left: nobody waits any more for the commit on its way, which holds on to the
    /// consumer, and no tail is read on. Taken is what lies before these positions.
    pub(super) fn close(&self, positions: &BTreeMap<i32, i64>) {
        let mut state = self.state();
        state.in_flight = None;
        state.tails.clear();
        state.note_taken(positions);
    }

    /// Before librdkafka is told to leave: commits what is written, which the hooks may not do any more.
    pub(super) fn take_leave(&self, consumer: &Consumer) {
        let partitions: BTreeSet<i32> = self
            .state()
            .read()
            .map(|(partition, _)| partition)
            .collect();
        if !consumer.assignment_lost() {
            self.hand_over(consumer, &partitions);
        }
        tracing::info!(?partitions, "partitions released");
        self.state().leave = Leave::Begun;
    }

    /// While the group is left, one answer gives all partitions up, whatever was asked. librdkafka may ask
    /// once more, for what waited when the leaving began, but is gone as soon as the broker has let it go:
    /// then it drops a question of ours without an answer, and aborts the process at a commit.
    fn answer_leaving(&self, consumer: &Consumer) -> Result<(), KafkaError> {
        if std::mem::replace(&mut self.state().leave, Leave::Answered) == Leave::Answered {
            return Ok(());
        }
        consumer.unassign()
    }

    /// Commits what is written of some partitions before they go to their next owner, so that it
    /// repeats nothing. If that fails it repeats, which changes no row.
    fn hand_over(&self, consumer: &Consumer, partitions: &BTreeSet<i32>) {
        let deadline = Instant::now() + REVOKE_WAIT_MAX;
        // An older commit that arrived after this one would take the group back.
        let _: Option<Result<(), RDKafkaErrorCode>> = self.answer(REVOKE_WAIT_MAX);
        let leaving = self.state().leaving(partitions);
        if leaving.is_empty() {
            return;
        }
        let each = leaving.iter().map(|(place, is_whole)| {
            let metadata = match is_whole {
                true => meta::write_whole(&place.past),
                false => meta::write(&place.past),
            };
            (place.partition, place.offset, metadata)
        });
        let list = list(&self.topic, each);
        loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            let answer = native::Commit::send(consumer, &list)
                .and_then(|commit| commit.poll(wait).transpose());
            match answer {
                Ok(Some(())) => {
                    let places = leaving.into_iter().map(|(place, _)| place);
                    return self.state().acknowledge(places.collect());
                }
                Err(error) if is_passing(error) && Instant::now() < deadline => {
                    thread::sleep(COMMIT_AGAIN);
                }
                Ok(None) => {
                    tracing::warn!("no answer to the commit of revoked partitions in time");
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "revoked partitions were not committed");
                    return;
                }
            }
        }
    }

    fn revoke(&self, consumer: &Consumer, partitions: &BTreeSet<i32>) {
        if consumer.assignment_lost() {
            // Somebody else reads them already: a commit would take the group back.
            tracing::warn!(?partitions, "partitions lost: the group went on without us");
        } else {
            self.hand_over(consumer, partitions);
        }
        if failpoint::has_bug("bug-lose-on-revoke")
            && let Ok(read) = consumer.position()
        {
            let _ = consumer.commit(&read, CommitMode::Sync);
        }
        let mut state = self.state();
        for &partition in partitions {
            state.release(partition);
        }
    }
}

/// Partitions of a topic with the offsets and the metadata to commit for them.
pub(super) fn list(
    topic: &str,
    each: impl Iterator<Item = (i32, i64, String)>,
) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset, metadata) in each {
        let mut partition = list.add_partition(topic, partition);
        partition
            .set_offset(Offset::Offset(offset))
            .expect("what was read has an offset from 0");
        partition.set_metadata(metadata);
    }
    list
}

/// Whether a commit was refused only because the group, or who coordinates it, is changing: librdkafka
/// joins again by itself, and then the same commit is taken.
pub(super) fn is_passing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::RebalanceInProgress
            | RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::NotCoordinator
            | RDKafkaErrorCode::CoordinatorNotAvailable
            | RDKafkaErrorCode::CoordinatorLoadInProgress
    )
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if access::is_final(message) {
            self.told.note(message);
        }
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        let mut brokers = statistics.brokers.values();
        self.state().is_connected = brokers.any(|broker| broker.state == "UP");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The source sees the same error in `poll` and reports it once.
        tracing::debug!(%error, reason, "kafka");
        if access::is_final(reason) {
            self.told.note(reason);
        }
    }
}

/// librdkafka's own log: what it calls an error mends itself, and the source says what matters.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::warn!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning
        | RDKafkaLogLevel::Notice
        | RDKafkaLogLevel::Info
        | RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

impl ConsumerContext for Group {
    fn rebalance(&self, consumer: &Consumer, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions: BTreeSet<i32> = list.elements().iter().map(|e| e.partition()).collect();
        let is_staying = self.state().leave == Leave::No;
        let answered = if !is_staying {
            self.answer_leaving(consumer)
        } else if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            tracing::info!(?partitions, "partitions assigned");
            self.state().pending.extend(&partitions);
            // None is read before its start is known; librdkafka only wants to hear that we heard.
            consumer.incremental_assign(&TopicPartitionList::new())
        } else {
            let read: BTreeSet<i32> = self.state().owned.keys().copied().collect();
            self.revoke(consumer, &partitions);
            tracing::info!(?partitions, "partitions released");
            let protocol = consumer.rebalance_protocol();
            if matches!(protocol, RebalanceProtocol::Cooperative) {
                let mut list = TopicPartitionList::new();
                for &partition in partitions.intersection(&read) {
                    list.add_partition(&self.topic, partition);
                }
                consumer.incremental_unassign(&list)
            } else {
                consumer.unassign()
            }
        };
        if let Err(error) = answered {
            tracing::warn!(%error, "the group's rebalance");
        }
        failpoint::reach("rebalance");
    }
}

#[cfg(test)]
mod tests;
