//! What stops a partition, and only that one: with the numbers, and the way out.

use host::source::kafka::{Again, Until};

use super::*;

/// The id of no topic.
const OTHER: &str = r#"{"format":1,"topic":"AAAAAAAAAAAAAAAAAAAAAQ","w":7}"#;

/// Two partitions of 30 messages each, and a group that has read none of them yet.
fn begun(name: &str) -> Config {
    let config = topic(name, 2);
    let mut member = Member::join(&config);
    member.turns("joining", |member| member.owned.len() == 2);
    member.source.close();
    send(&producer(&config.brokers, &[]), &config.topic, 2, 30);
    let deadline = Instant::now() + PATIENCE;
    while kafka::members(&config).unwrap() > 0 {
        assert!(Instant::now() < deadline, "it does not leave");
    }
    config
}

/// Runs a member until it has read `messages`: its errors.
fn read(config: &Config, messages: usize, errors: usize) -> (Vec<(i32, i64)>, Vec<Error>) {
    let mut member = Member::join(config);
    member.turns("reading", |member| {
        member.read.len() == messages && member.errors.len() == errors
    });
    member.committer.commit_now().unwrap();
    member.source.close();
    (member.read, member.errors)
}

#[test]
fn only_the_partition_stops_whose_place_is_lost() {
    let newer = r#"{"format":99}"#;
    let cases: [(i64, &str, &[&str]); 3] = [
        (
            99,
            "",
            &["offset 99", "holds 0 to 30", "host replay", "--start"],
        ),
        (5, newer, &["format 99", "newer version", "--group"]),
        (
            5,
            OTHER,
            &["at 5", "made anew", "0 to 30", "--start", "host replay"],
        ),
    ];
    for (offset, metadata, words) in cases {
        let config = begun("stops");
        commit(&config, 0, offset, metadata);
        let (read, errors) = read(&config, 30, 1);
        assert!(read.iter().all(|(partition, _)| *partition == 1));
        let reason = errors[0].to_string();
        assert!(errors[0].partition() == Some(0), "{reason}");
        for word in words.iter().chain(&["partition 0"]) {
            assert!(reason.contains(word), "{word:?} is not said: {reason}");
        }
        let expected = [(0, Some(offset)), (1, Some(30))];
        assert_eq!(kafka::committed(&config).unwrap(), expected);
    }
}

#[test]
fn a_topic_made_anew_goes_on_with_a_word() {
    let mut config = begun("word");
    commit(&config, 0, 5, OTHER);
    assert_eq!(read(&config, 30, 1).0.len(), 30);
    config.start = Some(Start::Earliest);
    assert_eq!(read(&config, 30, 0).0[0], (0, 0));
    // It is the commits' topic from now on.
    config.start = None;
    assert!(read(&config, 0, 0).1.is_empty());
    assert_eq!(
        kafka::committed(&config).unwrap(),
        [(0, Some(30)), (1, Some(30))]
    );

    commit(&config, 0, 5, OTHER);
    let rewind = kafka::rewind(&config, &Again::From([(1, 28)].into()), &Until::Now).unwrap();
    let known: Vec<_> = rewind
        .steps
        .iter()
        .map(|step| (step.is_made_anew, step.from))
        .collect();
    assert_eq!(known, [(true, 0), (false, 28)]);
    kafka::go_back(
        &config,
        (&Again::From([(1, 28)].into()), &Until::Now),
        &rewind,
    )
    .unwrap();
    assert_eq!(read(&config, 32, 0).0.len(), 32);
}

/// The offsets of the topic before would leave out what stands before them in the new one.
#[test]
fn a_topic_that_is_made_anew_behind_our_back_is_noticed() {
    let config = topic("anew", 2);
    let producer = producer(&config.brokers, &[]);
    send(&producer, &config.topic, 2, 10);
    let mut member = Member::join(&config);
    member.turns("reading", |member| member.read.len() == 20);
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    wait(admin().delete_topics(&[&config.topic], &options)).unwrap();
    let anew = NewTopic::new(&config.topic, 2, TopicReplication::Fixed(1));
    let deadline = Instant::now() + PATIENCE;
    while wait(admin().create_topics([&anew], &options)).unwrap()[0].is_err() {
        assert!(Instant::now() < deadline, "the topic is not made anew");
    }
    send(&producer, &config.topic, 2, 30);
    member.read.clear();
    // The group may have forgotten the topic with its offsets; then all of the new one is read.
    member.turns("noticing", |member| {
        (0..2).all(|partition| {
            let is_it = |error: &Error| {
                matches!(error, Error::MadeAnew { partition: of, .. } if *of == partition)
            };
            member.errors.iter().any(is_it) || member.read.contains(&(partition, 0))
        })
    });
}

#[test]
fn partitions_that_are_added_are_read_whole() {
    let config = begun("added");
    let (read, _) = read(&config, 60, 0);
    assert_eq!(read.len(), 60);
    let mut member = Member::join(&config);
    member.turns("joining", |member| member.owned.len() == 2);
    let more = NewPartitions::new(&config.topic, 3);
    let made = wait(admin().create_partitions([&more], &AdminOptions::new())).unwrap();
    assert!(made[0].is_ok(), "{made:?}");
    send(&producer(&config.brokers, &[]), &config.topic, 3, 10);
    member.turns("reading", |member| member.read.len() == 30);
    let new = member.read.iter().filter(|(partition, _)| *partition == 2);
    assert!(new.map(|(_, offset)| *offset).eq(0..10));
}
