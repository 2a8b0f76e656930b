//! Dead letters in the topic `<topic>.dlq`.
//!
//! Headers are named as Kafka Connect names them, so that viewers made for those show ours, with
//! what Connect has no word for beside them. The producer is idempotent and waits for all replicas.

mod headers;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Header;
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};
use secrecy::{ExposeSecret as _, SecretString};

use super::Origin;
use crate::access;
use crate::failpoint;
use crate::row::{Rejected, Transformed};
use crate::sink::{Error, Letters};

/// How long a letter may be on its way before the worker is told. It will try again.
const DELIVERY_MAX: Duration = Duration::from_secs(30);

/// How long making the topic may take.
const CREATE_MAX: Duration = Duration::from_secs(5);

/// The largest letter the topic is made for: the host's own limit of a batch.
const LETTER_BYTES_MAX: &str = "16777216";

/// Dead letters in a topic.
pub struct Topic {
    client: ClientConfig,
    brokers: String,
    topic: String,
    origin: Origin,
    /// None before the first letter, and after an error: an idempotent producer may be beyond repair.
    producer: Option<Producer>,
    letters: Option<Pending>,
}

struct Producer {
    producer: BaseProducer<Deliveries>,
    delivered: Receiver<Delivered>,
}

/// What became of the letter at an index.
type Delivered = (usize, Result<(), RDKafkaErrorCode>);

struct Deliveries(Sender<Delivered>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, letter: Box<usize>) {
        let outcome = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        };
        // Nobody listens when the producer is being dropped.
        self.0.send((*letter, outcome)).ok();
    }
}

/// The letters of a batch.
struct Pending {
    batch: Arc<Transformed>,
    letters: Vec<Rejected>,
    is_kept: Vec<bool>,
    /// Whether its value is left out, because the broker takes no message as large.
    is_cut: Vec<bool>,
    /// Those to be handed to the producer.
    queue: VecDeque<usize>,
}

impl Topic {
    /// Letters of `topic`'s messages. The topic for them is made when there is a first one.
    ///
    /// # Errors
    /// If a property is not one that librdkafka takes.
    pub fn open(
        brokers: &str,
        topic: &str,
        properties: &BTreeMap<String, SecretString>,
        origin: Origin,
    ) -> Result<Self, Error> {
        let mut client = ClientConfig::new();
        for (name, value) in properties {
            client.set(name, value.expose_secret());
        }
        client.set("bootstrap.servers", brokers);
        Ok(Self {
            client,
            brokers: brokers.into(),
            topic: format!("{topic}.dlq"),
            origin,
            producer: None,
            letters: None,
        })
    }

    fn store(&self) -> String {
        format!("topic `{}` at {}", self.topic, self.brokers)
    }

    /// Whether the topic is there already; if not, the brokers said that they would make it.
    /// Nothing is made. `wait` is for each of two questions.
    ///
    /// # Errors
    /// Why letters cannot be kept, or the brokers do not answer.
    pub fn is_there(&self, wait: Duration) -> Result<bool, Error> {
        self.create(wait, true)
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.topic
    }

    /// Makes the topic if it is missing, and a producer for it.
    fn connect(&self) -> Result<Producer, Error> {
        let refused = |error: &KafkaError| Error::Refused {
            store: self.store(),
            reason: error.to_string(),
        };
        self.create(CREATE_MAX, false)?;
        let (sender, delivered) = channel();
        let mut client = self.client.clone();
        client
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "5")
            .set("message.max.bytes", "1000000000")
            .set("message.timeout.ms", DELIVERY_MAX.as_millis().to_string());
        let producer = client
            .create_with_context(Deliveries(sender))
            .map_err(|error| refused(&error))?;
        Ok(Producer {
            producer,
            delivered,
        })
    }

    /// Makes the topic, or only asks whether it could be made; whether it is there already.
    fn create(&self, wait: Duration, is_trial: bool) -> Result<bool, Error> {
        let error = |reason: String| Error::Unavailable {
            store: self.store(),
            code: "no_topic",
            reason,
        };
        let admin: AdminClient<DefaultClientContext> = self
            .client
            .create()
            .map_err(|fault| error(access::refused_setting(&fault)))?;
        let topic = NewTopic::new(&self.topic, -1, TopicReplication::Fixed(-1))
            .set("retention.ms", "-1")
            .set("max.message.bytes", LETTER_BYTES_MAX);
        let options = AdminOptions::new()
            .operation_timeout(Some(wait))
            .request_timeout(Some(wait))
            .validate_only(is_trial);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|fault| error(fault.to_string()))?;
        let created = runtime.block_on(admin.create_topics([&topic], &options));
        let code = match created {
            Ok(results) => results
                .into_iter()
                .find_map(Result::err)
                .map(|(_, code)| code),
            Err(fault) => Some(fault.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        };
        let code = match code {
            None => return Ok(false),
            Some(RDKafkaErrorCode::TopicAlreadyExists) => return Ok(true),
            Some(code) => code,
        };
        // Who may not make topics may still write into one, and the in-process broker makes them
        // when asked about them.
        let metadata = admin.inner().fetch_metadata(Some(&self.topic), wait);
        let is_there =
            |topic: &MetadataTopic| topic.name() == self.topic && topic.error().is_none();
        if metadata.is_ok_and(|metadata| metadata.topics().iter().any(is_there)) {
            return Ok(true);
        }
        if is_forbidden(code) {
            let reason = format!("{code}; make the topic yourself, with unlimited retention");
            let store = self.store();
            return Err(Error::Refused { store, reason });
        }
        Err(error(code.to_string()))
    }

    /// Hands over what the producer takes, and notes what was delivered.
    fn advance(&mut self, wait: Duration) -> Result<bool, Error> {
        if self.producer.is_none() {
            self.producer = Some(self.connect()?);
        }
        let store = self.store();
        let producer = self.producer.as_ref().expect("it was just made");
        let pending = self
            .letters
            .as_mut()
            .expect("letters are started before they are waited for");
        let until = Instant::now() + wait;
        loop {
            while let Some(&index) = pending.queue.front() {
                match send(producer, &self.topic, &self.origin, pending, index) {
                    Ok(()) => pending.queue.pop_front(),
                    Err(RDKafkaErrorCode::QueueFull) => break,
                    Err(code) => return Err(failure(store, code)),
                };
            }
            let left = until.saturating_duration_since(Instant::now());
            producer.producer.poll(left);
            for (index, outcome) in producer.delivered.try_iter() {
                failpoint::reach("letters");
                match outcome {
                    Ok(()) => pending.is_kept[index] = true,
                    Err(RDKafkaErrorCode::MessageSizeTooLarge) if !pending.is_cut[index] => {
                        pending.is_cut[index] = true;
                        pending.queue.push_back(index);
                    }
                    Err(code) => return Err(failure(store, code)),
                }
            }
            if pending.is_kept.iter().all(|&is_kept| is_kept) {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
        }
    }
}

impl Letters for Topic {
    fn judged_by(&mut self, origin: &Origin) {
        self.origin = origin.clone();
    }

    fn start(&mut self, batch: &Arc<Transformed>, rejected: &[Rejected]) {
        let is_same =
            |pending: &Pending| Arc::ptr_eq(&pending.batch, batch) && pending.letters == rejected;
        let mut pending = self
            .letters
            .take()
            .filter(is_same)
            .unwrap_or_else(|| Pending {
                batch: batch.clone(),
                letters: rejected.to_vec(),
                is_kept: vec![failpoint::has_bug("bug-drop-rejected"); rejected.len()],
                is_cut: vec![false; rejected.len()],
                queue: VecDeque::new(),
            });
        let missing = pending
            .is_kept
            .iter()
            .enumerate()
            .filter(|(_, is_kept)| !**is_kept);
        pending.queue = missing.map(|(index, _)| index).collect();
        self.letters = Some(pending);
    }

    fn poll(&mut self, wait: Duration) -> Option<Result<(), Error>> {
        match self.advance(wait) {
            Ok(true) => {
                self.letters = None;
                Some(Ok(()))
            }
            Ok(false) => None,
            Err(error) => {
                self.producer = None;
                Some(Err(error))
            }
        }
    }
}

/// Whether the broker does not let us: waiting does not mend that.
fn is_forbidden(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SSL
    )
}

fn failure(store: String, code: RDKafkaErrorCode) -> Error {
    let reason = code.to_string();
    if is_forbidden(code) {
        return Error::Refused { store, reason };
    }
    let is_late = code == RDKafkaErrorCode::MessageTimedOut;
    let code = if is_late {
        "delivery_timeout"
    } else {
        "not_delivered"
    };
    Error::Unavailable {
        store,
        code,
        reason,
    }
}

fn send(
    producer: &Producer,
    topic: &str,
    origin: &Origin,
    pending: &Pending,
    index: usize,
) -> Result<(), RDKafkaErrorCode> {
    let letter = &pending.letters[index];
    let message = pending.batch.batch.message(letter.message);
    let mut headers = headers::of(&pending.batch, letter, origin);
    let mut record = BaseRecord::<[u8], [u8], Box<usize>>::with_opaque_to(topic, Box::new(index));
    if let Some(key) = message.key {
        record = record.key(key);
    }
    match message.value {
        Some(value) if pending.is_cut[index] => {
            let size = value.len().to_string();
            headers = headers.insert(Header {
                key: "sluice.value_left_out",
                value: Some(&size),
            });
        }
        Some(value) => record = record.payload(value),
        None => {}
    }
    if message.timestamp >= 0 {
        record = record.timestamp(message.timestamp);
    }
    let sent = producer.producer.send(record.headers(headers));
    sent.map_err(|(error, _)| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))
}
