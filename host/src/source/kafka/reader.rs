//! A topic up to its end as it stands now, read without joining a group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::group::{Consumer, Group};
use super::meta::Past;
use super::native::{self, Inbox};
use super::state::Place;
use super::{Config, ask, failure, settings, start};
use crate::message::Message;
use crate::source::Error;

/// How long nothing may come before the brokers are said not to answer.
const MESSAGE_WAIT_MAX: Duration = Duration::from_secs(30);

/// How long one look for messages takes, and how many it takes at most.
const LOOK: Duration = Duration::from_millis(100);
const MESSAGES_MAX: usize = 1_024;

/// Reads a topic once.
pub struct Reader {
    inbox: Inbox,
    brokers: String,
    topic: String,
    /// The next offset of each partition.
    positions: BTreeMap<i32, i64>,
    ends: BTreeMap<i32, i64>,
    headers: Vec<u8>,
}

impl Reader {
    /// Begins at each partition's first offset, or at the later one that `from` has for it. An offset
    /// behind the end is of a topic that was made anew, and counts for nothing.
    ///
    /// # Errors
    /// When the brokers do not answer, or there is no such topic.
    pub fn open(config: &Config, from: &BTreeMap<i32, i64>) -> Result<Self, Error> {
        let partitions = ask::partitions(config)?;
        let mut settings = settings::client(config)?;
        settings
            .set("group.id", &config.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "50");
        let consumer: Consumer = settings
            .create_with_context(Group::new(&config.topic, &config.code))
            .map_err(|error| Error::Settings(error.into()))?;
        let mut reader = Self {
            inbox: Inbox::new(Arc::new(consumer)),
            brokers: config.brokers.clone(),
            topic: config.topic.clone(),
            positions: BTreeMap::new(),
            ends: BTreeMap::new(),
            headers: Vec::new(),
        };
        let mut list = TopicPartitionList::new();
        for (partition, low, end) in partitions {
            let from = from.get(&partition).filter(|from| **from <= end);
            let position = from.map_or(low, |from| low.max(*from));
            reader.positions.insert(partition, position);
            reader.ends.insert(partition, end);
            if position < end {
                reader.inbox.forward(&config.topic, partition);
                let offset = Offset::Offset(position);
                list.add_partition_offset(&config.topic, partition, offset)
                    .map_err(|error| Error::Settings(error.into()))?;
            }
        }
        let assigned = reader.inbox.consumer().assign(&list);
        assigned.map_err(|error| reader.fail(error))?;
        Ok(reader)
    }

    fn fail(&self, error: KafkaError) -> Error {
        failure::of(error, &self.brokers, &self.topic)
    }

    /// Each partition's offset after the last message that will be read.
    pub fn ends(&self) -> &BTreeMap<i32, i64> {
        &self.ends
    }

    /// What `read` makes of the next message; `None` at the end.
    ///
    /// # Errors
    /// When the brokers do not answer, or what they hold is damaged.
    pub fn next<T>(&mut self, read: impl FnOnce(&Message<'_>) -> T) -> Result<Option<T>, Error> {
        let until = Instant::now() + MESSAGE_WAIT_MAX;
        while !self.is_over() {
            if !self.inbox.fill(MESSAGES_MAX, LOOK) {
                // What librdkafka tells of its connections waits there, and is all that does.
                while self.inbox.consumer().poll(Duration::ZERO).is_some() {}
                if Instant::now() >= until {
                    let code = RDKafkaErrorCode::OperationTimedOut;
                    return Err(self.fail(KafkaError::MessageConsumption(code)));
                }
                continue;
            }
            let Some(received) = self.inbox.peek() else {
                continue;
            };
            let (partition, offset) = (received.partition(), received.offset());
            let error = received.error();
            let end = self.ends.get(&partition);
            let is_end = error == Some(RDKafkaErrorCode::PartitionEOF);
            if is_end || (error.is_none() && end.is_none_or(|end| offset >= *end)) {
                self.inbox.advance();
                self.end(partition);
                continue;
            }
            if let Some(code) = error {
                return Err(self.stopped(partition, code));
            }
            self.headers.clear();
            received.pack_headers(&mut self.headers);
            let answer = read(&Message {
                partition,
                offset,
                timestamp: received.timestamp(),
                key: received.key(),
                value: received.value(),
                headers: &self.headers,
            });
            self.positions.insert(partition, offset + 1);
            self.inbox.advance();
            return Ok(Some(answer));
        }
        Ok(None)
    }

    /// Why a partition cannot be read on. Not transient: librdkafka would go on behind it.
    fn stopped(&self, partition: i32, code: RDKafkaErrorCode) -> Error {
        let topic = self.topic.clone();
        let offset = self.positions.get(&partition).copied().unwrap_or(0);
        Error::Corrupt {
            topic,
            partition,
            offset,
            source: Box::new(code),
        }
    }

    fn is_over(&self) -> bool {
        let mut positions = self.positions.iter();
        positions.all(|(partition, position)| *position >= self.ends[partition])
    }

    /// What is left of a partition is no message, or came later.
    fn end(&mut self, partition: i32) {
        if let (Some(position), Some(&end)) = (
            self.positions.get_mut(&partition),
            self.ends.get(&partition),
        ) {
            *position = end.max(*position);
        }
    }

    /// Commits for the group that all before the next messages is done.
    ///
    /// # Errors
    /// When the brokers refuse it, or do not answer.
    pub fn commit(&self) -> Result<(), Error> {
        let each = self.positions.iter();
        let due: Vec<Place> = each
            .map(|(&partition, &offset)| Place {
                partition,
                offset,
                past: Past::default(),
            })
            .collect();
        let consumer = self.inbox.consumer();
        let list = consumer.context().list(&due);
        let answer = native::Commit::send(consumer.clone(), &list).and_then(|commit| {
            let timed_out = Err(RDKafkaErrorCode::OperationTimedOut);
            commit.poll(start::ASK_WAIT_MAX).unwrap_or(timed_out)
        });
        answer.map_err(|code| self.fail(KafkaError::ConsumerCommit(code)))
    }

    /// Deletes what stands before these offsets of a topic, for everybody.
    ///
    /// # Errors
    /// When the brokers refuse it, or do not answer.
    pub fn delete(config: &Config, before: &BTreeMap<i32, i64>) -> Result<(), Error> {
        let fail = |error| failure::of(error, &config.brokers, &config.topic);
        let admin = settings::client(config)?.create();
        let admin: AdminClient<DefaultClientContext> =
            admin.map_err(|error| Error::Settings(error.into()))?;
        let mut list = TopicPartitionList::new();
        for (&partition, &offset) in before {
            list.add_partition_offset(&config.topic, partition, Offset::Offset(offset))
                .map_err(fail)?;
        }
        let options = AdminOptions::new()
            .request_timeout(Some(MESSAGE_WAIT_MAX))
            .operation_timeout(Some(MESSAGE_WAIT_MAX));
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| Error::Settings(error.into()))?;
        let deleted = runtime.block_on(admin.delete_records(&list, &options));
        for partition in deleted.map_err(fail)?.elements() {
            partition.error().map_err(fail)?;
        }
        Ok(())
    }
}
