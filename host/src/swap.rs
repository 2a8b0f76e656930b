//! Another version for a running pipeline: proved, put to whoever decides, and traded.
//!
//! One thread, the steward's, does all of it beside the workers, one offer at a time. Until the trade
//! nothing of it touches a worker; the trade itself is a batch's boundary.

mod back;
mod beside;
pub mod diff;
mod event;
pub mod files;
mod former;
mod group;
mod life;
mod means;
mod policy;
mod probation;
mod proposal;
pub mod prove;
mod refusal;
mod status;
mod steward;
mod trade;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use crate::archive::Part;
pub use event::{Event, Traded};
pub use former::Former;
pub use group::{Ask, Share};
pub use means::{Beside, Load, Means, OfCode, Ran, ReadLookup};
pub use policy::Policy;
pub use proposal::{Name, Proposal};
pub use refusal::Refusal;
pub use steward::Steward;

/// What somebody wants to run instead.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What is offered.
    pub what: What,
    /// Who offers it, for the history: a person, `SIGHUP`, `--watch`.
    pub who: String,
    /// Who decides once it is proved.
    pub consent: Consent,
    /// Whether it ends with what the proof found.
    pub is_dry_run: bool,
}

/// What can be offered.
#[derive(Clone)]
pub enum What {
    /// A plugin.
    Plugin {
        /// Where it comes from, for people.
        name: String,
        /// The file's bytes, read once.
        bytes: Vec<u8>,
    },
    /// Other reference data for the same plugin.
    Lookup {
        /// Which of the plugin's lookups.
        lookup: String,
        /// Where it comes from, for people.
        name: String,
        /// The file's bytes, read once.
        bytes: Vec<u8>,
    },
    /// A plugin with all of its lookups.
    Whole {
        /// The plugin.
        plugin: Part,
        /// The lookups, by their names.
        lookups: BTreeMap<String, Part>,
    },
    /// The version that ran before.
    Before,
}

impl What {
    /// A lookup, or without the name of one a plugin.
    pub fn of(lookup: Option<String>, name: String, bytes: Vec<u8>) -> Self {
        match lookup {
            None => Self::Plugin { name, bytes },
            Some(lookup) => Self::Lookup {
                lookup,
                name,
                bytes,
            },
        }
    }
}

impl fmt::Debug for What {
    // Not the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plugin { name, .. } => write!(f, "Plugin({name})"),
            Self::Lookup { lookup, name, .. } => write!(f, "Lookup({lookup}, {name})"),
            Self::Whole { plugin, lookups } => {
                let parts = [plugin].into_iter().chain(lookups.values());
                let names: Vec<_> = parts.map(|part| part.name.as_str()).collect();
                write!(f, "Whole({})", names.join(", "))
            }
            Self::Before => write!(f, "Before"),
        }
    }
}

/// Who decides whether a proved candidate is traded for what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Whoever offers it, once the proposal is seen.
    Asked,
    /// It is given beforehand; what the proof refuses stays refused.
    Given,
    /// The pipeline's `[swap]`.
    Policy,
}

/// An offer on its way. Dropped before it is agreed to, it leaves the version that runs.
#[derive(Debug)]
pub struct Asked {
    events: Receiver<Event>,
    agree: SyncSender<()>,
}

/// The other end of an offer: whoever proves it tells what happens, and hears what is decided.
#[derive(Debug)]
pub struct Answers {
    /// What happens goes here.
    pub events: SyncSender<Event>,
    /// Who asks agrees here; disconnected, if he has gone.
    pub agreed: Receiver<()>,
}

/// Events that wait to be read before whoever tells them waits.
const EVENTS_MAX: usize = 64;

impl Asked {
    /// The two ends of a new offer.
    pub fn open() -> (Self, Answers) {
        let (to, events) = sync_channel(EVENTS_MAX);
        let (agree, agreed) = sync_channel(1);
        (Self { events, agree }, Answers { events: to, agreed })
    }

    /// What happened next, within `wait`; `None`: nothing yet.
    ///
    /// # Errors
    /// When there is nothing more to come.
    pub fn next(&self, wait: Duration) -> Result<Option<Event>, Over> {
        match self.events.recv_timeout(wait) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Over),
        }
    }

    /// Agrees to what was proposed.
    pub fn agree(&self) {
        // Agreeing twice, or too late, changes nothing.
        let _ = self.agree.try_send(());
    }
}

/// The steward's end of an offer.
struct Pending {
    offer: Offer,
    answers: Answers,
}

impl Pending {
    fn tell(&self, event: Event) {
        // Who does not listen need not hear it, and holds nobody up.
        let _ = self.answers.events.try_send(event);
    }

    fn refuse(&self, refusal: &Refusal) {
        self.tell(Event::Refused {
            code: refusal.code,
            reason: refusal.reason.clone(),
        });
    }

    /// Whether whoever asked has gone away.
    fn is_gone(&self) -> bool {
        matches!(
            self.answers.agreed.try_recv(),
            Err(TryRecvError::Disconnected)
        )
    }

    /// Whether it was agreed to by now.
    fn is_agreed(&self) -> Result<bool, Refusal> {
        match self.answers.agreed.try_recv() {
            Ok(()) => Ok(true),
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::Disconnected) => Err(Refusal::new(
                "withdrawn",
                "it was withdrawn before it was agreed to",
            )),
        }
    }
}

/// There is nothing more to come of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over;
