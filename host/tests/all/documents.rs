//! The commands that the documents show, typed in as they stand.
//!
//! What is in a block marked `console` and begins with `$ ` is run, one after another, in a folder
//! that looks like the project's root. Commands that go on for ever are stopped as a user would.
#![cfg(feature = "servers")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{cassandra, host, kafka, unique};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The documents, and how many commands each shows at least: none is overlooked.
const DOCUMENTS: [(&str, usize); 1] = [("README.md", 8)];

/// What `.ci/run` does itself, or what is done when this runs.
const DONE_ELSEWHERE: [&str; 3] = [
    "cargo test",
    "cargo build --release",
    "services/services up",
];

/// What documents show of the project's tree.
const SHOWN: [&str; 3] = ["cql", "data", "plugins"];

#[test]
fn every_command_shown_does_what_it_says() {
    for (document, least) in DOCUMENTS {
        let text = fs::read_to_string(format!("{ROOT}/{document}")).unwrap();
        let commands = commands(&text);
        assert!(commands.len() >= least, "{document} shows {commands:?}");
        let folder = tempfile::tempdir().unwrap();
        for name in SHOWN {
            symlink(Path::new(ROOT).join(name), folder.path().join(name)).unwrap();
        }
        let names = Names::new();
        for command in commands {
            if !DONE_ELSEWHERE.contains(&command.as_str()) {
                names.type_in(document, folder.path(), &command);
            }
        }
        names.drop_keyspace();
    }
}

/// The commands of the blocks marked `console`, without their comments.
fn commands(text: &str) -> Vec<String> {
    let (mut found, mut is_console): (Vec<String>, bool) = (Vec::new(), false);
    for line in text.lines() {
        if let Some(mark) = line.strip_prefix("```") {
            is_console = mark == "console";
            continue;
        }
        let line = line.split("  #").next().unwrap_or(line).trim_end();
        match (is_console, line.strip_prefix("$ "), found.last_mut()) {
            (true, Some(command), _) => found.push(command.to_owned()),
            (true, None, Some(command)) if command.ends_with('\\') => {
                command.pop();
                command.push_str(line.trim_start());
            }
            (_, _, _) => {}
        }
    }
    found
}

/// Names that nobody else uses, for what documents call by its usual name.
struct Names {
    keyspace: String,
    group: String,
}

impl Names {
    fn new() -> Self {
        let (keyspace, group) = (unique("documents"), unique("documents"));
        Self { keyspace, group }
    }

    /// Runs a command. One that goes on for ever is interrupted as soon as it says something.
    fn type_in(&self, document: &str, folder: &Path, command: &str) {
        let host = host();
        let typed = command
            .replace("cargo run --release -- ", "host ")
            .replace("localhost:29092", &kafka())
            .replace("localhost:9042", &cassandra());
        let path = Path::new(host.get_program()).parent().unwrap();
        let path = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash");
        shell.args([
            "-euo",
            "pipefail",
            "-c",
            &format!("exec 2>&1\n{}", exec(&typed)),
        ]);
        shell.current_dir(folder).env("PATH", path);
        shell.env("SLUICE_KAFKA__BROKERS", kafka());
        shell.env("SLUICE_KAFKA__GROUP", &self.group);
        shell.env(
            "SLUICE_CASSANDRA__CONTACT_POINTS",
            format!("[\"{}\"]", cassandra()),
        );
        shell.env("SLUICE_CASSANDRA__KEYSPACE", &self.keyspace);
        for (name, value) in host.get_envs() {
            shell.env(name, value.unwrap());
        }
        let mut child = shell
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if said.is_empty() && goes_on(&typed) {
                let pid = libc::pid_t::try_from(child.id()).unwrap();
                // SAFETY: the child is ours and not waited for yet, so its id is still its own.
                assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
            }
            said += &line.unwrap();
            said.push('\n');
        }
        let status = child.wait().unwrap();
        assert!(
            status.success(),
            "{document}: `{typed}` gives {status}:\n{said}"
        );
    }

    fn drop_keyspace(&self) {
        let mut config = host::sink::cassandra::Config::new(self.keyspace.clone());
        config.contact_points = vec![cassandra()];
        let reader = host::sink::cassandra::Reader::open(&config).unwrap();
        reader
            .execute(&format!("DROP KEYSPACE IF EXISTS {}", self.keyspace))
            .unwrap();
    }
}

/// The host takes the shell's place, so that signals reach it.
fn exec(typed: &str) -> String {
    let is_one = !typed.contains(['|', ';', '&']);
    if is_one && typed.starts_with("host ") {
        format!("exec {typed}")
    } else {
        typed.to_owned()
    }
}

/// Whether a command ends only when it is stopped.
fn goes_on(typed: &str) -> bool {
    let has = |word: &str| typed.split(' ').any(|other| other == word);
    let is_run = typed.starts_with("host --plugin") || typed.starts_with("host run");
    let ends = has("--once") || has("--source");
    (is_run && !ends) || (typed.starts_with("host demo") && !has("--count"))
}

#[test]
fn commands_are_those_of_console_blocks() {
    let text = "```\n$ not this\n```\n```console\n$ a b   # why\nits output\n$ c \\\n    d\n```\n$ nor this\n";
    assert_eq!(commands(text), ["a b", "c d"]);
}
