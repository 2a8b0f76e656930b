//! A Kafka broker within this process, for the demo and for tests: librdkafka's own mock.
//!
//! It keeps 5 MiB or 100,000 batches of messages a partition and drops the oldest without a word:
//! what is written to it must be read before long. It has no look-up by time, does not delete, and
//! makes a topic of its own accord for whoever names one.

use std::mem::MaybeUninit;
use std::ptr;

use rdkafka::bindings as rd;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer as _};

/// How many brokers it plays: one leads all partitions.
const BROKERS: i32 = 1;

/// A broker that lives as long as this does.
pub struct Broker {
    /// The client that plays it.
    player: BaseProducer,
}

/// Why it cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("the broker within this process does not start: {0}")]
pub struct Error(Box<dyn std::error::Error + Send + Sync>);

impl From<KafkaError> for Error {
    fn from(error: KafkaError) -> Self {
        Self(Box::new(error))
    }
}

impl Broker {
    /// Starts a broker with one topic.
    ///
    /// # Errors
    /// When the system gives it no port or no thread, or the topic's name is not one.
    pub fn start(topic: &str, partitions: i32) -> Result<Self, Error> {
        let mut config = ClientConfig::new();
        config.set("test.mock.num.brokers", BROKERS.to_string());
        let player: BaseProducer = without_signals(|| config.create())?;
        let broker = Self { player };
        broker.cluster().create_topic(topic, partitions, BROKERS)?;
        // SAFETY: the client is alive, and so is the cluster that it plays. A group of one process
        // need not wait 3 s for more members.
        unsafe {
            let cluster = rd::rd_kafka_handle_mock_cluster(broker.player.client().native_ptr());
            rd::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
        }
        Ok(broker)
    }

    /// Where it listens, as `--brokers` takes it.
    pub fn brokers(&self) -> String {
        self.cluster().bootstrap_servers()
    }

    fn cluster(&self) -> MockCluster<'_, DefaultProducerContext> {
        let cluster = self.player.client().mock_cluster();
        cluster.expect("the client was told to play one")
    }
}

/// Starts something whose threads get no signals. librdkafka blocks them for its own threads, but not
/// for the one of the broker: a signal there ends it, and the process crashes when the broker goes.
fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the sets are ours; the first is filled before it is read.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr())
    };
    let started = start();
    if blocked == 0 {
        // SAFETY: the call above has filled the set.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    }
    started
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// `host demo` crashed now and then when it was interrupted.
    #[test]
    fn its_thread_gets_no_signals() {
        let _broker = Broker::start("plays", 1).unwrap();
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let status = |thread: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(thread.ok()?.path().join("status")).ok()
        };
        let ours = threads.filter_map(status);
        let ours: Vec<_> = ours.filter(|it| it.contains("\trdk:mock\n")).collect();
        assert!(!ours.is_empty(), "there is a thread of that name");
        for status in ours {
            let blocked = status.lines().find_map(|it| it.strip_prefix("SigBlk:\t"));
            let blocked = u64::from_str_radix(blocked.unwrap(), 16).unwrap();
            for signal in [libc::SIGINT, libc::SIGTERM] {
                assert_ne!(blocked & 1 << (signal - 1), 0, "{signal}: {blocked:x}");
            }
        }
    }
}
