//! What several tests need.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// The binary, as a user calls it, with a home of its own for compiled components.
pub(crate) fn host() -> Command {
    let mut host = Command::new(env!("CARGO_BIN_EXE_host"));
    host.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    host
}

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until a condition holds.
///
/// # Panics
/// If it does not within a minute; `what` says what was waited for.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(PAUSE);
    }
}

/// A line for the table of docs/reliability.md: what came of a fault, row by row. Written where the
/// variable `FAULTS_REPORT` says, if it does.
pub(crate) fn measured(row: u8, fault: &str, injected: usize, verdict: Verdict, measured: &str) {
    let Some(path) = std::env::var_os("FAULTS_REPORT") else {
        return;
    };
    let Verdict {
        lost,
        extra,
        wrong,
        stale,
    } = verdict;
    let line = serde_json::json!({ "row": row, "fault": fault, "injected": injected, "lost": lost,
        "extra": extra, "wrong": wrong, "stale": stale, "measured": measured });
    let file = OpenOptions::new().append(true).create(true).open(path);
    let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    written.expect("the report can be written");
}

/// How what stands in the tables and letters differs from what must.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Rows and letters that are missing.
    pub(crate) lost: usize,
    /// Those that no message asks for.
    pub(crate) extra: usize,
    /// Those with other contents.
    pub(crate) wrong: usize,
    /// Rows of an older message than the last.
    pub(crate) stale: usize,
}

/// Sends a signal by its name, as `kill` knows it.
pub(crate) fn signal(process: &Child, name: &str) {
    let id = process.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status();
    assert!(sent.expect("there is a `kill`").success());
}

/// The real Kafka of `services/`.
#[cfg(feature = "servers")]
pub(crate) fn kafka() -> String {
    std::env::var("SLUICE_TEST_KAFKA").unwrap_or_else(|_| "127.0.0.1:29092".to_owned())
}

/// The real Cassandra of `services/`.
#[cfg(feature = "servers")]
pub(crate) fn cassandra() -> String {
    std::env::var("SLUICE_TEST_CASSANDRA").unwrap_or_else(|_| "127.0.0.1:9042".to_owned())
}

/// A name that no other test, and no other run of this one, has: for topics and keyspaces.
#[cfg(any(feature = "servers", feature = "secure-servers"))]
pub(crate) fn unique(name: &str) -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    format!("test_{name}_{}", &id[..12])
}
