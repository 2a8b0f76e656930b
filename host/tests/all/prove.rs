//! Candidates that do not get in, and those that do: the proof as the steward runs it, on messages in
//! memory.

mod lookups;
mod mutated;
mod steady;

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use host::lookup::{Declared, Lookup, Options};
use host::message::{Batch, Message};
use host::plugin::{Config, Limits, Plugin};
use host::recent::Recent;
use host::row::{Key, Target};
use host::sink::memory::Memory;
use host::sink::{self, Sink as _};
use host::swap::prove::{Context, Fixtures, Proven, prove};
use host::swap::{Consent, Policy, Refusal, What};
use host::version::Version;
use sluice_bundled::PIPELINES;

use crate::contract::candidates::candidate;
use crate::contract::{self, module};

const SCHEMA: &str = "CREATE TABLE k.facts (id text PRIMARY KEY, number int, note text);
    CREATE TABLE k.others (id text PRIMARY KEY, number int);";

/// How many messages came last.
const MESSAGES: i64 = 300;

/// A component that exports `init` and `transform` of a version of the contract, and imports something.
fn component(version: &str, import: &str) -> Vec<u8> {
    let export = format!("(export \"sluice:plugin/transform@{version}\" (instance $i))");
    format!("(component {import} (instance $i) {export})").into_bytes()
}

/// A file with a custom section more.
fn with_section(mut file: Vec<u8>, name: &str, text: &str) -> Vec<u8> {
    fn push(into: &mut Vec<u8>, mut number: usize) {
        while number > 127 {
            into.push(u8::try_from(number % 128).unwrap() | 128);
            number /= 128;
        }
        into.push(u8::try_from(number).unwrap());
    }
    let mut section = vec![];
    push(&mut section, name.len());
    section.extend(name.bytes().chain(text.bytes()));
    file.push(0);
    push(&mut file, section.len());
    file.extend(section);
    file
}

/// A candidate with samples, and what they should give.
fn with_samples(words: &str, golden: &str) -> Vec<u8> {
    let file = with_section(candidate(words), "sluice:samples", "a\nb\nc\n");
    with_section(file, "sluice:golden", golden)
}

/// Candidates are compiled once, not for each test that offers them.
fn config() -> Config {
    let usual = contract::config();
    let limits = Limits {
        component_max: 8 << 20,
        ..usual.limits
    };
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("candidates");
    Config {
        limits,
        cache: Some(cache),
        ..usual
    }
}

fn load(name: &str, bytes: &[u8]) -> Result<Version, Refusal> {
    let plugin = Plugin::load(name, bytes, &config())?;
    let lookups = vec![];
    Ok(Version { plugin, lookups })
}

fn read_lookup(declared: &Declared, name: &str, bytes: &[u8]) -> Result<Lookup, Refusal> {
    let read = Lookup::read(name, bytes, declared, &Options::default());
    read.map_err(|error| Refusal::from(&error))
}

fn prepare(targets: &[Target]) -> Result<Vec<Key>, sink::Error> {
    Memory::open(SCHEMA)?.prepare(targets)
}

/// Messages that the version that runs has just taken, in batches of 100.
fn recent(current: &Version, values: impl IntoIterator<Item = String>) -> Recent {
    let recent = Recent::default();
    let keys = prepare(&current.plugin.description().targets).unwrap();
    let mut instance = current.instance(keys).unwrap();
    let values: Vec<_> = values.into_iter().collect();
    for (number, values) in (0..).zip(values.chunks(100)) {
        let mut batch = Batch::new("facts".into());
        for (offset, value) in (number * 100..).zip(values) {
            batch.push(&Message {
                partition: 0,
                offset,
                timestamp: offset,
                key: None,
                value: Some(value.as_bytes()),
                headers: b"",
            });
        }
        batch.stamp(|_, timestamp| Some(timestamp));
        recent.keep(&Arc::new(instance.apply(batch).unwrap()));
    }
    recent
}

fn facts() -> impl Iterator<Item = String> {
    (0..MESSAGES).map(|number| format!("fact {number}"))
}

/// The version that runs.
fn current() -> Version {
    load("facts.wasm", &candidate("version=2.0.0")).unwrap()
}

/// Offers a plugin to a pipeline that runs, and lets somebody decide.
fn offer(name: &str, bytes: Vec<u8>, consent: Consent) -> Result<Proven, Refusal> {
    let current = current();
    let recent = recent(&current, facts());
    let context = Context {
        current: &current,
        parts: &[],
        load: &|name, bytes| Ok((load(name, bytes)?, vec![])),
        read_lookup: &read_lookup,
        beside: &|_| None,
        prepare: &prepare,
        schema: Some(SCHEMA),
        recent: &recent,
        is_withdrawn: &|| false,
    };
    let name = name.to_owned();
    let mut steps = vec![];
    let proven = prove(&What::Plugin { name, bytes }, &context, &mut |step, _| {
        steps.push(step)
    })?;
    assert_eq!(steps.first().copied(), Some("load"));
    assert_eq!(steps.last().copied(), Some("steady"));
    Policy::default().decide(&proven.proposal, consent)?;
    Ok(proven)
}

/// A candidate: what it is, its file's name and bytes, the code of the refusal, and what the reason must say.
type Bad = (
    &'static str,
    (&'static str, Vec<u8>),
    &'static str,
    &'static str,
);

#[rustfmt::skip]
fn bad() -> Vec<Bad> {
    let words = |words| ("a.wasm", candidate(words));
    let wasm = |bytes: &[u8]| ("a.wasm", bytes.to_vec());
    let wat = |text: &[u8]| ("a.wat", text.to_vec());
    let half = &module()[..module().len() / 2];
    let http = component("0.1.0", "(import \"wasi:http/types@0.2.0\" (instance))");
    let golden = "facts\n  id = a\n  number = 8\n";
    let samples = |words| ("a.wasm", with_samples(words, golden));
    let long = with_samples("version=2.0.1", &"a\n".repeat((1 << 19) + 1));
    vec![
        ("the same", words("version=2.0.0"), "same_version", "runs already"),
        ("empty", wasm(b""), "not_a_plugin", "neither a WebAssembly component"),
        ("text", wasm(b"{\"plugin\": 1}"), "not_a_plugin", "it is text"),
        ("truncated", wasm(half), "cannot_be_wrapped", "unexpected end"),
        ("a module of something else", wat(b"(module)"), "cannot_be_wrapped", "`transform`"),
        ("a component of something else", wat(b"(component)"), "wrong_world", "does not export"),
        ("for another contract", wat(&component("0.2.0", "")), "wrong_contract", "version 0.2.0"),
        ("without functions", wat(&component("0.1.0", "")), "wrong_functions", "no function `init`"),
        ("forbidden import", wat(&http), "forbidden_import", "imports wasi:http/types@0.2.0"),
        ("too large", wasm(&vec![0; (8 << 20) + 1]), "too_large", "over the limit of 8388608"),
        ("another plugin", wasm(PIPELINES[0].module), "other_plugin", "a host of its own"),
        ("init trap", words("fault=init-trap"), "init_failed", "init: wasm trap"),
        ("init loop", words("fault=init-loop"), "init_deadline", "longer than 500ms"),
        ("wrong column", words("fault=column"), "wrong_columns", "missing"),
        ("fixtures fail", samples("version=2.0.1"), "fixtures_failed", "number = 7"),
        ("fixtures too long", wasm(&long), "fixtures_failed", "sluice:golden has more than 1048576 bytes"),
        ("fixtures that count", samples("fault=place"), "not_deterministic", "its own samples"),
        ("traps on 10 %", words("fault=trap share=10"), "fails", "trap: "),
        ("loops on 2 %", words("fault=loop share=2"), "fails", "deadline: "),
        ("memory hog", words("fault=hoard share=2"), "fails", "memory: "),
        ("counts", words("fault=count version=2.0.1"), "not_deterministic", "number: "),
    ]
}

const OPERATING: &str = include_str!("../../../docs/operating.md");

#[test]
fn what_is_wrong_is_refused_whoever_asks() {
    for (what, (name, bytes), code, words) in bad() {
        assert!(
            OPERATING.contains(&format!("`{code}`")),
            "{code} is not told"
        );
        let refused = offer(name, bytes, Consent::Asked).map(drop).unwrap_err();
        assert_eq!(refused.code, code, "{what}: {refused}");
        assert!(
            refused.reason.contains(words),
            "{what}: {refused}\nlacks {words:?}"
        );
    }
}

/// What a person may want, but nobody should get unasked: by whom it is refused, and with which code.
#[test]
fn what_would_change_much_is_not_let_in_unasked() {
    for (words, given, unasked, told) in [
        ("version=2.0.1", None, None, "0 % of the rows differ"),
        ("version=1.9.0", None, Some("older_version"), "older"),
        (
            "add=1 version=2.0.1",
            None,
            Some("changes_more"),
            "number 300",
        ),
        (
            "layout=b/ version=2.0.1",
            None,
            Some("changes_more"),
            "300 added, 300 removed",
        ),
        (
            "fault=reject version=2.0.1",
            Some("rejects_more"),
            Some("rejects_more"),
            "odd: 300",
        ),
        (
            "fault=reject share=10 version=2.0.1",
            Some("rejects_more"),
            Some("rejects_more"),
            "odd: ",
        ),
        (
            "fault=slow version=2.0.1",
            Some("too_slow"),
            Some("too_slow"),
            "time a message",
        ),
    ] {
        let code = |consent| {
            offer("a.wasm", candidate(words), consent)
                .err()
                .map(|it| it.code)
        };
        let proven = offer("a.wasm", candidate(words), Consent::Asked).unwrap();
        let text = &proven.proposal.text;
        assert!(text.contains(told), "{words}: {text}\nlacks {told:?}");
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert_eq!(code(Consent::Given), given, "{words}: {text}");
        assert_eq!(code(Consent::Policy), unasked, "{words}: {text}");
    }
}

#[test]
fn samples_may_come_with_the_plugin_or_lie_beside_it() {
    let golden = "facts\n  id = a\n  number = 7\nfacts\n  id = b\n  number = 7\nfacts\n  id = c\n  number = 7\n";
    let proven = offer(
        "a.wasm",
        with_samples("version=2.0.1", golden),
        Consent::Policy,
    )
    .unwrap();
    assert_eq!(proven.proposal.samples, Some(3));
    let current = current();
    let beside = |golden: &str| Fixtures {
        samples: b"a\nb\nc\n".to_vec(),
        golden: golden.as_bytes().to_vec(),
        ..Fixtures::default()
    };
    let offered = |golden: &str| {
        let (fixtures, recent) = (beside(golden), Recent::default());
        let context = Context {
            current: &current,
            parts: &[],
            load: &|name, bytes| Ok((load(name, bytes)?, vec![])),
            read_lookup: &read_lookup,
            beside: &move |name| (name == "a.wasm").then(|| fixtures.clone()),
            prepare: &prepare,
            schema: Some(SCHEMA),
            recent: &recent,
            is_withdrawn: &|| false,
        };
        let (name, bytes) = ("a.wasm".to_owned(), candidate("version=2.0.1"));
        prove(&What::Plugin { name, bytes }, &context, &mut |_, _| {})
    };
    let proposal = offered(golden).unwrap().proposal;
    assert_eq!((proposal.samples, proposal.diff.messages), (Some(3), 0));
    assert!(
        proposal.text.contains("no message has come yet"),
        "{}",
        proposal.text
    );
    assert_eq!(offered("").unwrap_err().code, "fixtures_failed");
}

#[test]
fn a_candidate_that_nobody_wants_any_more_is_given_up() {
    let current = current();
    let recent = recent(&current, facts());
    let context = Context {
        current: &current,
        parts: &[],
        load: &|name, bytes| Ok((load(name, bytes)?, vec![])),
        read_lookup: &read_lookup,
        beside: &|_| None,
        prepare: &prepare,
        schema: None,
        recent: &recent,
        is_withdrawn: &|| true,
    };
    let offered = || What::Plugin {
        name: "a.wasm".to_owned(),
        bytes: with_samples("version=2.0.1", "not what they give"),
    };
    let refused = prove(&offered(), &context, &mut |_, _| {}).unwrap_err();
    assert_eq!(refused.code, "withdrawn");
    // While its samples are tried: what they give does not matter any more.
    let step = Cell::new("");
    let context = Context {
        schema: Some(SCHEMA),
        is_withdrawn: &|| step.get() == "samples",
        ..context
    };
    let refused = prove(&offered(), &context, &mut |now, _| step.set(now)).unwrap_err();
    assert_eq!((refused.code, step.get()), ("withdrawn", "samples"));
}
