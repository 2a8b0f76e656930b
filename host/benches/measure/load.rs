//! The load: topics on the real broker, made once, and what a run of the host used.

use std::collections::BTreeMap;
use std::process::{Child, Command};

use host::source::kafka;

/// The keyspace of what is measured.
pub(crate) const KEYSPACE: &str = "sluice_bench";

/// Where the broker is.
pub(crate) fn kafka() -> String {
    std::env::var("SLUICE_TEST_KAFKA").unwrap_or_else(|_| "127.0.0.1:29092".to_owned())
}

/// Where the database is.
pub(crate) fn cassandra() -> String {
    std::env::var("SLUICE_TEST_CASSANDRA").unwrap_or_else(|_| "127.0.0.1:9042".to_owned())
}

/// `--lookup songs=FILE`, if `SLUICE_BENCH_SONGS` names a file; else the carried sample is used.
pub(crate) fn lookup_flags() -> Vec<String> {
    let file = std::env::var("SLUICE_BENCH_SONGS").ok();
    file.map(|file| vec!["--lookup".to_owned(), format!("songs={file}")])
        .unwrap_or_default()
}

/// A topic's contents.
pub(crate) struct Load {
    pub(crate) people: usize,
    pub(crate) messages: u64,
}

impl Load {
    /// The topic with this load; filled now, if it is not yet.
    pub(crate) fn topic(&self) -> String {
        let topic = format!("sluice_bench_keyed_{}_{}", self.people, self.messages);
        let config = kafka::Config {
            brokers: kafka(),
            topic: topic.clone(),
            group: topic.clone(),
            start: None,
            once: true,
            properties: BTreeMap::new(),
            code: host::code::Code::default(),
        };
        let held = |partitions: Vec<(i32, i64, i64)>| -> i64 {
            partitions.iter().map(|(_, low, end)| end - low).sum()
        };
        let there = kafka::partitions(&config).map(held).unwrap_or(0);
        assert!(
            there == 0 || there == i64::try_from(self.messages).expect("small"),
            "{topic} holds {there} messages of an earlier load that broke off: delete it"
        );
        if there == 0 {
            self.fill(&topic);
        }
        topic
    }

    fn fill(&self, topic: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
        command
            .args([
                "produce",
                "spotify",
                "--rate",
                "0",
                "--seed",
                "1",
                "--unknown",
                "2",
            ])
            .args([
                "--count",
                &self.messages.to_string(),
                "--people",
                &self.people.to_string(),
            ])
            .args(["--topic", topic, "--brokers", &kafka()])
            .args(lookup_flags());
        assert!(
            command.status().expect("the host starts").success(),
            "the load is produced"
        );
    }
}

/// Makes the keyspace and its tables, empty.
pub(crate) fn schema() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    command
        .args(["schema", "apply", "spotify", "--cassandra", &cassandra()])
        .args(["--keyspace", KEYSPACE]);
    assert!(
        command.status().expect("the host starts").success(),
        "the schema is applied"
    );
}

/// What a process used.
pub(crate) struct Used {
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_mib: f64,
}

/// Waits for a process to end well.
pub(crate) fn wait(child: &mut Child) -> Used {
    let pid = i32::try_from(child.id()).expect("a pid is small");
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: both pointers are to live locals of the types that wait4 fills in; a zeroed rusage is
    // a valid one, being nothing but integers.
    let (waited, usage) = unsafe {
        (
            libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()),
            usage.assume_init(),
        )
    };
    assert_eq!((waited, status), (pid, 0), "the host ends well");
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Used {
        cpu_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        peak_mib: usage.ru_maxrss as f64 / 1024.0,
    }
}

/// Makes a topic of 8 partitions with a message in each.
pub(crate) fn empty_topic(topic: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    command.args([
        "produce", "spotify", "--rate", "0", "--count", "8", "--topic", topic,
    ]);
    command.args(["--brokers", &kafka()]);
    assert!(
        command.status().expect("the host starts").success(),
        "the topic is made"
    );
}
