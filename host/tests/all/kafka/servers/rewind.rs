//! A group that reads again.

use host::source::kafka::{Again, Rewind, Until};

use super::*;

const TIME: i64 = 1_772_467_200_000;

/// Two partitions of ten messages each, one a millisecond.
fn timed(name: &str) -> Config {
    let config = topic(name, 2);
    let producer = producer(&config.brokers, &[]);
    for (number, partition) in (0..10).flat_map(|number| [(number, 0), (number, 1)]) {
        let record = BaseRecord::<str, str>::to(&config.topic).payload("x");
        let record = record.partition(partition).timestamp(TIME + number);
        producer.send(record).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    config
}

/// Reads all that is new, commits it, and leaves: how many messages that was.
fn read(config: &Config) -> usize {
    let mut member = Member::join(config);
    member.turns("reading", |member| {
        member.owned.len() == 2 && member.owned.values().all(|at| *at == 10)
    });
    member.committer.commit_now().unwrap();
    member.source.close();
    let deadline = Instant::now() + PATIENCE;
    while kafka::members(config).unwrap() > 0 {
        assert!(Instant::now() < deadline, "it does not leave");
    }
    member.read.len()
}

fn places(rewind: &Rewind) -> Vec<(i64, i64)> {
    let steps = rewind.steps.iter();
    steps.map(|step| (step.from, step.messages)).collect()
}

#[track_caller]
fn refused(result: Result<impl std::fmt::Debug, Error>, words: &[&str]) {
    let reason = result.unwrap_err().to_string();
    for word in words.iter().chain(&["nothing was changed"]) {
        assert!(reason.contains(word), "{word:?} is not said: {reason}");
    }
}

#[test]
fn a_group_reads_again_from_where_it_is_told() {
    let config = timed("again");
    refused(
        kafka::rewind(&config, &Again::Beginning, &Until::Now),
        &["never committed", &config.group],
    );
    assert_eq!(read(&config), 20);
    let to = |offsets: [(i32, i64); 1]| Until::Offsets(offsets.into());
    let cases = [
        (Again::Beginning, Until::Now, [(0, 10), (0, 10)]),
        (Again::Since(TIME + 4), Until::Now, [(4, 6), (4, 6)]),
        (Again::From([(1, 7)].into()), Until::Now, [(10, 0), (7, 3)]),
        (Again::Since(TIME + 99), Until::Now, [(10, 0), (10, 0)]),
        (
            Again::Since(TIME + 4),
            Until::Time(TIME + 6),
            [(4, 2), (4, 2)],
        ),
        (Again::Beginning, to([(0, 3)]), [(0, 3), (0, 10)]),
        (
            Again::From([(1, 7)].into()),
            to([(1, 7)]),
            [(10, 0), (10, 0)],
        ),
    ];
    for (generation, (again, until, expected)) in (0..).zip(cases) {
        let rewind = kafka::rewind(&config, &again, &until).unwrap();
        assert_eq!(places(&rewind), expected, "{again:?}");
        // The members' commits carry it on.
        assert_eq!(rewind.generation, generation);
        assert!(rewind.steps.iter().all(|step| step.knows_write_time));
        kafka::go_back(&config, (&again, &until), &rewind).unwrap();
        let committed = kafka::committed(&config).unwrap();
        let places = expected.map(|(from, _)| Some(from));
        assert!(committed.iter().map(|(_, offset)| *offset).eq(places));
        let messages: i64 = expected.iter().map(|(_, messages)| messages).sum();
        assert_eq!(read(&config), usize::try_from(messages).unwrap());
    }
}

/// Where reading again ends travels with the commits: who comes in the middle of it knows.
#[test]
fn another_member_ends_where_the_first_one_would_have() {
    let config = timed("handed");
    assert_eq!(read(&config), 20);
    let (again, until) = (Again::Beginning, Until::Time(TIME + 6));
    let rewind = kafka::rewind(&config, &again, &until).unwrap();
    kafka::go_back(&config, (&again, &until), &rewind).unwrap();
    let mut member = Member::join(&config);
    let limits = Limits {
        messages_max: 1,
        ..Limits::default()
    };
    let deadline = Instant::now() + PATIENCE;
    while member.read.len() < 3 {
        assert!(Instant::now() < deadline, "{:?}", member.errors);
        let batch = member.turn(limits);
        member.record(&batch);
    }
    member.committer.commit_now().unwrap();
    member.source.close();
    let before = kafka::rewind(&config, &Again::From(BTreeMap::new()), &Until::Now).unwrap();
    // Where it is now counts for nothing: all of this was read before.
    assert!(before.steps.iter().all(|step| step.next == 10));
    assert_eq!(read(&config), 12 - member.read.len());
    assert!(member.read.iter().all(|(_, offset)| *offset < 6));
}

#[test]
fn a_group_goes_back_only_as_it_was_seen_and_while_it_is_empty() {
    let config = timed("company");
    let mut member = Member::join(&config);
    member.turns("reading", |member| member.read.len() == 20);
    member.committer.commit_now().unwrap();
    let rewind = kafka::rewind(&config, &Again::Beginning, &Until::Now).unwrap();
    refused(
        kafka::go_back(&config, (&Again::Beginning, &Until::Now), &rewind),
        &["has members", &config.group],
    );
    let end = [(0, Some(10)), (1, Some(10))];
    assert_eq!(kafka::committed(&config).unwrap(), end);
    member.source.close();

    send(&producer(&config.brokers, &[]), &config.topic, 2, 1);
    let mut member = Member::join(&config);
    member.turns("reading", |member| member.read.len() == 2);
    member.committer.commit_now().unwrap();
    member.source.close();
    refused(
        kafka::go_back(&config, (&Again::Beginning, &Until::Now), &rewind),
        &["went on meanwhile"],
    );
    let end = [(0, Some(11)), (1, Some(11))];
    assert_eq!(kafka::committed(&config).unwrap(), end);
}

#[test]
fn what_the_log_has_lost_is_told_with_the_numbers() {
    let config = timed("lost");
    assert_eq!(read(&config), 20);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&config.topic, 0, Offset::Offset(6))
        .unwrap();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    wait(admin().delete_records(&list, &options)).unwrap();
    refused(
        kafka::rewind(&config, &Again::From([(0, 5)].into()), &Until::Now),
        &["offset 5 is not in the log", "6 to 10", "--from-offset 0=6"],
    );
    let rewind = kafka::rewind(&config, &Again::Beginning, &Until::Now).unwrap();
    assert_eq!(places(&rewind), [(6, 4), (0, 10)]);
    assert_eq!(rewind.steps[0].low, 6);
}

/// Kafka's own tools move a group without metadata: what they drop is noticed.
#[test]
fn a_group_that_another_tool_has_moved_is_told_of() {
    let config = timed("moved");
    assert_eq!(read(&config), 20);
    kafka::go_back(
        &config,
        (&Again::Beginning, &Until::Now),
        &kafka::rewind(&config, &Again::Beginning, &Until::Now).unwrap(),
    )
    .unwrap();
    commit(&config, 1, 5, "");
    let rewind = kafka::rewind(&config, &Again::From([(1, 5)].into()), &Until::Now).unwrap();
    let known: Vec<bool> = rewind.steps.iter().map(|s| s.knows_write_time).collect();
    // The generation is that of the other partition.
    assert_eq!((known, rewind.generation), (vec![true, false], 1));
}
