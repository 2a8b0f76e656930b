//! What other code has begun with partitions of ours and may not have committed: rows that ours would
//! not write. That code reads it first, beside the member that owns them, which commits how far it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::group::Group;
use super::state::Place;
use super::{Config, Kafka, failure};
use crate::code::Code;
use crate::message::{Batch, Span, WriteTime};
use crate::source::{Change, Error, Limits, Source, Standing, Taken};

/// Partitions of a member, as far as other code has begun with them. They are the member's own to read
/// once this is dropped.
pub struct Tail {
    /// What has begun with them.
    pub code: Arc<Code>,
    /// The code that goes on with them, as far as it is known by now.
    pub next: Arc<Code>,
    group: Arc<Group>,
    number: u64,
    /// Where it goes on, and up to where it may have read: the log's end when the member got them.
    places: Vec<(Place, i64)>,
}

/// Lets somebody read a tail and drop it then, without waiting for that.
pub type Tails = Arc<dyn Fn(Tail) + Send + Sync>;

/// A tail for each code that has begun with something.
pub(super) fn begin(group: &Arc<Group>, places: Vec<(Place, i64)>) -> Vec<Tail> {
    let mut by_code: BTreeMap<Arc<Code>, Vec<(Place, i64)>> = BTreeMap::new();
    for (place, end) in places {
        let code = place.past.code.clone();
        by_code.entry(code).or_default().push((place, end));
    }
    let mut state = group.state();
    let tails = by_code.into_iter().map(|(code, places)| Tail {
        code,
        next: state.code.clone(),
        group: group.clone(),
        number: state.begin_tail(places.iter().map(|(place, _)| place)),
        places,
    });
    tails.collect()
}

impl Tail {
    /// How many offsets that is.
    pub fn offsets(&self) -> i64 {
        let each = self.places.iter();
        each.map(|(place, end)| end - place.offset).sum()
    }

    /// Begins to read it, beside the group.
    ///
    /// # Errors
    /// When librdkafka refuses it.
    pub fn read(self: &Arc<Self>, config: &Config) -> Result<impl Source + use<>, Error> {
        let mut kafka = Kafka::of(&Config {
            code: Code::clone(&self.code),
            // What is no message at the end is read over, too.
            once: true,
            ..config.clone()
        })?;
        let mut list = TopicPartitionList::with_capacity(self.places.len());
        for (place, _) in &self.places {
            let offset = Offset::Offset(place.offset);
            kafka.inbox().forward(&config.topic, place.partition);
            list.add_partition_offset(&config.topic, place.partition, offset)
                .map_err(|error| Error::Settings(error.into()))?;
            kafka.own(place.clone());
        }
        let assigned = kafka.inbox().consumer().assign(&list);
        assigned.map_err(|error| failure::of(error, &config.brokers, &config.topic))?;
        let tail = self.clone();
        Ok(Reading { kafka, tail })
    }

    /// Notes that all messages of a span are durable, unless the partition is not the member's any more.
    ///
    /// # Panics
    /// If messages between what was noted before and the span would be skipped.
    pub fn record(&self, span: Span, write_time: Option<WriteTime>) {
        let mut state = self.group.state();
        let tailed = state.tails.get_mut(&span.partition);
        if let Some(tailed) = tailed.filter(|tailed| tailed.tail == self.number) {
            tailed.progress.record(span, write_time);
        }
    }

    /// Whether a partition is the member's still.
    fn has(&self, partition: i32) -> bool {
        let state = self.group.state();
        let tailed = state.tails.get(&partition);
        tailed.is_some_and(|tailed| tailed.tail == self.number)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.group.state().end_tail(self.number);
    }
}

/// A tail that is being read.
struct Reading {
    kafka: Kafka,
    tail: Arc<Tail>,
}

impl Reading {
    /// Gives up what the member has lost.
    fn follow(&mut self) {
        let mut is_less = false;
        for (place, _) in &self.tail.places {
            if self.kafka.positions.contains_key(&place.partition)
                && !self.tail.has(place.partition)
            {
                let group = self.kafka.inbox().consumer().context().clone();
                group.state().release(place.partition);
                is_less = true;
            }
        }
        if is_less {
            self.kafka.forget_released();
        }
    }

    fn is_over(&self) -> bool {
        let mut places = self.tail.places.iter();
        places.all(|(place, end)| {
            let position = self.kafka.positions.get(&place.partition);
            position.is_none_or(|position| position >= end)
        })
    }
}

impl Source for Reading {
    fn take(&mut self, batch: &mut Batch, limits: Limits, wait: Duration) -> Result<Taken, Error> {
        self.follow();
        if self.is_over() && !self.kafka.has_changes() {
            return Ok(Taken::End);
        }
        self.kafka.take(batch, limits, wait)
    }

    fn serve(&mut self) -> Result<(), Error> {
        self.follow();
        self.kafka.serve()
    }

    fn changes(&mut self) -> Vec<Change> {
        self.kafka.changes()
    }

    fn is_held_up(&self) -> bool {
        self.kafka.is_held_up()
    }

    fn standing(&self) -> Vec<Standing> {
        // The member tells that.
        Vec::new()
    }

    fn close(&mut self) {
        self.kafka.close();
    }
}
