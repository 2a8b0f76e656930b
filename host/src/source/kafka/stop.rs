//! What happens to a partition whose next message cannot be had.

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::{Kafka, failure, start};
use crate::source::Error;

impl Kafka {
    /// Notes why a partition cannot go on. It stays ours, so that nobody else runs into the same.
    pub(super) fn stop(&mut self, partition: i32, wanted: i64, code: RDKafkaErrorCode) {
        let consumer = self.inbox().consumer().clone();
        let topic = self.topic.clone();
        let is_gap = code == RDKafkaErrorCode::AutoOffsetReset;
        let damages = [
            RDKafkaErrorCode::BadMessage,
            RDKafkaErrorCode::BadCompression,
        ];
        let error = if is_gap {
            let ends = consumer.fetch_watermarks(&topic, partition, start::ASK_WAIT_MAX);
            let (low, high) = ends.unwrap_or((-1, -1));
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
        self.positions.remove(&partition);
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        if let Err(error) = consumer.pause(&list) {
            tracing::debug!(%error, partition, "a stopped partition is still fetched");
        }
        self.inbox().discard(partition);
        self.found.push(error);
    }
}
