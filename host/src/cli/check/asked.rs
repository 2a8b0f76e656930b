//! What is asked side by side, each in a thread of its own: what is late is left behind.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::kafka::{self, Kafka};
use super::report::Finding;
use super::{Args, Question, store};
use crate::cli::run::assemble::sink::cassandra_config;
use crate::cli::run::{self, assemble, assemble::SinkKind};
use crate::config::{DeadLetters, Found};
use crate::sink::{dead_letter, sqlite};

/// When what has not come to an end is given up.
const CHECK_MAX: Duration = Duration::from_millis(4_600);

/// What Kafka is asked, and what else is known of where messages come from and go.
pub(super) struct Stream {
    subjects: Vec<String>,
    asked: Option<Receiver<Vec<Finding>>>,
    /// Why nobody was asked, if so.
    why_not: &'static str,
    letters: Option<Finding>,
}

impl Stream {
    pub(super) fn findings(self, began: Instant) -> Vec<Finding> {
        let why_not = self.why_not;
        let missing = |subject: String, is_first: bool| match (&self.asked, is_first) {
            (None, _) => Finding::not_asked(subject, why_not),
            (Some(_), true) => Finding::failed(subject, late(), STALLS),
            (Some(_), false) => Finding::not_asked(subject, "the broker does not answer"),
        };
        let answered = self.asked.as_ref().and_then(|asked| wait(asked, began));
        let mut findings = answered.unwrap_or_else(|| {
            let subjects = self.subjects.into_iter().enumerate();
            subjects
                .map(|(index, subject)| missing(subject, index == 0))
                .collect()
        });
        findings.extend(self.letters);
        findings
    }
}

/// What keeps an answer away for longer than every limit that we have set.
const STALLS: &str = "a server stalls, or its name is not resolved in time";

/// Why a check was not made that needs the network.
const OFFLINE: &str = "--offline";
/// Why nobody was asked: what is wrong with the configuration is told there.
const UNUSABLE: &str = "the configuration cannot be used";

pub(super) fn stream(args: &Args, run: &run::Args, found: &Found, question: &Question) -> Stream {
    let Ok(config) = assemble::kafka_config(run, found) else {
        return Stream {
            subjects: [kafka::BROKER, kafka::LETTERS].map(str::to_owned).into(),
            asked: None,
            why_not: UNUSABLE,
            letters: None,
        };
    };
    let (letters, known) = match (found.file.dead_letters, &args.sink) {
        (DeadLetters::Off, _) => {
            let way_out = "`dead_letters = \"on\"` keeps them";
            let off = "off: rejected messages count as left out";
            (None, Some(Finding::warning(kafka::LETTERS, off, way_out)))
        }
        (DeadLetters::On, SinkKind::Sqlite(directory)) => {
            let file = directory.join("dead-letters.jsonl");
            let known = Finding::passed(kafka::LETTERS, file.display().to_string());
            (None, Some(known))
        }
        (DeadLetters::On, SinkKind::Cassandra | SinkKind::None) => {
            let origin = dead_letter::Origin {
                name: found.file.name.clone(),
                version: String::new(),
                digest: String::new(),
            };
            let (brokers, topic) = (&config.brokers, &config.topic);
            match dead_letter::Topic::open(brokers, topic, &config.properties, origin) {
                Ok(letters) => (Some(letters), None),
                Err(_) => (None, Some(Finding::not_asked(kafka::LETTERS, UNUSABLE))),
            }
        }
    };
    let kafka = Kafka {
        config,
        letters,
        workers: args.workers.map(usize::from),
        question: question.clone(),
    };
    let mut subjects = vec![kafka::BROKER.to_owned()];
    subjects.extend(kafka.subjects());
    let asked = (!args.offline).then(|| beside(move || kafka.findings()));
    Stream {
        subjects,
        asked,
        why_not: OFFLINE,
        letters: known,
    }
}

/// The store: asked, or known without.
pub(super) enum Store {
    Asked(Receiver<store::Found>),
    Known(store::Found),
}

impl Store {
    pub(super) fn found(self, began: Instant) -> store::Found {
        match self {
            Self::Known(found) => found,
            Self::Asked(asked) => wait(&asked, began).unwrap_or_else(|| store::Found {
                findings: vec![Finding::failed(store::CASSANDRA, late(), STALLS)],
                tables: Err("Cassandra does not answer".to_owned()),
            }),
        }
    }
}

pub(super) fn store(args: &Args, found: &Found, question: &Question) -> Store {
    let keyspace = found.file.cassandra.keyspace.clone();
    let known = |findings: Vec<Finding>, reason: &str| {
        let tables = Err(reason.to_owned());
        Store::Known(store::Found { findings, tables })
    };
    match (&args.sink, &found.schema) {
        (SinkKind::None, _) => known(Vec::new(), "rows go nowhere"),
        (SinkKind::Sqlite(_), None) => {
            let missing = Finding::not_asked(store::SQLITE, "there is no schema");
            known(vec![missing], "there is no schema")
        }
        (SinkKind::Sqlite(directory), Some(schema)) => {
            let config = sqlite::Config {
                directory: directory.clone(),
                keyspace,
                schema: schema.text.clone(),
            };
            Store::Known(store::sqlite(&config))
        }
        (SinkKind::Cassandra, _) => {
            let subjects = [
                store::CASSANDRA.to_owned(),
                format!("keyspace `{keyspace}`"),
            ];
            let not_asked = |reason| {
                let findings = subjects.map(|subject| Finding::not_asked(subject, reason));
                known(findings.into(), reason)
            };
            match cassandra_config(found) {
                _ if args.offline => not_asked(OFFLINE),
                Err(_) => not_asked(UNUSABLE),
                Ok(config) => {
                    let question = question.clone();
                    Store::Asked(beside(move || store::cassandra(config, &question)))
                }
            }
        }
    }
}

/// Does a part of the work in a thread of its own, which may be left behind.
pub(super) fn beside<T: Send + 'static>(part: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (done, answer) = channel();
    // Nobody listens any more to what comes too late.
    std::thread::spawn(move || done.send(part()).ok());
    answer
}

pub(super) fn wait<T>(part: &Receiver<T>, began: Instant) -> Option<T> {
    part.recv_timeout(CHECK_MAX.saturating_sub(began.elapsed()))
        .ok()
}

pub(super) fn late() -> String {
    format!("it took longer than {:.1} s", CHECK_MAX.as_secs_f64())
}
