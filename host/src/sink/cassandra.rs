//! Rows into Cassandra.
//!
//! A thread of its own drives the session's runtime always, so that connections stay alive while
//! the worker is busy elsewhere; the worker hands a batch over and waits for one answer. What is
//! sent, and how much at a time, is decided in [`plan`] and [`write`]; when to try again is not
//! decided here at all.

mod plan;
mod reader;
mod session;
mod statement;
mod tls;
mod window;
mod write;

use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub use reader::{Cluster, Reader};
pub use session::{connect, failed};
pub use tls::{Settings as TlsSettings, Tls};

use super::schema::check_name;
use super::{Error, Refused, Requests, Sink};
use crate::row::{Key, Target, Transformed};

/// How many replicas must acknowledge a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
#[expect(missing_docs, reason = "they are Cassandra's names")]
#[rustfmt::skip]
pub enum Consistency { One, Two, Three, Quorum, All, LocalOne, LocalQuorum, EachQuorum }

impl FromStr for Consistency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "one" => Ok(Self::One),
            "two" => Ok(Self::Two),
            "three" => Ok(Self::Three),
            "quorum" => Ok(Self::Quorum),
            "all" => Ok(Self::All),
            "local_one" => Ok(Self::LocalOne),
            "local_quorum" => Ok(Self::LocalQuorum),
            "each_quorum" => Ok(Self::EachQuorum),
            other => Err(format!(
                "`{other}` is not a consistency; local_quorum is one"
            )),
        }
    }
}

impl TryFrom<String> for Consistency {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Where rows go, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// Nodes to begin with, as `host:port`; the others are found.
    pub contact_points: Vec<String>,
    /// The data centre whose nodes are asked; `None` = any.
    pub local_datacenter: Option<String>,
    /// The name and the password to log in with.
    pub login: Option<(String, SecretString)>,
    /// How TLS is spoken; `None` = not at all.
    pub tls: Option<Tls>,
    /// The keyspace of the tables.
    pub keyspace: String,
    /// The pipeline's name, for the command that mends a schema.
    pub pipeline: Option<String>,
    /// `None` = local_quorum, or local_one where there is one replica.
    pub consistency: Option<Consistency>,
    /// After how long rows vanish; `None` = as the table says.
    pub ttl: Option<Duration>,
    /// How long connecting may take: nodes that answer nothing are given up after it.
    pub connect_timeout: Duration,
    /// How long to wait for an answer. It should exceed the server's own limit of 10 s.
    pub request_timeout: Duration,
    /// The most requests of many rows at a time. More than 16 lowers the rate.
    pub requests_in_flight_max: usize,
    /// Counts requests of rows, in all sessions with this configuration.
    pub requests: Arc<Requests>,
}

impl Config {
    /// The defaults, for a keyspace.
    pub fn new(keyspace: String) -> Self {
        Self {
            contact_points: vec!["localhost:9042".into()],
            local_datacenter: None,
            login: None,
            tls: None,
            keyspace,
            pipeline: None,
            consistency: None,
            ttl: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(12),
            requests_in_flight_max: 8,
            requests: Arc::default(),
        }
    }

    /// Where the store is, for messages.
    pub fn store(&self) -> String {
        format!("Cassandra at {}", self.contact_points.join(", "))
    }
}

enum Command {
    Prepare(Vec<Target>),
    Write(Arc<Transformed>),
}

enum Answer {
    Prepared(Result<Vec<Key>, Error>),
    Written(Result<Vec<Refused>, Error>),
}

/// A sink with a session of its own.
pub struct Cassandra {
    commands: UnboundedSender<Command>,
    answers: Receiver<Answer>,
}

impl Cassandra {
    /// Starts the session's thread. It connects in [`Sink::prepare`], not here.
    ///
    /// # Errors
    /// When the system gives no thread, or the names in `config` are not usable.
    pub fn open(config: &Config) -> Result<Self, Error> {
        check_name("keyspace", &config.keyspace)?;
        let refused = |reason: std::io::Error| Error::Refused {
            store: config.store(),
            reason: reason.to_string(),
        };
        let runtime = session::runtime().map_err(refused)?;
        let (commands, todo) = unbounded_channel();
        let (done, answers) = channel();
        let writer = write::Writer::new(config.clone());
        thread::Builder::new()
            .name("cassandra".into())
            .spawn(move || runtime.block_on(serve(writer, todo, done)))
            .map_err(refused)?;
        Ok(Self { commands, answers })
    }

    fn send(&self, command: Command) {
        self.commands
            .send(command)
            .expect("the session's thread lives as long as this");
    }
}

/// Carries out one command after the other, until the sink is dropped.
async fn serve(
    mut writer: write::Writer,
    mut todo: UnboundedReceiver<Command>,
    done: Sender<Answer>,
) {
    while let Some(command) = todo.recv().await {
        let answer = match command {
            Command::Prepare(targets) => Answer::Prepared(writer.prepare(targets).await),
            Command::Write(batch) => Answer::Written(writer.write(&batch).await),
        };
        if done.send(answer).is_err() {
            return;
        }
    }
}

impl Sink for Cassandra {
    fn prepare(&mut self, targets: &[Target]) -> Result<Vec<Key>, Error> {
        self.send(Command::Prepare(targets.to_vec()));
        match self
            .answers
            .recv()
            .expect("the session's thread lives as long as this")
        {
            Answer::Prepared(keys) => keys,
            Answer::Written(_) => panic!("tables are prepared before or after a batch, not during"),
        }
    }

    fn start(&mut self, batch: &Arc<Transformed>) {
        self.send(Command::Write(batch.clone()));
    }

    fn poll(&mut self, wait: Duration) -> Option<Result<Vec<Refused>, Error>> {
        match self.answers.recv_timeout(wait) {
            Ok(Answer::Written(refused)) => Some(refused),
            Ok(Answer::Prepared(_)) => panic!("its answer was taken in `prepare`"),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the session's thread panicked"),
        }
    }
}
