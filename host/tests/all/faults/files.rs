//! Files that are full, not to be written, or not what they should be.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use host::embedded::Broker;

use super::{Expected, Running, World, conserved, fine, producer, send};
use crate::support::{Verdict, host, measured};

/// A message that the plugin refuses, and whose letter takes room.
fn refused(number: usize) -> String {
    format!("set {number}{} x", "-".repeat(300_000))
}

/// A file may grow to 2 MiB; what would make it larger fails, as on a full disk. The plugin's first memory, of
/// somewhat more than 1 MiB, is a file to the kernel, too, and has room.
const FULL: &str = "trap '' XFSZ; ulimit -S -f 4096";

/// Gives a host's files room again.
fn make_room(host: &Running) {
    let id = host.child.id().to_string();
    let made = Command::new("prlimit")
        .args(["--pid", &id, "--fsize=unlimited"])
        .status();
    assert!(made.expect("util-linux has `prlimit`").success());
}

/// How far a group has committed partition 0.
fn committed(brokers: &str) -> i64 {
    super::committed(brokers)[0].1.unwrap_or(0)
}

/// A disk that is full for a while: what cannot be kept is waited for, and then all is there.
fn full_for_a_while(row: u8, fault: &str, messages: &[(String, Option<&str>)]) {
    let broker = Broker::start("faults", 1).unwrap();
    let brokers = broker.brokers();
    let world = World::new();
    send(
        &producer(&brokers, &[]),
        0,
        messages.iter().map(|(message, _)| message.clone()),
    );
    let flags = ["--brokers", &brokers];
    let mut command = world.limited(FULL, &flags);
    command.env("SLUICE_BATCH__MESSAGES_MAX", "50");
    let mut host = Running::start(command, world.folder.path());
    let told = world.path("stderr");
    host.wait_until("it waits", || {
        fs::read_to_string(&told).unwrap().contains("\"waiting\"")
    });
    assert!(
        committed(&brokers) < messages.len() as i64,
        "{}",
        host.said()
    );
    make_room(&host);
    let mut expected = Expected::default();
    expected.note(
        0,
        messages.iter().map(|(message, code)| (&**message, *code)),
    );
    host.wait_until("all is kept", || {
        world.judge(&expected) == Verdict::default()
    });
    assert_eq!(host.stop(), Some(0), "{}", host.said());
    assert_eq!(committed(&brokers), messages.len() as i64);
    world.hold(&expected, row, fault, 1, "waited, then went on by itself");
}

#[test]
fn letters_that_find_no_room_are_waited_for() {
    let all = (0..300).map(|number| match number % 25 {
        0 => (refused(number), Some("odd")),
        _ => (fine(0, number), None),
    });
    full_for_a_while(23, "dead letters' directory full", &all.collect::<Vec<_>>());
}

#[test]
fn rows_that_find_no_room_are_waited_for() {
    let row = |number: usize| format!("set {number}{} {number}", "-".repeat(9_000));
    let all: Vec<_> = (0..400).map(|number| (row(number), None)).collect();
    full_for_a_while(37, "disk full", &all);
}

/// Letters that cannot be kept at all: the host does not go on, and when they can, nothing is missing.
#[test]
fn letters_that_cannot_be_kept_are_not_dropped() {
    let broker = Broker::start("faults", 1).unwrap();
    let brokers = broker.brokers();
    let world = World::new();
    let letters = world.path("out/dead-letters.jsonl");
    fs::create_dir(world.path("out")).unwrap();
    symlink("/dev/full", &letters).unwrap();
    let messages: Vec<_> = (0..200)
        .map(|number| match number {
            100 => ("set no number".to_owned(), Some("odd")),
            _ => (fine(0, number), None),
        })
        .collect();
    send(
        &producer(&brokers, &[]),
        0,
        messages.iter().map(|(message, _)| message.clone()),
    );
    let mut host = world.host(&["--brokers", &brokers, "--grace", "1s"]);
    let mut host = Running::start(
        {
            host.env("SLUICE_BATCH__MESSAGES_MAX", "50");
            host
        },
        world.folder.path(),
    );
    let told = world.path("stderr");
    host.wait_until("it waits", || {
        fs::read_to_string(&told).unwrap().contains("\"waiting\"")
    });
    assert_eq!(host.stop(), Some(75), "{}", host.said());
    assert!(committed(&brokers) <= 100, "{}", committed(&brokers));
    fs::remove_file(&letters).unwrap();
    let output = world
        .host(&["--brokers", &brokers, "--once", "--share"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut expected = Expected::default();
    expected.note(
        0,
        messages.iter().map(|(message, code)| (&**message, *code)),
    );
    world.hold(
        &expected,
        23,
        "dead letters cannot be written",
        1,
        "stopped before them, exit 75; then all kept",
    );
}

/// A host that the system kills where a file would grow too large leaves nothing broken behind.
#[test]
fn a_write_that_is_cut_off_does_no_harm() {
    const COUNT: usize = 400;
    let row = |number: usize| format!("set {number}{} {number}", "-".repeat(9_000));
    let messages: Vec<_> = (0..COUNT).map(row).collect();
    let mut expected = Expected::default();
    expected.note(0, messages.iter().map(|message| (&**message, None)));
    let sizes = [0, 8, 64, 512, 1_024];
    for size in sizes {
        let world = World::new();
        world.write_file(&messages);
        let cut = format!("ulimit -f {size}");
        let mut command = world.limited(&cut, &["--source", "in.jsonl"]);
        let ended = command.output().unwrap().status;
        assert!(!ended.success(), "{size}: it has ended well");
        let output = world.host(&["--source", "in.jsonl"]).output().unwrap();
        conserved(&output, COUNT, 0);
        assert_eq!(world.judge(&expected), Verdict::default(), "{size}");
    }
    let told = format!("restart works {} of {}", sizes.len(), sizes.len());
    measured(
        37,
        "killed in mid write",
        sizes.len(),
        Verdict::default(),
        &told,
    );
}

#[test]
fn what_cannot_be_written_is_told() {
    let (mut fates, world) = (Vec::new(), World::new());
    fs::write(world.path("file"), "").unwrap();
    fs::write(world.path("in.jsonl"), fine(0, 0) + "\n").unwrap();
    for place in ["/proc/sluice", "file", "file/deep"] {
        let mut command = host();
        command
            .current_dir(world.folder.path())
            .args(["run", "--plugin", "plugin.wasm"]);
        command.args(["--source", "in.jsonl", "--sink", &format!("sqlite:{place}")]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        assert!(
            code.is_some_and(|code| code != 0 && code != 101),
            "{place}: {code:?} {said}"
        );
        assert!(
            said.contains(place) && !said.contains("panicked"),
            "{place}: {said}"
        );
        fates.push(format!("{place}: exit {}", code.unwrap_or(-1)));
    }
    // Compiled plugins are kept if that is possible, and compiled again if it is not.
    let mut command = world.host(&["--source", "in.jsonl"]);
    let output = command
        .env("XDG_CACHE_HOME", "/proc/sluice")
        .output()
        .unwrap();
    conserved(&output, 1, 0);
    measured(
        37,
        "read-only places",
        4,
        Verdict::default(),
        &fates.join("; "),
    );
}

const HEADER: &str = "name,artists,duration_ms,album_name,album_release_date,danceability,energy,key,\
    loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo";
const DETAILS: &str = "A,1,B,2020-01-01,0.5,0.5,1,-5,1,0.1,0.1,0.1,0.1,0.1,100";

/// A CSV, and what is told of it: an empty text, if it is good.
fn tables() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let row = |name: &str| format!("{name},{DETAILS}\n");
    let with = |rows: &str| format!("{HEADER}\n{rows}").into_bytes();
    let latin = [
        with("Caf").as_slice(),
        b"\xe9",
        format!(",{DETAILS}\n").as_bytes(),
    ]
    .concat();
    vec![
        ("empty", vec![], "no column `name`"),
        (
            "other columns",
            b"title,artist\nS,A\n".to_vec(),
            "no column `name`",
        ),
        (
            "header twice",
            format!("{HEADER},name\n").into_bytes(),
            "twice",
        ),
        (
            "a quote never closed",
            with(&format!("{}\"T,{DETAILS}\n", row("S"))),
            "line 3: a quote is opened",
        ),
        (
            "text after a quote",
            with(&format!("\"S\"x,{DETAILS}\n")),
            "line 2: there is text after",
        ),
        (
            "a quote within",
            with(&format!("S\"x\",{DETAILS}\n")),
            "line 2: there is a quote",
        ),
        (
            "cells missing",
            with(&format!("{}T,A\n", row("S"))),
            "line 3: there are 2 cells, not 16",
        ),
        (
            "cells too many",
            with(&format!("S,{DETAILS},9\n")),
            "line 2: there are 17 cells, not 16",
        ),
        (
            "cut off",
            with(&format!("{}T,{}", row("S"), &DETAILS[..20])),
            "line 3: there are",
        ),
        ("no UTF-8", latin, "line 2: byte 4 of the line is not UTF-8"),
        (
            "wrong type",
            with(&row("S").replace("0.5,0.5", "0.5,loud")),
            "column `energy`: \"loud\"",
        ),
        ("NUL bytes", vec![0; 4_096], "no column `name`"),
        (
            "byte order mark",
            [b"\xef\xbb\xbf", with(&row("S")).as_slice()].concat(),
            "",
        ),
        (
            "CRLF",
            format!("{HEADER}\r\nS,{DETAILS}\r\n").into_bytes(),
            "",
        ),
        ("duplicates", with(&format!("{}{}", row("S"), row("S"))), ""),
    ]
}

#[test]
fn each_fault_of_reference_data_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let play = r#"{"name":"A","song":"S","timestamp":1}"#;
    fs::write(folder.path().join("in.jsonl"), format!("{play}\n")).unwrap();
    let run = |path: &str| {
        let mut host = host();
        host.current_dir(folder.path())
            .args(["run", "--plugin", "spotify", "--source", "in.jsonl"]);
        host.args(["--sink", "none", "--lookup", &format!("songs={path}")])
            .output()
            .unwrap()
    };
    let check = |kind: &str, path: &str, words: &str| {
        let output = run(path);
        let said = String::from_utf8_lossy(&output.stderr);
        let code = if words.is_empty() { 0 } else { 78 };
        assert_eq!(output.status.code(), Some(code), "{kind}: {said}");
        assert!(said.contains(words), "{kind}: {said}");
        assert!(code == 0 || said.contains(path), "{kind}: {said}");
    };
    let tables = tables();
    for (kind, bytes, words) in &tables {
        fs::write(folder.path().join("songs.csv"), bytes).unwrap();
        check(kind, "songs.csv", words);
    }
    check("missing", "nothing.csv", "No such file");
    check("a directory", "/", "directory");
    let told = format!(
        "{} kinds: exit 78 with file and line, or the rule",
        tables.len() + 2
    );
    measured(
        36,
        "reference data",
        tables.len() + 2,
        Verdict::default(),
        &told,
    );
}
