//! The house rules, held.
//!
//! A rule looks at the whole tree and answers with what breaks it. Each stands in the table with a
//! small tree that it must complain about and one that it must not: a rule that never fires is none.

mod documents;
mod files;
mod languages;
mod layers;
mod text;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Every file of the project that a person wrote, by its path from the root.
type Tree = BTreeMap<String, String>;

/// A place that breaks a rule.
#[derive(Debug, PartialEq)]
struct Finding {
    path: String,
    /// From 1; 0 is the file as a whole.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        let (path, what) = (path.to_owned(), what.into());
        Self { path, line, what }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// A small tree: paths and texts.
type Example = &'static [(&'static str, &'static str)];

struct Rule {
    name: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
    /// Trees that break it, each.
    bad: &'static [Example],
    /// A tree that does not.
    good: Example,
}

#[rustfmt::skip]
const RULES: &[Rule] = &[
    Rule {
        name: "a library is used in its own room only",
        check: layers::libraries,
        bad: &[&[("host/src/worker.rs", "use rdkafka::Message;\n")], &[("host/src/sink.rs", "fn f() -> anyhow::Result<()> {\n")]],
        good: &[("host/src/source/kafka.rs", "use rdkafka::Message;\n"), ("host/src/row.rs", "// rdkafka::Message\n")],
    },
    Rule {
        name: "the environment is read in config only",
        check: layers::environment,
        bad: &[&[("host/src/worker.rs", "let home = std::env::var(\"HOME\");\n")]],
        good: &[("host/src/config.rs", "let home = std::env::var(\"HOME\");\n"), ("host/src/cli.rs", "env!(\"A\")\n")],
    },
    Rule {
        name: "modules look down only, and rooms do not know each other",
        check: layers::modules,
        bad: &[
            &[("host/src/source/replay.rs", "use crate::{\n    message::Batch,\n    plugin::{Config, Plugin},\n};\n")],
            &[("host/src/message.rs", "fn f(row: crate::row::Row) {}\n")],
        ],
        good: &[("host/src/plugin/decode.rs", "use crate::{message::Batch, lookup};\n/// As [`crate::sink`].\n")],
    },
    Rule {
        name: "every module has its place among the layers",
        check: layers::places,
        bad: &[&[("host/src/lib.rs", "pub mod message;\npub mod attic;\n")]],
        good: &[("host/src/lib.rs", "pub mod message;\n")],
    },
    Rule {
        name: "the host knows no pipeline",
        check: words::pipelines,
        bad: &[&[("host/src/row.rs", "let song_count = 1;\n")], &[("host/src/row.rs", "// As in a Movie.\n")]],
        good: &[("host/src/row.rs", "let row_count = 1;\n#[cfg(test)]\nmod tests {\n    const SONG: u8 = 1;\n}\n")],
    },
    Rule {
        name: "plugins and the contract know neither Kafka nor Cassandra",
        check: words::host_words,
        bad: &[&[("wit/plugin.wit", "/// Rows for CQL.\n")], &[("plugins/spotify/src/lib.rs", "struct KafkaRow;\n")]],
        good: &[("wit/plugin.wit", "enum cql-type {\n/// The type of a cell, as CQL names it.\n")],
    },
    Rule {
        name: "no leftover marks",
        check: words::marks,
        bad: &[&[("services/services", "# TODO: later\n")], &[("host/src/row.rs", "#[ignore]\n")], &[("host/src/a.rs", "todo!()\n")]],
        good: &[("host/src/row.rs", "/// Ignores it; nothing to do.\n")],
    },
    Rule {
        name: "an exception to a lint carries its reason",
        check: words::allows,
        bad: &[&[("host/src/row.rs", "#[allow(dead_code)]\n")], &[("host/src/lib.rs", "#![allow(dead_code)]\n")]],
        good: &[("host/src/row.rs", "#[expect(dead_code, reason = \"it is dead\")]\n")],
    },
    Rule {
        name: "names say what a thing is",
        check: words::names,
        bad: &[
            &[("host/src/row.rs", "struct RowManager;\n")], &[("host/src/util.rs", "")],
            &[("host/src/row.rs", "let data = 1;\n")], &[("host/src/row.rs", "fn do_it() {}\n")],
            &[("host/src/row.rs", "pub(crate) fn process() {}\n")], &[("host/src/row.rs", "    pub data: u8,\n")],
        ],
        good: &[("host/src/row.rs", "use std::process::ExitCode;\nfn metadata() { let data_bytes = 1; }\n")],
    },
    Rule {
        name: "tests wait for conditions, not for time",
        check: words::sleeps,
        bad: &[
            &[("host/tests/all/cli.rs", "std::thread::sleep(second);\n")],
            &[("host/src/row.rs", "#[cfg(test)]\nmod tests {\n    thread::sleep(x);\n}\n")],
        ],
        good: &[("host/tests/all/support.rs", "std::thread::sleep(PAUSE);\n"), ("host/src/retry.rs", "thread::sleep(x);\n#[cfg(test)]\nmod tests {}\n")],
    },
    Rule {
        name: "what needs servers is in host/tests",
        check: words::servers,
        bad: &[&[("host/src/row.rs", "#[cfg(feature = \"servers\")]\n")]],
        good: &[("host/tests/all/kafka.rs", "#[cfg(feature = \"servers\")]\n")],
    },
    Rule {
        name: "a file has at most 400 lines",
        check: files::lengths,
        bad: &[&[("host/src/row.rs", TOO_LONG)], &[("services/services", TOO_LONG)]],
        good: &[("host/src/row.rs", "one\n"), ("Cargo.lock", TOO_LONG)],
    },
    Rule {
        name: "every source file is a module of its parent",
        check: files::orphans,
        bad: &[&[("host/src/sink.rs", "mod memory;\n"), ("host/src/sink/none.rs", "")], &[("host/src/row.rs", "")]],
        good: &[("host/src/lib.rs", "pub mod row;\n"), ("host/src/row.rs", "mod cell;\n"), ("host/src/row/cell.rs", "")],
    },
    Rule {
        name: "there is no mod.rs",
        check: files::mod_files,
        bad: &[&[("host/src/sink/mod.rs", "")]],
        good: &[("host/src/sink.rs", "")],
    },
    Rule {
        name: "a pipeline's folder is complete",
        check: files::pipelines,
        bad: &[
            &[("plugins/plays/pipeline.toml", ""), ("plugins/plays/Cargo.toml", ""), ("Cargo.toml", "\"plugins/plays\",\n")],
            &[("plugins/plays/Cargo.toml", ""), ("plugins/plays/src/lib.rs", "")],
        ],
        good: &[
            ("Cargo.toml", "\"plugins/plays\",\n"), ("plugins/sdk/Cargo.toml", ""), ("plugins/plays/pipeline.toml", ""),
            ("plugins/plays/Cargo.toml", ""), ("plugins/plays/src/lib.rs", ""), ("plugins/plays/samples.jsonl", ""),
            ("plugins/plays/golden.txt", ""), ("cql/plays/schema.cql", ""), ("cql/plays/queries.cql", ""),
            ("cql/plays/answers.txt", ""),
        ],
    },
    Rule {
        name: "a link leads somewhere",
        check: documents::links,
        bad: &[
            &[("docs/operating.md", "See [the picture](../README.md#journey).\n")],
            &[("docs/operating.md", "See [it](../../operating.md).\n")],
            &[("docs/operating.md", "See [it](../README.md#how).\n"), ("README.md", "# How to\n")],
            &[("docs/operating.md", "See [it](#how).\n")],
        ],
        good: &[
            ("docs/operating.md", "## Here, & now\nSee [it](../README.md), [that](#here--now), [this](../README.md#how-to) and [the crate](https://docs.rs).\n"),
            ("README.md", "# `How` to\n"),
        ],
    },
    Rule {
        name: "a language's page shows what a plugin begins with, and the way there",
        check: languages::pages,
        bad: &[
            &[("languages/c/scaffold/build.toml", ""), ("languages/c/scaffold/a.c", "int a;\n"), ("languages/c/README.md", "\n```console\n$ host new a\n```\n\n```c\nint b;\n```\n<!-- languages/check --table -->\n")],
            &[("languages/c/scaffold/build.toml", "a = \"Zig: pip install zig==1\"\n"), ("languages/c/scaffold/a.c", "int a;\n"), ("languages/c/README.md", "\n```console\n$ pip install zig\n```\n\n```c\nint a;\n```\n<!-- languages/check --table -->\n")],
            &[("languages/c/scaffold/build.toml", ""), ("languages/c/scaffold/a.c", "int a;\n"), ("languages/c/README.md", "\n```console\n$ 1\n$ 2\n$ 3\n$ 4\n$ 5\n$ 6\n$ 7\n$ 8\n$ 9\n```\n\n```c\nint a;\n```\n<!-- languages/check --table -->\n")],
            &[("languages/c/scaffold/build.toml", ""), ("languages/c/scaffold/a.c", "int a;\n"), ("languages/c/README.md", "\n```console\n$ host new a\n```\n\n```c\nint a;\n```\n")],
        ],
        good: &[
            ("languages/c/scaffold/build.toml", "a = \"Zig: pip install zig==1\"\n"), ("languages/c/scaffold/a.c", "int a;\n"),
            ("languages/c/README.md", "A page:\n\n```console\n$ pip install zig==1   # 1. Zig\n```\n\n```c\nint a;\n```\n<!-- languages/check --table -->\n"),
        ],
    },
    Rule {
        name: "what a language's page says can be called is called in a plugin",
        check: languages::calls,
        bad: &[&[("languages/c/scaffold/build.toml", ""), ("languages/c/sluice.h", "put()\n"), ("languages/c/README.md", "| rows | `a, put(row)` |\n")]],
        good: &[
            ("languages/c/scaffold/build.toml", ""), ("languages/c/probe/probe.c", "  put(row)\n"),
            ("languages/c/README.md", "It (which) is `put(row)`:\n```c\nthen(put)\n```\n## Traps\n- `rand()`\n"),
        ],
    },
    Rule {
        name: "a promise names what holds it, and that is there",
        check: documents::promises,
        bad: &[
            &[("docs/operating.md", "- **P1** Nothing is lost.\n- **P2** Again.\n  *Held by* row 2.\n"), ("proof/faults", "    \"2\": (kills,\n")],
            &[("docs/operating.md", "- **P1** Nothing is lost.\n  *Held by* rows 2 and\n  3.\n"), ("proof/faults", "    \"2\": (kills,\n")],
            &[("docs/operating.md", "- **P1** Nothing is lost.\n  *Held by* `nothing_is_lost`.\n"), ("host/src/a.rs", "fn nothing() {}\n")],
        ],
        good: &[
            ("docs/operating.md", "- **P1** Nothing of 2 MiB is lost.\n  *Held by* `nothing_is_lost`, row 2.\n\nIt ends 9 times.\n"),
            ("host/src/a.rs", "    fn nothing_is_lost() {}\n"), ("proof/faults", "    \"2\": (kills,\n"),
        ],
    },
];

/// One line more than a file may have.
const TOO_LONG: &str = match std::str::from_utf8(&[b'\n'; files::LINES_MAX + 1]) {
    Ok(lines) => lines,
    Err(_) => "",
};

/// What a person writes, and what belongs to nobody's working copy.
const ROOTS: [&str; 10] = [
    ".ci",
    "cql",
    "data",
    "docs",
    "host",
    "languages",
    "plugins",
    "proof",
    "services",
    "wit",
];

/// What builds and package clients make: anywhere, and where plugins in other languages are built.
const MADE: [&str; 2] = ["__pycache__", "target"];
const MADE_IN_LANGUAGES: [&str; 4] = [".venv", ".zig-cache", "build", "node_modules"];

fn tree() -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut tree = Tree::new();
    let entries = std::fs::read_dir(&root).expect("the root can be read");
    for entry in entries.map(|entry| entry.expect("the root can be read")) {
        let name = entry.file_name().into_string().expect("our names are text");
        if entry.path().is_file() && name != ".git" {
            insert(&mut tree, &name, &entry.path());
        } else if ROOTS.contains(&name.as_str()) {
            walk(&mut tree, &name, &entry.path());
        }
    }
    tree
}

fn walk(tree: &mut Tree, path: &str, folder: &Path) {
    let entries = std::fs::read_dir(folder).expect("our folders can be read");
    for entry in entries.map(|entry| entry.expect("our folders can be read")) {
        let name = entry.file_name().into_string().expect("our names are text");
        let path = format!("{path}/{name}");
        let is_made = MADE.contains(&name.as_str())
            || (path.starts_with("languages/") && MADE_IN_LANGUAGES.contains(&name.as_str()))
            || name.ends_with(".wasm");
        // What a link leads to is looked at where it is.
        if is_made || entry.path().is_symlink() {
            continue;
        }
        if entry.path().is_dir() {
            walk(tree, &path, &entry.path());
        } else if entry.path().is_file() {
            insert(tree, &path, &entry.path());
        }
    }
}

fn insert(tree: &mut Tree, path: &str, file: &Path) {
    let bytes = std::fs::read(file).expect("our files can be read");
    tree.insert(
        path.to_owned(),
        String::from_utf8_lossy(&bytes).into_owned(),
    );
}

fn example(files: Example) -> Tree {
    let file = |&(path, text): &(&str, &str)| (path.to_owned(), text.to_owned());
    files.iter().map(file).collect()
}

#[test]
fn the_tree_is_tidy() {
    let tree = tree();
    assert!(tree.contains_key("host/src/lib.rs"), "this is not our tree");
    let mut broken = String::new();
    for rule in RULES {
        for finding in (rule.check)(&tree) {
            broken += &format!("{finding} ({})\n", rule.name);
        }
    }
    assert!(broken.is_empty(), "\n{broken}");
}

#[test]
fn every_rule_fires_on_what_breaks_it_and_on_nothing_else() {
    for rule in RULES {
        let found = (rule.check)(&example(rule.good));
        assert_eq!(found, [], "{}: the good example", rule.name);
        for bad in rule.bad {
            let found = (rule.check)(&example(bad));
            assert!(!found.is_empty(), "{}: {bad:?}", rule.name);
        }
    }
}

/// What a document's example may call, and what it may ask of it, is what `--help` tells.
#[test]
fn every_command_shown_is_known() {
    // What follows a verb may be a verb of its own; before `--help` anything else does no harm.
    let help = |verbs: &[String]| {
        let mut host = std::process::Command::new(env!("CARGO_BIN_EXE_host"));
        host.args(verbs).arg("--help");
        let output = host.output().expect("the binary runs");
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let mut unknown = String::new();
    for (place, words) in documents::commands(&tree()) {
        let verbs = words
            .iter()
            .take(2)
            .take_while(|word| !word.starts_with('-'));
        let verbs: Vec<String> = verbs.cloned().collect();
        let verb = verbs.first().map_or("run", String::as_str);
        let Some(help) = help(&verbs) else {
            unknown += &format!("{place}: there is no verb `{verb}`\n");
            continue;
        };
        // A query's parameters are its own: they are tested where queries are.
        let flags = words
            .iter()
            .filter(|word| word.starts_with("--") && verb != "query");
        for flag in flags.filter(|flag| !help.contains(flag.as_str())) {
            unknown += &format!("{place}: `{verb}` does not know `{flag}`\n");
        }
    }
    assert!(unknown.is_empty(), "\n{unknown}");
}
