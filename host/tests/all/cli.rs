//! The command line as a user types it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use rusqlite::types::ValueRef;

use crate::support::host;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut host = host();
    host.current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null());
    host.output().expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with the files that the wrong command lines point at.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let config = std::fs::read_to_string(format!("{ROOT}/plugins/spotify/pipeline.toml"));
    let config = config.expect("the pipeline has a configuration");
    let typo = config.replace("keyspace =", "keyspce =");
    let alone = config.replace("schema =", "#").replace("queries =", "#");
    let codes = format!("{alone}\n[rejections]\nunknown_place = \"filter\"\n");
    let header = "name,artists,duration_ms,album_name,album_release_date,danceability,energy,key,\
                  loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo";
    let details = "A,1,B,2020-01-01,0.5,0.5,1,-5,1,0.1,0.1,0.1,0.1,0.1,100";
    let files = [
        ("typo.toml", typo),
        ("codes.toml", codes),
        ("torn.toml", "name = \"spotify".to_owned()),
        (
            "torn.csv",
            format!("{header}\nOne,{details}\n\"Two,{details}\n"),
        ),
        ("short.csv", format!("{header}\nOne,{details}\nTwo,A\n")),
        (
            "wrong.csv",
            format!("{header}\nOne,{}\n", details.replace("0.5", "loud")),
        ),
        ("other.csv", "title,artists\nOne,A\n".to_owned()),
        ("text.wasm", "this is no WebAssembly".to_owned()),
        ("one.jsonl", "{}\n".to_owned()),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("there is room for files");
    }
    folder
}

/// Wrong command lines, their exit codes, and what must be said of each. `RUN` is a good beginning.
#[rustfmt::skip]
const WRONG: &[(&str, i32, &[&str])] = &[
    ("--bogus", 2, &["--bogus"]),
    ("dmeo", 2, &["dmeo", "demo"]),
    ("demo --count many", 2, &["many", "--count"]),
    ("RUN --lookup songs", 2, &["NAME=FILE"]),
    ("RUN --sink oracle", 2, &["oracle", "sqlite:DIR"]),
    ("RUN --start soon", 2, &["soon", "--start"]),
    ("RUN --workers 0", 2, &["--workers"]),
    ("RUN --progress loud", 2, &["text or json"]),
    ("--plugin nothing.wasm", 78, &["nothing.wasm", "carries", "spotify"]),
    ("--plugin text.wasm --sink none", 78, &["text.wasm"]),
    ("inspect nothing.wasm", 78, &["nothing.wasm"]),
    ("inspect", 78, &["no pipeline.toml in `.`", "host new"]),
    ("build", 78, &["no pipeline.toml in `.`", "host new"]),
    ("test", 78, &["no pipeline.toml in `.`", "host new"]),
    ("bench .", 78, &["no pipeline.toml in `.`", "host new"]),
    ("demo .", 78, &["no pipeline.toml in `.`", "host new"]),
    ("RUN --config nothing.toml", 78, &["nothing.toml"]),
    ("RUN --config typo.toml", 78, &["typo.toml:14:1", "keyspce", "keyspace"]),
    ("RUN --config torn.toml", 78, &["torn.toml:1:"]),
    ("RUN --config codes.toml", 78, &["codes.toml:", "unknown_place", "^^^"]),
    ("RUN --brokers localhost", 78, &["--brokers", "localhost", "HOST:PORT"]),
    ("--plugin reviews.wasm --sink none --lookup movies=one.csv", 78, &["--lookup", "no lookup `movies`"]),
    ("RUN --brokers nowhere", 78, &["--brokers", "HOST:PORT"]),
    ("produce spotify --brokers nowhere", 78, &["--brokers", "HOST:PORT"]),
    ("query spotify sample --cassandra nowhere", 78, &["--cassandra", "HOST:PORT"]),
    ("schema show spotify --keyspace a-b", 78, &["--keyspace", "a-b"]),
    ("RUN --lookup films=one.csv", 78, &["--lookup", "films", "songs"]),
    ("replay spotify", 2, &["--from-beginning", "--from-timestamp", "--from-offset"]),
    ("replay spotify --from-beginning --from-offset 0=1", 2, &["cannot be used with"]),
    ("replay spotify --from-timestamp soon", 2, &["soon", "2026-03-02T16:00:00Z"]),
    ("replay spotify --from-offset 7", 2, &["7", "PARTITION=OFFSET"]),
    ("replay spotify --from-offset 0=-1", 2, &["0=-1", "PARTITION=OFFSET"]),
    ("replay spotify --from-offset 0=1,0=2", 2, &["partition 0", "twice"]),
    ("replay spotify --from-beginning --to soon", 2, &["soon", "2026-03-02T16:00:00Z", "PARTITION=OFFSET"]),
    ("replay spotify --from-beginning --to 0=1,0=2", 2, &["partition 0", "twice"]),
    ("replay nothing --from-beginning", 78, &["nothing", "spotify"]),
    ("config show nothing", 78, &["nothing", "spotify"]),
    ("config show spotify --config typo.toml", 78, &["typo.toml:14:1", "keyspce", "keyspace"]),
    ("RUN --lookup songs=nothing.csv", 78, &["nothing.csv"]),
    ("RUN --lookup songs=torn.csv", 78, &["torn.csv", "3"]),
    ("RUN --lookup songs=short.csv", 78, &["short.csv", "3"]),
    ("RUN --lookup songs=wrong.csv", 78, &["wrong.csv", "2", "danceability", "loud"]),
    ("RUN --lookup songs=other.csv", 78, &["other.csv", "name"]),
    ("dlq ls", 2, &["PIPELINE"]),
    ("dlq show spotify seven", 2, &["PARTITION/OFFSET"]),
    ("dlq drop spotify --before soon", 2, &["soon", "2026-03-02T16:00:00Z"]),
    ("dlq redrive spotify --sink none", 2, &["none", "sqlite:DIR"]),
    ("dlq ls spotify --sink sqlite:nowhere", 1, &["nowhere"]),
    ("dlq redrive spotify --sink sqlite:nowhere", 1, &["nowhere"]),
    ("dlq redrive spotify --plugin nothing.wasm --sink sqlite:nowhere", 1, &["nothing.wasm"]),
    ("RUN --source nothing.jsonl --sink none", 1, &["nothing.jsonl"]),
];

/// What is wrong on a command line or in a file is refused before anything is read, with an exit
/// code that programs understand and words that name the place.
#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let folder = folder();
    for (line, code, words) in WRONG {
        let line = line.replace("RUN", "--plugin spotify.wasm");
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = run(folder.path(), &arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(*code), "{line}: {said}");
        for word in *words {
            assert!(said.contains(word), "{line} does not say {word:?}:\n{said}");
        }
        assert!(!said.contains("panicked"), "{line}: {said}");
    }
}

#[test]
fn what_a_plugin_is_refused_for_steers_no_terminal() {
    let folder = folder();
    let text =
        r#"(module (import "\1b]0;title\07" "a\0d\1b[2J" (func)) (memory (export "memory") 1))"#;
    std::fs::write(folder.path().join("evil.wat"), text).expect("there is room for a file");
    let said = stderr(&run(folder.path(), &["inspect", "evil.wat"]));
    assert!(
        said.contains("the plugin imports  ]0;title .a  [2J"),
        "{said:?}"
    );
    let is_odd = |letter: char| letter.is_control() && letter != '\n';
    assert!(!said.contains(is_odd), "{said:?}");
}

#[test]
fn it_says_what_it_is() {
    let folder = folder();
    let version = run(folder.path(), &["--version"]);
    assert!(version.status.success());
    assert_eq!(
        stdout(&version),
        format!("host {}\n", env!("CARGO_PKG_VERSION"))
    );
    let help = run(folder.path(), &["--help"]);
    assert!(help.status.success());
    let verbs =
        "run demo produce query replay schema config new build bench inspect check test dlq";
    for verb in verbs.split(' ') {
        assert!(stdout(&help).contains(&format!("\n  {verb} ")), "{verb}");
    }
    let nothing = run(folder.path(), &[]);
    assert_eq!(nothing.status.code(), Some(2));
}

#[test]
fn a_plugin_shows_what_it_may_do() {
    let folder = folder();
    let card = stdout(&run(folder.path(), &["inspect", "spotify.wasm"]));
    let words = "sluice:plugin|look keys up in its reference data|nothing else|128 MiB of memory|records|songs|danceability";
    for word in words.split('|') {
        assert!(card.contains(word), "{word} is not on the card:\n{card}");
    }
    assert!(!card.contains("wasi:"), "it imports WASI:\n{card}");
}

/// Every setting is shown with its origin, and a program may read it.
#[test]
fn a_configuration_tells_where_it_comes_from() {
    let folder = folder();
    let show = |more: &str| {
        let line = format!("config show spotify --brokers k:1{more}");
        let arguments: Vec<&str> = line.split(' ').collect();
        let mut host = host();
        host.current_dir(folder.path()).args(arguments);
        host.env("SLUICE_BATCH__INTERVAL", "5s");
        host.env(
            "SLUICE_KAFKA__PROPERTIES__SASL.PASSWORD",
            "env:KAFKA_PASSWORD",
        );
        host.env("KAFKA_PASSWORD", "hunter2");
        let output = host.output().expect("the binary runs");
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    expect_test::expect_file!["shown.txt"].assert_eq(&show(""));
    let json: serde_json::Value = serde_json::from_str(&show(" --json")).expect("it is JSON");
    let brokers = json.as_array().and_then(|settings| {
        let mut settings = settings.iter();
        settings.find(|setting| setting["key"] == "kafka.brokers")
    });
    let brokers = brokers.expect("the brokers are a setting");
    assert_eq!(
        (&brokers["value"], &brokers["origin"]),
        (&"k:1".into(), &"--brokers".into())
    );
    assert!(!json.to_string().contains("hunter2"), "{json}");
    let schema = stdout(&run(folder.path(), &["config", "schema"]));
    let documents = include_str!("../../../docs/pipeline.schema.json");
    assert_eq!(schema, documents);
}

/// The table as text, a line a row, in the order of its keys.
fn table(folder: &Path) -> String {
    let database = rusqlite::Connection::open(folder.join("out/spotify.db"));
    let database = database.expect("the database is there");
    let columns = "name, timestamp, song, artists, danceability, \"key\", album_release_date";
    let query = format!("SELECT {columns} FROM records ORDER BY name, timestamp");
    let mut query = database
        .prepare(&query)
        .expect("the table is as its schema says");
    let rows = query.query_map([], |row| {
        let cell = |index| {
            Ok(match row.get_ref(index)? {
                ValueRef::Null => "null".to_owned(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Blob(bytes) => format!("{bytes:?}"),
            })
        };
        let cells: Result<Vec<String>, rusqlite::Error> = (0..7).map(cell).collect();
        Ok(cells?.join(" | ") + "\n")
    });
    let rows: Result<String, _> = rows.expect("the table can be read").collect();
    rows.expect("the table can be read")
}

/// The dead letters as text: offset and code.
fn letters(folder: &Path) -> String {
    let letters = std::fs::read_to_string(folder.join("out/dead-letters.jsonl"));
    let letters = letters.expect("there are dead letters");
    let letter = |line: &str| {
        let letter: serde_json::Value = serde_json::from_str(line).expect("a letter is JSON");
        format!(
            "{} {}\n",
            letter["offset"],
            letter["code"].as_str().unwrap_or("?")
        )
    };
    let letters: BTreeSet<String> = letters.lines().map(letter).collect();
    letters.into_iter().collect()
}

const MESSAGES: &str = concat!(
    r#"{"name": "Ada", "song": "One", "timestamp": 1767225600000}"#,
    "\n",
    r#"{"name": "Ada", "song": "Nobody knows it", "timestamp": "2026-01-01T00:01:00"}"#,
    "\r\n",
    r#"{"name": "Ada", "timestamp": 1767225600000}"#,
    "\n",
    "not JSON\n",
    "\n",
    r#"{"name": "", "song": "One", "timestamp": 1767225600000}"#,
    "\n",
    r#"{"name": "Bo\u0308", "song": "Two, \"quoted\"", "timestamp": 1767225600000}"#,
);
const SONGS: &str = "\u{feff}name,artists,duration_ms,album_name,album_release_date,danceability,energy,key,\
    loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo\r\n\
    One,A & B,1,C,2026-01-01,0.1,0.5,-1,-5,1,0.1,0.1,0.1,0.1,0.1,100\r\n\
    \"Two, \"\"quoted\"\"\",,1,C,,,0.5,,-5,1,0.1,0.1,0.1,0.1,0.1,100\r\n\
    One,second of its name,1,C,2026-01-01,0.9,0.5,1,-5,1,0.1,0.1,0.1,0.1,0.1,100\r\n";

const CONSERVATION: &str = "in 7 = written 3 + filtered 0 + dead letters 4 + pending 0";
/// 0.1 as a float is not 0.1 as a double.
const ROWS: &str = "\
    Ada | 1767225600000 | One | A & B | 0.10000000149011612 | -1 | 2026-01-01\n\
    Ada | 1767225660000 | Nobody knows it | null | null | null | null\n\
    Bo\u{308} | 1767225600000 | Two, \"quoted\" | null | null | null | null\n";
const LETTERS: &str = "2 missing_field\n3 bad_json\n4 bad_json\n5 bad_key\n";

/// A folder with messages and songs.
fn plays() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    std::fs::write(folder.path().join("plays.jsonl"), MESSAGES).expect("there is room");
    std::fs::write(folder.path().join("songs.csv"), SONGS).expect("there is room");
    folder
}

/// From a source into SQLite; what the host reads on standard input, and prints.
fn load(folder: &Path, source: &str, input: &str) -> String {
    let mut host = host();
    host.current_dir(folder)
        .args(["--plugin", "spotify.wasm", "--source", source]);
    host.args(["--lookup", "songs=songs.csv", "--sink", "sqlite:out"]);
    host.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = host.spawn().expect("the binary runs");
    let mut pipe = child.stdin.take().expect("it is piped");
    // It may have ended without reading: then its output tells why.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().expect("the host ends");
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

#[test]
fn a_file_becomes_rows_and_dead_letters() {
    let folder = plays();
    // Again, and from standard input: a replay changes nothing.
    for (source, input) in [("plays.jsonl", ""), ("plays.jsonl", ""), ("-", MESSAGES)] {
        let said = load(folder.path(), source, input);
        assert!(said.contains(CONSERVATION), "{said}");
        assert_eq!(table(folder.path()), ROWS);
        assert_eq!(letters(folder.path()), LETTERS);
    }
}

#[test]
fn a_query_answers_from_sqlite() {
    let folder = plays();
    load(folder.path(), "plays.jsonl", "");
    let ask = |line: &str| {
        let line = format!("query spotify {line} --sink sqlite:out");
        run(folder.path(), &line.split(' ').collect::<Vec<_>>())
    };
    let list = run(folder.path(), &["query", "spotify", "--list"]);
    assert!(
        stdout(&list).contains("average-danceability"),
        "{}",
        stdout(&list)
    );
    let answer = ask("average-danceability --name Ada --hour 2026-01-01T00 --json");
    assert!(answer.status.success(), "{}", stderr(&answer));
    assert!(stdout(&answer).contains("0.1"), "{}", stdout(&answer));
    let wrong = ask("average-dancability --name Ada");
    assert_ne!(wrong.status.code(), Some(0));
    assert!(
        stderr(&wrong).contains("average-danceability"),
        "{}",
        stderr(&wrong)
    );
}
