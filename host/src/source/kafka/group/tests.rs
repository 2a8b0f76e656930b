use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use secrecy::SecretString;

use super::*;
use crate::embedded::Broker;
use crate::message::Batch;
use crate::source::kafka::{self, Config, Kafka};
use crate::source::{Limits, Source as _};

const TOPIC: &str = "plays";
const PATIENCE: Duration = Duration::from_secs(30);
const SLICE: Duration = Duration::from_millis(5);

fn config(brokers: &str) -> Config {
    let properties = [
        // The broker waits so long, less a second, for members to join again.
        ("session.timeout.ms", "2000"),
        ("heartbeat.interval.ms", "20"),
        // They would be events, too.
        ("statistics.interval.ms", "0"),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), SecretString::from(value)));
    Config {
        brokers: brokers.to_owned(),
        topic: TOPIC.to_owned(),
        group: "group".to_owned(),
        properties: properties.into(),
        ..Config::default()
    }
}

fn send_one(brokers: &str) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .expect("the settings are right");
    let record = BaseRecord::<str, str>::to(TOPIC).partition(0).payload("0");
    producer.send(record).expect("there is room for a message");
    producer.flush(PATIENCE).expect("the broker is there");
}

/// Lets a member take its turns.
fn turns(member: &mut Kafka, what: &str, mut is_done: impl FnMut(&Batch) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "{what}");
        let mut batch = Batch::new(TOPIC.into());
        let taken = member.take(&mut batch, Limits::default(), SLICE);
        taken.expect("the broker is there");
        member.changes();
        if is_done(&batch) {
            return;
        }
    }
}

/// What waits for an answer of ours is followed by librdkafka's own question for all partitions. The
/// first answer let it leave, and the commit of the second came when it was gone: it aborted the process
/// in one of ten, and answered nobody in the others.
#[test]
fn who_leaves_while_the_group_changes_commits_first_and_is_gone_at_once() {
    // The broker within answers members that ask one by one, and may have sent the other away to join
    // again: then it refuses any commit.
    const ATTEMPTS: usize = 20;
    let closed_in = |_| {
        let broker = Broker::start(TOPIC, 1).expect("there is room for a broker");
        let config = config(&broker.brokers());
        send_one(&config.brokers);
        let (mut member, committer) = kafka::join(&config).expect("the settings are right");
        turns(&mut member, "a message", |batch| {
            for &span in batch.spans() {
                committer.record(span, None);
            }
            !batch.is_empty()
        });
        let (mut other, _) = kafka::join(&config).expect("the settings are right");
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
        let committed = kafka::committed(&config).expect("the broker is there");
        (committed == [(0, Some(1))]).then_some(took)
    };
    let took = (0..ATTEMPTS).find_map(closed_in);
    let took = took.expect("what is written is committed");
    assert!(took < REVOKE_WAIT_MAX, "nobody answered: {took:?}");
}
