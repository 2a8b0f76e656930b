//! A pipeline is named, or pointed at: its folder, its configuration, its plugin.

use std::path::Path;
use std::process::{Output, Stdio};

use crate::support::host;

const CONFIG: &str = r#"
name = "mine"
topic = "plays"

[plugin]
path = "built/plugin.wasm"

[lookups.songs]
path = "songs.csv"

[cassandra]
keyspace = "mine"

[produce]
people = 3
me = "Ada Lovelace"
every = "10s"
bursts = 1
members = [
    { name = "name", value = "person" },
    { name = "song", value = "songs.name" },
    { name = "timestamp", value = "now_ms" },
]
"#;
const SONGS: &str = "name,artists,duration_ms,album_name,album_release_date,danceability,energy,key,\
    loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo\n\
    Only Here,A,1,C,2026-01-01,0.1,0.5,-1,-5,1,0.1,0.1,0.1,0.1,0.1,100\n";
const QUERIES: &str = "-- here: what is asked only here\nSELECT name FROM mine.records LIMIT 5;\n\
    -- sample: any plays\nSELECT name, song, artists FROM mine.records LIMIT 5;\n";
const MESSAGE: &str = r#"{"name": "Ada", "song": "Only Here", "timestamp": 1767225600000}"#;

/// A folder with a pipeline in `mine`, which is built of a carried plugin.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let spotify = sluice_bundled::pipeline("spotify").unwrap();
    let schema = spotify.schema.replace("spotify", "mine");
    std::fs::create_dir_all(folder.path().join("mine/built")).unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::create_dir(folder.path().join("unbuilt")).unwrap();
    std::fs::create_dir(folder.path().join("torn")).unwrap();
    let manifest = b"[package]\nname = \"unbuilt\"\n";
    for (path, bytes) in [
        ("mine/pipeline.toml", CONFIG.as_bytes()),
        ("mine/songs.csv", SONGS.as_bytes()),
        ("mine/schema.cql", schema.as_bytes()),
        ("mine/queries.cql", QUERIES.as_bytes()),
        ("mine/built/plugin.wasm", spotify.module),
        ("mine/beside.wasm", spotify.module),
        ("plays.jsonl", MESSAGE.as_bytes()),
        ("unbuilt/pipeline.toml", CONFIG.as_bytes()),
        ("torn/pipeline.toml", CONFIG.as_bytes()),
        ("torn/schema.cql", b"CREATE TABLE mine.records (name"),
        ("torn/queries.cql", b"SELECT name FROM mine.records;"),
        ("unbuilt/Cargo.toml", manifest),
    ] {
        std::fs::write(folder.path().join(path), bytes).unwrap();
    }
    folder
}

fn run(folder: &Path, line: &str) -> Output {
    let mut host = host();
    host.current_dir(folder)
        .args(line.split(' '))
        .stdin(Stdio::null());
    host.output().unwrap()
}

/// What a command line prints, which must succeed.
#[track_caller]
fn said(folder: &Path, line: &str) -> String {
    let output = run(folder, line);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

const WAYS: [&str; 4] = ["mine", "./mine/", "mine/pipeline.toml", "mine/beside.wasm"];

#[test]
fn every_verb_takes_a_path() {
    let folder = folder();
    for (index, what) in WAYS.iter().enumerate() {
        let said = |line: &str| said(folder.path(), &line.replace("WHAT", what));
        assert!(said("schema show WHAT").contains("CREATE TABLE IF NOT EXISTS mine.records"));
        assert!(said("query WHAT --list").contains("what is asked only here"));
        assert!(said("inspect WHAT").contains("spotify"));
        let to = format!("--sink sqlite:out-{index}");
        let ran = said(&format!("--plugin WHAT --source plays.jsonl {to}"));
        assert!(ran.contains("in 1 = written 1 "), "{what}: {ran}");
        let answer = said(&format!("query WHAT sample --csv {to}"));
        assert_eq!(answer, "name,song,artists\nAda,Only Here,A\n", "{what}");
        assert!(said(&format!("schema diff WHAT {to}")).contains("as the schema says"));
    }
}

/// Comparing makes nothing: neither the file nor a table in it.
#[test]
fn a_difference_in_sqlite_is_told_and_left() {
    let folder = folder();
    let diff = || {
        let output = run(folder.path(), "schema diff mine --sink sqlite:out");
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, differences) = diff();
    assert_eq!(code, Some(1), "{differences}");
    assert!(
        differences.starts_with("there is no out/mine.db\n"),
        "{differences}"
    );
    assert!(!folder.path().join("out").exists());
    std::fs::create_dir(folder.path().join("out")).unwrap();
    let database = rusqlite::Connection::open(folder.path().join("out/mine.db")).unwrap();
    database.execute("CREATE TABLE other (a)", ()).unwrap();
    for _ in 0..2 {
        let (code, differences) = diff();
        assert_eq!(code, Some(1), "{differences}");
        assert!(
            differences.starts_with("records: there is no such table\n"),
            "{differences}"
        );
    }
    let checked = run(folder.path(), "check mine --offline --sink sqlite:out");
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(
        checked.contains("out/mine.db, where records will be made"),
        "{checked}"
    );
    said(folder.path(), "schema apply mine --sink sqlite:out");
    assert_eq!(diff().0, Some(0));
}

/// What is pointed at wrongly, and what must be said of it.
const WRONG: &[(&str, &[&str])] = &[
    (
        "query spotfy --list",
        &["`spotfy`", "did you mean `spotify`?"],
    ),
    ("schema show nobody", &["`nobody`", "there are ", "spotify"]),
    ("query empty --list", &["no pipeline.toml in `empty`"]),
    (
        "--plugin unbuilt --sink none",
        &[
            "unbuilt/built/plugin.wasm",
            "`path` in [plugin] of unbuilt/pipeline.toml",
            "cargo build --release --target wasm32-unknown-unknown --manifest-path unbuilt/Cargo.toml",
        ],
    ),
    (
        "query unbuilt --list",
        &["`mine`", "queries = \"FILE.cql\""],
    ),
    ("schema show unbuilt", &["schema = \"FILE.cql\""]),
    ("schema show torn", &["torn/schema.cql", "line 1"]),
    (
        "query torn --list",
        &["torn/queries.cql", "line 1", "what it answers"],
    ),
    ("schema show plays.jsonl", &["plays.jsonl"]),
];

#[test]
fn what_is_not_there_is_told_with_the_way_out() {
    let folder = folder();
    for (line, words) in WRONG {
        let output = run(folder.path(), line);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{line}: {errors}");
        for word in *words {
            assert!(
                errors.contains(word),
                "{line} does not say {word:?}:\n{errors}"
            );
        }
    }
}

/// Whoever reads may stop reading: the pipe is gone before anything is written.
#[test]
fn nobody_need_read_on() {
    let folder = folder();
    for line in [
        "schema show mine",
        "query mine --list",
        "inspect mine",
        "check mine --offline",
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut host = host();
        host.current_dir(folder.path()).args(line.split(' '));
        let output = host.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {errors}");
    }
}

/// A folder of a carried pipeline's name is meant when it is written as a path.
#[test]
fn a_carried_name_goes_before_a_folder() {
    let folder = folder();
    std::fs::rename(folder.path().join("mine"), folder.path().join("spotify")).unwrap();
    for (what, is_ours) in [
        ("spotify", false),
        ("spotify.wasm", false),
        ("./spotify", true),
    ] {
        let list = said(folder.path(), &format!("query {what} --list"));
        assert_eq!(list.contains("what is asked only here"), is_ours, "{what}");
    }
}
