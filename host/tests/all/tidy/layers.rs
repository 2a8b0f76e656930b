//! Who may use whom.

use super::{Finding, Tree, text};

/// The libraries that belong to one room, and where they may occur.
#[rustfmt::skip]
const LIBRARIES: &[(&[&str], &[&str])] = &[
    (&["rdkafka"], &["access", "source/kafka", "sink/dead_letter", "checkpoint/kafka", "embedded", "produce"]),
    (&["scylla"], &["sink", "checkpoint/cassandra"]),
    (&["openssl"], &["sink/cassandra"]),
    (&["openssl_probe"], &["config"]),
    (&["rusqlite"], &["sink"]),
    (&["wasmtime", "wasmtime_wasi", "wit_component", "wit_parser", "wasmparser", "wasm_encoder", "wat"], &["plugin"]),
    (&["http", "httparse"], &["admin"]),
    (&["prometheus_client"], &["telemetry"]),
    (&["clap"], &["main", "cli"]),
    (&["anyhow"], &["main", "cli"]),
];

/// The modules from the lowest up, and what of the crate each may use. What is not listed here has
/// no place in the house.
#[rustfmt::skip]
const MODULES: &[(&str, &[&str])] = &[
    ("access", &[]),
    ("code", &[]),
    ("failpoint", &[]),
    ("message", &[]),
    ("nearest", &[]),
    ("row", &["message"]),
    ("line", &["message", "nearest", "row"]),
    ("recent", &["message", "row"]),
    ("retry", &[]),
    ("terminal", &[]),
    ("lookup", &["row"]),
    ("source", &["access", "code", "failpoint", "line", "message", "row"]),
    ("plugin", &["failpoint", "message", "row", "lookup", "terminal"]),
    ("sink", &["access", "failpoint", "message", "row"]),
    ("checkpoint", &["code", "failpoint", "message", "sink"]),
    ("version", &["code", "lookup", "plugin", "row", "sink"]),
    ("archive", &["checkpoint", "code", "lookup", "row", "sink"]),
    ("embedded", &[]),
    ("produce", &["access", "message"]),
    ("query", &["nearest", "row", "sink", "terminal"]),
    ("measure", &["message", "plugin"]),
    ("samples", &["line", "message", "row", "lookup", "plugin", "sink", "terminal"]),
    ("worker", &[
        "code", "failpoint", "message", "recent", "row", "retry", "source", "plugin", "sink", "checkpoint", "terminal",
        "version",
    ]),
    ("pipeline", &["retry", "row", "source", "sink", "checkpoint", "version", "worker"]),
    ("swap", &[
        "archive", "code", "failpoint", "lookup", "message", "pipeline", "plugin", "recent", "row", "samples", "sink",
        "version", "worker",
    ]),
    ("group", &["archive", "code", "sink", "swap", "worker"]),
    ("telemetry", &["message", "sink", "worker"]),
    ("config", &["nearest", "lookup", "source", "plugin", "sink", "swap", "produce", "terminal"]),
    ("admin", &["group", "swap", "telemetry", "terminal", "worker"]),
    ("cli", &[
        "access", "admin", "archive", "code", "message", "nearest", "row", "retry", "lookup", "source", "plugin", "sink", "checkpoint", "embedded", "group", "line", "measure", "produce", "query",
        "recent", "samples", "swap", "terminal", "version", "worker", "telemetry", "pipeline", "config",
    ]),
];

/// A member of the group is one thing seen from two rooms: it reads, and it commits what was read. So
/// is a store of letters, which are read and settled.
const ONE_MEMBER: [(&str, &str); 3] = [
    ("host/src/source/kafka", "checkpoint"),
    ("host/src/checkpoint/kafka", "source"),
    ("host/src/checkpoint/letters", "source"),
];

const HOST: &str = "host/src/";

/// The host's own files: the path without its ending, and the code that is not a test.
fn host(tree: &Tree) -> impl Iterator<Item = (&String, &str, String)> {
    let ours = tree
        .range(HOST.to_owned()..)
        .take_while(|(path, _)| path.starts_with(HOST));
    ours.filter_map(|(path, text)| {
        let place = path.strip_prefix(HOST)?.strip_suffix(".rs")?;
        Some((path, place, text::without_tests(path, &text::code(text))))
    })
}

fn is_at(place: &str, root: &str) -> bool {
    let below = place.strip_prefix(root);
    below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

pub(super) fn libraries(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, place, code) in host(tree) {
        for (names, places) in LIBRARIES {
            if places.iter().any(|allowed| is_at(place, allowed)) {
                continue;
            }
            for (at, name) in text::words(&code).filter(|(_, word)| names.contains(word)) {
                let is_path =
                    code[at + name.len()..].starts_with("::") && !code[..at].ends_with("::");
                if is_path || code[..at].ends_with("use ") {
                    let what = format!("`{name}` belongs to {}", places.join(", "));
                    found.push(Finding::new(path, text::line(&code, at), what));
                }
            }
        }
    }
    found
}

pub(super) fn environment(tree: &Tree) -> Vec<Finding> {
    let reads = ["env::var", "env::vars", "env::set_var"];
    let mut found = Vec::new();
    for (path, _, code) in host(tree).filter(|(_, place, _)| !is_at(place, "config")) {
        for (number, line) in (1..).zip(code.lines()) {
            if let Some(read) = reads.iter().find(|read| line.contains(**read)) {
                found.push(Finding::new(path, number, format!("`{read}`: hand it in")));
            }
        }
    }
    found
}

pub(super) fn modules(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, place, code) in host(tree) {
        let own = place.split('/').next().unwrap_or(place);
        let Some((_, allowed)) = MODULES.iter().find(|(module, _)| *module == own) else {
            continue;
        };
        for (at, used) in uses(&code) {
            let is_member = ONE_MEMBER
                .iter()
                .any(|(file, room)| path.starts_with(file) && used == *room);
            let is_module = MODULES.iter().any(|(module, _)| *module == used);
            if is_module && used != own && !allowed.contains(&used) && !is_member {
                let what = format!("`{own}` must not know `{used}`");
                found.push(Finding::new(path, text::line(&code, at), what));
            }
        }
    }
    found
}

/// The modules of the crate that a file names: `crate::a`, `crate::{a, b::{c, d}}`.
fn uses(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (start, prefix) in code.match_indices("crate::") {
        let (at, rest) = (start + prefix.len(), &code[start + prefix.len()..]);
        if !rest.starts_with('{') {
            found.extend(text::words(rest).next().map(|(_, word)| (at, word)));
            continue;
        }
        let mut depth = 0;
        for (offset, letter) in rest.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth == 1 && matches!(letter, '{' | ',') {
                let inside = at + offset + 1;
                let next = text::words(&code[inside..]).next();
                found.extend(next.map(|(skipped, word)| (inside + skipped, word)));
            }
        }
    }
    found
}

pub(super) fn places(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, place, code) in host(tree).filter(|(_, place, _)| *place == "lib") {
        assert_eq!(place, "lib", "the filter holds");
        for (number, line) in (1..).zip(code.lines()) {
            let words: Vec<&str> = text::words(line).map(|(_, word)| word).collect();
            if let [.., "mod", name] = words[..]
                && !MODULES.iter().any(|(module, _)| *module == name)
            {
                let what = format!("`{name}` is not in the list of layers");
                found.push(Finding::new(path, number, what));
            }
        }
    }
    found
}
