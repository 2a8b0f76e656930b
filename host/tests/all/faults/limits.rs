//! Plugins that take too much, and a host that is given too little.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use host::embedded::Broker;

use super::{Expected, Running, World, conserved, fine, producer, send};
use crate::support::{host, measured, wait_until};

/// The call limit of [`super::CONFIG`], and how much later a call may end.
const CALL_MAX: f64 = 300.0;
const LATE_MAX: f64 = 200.0;

/// The limit of a plugin's memory in [`super::CONFIG`], and what the host may take besides, in KiB.
const MEMORY_MAX: u64 = 32 << 10;
const SLACK_MAX: u64 = 32 << 10;

/// What a batch took: `durationMs` of a line of progress, and of which partition it was.
struct Batch {
    partition: String,
    transform: f64,
    all: f64,
}

/// Runs all that a broker has with two workers and batches of few messages, and nothing behind them.
fn batches(world: &World, brokers: &str, messages_max: &str) -> Vec<Batch> {
    let mut host = host();
    host.current_dir(world.folder.path()).stdin(Stdio::null());
    host.args([
        "run",
        "--plugin",
        "plugin.wasm",
        "--sink",
        "none",
        "--once",
        "--share",
        "--no-breaker",
    ]);
    host.args(["--workers", "2", "--progress", "json", "--brokers", brokers]);
    host.env("SLUICE_BATCH__MESSAGES_MAX", messages_max);
    let output = host.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let batch = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let took = |phase: &str| line["durationMs"][phase].as_f64().unwrap();
        let spans = line["sources"][0]["endOffset"]["faults"]
            .as_object()
            .unwrap();
        let partitions: Vec<_> = spans.keys().cloned().collect();
        Batch {
            partition: partitions.join(","),
            transform: took("transform"),
            all: took("transform") + took("write"),
        }
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(batch)
        .collect()
}

/// The time below which 99 of 100 batches of partition 1 stay, in milliseconds.
fn p99(batches: &[Batch]) -> f64 {
    let neighbours = batches.iter().filter(|batch| batch.partition == "1");
    let mut took: Vec<f64> = neighbours.map(|batch| batch.all).collect();
    took.sort_by(f64::total_cmp);
    assert!(took.len() >= 100, "{} batches", took.len());
    took[took.len() * 99 / 100]
}

#[test]
fn a_loop_delays_its_own_worker_only() {
    const LOOPS: usize = 4;
    const NEIGHBOURS: usize = 2_000;
    /// The other tests of a busy machine may fall into one of two runs; a loop that held the other
    /// worker up would show in each.
    const ATTEMPTS: usize = 3;
    let run = |loops: usize| {
        let broker = Broker::start("faults", 2).unwrap();
        let producer = producer(&broker.brokers(), &[]);
        send(&producer, 0, (0..loops).map(|_| "loop".to_owned()));
        send(&producer, 1, (0..NEIGHBOURS).map(|number| fine(1, number)));
        batches(&World::new(), &broker.brokers(), "10")
    };
    let attempt = || {
        let (calm, faulty) = (run(0), run(LOOPS));
        let loops = faulty.iter().filter(|batch| batch.partition == "0");
        let longest = loops.map(|batch| batch.transform).fold(0.0, f64::max);
        assert!(longest > CALL_MAX, "no call was stopped: {longest} ms");
        let (before, with) = (p99(&calm), p99(&faulty));
        let told =
            format!("p99 of the other worker's batches {with:.1} ms, {before:.1} ms without");
        // Deadlines are kept by a clock that ticks every 10 ms.
        (with < 2.0 * before + 10.0, told)
    };
    let mut attempts: Vec<(bool, String)> = Vec::new();
    while attempts.len() < ATTEMPTS && !attempts.last().is_some_and(|(holds, _)| *holds) {
        attempts.push(attempt());
    }
    let (holds, told) = attempts.last().unwrap();
    assert!(holds, "{attempts:?}");
    measured(
        25,
        "infinite loop beside another worker",
        LOOPS,
        Default::default(),
        told,
    );
}

#[test]
fn a_loop_alone_ends_at_the_limit() {
    const LOOPS: usize = 5;
    let world = World::new();
    let broker = Broker::start("faults", 1).unwrap();
    let producer = producer(&broker.brokers(), &[]);
    send(&producer, 0, (0..LOOPS).map(|_| "loop".to_owned()));
    let mut took: Vec<f64> = batches(&world, &broker.brokers(), "1")
        .iter()
        .map(|batch| batch.transform)
        .collect();
    // A member that joins while a loop runs may take it over, and meets it again.
    assert!(took.len() >= LOOPS, "{}", took.len());
    took.sort_by(f64::total_cmp);
    let median = took[took.len() / 2];
    let told = format!(
        "limit {CALL_MAX} ms, stopped after {:.0} ms (median of {LOOPS})",
        median
    );
    assert!((CALL_MAX..=CALL_MAX + LATE_MAX).contains(&median), "{told}");
    measured(25, "infinite loop", LOOPS, Default::default(), &told);
}

/// The most memory of a run, in KiB, and how many bytes it told.
fn peak(world: &World, messages: &[String], expected: &Expected) -> (u64, u64) {
    world.write_file(messages);
    let mut host = world.host(&["--source", "in.jsonl", "--no-breaker"]);
    host.env("SLUICE_LOG", "info");
    let mut running = Running::start(host, world.folder.path());
    let status = format!("/proc/{}/status", running.child.id());
    let mut most = 0;
    let mut ended = None;
    wait_until("its end", || {
        // So much it ever took: what is read last counts.
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(kib.unwrap_or(0));
        ended = running.child.try_wait().unwrap();
        ended.is_some()
    });
    assert!(ended.unwrap().success(), "{}", running.said());
    assert_eq!(world.judge(expected), Default::default());
    (most, fs::metadata(&running.said).unwrap().len())
}

#[test]
fn bombs_stay_within_their_limits() {
    const COUNT: usize = 200;
    const PLACES: [usize; 3] = [0, COUNT / 2, COUNT - 1];
    /// 100 lines of 8 KiB, with what a line has besides, and a run of less than 20 s.
    const SAID_MAX: u64 = 20 * 100 * (9 << 10);
    let calm: Vec<_> = (0..COUNT).map(|number| fine(0, number)).collect();
    let mut expected = Expected::default();
    expected.note_fine(0, COUNT);
    let (base, quiet) = peak(&World::new(), &calm, &expected);
    for (bomb, code) in [
        ("hoard", Some("memory")),
        ("flood", Some("output")),
        ("log ", None),
    ] {
        let mut messages = calm.clone();
        for place in PLACES {
            messages[place] = match code {
                Some(_) => bomb.to_owned(),
                // It behaves, but for its noise.
                None => format!("{bomb}{}", calm[place]),
            };
        }
        let mut expected = Expected::default();
        let code_of = |message: &String| code.filter(|_| message == bomb);
        let fates = messages.iter().map(code_of);
        expected.note(0, calm.iter().map(String::as_str).zip(fates));
        let (most, said) = peak(&World::new(), &messages, &expected);
        let mib = [most >> 10, base >> 10];
        let told = format!(
            "{} MiB, {} MiB without; {said} bytes of log",
            mib[0], mib[1]
        );
        assert!(most <= base + MEMORY_MAX + SLACK_MAX, "{bomb}: {told}");
        assert!(said <= SAID_MAX, "{bomb}: {told}");
        let fault = match code {
            Some(code) => format!("bomb: {code}"),
            None => {
                assert!(said > 100 * quiet, "nothing is told of it: {told}");
                "bomb: log".to_owned()
            }
        };
        measured(26, &fault, PLACES.len(), Default::default(), &told);
    }
}

/// Too few files, threads or bytes of address space: it works, or says what it lacks, and ends.
#[test]
fn a_host_that_is_given_too_little_works_or_says_why() {
    const LONGEST: Duration = Duration::from_secs(30);
    const COUNT: usize = 500;
    let limits = [
        "ulimit -n 64",
        "ulimit -n 24",
        "ulimit -n 10",
        "ulimit -v 400000",
    ];
    let mut fates = Vec::new();
    for limit in limits {
        let world = World::new();
        let messages: Vec<_> = (0..COUNT).map(|number| fine(0, number)).collect();
        world.write_file(&messages);
        let host = world.limited(limit, &["--source", "in.jsonl"]);
        let mut running = Running::start(host, world.folder.path());
        let code = running.end_within(LONGEST);
        let said = running.said();
        let mut expected = Expected::default();
        expected.note_fine(0, COUNT);
        if code == Some(0) {
            assert_eq!(world.judge(&expected), Default::default(), "{limit}");
        } else {
            assert!(code.is_some(), "{limit}: no end within {LONGEST:?}: {said}");
            assert!(
                said.contains("error: ") && !said.contains("panicked"),
                "{limit}: {said}"
            );
            // What it lacked it has now.
            let output = world.run_file(&messages, &[]);
            conserved(&output, COUNT, 0);
            assert_eq!(world.judge(&expected), Default::default(), "{limit}");
        }
        fates.push(format!("{limit}: exit {}", code.unwrap_or(-1)));
    }
    measured(
        40,
        "too few files, too little memory",
        limits.len(),
        Default::default(),
        &fates.join("; "),
    );
}
