//! What is kept of a group beside its offsets in Kafka.

use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};

use super::world::{self, PARTITIONS, RUN, World, play};
use crate::support::{cassandra, wait_until};

/// How many messages a test sends: 125 into each of 8 partitions.
const MESSAGES: usize = 1_000;

impl World {
    fn forget_group(&self) {
        wait_until("Kafka forgets the group", || {
            let options = AdminOptions::new();
            let deleting = self.admin.delete_groups(&[&self.name], &options);
            let deleted = self.runtime.block_on(deleting);
            deleted.is_ok_and(|groups| groups.iter().all(Result::is_ok))
        });
    }

    fn make_anew(&self) {
        let options = AdminOptions::new();
        let deleting = self.admin.delete_topics(&[&self.name], &options);
        let deleted = self.runtime.block_on(deleting).expect("Kafka answers");
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
        let topic = NewTopic::new(&self.name, PARTITIONS, TopicReplication::Fixed(1));
        wait_until("the topic is made anew", || {
            let made = self.admin.create_topics([&topic], &options);
            let made = self.runtime.block_on(made).expect("Kafka answers");
            made.iter().all(Result::is_ok)
        });
    }

    /// The rows of one of the host's own tables, for this group.
    fn own(&self, columns: &str, table: &str) -> Vec<(i32, i32, i64)> {
        let name = &self.name;
        let mut rows = self.ask(&format!(
            "SELECT {columns} FROM sluice.{table} WHERE consumer_group = '{name}' \
             AND partition >= 0 ALLOW FILTERING"
        ));
        rows.sort_unstable();
        rows
    }

    /// Generation, partition and next offset.
    fn kept(&self) -> Vec<(i32, i32, i64)> {
        self.own("generation, partition, next_offset", "checkpoints")
    }

    /// Generation, partition and first offset.
    pub(super) fn begun(&self) -> Vec<(i32, i32, i64)> {
        self.own("generation, partition, first_offset", "generations")
    }
}

fn each(generation: i32, offset: i64) -> impl Iterator<Item = (i32, i32, i64)> {
    (0..PARTITIONS).map(move |partition| (generation, partition, offset))
}

#[test]
fn a_group_that_kafka_has_forgotten_goes_on_where_it_was() {
    let world = World::new("forgotten");
    world.send((0..MESSAGES).map(play));
    world.run_once(&[]);
    assert!(each(0, 125).eq(world.kept()), "{:?}", world.kept());
    assert!(each(0, 0).eq(world.begun()), "{:?}", world.begun());

    world.forget_group();
    world.send((MESSAGES..MESSAGES + 80).map(play));
    let output = world.run_once(&[]);
    assert!(output.contains("in 80 = written 80"), "{output}");
    assert_eq!(world.rows(), world::expected(0..MESSAGES + 80));
    assert_eq!(world.committed(), 1_080);
    assert!(each(1, 135).eq(world.kept()), "{:?}", world.kept());
    let begun = each(0, 0).chain(each(1, 125));
    assert!(begun.eq(world.begun()), "{:?}", world.begun());
    // The group's offsets are there again, and the truth.
    assert!(world.run_once(&[]).contains("in 0 = written 0"));
}

#[test]
fn a_row_of_a_topic_that_was_made_anew_stops_and_asks() {
    let world = World::new("another");
    world.send((0..MESSAGES).map(play));
    world.run_once(&[]);
    world.make_anew();
    world.send((MESSAGES..MESSAGES + 16).map(play));

    let stopped = world.host(&RUN, &cassandra()).arg("--once").output();
    let stopped = stopped.expect("the binary runs");
    let said = String::from_utf8_lossy(&stopped.stderr);
    assert_eq!(stopped.status.code(), Some(1), "{said}");
    for words in ["at 125", "made anew", "0 to 2", "--start earliest"] {
        assert!(said.contains(words), "{words:?} is not said: {said}");
    }
    assert_eq!(world.rows(), world::expected(0..MESSAGES));

    let output = world.run_once(&["--start", "earliest"]);
    assert!(output.contains("in 16 = written 16"), "{output}");
    assert_eq!(world.rows(), world::expected(0..MESSAGES + 16));
    // Later than the row of before, although its offset is less.
    assert!(each(1, 2).eq(world.kept()), "{:?}", world.kept());
}
