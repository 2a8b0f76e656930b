//! `host check`: what it says of what is not as it must be, and how soon.

#[cfg(feature = "servers")]
mod servers;

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use expect_test::expect;

use crate::support::host;

/// How long a check may take, whatever is down: 5 s, and a second to start on a busy machine.
const CHECK_MAX: Duration = Duration::from_secs(6);

const CONFIG: &str = r#"
name = "mine"
topic = "plays"

[plugin]
path = "plugin.wasm"

[lookups.songs]
path = "songs.csv"

[cassandra]
keyspace = "mine"
"#;
const SONGS: &str = "name,artists,duration_ms,album_name,album_release_date,danceability,energy,key,\
    loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo\n\
    One,A,1,C,2026-01-01,0.1,0.5,-1,-5,1,0.1,0.1,0.1,0.1,0.1,100\n\
    One,B,1,C,2026-01-01,0.1,0.5,-1,-5,1,0.1,0.1,0.1,0.1,0.1,100\n";
const QUERIES: &str = "-- sample: any plays\nSELECT name FROM mine.records LIMIT 5;\n";

/// A folder with a pipeline that is as it must be.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let spotify = sluice_bundled::pipeline("spotify").unwrap();
    let schema = spotify.schema.replace("spotify", "mine");
    for (path, bytes) in [
        ("pipeline.toml", CONFIG.as_bytes()),
        ("songs.csv", SONGS.as_bytes()),
        ("schema.cql", schema.as_bytes()),
        ("queries.cql", QUERIES.as_bytes()),
        ("plugin.wasm", spotify.module),
    ] {
        std::fs::write(folder.path().join(path), bytes).unwrap();
    }
    folder
}

fn check(folder: &Path, flags: &str) -> (Output, String) {
    let line = format!("check . {flags}");
    let mut host = host();
    host.current_dir(folder)
        .args(line.split(' ').filter(|word| !word.is_empty()))
        .stdin(Stdio::null());
    let output = host.output().unwrap();
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    (output, said)
}

/// The report without its last lines, which count and take time.
fn findings(said: &str) -> &str {
    said.rsplit_once("\n\n")
        .map_or(said, |(findings, _)| findings)
}

#[test]
fn a_good_pipeline_passes_offline() {
    let folder = folder();
    let (output, said) = check(folder.path(), "--offline");
    assert_eq!(output.status.code(), Some(0), "{said}");
    let size = sluice_bundled::pipeline("spotify").unwrap().module.len();
    let size = format!("{},{:03}", size / 1_000, size % 1_000);
    expect![[r"
        ✓ configuration        ./pipeline.toml: pipeline `mine`, topic `plays`, keyspace `mine`
        ✓ plugin               spotify 0.1.0, SIZE bytes, imports sluice:plugin/lookup@0.1.0, sluice:plugin/log@0.1.0
        ✓ lookup `songs`       ./songs.csv: 1 row, 1 more left out: an earlier one has their key
        ✓ schema               ./schema.cql: it has what the plugin writes
        ✓ queries              ./queries.cql: 1 query
        – broker               not asked: --offline
        – topic `plays`        not asked: --offline
        – group `sluice-mine`  not asked: --offline
        – dead letters         not asked: --offline
        – Cassandra            not asked: --offline
        – keyspace `mine`      not asked: --offline
        – table `records`      not asked: --offline"]]
    .assert_eq(&findings(&said).replace(&size, "SIZE"));
    assert!(said.contains("5 passed, 7 not asked; "), "{said}");
}

#[test]
fn every_carried_pipeline_passes_offline() {
    let folder = tempfile::tempdir().unwrap();
    for carried in sluice_bundled::PIPELINES {
        let mut host = host();
        host.args(["check", carried.name, "--offline"]);
        let output = host.current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(!said.contains('!'), "{said}");
    }
}

/// What is done to a good pipeline, and what must be said of it.
struct Case {
    /// The file that is written anew; an empty text removes it.
    file: &'static str,
    /// What it holds instead, or, as `old => new`, what is replaced in it.
    edit: &'static str,
    flags: &'static str,
    code: i32,
    says: &'static [&'static str],
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { file: "pipeline.toml", edit: "keyspace => keyspce", flags: "--offline", code: 78, says: &[] },
    Case { file: "pipeline.toml", edit: "", flags: "--offline", code: 78, says: &[] },
    Case { file: "pipeline.toml", edit: "[cassandra] => [rejections]\nunknown_song = 'filter'\n[cassandra]", flags: "--offline", code: 1,
        says: &["✗ settings", "no code `unknown_song`", "./pipeline.toml:", "^^^"] },
    Case { file: "pipeline.toml", edit: "[cassandra] => [lookups.films]\npath = 'films.csv'\n[cassandra]", flags: "--offline", code: 0,
        says: &["! lookup `films`", "it is not used"] },
    Case { file: "pipeline.toml", edit: "topic => dead_letters = 'off'\ntopic", flags: "--offline", code: 0,
        says: &["! dead letters", "rejected messages count as left out"] },
    Case { file: "pipeline.toml", edit: "[cassandra] => [kafka.properties]\n'group.id' = 'x'\n[cassandra]", flags: "--offline", code: 1,
        says: &["✗ configuration", "./pipeline.toml: ", "`group.id` is not yours to set"] },
    Case { file: "pipeline.toml", edit: "[cassandra] => [kafka.properties]\n'linger' = 'x'\n[cassandra]", flags: "--offline", code: 1,
        says: &["✗ configuration", "linger"] },
    Case { file: "pipeline.toml", edit: "songs => tunes", flags: "--offline", code: 1,
        says: &["✗ lookup `songs`", "--lookup songs=FILE.csv"] },
    Case { file: "plugin.wasm", edit: "", flags: "--offline", code: 1,
        says: &["✗ plugin", "./plugin.wasm", "[plugin] of ./pipeline.toml", "– lookups", "– tables", "✓ schema"] },
    Case { file: "plugin.wasm", edit: "no WebAssembly", flags: "--offline", code: 1,
        says: &["✗ plugin", "neither a WebAssembly component", "docs/writing-a-plugin.md"] },
    Case { file: "pipeline.toml", edit: "[lookups.songs] => [plugin.config]\nloud = true\n[lookups.songs]", flags: "--offline", code: 1,
        says: &["✗ plugin", "refuses its configuration", "[plugin.config]"] },
    Case { file: "songs.csv", edit: "", flags: "--offline", code: 1, says: &["✗ lookup `songs`", "./songs.csv", "No such file"] },
    Case { file: "songs.csv", edit: "0.5,-1 => 0.5,loud", flags: "--offline", code: 1,
        says: &["✗ lookup `songs`", "./songs.csv, line 2, column `key`", "\"loud\""] },
    Case { file: "songs.csv", edit: "tempo\n => tmpo\n", flags: "--offline", code: 1, says: &["no column `tempo`", "`tmpo`"] },
    Case { file: "songs.csv", edit: "name,artists => name", flags: "--offline", code: 1, says: &["✗ lookup `songs`"] },
    Case { file: "schema.cql", edit: "tempo float => tempo floot,", flags: "--offline", code: 1, says: &["✗ schema", "./schema.cql"] },
    Case { file: "schema.cql", edit: "    tempo float, => ", flags: "--offline", code: 1,
        says: &["✗ schema", "not what the plugin writes", "records.tempo: is missing; it should be float"] },
    Case { file: "schema.cql", edit: "danceability float => danceability text", flags: "--offline", code: 1,
        says: &["✗ schema", "records.danceability: is text; it should be float"] },
    Case { file: "schema.cql", edit: "", flags: "--offline", code: 0, says: &["✓ schema", "there is none"] },
    Case { file: "schema.cql", edit: "", flags: "--offline --sink sqlite:out", code: 1, says: &["✗ schema", "– SQLite"] },
    Case { file: "queries.cql", edit: "; => ", flags: "--offline", code: 1, says: &["✗ queries", "./queries.cql, line 2", "no `;`"] },
    Case { file: "queries.cql", edit: "", flags: "--offline", code: 0, says: &["✓ queries", "there are none"] },
    Case { file: "out", edit: "a file, not a directory", flags: "--offline --sink sqlite:out", code: 1, says: &["✗ SQLite"] },
    Case { file: "out", edit: "", flags: "--offline --sink sqlite:out/deep", code: 0,
        says: &["✓ SQLite", "out/deep/mine.db, to be made", "out/deep/dead-letters.jsonl"] },
    Case { file: "mine.db", edit: "this is no database, but long enough to be taken for one", flags: "--offline --sink sqlite:.", code: 1,
        says: &["✗ SQLite", "mine.db"] },
    Case { file: "other.csv", edit: "", flags: "--offline --lookup song=other.csv", code: 1,
        says: &["✗ settings", "--lookup: ", "no lookup `song`", "did you mean `songs`?"] },
];

#[test]
fn what_falls_short_is_told_with_its_place() {
    for case in CASES {
        let folder = folder();
        let path = folder.path().join(case.file);
        match case.edit.split_once(" => ") {
            Some((old, new)) => {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(text.contains(old), "{} lacks {old:?}", case.file);
                std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
            }
            None if case.edit.is_empty() => {
                std::fs::remove_file(&path).ok();
            }
            None => std::fs::write(&path, case.edit).unwrap(),
        }
        let (output, said) = check(folder.path(), case.flags);
        let what = format!("{}: {}: {said}", case.file, case.edit);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(case.code), "{what}\n{errors}");
        for words in case.says {
            assert!(said.contains(words), "{what}\nlacks {words}");
        }
        assert!(
            !folder.path().join("out/deep").exists(),
            "a check makes nothing"
        );
    }
}

/// An address where nobody listens.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A listener whose queue is full: the system drops whatever else knocks.
fn full() -> (TcpListener, Vec<TcpStream>) {
    const MORE_THAN_A_QUEUE: usize = 5_000;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let knock = |_| TcpStream::connect_timeout(&at, Duration::from_millis(300)).ok();
    let held: Vec<_> = (0..MORE_THAN_A_QUEUE).map_while(knock).collect();
    assert!(held.len() < MORE_THAN_A_QUEUE, "its queue has no end");
    (listener, held)
}

/// What is down, each in its own way, does not hold the check up.
#[test]
fn servers_that_are_away_are_told_soon() {
    let folder = folder();
    // The system takes connections for it, and it never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (full, _held) = full();
    for (at, words) in [
        (closed(), "nobody listens there"),
        (
            silent.local_addr().unwrap().to_string(),
            "it takes connections, but does not answer",
        ),
        ("no.such.host.invalid:1".to_owned(), "no such host"),
        (
            full.local_addr().unwrap().to_string(),
            "no connection within 1.5 s",
        ),
    ] {
        let began = Instant::now();
        let (output, said) = check(folder.path(), &format!("--brokers {at} --cassandra {at}"));
        let took = began.elapsed();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(took < CHECK_MAX, "{at}: {took:?}\n{said}");
        assert_eq!(said.matches(words).count(), 2, "{said}");
        for line in [
            "✗ broker",
            "– topic `plays`",
            "✗ Cassandra",
            "– table `records`",
            "✓ plugin",
        ] {
            assert!(said.contains(line), "{at}: {said}");
        }
    }
}

#[test]
fn programs_read_it_too() {
    let folder = folder();
    let (output, said) = check(folder.path(), "--offline --json");
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["is_good"], true);
    let checks = report["checks"].as_array().unwrap();
    let verdict = |subject: &str| {
        let mut found = checks.iter().filter(|check| check["subject"] == subject);
        found.next().map(|check| check["verdict"].clone())
    };
    assert_eq!(verdict("plugin"), Some("passed".into()));
    assert_eq!(verdict("broker"), Some("not_asked".into()));
}
