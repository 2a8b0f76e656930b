//! What a running host tells of itself at its admin address, on real servers.

use std::net::{TcpListener, TcpStream};

use super::MESSAGES;
use super::forwarder::Forwarder;
use super::world::{self, World, play};
use crate::admin::{Running, Scrape, get};
use crate::support::{cassandra, host, kafka, unique, wait_until};

/// An address that nobody listens at.
pub(super) fn free_address() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    free.unwrap().to_string()
}

#[test]
fn commits_and_lag_are_told() {
    let world = World::new("watched");
    world.send((0..MESSAGES).map(play));
    let address = free_address();
    let child = world.start(&[("SLUICE_ADMIN__ADDRESS", &address)]);
    wait_until("all messages", || child.messages() == MESSAGES);
    let scrape = || Scrape::parse(&get(&address, "/metrics").1);
    wait_until("their commit", || {
        scrape().sum("sluice_committed_offset") == MESSAGES as f64
    });
    let scrape = scrape();
    assert_eq!(
        scrape.sum("sluice_messages_consumed_total"),
        MESSAGES as f64
    );
    assert_eq!(scrape.sum("sluice_consumer_lag_messages"), 0.0);
    assert_eq!(scrape.value("sluice_checkpoint_age_seconds"), Some(0.0));
    assert_eq!(get(&address, "/readyz"), (200, "ready\n".to_owned()));
}

/// Who cannot reach the database says so, waits, and goes on by himself: at the start and later.
#[test]
fn readiness_follows_the_database() {
    let world = World::new("ready");
    let forwarder = Forwarder::to(&cassandra());
    forwarder.cut();
    let address = free_address();
    let variables = [("SLUICE_ADMIN__ADDRESS", &*address)];
    // With two workers, a late rebalance would have some messages done twice.
    let mut child = world.start_at(&forwarder.address(), &["--workers", "1"], &variables);
    let scrape = || Scrape::parse(&get(&address, "/metrics").1);
    let is_away = || {
        let (status, reasons) = get(&address, "/readyz");
        status == 503 && reasons.contains(&format!("\nsink: Cassandra at {}", forwarder.address()))
    };
    let is_ready = || get(&address, "/readyz") == (200, "ready\n".to_owned());
    wait_until("the admin address", || TcpStream::connect(&address).is_ok());
    wait_until("the reason at the start", is_away);
    forwarder.mend();
    wait_until("the database", is_ready);
    wait_until("the first start", || world.begun().len() == 8);

    forwarder.cut();
    world.send((0..MESSAGES).map(play));
    wait_until("the reason", is_away);
    let waiting = r#"sluice_waiting_workers{room="sink"}"#;
    wait_until("its metric", || scrape().value(waiting) > Some(0.0));
    // What nobody works off is told meanwhile, too.
    wait_until("the lag", || {
        scrape().sum("sluice_consumer_lag_messages") > 0.0
    });
    assert_eq!(get(&address, "/livez").0, 200);
    forwarder.mend();
    wait_until("all messages", || child.messages() == MESSAGES);
    wait_until("the database again", is_ready);
    assert_eq!(world.rows(), world::expected(0..MESSAGES));
    let scrape = scrape();
    assert_eq!(scrape.value(waiting), Some(0.0));
    for (counted, name) in [
        (MESSAGES, "sluice_messages_written_total"),
        (0, "sluice_messages_pending"),
        (0, "sluice_conservation_gap"),
        (0, "sluice_sink_in_flight"),
    ] {
        assert_eq!(scrape.value(name), Some(counted as f64), "{name}");
    }
    for name in ["sluice_sink_retries_total", "sluice_sink_requests_total"] {
        assert!(scrape.sum(name) > 0.0, "{name}");
    }
    assert!(scrape.sum("sluice_backpressure_seconds_total") > 0.0);
    assert_eq!(child.stop(), Some(0), "{}", child.said());
    // Once when a wait begins, once when it ends, however often it was tried.
    let said = child.said();
    let told = |message: &str| said.matches(&format!(r#""message":"{message}""#)).count();
    assert!(told("waiting") >= 2, "{said}");
    assert_eq!(told("waiting"), told("going on"), "{said}");
}

#[test]
fn a_topic_that_is_not_there_yet_is_waited_for() {
    let topic = unique("awaited");
    let mut waiting = host();
    let what = ["--plugin", "spotify", "--sink", "none", "--topic", &topic];
    waiting.args(what).args(["--brokers", &kafka()]);
    let running = Running::start(waiting.args(["--admin", "127.0.0.1:0"]));
    let expected = format!(
        "not ready\nsource: topic `{topic}` does not exist on {}\n\
         starting: the source is looked for\n",
        kafka()
    );
    wait_until("the reason", || {
        get(&running.address, "/readyz") == (503, expected.clone())
    });
}
