//! What the host must survive, shown with whole pipelines: the binary, messages in a file or at a
//! broker within this process, rows in SQLite. Each test injects one row of faults and compares all
//! tables and letters with what the messages ask for: nothing lost, nothing extra, wrong or stale.
//!
//! The plugin is the misbehaving one. Messages that behave (`set KEY NUMBER`) stand around those that
//! do not; many of them share a key, so that an older write over a newer one would show.

mod broker;
mod files;
mod guest;
mod limits;
mod poison;
mod settings;
mod watched;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use host::source::kafka;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::contract::module;
use crate::support::{self, Verdict, host, signal, wait_until};

/// How long a broker within this process may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many keys a partition's messages share.
const KEYS: usize = 7;

const CONFIG: &str = r#"name = "faults"
topic = "faults"
schema = "schema.cql"

[plugin]
path = "plugin.wasm"

[plugin.limits]
memory_max = 33554432
output_max = 4194304
call_max = "300ms"

[kafka.properties]
"session.timeout.ms" = "6000"
"heartbeat.interval.ms" = "50"
"fetch.error.backoff.ms" = "10"

[cassandra]
keyspace = "faults"
"#;

const SCHEMA: &str = "CREATE KEYSPACE IF NOT EXISTS faults
    WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
CREATE TABLE IF NOT EXISTS faults.facts (id text PRIMARY KEY, number int, note text);
CREATE TABLE IF NOT EXISTS faults.others (id text PRIMARY KEY, number int);
";

/// A run into SQLite.
const RUN: [&str; 5] = ["run", "--plugin", "plugin.wasm", "--sink", "sqlite:out"];

/// A message that behaves: the `number`th of its partition.
pub(crate) fn fine(partition: i32, number: usize) -> String {
    format!("set {partition}-{} {number}", number % KEYS)
}

/// What messages ask for.
#[derive(Debug, Default)]
struct Expected {
    /// The last number of each key.
    facts: BTreeMap<String, i64>,
    /// A row for each message that behaves.
    others: BTreeMap<String, i64>,
    /// The code of each letter, by partition and offset.
    letters: BTreeMap<(i32, i64), String>,
    messages: usize,
}

impl Expected {
    /// Notes a partition's messages, in their order: each with its code, if it must be a letter.
    fn note<'a>(
        &mut self,
        partition: i32,
        all: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) {
        for (offset, (message, code)) in (0..).zip(all) {
            self.messages += 1;
            if let Some(code) = code {
                self.letters.insert((partition, offset), code.to_owned());
                continue;
            }
            let row = message
                .strip_prefix("set ")
                .and_then(|row| row.split_once(' '));
            let (key, number) = row.expect("what behaves sets a row");
            let number = number.parse().expect("it is a number");
            self.facts.insert(key.to_owned(), number);
            self.others.insert(message.to_owned(), number);
        }
    }

    /// The messages of a partition that all behave.
    fn note_fine(&mut self, partition: i32, count: usize) {
        let all: Vec<_> = (0..count).map(|number| fine(partition, number)).collect();
        self.note(partition, all.iter().map(|message| (&**message, None)));
    }
}

/// A folder with a pipeline and what comes out of it.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        for (name, bytes) in [
            ("pipeline.toml", CONFIG.as_bytes()),
            ("schema.cql", SCHEMA.as_bytes()),
            ("plugin.wasm", module()),
        ] {
            fs::write(folder.path().join(name), bytes).expect("there is room for files");
        }
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The host with rows going to SQLite.
    pub(crate) fn host(&self, more: &[&str]) -> Command {
        let mut host = host();
        host.current_dir(self.folder.path()).args(RUN).args(more);
        host.stdin(Stdio::null());
        host
    }

    /// The host under limits that the shell sets: `ulimit -n 64`, or a signal to ignore.
    fn limited(&self, limits: &str, more: &[&str]) -> Command {
        let binary = host();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")]);
        shell.arg(binary.get_program()).args(RUN).args(more);
        let variables = binary.get_envs();
        shell.envs(variables.filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(self.folder.path()).stdin(Stdio::null());
        shell
    }

    /// Runs messages from a file, with these flags.
    fn run_file(&self, messages: &[impl AsRef<str>], flags: &[&str]) -> Output {
        self.write_file(messages);
        self.host(&[&["--source", "in.jsonl"], flags].concat())
            .output()
            .expect("the binary runs")
    }

    fn write_file(&self, messages: &[impl AsRef<str>]) {
        let lines: String = messages
            .iter()
            .map(|it| format!("{}\n", it.as_ref()))
            .collect();
        fs::write(self.path("in.jsonl"), lines).expect("there is room for a file");
    }

    /// The letters that are kept, each position once: a replay may keep them again.
    fn letters(&self) -> BTreeMap<(i32, i64), String> {
        let text = fs::read_to_string(self.path("out/dead-letters.jsonl")).unwrap_or_default();
        // The last line may be on its way.
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let letter = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a letter is JSON");
            let number = |name: &str| line[name].as_i64().expect("it has a position");
            let partition = i32::try_from(number("partition")).expect("it is a partition");
            let code = line["code"].as_str().expect("it has a code");
            ((partition, number("offset")), code.to_owned())
        };
        whole.lines().map(letter).collect()
    }

    fn database(&self) -> Option<rusqlite::Connection> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        rusqlite::Connection::open_with_flags(self.path("out/faults.db"), flags).ok()
    }

    /// How many messages have their row of their own by now.
    pub(crate) fn written(&self) -> i64 {
        let count = |database: rusqlite::Connection| {
            database
                .query_row("SELECT count(*) FROM others", [], |row| row.get(0))
                .ok()
        };
        self.database().and_then(count).unwrap_or(0)
    }

    fn rows(&self, table: &str) -> BTreeMap<String, i64> {
        let Some(database) = self.database() else {
            return BTreeMap::new();
        };
        let query = format!("SELECT id, number FROM {table}");
        let mut query = database.prepare(&query).expect("the table is there");
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.and_then(Iterator::collect)
            .expect("the rows can be read")
    }

    /// Compares all there is with all there must be.
    fn judge(&self, expected: &Expected) -> Verdict {
        let mut verdict = Verdict::default();
        let others = differences(&expected.others, &self.rows("others"), &mut verdict);
        verdict.wrong += others.len();
        let found = self.rows("facts");
        for key in differences(&expected.facts, &found, &mut verdict) {
            // A key's numbers grow with its messages.
            let is_older = found[key] < expected.facts[key];
            *(if is_older {
                &mut verdict.stale
            } else {
                &mut verdict.wrong
            }) += 1;
        }
        verdict.wrong += differences(&expected.letters, &self.letters(), &mut verdict).len();
        verdict
    }

    /// Compares, puts it down for the table of faults, and fails unless all is as it must be.
    #[track_caller]
    fn hold(&self, expected: &Expected, row: u8, fault: &str, injected: usize, measured: &str) {
        let verdict = self.judge(expected);
        support::measured(row, fault, injected, verdict, measured);
        assert_eq!(verdict, Verdict::default(), "{fault}: {measured}");
    }
}

/// Counts what is missing and what should not be there; answers with what differs.
fn differences<'a, K: Ord, V: PartialEq>(
    expected: &'a BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
    verdict: &mut Verdict,
) -> Vec<&'a K> {
    verdict.lost += expected
        .keys()
        .filter(|key| !found.contains_key(key))
        .count();
    verdict.extra += found
        .keys()
        .filter(|key| !expected.contains_key(key))
        .count();
    let differs = |(key, value): &(&K, &V)| found.get(key).is_some_and(|found| found != *value);
    expected
        .iter()
        .filter(differs)
        .map(|(key, _)| key)
        .collect()
}

/// A host at work, whose output goes to files; it does not outlive its test.
struct Running {
    child: Child,
    said: PathBuf,
}

impl Running {
    fn start(mut command: Command, folder: &Path) -> Self {
        let file = |name: &str| fs::File::create(folder.join(name)).expect("there is room");
        command.stdout(file("stdout")).stderr(file("stderr"));
        let child = command.spawn().expect("the binary runs");
        Self {
            child,
            said: folder.join("stderr"),
        }
    }

    /// What it has told so far.
    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Waits for something, of a host that must not end meanwhile.
    #[track_caller]
    fn wait_until(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        let said = self.said.clone();
        wait_until(what, || {
            let ended = self.child.try_wait().expect("it is our child");
            let said = || fs::read_to_string(&said).unwrap_or_default();
            assert!(ended.is_none(), "it has ended before {what}: {}", said());
            holds()
        });
    }

    /// Asks it to end as an operator would; its exit code.
    fn stop(&mut self) -> Option<i32> {
        signal(&self.child, "TERM");
        self.child.wait().expect("it is our child").code()
    }

    /// Waits for its end: its exit code, or none if that takes longer, or a signal ended it.
    fn end_within(&mut self, longest: Duration) -> Option<i32> {
        let began = std::time::Instant::now();
        let mut code = None;
        wait_until("its end", || {
            let ended = self.child.try_wait().expect("it is our child");
            code = ended.and_then(|status| status.code());
            ended.is_some() || began.elapsed() > longest
        });
        code
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends messages to a partition, in their order.
pub(crate) fn send(
    producer: &BaseProducer,
    partition: i32,
    messages: impl IntoIterator<Item = String>,
) {
    for message in messages {
        let record = BaseRecord::<str, str>::to("faults").partition(partition);
        producer
            .send(record.payload(&message))
            .expect("the queue has room");
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE).expect("the broker takes them");
}

pub(crate) fn producer(brokers: &str, settings: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("message.max.bytes", "20000000");
    settings
        .iter()
        .for_each(|(name, value)| _ = config.set(*name, *value));
    config.create().expect("the settings are right")
}

/// How far the group has committed each partition.
fn committed(brokers: &str) -> Vec<(i32, Option<i64>)> {
    let config = kafka::Config {
        brokers: brokers.to_owned(),
        topic: "faults".to_owned(),
        group: "sluice-faults".to_owned(),
        ..kafka::Config::default()
    };
    kafka::committed(&config).expect("the broker answers")
}

/// That a host has ended well, and accounts for every message.
#[track_caller]
fn conserved(output: &Output, messages: usize, letters: usize) {
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaint}");
    let written = messages - letters;
    let line = format!(
        "in {messages} = written {written} + filtered 0 + dead letters {letters} + pending 0"
    );
    assert!(said.replace(',', "").contains(&line), "{said}{complaint}");
}
