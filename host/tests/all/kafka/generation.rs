//! Which generation a member writes in: the next one, where other code has written before.

use std::collections::BTreeMap;

use super::*;

/// What one partition begins with: start, generation, write time.
type Begin = (i64, u32, Option<i64>);

/// Joins, reads nothing, and leaves.
fn begin(config: &Config, plugin: &str, songs: &str) -> Begin {
    let mut config = config.clone();
    config.code.plugin = plugin.to_owned();
    config.code.lookups = BTreeMap::from([("songs".to_owned(), songs.to_owned())]);
    let (mut source, _committer) = kafka::join(&config).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "nothing is assigned");
        source.serve().unwrap();
        if let Some(change) = source.changes().pop() {
            let Change::Assigned {
                start,
                generation,
                write_time,
                ..
            } = change
            else {
                panic!("{change:?}");
            };
            return (start, generation, write_time);
        }
    }
}

/// Without that the rows of who comes after a crash would have the write times of those they replace.
#[test]
fn other_code_takes_the_next_generation_before_it_writes() {
    let broker = Broker::start(TOPIC, 1).unwrap();
    let mut config = config(&broker.brokers(), TOPIC, "group");
    config.code.plugin = "first".to_owned();
    send(&producer(&config.brokers, &[]), TOPIC, 1, 10);
    let mut member = Member::join(&config);
    member.turns("reading", |member| member.read.len() == 10);
    member.committer.commit_now().unwrap();
    member.source.close();
    let expected = [
        ("first", "", (10, 1, Some(1_010))),
        ("first", "", (10, 1, Some(1_010))),
        ("second", "", (10, 2, Some(2_010))),
        ("first", "", (10, 3, Some(3_010))),
        ("first", "corrected", (10, 4, Some(4_010))),
        ("first", "corrected", (10, 4, Some(4_010))),
    ];
    for (plugin, songs, expected) in expected {
        assert_eq!(begin(&config, plugin, songs), expected, "{plugin} {songs}");
    }
}
