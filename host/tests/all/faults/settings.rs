//! Forty configurations that are wrong, each refused with exit 78 and its place.

use std::fs;

use super::World;
use crate::support::{Verdict, host, measured};

const GOOD: &str = r#"name = "faults"
topic = "faults"
schema = "schema.cql"

[plugin]
path = "plugin.wasm"

[lookups.songs]
path = "songs.csv"

[kafka]
brokers = "localhost:1"

[cassandra]
keyspace = "faults"

[batch]
messages_max = 100
"#;

/// What is replaced in a good file, by what, where the fault is told, and which word is told of it.
#[rustfmt::skip]
const WRONG: &[(&str, &str, &str, &str)] = &[
    ("name =", "nmae =", "1:1", "nmae"),
    ("name = \"faults\"\n", "", "pipeline.toml", "name"),
    ("name = \"faults\"", "name = 7", "1:8", "string"),
    ("name = \"faults\"", "name = \"\"", "1:8", "nothing in it"),
    ("name = \"faults\"", "name = \"faults", "1:15", "\""),
    ("name = \"faults\"", "name \"faults\"", "1:6", "="),
    ("topic =", "name =", "2:1", "duplicate"),
    ("topic = \"faults\"", "topic = \"\"", "2:9", "nothing in it"),
    ("topic = \"faults\"", "topic = \"a b\"", "2:9", "no topic"),
    ("topic = \"faults\"", "topic = [\"a\"]", "2:9", "string"),
    ("topic =", "colour =", "2:1", "colour"),
    ("topic =", "breaker = \"no\"\ntopic =", "2:11", "true or false"),
    ("topic =", "dead_letters = \"maybe\"\ntopic =", "2:16", "maybe"),
    ("schema = \"schema.cql\"", "schema = 7", "3:10", "string"),
    ("schema.cql", "nothing.cql", "nothing.cql", "No such file"),
    ("[plugin]", "[plugins]", "5:2", "plugins"),
    ("[plugin]", "[plugin", "5:8", "]"),
    ("path = \"plugin.wasm\"", "pth = \"plugin.wasm\"", "6:1", "pth"),
    ("path = \"plugin.wasm\"", "path = true", "6:8", "string"),
    ("plugin.wasm", "nothing.wasm", "nothing.wasm", "no file"),
    ("[lookups.songs]", "[plugin.limits]\nmemory_max = -1\n[lookups.songs]", "9:14", "memory_max"),
    ("[lookups.songs]", "[plugin.limits]\ncall_max = 5\n[lookups.songs]", "9:12", "30s"),
    ("[lookups.songs]", "[plugin.limits]\nstack = 5\n[lookups.songs]", "9:1", "stack"),
    ("path = \"songs.csv\"", "header = \"yes\"", "9:10", "true or false"),
    ("path = \"songs.csv\"", "file = \"songs.csv\"", "9:1", "file"),
    ("localhost:1", "localhost", "12:11", "HOST:PORT"),
    ("localhost:1", "localhost:port", "12:11", "HOST:PORT"),
    ("localhost:1", "localhost:99999", "12:11", "HOST:PORT"),
    ("[cassandra]", "[kafka.security]\npassword = 'hunter2'\n[cassandra]", "15:12", "env:"),
    ("[cassandra]", "[kafka.security]\nmechanism = 'MAGIC'\n[cassandra]", "15:13", "MAGIC"),
    ("keyspace = \"faults\"", "keyspace = \"a-b\"", "15:12", "a-b"),
    ("keyspace = \"faults\"\n", "", "14:", "keyspace"),
    ("keyspace =", "ttl = \"soon\"\nkeyspace =", "15:7", "soon"),
    ("keyspace =", "consistency = \"most\"\nkeyspace =", "15:15", "most"),
    ("keyspace =", "contact_points = [\"a:1\", \"b\"]\nkeyspace =", "15:26", "HOST:PORT"),
    ("messages_max = 100", "messages_max = 0", "18:16", "at least 1"),
    ("messages_max = 100", "messages_max = \"many\"", "18:16", "whole number"),
    ("messages_max = 100", "bytes_max = -1", "18:13", "at least 1"),
    ("messages_max = 100", "interval = 30", "18:12", "30s"),
    ("[batch]", "[rejections]\nodd = \"filtr\"\n[batch]", "18:7", "filtr"),
    ("[batch]", "[rejections]\nstrange = \"filter\"\n[batch]", "18:1", "strange"),
];

/// Variables that are wrong, and the word that is told of each.
const VARIABLES: &[(&str, &str, &str)] = &[
    ("SLUICE_KAFKA__BROKER", "a:1", "brokers"),
    ("SLUICE_TOPIC__X", "1", "string"),
    ("SLUICE_BATCH__MESSAGES_MAX", "many", "whole number"),
];

#[test]
fn forty_wrong_configurations_are_refused_with_their_place() {
    let world = World::new();
    for empty in ["songs.csv", "in.jsonl"] {
        fs::write(world.path(empty), "").unwrap();
    }
    let mut wrong = Vec::new();
    let mut check = |what: &str, text: &str, variable: Option<(&str, &str)>, words: [&str; 2]| {
        fs::write(world.path("pipeline.toml"), text).unwrap();
        let mut host = host();
        host.current_dir(world.folder.path()).envs(variable);
        host.args(["run", "--plugin", "./pipeline.toml", "--sink", "sqlite:out"]);
        let output = host.args(["--source", "in.jsonl"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let is_told = words.iter().all(|word| said.contains(word));
        if output.status.code() != Some(78) || !is_told || said.contains("hunter2") {
            let code = output.status.code();
            wrong.push(format!(
                "{what}: exit {code:?}, not all of {words:?} in: {said}"
            ));
        }
    };
    for &(from, to, place, word) in WRONG {
        assert!(GOOD.contains(from), "{from}");
        let place = if place.starts_with(char::is_numeric) {
            format!("pipeline.toml:{place}")
        } else {
            place.to_owned()
        };
        check(
            &format!("{from} => {to}"),
            &GOOD.replacen(from, to, 1),
            None,
            [&place, word],
        );
    }
    for &(name, value, word) in VARIABLES {
        check(
            &format!("{name}={value}"),
            GOOD,
            Some((name, value)),
            [name, word],
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let count = WRONG.len() + VARIABLES.len();
    measured(
        39,
        "wrong configuration",
        count,
        Verdict::default(),
        "exit 78 with file, line and column, or the variable",
    );
}
