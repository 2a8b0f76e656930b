//! A topic, a group and a keyspace of a test's own, and hosts that work on them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::DeserializeRow;
use scylla::value::CqlTimestamp;
use tokio::runtime::Runtime;

use super::child::Child;
use crate::dead_letters::keep_refused;
use crate::support::{cassandra, host, kafka, unique};

/// What runs the pipeline.
pub(super) const RUN: [&str; 2] = ["--plugin", "spotify.wasm"];
pub(super) const PARTITIONS: i32 = 8;
const PEOPLE: usize = 50;
pub(super) const TIME_MS: i64 = 1_767_225_600_000;
/// The header of a dead letter that says why, for programs.
const CODE: &str = "__connect.errors.exception.class.name";
/// How long a question to a server may take.
const ANSWER: Duration = Duration::from_secs(20);
const SONGS: &str = "name,artists,duration_ms,album_name,album_release_date,danceability,energy,key,\
    loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo\n\
    Even,A,1,B,2026-01-01,0.25,0.5,1,-5,1,0.1,0.1,0.1,0.1,0.1,100\n";

/// The i-th play: each its own row, every other of a song that nobody knows.
pub(super) fn play(index: usize) -> String {
    let (person, song) = (
        index % PEOPLE,
        if index.is_multiple_of(2) {
            "Even"
        } else {
            "Odd"
        },
    );
    let time = TIME_MS + i64::try_from(index).expect("a test is small");
    format!(r#"{{"name": "person {person}", "song": "{song}", "timestamp": {time}}}"#)
}

/// The table: song and danceability by person and time.
pub(super) type Table = BTreeMap<(String, i64), (String, Option<f32>)>;

/// The table that plays make.
pub(super) fn expected(plays: std::ops::Range<usize>) -> Table {
    let row = |index: usize| {
        let key = TIME_MS + i64::try_from(index).expect("a test is small");
        let key = (format!("person {}", index % PEOPLE), key);
        let is_known = index.is_multiple_of(2);
        let song = if is_known { "Even" } else { "Odd" };
        (key, (song.to_owned(), is_known.then_some(0.25)))
    };
    plays.map(row).collect()
}

pub(super) struct World {
    pub(super) name: String,
    folder: tempfile::TempDir,
    pub(super) runtime: Runtime,
    session: Session,
    pub(super) admin: AdminClient<DefaultClientContext>,
    producer: BaseProducer,
}

impl World {
    pub(super) fn new(name: &str) -> Self {
        let name = unique(name);
        let folder = tempfile::tempdir().expect("there is room for a folder");
        std::fs::write(folder.path().join("songs.csv"), SONGS).expect("there is room");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime starts");
        let session = SessionBuilder::new().known_node(cassandra());
        let session = runtime
            .block_on(session.build())
            .expect("Cassandra answers: services/services up");
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", kafka())
            .set("linger.ms", "5");
        let admin: AdminClient<_> = config.create().expect("the settings are right");
        let topic = NewTopic::new(&name, PARTITIONS, TopicReplication::Fixed(1));
        let options = AdminOptions::new().request_timeout(Some(ANSWER));
        let made = runtime.block_on(admin.create_topics([&topic], &options));
        let made = made.expect("Kafka answers: services/services up");
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        let producer = config.create().expect("the settings are right");
        let world = Self {
            name,
            folder,
            runtime,
            session,
            admin,
            producer,
        };
        let schema =
            include_str!("../../../../cql/spotify/schema.cql").replace("spotify", &world.name);
        let code = schema
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"));
        for statement in code.collect::<Vec<_>>().join("\n").split(';') {
            if !statement.trim().is_empty() {
                world.cql(statement);
            }
        }
        world
    }

    fn cql(&self, statement: &str) {
        let done = self
            .runtime
            .block_on(self.session.query_unpaged(statement, ()));
        done.expect("Cassandra does what it is told");
    }

    /// Gives the rows of a person another danceability, by hand.
    pub(super) fn overwrite(&self, person: &str) {
        let name = &self.name;
        for ((of, time), _) in self.rows() {
            if of == person {
                self.cql(&format!(
                    "UPDATE {name}.records SET danceability = 0.5 \
                     WHERE name = '{person}' AND timestamp = {time}"
                ));
            }
        }
    }

    pub(super) fn drop_table(&self) {
        self.cql(&format!("DROP TABLE {}.records", self.name));
    }

    /// Sends messages, one after another over all partitions, and waits until they are there.
    pub(super) fn send(&self, messages: impl Iterator<Item = String>) {
        for (partition, message) in (0..PARTITIONS).cycle().zip(messages) {
            let record = BaseRecord::<(), str>::to(&self.name).payload(&message);
            let sent = self.producer.send(record.partition(partition));
            sent.map_err(|(error, _)| error)
                .expect("the queue has room");
        }
        self.producer
            .flush(ANSWER)
            .expect("Kafka takes the messages");
    }

    /// Where its hosts run, and find their files.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes the reference data say something else of the song that is known.
    pub(super) fn correct_songs(&self, danceability: &str) {
        let songs = SONGS.replace("0.25", danceability);
        std::fs::write(self.folder.path().join("songs.csv"), songs).expect("there is room");
    }

    /// Lets the group read again: the exit code, and what was said.
    pub(super) fn replay(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut host = host();
        host.args(["replay", "spotify", "--brokers", &kafka()]);
        host.args(["--topic", &self.name, "--group", &self.name]);
        host.args(arguments).stdin(Stdio::null());
        let output = host.output().expect("the binary runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.code(), said)
    }

    /// The binary with what it is to do, and where.
    pub(super) fn host(&self, what: &[&str], cassandra: &str) -> Command {
        let mut host = host();
        host.current_dir(self.folder.path()).args(what);
        host.args(["--brokers", &kafka(), "--cassandra", cassandra]);
        host.args([
            "--topic",
            &self.name,
            "--group",
            &self.name,
            "--keyspace",
            &self.name,
        ]);
        host.args(["--lookup", "songs=songs.csv"]);
        host
    }

    /// Runs to the end as it stands now; answers with what was printed. One worker reads each message
    /// once: what several hand to each other while they join may be read twice.
    pub(super) fn run_once(&self, flags: &[&str]) -> String {
        let mut host = self.host(&RUN, &cassandra());
        printed(host.args(["--once", "--workers", "1"]).args(flags))
    }

    /// Keeps messages as dead letters.
    pub(super) fn refuse(&self, messages: &[String]) {
        keep_refused(&kafka(), &self.name, messages);
    }

    /// What is done with the dead letters; answers with what was printed.
    pub(super) fn dlq(&self, verb: &str, flags: &str) -> String {
        let mut host = self.host(&["dlq", verb, "spotify"], &cassandra());
        printed(host.args(flags.split_whitespace()))
    }

    /// Starts one that goes on until it is stopped.
    pub(super) fn start(&self, variables: &[(&str, &str)]) -> Child {
        self.start_with(&[], variables)
    }

    pub(super) fn start_with(&self, flags: &[&str], variables: &[(&str, &str)]) -> Child {
        self.start_at(&cassandra(), flags, variables)
    }

    /// Starts one that finds Cassandra at another address.
    pub(super) fn start_at(
        &self,
        cassandra: &str,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Child {
        let mut host = self.host(&RUN, cassandra);
        host.args(["--progress", "json"])
            .args(flags)
            .envs(variables.iter().copied());
        Child::start(host.stdin(Stdio::null()))
    }

    pub(super) fn ask<R>(&self, query: &str) -> Vec<R>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        let asked = self.session.query_unpaged(query, ());
        let answer = self.runtime.block_on(asked).expect("Cassandra answers");
        let rows = answer.into_rows_result().expect("it has rows");
        let rows = rows.rows::<R>().expect("the columns are those asked for");
        rows.map(|row| row.expect("the row is whole")).collect()
    }

    pub(super) fn rows(&self) -> Table {
        let name = &self.name;
        let query = format!("SELECT name, timestamp, song, danceability FROM {name}.records");
        let rows = self.ask::<(String, CqlTimestamp, String, Option<f32>)>(&query);
        rows.into_iter()
            .map(|(name, time, song, danceability)| ((name, time.0), (song, danceability)))
            .collect()
    }

    /// The write time of each row, in microseconds.
    pub(super) fn write_times(&self) -> BTreeMap<(String, i64), i64> {
        let name = &self.name;
        let query = format!("SELECT name, timestamp, WRITETIME(song) FROM {name}.records");
        let rows = self.ask::<(String, CqlTimestamp, i64)>(&query);
        rows.into_iter()
            .map(|(name, time, written)| ((name, time.0), written))
            .collect()
    }

    /// Commits an offset for partitions, with its metadata, as a member does.
    pub(super) fn commit(&self, partitions: std::ops::Range<i32>, offset: i64, metadata: &str) {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            let mut partition = list.add_partition(&self.name, partition);
            partition.set_offset(Offset::Offset(offset)).unwrap();
            partition.set_metadata(metadata);
        }
        let consumer = self.consumer();
        consumer.commit(&list, CommitMode::Sync).unwrap();
    }

    fn consumer(&self) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", kafka())
            .set("group.id", &self.name);
        config.set("enable.auto.commit", "false");
        config.create().expect("the settings are right")
    }

    /// The sum of the group's offsets: how many messages it will never read again.
    pub(super) fn committed(&self) -> i64 {
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_range(&self.name, 0, PARTITIONS - 1);
        let offsets = self.consumer().committed_offsets(partitions, ANSWER);
        let offsets = offsets.expect("Kafka answers");
        let offset = |offset: Offset| offset.to_raw().expect("an offset is a number").max(0);
        offsets
            .elements()
            .iter()
            .map(|element| offset(element.offset()))
            .sum()
    }

    /// The codes of the dead letters, sorted.
    pub(super) fn dead_letters(&self) -> Vec<String> {
        let topic = format!("{}.dlq", self.name);
        let consumer = self.consumer();
        let metadata = consumer
            .fetch_metadata(Some(&topic), ANSWER)
            .expect("Kafka answers");
        let mut all = TopicPartitionList::new();
        let mut left = 0;
        for partition in metadata.topics()[0].partitions() {
            let ends = consumer.fetch_watermarks(&topic, partition.id(), ANSWER);
            let (low, high) = ends.expect("Kafka answers");
            left += high - low;
            let added = all.add_partition_offset(&topic, partition.id(), Offset::Beginning);
            added.expect("the offset is one");
        }
        consumer.assign(&all).expect("the partitions are there");
        let mut codes = Vec::new();
        for _ in 0..left {
            let letter = consumer.poll(ANSWER).expect("the letter comes");
            let letter = letter.expect("the letter can be read");
            let headers = letter.headers().expect("a letter has headers");
            let code = headers.iter().find(|header| header.key == CODE);
            let code = code
                .and_then(|header| header.value)
                .expect("a letter has a code");
            codes.push(String::from_utf8_lossy(code).into_owned());
        }
        codes.sort();
        codes
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(
            self.session
                .query_unpaged(format!("DROP KEYSPACE IF EXISTS {}", self.name), ()),
        );
        let letters = format!("{}.dlq", self.name);
        let _ = self.runtime.block_on(
            self.admin
                .delete_topics(&[&self.name, &letters], &AdminOptions::new()),
        );
    }
}

/// Runs a host to its end; answers with what it printed.
fn printed(host: &mut Command) -> String {
    let output = host.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
