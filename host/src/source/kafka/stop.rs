//! What happens to a partition whose next message cannot be had, or is no message.

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Kafka, failure, start};
use crate::message::Batch;
use crate::source::Error;

impl Kafka {
    /// Notes why a partition cannot go on. It stays ours, so that nobody else runs into the same.
    pub(super) fn stop(&mut self, partition: i32, wanted: i64, code: RDKafkaErrorCode) {
        self.ahead.insert(partition);
        let topic = self.topic.clone();
        let is_gap = code == RDKafkaErrorCode::AutoOffsetReset;
        let damages = [
            RDKafkaErrorCode::BadMessage,
            RDKafkaErrorCode::BadCompression,
        ];
        let error = if is_gap {
            let (low, high) = self.ends(partition);
            Error::Gap {
                topic,
                partition,
                wanted,
                low,
                high,
            }
        } else if damages.contains(&code) {
            Error::Corrupt {
                topic,
                partition,
                offset: wanted,
                source: Box::new(code),
            }
        } else {
            // It mends itself, and librdkafka goes on where it was.
            let error = KafkaError::MessageConsumption(code);
            let error = failure::of(error, &self.brokers, &topic);
            self.found.extend(self.trouble.report(error).err());
            return;
        };
        self.leave_off(partition, error);
    }

    /// Notes that the topic is another one than that which was read.
    pub(super) fn stop_made_anew(&mut self, partition: i32, wanted: i64) {
        let (low, high) = self.ends(partition);
        let error = Error::MadeAnew {
            topic: self.topic.clone(),
            partition,
            wanted,
            low,
            high,
        };
        self.leave_off(partition, error);
    }

    /// What a partition's log holds now, as far as the brokers answer: for the message only.
    fn ends(&mut self, partition: i32) -> (i64, i64) {
        let consumer = self.inbox().consumer().clone();
        let ends = consumer.fetch_watermarks(&self.topic, partition, start::ASK_WAIT_MAX);
        ends.unwrap_or((-1, -1))
    }

    fn leave_off(&mut self, partition: i32, error: Error) {
        self.positions.remove(&partition);
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        if let Err(error) = self.inbox().consumer().pause(&list) {
            tracing::debug!(%error, partition, "a stopped partition is still fetched");
        }
        self.inbox().discard(partition);
        self.found.push(error);
    }

    /// Lets librdkafka begin again where we are, because it is ahead of us.
    pub(super) fn read_again(&mut self, partition: i32, wanted: i64) {
        let inbox = self.inbox();
        inbox.discard(partition);
        let consumer = inbox.consumer().clone();
        let offset = Offset::Offset(wanted);
        match consumer.seek(&self.topic, partition, offset, start::ASK_WAIT_MAX) {
            Ok(()) => _ = self.ahead.remove(&partition),
            // Going on would leave a message out: the worker ends, and a restart begins at the commit.
            Err(error) => self.found.push(Error::Settings(Box::new(error))),
        }
    }

    /// With `once`: lets spans reach over what is no message at the end of the log, which nothing
    /// follows that would show it: markers of transactions. Only when everything taken is handed
    /// out, for librdkafka's own place is just behind what it gave us and what it kept to itself.
    ///
    /// It could tell of a partition's end instead, but counts that as a message: see `ahead`.
    pub(super) fn cover_rest(&mut self, batch: &mut Batch) -> bool {
        if !self.once || self.positions.is_empty() {
            return false;
        }
        let Ok(places) = self.inbox().consumer().position() else {
            return false;
        };
        let mut took = false;
        for place in places.elements() {
            let partition = place.partition();
            let (Offset::Offset(end), false) = (place.offset(), self.ahead.contains(&partition))
            else {
                continue;
            };
            if let Some(position) = self.positions.get_mut(&partition)
                && end > *position
            {
                batch.cover(partition, *position, end);
                *position = end;
                took = true;
            }
        }
        took
    }
}
