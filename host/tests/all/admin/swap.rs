//! A running host takes another version, asked as a person asks.

use std::fs;

use host::embedded::Broker;
use serde_json::Value;

use super::pause::ask_host;
use super::*;
use crate::contract::candidates::candidate;
use crate::faults::{World, fine, producer, send};
use crate::support::signal;

/// A pipeline that works on an in-process broker, and has written some messages.
struct Pipeline {
    world: World,
    running: Running,
    _broker: Broker,
}

impl Pipeline {
    /// With messages that behave, which are written.
    fn start(flags: &[&str]) -> Self {
        const MESSAGES: usize = 200;
        let pipeline = Self::of(flags, (0..MESSAGES).map(|number| fine(0, number)));
        let written = i64::try_from(MESSAGES).unwrap();
        wait_until("the messages", || pipeline.world.written() == written);
        pipeline
    }

    fn of(flags: &[&str], messages: impl Iterator<Item = String>) -> Self {
        let broker = Broker::start("faults", 1).unwrap();
        let brokers = broker.brokers();
        send(&producer(&brokers, &[]), 0, messages);
        let world = World::new();
        let more = ["--brokers", &brokers, "--admin", "127.0.0.1:0"];
        let mut host = world.host(&[&more, flags].concat());
        host.env("XDG_RUNTIME_DIR", world.path("run"));
        let running = Running::start(&mut host);
        Self {
            world,
            running,
            _broker: broker,
        }
    }

    fn ask(&self, arguments: &[&str]) -> (Option<i32>, String) {
        ask_host(self.world.folder.path(), arguments)
    }

    /// Puts a version beside the pipeline; where it is.
    fn put(&self, words: &str) -> String {
        let path = self.world.path(&format!("{words}.wasm"));
        fs::write(&path, candidate(words)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The version that runs, and its generation.
    fn runs(&self) -> (String, u64) {
        let (code, told) = self.ask(&["status", "--json"]);
        assert_eq!(code, Some(0), "{told}");
        let told: Value = serde_json::from_str(&told).unwrap();
        let current = &told["versions"]["current"];
        let version = current["version"].as_str().unwrap();
        let generation = current["generation"].as_u64().unwrap();
        (version.to_owned(), generation)
    }
}

#[test]
fn a_version_is_proved_shown_agreed_to_and_traded() {
    let pipeline = Pipeline::start(&[]);
    let (first, generation) = pipeline.runs();
    let (two, bad) = (pipeline.put("version=2.0.0"), pipeline.put("fault=reject"));
    let text = pipeline
        .world
        .path("schema.cql")
        .to_str()
        .unwrap()
        .to_owned();
    // Nothing of this changes what runs.
    for (arguments, code, words) in [
        (&["swap", &two, "--dry-run"][..], 0, "tried on the last"),
        (&["swap", &two, "--json"], 0, "\"event\":\"proposed\""),
        (&["swap", &two], 1, "There is no terminal to ask at"),
        (&["swap", &bad, "--policy"], 1, "refused, "),
        (&["swap", &text, "--yes"], 1, "refused, "),
        (&["swap", "none.wasm"], 1, "none.wasm cannot be read"),
        (&["swap"], 2, "required"),
        (
            &["swap", &two, "--yes", "--dry-run"],
            2,
            "cannot be used with",
        ),
        (&["rollback", "--yes"], 1, "refused, no_version_before"),
        (&["rollback"], 1, "refused, no_version_before"),
    ] {
        let (got, said) = pipeline.ask(arguments);
        assert_eq!(got, Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert_eq!(
            pipeline.runs(),
            (first.clone(), generation),
            "{arguments:?}"
        );
    }
    let (code, said) = pipeline.ask(&["swap", &two, "--yes", "--wait", "0s"]);
    assert_eq!(code, Some(0), "{said}");
    for words in [
        "traded: ",
        " 2.0.0, digest ",
        "first offset",
        "pause by worker",
        "on probation",
    ] {
        assert!(said.contains(words), "{said} does not say {words}");
    }
    assert_eq!(pipeline.runs(), ("2.0.0".to_owned(), generation + 1));
    let (_, told) = pipeline.ask(&["status"]);
    assert!(
        told.contains("  ada ") && told.contains("of 100 batches"),
        "{told}"
    );

    goes_back(&pipeline, &first);
    // Once more does not bring it in again.
    let (code, said) = pipeline.ask(&["rollback", "--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no_version_before"), "{said}");
    assert_eq!(pipeline.runs().0, first);
}

/// Where it goes back to is told before anybody is asked, and when it is done.
fn goes_back(pipeline: &Pipeline, first: &str) {
    let before = format!(" {first} (");
    for (arguments, code, words) in [
        (
            &["rollback"][..],
            1,
            &["There is no terminal to ask at", &*before][..],
        ),
        (&["rollback", "--json"], 0, &["\"is_undone\":true"]),
        (
            &["rollback", "--yes"],
            0,
            &["rolled back: ada ", &*before, &format!(" {first}, digest ")],
        ),
    ] {
        assert_eq!(pipeline.runs().0, "2.0.0");
        let (got, said) = pipeline.ask(arguments);
        assert_eq!(got, Some(code), "{said}");
        for words in words {
            assert!(said.contains(words), "{said} does not say {words}");
        }
    }
    assert_eq!(pipeline.runs().0, first);
}

/// Who reads the file again, and how it is told that it should.
#[test]
fn a_file_that_changes_is_offered() {
    for flags in [&[][..], &["--watch"]] {
        let pipeline = Pipeline::start(flags);
        let tell = || {
            if flags.is_empty() {
                signal(&pipeline.running.child, "HUP");
            }
        };
        // What is refused is offered once, unless somebody asks again, and what comes after it all the same.
        let bad = pipeline.put("fault=reject");
        fs::rename(bad, pipeline.world.path("plugin.wasm")).unwrap();
        tell();
        let refused = r#"sluice_plugin_swaps_total{outcome="refused"}"#;
        let scrape = || Scrape::parse(&get(&pipeline.running.address, "/metrics").1);
        wait_until("it is refused", || scrape().value(refused) == Some(1.0));
        tell();
        let times = if flags.is_empty() { 2.0 } else { 1.0 };
        wait_until("once more", || scrape().value(refused) == Some(times));
        let two = pipeline.put("version=2.0.0");
        fs::rename(two, pipeline.world.path("plugin.wasm")).unwrap();
        tell();
        wait_until("it is traded", || pipeline.runs().0 == "2.0.0");
        assert_eq!(scrape().value(refused), Some(times), "{flags:?}");
        let who = flags.first().unwrap_or(&"SIGHUP");
        let (_, told) = pipeline.ask(&["status"]);
        assert!(told.contains(who), "{told}");
    }
}

/// What the breaker holds goes on when somebody says so, and with a version that is mended; nothing
/// of the topic is left out.
#[test]
fn a_held_worker_goes_on_when_it_is_told_and_with_another_version() {
    const MESSAGES: usize = 350;
    let pipeline = Pipeline::of(&[], (0..MESSAGES).map(|number| format!("set {number} x")));
    let address = &pipeline.running.address;
    let held_after = |letters: f64| {
        wait_until("the breaker", || {
            let (_, reasons) = get(address, "/readyz");
            let scrape = Scrape::parse(&get(address, "/metrics").1);
            reasons.contains("breaker: the breaker opened")
                && scrape.sum("sluice_messages_dead_lettered_total") == letters
        });
    };
    held_after(100.0);
    let (code, said) = pipeline.ask(&["resume"]);
    assert_eq!(code, Some(0), "{said}");
    held_after(200.0);
    let two = pipeline.put("version=2.0.0");
    let (code, said) = pipeline.ask(&["swap", &two, "--yes", "--wait", "0s"]);
    assert_eq!(code, Some(0), "{said}");
    wait_until("it goes on", || get(address, "/readyz").0 == 200);
    wait_until("the rest", || {
        let scrape = Scrape::parse(&get(address, "/metrics").1);
        scrape.sum("sluice_messages_written_total") == 150.0
    });
}
