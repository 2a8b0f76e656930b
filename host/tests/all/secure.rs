//! Servers that speak TLS and want a login: getting in, and what is said when that fails.
//!
//! `services` started them with `SERVICES_SECURE=1`; `SLUICE_TEST_SECURE_HOME` is their home, and
//! `SLUICE_TEST_SECURE_KAFKA` and `SLUICE_TEST_SECURE_CASSANDRA` where they are.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{host, unique, wait_until};

/// How soon a refusal must be told.
const TOLD_MAX: Duration = Duration::from_secs(30);

/// What the environment says to a host that may come in.
fn environment() -> Vec<(String, String)> {
    let home = variable("SLUICE_TEST_SECURE_HOME");
    let at = |name: &str| format!("{home}/secure/{name}");
    let secret = |name: &str| format!("file:{}", at(name));
    let each = [
        ("KAFKA__BROKERS", variable("SLUICE_TEST_SECURE_KAFKA")),
        ("KAFKA__SECURITY__CA", at("ca.pem")),
        ("KAFKA__SECURITY__MECHANISM", "SCRAM-SHA-512".to_owned()),
        ("KAFKA__SECURITY__USERNAME", "sluice".to_owned()),
        ("KAFKA__SECURITY__PASSWORD", secret("kafka.password")),
        ("CASSANDRA__USERNAME", "cassandra".to_owned()),
        ("CASSANDRA__PASSWORD", secret("cassandra.password")),
        ("CASSANDRA__TLS__CA", at("ca.pem")),
        ("CASSANDRA__TLS__CERTIFICATE", at("client.crt")),
        ("CASSANDRA__TLS__KEY", at("client-locked.key")),
        ("CASSANDRA__TLS__KEY_PASSWORD", secret("key.password")),
    ];
    let named = |(name, value): (&str, String)| (format!("SLUICE_{name}"), value);
    each.into_iter().map(named).collect()
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} says nothing: see services/README.md"))
}

/// The host with that environment, changed: `None` takes a variable away.
fn secured(changes: &[(&str, Option<&str>)], args: &str) -> Command {
    let mut host = host();
    host.env("SLUICE_LOG", "warn").args(args.split(' '));
    host.envs(environment());
    for (name, value) in changes {
        match value {
            Some(value) => host.env(format!("SLUICE_{name}"), value),
            None => host.env_remove(format!("SLUICE_{name}")),
        };
    }
    host
}

/// What a command says that ends well.
#[track_caller]
fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[test]
fn messages_become_rows_behind_tls_and_logins() {
    let cassandra = variable("SLUICE_TEST_SECURE_CASSANDRA");
    let kafka = variable("SLUICE_TEST_SECURE_KAFKA");
    let home = variable("SLUICE_TEST_SECURE_HOME");
    let locked = format!("{home}/secure/client-locked.key");
    let (certificate, key_password) = (
        format!("{home}/secure/client.crt"),
        format!("file:{home}/secure/key.password"),
    );
    let ways: [&[(&str, Option<&str>)]; 3] = [
        &[],
        &[("KAFKA__SECURITY__MECHANISM", Some("PLAIN"))],
        &[
            ("KAFKA__SECURITY__MECHANISM", Some("SCRAM-SHA-256")),
            ("KAFKA__SECURITY__CERTIFICATE", Some(&certificate)),
            ("KAFKA__SECURITY__KEY", Some(&locked)),
            ("KAFKA__SECURITY__KEY_PASSWORD", Some(&key_password)),
        ],
    ];
    let keyspace = unique("secure");
    let place = format!("--cassandra {cassandra} --keyspace {keyspace}");
    run(secured(&[], &format!("schema apply spotify {place}")));
    for way in ways {
        let topic = unique("secure");
        let sent = "--count 200 --rate 0 --bad 3";
        run(secured(
            way,
            &format!("produce spotify --brokers {kafka} --topic {topic} {sent}"),
        ));
        let once = format!("--plugin spotify --topic {topic} --group {topic} --once {place}");
        let said = run(secured(way, &once));
        let line = "in 200 = written 197 + filtered 0 + dead letters 3 + pending 0";
        assert!(said.contains(line), "{said}");
    }
    let answer = run(secured(
        &[],
        &format!("query spotify sample {place} --json"),
    ));
    assert!(answer.matches("\"song\"").count() == 50, "{answer}");
}

/// A refusal: what was changed, and what of it must be said, on standard error and within a bound.
type Refusal<'a> = (&'a [(&'a str, Option<&'a str>)], &'a [&'a str]);

/// Runs until all is said or the process ends; then ends it.
fn check(command: Command, parts: &[&str], ends: bool) {
    let mut command = command;
    let began = Instant::now();
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (sender, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut bytes) {
            if sender
                .send(String::from_utf8_lossy(&bytes[..count]).into_owned())
                .is_err()
            {
                return;
            }
        }
    });
    let mut text = String::new();
    while !parts.iter().all(|part| text.contains(part)) {
        let left = TOLD_MAX.saturating_sub(began.elapsed());
        match said.recv_timeout(left) {
            Ok(more) => text += &more,
            Err(error) => {
                child.kill().unwrap();
                panic!(
                    "{error} after {:?}; of {parts:?}, it said\n{text}",
                    began.elapsed()
                );
            }
        }
    }
    if ends {
        let mut status = None;
        wait_until("the end of a host that is refused", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.and_then(|status| status.code()), Some(1), "{text}");
    } else {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(!text.contains("hunter2"), "{text}");
}

/// A password that the servers do not know, in a file.
fn wrong_password() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("word");
    std::fs::write(&path, "hunter2\n").unwrap();
    let reference = format!("file:{}", path.display());
    (folder, reference)
}

#[test]
fn kafka_says_why_it_lets_nobody_in() {
    let (_folder, wrong) = wrong_password();
    let stranger = format!(
        "{}/secure/stranger.pem",
        variable("SLUICE_TEST_SECURE_HOME")
    );
    let final_ones: [Refusal<'_>; 3] = [
        (
            &[("KAFKA__SECURITY__PASSWORD", Some(&wrong))],
            &["Authentication failed", "compare `username` and `password`"],
        ),
        (
            &[
                ("KAFKA__SECURITY__PASSWORD", Some(&wrong)),
                ("KAFKA__SECURITY__MECHANISM", Some("PLAIN")),
            ],
            &["Authentication failed", "compare `username` and `password`"],
        ),
        (
            &[("KAFKA__SECURITY__CA", Some(&stranger))],
            &["certificate verify failed", "no authority of `ca`"],
        ),
    ];
    let kafka = variable("SLUICE_TEST_SECURE_KAFKA");
    let produce = format!("produce spotify --brokers {kafka} --topic refused --count 1 --rate 0");
    let pipeline = "--plugin spotify --topic refused --sink none --group refused";
    for (changes, parts) in final_ones {
        check(secured(changes, &produce), parts, true);
        check(secured(changes, pipeline), parts, true);
    }
    // A broker that is just starting looks the same: these are told, and waited for.
    let none =
        ["CA", "MECHANISM", "USERNAME", "PASSWORD"].map(|name| format!("KAFKA__SECURITY__{name}"));
    let without = |count: usize| {
        let names = none.iter().take(count).map(|name| (name.as_str(), None));
        names.collect::<Vec<_>>()
    };
    let login: Vec<_> = none[1..].iter().map(|name| (name.as_str(), None)).collect();
    for (changes, part) in [
        (without(4), "it speaks TLS at this port"),
        (without(1), "it speaks TLS at this port"),
        (login, "it wants a login"),
    ] {
        check(secured(&changes, pipeline), &["waiting", part], false);
    }
}

#[test]
fn cassandra_says_why_it_lets_nobody_in() {
    let (_folder, wrong) = wrong_password();
    let stranger = format!(
        "{}/secure/stranger.pem",
        variable("SLUICE_TEST_SECURE_HOME")
    );
    let cases: [Refusal<'_>; 3] = [
        (
            &[("CASSANDRA__PASSWORD", Some(&wrong))],
            &["Authentication failed", "compare `username` and `password`"],
        ),
        (
            &[("CASSANDRA__TLS__CA", Some(&stranger))],
            &[
                "self-signed certificate in certificate chain",
                "say the file of its authority",
            ],
        ),
        (
            &[("CASSANDRA__USERNAME", None), ("CASSANDRA__PASSWORD", None)],
            &[
                "Authentication is required",
                "say `username` and `password`",
            ],
        ),
    ];
    let cassandra = variable("SLUICE_TEST_SECURE_CASSANDRA");
    let schema = format!("schema diff spotify --cassandra {cassandra}");
    let samples = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../plugins/spotify/samples.jsonl"
    );
    let pipeline = format!("--plugin spotify --source {samples} --cassandra {cassandra}");
    for (changes, parts) in cases {
        check(secured(changes, &schema), parts, true);
        check(secured(changes, &pipeline), parts, true);
    }
    // Waited for, as for a node that is just starting.
    let tls =
        ["CA", "CERTIFICATE", "KEY", "KEY_PASSWORD"].map(|name| format!("CASSANDRA__TLS__{name}"));
    let without: Vec<_> = tls.iter().map(|name| (name.as_str(), None)).collect();
    check(
        secured(&without, &pipeline),
        &["waiting", "say `ca` in [cassandra.tls]"],
        false,
    );
}
