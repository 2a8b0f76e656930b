//! Where a group's first start begins, and questions to the brokers about its topic.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{failure, native};
use crate::source::Error;

/// How long one question to the brokers may take.
pub(super) const ASK_WAIT_MAX: Duration = Duration::from_secs(5);

/// Where a group's first start begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the oldest message there is.
    #[default]
    Earliest,
    /// With the first message after now.
    Latest,
    /// With the first message of this time or later, in milliseconds since 1970.
    Time(i64),
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            _ => time(text)
                .map(Self::Time)
                .map_err(|way_out| format!("no start: say earliest, latest, or {way_out}")),
        }
    }
}

/// A moment in milliseconds since 1970, as a user writes it.
///
/// # Errors
/// What it may look like.
pub fn time(text: &str) -> Result<i64, String> {
    if let Ok(milliseconds) = text.parse() {
        return Ok(milliseconds);
    }
    let zoned = text.parse::<jiff::Timestamp>();
    let utc = || {
        let civil = text.parse::<jiff::civil::DateTime>()?;
        civil
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map(|zoned| zoned.timestamp())
    };
    let time = zoned.or_else(|_| utc()).map_err(
        |_| "a time such as 2026-03-02T16:00:00Z (without a zone: UTC), or milliseconds since 1970",
    )?;
    Ok(time.as_millisecond())
}

/// Questions to the brokers about one topic.
pub(super) struct Topic<'a, C: ConsumerContext> {
    pub(super) client: &'a BaseConsumer<C>,
    pub(super) brokers: &'a str,
    pub(super) topic: &'a str,
    /// How long an answer is waited for.
    pub(super) wait: Duration,
}

impl<C: ConsumerContext> Topic<'_, C> {
    pub(super) fn fail(&self, error: KafkaError) -> Error {
        failure::of(error, self.brokers, self.topic)
    }

    /// The topic's partitions, in order.
    pub(super) fn partitions(&self) -> Result<Vec<i32>, Error> {
        Ok(self.partitions_by()?.0)
    }

    /// The topic's partitions, in order, and its id, where the brokers give their topics one.
    pub(super) fn identified(&self) -> Result<(Vec<i32>, Option<Arc<str>>), Error> {
        let (partitions, broker) = self.partitions_by()?;
        let asked = native::TopicId::ask(self.client, self.topic, Some(broker));
        let timed_out = Err(RDKafkaErrorCode::OperationTimedOut);
        let id = asked.poll(self.wait).unwrap_or(timed_out);
        let id = id.map_err(|code| self.fail(KafkaError::MetadataFetch(code)))?;
        Ok((partitions, id.map(Arc::from)))
    }

    /// The topic's partitions, in order, and the broker that told them.
    fn partitions_by(&self) -> Result<(Vec<i32>, i32), Error> {
        let metadata = self
            .client
            .fetch_metadata(Some(self.topic), self.wait)
            .map_err(|error| self.fail(error))?;
        let topic = metadata.topics().iter().find(|t| t.name() == self.topic);
        let missing = || self.fail(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic));
        let topic = topic.ok_or_else(missing)?;
        if let Some(code) = topic.error() {
            return Err(self.fail(KafkaError::MetadataFetch(code.into())));
        }
        let mut partitions: Vec<i32> = topic.partitions().iter().map(|p| p.id()).collect();
        partitions.sort_unstable();
        if partitions.is_empty() {
            return Err(missing());
        }
        Ok((partitions, metadata.orig_broker_id()))
    }

    /// A partition's first offset, and the one after its last stable message.
    pub(super) fn ends(&self, partition: i32) -> Result<(i64, i64), Error> {
        self.client
            .fetch_watermarks(self.topic, partition, self.wait)
            .map_err(|error| self.fail(error))
    }

    /// That the offset of a partition is of another topic of this name, with what this one holds.
    pub(super) fn made_anew(&self, partition: i32, wanted: i64) -> Result<Error, Error> {
        let (low, high) = self.ends(partition)?;
        Ok(Error::MadeAnew {
            topic: self.topic.to_owned(),
            partition,
            wanted,
            low,
            high,
        })
    }

    /// What the group has committed, with its metadata.
    pub(super) fn commits(&self, partitions: &[i32]) -> Result<Vec<Commit>, Error> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for &partition in partitions {
            list.add_partition(self.topic, partition);
        }
        let answered = self.client.committed_offsets(list, self.wait);
        let list = answered.map_err(|error| self.fail(error))?;
        for partition in list.elements() {
            partition.error().map_err(|error| self.fail(error))?;
        }
        Ok(native::metadata(&list))
    }

    /// What `start` means for each partition.
    pub(super) fn resolve(
        &self,
        start: Start,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, i64>, Error> {
        let by_time = match start {
            Start::Time(time) => self.offsets_at(time, partitions)?,
            Start::Earliest | Start::Latest => BTreeMap::new(),
        };
        let mut starts = BTreeMap::new();
        let mut skipped = 0;
        for &partition in partitions {
            let (low, end) = self.ends(partition)?;
            let first = match start {
                Start::Earliest => low,
                Start::Latest => end,
                // After the last message there is none of that time yet.
                Start::Time(_) => by_time.get(&partition).copied().unwrap_or(end),
            };
            skipped += (first - low).max(0);
            starts.insert(partition, first);
        }
        if skipped > 0 {
            tracing::info!(
                topic = self.topic,
                skipped,
                "the group starts behind older offsets; `--start earliest` under a new --group \
                 reads them"
            );
        }
        Ok(starts)
    }

    /// The first offset of a time or later, where there is one.
    pub(super) fn offsets_at(
        &self,
        time: i64,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, i64>, Error> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for &partition in partitions {
            list.add_partition_offset(self.topic, partition, Offset::Offset(time))
                .map_err(|error| self.fail(error))?;
        }
        let answered = self.client.offsets_for_times(list, self.wait);
        let list = answered.map_err(|error| self.fail(error))?;
        for partition in list.elements() {
            partition.error().map_err(|error| self.fail(error))?;
        }
        let found = native::metadata(&list).into_iter();
        Ok(found
            .filter_map(|(partition, offset, _)| Some((partition, offset?)))
            .collect())
    }
}

/// A partition, the offset committed for it, and the commit's metadata.
pub(super) type Commit = (i32, Option<i64>, Vec<u8>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_read_from_text() {
        let cases = [
            ("earliest", Some(Start::Earliest)),
            ("latest", Some(Start::Latest)),
            ("1772467200000", Some(Start::Time(1_772_467_200_000))),
            ("2026-03-02T16:00:00Z", Some(Start::Time(1_772_467_200_000))),
            ("2026-03-02T16:00:00", Some(Start::Time(1_772_467_200_000))),
            ("2026-03-02 16:00", Some(Start::Time(1_772_467_200_000))),
            (
                "2026-03-02T18:00:00+02:00",
                Some(Start::Time(1_772_467_200_000)),
            ),
            ("2026-03-02", Some(Start::Time(1_772_409_600_000))),
            ("yesterday", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }
}
