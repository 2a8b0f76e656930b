//! An order: what every host of the group shall run, one host after the other.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::rows::Rows;
use super::wanted::Wanted;
use super::{Config, before};
use crate::archive::{self, Archive};
use crate::sink::Error;
use crate::swap::{Answers, Asked, Consent, Event, Offer, Refusal, What};

/// How often it is looked how far an order is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the hosts of a group are to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) wanted: Wanted,
    pub(super) by: String,
    pub(super) consent: Consent,
    pub(super) state: State,
    /// Whose turn it is.
    pub(super) turn: Option<String>,
    pub(super) taken: Vec<Taken>,
}

/// Whether an order goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// Every host runs it.
    Done,
    /// One did not take it, or took it back.
    Stopped,
}

/// A turn that a host has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) member: String,
    pub(super) outcome: Outcome,
    pub(super) reason: String,
}

/// How far a host is with its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Proving,
    Probation,
    Kept,
    Refused,
    RolledBack,
}

impl State {
    const ALL: [Self; 3] = [Self::Open, Self::Done, Self::Stopped];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Stopped => "stopped",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl Outcome {
    const ALL: [Self; 5] = [
        Self::Proving,
        Self::Probation,
        Self::Kept,
        Self::Refused,
        Self::RolledBack,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Proving => "proving",
            Self::Probation => "probation",
            Self::Kept => "kept",
            Self::Refused => "refused",
            Self::RolledBack => "rolled_back",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// What a host does about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing now.
    Wait,
    /// It asks for its turn.
    Take,
    /// The order has come to its end.
    End(State),
}

impl Order {
    /// The turn of a host.
    fn of(&self, member: &str) -> Option<&Taken> {
        self.taken.iter().find(|taken| taken.member == member)
    }

    /// Whether it goes on, and nobody has the turn.
    pub(super) fn is_free(&self) -> bool {
        self.state == State::Open && self.turn.is_none()
    }

    /// What a host does about it, of all that are there, if it is free.
    pub(super) fn next(&self, own: &str, members: &[String]) -> Next {
        // Whoever has not come to an end of his turn, and has it no longer, has not come out of it.
        if self
            .taken
            .iter()
            .any(|taken| taken.outcome != Outcome::Kept)
        {
            return Next::End(State::Stopped);
        }
        let has_it = |member: &String| self.of(member).is_some();
        match (self.of(own), members.iter().all(has_it)) {
            (None, _) => Next::Take,
            (Some(_), true) => Next::End(State::Done),
            (Some(_), false) => Next::Wait,
        }
    }

    /// Why it was stopped, and who runs what now.
    fn obstacle(&self) -> String {
        let (kept, others): (Vec<_>, Vec<_>) = self
            .taken
            .iter()
            .partition(|one| one.outcome == Outcome::Kept);
        let why = others
            .first()
            .map_or_else(String::new, |one| match one.outcome {
                Outcome::Kept | Outcome::Refused | Outcome::RolledBack => {
                    format!("{}: {}", one.member, one.reason)
                }
                Outcome::Proving | Outcome::Probation => format!(
                    "{} ended in its turn, or lost the store: `host status` tells what it runs",
                    one.member
                ),
            });
        let kept: Vec<_> = kept.iter().map(|one| one.member.as_str()).collect();
        if kept.is_empty() {
            return why + "\nno other host has traded it";
        }
        let kept = kept.join(", ");
        format!(
            "{why}\nit is kept by {kept}; the others run what ran before. `host rollback --whole-group` has \
             all run that again, and the same order once more goes on from here"
        )
    }
}

/// Where a host of a group is given orders for all of it.
#[derive(Clone)]
pub struct Orders {
    /// Which host it is.
    pub config: Config,
    /// Where versions are remembered.
    pub archive: Arc<dyn Archive>,
}

impl Orders {
    /// What was another before the group's last trade.
    ///
    /// # Errors
    /// If the history knows none that is kept, or the store does not answer.
    pub fn before(&self) -> Result<What, Refusal> {
        before::what(&*self.archive)
    }

    /// Orders that every host of the group runs what is offered. Whoever stops listening leaves the order to
    /// them.
    pub fn give(&self, offer: Offer) -> Asked {
        let (asked, answers) = Asked::open();
        let orders = self.clone();
        let life = move || {
            if let Err(refusal) = orders.follow(offer, &answers) {
                tell(
                    &answers,
                    Event::Refused {
                        code: refusal.code,
                        reason: refusal.reason,
                    },
                );
            }
        };
        if let Err(error) = thread::Builder::new().name("order".into()).spawn(life) {
            // Nothing more comes of it, which is seen.
            tracing::warn!(%error, "no thread for an order");
        }
        asked
    }

    fn follow(&self, offer: Offer, answers: &Answers) -> Result<(), Refusal> {
        let not_kept = |error: archive::Error| Refusal::new("not_kept", error.to_string());
        let wanted = Wanted::keep(offer.what, &*self.archive).map_err(not_kept)?;
        // Only what is known can be kept for all.
        let unnamed = || Refusal::new("not_ordered", "an order names what all shall run");
        let wanted = wanted.ok_or_else(unnamed)?;
        let order = Order {
            id: uuid::Uuid::new_v4().to_string(),
            wanted,
            by: offer.who,
            consent: offer.consent,
            state: State::Open,
            turn: None,
            taken: Vec::new(),
        };
        let not_ordered = |error: Error| Refusal::new("not_ordered", error.to_string());
        let rows = Rows::open(&self.config).map_err(not_ordered)?;
        rows.give(&order).map_err(not_ordered)?;
        let mut rows = Some(rows);
        let step = |detail: String| Event::Step {
            step: "order",
            detail,
        };
        let (mut known, mut obstacle) = (Vec::new(), String::new());
        let told = "each host of the group takes its turn, whether this is watched or not";
        let mut is_heard = tell(answers, step(told.to_owned()));
        while is_heard {
            match self.look(&mut rows, &order.id, &mut known, answers) {
                Ok(is_over) => is_heard = !is_over && !is_gone(answers),
                Err(error) => {
                    rows = None;
                    is_heard = !is_gone(answers);
                    let error = error.to_string();
                    if error != obstacle {
                        obstacle.clone_from(&error);
                        tell(answers, step(error));
                    }
                }
            }
            match &rows {
                Some(rows) => rows.rest(LOOK_EVERY),
                None => thread::sleep(LOOK_EVERY),
            }
        }
        Ok(())
    }

    /// Tells what is new; whether it is over.
    fn look(
        &self,
        rows: &mut Option<Rows>,
        id: &str,
        known: &mut Vec<Taken>,
        answers: &Answers,
    ) -> Result<bool, Error> {
        let open = match rows.take() {
            Some(open) => open,
            None => Rows::open(&self.config)?,
        };
        let order = rows.insert(open).order()?;
        let Some(order) = order.filter(|order| order.id == id) else {
            let reason = "another order came after it".to_owned();
            tell(answers, Event::Stopped { reason });
            return Ok(true);
        };
        for taken in order.taken.iter().filter(|taken| !known.contains(taken)) {
            tell(
                answers,
                Event::Member {
                    member: taken.member.clone(),
                    outcome: taken.outcome.name(),
                    reason: taken.reason.clone(),
                },
            );
        }
        known.clone_from(&order.taken);
        match order.state {
            State::Open => return Ok(false),
            State::Done => tell(
                answers,
                Event::Everywhere {
                    members: order.taken.len(),
                },
            ),
            State::Stopped => tell(
                answers,
                Event::Stopped {
                    reason: order.obstacle(),
                },
            ),
        };
        Ok(true)
    }
}

/// Tells whoever ordered it; whether he still listens.
fn tell(answers: &Answers, event: Event) -> bool {
    // Who does not keep up misses steps, and holds nobody up.
    let _ = answers.events.try_send(event);
    !is_gone(answers)
}

fn is_gone(answers: &Answers) -> bool {
    use std::sync::mpsc::TryRecvError;
    answers.agreed.try_recv() == Err(TryRecvError::Disconnected)
}

#[cfg(test)]
mod tests;
