//! Plugins that fail: the message at fault is found, rejected with its code, and alone in that.

use host::embedded::Broker;

use super::{Expected, Running, World, committed, conserved, fine, producer, send};
use crate::contract::FAULTS;

/// So many messages that behave stand between two that do not.
const BETWEEN: usize = 3;

/// Messages that behave, with others at these places: each with its code, if it must be a letter.
fn among<'a>(count: usize, faults: &[(usize, &'a str, &'a str)]) -> Vec<(String, Option<&'a str>)> {
    let mut all: Vec<_> = (0..count).map(|number| (fine(0, number), None)).collect();
    for &(place, message, code) in faults {
        all[place] = (message.to_owned(), Some(code));
    }
    all
}

/// Runs messages from a file: all tables and letters are as they must be. What the host told.
fn check(
    world: &World,
    row: u8,
    fault: &str,
    messages: &[(String, Option<&str>)],
    told: impl FnOnce(&str) -> String,
) {
    let mut expected = Expected::default();
    expected.note(
        0,
        messages.iter().map(|(message, code)| (&**message, *code)),
    );
    let values: Vec<&str> = messages.iter().map(|(message, _)| &**message).collect();
    let output = world.run_file(&values, &["--no-breaker"]);
    conserved(&output, messages.len(), expected.letters.len());
    let measured = told(&String::from_utf8_lossy(&output.stderr));
    world.hold(&expected, row, fault, expected.letters.len(), &measured);
}

/// Of `n` messages, with one at fault: so many calls at most.
fn calls_max(n: usize) -> usize {
    2 * usize::try_from(n.next_power_of_two().ilog2()).expect("it is small") + 2
}

/// A call of more than one message that fails is made again as two: what the host tells of failed
/// calls says how many it made.
fn calls(said: &str) -> usize {
    let failed = said
        .lines()
        .filter(|line| line.contains("a call of the plugin has failed"));
    let lines = failed.map(|line| serde_json::from_str(line).expect("logs are JSON"));
    let split = lines
        .filter(|line: &serde_json::Value| line["messages"] != 1)
        .count();
    1 + 2 * split
}

#[test]
fn a_trap_costs_few_calls_and_one_letter() {
    let mut most = String::new();
    for (n, place) in [
        (1, 0),
        (2, 1),
        (100, 0),
        (100, 99),
        (1_000, 333),
        (4_096, 4_095),
    ] {
        let world = World::new();
        let messages = among(n, &[(place, "trap", "trap")]);
        let values: Vec<&str> = messages.iter().map(|(message, _)| &**message).collect();
        world.write_file(&values);
        let mut host = world.host(&["--source", "in.jsonl", "--no-breaker"]);
        let output = host.env("SLUICE_LOG", "debug").output().unwrap();
        conserved(&output, n, 1);
        let calls = calls(&String::from_utf8_lossy(&output.stderr));
        assert!(calls <= calls_max(n), "{calls} calls for {n} messages");
        assert!(n == 1 || calls > 1, "no call failed");
        most = format!(
            "{calls} calls for 1 of {n} messages, of {} allowed",
            calls_max(n)
        );
        let mut expected = Expected::default();
        expected.note(
            0,
            messages.iter().map(|(message, code)| (&**message, *code)),
        );
        assert_eq!(world.judge(&expected), Default::default(), "{n} {place}");
    }
    crate::support::measured(24, "plugin traps", 6, Default::default(), &most);
}

#[test]
fn every_kind_of_bad_answer_is_a_letter_with_its_code() {
    let faults = FAULTS.iter().enumerate();
    let faults: Vec<_> = faults
        .map(|(index, &(message, code, _))| (BETWEEN + index * (BETWEEN + 1), message, code))
        .collect();
    let count = (FAULTS.len() + 1) * (BETWEEN + 1);
    let messages = among(count, &faults);
    let fault = "wrong arity, type, column, key, answers twice or none";
    check(&World::new(), 28, fault, &messages, |_| {
        format!(
            "{} kinds, each with its code, before the driver",
            FAULTS.len()
        )
    });
}

#[test]
fn a_thousand_stack_overflows_end_no_host() {
    const COUNT: usize = 1_000;
    let faults: Vec<_> = (0..COUNT)
        .map(|index| (2 * index, "stack", "stack"))
        .collect();
    let messages = among(2 * COUNT, &faults);
    check(&World::new(), 27, "stack overflow", &messages, |_| {
        "one host lived through all".to_owned()
    });
}

#[test]
fn a_topic_of_poison_is_not_emptied_into_the_letters() {
    const COUNT: usize = 1_500;
    let broker = Broker::start("faults", 1).unwrap();
    let brokers = broker.brokers();
    let bad = "set no number";
    send(
        &producer(&brokers, &[]),
        0,
        (0..COUNT).map(|_| bad.to_owned()),
    );
    let world = World::new();
    let host = world.host(&["--brokers", &brokers]);
    let mut host = Running::start(host, world.folder.path());
    let end = || committed(&brokers)[0].1.unwrap_or(0);
    host.wait_until("it stops, and commits what came before", || {
        end() > 0 && world.letters().len() as i64 == end()
    });
    assert_eq!(host.stop(), Some(0), "{}", host.said());
    assert!(host.said().contains("--no-breaker"), "{}", host.said());
    let stopped = end();
    assert!(stopped <= 1_000, "it stopped after {stopped}");
    let more = ["--brokers", &brokers, "--once", "--share", "--no-breaker"];
    let left = COUNT - world.letters().len();
    conserved(&world.host(&more).output().unwrap(), left, left);
    let mut expected = Expected::default();
    expected.note(0, (0..COUNT).map(|_| (bad, Some("odd"))));
    let told = format!("stopped after {stopped} letters, all kept; went on when told to");
    world.hold(&expected, 22, "nothing but poison", COUNT, &told);
}
