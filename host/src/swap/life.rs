//! One offer after another: proved, decided on, traded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::back::Probation;
use super::diff::Diff;
use super::means::{Means, Ran};
use super::probation::Tallies;
use super::prove::Proven;
use super::status::Status;
use super::steward::{TICK, Word};
use super::trade::micros;
use super::{Consent, Event, Pending, Refusal, Traded, What};
use crate::archive::{self, End, Outcome};
use crate::worker::Control;

/// The steward's thread.
pub(super) struct Life {
    pub(super) means: Arc<Means>,
    pub(super) control: Arc<Control>,
    pub(super) words: Receiver<Word>,
    pub(super) offered: Receiver<Pending>,
    pub(super) tallies: Arc<Tallies>,
    pub(super) status: Arc<Mutex<Status>>,
    pub(super) current: Ran,
    pub(super) before: Option<Ran>,
    pub(super) probation: Option<Probation>,
    pub(super) waiting: VecDeque<Pending>,
}

/// A version that every worker runs now.
pub(super) struct Begun {
    pub(super) firsts: BTreeMap<i32, i64>,
    /// Why it cannot go on, if it could not even begin.
    failing: Option<String>,
    /// The longest that a worker did nothing else for it, in microseconds.
    pub(super) pause_us: u64,
}

impl Life {
    pub(super) fn live(mut self) {
        self.means.note_start();
        self.show(None);
        while !self.control.is_stopping() {
            if !self.hear() {
                return;
            }
            if let Some(pending) = self.next() {
                self.attend(pending);
            }
        }
    }

    /// Hears for a moment what workers tell, and looks how what is on probation does, whatever else is in
    /// hand. `false`: there is nobody to hear any more.
    pub(super) fn hear(&mut self) -> bool {
        match self.words.recv_timeout(TICK) {
            Ok(Word::Failing { reason, .. }) => self.roll_back(&reason),
            Ok(Word::Settled { .. }) => {
                self.keep("a worker remembers no more keys, so that there is no way back");
            }
            // Of a trade that nobody waits for any more.
            Ok(Word::Traded { .. } | Word::WentBack { .. }) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        self.watch();
        true
    }

    /// The last offer; those before it are given up for it.
    fn next(&mut self) -> Option<Pending> {
        self.is_superseded();
        let last = self.waiting.pop_back();
        for earlier in self.waiting.drain(..) {
            earlier.refuse(&superseded());
        }
        last
    }

    /// Whether an offer was made after the one in hand.
    fn is_superseded(&mut self) -> bool {
        while let Ok(pending) = self.offered.try_recv() {
            self.waiting.push_back(pending);
        }
        !self.waiting.is_empty()
    }

    fn attend(&mut self, pending: Pending) {
        let (what, who) = (
            format!("{:?}", pending.offer.what),
            pending.offer.who.clone(),
        );
        tracing::info!(what, who, "another version is offered");
        self.set_candidate(Some(&what));
        let answered = match &pending.offer.what {
            What::Before => self.go_back(&pending),
            What::Plugin { .. } | What::Lookup { .. } | What::Whole { .. } => {
                self.take_in(&pending)
            }
        };
        self.set_candidate(None);
        match answered {
            Ok(Some(begun)) => {
                let failing = begun.failing.clone();
                self.probation = Some(Probation {
                    begun,
                    since: Instant::now(),
                    asker: pending,
                });
                if let Some(reason) = failing {
                    self.roll_back(&reason);
                }
            }
            Ok(None) => {}
            Err(refusal) => {
                tracing::warn!(code = refusal.code, reason = refusal.reason, who, "refused");
                self.means.count("refused");
                pending.refuse(&refusal);
            }
        }
    }

    /// Proves what is offered, lets whoever decides decide, and trades.
    fn take_in(&mut self, pending: &Pending) -> Result<Option<Begun>, Refusal> {
        let proven = self.prove(pending)?;
        let limits = self
            .means
            .policy
            .decide(&proven.proposal, pending.offer.consent);
        pending.tell(Event::Proposed(proven.proposal.clone()));
        limits?;
        if pending.offer.is_dry_run {
            return Ok(None);
        }
        if pending.offer.consent == Consent::Asked {
            self.wait_for_consent(pending)?;
        } else if self.is_superseded() {
            return Err(superseded());
        }
        let Proven {
            version,
            parts,
            keys,
            proposal,
        } = proven;
        let next = Ran {
            version,
            keys,
            parts,
            generation: 0,
        };
        self.trade(next, pending, (&proposal.text, &proposal.diff))
            .map(Some)
    }

    /// Waits until whoever asks agrees to what was proposed.
    pub(super) fn wait_for_consent(&mut self, pending: &Pending) -> Result<(), Refusal> {
        let compared = self.current.generation;
        while !pending.is_agreed()? {
            if self.is_superseded() {
                return Err(superseded());
            }
            if !self.hear() || self.control.is_stopping() {
                return Err(stopping());
            }
            if self.current.generation != compared {
                let reason = "the version that it was compared with has been taken back since: \
                              offer it again";
                return Err(Refusal::new("outdated", reason));
            }
        }
        Ok(())
    }

    /// The version before, by hand: what is on probation is taken back, and what is not is traded.
    fn go_back(&mut self, pending: &Pending) -> Result<Option<Begun>, Refusal> {
        let Some(mut before) = self.former(pending)? else {
            return Ok(None);
        };
        if self.probation.is_some() {
            let reason = format!("{} asked for the version before", pending.offer.who);
            self.roll_back_for(&reason, Some(pending));
            return Ok(None);
        }
        // The version that a process began with was never proved, and tables change. They are needed
        // for its rows, and to undo what it does.
        before.keys = self.means.keys(&before.version)?;
        let text = "back to the version before, by hand";
        self.trade(before, pending, (text, &Diff::default()))
            .map(Some)
    }

    /// One version for another, in every worker.
    fn trade(
        &mut self,
        mut next: Ran,
        pending: &Pending,
        (diff, allowed): (&str, &Diff),
    ) -> Result<Begun, Refusal> {
        pending.tell(Event::Step {
            step: "keep",
            detail: "stores it, for a restart and for other members".to_owned(),
        });
        let generation = self.remember(&next, &pending.offer.who, diff)?;
        let current = &self.current.version;
        let orders = self
            .workers()
            .fit(&next.version, &next.keys, current, generation);
        let orders = orders.inspect_err(|_| self.finish(generation, Outcome::Abandoned, "", 0))?;
        if !self.tallies.gives_way() {
            self.finish(generation, Outcome::Abandoned, "", 0);
            let reason = "the version that runs does worse than the one before, and is taken back: offer it \
                          again";
            return Err(Refusal::new("outdated", reason));
        }
        // Nothing refuses it any more. What was on probation is what this one is measured by.
        self.keep("another version came");
        let before = self.tallies.between(self.current.generation, generation);
        self.tallies.try_out(generation, before.allowing(allowed));
        pending.tell(Event::Step {
            step: "trade",
            detail: "waits for each worker's next batch".to_owned(),
        });
        let answers = self.workers().order(orders, &mut |detail| {
            pending.tell(Event::Step {
                step: "trade",
                detail,
            });
        });
        next.generation = generation;
        let pause_us = answers.pause_us();
        self.finish(generation, Outcome::Running, "", pause_us);
        let code = next.version.code();
        let origin = next.version.origin();
        let (version, digest) = (&origin.version, &origin.digest);
        tracing::info!(version, digest, generation, pause_us, "traded");
        let pauses = answers.pauses.iter();
        let traded = Traded {
            name: origin.name.clone(),
            version: version.clone(),
            digest: digest.clone(),
            lookups: code.lookups,
            generation: answers.generation.max(generation),
            first_offsets: answers.firsts.clone(),
            pauses_us: pauses
                .map(|(&worker, &pause)| (worker, micros(pause)))
                .collect(),
        };
        self.means.count("traded");
        self.before = Some(std::mem::replace(&mut self.current, next));
        self.show(Some(self.means.policy.probation));
        pending.tell(Event::Traded(traded));
        Ok(Begun {
            firsts: answers.firsts,
            failing: answers.failing,
            pause_us,
        })
    }

    pub(super) fn finish(&self, generation: u32, outcome: Outcome, reason: &str, pause_us: u64) {
        let end = End {
            outcome,
            reason: reason.to_owned(),
            pause_us,
        };
        self.means.finish(generation, &end);
    }

    /// Keeps the parts of a version and takes its generation.
    fn remember(&self, next: &Ran, who: &str, diff: &str) -> Result<u32, Refusal> {
        let trade = archive::Trade {
            code: next.version.code(),
            replaced: self.current.version.code(),
            by: match who {
                // That name says that nobody asked.
                archive::WAY_BACK => "somebody".to_owned(),
                who => who.to_owned(),
            },
            diff: diff.to_owned(),
            is_deployment: false,
        };
        // A worker that was given no partition yet has met none, not even that of what runs.
        let met = self.control.generation().max(self.current.generation);
        self.means.remember(next, met + 1, &trade)
    }
}

fn superseded() -> Refusal {
    Refusal::new("superseded", "another version was offered after it")
}

pub(super) fn stopping() -> Refusal {
    Refusal::new("stopping", "the host ends")
}
