//! Versions traded in a running pipeline, and taken back: the real workers, a broker within this process,
//! and tables in memory.

mod gated;
mod steward;
mod watched;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use host::checkpoint;
use host::embedded::Broker;
use host::pipeline::{self, Plan};
use host::plugin::{self, Plugin};
use host::sink::dead_letter::Off;
use host::sink::memory::Memory;
use host::sink::{Room, Sink};
use host::source::{Limits, kafka};
use host::swap::{Means, Steward};
use host::version::Version;
use host::worker::{
    self, Back, Control, Ended, Ends, Error, Fitted, Order, Report, Trade, sweeping,
};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::contract::candidates::candidate;

const TOPIC: &str = "facts";
const PARTITIONS: i32 = 4;
const KEYS: usize = 5;
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const SCHEMA: &str = "CREATE TABLE k.facts (id text PRIMARY KEY, number int, note text);
    CREATE TABLE k.others (id text PRIMARY KEY, number int);";
/// What a version adds to a number is below it.
const STEP: usize = 100;

fn version(words: &str) -> Version {
    let plugin = Plugin::load(
        "candidate.wasm",
        &candidate(words),
        &plugin::Config::default(),
    );
    Version {
        plugin: plugin.unwrap(),
        lookups: vec![],
    }
}

/// A running pipeline, and what it must have made.
struct World {
    control: Arc<Control>,
    pipeline: JoinHandle<Result<Ended, Error>>,
    reports: Receiver<Report>,
    producer: BaseProducer,
    memory: Memory,
    /// While it is locked, the store opens no connection.
    store: Arc<Mutex<()>>,
    steward: Option<Steward>,
    sent: usize,
    /// By number: what each message's version adds, and puts before its key.
    versions: BTreeMap<usize, (usize, &'static str)>,
    generation: u32,
    _broker: Broker,
}

impl World {
    fn start(version: Version) -> Self {
        Self::start_with(version, |_| None)
    }

    /// With a steward, if there are means for one.
    fn start_with(version: Version, means: impl FnOnce(Arc<Plan>) -> Option<Means>) -> Self {
        let broker = Broker::start(TOPIC, PARTITIONS).unwrap();
        let memory = Memory::open(SCHEMA).unwrap();
        let config = kafka::Config {
            brokers: broker.brokers(),
            topic: TOPIC.to_owned(),
            group: "group".to_owned(),
            code: version.code(),
            ..kafka::Config::default()
        };
        let store = Arc::<Mutex<()>>::default();
        let (tables, opens) = (memory.clone(), store.clone());
        let plan = Plan {
            topic: TOPIC.into(),
            // Two of them wait for each other at this broker, for as long as a session.
            workers: 1,
            worker: worker::Config {
                limits: Limits::default(),
                interval: None,
                is_fatal_when_held: true,
                keeps_letters: true,
                has_breaker: false,
                notes: None,
                recent: None,
            },
            version,
            source: Box::new(move || {
                let (source, committer) = kafka::join(&config)?;
                let checkpoint = checkpoint::kafka::Kafka::new(committer, None);
                Ok((Box::new(source), Box::new(checkpoint)))
            }),
            sink: Box::new(move |_| {
                drop(opens.lock().unwrap_or_else(PoisonError::into_inner));
                Ok(Room::new(Box::new(tables.clone()), Box::new(Off)))
            }),
            grace: PATIENCE,
        };
        let plan = Arc::new(plan);
        let control = Arc::new(Control::new(
            Arc::new(AtomicBool::new(false)),
            Ends::default(),
        ));
        let steward =
            means(plan.clone()).map(|means| Steward::begin(means, control.clone()).unwrap());
        let (tell, reports) = channel();
        let (theirs, watches) = (control.clone(), steward.clone());
        let pipeline = std::thread::spawn(move || {
            pipeline::run(plan, &theirs, &mut |report| {
                if let Some(report) = report {
                    if let Some(steward) = &watches {
                        steward.observe(report);
                    }
                    tell.send(report.clone()).unwrap();
                }
            })
        });
        let mut producer = ClientConfig::new();
        producer.set("bootstrap.servers", broker.brokers());
        Self {
            control,
            pipeline,
            reports,
            producer: producer.create().unwrap(),
            memory,
            store,
            steward,
            sent: 0,
            versions: BTreeMap::new(),
            generation: 0,
            _broker: broker,
        }
    }

    /// Sends messages that are to be made into rows by the version that adds so much to their numbers, and
    /// puts this before their keys.
    fn send(&mut self, count: usize, add: usize, layout: &'static str) {
        for _ in 0..count {
            let key = self.sent % KEYS;
            let payload = format!("set {key} {}", self.sent * STEP);
            let partition = i32::try_from(key).unwrap() % PARTITIONS;
            let record = BaseRecord::<str, str>::to(TOPIC).payload(&payload);
            self.producer.send(record.partition(partition)).unwrap();
            self.versions.insert(self.sent, (add, layout));
            self.sent += 1;
        }
        self.producer.flush(PATIENCE).unwrap();
    }

    /// Waits until the tables are as the messages and their versions have them.
    fn drain(&self) {
        let mut wanted = [BTreeMap::new(), BTreeMap::new()];
        for (number, (add, layout)) in &self.versions {
            let (key, number) = (number % KEYS, number * STEP);
            wanted[0].insert(format!("{layout}{key}"), number + add);
            wanted[1].insert(format!("set {key} {number}"), number + add);
        }
        let deadline = Instant::now() + PATIENCE;
        while self.rows() != wanted && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        assert_eq!(self.rows(), wanted);
    }

    /// The numbers of both tables, by their ids.
    fn rows(&self) -> [BTreeMap<String, usize>; 2] {
        let text = self.memory.to_string();
        let mut tables = [BTreeMap::new(), BTreeMap::new()];
        let mut lines = text.lines();
        while let Some(table) = lines.next() {
            let mut cell = || lines.next().unwrap().split_once(" = ").unwrap().1;
            let (id, number) = (cell().to_owned(), cell().parse().unwrap());
            tables[usize::from(table == "others")].insert(id, number);
        }
        tables
    }

    /// Trades what runs for this version. Gives the first offset of each partition that it makes rows of.
    fn trade(&mut self, version: &Version) -> BTreeMap<i32, i64> {
        self.generation += 1;
        let keys = self.memory.clone().prepare(targets(version)).unwrap();
        let trade = Trade {
            fitted: Fitted::of(version, keys).unwrap(),
            sink: None,
            generation: self.generation,
            keys_bytes_max: 1 << 20,
        };
        self.control.order(0, Order::Trade(Box::new(trade)));
        self.reported(|report| {
            let Report::Traded { firsts, .. } = report else {
                return None;
            };
            Some(firsts)
        })
    }

    /// Takes a version back that has begun at these offsets.
    fn back(&mut self, version: &Version, from: BTreeMap<i32, i64>) {
        let mut sweeper = self.memory.clone();
        let keys = sweeper.prepare(targets(version)).unwrap();
        sweeper.prepare(&sweeping(targets(version), &keys)).unwrap();
        let back = Back {
            generation: self.generation + 1,
            sweeper: Box::new(sweeper),
            from,
        };
        self.generation += 2;
        self.control.order(0, Order::Back(Box::new(back)));
        self.reported(|report| matches!(report, Report::WentBack { .. }).then_some(()));
    }

    /// Waits for a report.
    fn reported<T>(&self, wanted: impl Fn(Report) -> Option<T>) -> T {
        loop {
            let report = self.reports.recv_timeout(PATIENCE).unwrap();
            if let Some(told) = wanted(report) {
                return told;
            }
        }
    }

    fn stop(self) {
        self.control.stop();
        assert_eq!(self.pipeline.join().unwrap().unwrap(), Ended::Drained);
    }
}

fn targets(version: &Version) -> &[host::row::Target] {
    &version.plugin.description().targets
}

#[test]
fn a_version_is_traded_and_kept() {
    let mut world = World::start(version("version=1.0.0"));
    world.send(100, 0, "");
    world.drain();
    for (words, add, layout) in [
        ("add=1", 1, ""),
        ("add=2 layout=b/", 2, "b/"),
        ("add=3", 3, ""),
    ] {
        let version = version(words);
        world.trade(&version);
        world.send(100, add, layout);
        world.drain();
        world.control.order(0, Order::Keep);
    }
    world.stop();
}

/// Rows that only it made are deleted, and the others are again what the version before makes of them,
/// whatever is in flight meanwhile.
#[test]
fn a_version_that_is_taken_back_leaves_nothing() {
    let mut world = World::start(version("version=1.0.0"));
    world.send(100, 0, "");
    world.drain();
    for words in [
        "add=1",
        "add=2 layout=b/",
        "add=3 fault=reject share=50 layout=c/",
    ] {
        let version = version(words);
        let from = world.trade(&version);
        world.send(100, 0, "");
        // Some of it is done by now, some of it is not.
        world.reported(|report| matches!(report, Report::Done(_)).then_some(()));
        world.back(&version, from);
        world.send(100, 0, "");
        world.drain();
    }
    world.stop();
}
