//! Where partitions are read from: the group's commits, or for a group's first start what the user
//! asked for. Nothing is read before all starts of the topic are committed, so that a partition
//! without a commit is known to be new.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::group::{Consumer, Due};
use super::meta::{self, Past};
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
        Ok(partitions)
    }

    /// A partition's first offset, and the one after its last stable message.
    pub(super) fn ends(&self, partition: i32) -> Result<(i64, i64), Error> {
        self.client
            .fetch_watermarks(self.topic, partition, self.wait)
            .map_err(|error| self.fail(error))
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
    fn resolve(&self, start: Start, partitions: &[i32]) -> Result<BTreeMap<i32, i64>, Error> {
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

/// Where one partition is read from.
#[derive(Debug)]
pub(super) struct From {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) past: Past,
}

/// What becomes of partitions that were assigned.
pub(super) enum Settled {
    /// This is the group's first start, and the member that owns the first partition commits the
    /// starts of all: two that did would undo each other's commits.
    Waiting,
    /// They are read from there, but for those whose commit cannot be read.
    Ready(Vec<From>, Vec<Error>),
}

/// Finds where the pending partitions start, and commits what had no commit before.
pub(super) fn settle(
    consumer: &Consumer,
    brokers: &str,
    start: Start,
    pending: &BTreeSet<i32>,
) -> Result<Settled, Error> {
    let group = consumer.context();
    let topic = Topic {
        client: consumer,
        brokers,
        topic: &group.topic,
        wait: ASK_WAIT_MAX,
    };
    let partitions = topic.partitions()?;
    let mut commits = topic.commits(&partitions)?;
    let generation = generation(&commits);
    if commits.iter().all(|(_, offset, _)| offset.is_none()) {
        if !partitions
            .first()
            .is_some_and(|first| pending.contains(first))
        {
            return Ok(Settled::Waiting);
        }
        let starts = topic.resolve(start, &partitions)?;
        commit(consumer, &topic, &starts, generation)?;
        for (partition, offset, _) in &mut commits {
            *offset = starts.get(partition).copied();
        }
    }
    commits.retain(|(partition, ..)| pending.contains(partition));
    // The topic was given more partitions: they are read whole.
    let new = commits.iter().filter(|(_, offset, _)| offset.is_none());
    let new: BTreeMap<i32, i64> = new.map(|&(partition, ..)| (partition, 0)).collect();
    if !new.is_empty() {
        commit(consumer, &topic, &new, generation)?;
    }
    let (mut ready, mut refused) = (Vec::new(), Vec::new());
    for (partition, offset, metadata) in commits {
        match meta::read(&metadata) {
            Ok(past) => ready.push(From {
                partition,
                offset: offset.unwrap_or(0),
                past: Past { generation, ..past },
            }),
            Err(reason) => refused.push(Error::Metadata { partition, reason }),
        }
    }
    Ok(Settled::Ready(ready, refused))
}

/// The pipeline's generation: the greatest that a partition's commit has. A new partition has none, nor
/// has one that was moved by Kafka's own tools, and with a lesser one their rows would lose against
/// those that a replay corrects. What cannot be read stops its partition, and says nothing here.
pub(super) fn generation(commits: &[Commit]) -> u32 {
    let pasts = commits
        .iter()
        .filter_map(|(.., metadata)| meta::read(metadata).ok());
    pasts.map(|past| past.generation).max().unwrap_or(0)
}

fn commit<C: ConsumerContext>(
    consumer: &Consumer,
    topic: &Topic<'_, C>,
    starts: &BTreeMap<i32, i64>,
    generation: u32,
) -> Result<(), Error> {
    let due: Vec<Due> = starts
        .iter()
        .map(|(&partition, &offset)| Due {
            partition,
            offset,
            past: Past {
                generation,
                write_time: None,
            },
        })
        .collect();
    let list = consumer.context().list(&due);
    let answer = native::Commit::send(consumer, &list).and_then(|commit| {
        let timed_out = Err(RDKafkaErrorCode::OperationTimedOut);
        commit.poll(ASK_WAIT_MAX).unwrap_or(timed_out)
    });
    answer.map_err(|code| topic.fail(KafkaError::ConsumerCommit(code)))
}

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

    #[test]
    fn a_pipeline_has_the_greatest_generation_of_its_commits() {
        let cases: [(&[&[u8]], u32); 4] = [
            (&[], 0),
            (&[b"", b""], 0),
            (&[br#"{"format":1,"generation":2}"#, b""], 2),
            (
                &[
                    br#"{"format":1,"generation":2}"#,
                    br#"{"format":1,"generation":4}"#,
                    b"not ours",
                ],
                4,
            ),
        ];
        for (metadata, expected) in cases {
            let commits: Vec<Commit> = (0..)
                .zip(metadata)
                .map(|(partition, metadata)| (partition, Some(0), metadata.to_vec()))
                .collect();
            assert_eq!(generation(&commits), expected);
        }
    }
}
