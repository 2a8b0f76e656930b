//! A Kafka topic as a source: one member of a consumer group.
//!
//! All partitions flow into one queue, which is drained many messages a call. librdkafka's hooks
//! note what is assigned and revoked; starts are resolved here, between two batches. What is written
//! comes back through the [`Committer`], because only a member may commit.

mod ask;
mod assignment;
mod commit;
mod failure;
mod group;
mod meta;
mod native;
mod reader;
mod rewind;
mod settings;
mod settle;
mod start;
mod state;
mod stop;
mod tail;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use secrecy::SecretString;

pub use self::ask::{Asker, Cluster, Named, committed, members, named, partitions, verify};
use self::assignment::Watch;
pub use self::commit::{Committer, News};
use self::failure::Trouble;
use self::group::{Consumer, Group};
pub use self::meta::{Past, Skip};
use self::native::Inbox;
pub use self::reader::Reader;
pub use self::rewind::{Again, Rewind, Step, Until, go_back, rewind};
pub use self::start::{Start, time};
pub use self::state::Place;
pub use self::tail::{Tail, Tails};
use crate::checkpoint::cassandra::Store;
use crate::code::Code;
use crate::message::{Batch, Message};
use crate::source::{Change, Error, Limits, Source, Standing, Taken};
use crate::{access, checkpoint, failpoint};

/// How long a rebalance may wait while we wait for messages.
const SLICE: Duration = Duration::from_millis(20);

/// The most events of librdkafka's own served in one turn; each takes a call.
const EVENTS_MAX: usize = 8;

/// How soon starts that could not be resolved are asked for again.
const SETTLE_AGAIN: Duration = Duration::from_millis(200);

/// How long leaving the group may take before it is left behind.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(5);

/// How a topic is read.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Where the brokers are: `host:port`, separated by commas.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// Where the group's first start begins; `None` = with the oldest message. If the topic was made
    /// anew after the group's commits, only a word says where that begins.
    pub start: Option<Start>,
    /// Whether a span should reach to the partition's end, over what is no message there.
    pub once: bool,
    /// More of librdkafka's settings, but those our promises rest on; passwords are among them.
    pub properties: BTreeMap<String, SecretString>,
    /// What travels with each commit.
    pub code: Code,
}

/// A member of a consumer group.
pub struct Kafka {
    inbox: Option<Inbox>,
    brokers: String,
    topic: String,
    start: Option<Start>,
    /// The next offset of each partition that is read.
    positions: BTreeMap<i32, i64>,
    /// Partitions of which librdkafka may believe to be a message further than we are: in a batch it
    /// counts an error as a message, and goes on behind it when a rebalance interrupts it.
    ahead: BTreeSet<i32>,
    once: bool,
    headers: Vec<u8>,
    trouble: Trouble,
    /// What was found and not reported yet.
    found: Vec<Error>,
    polled: Option<Instant>,
    settle_at: Instant,
    watch: Watch,
    kept: Option<Kept>,
    tails: Option<Tails>,
    /// What is left out further on, by partition.
    skips: BTreeMap<i32, Skip>,
}

/// Answers what is kept of the group's progress in a cluster of brokers, beside its commits.
pub type Kept = Box<dyn Fn(&str) -> Result<Vec<Place>, String> + Send>;

/// Subscribes to a topic, with the checkpoint that belongs to it, and the rows that it keeps. What other
/// code has begun with its partitions is ended by `tails`. It does not wait for the brokers.
///
/// # Errors
/// When librdkafka refuses a setting.
pub fn open(
    config: &Config,
    rows: Option<Arc<Store>>,
    tails: Option<Tails>,
) -> Result<(Kafka, checkpoint::kafka::Kafka), Error> {
    let (mut source, committer) = join(config)?;
    source.kept = rows.clone().map(checkpoint::kafka::kept);
    source.tails = tails;
    Ok((source, checkpoint::kafka::Kafka::new(committer, rows)))
}

/// Subscribes to a topic as one member of its group: where messages come from, and the way back for
/// their offsets.
///
/// # Errors
/// When librdkafka refuses a setting.
pub fn join(config: &Config) -> Result<(Kafka, Committer), Error> {
    let source = Kafka::of(config)?;
    let inbox = source.inbox.as_ref().expect("it is not closed yet");
    let consumer = inbox.consumer();
    consumer
        .subscribe(&[&config.topic])
        .map_err(|error| Error::Settings(error.into()))?;
    let committer = Committer::new(consumer);
    Ok((source, committer))
}

impl Kafka {
    /// Reads nothing yet.
    fn of(config: &Config) -> Result<Self, Error> {
        let size = meta::size_max(&config.code);
        if size > meta::BYTES_MAX {
            let reason = format!(
                "the digests of so many lookups take {size} bytes of a commit, and Kafka stores {}",
                meta::BYTES_MAX
            );
            return Err(Error::Settings(reason.into()));
        }
        let consumer: Consumer = settings::member(config)?
            .create_with_context(Group::new(&config.topic, &config.code))
            .map_err(|error| Error::Settings(access::refused_setting(&error).into()))?;
        Ok(Self {
            inbox: Some(Inbox::new(Arc::new(consumer))),
            brokers: config.brokers.clone(),
            topic: config.topic.clone(),
            start: config.start,
            positions: BTreeMap::new(),
            ahead: BTreeSet::new(),
            once: config.once,
            headers: Vec::new(),
            trouble: Trouble::default(),
            found: Vec::new(),
            polled: None,
            settle_at: Instant::now(),
            watch: Watch::default(),
            kept: None,
            tails: None,
            skips: BTreeMap::new(),
        })
    }

    fn inbox(&mut self) -> &mut Inbox {
        self.inbox
            .as_mut()
            .expect("a source that was closed is not asked again")
    }

    /// Serves librdkafka's hooks and settles what they brought.
    fn turn(&mut self, mut wait: Duration) -> Result<(), Error> {
        self.polled = Some(Instant::now());
        let consumer = self.inbox().consumer().clone();
        consumer.context().state().note_taken(&self.positions);
        for _ in 0..EVENTS_MAX {
            match consumer.poll(std::mem::take(&mut wait)) {
                None => {}
                Some(Ok(message)) => {
                    unreachable!("{message:?} came past the queue of all partitions")
                }
                Some(Err(error)) => {
                    let told = consumer.context().told.take();
                    let place = (self.brokers.as_str(), self.topic.as_str());
                    if let Some(error) = failure::news(error, told, self.once, place) {
                        consumer.context().state().is_connected = false;
                        self.trouble.report(error)?;
                    }
                }
            }
        }
        self.forget_released();
        self.settle()?;
        self.look_whether_made_anew();
        if self.trouble.is_known() && self.inbox().consumer().context().state().is_connected {
            self.trouble.clear();
        }
        Ok(())
    }

    fn has_changes(&mut self) -> bool {
        !self.inbox().consumer().context().state().changes.is_empty()
    }

    /// Copies what is there into the batch. Whether there was something.
    fn collect(&mut self, batch: &mut Batch, limits: Limits, wait: Duration) -> bool {
        let mut has_some = false;
        loop {
            let room = limits.messages_max.saturating_sub(batch.len());
            let wait = if has_some { Duration::ZERO } else { wait };
            if room == 0 {
                return has_some;
            }
            if !self.inbox().fill(room, wait) {
                return self.cover_rest(batch) || has_some;
            }
            let (is_full, took) = self.hand_out(batch, limits);
            has_some |= took;
            if is_full {
                return has_some;
            }
        }
    }

    /// Hands out what the inbox holds: whether the batch is full, and whether it grew.
    fn hand_out(&mut self, batch: &mut Batch, limits: Limits) -> (bool, bool) {
        let inbox = self.inbox.as_mut().expect("as in `inbox`");
        let mut took = false;
        while let Some(received) = inbox.peek() {
            let (partition, offset) = (received.partition(), received.offset());
            let Some(position) = self.positions.get_mut(&partition) else {
                inbox.advance();
                continue;
            };
            match received.error() {
                None if offset > *position && self.ahead.contains(&partition) => {
                    let wanted = *position;
                    self.read_again(partition, wanted);
                    return (false, took);
                }
                None => {
                    let (key, value) = (received.key(), received.value());
                    self.headers.clear();
                    received.pack_headers(&mut self.headers);
                    let message = Message {
                        partition,
                        offset,
                        timestamp: received.timestamp(),
                        key,
                        value,
                        headers: &self.headers,
                    };
                    let size = [key, value].into_iter().flatten().map(<[u8]>::len);
                    let size = batch.bytes_len() + size.sum::<usize>() + self.headers.len();
                    let is_full = batch.len() >= limits.messages_max || size > limits.bytes_max;
                    if is_full && !batch.is_empty() {
                        return (true, took);
                    }
                    if let Some(skip) = self.skips.get(&partition)
                        && offset >= skip.from
                    {
                        let to = skip.to.max(*position);
                        batch.cover(partition, *position, to);
                        *position = to;
                        took = true;
                        self.skips.remove(&partition);
                    }
                    if offset >= *position {
                        // What lies between is no message: aborted, a marker, or compacted away.
                        batch.cover(partition, *position, offset);
                        batch.push(&message);
                        *position = offset + 1;
                        took = true;
                        self.ahead.remove(&partition);
                    }
                }
                Some(code) => {
                    let wanted = *position;
                    inbox.advance();
                    self.stop(partition, wanted, code);
                    return (false, took);
                }
            }
            inbox.advance();
        }
        (false, took)
    }

    fn report(&mut self) -> Result<(), Error> {
        if self.found.is_empty() {
            return Ok(());
        }
        Err(self.found.remove(0))
    }
}

impl Source for Kafka {
    fn take(&mut self, batch: &mut Batch, limits: Limits, wait: Duration) -> Result<Taken, Error> {
        let deadline = Instant::now() + wait;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let slice = rest.min(SLICE);
            // With nothing to read, what is waited for is an assignment.
            let is_idle = self.positions.is_empty();
            if is_idle || self.polled.is_none_or(|at| at.elapsed() >= SLICE) {
                self.turn(if is_idle { slice } else { Duration::ZERO })?;
            }
            self.report()?;
            if self.has_changes() {
                return Ok(Taken::Nothing);
            }
            if self.collect(batch, limits, if is_idle { Duration::ZERO } else { slice }) {
                self.trouble.clear();
                failpoint::reach("taken");
                return Ok(Taken::Some);
            }
            self.report()?;
            if rest.is_zero() {
                return Ok(Taken::Nothing);
            }
        }
    }

    fn serve(&mut self) -> Result<(), Error> {
        self.turn(Duration::ZERO)?;
        self.report()
    }

    fn changes(&mut self) -> Vec<Change> {
        let consumer = self.inbox().consumer();
        std::mem::take(&mut consumer.context().state().changes)
    }

    fn rewind(&mut self, to: &BTreeMap<i32, i64>) -> Result<(), Error> {
        for (&partition, &offset) in to {
            if let Some(position) = self.positions.get_mut(&partition)
                && std::mem::replace(position, offset) != offset
            {
                self.skips.remove(&partition);
                self.read_again(partition, offset);
            }
        }
        // What could not go back is told by the next `take` or `serve`.
        Ok(())
    }

    fn is_held_up(&self) -> bool {
        self.trouble.is_known()
    }

    fn standing(&self) -> Vec<Standing> {
        let inbox = self.inbox.as_ref().expect("it is not closed yet");
        let state = inbox.consumer().context().state();
        let standing = state.read().map(|(partition, progress)| Standing {
            partition,
            committed: progress.committed,
            end: inbox.known_end(&self.topic, partition),
        });
        standing.collect()
    }

    fn close(&mut self) {
        let Some(inbox) = self.inbox.take() else {
            return;
        };
        inbox.consumer().context().close(&self.positions);
        // It holds on to the consumer, too.
        self.watch = Watch::default();
        let (closed, waiting) = mpsc::channel();
        // Leaving asks the coordinator and can hang: then the process goes on without it.
        thread::spawn(move || {
            let consumer = inbox.consumer();
            consumer.context().take_leave(consumer);
            drop(inbox);
            // The receiver is gone when this took too long, and nobody needs to know.
            let _: Result<(), mpsc::SendError<()>> = closed.send(());
        });
        if waiting.recv_timeout(CLOSE_WAIT_MAX).is_err() {
            tracing::warn!("leaving the group takes too long; it will notice by itself");
        }
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.close();
    }
}
