//! Getting messages to the brokers: an idempotent producer, and its topic.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use secrecy::ExposeSecret as _;

use super::message::Made;
use super::{Description, Error, Plan};
use crate::access::{self, Told};

/// How long a question to the brokers may take.
const ASK_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long one attempt to ask waits before it is asked whether TLS or the login is refused.
const ASK_TURN: Duration = Duration::from_secs(1);

/// How long the brokers may acknowledge nothing while messages wait.
const STALLED_MAX: Duration = Duration::from_secs(30);

/// How long to wait for room in the queue, or for acknowledgements, before looking around.
const TURN: Duration = Duration::from_millis(100);

/// The brokers' own number of replicas.
const REPLICAS_DEFAULT: i32 = -1;

/// Sends messages and counts what is acknowledged.
pub(super) struct Delivery {
    producer: BaseProducer<Tally>,
    brokers: String,
    topic: String,
    /// How many there are to take turns; `None` = the key decides.
    turns: Option<u64>,
}

/// What librdkafka tells of each message.
#[derive(Default)]
struct Tally {
    delivered: AtomicU64,
    failed: Mutex<Option<KafkaError>>,
    /// Why no broker lets us in.
    told: Told,
}

impl ClientContext for Tally {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        self.told.note(message);
        tracing::debug!(target: "librdkafka", facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
        self.told.note(reason);
    }
}

impl ProducerContext for Tally {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                let mut failed = self.failed.lock().expect("nothing panics while it is held");
                failed.get_or_insert_with(|| error.clone());
            }
        }
    }
}

impl Delivery {
    pub(super) fn open(description: &Description, plan: &Plan) -> Result<Self, Error> {
        let settings = settings(description, plan);
        let producer: BaseProducer<Tally> = settings
            .create_with_context(Tally::default())
            .map_err(|error| Error::Settings(access::refused_setting(&error).into()))?;
        let partitions = match partitions(&producer, plan)? {
            Some(partitions) => partitions,
            None => make_topic(&producer, &settings, plan)?,
        };
        let delivery = Self {
            producer,
            brokers: plan.brokers.clone(),
            topic: plan.topic.clone(),
            turns: (!plan.keyed).then_some(partitions),
        };
        Ok(delivery)
    }

    pub(super) fn delivered(&self) -> u64 {
        self.producer.context().delivered.load(Ordering::Relaxed)
    }

    /// Hands a message over, waiting for room. Whether it was; not if `stop` was set meanwhile.
    pub(super) fn send(
        &self,
        made: &Made<'_>,
        index: u64,
        stop: &AtomicBool,
    ) -> Result<bool, Error> {
        let mut record = BaseRecord::<str, [u8]>::to(&self.topic).payload(made.value);
        record = match self.turns {
            Some(count) => {
                let turn = i32::try_from(index % count).expect("partitions are counted in 31 bits");
                record.partition(turn)
            }
            None => record.key(made.person),
        };
        let mut watch = Watch::new(self.delivered());
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(true),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                }
                Err((error, _)) => return Err(self.refused(&error)),
            }
            self.serve(TURN)?;
            self.check(&mut watch)?;
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
        }
    }

    /// Takes note of what was acknowledged.
    pub(super) fn serve(&self, wait: Duration) -> Result<(), Error> {
        self.producer.poll(wait);
        let failed = &self.producer.context().failed;
        let failed = failed.lock().expect("nothing panics while it is held");
        match &*failed {
            None => Ok(()),
            Some(error) => Err(match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::MessageTimedOut) => self.away(error.clone()),
                _ => self.refused(error),
            }),
        }
    }

    /// Waits until all is acknowledged.
    pub(super) fn finish(&self, stop: &AtomicBool) -> Result<(), Error> {
        let mut watch = Watch::new(self.delivered());
        let mut turns_left = STALLED_MAX.as_millis() / TURN.as_millis();
        while self.producer.in_flight_count() > 0 {
            self.serve(TURN)?;
            self.check(&mut watch)?;
            // Whoever wants to leave waits for what can still arrive, but not for ever.
            if stop.load(Ordering::Relaxed) {
                turns_left = turns_left.min(20).saturating_sub(1);
                if turns_left == 0 {
                    break;
                }
            }
        }
        self.serve(Duration::ZERO)
    }

    fn check(&self, watch: &mut Watch) -> Result<(), Error> {
        if watch.is_stalled(self.delivered()) {
            let error = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
            return Err(self.away(error));
        }
        Ok(())
    }

    fn away(&self, error: KafkaError) -> Error {
        Error::Broker {
            brokers: self.brokers.clone(),
            source: Box::new(error),
        }
    }

    fn refused(&self, error: &KafkaError) -> Error {
        Error::Topic {
            topic: self.topic.clone(),
            brokers: self.brokers.clone(),
            reason: error.to_string(),
        }
    }
}

/// Notices when nothing goes on.
struct Watch {
    delivered: u64,
    since: Instant,
}

impl Watch {
    fn new(delivered: u64) -> Self {
        let since = Instant::now();
        Self { delivered, since }
    }

    fn is_stalled(&mut self, delivered: u64) -> bool {
        if delivered != self.delivered {
            *self = Self::new(delivered);
        }
        self.since.elapsed() >= STALLED_MAX
    }
}

fn settings(description: &Description, plan: &Plan) -> ClientConfig {
    let mut settings = ClientConfig::new();
    let compression = plan
        .compression
        .as_ref()
        .unwrap_or(&description.compression);
    settings
        .set("client.id", "sluice-produce")
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.codec", compression)
        // A key goes where producers in Java would put it.
        .set("partitioner", "murmur2_random")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.messages", "200000")
        .set("message.timeout.ms", "60000")
        // Only from this level on does librdkafka tell that a connection was closed, and what that hints at.
        .set_log_level(RDKafkaLogLevel::Info);
    // Without a pace larger batches cost less; with one a message should not wait.
    let linger = if plan.rate.is_some_and(|rate| rate <= 0.0) {
        "50"
    } else {
        "5"
    };
    settings.set("linger.ms", linger);
    for (name, value) in &plan.properties {
        settings.set(name, value.expose_secret());
    }
    settings.set("bootstrap.servers", &plan.brokers);
    settings
}

/// How many partitions the topic has, if there is one. All topics are asked for, because asking for
/// one makes it, with as many partitions as the brokers please.
fn partitions(producer: &BaseProducer<Tally>, plan: &Plan) -> Result<Option<u64>, Error> {
    let metadata = metadata(producer, plan)?;
    let topic = metadata.topics().iter().find(|t| t.name() == plan.topic);
    let count = topic.map_or(0, |topic| topic.partitions().len() as u64);
    Ok((count > 0).then_some(count))
}

/// What the brokers say of all topics, or why they do not.
fn metadata(producer: &BaseProducer<Tally>, plan: &Plan) -> Result<Metadata, Error> {
    let until = Instant::now() + ASK_WAIT_MAX;
    let mut told = None;
    loop {
        let error = match producer.client().fetch_metadata(None, ASK_TURN) {
            Ok(metadata) => return Ok(metadata),
            Err(error) => error,
        };
        // What librdkafka has to tell waits until it is asked for.
        producer.poll(TURN);
        told = producer.context().told.take().or(told);
        let is_over = Instant::now() >= until || told.as_deref().is_some_and(access::is_final);
        let brokers = plan.brokers.clone();
        match told {
            Some(reason) if is_over => return Err(Error::Refused { brokers, reason }),
            None if is_over => {
                let source = Box::new(error);
                return Err(Error::Broker { brokers, source });
            }
            Some(_) | None => {}
        }
    }
}

fn make_topic(
    producer: &BaseProducer<Tally>,
    settings: &ClientConfig,
    plan: &Plan,
) -> Result<u64, Error> {
    let refused = |reason: String| Error::Topic {
        topic: plan.topic.clone(),
        brokers: plan.brokers.clone(),
        reason,
    };
    let admin: AdminClient<DefaultClientContext> = settings
        .create()
        .map_err(|error| Error::Settings(access::refused_setting(&error).into()))?;
    let replicas = TopicReplication::Fixed(REPLICAS_DEFAULT);
    let topic = NewTopic::new(&plan.topic, plan.partitions, replicas);
    let options = AdminOptions::new().operation_timeout(Some(ASK_WAIT_MAX));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| refused(error.to_string()))?;
    let made = runtime
        .block_on(admin.create_topics(&[topic], &options))
        .map_err(|error| refused(error.to_string()))?;
    for result in made {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, error)) => return Err(refused(error.to_string())),
        }
    }
    let deadline = Instant::now() + ASK_WAIT_MAX;
    loop {
        if let Some(partitions) = partitions(producer, plan)? {
            return Ok(partitions);
        }
        if Instant::now() >= deadline {
            return Err(refused("it was made, but does not show".to_owned()));
        }
        producer.poll(TURN);
    }
}
