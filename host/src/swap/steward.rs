//! The thread that takes offers, one at a time, and answers for what runs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::group;
use super::life::Life;
use super::means::Means;
use super::probation::Tallies;
use super::status::Status;
use super::{Asked, Offer, Pending};
use crate::code::Code;
use crate::worker::{Control, Report};

/// How often the thread looks at what runs.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// Who proves, trades and takes back. Clones speak to the same one.
#[derive(Clone)]
pub struct Steward {
    offers: Sender<Pending>,
    words: Sender<Word>,
    tallies: Arc<Tallies>,
    status: Arc<Mutex<Status>>,
}

/// What the thread hears of workers.
pub(super) enum Word {
    Traded {
        worker: usize,
        generation: u32,
        firsts: BTreeMap<i32, i64>,
        pause: Duration,
    },
    Failing {
        worker: usize,
        reason: String,
    },
    Settled {
        worker: usize,
    },
    WentBack {
        messages: u64,
    },
}

impl Steward {
    /// Begins with the version that the pipeline's plan names.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn begin(mut means: Means, control: Arc<Control>) -> std::io::Result<Self> {
        let ((offers, offered), (words, heard)) = (channel(), channel());
        let tallies = Arc::new(Tallies::of(control.clone()));
        let status = Arc::new(Mutex::new(Status::of(&means.first)));
        if let Some(ask) = means.group.take() {
            group::watch(ask, means.archive.clone(), control.clone(), status.clone())?;
        }
        let steward = Self {
            offers,
            words,
            tallies: tallies.clone(),
            status: status.clone(),
        };
        let life = move || {
            let current = means.first.clone();
            Life {
                means: means.into(),
                control,
                words: heard,
                offered,
                tallies,
                status,
                current,
                before: None,
                probation: None,
                waiting: VecDeque::new(),
            }
            .live();
        };
        thread::Builder::new().name("steward".into()).spawn(life)?;
        Ok(steward)
    }

    /// Offers another version. What was offered before and is not traded yet is given up for it.
    pub fn offer(&self, offer: Offer) -> Asked {
        let (asked, answers) = Asked::open();
        // A steward that is gone answers by its end.
        let _ = self.offers.send(Pending { offer, answers });
        asked
    }

    /// What runs, what is on its way, and what was, as JSON.
    pub fn status(&self) -> serde_json::Value {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.told(&self.tallies)
    }

    /// What runs now.
    pub fn code(&self) -> Code {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.code.clone()
    }

    /// Notes what a worker tells.
    pub fn observe(&self, report: &Report) {
        let word = match report {
            Report::Done(done) => return self.tallies.count(done),
            Report::Traded {
                worker,
                generation,
                firsts,
                pause,
            } => Word::Traded {
                worker: *worker,
                generation: *generation,
                firsts: firsts.clone(),
                pause: *pause,
            },
            Report::Failing { worker, reason } => Word::Failing {
                worker: *worker,
                reason: reason.clone(),
            },
            Report::Settled { worker } => Word::Settled { worker: *worker },
            Report::WentBack { messages } => Word::WentBack {
                messages: *messages,
            },
            Report::Ready
            | Report::Taken { .. }
            | Report::Waits { .. }
            | Report::GoesOn { .. }
            | Report::Retries { .. }
            | Report::Stopped { .. }
            | Report::Standing { .. }
            | Report::Released { .. } => return,
        };
        // Nobody listens any more only when the process is about to end.
        let _ = self.words.send(word);
    }
}
