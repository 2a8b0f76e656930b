//! The whole binary against the real servers: what is sent is what stands in the table, also when
//! it is killed, and when two of it share the work.
#![cfg(feature = "servers")]

mod checkpoints;
mod child;
mod explain;
mod forwarder;
mod group;
mod outlived;
mod readiness;
mod replay;
mod restart;
mod swap;
mod world;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::admin::get;
use crate::support::{cassandra, wait_until};
use child::Child;
use forwarder::Forwarder;
use host::telemetry::grouped;
use world::{World, play};

/// How many messages a test sends.
const MESSAGES: usize = 10_000;
/// So few a batch that a test's messages make many batches.
const SMALL_BATCH: [(&str, &str); 1] = [("SLUICE_BATCH__MESSAGES_MAX", "200")];

#[test]
fn what_is_sent_is_what_stands_in_the_table() {
    let world = World::new("sent");
    world.send((0..MESSAGES).map(play));
    let bad = [
        "",
        "not JSON",
        r#"{"name": "A", "song": 7, "timestamp": 1}"#,
    ]
    .map(str::to_owned);
    world.send(bad.into_iter());

    let output = world.run_once(&[]);
    let conservation = "in 10,003 = written 10,000 + filtered 0 + dead letters 3 + pending 0";
    assert!(output.contains(conservation), "{output}");
    assert_eq!(world.rows(), world::expected(0..MESSAGES));
    assert_eq!(world.dead_letters(), ["bad_json", "bad_json", "wrong_type"]);

    // Nothing is left to do, and doing nothing changes nothing.
    let output = world.run_once(&[]);
    assert!(output.contains("in 0 = written 0"), "{output}");
    assert_eq!(world.rows(), world::expected(0..MESSAGES));
}

#[test]
fn after_kill_9_the_table_is_the_same() {
    let world = World::new("killed");
    world.send((0..MESSAGES).map(play));
    for part in 1..=2 {
        let mut child = world.start(&SMALL_BATCH);
        wait_until("a part of the messages", || {
            child.messages() >= MESSAGES * part / 4
        });
        child.kill();
        assert!(
            world.rows().len() < MESSAGES,
            "it was done before it was killed"
        );
    }
    world.run_once(&[]);
    assert_eq!(world.rows(), world::expected(0..MESSAGES));
}

#[test]
fn a_stop_drains_and_nothing_is_repeated() {
    let world = World::new("stopped");
    world.send((0..MESSAGES).map(play));
    let mut child = world.start(&SMALL_BATCH);
    wait_until("a part of the messages", || {
        child.messages() >= MESSAGES / 4
    });
    assert_eq!(child.stop(), Some(0));
    let done = child.messages();
    assert!(done < MESSAGES, "it was done before it was stopped");
    assert_eq!(
        world.committed(),
        i64::try_from(done).expect("a test is small")
    );
    let output = world.run_once(&[]);
    let rest = grouped(u64::try_from(MESSAGES - done).expect("a test is small"));
    let rest = format!("in {rest} = written {rest} ");
    assert!(output.contains(&rest), "{output}\ndoes not say {rest}");
    assert_eq!(world.rows(), world::expected(0..MESSAGES));
}

#[test]
fn when_the_grace_ends_what_is_in_flight_is_repeated() {
    let world = World::new("hole");
    let forwarder = Forwarder::to(&cassandra());
    let flags = ["--workers", "1", "--grace", "1s"];
    let mut child = world.start_at(&forwarder.address(), &flags, &[]);
    world.send((0..500).map(play));
    wait_until("what is written", || child.messages() == 500);
    forwarder.swallow();
    let before = forwarder.swallowed();
    world.send((500..800).map(play));
    wait_until("a batch in flight", || {
        forwarder.swallowed() > before + 1_000
    });
    let told = Instant::now();
    assert_eq!(child.stop(), Some(75), "{}", child.said());
    let took = told.elapsed();
    assert!(took <= Duration::from_secs(2), "it took {took:?}");
    assert_eq!((child.messages(), world.committed()), (500, 500));

    let output = world.run_once(&[]);
    assert!(output.contains("in 300 = written 300 "), "{output}");
    assert_eq!(world.rows(), world::expected(0..800));
}

#[test]
fn an_outage_longer_than_the_poll_interval_costs_no_membership() {
    const INTERVAL: Duration = Duration::from_secs(10);
    let world = World::new("outage");
    let forwarder = Forwarder::to(&cassandra());
    let interval = INTERVAL.as_millis().to_string();
    let variables = [("SLUICE_KAFKA__PROPERTIES__MAX.POLL.INTERVAL.MS", &*interval)];
    let mut child = world.start_at(&forwarder.address(), &["--workers", "1"], &variables);
    world.send((0..500).map(play));
    wait_until("what is written", || child.messages() == 500);
    forwarder.cut();
    world.send((500..800).map(play));
    let began = Instant::now();
    wait_until("the outage to last", || began.elapsed() >= INTERVAL * 3 / 2);
    assert_eq!(child.messages(), 500);
    forwarder.mend();
    wait_until("the rest", || child.messages() >= 800);
    assert_eq!(child.stop(), Some(0));
    // A member that was put out would have lost its batch, and done it again.
    assert_eq!((child.messages(), world.committed()), (800, 800));
    assert_eq!(world.rows(), world::expected(0..800));
}

#[test]
fn a_store_that_refuses_some_writes_is_not_stormed() {
    let world = World::new("busy");
    let forwarder = Forwarder::to(&cassandra());
    let mut child = world.start_at(&forwarder.address(), &["--workers", "1"], &SMALL_BATCH);
    world.send((0..200).map(play));
    wait_until("a start", || child.messages() == 200);
    let (before, _) = forwarder.writes();
    forwarder.refuse(3);
    world.send((200..2_000).map(play));
    wait_until("all of them", || child.messages() == 2_000);
    let (writes, refused) = forwarder.writes();
    let needed = writes - before - refused;
    assert!(refused * 5 > needed, "{refused} of {writes} were refused");
    assert!(
        writes - before <= 2 * needed,
        "{writes} writes for {needed}"
    );
    assert_eq!(child.stop(), Some(0));
    assert_eq!(world.rows(), world::expected(0..2_000));
}

#[test]
fn two_processes_of_a_group_lose_nothing_and_repeat_nothing() {
    let world = World::new("shared");
    let part = MESSAGES / 4;
    let send = |number: usize| world.send((number * part..(number + 1) * part).map(play));

    let mut first = world.start(&SMALL_BATCH);
    send(0);
    wait_until("the first to have all", || first.messages() == part);
    let mut second = world.start(&SMALL_BATCH);
    send(1);
    // Messages keep coming until the second has a share of them: the group is in no hurry.
    let mut sent = 2 * part;
    wait_until("the second to have some", || {
        world.send((sent..sent + 100).map(play));
        sent += 100;
        second.messages() > 0
    });
    wait_until("both to have all", || {
        first.messages() + second.messages() >= sent
    });
    assert_eq!(second.stop(), Some(0));
    world.send((sent..sent + part).map(play));
    sent += part;
    wait_until("the first to have the rest", || {
        first.messages() + second.messages() >= sent
    });
    assert_eq!(first.stop(), Some(0));

    assert_eq!(
        first.messages() + second.messages(),
        sent,
        "committed messages were repeated"
    );
    assert_eq!(world.rows(), world::expected(0..sent));
    assert_eq!(
        world.committed(),
        i64::try_from(sent).expect("a test is small")
    );
    let shares: BTreeMap<_, _> =
        [("first", first.messages()), ("second", second.messages())].into();
    assert!(shares.values().all(|share| *share > 0), "{shares:?}");
}

/// Plays that were refused go in when they are redriven, once; what cannot go in stays a letter.
#[test]
fn what_was_refused_is_redriven_once() {
    const FEW: usize = 40;
    let world = World::new("redriven");
    world.send(["not JSON".to_owned()].into_iter());
    let output = world.run_once(&[]);
    assert!(output.contains("dead letters 1 + pending 0"), "{output}");
    world.refuse(&(0..FEW).map(play).collect::<Vec<_>>());
    let committed = world.committed();

    let code = |output: &str| {
        let list: serde_json::Value = serde_json::from_str(output).expect("it is JSON");
        (list["codes"].clone(), list["redriven"].clone())
    };
    let listed = || code(&world.dlq("ls", "--json"));
    let both = serde_json::json!({"bad_json": 1, "unknown_song": FEW});
    assert_eq!(listed(), (both, 0.into()));

    // What is not asked for stays; what is asked for is written, with the rows it would have had.
    let output = world.dlq("redrive", "--code unknown_song");
    assert!(
        output.contains("in 40 = written 40 + filtered 0 + dead letters 0"),
        "{output}"
    );
    assert_eq!(world.rows(), world::expected(0..FEW));
    assert_eq!(listed(), (serde_json::json!({"bad_json": 1}), 40.into()));
    // Neither again, nor by a redrive of all; what is refused again is a letter still.
    for _ in 0..2 {
        let output = world.dlq("redrive", "");
        assert!(
            output.contains("in 1 = written 0 + filtered 0 + dead letters 1"),
            "{output}"
        );
        assert_eq!(listed().0, serde_json::json!({"bad_json": 1}));
    }
    assert_eq!(world.rows(), world::expected(0..FEW));
    assert_eq!(
        world.committed(),
        committed,
        "the pipeline's own group is left alone"
    );

    // The oldest go, up to one that stays; then all.
    let output = world.dlq("drop", "--yes --code trap");
    assert!(output.contains("dropped 0 dead letters"), "{output}");
    world.dlq("drop", "--yes");
    assert_eq!(listed(), (serde_json::json!({}), 0.into()));
    let output = world.dlq("redrive", "");
    assert!(output.contains("in 0 = written 0"), "{output}");
}

#[test]
fn the_breaker_holds_and_loses_nothing() {
    let world = World::new("poison");
    world.send((0..3_000).map(|index| format!("message {index} is not JSON")));
    let address = readiness::free_address();
    let admin = ["--workers", "1", "--admin", &address];
    let mut child = world.start_with(&admin, &[]);
    wait_until("the breaker to open", || child.messages() > 0);
    wait_until("the commit of what it let through", || {
        world.committed() == 100
    });
    assert_eq!(child.messages(), 100);
    let (status, reasons) = get(&address, "/readyz");
    let reason = "not ready\nbreaker: the breaker opened: 100 of the last 100 messages ";
    assert!(status == 503 && reasons.starts_with(reason), "{reasons}");
    // What messages held is for the log.
    assert_eq!(reasons.lines().count(), 2, "{reasons}");
    assert_eq!(child.stop(), Some(0));
    assert!(child.said().contains("--no-breaker"), "{}", child.said());
    assert_eq!((world.committed(), world.dead_letters().len()), (100, 100));

    // Whoever goes on finds every message that is left, and none twice.
    let output = world.run_once(&["--no-breaker"]);
    assert!(output.contains("in 2,900 = written 0"), "{output}");
    assert_eq!(world.dead_letters().len(), 3_000);
}

#[test]
fn a_missing_table_is_told_with_the_command_that_mends_it() {
    let world = World::new("bare");
    world.drop_table();
    let mut child: Child = world.start(&[]);
    let code = child.wait();
    let said = child.said();
    assert_eq!(code, Some(78), "{said}");
    for word in ["records", "schema apply spotify"] {
        assert!(said.contains(word), "{said}");
    }
}
