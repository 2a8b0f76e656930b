//! A Kafka broker within this process, for the demo and for tests: librdkafka's own mock.
//!
//! It keeps 5 MiB or 100,000 batches of messages a partition and drops the oldest without a word:
//! what is written to it must be read before long. It has no look-up by time, does not delete, and
//! makes a topic of its own accord for whoever names one.

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
        let player: BaseProducer = ClientConfig::new()
            .set("test.mock.num.brokers", BROKERS.to_string())
            .create()?;
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
