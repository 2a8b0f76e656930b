//! Sources and checkpoints against brokers: the one within, and with feature `servers` a real one.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where it fails, in its helpers too"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use host::embedded::Broker;
use host::message::{Batch, NO_TIMESTAMP, Span};
use host::source::kafka::{self, Committer, Config, Kafka, Start};
use host::source::{Change, Error, Limits, Source, Taken};
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

const TOPIC: &str = "plays";

fn config(brokers: &str, topic: &str, group: &str) -> Config {
    Config {
        brokers: brokers.to_owned(),
        topic: topic.to_owned(),
        group: group.to_owned(),
        ..Config::default()
    }
}

fn producer(brokers: &str, settings: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

/// Sends numbered values, to each partition `count`.
fn send(producer: &BaseProducer, topic: &str, partitions: i32, count: i64) {
    for number in 0..count {
        for partition in 0..partitions {
            let value = number.to_string();
            let record = BaseRecord::<str, str>::to(topic).payload(&value);
            producer.send(record.partition(partition)).unwrap();
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE).unwrap();
}

/// One member, with what a worker would know.
struct Member {
    source: Kafka,
    committer: Committer,
    owned: BTreeMap<i32, i64>,
    /// Each message read: partition and offset.
    read: Vec<(i32, i64)>,
    errors: Vec<Error>,
}

impl Member {
    fn join(config: &Config) -> Self {
        let (source, committer) = kafka::join(config).unwrap();
        Self {
            source,
            committer,
            owned: BTreeMap::new(),
            read: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// A turn of a worker whose rows are written at once.
    fn turn(&mut self, limits: Limits) -> Batch {
        let mut batch = Batch::new(TOPIC.into());
        let taken = self
            .source
            .take(&mut batch, limits, Duration::from_millis(20));
        match taken {
            Ok(taken) => assert_ne!(taken, Taken::End),
            Err(error) => self.errors.push(error),
        }
        for change in self.source.changes() {
            match change {
                Change::Assigned {
                    partition, start, ..
                } => {
                    assert_eq!(self.owned.insert(partition, start), None);
                }
                Change::Released { partition } => {
                    self.owned.remove(&partition).unwrap();
                    batch.release(|released| released == partition);
                }
            }
        }
        for message in batch.messages() {
            self.read.push((message.partition, message.offset));
        }
        for span in batch.spans() {
            let position = self.owned.get_mut(&span.partition).unwrap();
            assert_eq!(span.start, *position, "{span:?}");
            *position = span.end;
        }
        batch
    }

    fn record(&mut self, batch: &Batch) {
        for &span in batch.spans() {
            self.committer.record(span, Some(span.end));
        }
    }

    fn turns(&mut self, what: &str, mut is_done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_done(self) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.errors);
            let batch = self.turn(Limits::default());
            self.record(&batch);
            self.committer.commit_if_due();
        }
    }
}

#[test]
fn all_is_read_in_order_and_committed() {
    let broker = Broker::start(TOPIC, 4).unwrap();
    let config = config(&broker.brokers(), TOPIC, "group");
    send(&producer(&config.brokers, &[]), TOPIC, 4, 500);
    let mut member = Member::join(&config);
    member.turns("reading", |member| member.read.len() == 2000);
    for partition in 0..4 {
        let offsets = member.read.iter().filter(|(of, _)| *of == partition);
        assert!(offsets.map(|(_, offset)| *offset).eq(0..500));
    }
    member.committer.commit_now().unwrap();
    let expected: Vec<_> = (0..4).map(|partition| (partition, Some(500))).collect();
    assert_eq!(kafka::committed(&config).unwrap(), expected);
    assert!((0..4).all(|partition| member.committer.committed(partition) == Some(500)));
    let ends = kafka::partitions(&config).unwrap();
    assert_eq!(ends, [(0, 0, 500), (1, 0, 500), (2, 0, 500), (3, 0, 500)]);
    member.source.close();

    // The next one goes on there, with the clock of the last.
    let (mut source, _checkpoint) = kafka::open(&config, None, None).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut assigned = Vec::new();
    while assigned.len() < 4 {
        assert!(Instant::now() < deadline);
        let mut batch = Batch::new(TOPIC.into());
        source
            .take(&mut batch, Limits::default(), Duration::from_millis(20))
            .unwrap();
        assert!(batch.is_empty());
        assigned.extend(source.changes());
    }
    let expected = (0..4).map(|partition| Change::Assigned {
        partition,
        start: 500,
        generation: 0,
        write_time: Some(500),
    });
    assert!(expected.eq(assigned));
}

#[test]
fn what_is_not_recorded_is_not_committed() {
    let broker = Broker::start(TOPIC, 1).unwrap();
    let config = config(&broker.brokers(), TOPIC, "group");
    send(&producer(&config.brokers, &[]), TOPIC, 1, 10);
    let mut member = Member::join(&config);
    let limits = Limits {
        messages_max: 4,
        ..Limits::default()
    };
    while member.read.len() < 4 {
        let batch = member.turn(limits);
        member.record(&batch);
    }
    assert_eq!(member.read.len(), 4);
    member.turn(limits);
    member.committer.commit_now().unwrap();
    assert_eq!(kafka::committed(&config).unwrap(), [(0, Some(4))]);
    // Of a partition that is not ours, nothing is noted.
    let foreign = Span {
        partition: 9,
        start: 0,
        end: 5,
    };
    member.committer.record(foreign, None);
    assert_eq!(member.committer.committed(9), None);
    // What was written once more, under an older membership, changes nothing.
    let again = Span {
        partition: 0,
        start: 0,
        end: 2,
    };
    member.committer.record(again, None);
    member.committer.commit_now().unwrap();
    assert_eq!(kafka::committed(&config).unwrap(), [(0, Some(4))]);
}

#[test]
#[should_panic(expected = "does not follow on")]
fn a_skipped_message_is_our_mistake() {
    let broker = Broker::start(TOPIC, 1).unwrap();
    let config = config(&broker.brokers(), TOPIC, "group");
    let mut member = Member::join(&config);
    member.turns("joining", |member| member.owned.len() == 1);
    let ahead = Span {
        partition: 0,
        start: 1,
        end: 2,
    };
    member.committer.record(ahead, None);
}

#[test]
fn a_group_starts_where_it_is_told_and_only_once() {
    for (start, expected) in [(Start::Earliest, 0), (Start::Latest, 7)] {
        let broker = Broker::start(TOPIC, 3).unwrap();
        let mut config = config(&broker.brokers(), TOPIC, "group");
        send(&producer(&config.brokers, &[]), TOPIC, 3, 7);
        config.start = Some(start);
        let mut member = Member::join(&config);
        member.turns("joining", |member| member.owned.len() == 3);
        let committed: Vec<_> = (0..3)
            .map(|partition| (partition, Some(expected)))
            .collect();
        assert_eq!(kafka::committed(&config).unwrap(), committed, "{start:?}");
    }
}

#[test]
fn limits_close_a_batch_and_the_rest_comes_next() {
    let broker = Broker::start(TOPIC, 1).unwrap();
    let config = config(&broker.brokers(), TOPIC, "group");
    send(&producer(&config.brokers, &[]), TOPIC, 1, 100);
    let mut member = Member::join(&config);
    let limits = Limits {
        messages_max: 30,
        bytes_max: 20,
    };
    while member.read.len() < 100 {
        let batch = member.turn(limits);
        assert!(
            batch.len() <= 30 && batch.bytes_len() <= 20,
            "{}",
            batch.len()
        );
        member.record(&batch);
    }
    assert!(member.read.iter().map(|(_, offset)| *offset).eq(0..100));
}

#[test]
fn a_message_arrives_whole() {
    let broker = Broker::start(TOPIC, 1).unwrap();
    let config = config(&broker.brokers(), TOPIC, "group");
    whole(&config);
}

/// Sends messages with every part there or missing, and checks what arrives.
fn whole(config: &Config) {
    let producer = producer(&config.brokers, &[]);
    let header = |key, value| Header { key, value };
    let headers = OwnedHeaders::new()
        .insert(header("a", Some("1")))
        .insert(header("b", None::<&str>));
    let full = BaseRecord::<str, str>::to(&config.topic)
        .partition(0)
        .key("key");
    let full = full
        .payload("value")
        .headers(headers)
        .timestamp(1_772_467_200_000);
    producer.send(full).unwrap();
    let bare = || BaseRecord::<str, str>::to(&config.topic).partition(0);
    producer.send(bare()).unwrap();
    producer.send(bare().payload("").key("")).unwrap();
    producer.flush(PATIENCE).unwrap();

    let mut member = Member::join(config);
    let mut found = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while found.len() < 3 {
        assert!(Instant::now() < deadline, "{:?}", member.errors);
        for message in member.turn(Limits::default()).messages() {
            let own = |part: Option<&[u8]>| part.map(<[u8]>::to_vec);
            found.push((
                own(message.key),
                own(message.value),
                message.headers.to_vec(),
                message.timestamp,
            ));
        }
    }
    let packed = b"\0\x02\0\0\0\x01a\0\0\0\x011\0\0\0\x01b\xff\xff\xff\xff".to_vec();
    let full = (
        Some(b"key".to_vec()),
        Some(b"value".to_vec()),
        packed,
        1_772_467_200_000,
    );
    assert_eq!(found[0], full);
    assert_eq!(
        (&found[1].0, &found[1].1, found[1].2.len()),
        (&None, &None, 0)
    );
    assert_ne!(found[1].3, NO_TIMESTAMP);
    assert_eq!((&found[2].0, &found[2].1), (&Some(vec![]), &Some(vec![])));
}

#[test]
fn all_codecs_are_read() {
    let broker = Broker::start(TOPIC, 1).unwrap();
    let config = config(&broker.brokers(), TOPIC, "group");
    codecs(&config);
}

fn codecs(config: &Config) {
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for codec in codecs {
        let settings = [("compression.codec", codec), ("linger.ms", "50")];
        send(&producer(&config.brokers, &settings), &config.topic, 1, 100);
    }
    let mut member = Member::join(config);
    member.turns("reading", |member| member.read.len() == 500);
}

#[test]
fn brokers_that_are_away_are_reported_once() {
    // Nobody listens on port 1.
    let mut member = Member::join(&config("127.0.0.1:1", TOPIC, "group"));
    member.turns("failing", |member| !member.errors.is_empty());
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        member.turn(Limits::default());
    }
    assert_eq!(member.errors.len(), 1, "{:?}", member.errors);
    assert!(matches!(member.errors[0], Error::Broker { .. }));
    assert!(member.errors[0].is_transient());
    let began = Instant::now();
    member.source.close();
    assert!(began.elapsed() < Duration::from_secs(6));
    assert!(member.committer.commit_now().is_err());
}

#[test]
fn the_end_of_a_partition_counts_with_once() {
    let broker = Broker::start(TOPIC, 2).unwrap();
    let mut config = config(&broker.brokers(), TOPIC, "group");
    config.once = true;
    send(&producer(&config.brokers, &[]), TOPIC, 1, 10);
    let mut member = Member::join(&config);
    member.turns("reading", |member| {
        member.owned.get(&0) == Some(&10) && member.owned.get(&1) == Some(&0)
    });
    member.committer.commit_now().unwrap();
    assert_eq!(
        kafka::committed(&config).unwrap(),
        [(0, Some(10)), (1, Some(0))]
    );
}

mod generation;
mod samples;
#[cfg(feature = "servers")]
mod servers;
