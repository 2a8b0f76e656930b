//! How the process ends when it is told to, whatever hangs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::contract::module;
use crate::support::{host, signal, wait_until};

/// How long after the grace period a process may still be there.
const AFTER_GRACE: Duration = Duration::from_secs(1);

/// A folder with a plugin that hangs on every message, each time for as long as it may.
fn hanging() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("plugin.wasm", module());
    write(
        "pipeline.toml",
        b"name = \"misbehaving\"\ntopic = \"faults\"\n[plugin]\npath = \"plugin.wasm\"\n\
          [cassandra]\nkeyspace = \"k\"\n",
    );
    write(
        "schema.cql",
        b"CREATE TABLE k.facts (id text PRIMARY KEY, number int, note text);\n\
          CREATE TABLE k.others (id text PRIMARY KEY, number int);\n",
    );
    write("messages", "loop\n".repeat(60).as_bytes());
    folder
}

fn start(folder: &Path, flags: &[&str]) -> Child {
    let mut host: Command = host();
    host.current_dir(folder).args(flags);
    host.env("SLUICE_LOG", "host=debug")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    host.spawn().unwrap()
}

/// Waits until it has ended, and sends it a signal again and again if there is one.
fn ended(child: &mut Child, again: Option<&str>) -> (Option<i32>, Duration) {
    let told = Instant::now();
    let mut code = None;
    wait_until("the end", || {
        if let Some(status) = child.try_wait().unwrap() {
            code = status.code();
            return true;
        }
        again.into_iter().for_each(|name| signal(child, name));
        false
    });
    (code, told.elapsed())
}

/// Reads what a process says until it says this.
fn hear(child: &mut Child, words: &str) {
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(
        said.any(|line| line.unwrap().contains(words)),
        "it never said {words}"
    );
    // What else it says is for nobody, but must not fill the pipe.
    std::thread::spawn(move || said.count());
}

#[test]
fn a_call_that_hangs_ends_with_the_grace_period() {
    let check = |grace: &str, name: &str, again: Option<&str>, code: i32, limit: Duration| {
        // A folder each: messages that three processes have hung in are taken one by one.
        let folder = hanging();
        let flags = [
            "--plugin",
            "plugin.wasm",
            "--source",
            "messages",
            "--sink",
            "sqlite:out",
        ];
        let mut child = start(folder.path(), &[&flags[..], &["--grace", grace]].concat());
        hear(&mut child, "a call of the plugin has failed");
        signal(&child, name);
        let (ended, took) = ended(&mut child, again);
        assert_eq!(ended, Some(code), "{name} {again:?}");
        assert!(
            took <= limit + AFTER_GRACE,
            "{name} {again:?} took {took:?}"
        );
    };
    let half = Duration::from_millis(500);
    check("500ms", "TERM", None, 75, half);
    check("500ms", "INT", None, 75, half);
    check("0s", "TERM", None, 75, Duration::ZERO);
    // The second one does not wait.
    check("1h", "TERM", Some("TERM"), 143, Duration::ZERO);
    check("1h", "INT", Some("INT"), 130, Duration::ZERO);
}

#[test]
fn a_start_that_hangs_ends_at_once() {
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = hole.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plays"), "").unwrap();
    let check = |flags: &[&str], code: i32, limit: Duration| {
        let flags = [&["--plugin", "spotify.wasm", "--grace", "500ms"], flags].concat();
        let mut child = start(folder.path(), &flags);
        let (connection, _) = hole.accept().unwrap();
        signal(&child, "TERM");
        let (ended, took) = ended(&mut child, None);
        assert_eq!(ended, Some(code), "{flags:?}");
        assert!(took <= limit + AFTER_GRACE, "{flags:?} took {took:?}");
        drop(connection);
    };
    // Nothing is read yet, so there is nothing to drain.
    check(&["--brokers", &address], 0, Duration::ZERO);
    check(&["--brokers", &address, "--once"], 0, Duration::ZERO);
    // A worker that waits for its database is given its time.
    let flags = ["--source", "plays", "--cassandra", &address];
    check(&flags, 75, Duration::from_millis(500));
}
