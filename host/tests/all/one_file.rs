//! A plugin's file that is a whole pipeline: what it brings, and what it must not.

use std::fs;
use std::path::Path;

use crate::scaffold::{NAMES, fails, succeeds};

const CONFIG: &str = "name = \"names\"\ntopic = \"people\"\nqueries = \"asked.cql\"\n\n\
    [plugin]\npath = \"names.wasm\"\n\n[cassandra]\nkeyspace = \"names\"\nconsistency = \"one\"\n\n\
    [build]\ncommands = []\noutput = \"names.wat\"\n\n\
    [produce]\npeople = 3\nme = \"Ada\"\nevery = \"1s\"\n\
    members = [{ name = \"name\", value = \"person\" }, { name = \"place\", value = \"places.1\" }]\n\n\
    [produce.lists.places]\npath = \"data/places.csv\"\nheader = false\n\n\
    [demo]\nquery = \"one --name {me}\"\n";
const QUERIES: &str = "-- one: of one name\n-- :name text\nSELECT name FROM names.names WHERE name = :name;\n\n\
    -- sample: some names\nSELECT name FROM names.names LIMIT 5;\n";
const SCHEMA: &str = "CREATE KEYSPACE names WITH replication = {'class': 'SimpleStrategy', \
    'replication_factor': 1};\nCREATE TABLE names.names (name text PRIMARY KEY);\n";

/// A folder with nothing but a plugin, built of a pipeline's folder.
fn alone() -> tempfile::TempDir {
    let (sources, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(sources.path().join("data")).unwrap();
    for (name, text) in [
        ("names.wat", NAMES),
        ("pipeline.toml", CONFIG),
        ("schema.cql", SCHEMA),
        ("asked.cql", QUERIES),
        ("data/places.csv", "here\nthere\n"),
        ("samples.jsonl", "{\"name\": \"Ada\"}\nno JSON\n"),
    ] {
        fs::write(sources.path().join(name), text).unwrap();
    }
    succeeds(sources.path(), "build");
    succeeds(sources.path(), "test --update");
    let said = succeeds(sources.path(), "build");
    for words in [
        "does not go along in the file: `cassandra.consistency`",
        "names 1.0.0",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let plugin = sources.path().join("names.wasm");
    fs::copy(plugin, folder.path().join("x.wasm")).unwrap();
    folder
}

#[test]
fn one_file_is_a_whole_pipeline() {
    let folder = alone();
    let messages = folder.path().join("messages.jsonl");
    fs::write(messages, "{\"name\": \"Eve\"}\n").unwrap();
    for (arguments, words) in [
        (
            "test x.wasm",
            &["samples.jsonl in x.wasm gives what golden.txt in x.wasm says"][..],
        ),
        ("inspect x.wasm", &["names 1.0.0"]),
        (
            "config show x.wasm",
            &["\"people\"", "pipeline.toml in x.wasm:"],
        ),
        ("schema show x.wasm", &["CREATE TABLE names.names"]),
        ("query x.wasm --list", &["one", "sample"]),
        (
            "run --plugin x.wasm --source messages.jsonl --sink sqlite:out",
            &["in 1 = written 1"],
        ),
        ("query x.wasm one --name Eve --sink sqlite:out", &["Eve"]),
        (
            "demo x.wasm --rate 0 --count 1000",
            &[
                "`names`",
                "topic `people`",
                "x.wasm",
                "query x.wasm one --name Ada",
            ],
        ),
        ("check x.wasm --offline", &["x.wasm"]),
    ] {
        let said = succeeds(folder.path(), arguments);
        for word in words {
            assert!(
                said.contains(word),
                "host {arguments} does not say {word:?}: {said}"
            );
        }
    }
    fails(
        folder.path(),
        "test x.wasm --update",
        &["give the folder of its sources"],
    );
    fails(
        folder.path(),
        "build x.wasm",
        &["x.wasm", "give the folder of its sources"],
    );
    // What lies beside it goes before what is in it.
    let beside = CONFIG.replace(
        "topic = \"people\"\nqueries = \"asked.cql\"",
        "topic = \"others\"",
    );
    fs::write(folder.path().join("pipeline.toml"), beside).unwrap();
    let said = succeeds(folder.path(), "config show x.wasm");
    assert!(said.contains("\"others\""), "{said}");
}

/// Puts another section over one that the plugin brings.
fn bring(folder: &Path, section: &str, inside: &[u8]) {
    let path = folder.join("x.wasm");
    let section = (format!("sluice:{section}"), inside.to_vec());
    let bytes = host::plugin::with_sections(&fs::read(&path).unwrap(), &[section]);
    fs::write(path, bytes).unwrap();
}

const SMALL: &str =
    "name = \"names\"\ntopic = \"t\"\n[plugin]\npath = \"a\"\n[cassandra]\nkeyspace = \"k\"\n";
const VERBS: &[&str] = &[
    "test x.wasm",
    "demo x.wasm --count 1",
    "query x.wasm --list",
    "schema show x.wasm",
    "run --plugin x.wasm --source - --sink sqlite:out",
];

#[test]
fn what_a_file_must_not_bring_is_refused_by_every_verb() {
    let good = alone();
    let check = |section: &str, inside: &str, verbs: &[&str], words: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(good.path().join("x.wasm"), folder.path().join("x.wasm")).unwrap();
        bring(folder.path(), section, inside.as_bytes());
        for verb in verbs {
            fails(folder.path(), verb, words);
        }
        assert!(!folder.path().join("was-run").exists());
    };
    for (more, words) in [
        (
            "build.commands = [\"touch was-run\"]",
            &["pipeline.toml inside x.wasm", "`build`", "--config"][..],
        ),
        ("kafka.brokers = \"b:1\"", &["`kafka` is not for it to say"]),
        (
            "lookups.a.path = \"/etc/passwd\"",
            &["`lookups.a.path` leads out of it, to `/etc/passwd`"],
        ),
        ("name = ", &["pipeline.toml in x.wasm:1"]),
    ] {
        check("pipeline", &format!("{more}\n{SMALL}"), VERBS, words);
    }
    let large = "-".repeat((1 << 20) + 1);
    for (section, verbs) in [
        ("pipeline", VERBS),
        ("schema", VERBS),
        ("samples", &["test x.wasm"]),
        ("golden", &["test x.wasm"]),
        ("list:places", &["demo x.wasm --count 1"]),
    ] {
        let words = format!("sluice:{section} has more than 1048576 bytes");
        check(section, &large, verbs, &[&words]);
    }
    let long = "x".repeat(1_000_000);
    let demo = &["demo x.wasm --count 1"];
    check(
        "list:places",
        &long,
        demo,
        &["1000000 bytes", "`place` of `members`"],
    );
    check(
        "schema",
        "\u{1b}[2J",
        &["schema show x.wasm"],
        &["schema.cql is no text"],
    );
    let dropped = "DROP KEYSPACE names;";
    check("schema", dropped, &["schema show x.wasm"], &["CREATE"]);
    let truncated = "-- all: gone\nTRUNCATE names.names;\n";
    check(
        "queries",
        truncated,
        &["query x.wasm --list"],
        &["begins with SELECT"],
    );
}

#[test]
fn a_plugin_that_brings_nothing_takes_flags_or_says_which() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.wat"), NAMES).unwrap();
    fs::write(
        folder.path().join("messages.jsonl"),
        "{\"name\": \"Eve\"}\n",
    )
    .unwrap();
    let run = "run --plugin x.wat --source messages.jsonl --sink none";
    for (flags, words) in [
        ("", &["`names`", "--topic and --keyspace", "--config"][..]),
        (" --keyspace k", &["give --topic, or"]),
        (" --topic t", &["give --keyspace, or"]),
    ] {
        fails(folder.path(), &format!("{run}{flags}"), words);
    }
    let said = succeeds(folder.path(), "config show x.wat --topic t --keyspace k");
    for words in ["\"t\"", "--topic", "\"k\"", "--keyspace"] {
        assert!(said.contains(words), "{said}");
    }
}
