//! Measures the host as its user runs it, on the real servers of `services/`.
//!
//! `cargo bench --bench measure -- none write start latency` runs the named measurements; each
//! prints one line a run and the median at the end. Topics are made once and kept. Figures are good
//! for comparing two builds on one machine, side by side; a lone figure says little.

#![expect(clippy::print_stdout, reason = "a program that prints its figures")]

use std::process::{Command, Stdio};
use std::time::Instant;

mod latency;
mod load;

/// How often each measurement is repeated, unless the last argument is a number.
const RUNS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let runs = arguments
        .iter()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(RUNS);
    let named = |name: &str| arguments.iter().any(|argument| argument == name);
    if named("none") {
        none(runs);
    }
    if named("write") {
        for people in [1_000, 11, 100_000] {
            write(runs, people);
        }
    }
    if named("start") {
        start(runs);
    }
    if named("latency") {
        for rate in [200, 2_000, 10_000] {
            latency::measure(rate);
        }
    }
    if !["none", "write", "start", "latency"].into_iter().any(named) {
        println!("name what to measure: none write start latency");
    }
}

/// Kafka to rows, without a database.
fn none(runs: usize) {
    let load = load::Load {
        people: 1_000,
        messages: 2_000_000,
    };
    let topic = load.topic();
    println!(
        "none: {} messages, 8 partitions, gzip, --sink none",
        load.messages
    );
    let figures: Vec<_> = (0..runs)
        .map(|_| once(&topic, &["--sink", "none"], &load))
        .collect();
    medians(&figures);
}

/// Kafka to acknowledged rows and committed offsets.
fn write(runs: usize, people: usize) {
    let load = load::Load {
        people,
        messages: 500_000,
    };
    let topic = load.topic();
    load::schema();
    println!(
        "write: {} messages of {people} people, Cassandra",
        load.messages
    );
    let keyspace = ["--keyspace", load::KEYSPACE];
    let figures: Vec<_> = (0..runs).map(|_| once(&topic, &keyspace, &load)).collect();
    medians(&figures);
}

/// From starting the process to its first acknowledged row.
fn start(runs: usize) {
    let load = load::Load {
        people: 11,
        messages: 1_000,
    };
    let topic = load.topic();
    load::schema();
    println!("start: process start to the end of 1,000 messages with --once");
    let keyspace = ["--keyspace", load::KEYSPACE];
    let figures: Vec<_> = (0..runs).map(|_| once(&topic, &keyspace, &load)).collect();
    medians(&figures);
}

struct Figures {
    /// From the first message taken to the last row acknowledged, as the host says.
    seconds: f64,
    wall: f64,
    cpu: f64,
    peak_mib: f64,
    first_row_ms: f64,
    messages: f64,
}

/// Runs the host over a whole topic with a group of its own.
fn once(topic: &str, more: &[&str], load: &load::Load) -> Figures {
    let group = format!("bench-{}", uuid::Uuid::new_v4());
    let began = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    command
        .args(["--plugin", "spotify.wasm", "--once", "--progress", "json"])
        .args([
            "--brokers",
            &load::kafka(),
            "--cassandra",
            &load::cassandra(),
        ])
        .args(["--topic", topic, "--group", &group])
        .args(load::lookup_flags())
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("the host starts");
    let (mut first, mut last, mut messages) = (None, 0.0, 0.0);
    let lines = std::io::BufRead::lines(std::io::BufReader::new(
        child.stdout.take().expect("its output is piped"),
    ));
    for line in lines.map_while(Result::ok) {
        let now = began.elapsed().as_secs_f64();
        let line: serde_json::Value = serde_json::from_str(&line).expect("a JSON line a batch");
        let batch = line["durationMs"]["triggerExecution"]
            .as_f64()
            .unwrap_or_default()
            / 1e3;
        let first_row = first.get_or_insert((now, now - batch));
        last = now - first_row.1;
        messages += line["numInputRows"].as_f64().unwrap_or_default();
    }
    let used = load::wait(&mut child);
    // A rebalance between its own workers at the start may make it read a batch twice.
    assert!(
        messages >= load.messages as f64,
        "the host read the whole topic"
    );
    let figures = Figures {
        seconds: last,
        wall: began.elapsed().as_secs_f64(),
        cpu: used.cpu_seconds,
        peak_mib: used.peak_mib,
        first_row_ms: first.map_or(0.0, |(at, _)| at * 1e3),
        messages,
    };
    figures.print("run");
    figures
}

impl Figures {
    fn print(&self, name: &str) {
        println!(
            "  {name}: {:.0} messages/s, CPU {:.2} us a message, peak {:.0} MiB, first batch \
             durable after {:.0} ms, whole {:.2} s",
            self.messages / self.seconds,
            self.cpu * 1e6 / self.messages,
            self.peak_mib,
            self.first_row_ms,
            self.wall,
        );
    }
}

fn medians(figures: &[Figures]) {
    let median = |of: &dyn Fn(&Figures) -> f64| {
        let mut values: Vec<f64> = figures.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Figures {
        seconds: median(&|f| f.seconds),
        wall: median(&|f| f.wall),
        cpu: median(&|f| f.cpu),
        peak_mib: median(&|f| f.peak_mib),
        first_row_ms: median(&|f| f.first_row_ms),
        messages: median(&|f| f.messages),
    }
    .print("median");
}
