//! What the broker within cannot do: rebalances under load, gaps, transactions, look-up by time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use host::produce::Plan;

use super::samples::sample;
use super::*;

mod rewind;
mod stops;

fn brokers() -> String {
    std::env::var("SLUICE_TEST_KAFKA").unwrap_or_else(|_| "127.0.0.1:29092".to_owned())
}

/// A name that no other test and no other run has.
fn unique(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::new_v4())
}

fn admin() -> AdminClient<DefaultClientContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers()).create().unwrap()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().unwrap().block_on(future)
}

/// A new topic, and how a new group reads it.
fn topic(name: &str, partitions: i32) -> Config {
    let topic = unique(name);
    let new_count = usize::try_from(partitions).unwrap();
    let new = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let made = wait(admin().create_topics(&[new], &options)).unwrap();
    assert_eq!(made, [Ok(topic.clone())]);
    let config = config(&brokers(), &topic, &topic);
    let deadline = Instant::now() + PATIENCE;
    while kafka::partitions(&config).map_or(0, |found| found.len()) < new_count {
        assert!(Instant::now() < deadline, "{topic} does not show");
    }
    config
}

/// Commits for a partition, as another program would.
fn commit(config: &Config, partition: i32, offset: i64, metadata: &str) {
    let tool: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        .set("group.id", &config.group)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    let mut partition = list.add_partition(&config.topic, partition);
    partition.set_offset(Offset::Offset(offset)).unwrap();
    partition.set_metadata(metadata);
    tool.commit(&list, CommitMode::Sync).unwrap();
}

#[test]
fn messages_arrive_whole_from_a_real_broker() {
    whole(&topic("whole", 1));
    codecs(&topic("codecs", 1));
}

/// Members of one group, one after the other, while messages keep coming: each message is written
/// once and none is left out, because each handing over is committed before it happens.
#[test]
fn a_rebalance_loses_nothing_and_repeats_nothing_committed() {
    const PARTITIONS: i32 = 6;
    let config = topic("rebalance", PARTITIONS);
    let sent = AtomicI64::new(0);
    let (is_over, is_all_sent) = (AtomicBool::new(false), AtomicBool::new(false));
    let spans = Mutex::new(Vec::<Span>::new());
    let recorded = AtomicUsize::new(0);
    let life = |may_leave: &dyn Fn(&Member) -> bool| {
        let mut member = Member::join(&config);
        let limits = Limits {
            messages_max: 50,
            ..Limits::default()
        };
        let deadline = Instant::now() + PATIENCE;
        while !may_leave(&member) {
            assert!(Instant::now() < deadline, "{:?}", member.errors);
            let batch = member.turn(limits);
            member.record(&batch);
            spans.lock().unwrap().extend(batch.spans());
            recorded.fetch_add(batch.len(), Ordering::Relaxed);
            member.committer.commit_if_due();
        }
        member.committer.commit_now().unwrap();
        member.source.close();
        assert!(member.errors.is_empty(), "{:?}", member.errors);
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let producer = producer(&config.brokers, &[]);
            while !is_over.load(Ordering::Relaxed) {
                send(&producer, &config.topic, PARTITIONS, 20);
                sent.fetch_add(20, Ordering::Relaxed);
            }
            is_all_sent.store(true, Ordering::Release);
        });
        let first = scope.spawn(|| {
            // It reads alone, hands half over, and leaves when the second has worked too.
            let shared = AtomicUsize::new(0);
            life(&|member| {
                let is_shared = member.owned.len() == 3;
                let reads = member.read.len();
                if is_shared && shared.load(Ordering::Relaxed) == 0 {
                    shared.store(reads, Ordering::Relaxed);
                }
                is_shared && reads > shared.load(Ordering::Relaxed) + 500
            });
        });
        let second = scope.spawn(|| {
            let deadline = Instant::now() + PATIENCE;
            while recorded.load(Ordering::Relaxed) < 1000 {
                assert!(Instant::now() < deadline);
                thread::yield_now();
            }
            let alone = AtomicUsize::new(0);
            life(&|member| {
                let is_alone = member.owned.len() == 6;
                if is_alone && alone.load(Ordering::Relaxed) == 0 {
                    alone.store(member.read.len(), Ordering::Relaxed);
                }
                if is_alone && member.read.len() > alone.load(Ordering::Relaxed) + 500 {
                    is_over.store(true, Ordering::Relaxed);
                }
                let is_all_sent = is_all_sent.load(Ordering::Acquire);
                let end = sent.load(Ordering::Relaxed);
                is_all_sent && member.owned.values().all(|at| *at >= end)
            });
        });
        first.join().unwrap();
        second.join().unwrap();
    });
    let end = sent.load(Ordering::Relaxed);
    check_whole(spans.into_inner().unwrap(), PARTITIONS, end);
}

/// Each partition's spans follow on one another, from the first message to the last sent.
fn check_whole(mut spans: Vec<Span>, partitions: i32, end: i64) {
    spans.sort_by_key(|span| (span.partition, span.start));
    for partition in 0..partitions {
        let mut position = 0;
        for span in spans.iter().filter(|span| span.partition == partition) {
            assert_eq!(span.start, position, "partition {partition}");
            position = span.end;
        }
        assert!(
            position >= end,
            "partition {partition}: {position} of {end}"
        );
    }
}

#[test]
fn members_that_start_together_agree_on_the_first_start() {
    let mut config = topic("together", 4);
    send(&producer(&config.brokers, &[]), &config.topic, 4, 100);
    config.start = Some(Start::Latest);
    let mut members = [(); 3].map(|()| Member::join(&config));
    let deadline = Instant::now() + PATIENCE;
    while members
        .iter()
        .map(|member| member.owned.len())
        .sum::<usize>()
        < 4
    {
        assert!(Instant::now() < deadline);
        for member in &mut members {
            member.turn(Limits::default());
        }
    }
    for (partition, start) in members.iter().flat_map(|member| &member.owned) {
        assert_eq!(*start, 100, "{partition}");
    }
    assert_eq!(kafka::members(&config).unwrap(), 3);
}

#[test]
fn a_gap_stops_its_partition_only_and_says_the_numbers() {
    let config = topic("gap", 2);
    let producer = producer(&config.brokers, &[]);
    let mut member = Member::join(&config);
    member.turns("joining", |member| member.owned.len() == 2);
    member.source.close();
    send(&producer, &config.topic, 2, 30);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&config.topic, 0, Offset::Offset(12))
        .unwrap();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    wait(admin().delete_records(&list, &options)).unwrap();

    let mut member = Member::join(&config);
    member.turns("reading", |member| {
        member.read.len() == 30 && !member.errors.is_empty()
    });
    assert!(member.read.iter().all(|(partition, _)| *partition == 1));
    let [
        Error::Gap {
            partition: 0,
            wanted: 0,
            low: 12,
            high: 30,
            ..
        },
    ] = member.errors[..]
    else {
        panic!("{:?}", member.errors);
    };
    member.committer.commit_now().unwrap();
    assert_eq!(
        kafka::committed(&config).unwrap(),
        [(0, Some(0)), (1, Some(30))]
    );
}

#[test]
fn aborted_messages_are_covered_and_not_read() {
    let mut config = topic("transactions", 1);
    config.once = true;
    let id = unique("transaction");
    let transactional = producer(&config.brokers, &[("transactional.id", id.as_str())]);
    transactional.init_transactions(PATIENCE).unwrap();
    for is_kept in [false, true, false] {
        transactional.begin_transaction().unwrap();
        send(&transactional, &config.topic, 1, 10);
        if is_kept {
            transactional.commit_transaction(PATIENCE).unwrap();
        } else {
            transactional.abort_transaction(PATIENCE).unwrap();
        }
    }
    // Three times ten messages and a marker.
    assert_eq!(kafka::partitions(&config).unwrap(), [(0, 0, 33)]);
    let mut member = Member::join(&config);
    member.turns("reading", |member| member.owned.get(&0) == Some(&33));
    assert!(member.read.iter().map(|(_, offset)| *offset).eq(11..21));
    member.committer.commit_now().unwrap();
    assert_eq!(kafka::committed(&config).unwrap(), [(0, Some(33))]);
    let (fault, told) = (
        "aborted transactions",
        "their messages are passed over, not read",
    );
    crate::support::measured(20, fault, 2, Default::default(), told);
}

/// librdkafka counts the end of a partition as a message when it is read in batches, and goes on
/// behind it after a rebalance: the next message was left out, or the log seemed to have a gap.
#[test]
fn what_follows_an_end_is_read_after_a_rebalance() {
    let mut config = topic("end", 2);
    config.once = true;
    let producer = producer(&config.brokers, &[]);
    send(&producer, &config.topic, 2, 5);
    let mut first = Member::join(&config);
    let turn = |member: &mut Member| {
        let batch = member.turn(Limits::default());
        member.record(&batch);
    };
    let deadline = Instant::now() + PATIENCE;
    while first.read.len() < 10 {
        assert!(Instant::now() < deadline, "{:?}", first.errors);
        turn(&mut first);
    }
    // Turns enough to be told of both ends, which shows in nothing else.
    (0..20).for_each(|_| turn(&mut first));
    let mut second = Member::join(&config);
    while first.owned.len() != 1 || second.owned.len() != 1 {
        assert!(Instant::now() < deadline, "{:?}", first.errors);
        turn(&mut first);
        turn(&mut second);
    }
    send(&producer, &config.topic, 2, 5);
    while first.read.len() + second.read.len() < 20 {
        let errors = (&first.errors, &second.errors);
        assert!(
            Instant::now() < deadline,
            "{:?} {:?} {errors:?}",
            first.read,
            second.read
        );
        turn(&mut first);
        turn(&mut second);
    }
    assert!(first.errors.is_empty(), "{:?}", first.errors);
    assert!(second.errors.is_empty(), "{:?}", second.errors);
    let mut read = [first.read, second.read].concat();
    read.sort_unstable();
    let all = (0..2).flat_map(|partition| (0..10).map(move |offset| (partition, offset)));
    assert!(read.into_iter().eq(all));
}

#[test]
fn a_group_starts_at_a_time() {
    let mut config = topic("time", 1);
    let producer = producer(&config.brokers, &[]);
    for number in 0..10 {
        let record = BaseRecord::<str, str>::to(&config.topic).payload("x");
        producer
            .send(record.timestamp(1_772_467_200_000 + number))
            .unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    for (time, start) in [(1_772_467_200_004, 4), (0, 0), (i64::MAX / 2, 10)] {
        config.start = Some(Start::Time(time));
        config.group = unique("time");
        let mut member = Member::join(&config);
        member.turns("joining", |member| member.owned.contains_key(&0));
        assert_eq!(kafka::committed(&config).unwrap().len(), 1);
        let deadline = Instant::now() + PATIENCE;
        while member.read.len() < 10 - start {
            assert!(Instant::now() < deadline);
            member.turn(Limits::default());
        }
        assert!(
            member
                .read
                .first()
                .is_none_or(|(_, offset)| *offset == start as i64)
        );
    }
}

#[test]
fn a_topic_that_is_missing_is_waited_for() {
    let config = config(&brokers(), &unique("missing"), &unique("missing"));
    assert!(matches!(
        kafka::partitions(&config),
        Err(Error::NoTopic { .. })
    ));
    let mut member = Member::join(&config);
    member.turns("failing", |member| !member.errors.is_empty());
    assert!(
        matches!(member.errors[..], [Error::NoTopic { .. }]),
        "{:?}",
        member.errors
    );
    let plan = Plan {
        brokers: brokers(),
        topic: config.topic.clone(),
        ..Plan::default()
    };
    assert_eq!(sample(&plan).sent, 20);
    member.turns("reading", |member| member.read.len() == 20);
    assert_eq!(kafka::partitions(&config).unwrap().len(), 8);
    assert_eq!(member.errors.len(), 1, "{:?}", member.errors);
}
