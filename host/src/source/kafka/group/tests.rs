use secrecy::SecretString;

use super::*;
use crate::embedded::Broker;
use crate::message::Batch;
use crate::source::kafka::{self, Config, Kafka};
use crate::source::{Limits, Source as _};

const TOPIC: &str = "plays";
const PATIENCE: Duration = Duration::from_secs(30);
const SLICE: Duration = Duration::from_millis(5);

fn join(brokers: &str) -> Kafka {
    let properties = [
        // The broker waits so long, less a second, for members to join again.
        ("session.timeout.ms", "2000"),
        ("heartbeat.interval.ms", "20"),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), SecretString::from(value)));
    let config = Config {
        brokers: brokers.to_owned(),
        topic: TOPIC.to_owned(),
        group: "group".to_owned(),
        properties: properties.into(),
        ..Config::default()
    };
    kafka::join(&config).expect("the settings are right").0
}

/// Lets a member take its turns.
fn turns(member: &mut Kafka, what: &str, mut is_done: impl FnMut(&Kafka) -> bool) {
    let mut batch = Batch::new(TOPIC.into());
    let deadline = Instant::now() + PATIENCE;
    while !is_done(member) {
        assert!(Instant::now() < deadline, "{what}");
        let taken = member.take(&mut batch, Limits::default(), SLICE);
        taken.expect("the broker is there");
    }
}

/// What waits for an answer of ours is followed by librdkafka's own question for all partitions. The
/// first answer let it leave, and the commit of the second came when it was gone: it aborted the process
/// in one of ten, and answered nobody in the others.
#[test]
fn who_leaves_while_the_group_changes_is_gone_at_once() {
    for _ in 0..3 {
        let broker = Broker::start(TOPIC, 1).expect("there is room for a broker");
        let mut member = join(&broker.brokers());
        turns(&mut member, "a partition", |member| {
            !member.positions.is_empty()
        });
        let mut other = join(&broker.brokers());
        let consumer = member.inbox().consumer().clone();
        turns(&mut other, "an event for the first", |_| {
            // A question lets librdkafka look at its clock, and send its heartbeat.
            native::member(&consumer);
            native::events(&consumer) > 0
        });
        drop(consumer);
        let begun = Instant::now();
        member.close();
        let took = begun.elapsed();
        assert!(
            took < REVOKE_WAIT_MAX,
            "a commit was not answered: {took:?}"
        );
    }
}
