//! The breaker, seen from outside: a topic is not emptied into the dead letters.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use crate::support::host;

/// Plays, and then messages that are none.
fn messages(fine: usize, bad: usize) -> String {
    let fine = (0..fine).map(|at| format!(r#"{{"name": "A", "song": "B", "timestamp": {at}}}"#));
    let bad = (0..bad).map(|at| format!("message {at} is not JSON"));
    fine.chain(bad).map(|line| line + "\n").collect()
}

fn run(folder: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut host = host();
    host.current_dir(folder)
        .args(["--plugin", "spotify.wasm", "--source", "plays.jsonl"])
        .args(["--sink", "sqlite:out"])
        .args(flags)
        .envs(variables.iter().copied());
    host.output().expect("the binary runs")
}

/// The offsets of the dead letters, and how many letters there are.
fn letters(folder: &Path) -> (BTreeSet<i64>, usize) {
    let letters = std::fs::read_to_string(folder.join("out/dead-letters.jsonl"));
    let letters = letters.unwrap_or_default();
    let offset = |line: &str| {
        let letter: serde_json::Value = serde_json::from_str(line).expect("a letter is JSON");
        letter["offset"].as_i64().expect("a letter has an offset")
    };
    (
        letters.lines().map(offset).collect(),
        letters.lines().count(),
    )
}

fn said(output: &Output) -> (Option<i32>, String) {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn a_topic_is_not_emptied_into_the_dead_letters() {
    let check =
        |fine: usize, bad: usize, flags: &[&str], variable: &[(&str, &str)], words: &[&str]| {
            let folder = tempfile::tempdir().expect("there is room for a folder");
            let path = folder.path().join("plays.jsonl");
            std::fs::write(path, messages(fine, bad)).expect("there is room");
            let (code, said) = said(&run(folder.path(), flags, variable));
            for word in words {
                assert!(said.contains(word), "{said}\ndoes not say {word:?}");
            }
            (code, letters(folder.path()))
        };
    let letters = |offsets: std::ops::Range<i64>| (offsets.clone().collect(), offsets.count());

    // All of it is bad: the hundredth says so, and the letters so far are kept.
    let conservation = "in 3,000 = written 0 + filtered 0 + dead letters 100 + pending 2,900";
    let words = [
        conservation,
        "100 of the last 100 messages",
        "bad_json: 100",
        "--no-breaker",
    ];
    let stopped = (Some(1), letters(0..100));
    assert_eq!(check(0, 3_000, &[], &[], &words), stopped);
    // What was fine before is written, in a batch with what is bad.
    let conservation = "in 3,000 = written 2,000 + filtered 0 + dead letters 51 + pending 949";
    let words = [conservation, "51 of the last 1000 messages"];
    let stopped = (Some(1), letters(2_000..2_051));
    assert_eq!(check(2_000, 1_000, &[], &[], &words), stopped);

    // Whoever says so goes on, or lets them be left out.
    let all = (Some(0), letters(0..3_000));
    let conservation = "in 3,000 = written 0 + filtered 0 + dead letters 3,000 + pending 0";
    assert_eq!(
        check(0, 3_000, &["--no-breaker"], &[], &[conservation]),
        all
    );
    let variable = [("SLUICE_BREAKER", "false")];
    assert_eq!(check(0, 3_000, &[], &variable, &[conservation]), all);
    let variable = [("SLUICE_DEAD_LETTERS", "off")];
    let conservation = "in 3,000 = written 0 + filtered 3,000 + dead letters 0 + pending 0";
    let none = (Some(0), letters(0..0));
    assert_eq!(check(0, 3_000, &[], &variable, &[conservation]), none);
}
