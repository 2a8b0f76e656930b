//! Sample messages for a topic, as a pipeline's own description says: no pipeline is known here.
//!
//! The same seed gives the same messages, but for their times. A few bad ones can be spread in, to
//! see what becomes of them.

mod delivery;
mod description;
mod message;
mod people;

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use secrecy::SecretString;

use self::delivery::Delivery;
pub use self::description::{Clock, Description, List, Member, Order, Value};
use self::message::{MESSAGE_BYTES_MAX, Writer};
use crate::access;

/// Where brokers are when nobody says.
pub const BROKERS: &str = "localhost:29092";

/// How many partitions a topic gets that is made here.
pub const PARTITIONS: i32 = 8;

/// Without a known end, one message in so many is bad until there were enough.
const BAD_EVERY: u64 = 500;

/// The longest a producer sleeps: it wakes to serve librdkafka and to see that it should stop.
const TICK_MAX: Duration = Duration::from_millis(50);

/// The shortest it sleeps: a spinning producer would take a core from whoever reads.
const TICK_MIN: Duration = Duration::from_millis(1);

/// After so many messages progress is told and librdkafka is served.
const TELL_EVERY: u64 = 1000;

/// An error of whoever reads the lists.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Gives the cells of a list's or lookup's column.
pub type Lists<'a> = dyn Fn(&str, &str) -> Result<Vec<String>, BoxError> + 'a;

/// Shows a message; whether to go on.
pub type Each = fn(&[u8]) -> std::io::Result<bool>;

/// How many messages go where, and how fast.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the brokers are.
    pub brokers: String,
    /// The topic; it is made if there is none.
    pub topic: String,
    /// How many partitions it gets then.
    pub partitions: i32,
    /// Messages a second; 0 = as fast as it goes; `None` = the description's bursts.
    pub rate: Option<f64>,
    /// How many messages; `None` = all of the description's bursts, or with a rate: until stopped.
    pub count: Option<u64>,
    /// What names and choices follow from.
    pub seed: u64,
    /// The one name that is not made up, instead of the description's.
    pub me: Option<String>,
    /// How many messages are bad.
    pub bad: u64,
    /// How many of a hundred messages name what the lists do not have.
    pub unknown_percent: f64,
    /// How many names are made up, instead of the description's.
    pub people: Option<usize>,
    /// Whether the person is the message's key. If not, there is none, and partitions take turns.
    pub keyed: bool,
    /// How batches are compressed, instead of as the description says.
    pub compression: Option<String>,
    /// More of librdkafka's settings; passwords are among them.
    pub properties: BTreeMap<String, SecretString>,
    /// Is shown each message, and says whether to go on.
    pub each: Option<Each>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            brokers: BROKERS.to_owned(),
            topic: String::new(),
            partitions: PARTITIONS,
            rate: None,
            count: None,
            seed: 0,
            me: None,
            bad: 0,
            unknown_percent: 0.0,
            people: None,
            keyed: false,
            compression: None,
            properties: BTreeMap::new(),
            each: None,
        }
    }
}

/// So many good messages, for whoever does not send them.
///
/// # Errors
/// If a list cannot be read.
pub fn messages(
    description: &Description,
    plan: &Plan,
    lists: &Lists<'_>,
    count: u64,
) -> Result<impl Iterator<Item = Vec<u8>>, Error> {
    let mut writer = Writer::new(description, plan, lists)?;
    Ok((0..count).map(move |index| writer.good(index).value.to_vec()))
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages that the brokers acknowledged.
    pub sent: u64,
    /// How many of them are bad.
    pub bad: u64,
    /// How many of them name what the lists do not have.
    pub unknown: u64,
    /// The times of the first and the last message that is neither, about the one person who is not
    /// made up.
    pub mine: Option<(Timestamp, Timestamp)>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why messages cannot be made or sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The brokers cannot be reached, or not now.
    #[error("Kafka at {brokers}: {source}")]
    Broker {
        /// Where they were looked for.
        brokers: String,
        /// What librdkafka says.
        source: BoxError,
    },
    /// TLS or the login is refused, by the brokers or by us.
    #[error("Kafka at {brokers}: {}", access::explain(.reason))]
    Refused {
        /// Where they were looked for.
        brokers: String,
        /// What librdkafka says.
        reason: String,
    },
    /// The topic cannot be made, or takes no messages.
    #[error("topic `{topic}` on {brokers}: {reason}")]
    Topic {
        /// Which one.
        topic: String,
        /// Where.
        brokers: String,
        /// What the brokers say.
        reason: String,
    },
    /// A list or lookup cannot be read, or has not what the description takes from it.
    #[error("cells of `{list}`: {source}")]
    List {
        /// Which one.
        list: String,
        /// Why.
        source: BoxError,
    },
    /// A message may be longer than brokers take, with this member.
    #[error(
        "messages of [produce] may have more than {MESSAGE_BYTES_MAX} bytes: `{0}` of `members` is too long"
    )]
    Large(String),
    /// Messages cannot be shown.
    #[error("messages cannot be shown: {0}")]
    Shown(std::io::Error),
    /// A setting that librdkafka refuses.
    #[error("Kafka's settings: {0}")]
    Settings(BoxError),
}

impl Error {
    /// Whether waiting may mend it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Broker { .. } => true,
            Self::Refused { reason, .. } => !access::is_final(reason),
            Self::Topic { .. }
            | Self::List { .. }
            | Self::Large(_)
            | Self::Shown(_)
            | Self::Settings(_) => false,
        }
    }
}

/// Sends messages until the plan is done or `stop` is set, and waits until all are acknowledged.
///
/// `lists` gives the cells of a list's or lookup's column, and may leave empty ones in. `progress` is told
/// how many messages were handed over, often; it may block, which holds the producer back.
///
/// # Errors
/// When the brokers are away for long or refuse, and when the description cannot be followed.
pub fn run(
    description: &Description,
    plan: &Plan,
    lists: &Lists<'_>,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, Error> {
    let mut writer = Writer::new(description, plan, lists)?;
    let delivery = Delivery::open(description, plan)?;
    let began = Instant::now();
    let pace = Pace::new(description, plan, writer.people());
    let mut report = Report::default();
    let mut sent = 0;
    while pace.total.is_none_or(|total| sent < total) {
        let due = began + pace.due(sent);
        if Instant::now() < due {
            progress(sent);
        }
        if !wait_until(due, stop, &delivery)? {
            break;
        }
        let is_bad = pace.is_bad(sent, plan.bad);
        let message = if is_bad {
            writer.bad(sent, report.bad)
        } else {
            writer.good(sent)
        };
        let goes_on = plan.each.map_or(Ok(true), |each| each(message.value));
        if !goes_on.map_err(Error::Shown)? {
            break;
        }
        report.bad += u64::from(is_bad);
        report.unknown += u64::from(message.is_unknown);
        if let Some(time) = message.mine.filter(|_| !message.is_unknown) {
            let (first, _) = report.mine.unwrap_or((time, time));
            report.mine = Some((first, time));
        }
        if !delivery.send(&message, sent, stop)? {
            break;
        }
        sent += 1;
        if sent.is_multiple_of(TELL_EVERY) {
            progress(sent);
            delivery.serve(Duration::ZERO)?;
        }
    }
    progress(sent);
    delivery.finish(stop)?;
    report.sent = delivery.delivered();
    report.elapsed = began.elapsed();
    Ok(report)
}

/// Sleeps until a message is due. Whether it should still be sent.
fn wait_until(due: Instant, stop: &AtomicBool, delivery: &Delivery) -> Result<bool, Error> {
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(true);
        }
        delivery.serve(Duration::ZERO)?;
        thread::sleep(left.clamp(TICK_MIN, TICK_MAX));
    }
}

/// So long that nobody waits for it, and a clock can be that late.
const LONG: Duration = Duration::from_secs(100 * 365 * 86_400);

/// When each message is due, counted from the first.
struct Pace {
    total: Option<u64>,
    step: Step,
}

enum Step {
    AtOnce,
    Rate(f64),
    Bursts { size: u64, every: Duration },
}

impl Pace {
    fn new(description: &Description, plan: &Plan, people: u64) -> Self {
        let (step, total) = match plan.rate {
            None => {
                let size = description.burst.map_or(people, NonZeroU64::get);
                let total = description.bursts.map(|n| size.saturating_mul(n.get()));
                let every = description.every;
                (Step::Bursts { size, every }, total)
            }
            Some(rate) if rate > 0.0 => (Step::Rate(rate), None),
            Some(_) => (Step::AtOnce, None),
        };
        let total = plan.count.or(total);
        Self { total, step }
    }

    #[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
    fn due(&self, index: u64) -> Duration {
        match self.step {
            Step::AtOnce => Duration::ZERO,
            Step::Rate(rate) => {
                let due = Duration::try_from_secs_f64(index as f64 / rate);
                due.map_or(LONG, |due| due.min(LONG))
            }
            Step::Bursts { size, every } => {
                let bursts = u32::try_from(index / size.max(1)).unwrap_or(u32::MAX);
                every.saturating_mul(bursts).min(LONG)
            }
        }
    }

    /// Whether the message of an index is one of `bad` spread evenly over all.
    fn is_bad(&self, index: u64, bad: u64) -> bool {
        match self.total {
            Some(total) => {
                let share = |index: u64| u128::from(index) * u128::from(bad) / u128::from(total);
                share(index + 1) > share(index)
            }
            None => index % BAD_EVERY == BAD_EVERY - 1 && index / BAD_EVERY < bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_messages_are_spread_over_all() {
        for (total, bad) in [(10, 0), (10, 3), (10, 10), (500_000, 700), (3, 5)] {
            let pace = Pace {
                total: Some(total),
                step: Step::AtOnce,
            };
            let found = (0..total).filter(|&index| pace.is_bad(index, bad)).count();
            assert_eq!(found as u64, bad.min(total));
        }
    }

    #[test]
    fn a_pace_says_when_each_message_is_due_and_which_is_the_last() {
        let check = |said: &str, plan: &Plan, total: Option<u64>, due: &[(u64, u64)]| {
            let text = format!("people = 10\nme = \"A\"\nevery = \"10s\"\nmembers = []\n{said}");
            let pace = Pace::new(&toml::from_str(&text).unwrap(), plan, 11);
            assert_eq!(pace.total, total, "{said}");
            for &(index, milliseconds) in due {
                let due = Duration::from_millis(milliseconds);
                assert_eq!(pace.due(index), due, "{said}: {index}");
            }
        };
        let plan = |rate, count| Plan {
            rate,
            count,
            ..Plan::default()
        };
        let bursts = plan(None, None);
        check(
            "",
            &bursts,
            None,
            &[(10, 0), (11, 10_000), (22_000, 20_000_000)],
        );
        check("bursts = 10", &bursts, Some(110), &[(10, 0), (109, 90_000)]);
        check("burst = 15", &bursts, None, &[(14, 0), (15, 10_000)]);
        check(
            "burst = 1\nbursts = 3",
            &bursts,
            Some(3),
            &[(0, 0), (2, 20_000)],
        );
        let most = format!("bursts = {}", i64::MAX);
        check(&most, &bursts, Some(u64::MAX), &[]);
        check("bursts = 3", &plan(None, Some(7)), Some(7), &[(11, 10_000)]);
        check(
            "bursts = 3",
            &plan(Some(1000.0), None),
            None,
            &[(2500, 2500)],
        );
        check(
            "burst = 2",
            &plan(Some(0.0), Some(9)),
            Some(9),
            &[(5_000_000, 0)],
        );
    }
}
