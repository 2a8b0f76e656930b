//! `host produce`: what pipelines say of their messages is what their plugins take.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use host::embedded::Broker;

use crate::support::host;

const TOPIC: &str = "ratings";

/// A pipeline that has never been built: producing needs no plugin.
const CONFIG: &str = r#"
name = "ratings"
topic = "ratings"

[plugin]
path = "ratings.wasm"

[cassandra]
keyspace = "ratings"

[produce]
people = 2
me = "Ada Lovelace"
order = "random"
every = "10ms"
burst = 5
print = true
lists.titles = { path = "titles.csv", header = false }
members = [
    { name = "who", value = "person" },
    { name = "title", value = "titles.1" },
]
"#;

struct Folder {
    folder: tempfile::TempDir,
    broker: Broker,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("pipeline.toml", CONFIG),
            ("titles.csv", "One,1\n\"Two, too\",2\n"),
            ("other.csv", "Three,3\n"),
        ];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let broker = Broker::start(TOPIC, 2).unwrap();
        Self { folder, broker }
    }

    fn host(&self, line: &str) -> Command {
        let mut host = host();
        host.current_dir(self.folder.path());
        host.args(["produce", ".", "--brokers", &self.broker.brokers()]);
        host.args(line.split_whitespace()).stdin(Stdio::null());
        host
    }

    fn sent(&self, line: &str) -> String {
        let output = self.host(line).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn messages_are_as_the_folder_says() {
    let folder = Folder::new();
    let sent = folder.sent("--count 40");
    let lines: Vec<&str> = sent.lines().collect();
    assert_eq!(lines.len(), 41, "{sent}");
    assert!(
        lines[40].starts_with("sent 40 messages to topic `ratings` in "),
        "{sent}"
    );
    for title in ["One", "Two, too"] {
        let ending = format!("\", \"title\": \"{title}\"}}");
        assert!(
            lines[..40].iter().any(|line| line.ends_with(&ending)),
            "{sent}"
        );
    }
    let quiet = folder.sent("--count 40 --quiet");
    assert_eq!(quiet.lines().count(), 1, "{quiet}");
    let other = folder.sent("--count 5 --me Eve --people 0 --lookup titles=other.csv");
    assert_eq!(
        other.matches(r#"{"who": "Eve", "title": "Three"}"#).count(),
        5
    );
    let unknown = folder.sent("--count 5 --unknown 100");
    assert_eq!(unknown.matches(r#", "title": "Unknown Title "#).count(), 5);
    assert!(
        unknown.ends_with(", 0 of them bad, 5 of unknown titles\n"),
        "{unknown}"
    );
}

/// Wrong command lines, and what must be said of each.
#[test]
fn what_cannot_be_made_is_refused() {
    let folder = Folder::new();
    for (line, code, words) in [
        ("--lookup title=other.csv", 78, "did you mean `titles`?"),
        ("--lookup titles=nothing.csv", 78, "nothing.csv"),
        ("--quiet --verbose", 2, "cannot be used with"),
    ] {
        let output = folder.host(line).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line}: {errors}");
        assert!(errors.contains(words), "{line}: {errors}");
    }
}

/// Without an end, `Ctrl-C` is the end, and what was sent is told.
#[test]
fn it_goes_on_until_it_is_stopped() {
    let folder = Folder::new();
    let mut child = folder.host("").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    for _ in 0..17 {
        lines.read_line(&mut text).unwrap();
    }
    let kill = format!("kill -INT {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    lines.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    let (messages, totals) = text.trim_end().rsplit_once('\n').unwrap();
    let sent = messages.lines().count();
    assert!(
        totals.starts_with(&format!("sent {sent} messages ")),
        "{text}"
    );
}

#[cfg(feature = "servers")]
#[test]
fn every_pipeline_takes_its_own_messages() {
    use crate::support::{kafka, unique};

    for pipeline in sluice_bundled::PIPELINES {
        let (name, folder) = (pipeline.name, tempfile::tempdir().unwrap());
        let (brokers, topic) = (kafka(), unique("produce"));
        let to = ["--brokers", &brokers, "--topic", &topic];
        let said = |line: &[&str]| {
            let mut host = host();
            host.current_dir(folder.path()).args(line).args(to);
            let output = host.stdin(Stdio::null()).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {errors}");
            String::from_utf8(output.stdout).unwrap()
        };
        let each = [
            "--rate",
            "0",
            "--count",
            "50",
            "--partitions",
            "3",
            "--quiet",
        ];
        let sent = said(&[&["produce", name], &each[..]].concat());
        assert!(sent.starts_with("sent 50 messages "), "{name}: {sent}");
        let run = [
            "--plugin",
            name,
            "--group",
            &topic,
            "--sink",
            "sqlite:out",
            "--once",
        ];
        let ran = said(&run);
        let all = "in 50 = written 50 + filtered 0 + dead letters 0 + pending 0 ";
        assert!(ran.contains(all), "{name}: {ran}");
    }
}
