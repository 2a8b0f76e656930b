//! Dead letters in topics, read back as whoever mends them would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use expect_test::expect;
use host::embedded::Broker;
use host::message::{Batch, Message};
use host::row::{Rejected, Stage, Transformed};
use host::sink::Letters;
use host::sink::dead_letter::{Origin, Topic};
use host::source::kafka;
use host::source::letters::{self, Store as _};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message as _};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::letters::kept;
use crate::support::measured;

/// How long letters may take on a machine that is busy with other tests.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A batch of which two messages are rejected; the second came back from the dead letters before.
pub(crate) fn batch() -> Arc<Transformed> {
    let headers = b"\0\x02\0\0\0\x01a\0\0\0\x02hi\0\0\0\x0esluice.attempt\0\0\0\x012";
    let messages = [
        (5, Some(&b"ada"[..]), Some(&b"not JSON"[..]), &b""[..]),
        (6, None, None, &headers[..]),
    ];
    let message = |(offset, key, value, headers)| Message {
        partition: 3,
        offset,
        timestamp: 1_772_467_200_000,
        key,
        value,
        headers,
    };
    refused("plays", &messages.map(message))
}

/// A batch of messages that are all rejected.
fn refused(topic: &str, messages: &[Message<'_>]) -> Arc<Transformed> {
    let mut batch = Batch::new(topic.into());
    messages.iter().for_each(|message| batch.push(message));
    batch.stamp(|_, timestamp| Some(timestamp * 1_000));
    let letter = |message: usize| Rejected {
        message,
        stage: Stage::Transform,
        code: "unknown_song".into(),
        reason: format!("song {message} is not known"),
    };
    let rejected = (0..messages.len()).map(letter).collect();
    Arc::new(Transformed {
        batch,
        rows: vec![],
        written: 0,
        rejected,
        filtered: vec![],
    })
}

pub(crate) fn origin() -> Origin {
    Origin {
        name: "spotify".into(),
        version: "0.1.0".into(),
        digest: "ab12".into(),
    }
}

/// Keeps values as the letters of a topic's messages.
#[cfg(feature = "servers")]
pub(crate) fn keep_refused(brokers: &str, topic: &str, values: &[String]) {
    let mut letters = Topic::open(brokers, topic, &BTreeMap::new(), origin()).unwrap();
    let message = |(offset, value)| Message {
        partition: 0,
        offset,
        timestamp: 1_772_467_200_000,
        key: None,
        value: Some(str::as_bytes(value)),
        headers: b"",
    };
    let messages: Vec<_> = (0..)
        .zip(values.iter().map(String::as_str))
        .map(message)
        .collect();
    keep(&mut letters, &refused(topic, &messages));
}

fn keep(letters: &mut Topic, batch: &Arc<Transformed>) {
    letters.start(batch, &batch.rejected);
    let until = Instant::now() + WAIT_MAX;
    loop {
        match letters.poll(Duration::from_millis(100)) {
            Some(kept) => return kept.unwrap(),
            None => assert!(
                Instant::now() < until,
                "keeping takes longer than {WAIT_MAX:?}"
            ),
        }
    }
}

/// The letters in a topic, in order of their keys: key, value, time and headers.
fn letters_in(brokers: &str, topic: &str, count: usize) -> String {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", topic)
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let until = Instant::now() + WAIT_MAX;
    let mut letters = Vec::new();
    while letters.len() < count {
        assert!(
            Instant::now() < until,
            "{} of {count} letters after {WAIT_MAX:?}",
            letters.len()
        );
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message.unwrap();
        let text = |part: Option<&[u8]>| part.map(|part| String::from_utf8(part.to_vec()).unwrap());
        let (key, value) = (text(message.key()), text(message.payload()));
        let mut letter = format!("{key:?} {value:?} {:?}\n", message.timestamp().to_millis());
        for header in message.headers().unwrap().iter() {
            letter += &format!("  {}: {}\n", header.key, text(header.value).unwrap());
        }
        letters.push(letter);
    }
    letters.sort();
    letters.concat()
}

fn check(brokers: &str, topic: &str) {
    let mut letters = Topic::open(brokers, topic, &BTreeMap::new(), origin()).unwrap();
    keep(&mut letters, &batch());
    expect![[r#"
        None None Some(1772467200000)
          a: hi
          __connect.errors.topic: plays
          __connect.errors.partition: 3
          __connect.errors.offset: 6
          __connect.errors.connector.name: spotify
          __connect.errors.stage: transform
          __connect.errors.exception.class.name: unknown_song
          __connect.errors.exception.message: song 1 is not known
          sluice.plugin.version: 0.1.0
          sluice.plugin.digest: ab12
          sluice.write_time: 1772467200000000
          sluice.attempt: 3
        Some("ada") Some("not JSON") Some(1772467200000)
          __connect.errors.topic: plays
          __connect.errors.partition: 3
          __connect.errors.offset: 5
          __connect.errors.connector.name: spotify
          __connect.errors.stage: transform
          __connect.errors.exception.class.name: unknown_song
          __connect.errors.exception.message: song 0 is not known
          sluice.plugin.version: 0.1.0
          sluice.plugin.digest: ab12
          sluice.write_time: 1772467200000000
          sluice.attempt: 1
    "#]]
    .assert_eq(&letters_in(brokers, &format!("{topic}.dlq"), 2));

    // Read back, they are the messages they were; settled, they are none any more.
    let config = kafka::Config {
        brokers: brokers.to_owned(),
        topic: format!("{topic}.dlq"),
        group: topic.to_owned(),
        ..kafka::Config::default()
    };
    let of = |store: letters::Topic| {
        let mut store = store;
        let text = kept(&mut store);
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        (lines.join("\n") + "\n", store)
    };
    let (open, _) = of(letters::Topic::read(&config).unwrap());
    expect![[r#"
        plays/3/5 at 1772467200000 of Some(1772467200000000): transform unknown_song false: song 0 is not known; spotify 0.1.0 ab12; ada=not JSON [\x00\x01\x00\x00\x00\x0esluice.attempt\x00\x00\x00\x011]
        plays/3/6 at 1772467200000 of Some(1772467200000000): transform unknown_song false: song 1 is not known; spotify 0.1.0 ab12; -=- [\x00\x02\x00\x00\x00\x01a\x00\x00\x00\x02hi\x00\x00\x00\x0esluice.attempt\x00\x00\x00\x013]
    "#]].assert_eq(&open);
    let (one, mut store) = of(letters::Topic::change(&config, Some("unknown_song")).unwrap());
    assert_eq!(one, open);
    store.settle().unwrap();
    let settled = open.replace(" false: ", " true: ");
    assert_ne!(settled, open);
    assert_eq!(of(letters::Topic::read(&config).unwrap()).0, settled);
    // Settled by code, they are passed over; settled as all, they are not read again.
    let (all, mut store) = of(letters::Topic::change(&config, None).unwrap());
    assert_eq!(all, settled);
    store.settle().unwrap();
    assert_eq!(of(letters::Topic::change(&config, None).unwrap()).0, "\n");
}

#[test]
fn letters_say_what_was_refused_and_why() {
    let broker = Broker::start("plays", 1).unwrap();
    check(&broker.brokers(), "plays");
}

/// Starts letters again whenever they could not be kept, until they are; how often that was.
fn keep_at_last(letters: &mut Topic, batch: &Arc<Transformed>) -> usize {
    let until = Instant::now() + WAIT_MAX;
    let mut failures = 0;
    loop {
        match letters.poll(Duration::from_millis(100)) {
            Some(Ok(())) => return failures,
            Some(Err(_)) => {
                failures += 1;
                letters.start(batch, &batch.rejected);
            }
            None => {}
        }
        assert!(Instant::now() < until, "they are not kept");
    }
}

/// Brokers that do not take letters: these are not taken for kept, and are, when that is mended.
#[test]
fn letters_wait_for_brokers_that_do_not_take_them() {
    use RDKafkaRespErr as E;
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("plays.dlq", 1, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let mut letters = Topic::open(&brokers, "plays", &BTreeMap::new(), origin()).unwrap();
    let batch = batch();
    keep(&mut letters, &batch);

    cluster.broker_down(1).unwrap();
    letters.start(&batch, &batch.rejected);
    for _ in 0..10 {
        let kept = letters.poll(Duration::from_millis(50));
        assert!(!matches!(kept, Some(Ok(()))), "nobody has kept them");
    }
    cluster.broker_up(1).unwrap();
    keep_at_last(&mut letters, &batch);

    let errors = [
        (E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 0),
        (E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 1),
        (E::RD_KAFKA_RESP_ERR_INVALID_RECORD, 1),
    ];
    for (error, failures) in errors {
        cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
        letters.start(&batch, &batch.rejected);
        assert_eq!(keep_at_last(&mut letters, &batch), failures, "{error:?}");
    }
    let config = kafka::Config {
        brokers,
        topic: "plays.dlq".to_owned(),
        group: "plays".to_owned(),
        ..kafka::Config::default()
    };
    let text = kept(&mut letters::Topic::read(&config).unwrap());
    let rounds = 2 + errors.len();
    assert_eq!(
        text.lines().count(),
        rounds * batch.rejected.len(),
        "{text}"
    );
    let fault = "dead letters' topic away, or refused";
    let told = "waited, then all kept once";
    measured(23, fault, rounds - 1, Default::default(), told);
}

#[test]
#[cfg(feature = "servers")]
fn a_real_broker_keeps_them_for_ever() {
    use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
    use rdkafka::client::DefaultClientContext;
    let brokers = std::env::var("SLUICE_TEST_KAFKA").unwrap_or_else(|_| "127.0.0.1:29092".into());
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    let topic = format!("letters-{}", since.as_nanos());
    check(&brokers, &topic);
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .create()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let letters = format!("{topic}.dlq");
    let resources = [ResourceSpecifier::Topic(&letters)];
    let described = runtime.block_on(admin.describe_configs(&resources, &AdminOptions::new()));
    let described = described.unwrap().remove(0).unwrap();
    assert_eq!(
        described.get("retention.ms").unwrap().value.as_deref(),
        Some("-1")
    );
    runtime
        .block_on(admin.delete_topics(&[&letters], &AdminOptions::new()))
        .unwrap();
}
