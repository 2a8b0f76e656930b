//! The admin address of a running host, asked by a small client of our own.

mod exposition;
mod grafana;
pub(crate) mod pause;
mod swap;
mod transcript;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::support::{host, wait_until};
pub(crate) use exposition::Scrape;

/// The status and the body that a path is answered with.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    ask(address, &request)
}

fn ask(address: &str, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// A host that runs until its standard input ends, or it is killed.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) address: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = log.by_ref().map_while(Result::ok).find_map(|line| {
            said += &line;
            let (_, rest) = line.split_once("admin at http://")?;
            Some(rest.split('"').next().unwrap().to_owned())
        });
        let address = address.unwrap_or_else(|| panic!("it tells its address: {said}"));
        // Nobody reads the rest, and it shall not stop for that.
        std::thread::spawn(move || log.map_while(Result::ok).for_each(drop));
        let input = child.stdin.take();
        Self {
            child,
            input,
            address,
        }
    }

    /// Ends its input; what it printed in the end.
    fn finish(&mut self) -> String {
        drop(self.input.take());
        let mut said = String::new();
        let output = self.child.stdout.as_mut().unwrap();
        output.read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Messages of a batch: good, unknown and bad ones.
const BATCH: [&str; 5] = [
    r#"{"id": 1, "name": "Ada", "song": "Velvet Zephyr", "time": "2026-03-02 16:05"}"#,
    r#"{"id": 2, "name": "Ada", "song": "Paper Harbour", "time": "2026-03-02 16:06"}"#,
    r#"{"id": 3, "name": "Ada", "song": "Nobody Sang This", "time": "2026-03-02 16:07"}"#,
    "not JSON",
    r#"{"id": 4, "name": "Ada", "song": 7, "time": "2026-03-02 16:07"}"#,
];
const BATCHES: usize = 4;

/// Reads messages from its standard input, as long as there are any.
fn endless(folder: &Path, admin: &str) -> Command {
    let mut host = host();
    host.current_dir(folder)
        .args(["--plugin", "listening-history", "--sink", "sqlite:out"])
        .args(["--source", "-", "--topic", "plays", "--admin", admin])
        .env("SLUICE_BATCH__MESSAGES_MAX", BATCH.len().to_string());
    host
}

/// What is scraped after a batch, and grows by as much with each.
#[rustfmt::skip]
const COUNTED: [(&str, f64); 9] = [
    (r#"sluice_messages_consumed_total{topic="plays",partition="0"}"#, 5.0),
    ("sluice_messages_written_total", 2.0),
    (r#"sluice_rows_written_total{table="listening_history"}"#, 2.0),
    (r#"sluice_messages_filtered_total{code="unknown_song"}"#, 1.0),
    (r#"sluice_messages_dead_lettered_total{stage="decode",code="bad_json"}"#, 1.0),
    (r#"sluice_messages_dead_lettered_total{stage="decode",code="wrong_type"}"#, 1.0),
    (r#"sluice_batch_duration_seconds_count{phase="write"}"#, 1.0),
    ("sluice_messages_pending", 0.0),
    ("sluice_conservation_gap", 0.0),
];

#[test]
fn what_is_counted_is_what_became_of_the_messages() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::start(&mut endless(folder.path(), "127.0.0.1:0"));
    assert_eq!(get(&running.address, "/livez"), (200, "alive\n".to_owned()));
    wait_until("the host to be ready", || {
        get(&running.address, "/readyz").0 == 200
    });
    let text = BATCH
        .map(|line| format!("{line}\n"))
        .concat()
        .repeat(BATCHES);
    let input = running.input.as_mut().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    let scrape = || {
        let (status, text) = get(&running.address, "/metrics");
        assert_eq!(status, 200);
        Scrape::parse(&text)
    };
    wait_until("all batches", || {
        scrape().sum("sluice_batches_total") == BATCHES as f64
    });
    let scrape = scrape();
    let each = BATCHES as f64;
    for (sample, count) in COUNTED {
        assert_eq!(scrape.value(sample), Some(count * each), "{sample}");
    }
    assert_eq!(scrape.value("sluice_ready"), Some(1.0));
    for name in scrape.names() {
        assert!(
            host::telemetry::metrics::ALL
                .iter()
                .any(|known| known.name == name),
            "{name} is not in the list"
        );
    }
    let (status, progress) = get(&running.address, "/api/v1/progress");
    let progress: serde_json::Value = serde_json::from_str(&progress).unwrap();
    assert_eq!((status, &progress["batchId"]), (200, &(BATCHES - 1).into()));
    assert_eq!(progress["sources"][0]["endOffset"]["plays"]["0"], 20);

    let said = running.finish();
    let count = |name| scrape.sum(&format!("sluice_messages_{name}"));
    let conservation = format!(
        "in {} = written {} + filtered {} + dead letters {} + pending {} ",
        count("consumed_total"),
        count("written_total"),
        count("filtered_total"),
        count("dead_lettered_total"),
        count("pending"),
    );
    assert!(said.starts_with(&conservation), "{said}{conservation}");
}

#[test]
fn who_waits_for_kafka_says_so() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let closed = closed.to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut waiting = host();
    waiting
        .current_dir(folder.path())
        .args([
            "--plugin",
            "spotify",
            "--sink",
            "none",
            "--admin",
            "127.0.0.1:0",
        ])
        .args(["--brokers", &closed]);
    let running = Running::start(&mut waiting);
    let reason = format!("not ready\nsource: Kafka at {closed}: ");
    wait_until("the reason", || {
        let (status, body) = get(&running.address, "/readyz");
        assert_eq!(status, 503, "{body}");
        body.starts_with(&reason)
    });
    assert_eq!(get(&running.address, "/livez").0, 200);
    let scrape = Scrape::parse(&get(&running.address, "/metrics").1);
    assert_eq!(scrape.value("sluice_ready"), Some(0.0));
    let waiting = scrape.value(r#"sluice_waiting_workers{room="source"}"#);
    assert_eq!(waiting, Some(1.0));
}

#[test]
fn a_second_process_takes_the_next_port() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Running::start(&mut endless(one.path(), "127.0.0.1:0"));
    let second = Running::start(&mut endless(two.path(), &first.address));
    let port = |running: &Running| running.address.parse::<SocketAddr>().unwrap().port();
    assert!(port(&second) > port(&first), "{}", second.address);
    for running in [&first, &second] {
        assert_eq!(get(&running.address, "/livez").0, 200);
    }
}

/// The address is told in a file of its owner's, as long as it is true.
#[test]
fn programs_find_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let told = || -> Vec<serde_json::Value> {
        let files = std::fs::read_dir(folder.path().join("run/sluice"));
        let files = files.into_iter().flatten().map(|file| file.unwrap().path());
        let finished = files.filter(|path| path.extension().is_some_and(|is| is == "json"));
        let told = finished.map(|path| std::fs::read(path).unwrap());
        told.map(|text| serde_json::from_slice(&text).unwrap())
            .collect()
    };
    let mut host = endless(folder.path(), "127.0.0.1:0");
    let mut running = Running::start(host.env("XDG_RUNTIME_DIR", folder.path().join("run")));
    wait_until("the file", || !told().is_empty());
    let told_now = told();
    assert_eq!(told_now.len(), 1);
    assert_eq!(told_now[0]["address"], running.address);
    assert_eq!(told_now[0]["pid"], running.child.id());
    assert_eq!(told_now[0]["topic"], "plays");
    running.finish();
    assert_eq!(told(), Vec::<serde_json::Value>::new());
}

/// Without an address nothing is listened at; one that cannot be is told before anything begins.
#[test]
fn the_address_is_off_or_right() {
    let folder = tempfile::tempdir().unwrap();
    for (address, code, words) in [
        ("off", 0, ""),
        ("127.0.0.1", 78, "`127.0.0.1` is no address"),
        ("192.0.2.1:9464", 78, "the admin address 192.0.2.1:9464: "),
    ] {
        let mut host = endless(folder.path(), address);
        let output = host.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{address}: {said}");
        assert!(said.contains(words), "{address}: {said}");
        assert!(!said.contains("admin at"), "{address}: {said}");
    }
}
