//! What the group gives and takes: where a partition's reading begins, and whether it is still the
//! topic that it was.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::group::Consumer;
use super::settle::{self, Settled};
use super::state::{Place, Progress};
use super::tail;
use super::{Kafka, SETTLE_AGAIN, failure, native};
use crate::source::Error;

/// How often the topic is asked whether it was made anew, behind our back.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Asks now and then for the topic's id, and does not wait for the answer.
#[derive(Default)]
pub(super) struct Watch {
    asked: Option<native::TopicId<Arc<Consumer>>>,
    looked: Option<Instant>,
}

impl Watch {
    /// The topic's id, if the brokers answered just now.
    fn look(&mut self, consumer: &Arc<Consumer>) -> Option<String> {
        if let Some(asked) = &self.asked {
            let answer = asked.poll(Duration::ZERO)?;
            self.asked = None;
            // Whether the topic is there at all, and the brokers, is found out elsewhere.
            return answer.ok().flatten();
        }
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            self.looked = Some(Instant::now());
            let topic = &consumer.context().topic;
            self.asked = Some(native::TopicId::ask(consumer.clone(), topic, None));
        }
        None
    }
}

impl Kafka {
    pub(super) fn forget_released(&mut self) {
        let inbox = self.inbox.as_mut().expect("as in `inbox`");
        let state = inbox.consumer().context().clone();
        let state = state.state();
        self.positions.retain(|partition, _| {
            let is_owned = state.owned.contains_key(partition);
            if !is_owned {
                inbox.discard(*partition);
            }
            is_owned
        });
    }

    /// Finds out where newly assigned partitions start, and lets librdkafka read them.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        let inbox = self.inbox.as_ref().expect("as in `inbox`");
        let consumer = inbox.consumer().clone();
        let pending = consumer.context().state().pending.clone();
        if pending.is_empty() || Instant::now() < self.settle_at {
            return Ok(());
        }
        self.settle_at = Instant::now() + SETTLE_AGAIN;
        let settled = settle::settle(
            &consumer,
            &self.brokers,
            (self.start, self.kept.as_ref(), self.tails.is_some()),
            &pending,
        );
        let settled = match settled {
            Ok(Settled::Ready(ready)) => ready,
            Ok(Settled::Waiting) => return Ok(()),
            Err(error) => return self.trouble.report(error),
        };
        self.settle_at = Instant::now();
        self.found.extend(settled.refused);
        let ready = settled.places;
        let mut list = TopicPartitionList::with_capacity(ready.len());
        for from in &ready {
            inbox.forward(&self.topic, from.partition);
            list.add_partition_offset(&self.topic, from.partition, Offset::Offset(from.offset))
                .map_err(|error| Error::Settings(error.into()))?;
        }
        if let Err(error) = consumer.incremental_assign(&list) {
            let error = failure::of(error, &self.brokers, &self.topic);
            return self.trouble.report(error);
        }
        let group = consumer.context();
        let mut state = group.state();
        // Meanwhile others may have come: tails that ended.
        state
            .pending
            .retain(|partition| !pending.contains(partition));
        state
            .ended
            .retain(|partition, _| !pending.contains(partition));
        drop(state);
        for from in ready {
            self.own(from);
        }
        if let Some(end) = &self.tails {
            for tail in tail::begin(group, settled.tails) {
                end(tail);
            }
        }
        self.trouble.clear();
        Ok(())
    }

    /// Reads a partition from a place on, which librdkafka is told separately.
    pub(super) fn own(&mut self, from: Place) {
        let partition = from.partition;
        self.positions.insert(partition, from.offset);
        self.ahead.remove(&partition);
        self.skips.remove(&partition);
        let skip = from.past.skip.map(|skip| (partition, skip));
        self.skips.extend(skip);
        let mut state = self.inbox().consumer().context().state();
        state.generation = state.generation.max(from.past.generation);
        // Who began this generation here may have died before it was written down; if not, that stands.
        let first = from.clone();
        state.begun.entry(partition).or_insert(first);
        state.own(from);
    }

    /// Stops what is read of a topic that was deleted and made anew meanwhile: the offsets go on, and
    /// the messages before them would be left out.
    pub(super) fn look_whether_made_anew(&mut self) {
        let consumer = self.inbox().consumer().clone();
        let Some(id) = self.watch.look(&consumer) else {
            return;
        };
        let group = consumer.context();
        let is_other = |progress: &Progress| progress.past.is_of_other(Some(&id));
        let owned = group.state().owned.clone();
        for (partition, progress) in owned {
            if is_other(&progress) && self.positions.contains_key(&partition) {
                let wanted = progress.written;
                self.stop_made_anew(partition, wanted);
            }
        }
    }
}
