//! The command line as a user types it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

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
    let header = "name,artists,duration_ms,album_name,album_release_date,danceability,energy,key,\
                  loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo";
    let details = "A,1,B,2020-01-01,0.5,0.5,1,-5,1,0.1,0.1,0.1,0.1,0.1,100";
    let files = [
        ("typo.toml", typo),
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

/// What is wrong on a command line or in a file is refused before anything is read, with an exit
/// code that programs understand and words that name the place.
#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let folder = folder();
    let spotify = |more: &[&'static str]| [&["--plugin", "spotify.wasm"], more].concat();
    let cases: &[(Vec<&str>, i32, &[&str])] = &[
        (vec!["--bogus"], 2, &["--bogus"]),
        (vec!["dmeo"], 2, &["dmeo", "demo"]),
        (vec!["demo", "--count", "many"], 2, &["many", "--count"]),
        (spotify(&["--lookup", "songs"]), 2, &["NAME=FILE"]),
        (spotify(&["--sink", "oracle"]), 2, &["oracle", "sqlite:DIR"]),
        (spotify(&["--start", "soon"]), 2, &["soon", "--start"]),
        (spotify(&["--workers", "0"]), 2, &["--workers"]),
        (spotify(&["--progress", "loud"]), 2, &["text or json"]),
        (
            vec!["--plugin", "nothing.wasm"],
            78,
            &["nothing.wasm", "carries", "spotify"],
        ),
        (
            vec!["--plugin", "text.wasm", "--sink", "none"],
            78,
            &["text.wasm"],
        ),
        (vec!["inspect", "nothing.wasm"], 78, &["nothing.wasm"]),
        (
            spotify(&["--config", "nothing.toml"]),
            78,
            &["nothing.toml"],
        ),
        (
            spotify(&["--config", "typo.toml"]),
            78,
            &["typo.toml", "line", "keyspce", "keyspace"],
        ),
        (
            spotify(&["--config", "torn.toml"]),
            78,
            &["torn.toml", "line 1"],
        ),
        (
            spotify(&["--lookup", "films=one.csv"]),
            78,
            &["films", "songs"],
        ),
        (
            spotify(&["--lookup", "songs=nothing.csv"]),
            78,
            &["nothing.csv"],
        ),
        (
            spotify(&["--lookup", "songs=torn.csv"]),
            78,
            &["torn.csv", "3"],
        ),
        (
            spotify(&["--lookup", "songs=short.csv"]),
            78,
            &["short.csv", "3"],
        ),
        (
            spotify(&["--lookup", "songs=wrong.csv"]),
            78,
            &["wrong.csv", "2", "danceability", "loud"],
        ),
        (
            spotify(&["--lookup", "songs=other.csv"]),
            78,
            &["other.csv", "name"],
        ),
        (
            spotify(&["--source", "nothing.jsonl", "--sink", "none"]),
            1,
            &["nothing.jsonl"],
        ),
    ];
    for (arguments, code, words) in cases {
        let output = run(folder.path(), arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {said}");
        for word in *words {
            assert!(
                said.contains(word),
                "{arguments:?} does not say {word:?}:\n{said}"
            );
        }
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
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
    for verb in ["run", "demo", "produce", "query", "schema", "inspect"] {
        assert!(stdout(&help).contains(&format!("\n  {verb} ")), "{verb}");
    }
    let nothing = run(folder.path(), &[]);
    assert_eq!(nothing.status.code(), Some(2));
}

#[test]
fn a_plugin_shows_what_it_may_do() {
    let folder = folder();
    let card = stdout(&run(folder.path(), &["inspect", "spotify.wasm"]));
    for word in ["sluice:plugin", "records", "songs", "danceability"] {
        assert!(card.contains(word), "{word} is not on the card:\n{card}");
    }
    assert!(!card.contains("wasi:"), "it imports WASI:\n{card}");
}

/// The rows of a table as text, in the order of their keys.
fn table(directory: &Path) -> Vec<Vec<String>> {
    let database = directory.join("spotify.db");
    let database = rusqlite::Connection::open(database).expect("the database is there");
    let mut query = database
        .prepare("SELECT name, timestamp, song, artists, danceability, \"key\", album_release_date FROM records ORDER BY name, timestamp")
        .expect("the table is as its schema says");
    let rows = query.query_map([], |row| {
        let cell = |index| Ok(format!("{:?}", row.get_ref(index)?));
        (0..7).map(cell).collect()
    });
    let rows: Result<Vec<Vec<String>>, _> = rows.expect("the table can be read").collect();
    rows.expect("the table can be read")
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

#[test]
fn a_file_becomes_rows_and_dead_letters() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    std::fs::write(folder.path().join("plays.jsonl"), MESSAGES).expect("there is room");
    std::fs::write(folder.path().join("songs.csv"), SONGS).expect("there is room");
    let arguments = [
        "--plugin",
        "spotify.wasm",
        "--lookup",
        "songs=songs.csv",
        "--sink",
        "sqlite:out",
    ];
    let from = |source: &'static str| [&arguments[..], &["--source", source]].concat();

    let output = run(folder.path(), &from("plays.jsonl"));
    assert!(output.status.success(), "{}", stderr(&output));
    let conservation = "in 7 = written 3 + filtered 0 + dead letters 4 + pending 0";
    assert!(
        stdout(&output).contains(conservation),
        "{}",
        stdout(&output)
    );
    let rows = table(&folder.path().join("out"));
    let float = f64::from(0.1_f32);
    let text = |text: &str| format!("{:?}", rusqlite::types::ValueRef::Text(text.as_bytes()));
    let (null, time) = ("Null".to_owned(), "Integer(1767225600000)".to_owned());
    let expected = [
        vec![
            text("Ada"),
            time.clone(),
            text("One"),
            text("A & B"),
            format!("Real({float})"),
            "Integer(-1)".to_owned(),
            text("2026-01-01"),
        ],
        vec![
            text("Ada"),
            "Integer(1767225660000)".to_owned(),
            text("Nobody knows it"),
            null.clone(),
            null.clone(),
            null.clone(),
            null.clone(),
        ],
        vec![
            text("Bo\u{308}"),
            time,
            text("Two, \"quoted\""),
            null.clone(),
            null.clone(),
            null.clone(),
            null,
        ],
    ];
    assert_eq!(rows, expected);

    let letters = std::fs::read_to_string(folder.path().join("out/dead-letters.jsonl"));
    let letters = letters.expect("there are dead letters");
    let mut codes = BTreeMap::new();
    for line in letters.lines() {
        let letter: serde_json::Value = serde_json::from_str(line).expect("a letter is JSON");
        codes.insert(letter["offset"].to_string(), letter["code"].to_string());
    }
    let expected = [
        ("2", "missing_field"),
        ("3", "bad_json"),
        ("4", "bad_json"),
        ("5", "bad_key"),
    ];
    let expected = expected.map(|(offset, code)| (offset.to_owned(), format!("\"{code}\"")));
    assert_eq!(codes, BTreeMap::from(expected));

    // Again, and from standard input: a replay changes nothing.
    let again = run(folder.path(), &from("plays.jsonl"));
    assert!(again.status.success(), "{}", stderr(&again));
    let mut piped = host();
    piped.current_dir(folder.path()).args(from("-"));
    let piped = piped
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the binary runs");
    let mut input = child.stdin.take().expect("it is piped");
    input
        .write_all(MESSAGES.as_bytes())
        .expect("the host reads");
    drop(input);
    let output = child.wait_with_output().expect("the host ends");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stdout(&output).contains(conservation),
        "{}",
        stdout(&output)
    );
    assert_eq!(table(&folder.path().join("out")), rows);
}

#[test]
fn a_query_answers_from_sqlite() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    std::fs::write(folder.path().join("plays.jsonl"), MESSAGES).expect("there is room");
    std::fs::write(folder.path().join("songs.csv"), SONGS).expect("there is room");
    let sink = ["--sink", "sqlite:out"];
    let load = [
        "--plugin",
        "spotify.wasm",
        "--source",
        "plays.jsonl",
        "--lookup",
        "songs=songs.csv",
    ];
    let output = run(folder.path(), &[&load[..], &sink].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let ask = |words: &[&str]| {
        run(
            folder.path(),
            &[&["query", "spotify"], words, &sink].concat(),
        )
    };

    let list = run(folder.path(), &["query", "spotify", "--list"]);
    assert!(
        stdout(&list).contains("average-danceability"),
        "{}",
        stdout(&list)
    );
    let answer = ask(&[
        "average-danceability",
        "--name",
        "Ada",
        "--hour",
        "2026-01-01T00",
        "--json",
    ]);
    assert!(answer.status.success(), "{}", stderr(&answer));
    assert!(stdout(&answer).contains("0.1"), "{}", stdout(&answer));
    let wrong = ask(&["average-dancability", "--name", "Ada"]);
    assert_ne!(wrong.status.code(), Some(0));
    assert!(
        stderr(&wrong).contains("average-danceability"),
        "{}",
        stderr(&wrong)
    );
}
