//! What a running host says on standard error, and how much of it.

use std::process::Stdio;
use std::time::Instant;

use crate::samples::folder;
use crate::support::host;

/// A plugin that shouts and fails on message after message, which is told each time, and none of it
/// fills a disk.
#[test]
fn a_flood_of_poison_does_not_flood_the_log() {
    let messages = "log bomb\ntrap\n".repeat(8) + &"trap\n".repeat(300);
    let folder = folder(&[("messages.jsonl", &messages)]);
    let began = Instant::now();
    let mut host = host();
    host.current_dir(folder.path())
        .args(["--plugin", "plugin.wasm", "--config", "pipeline.toml"])
        .args(["--source", "messages.jsonl", "--sink", "sqlite:out"])
        .args(["--no-breaker", "--admin", "off"])
        .env("SLUICE_LOG", "debug")
        // Each message is a call of its own.
        .env("SLUICE_BATCH__MESSAGES_MAX", "1");
    let output = host.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    let lines = |word: &str| said.lines().filter(|line| line.contains(word)).count();
    let failures = lines("a call of the plugin has failed");
    let (shouts, told) = (lines(r#""target":"plugin""#), lines("lines were left out"));
    assert!(
        (1..=100 * (seconds / 10 + 1)).contains(&failures),
        "{failures}"
    );
    // So many are the plugin's, and as many the host's on it.
    assert!(
        shouts <= (200 + told) * (seconds + 1),
        "{shouts} in {seconds} s"
    );
    let each = said.lines().map(serde_json::from_str::<serde_json::Value>);
    assert!(each.into_iter().all(|line| line.is_ok()), "{said}");
}
