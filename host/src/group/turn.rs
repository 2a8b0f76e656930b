//! A host's turn: what is ordered is offered to its own steward, and what becomes of it is noted.

use std::time::Duration;

use super::order::{Order, Outcome, State};
use super::rows::Rows;
use crate::archive::Archive;
use crate::sink::Error;
use crate::swap::{Asked, Event, Offer, Over, Steward};

/// A turn in hand.
pub(super) struct Turn {
    order: Order,
    asked: Asked,
    over: Option<(Outcome, String)>,
}

impl Turn {
    /// Takes the turn, if nobody has it; `None`, if somebody has, or it is over already.
    pub(super) fn take(
        order: Order,
        rows: &Rows,
        own: &str,
        (steward, archive): (&Steward, &dyn Archive),
    ) -> Result<Option<Self>, Error> {
        if !rows.take(&order.id, own)? {
            return Ok(None);
        }
        if order.wanted.is_run_by(&steward.code()) {
            let told = "it runs it already";
            end(rows, own, &order.id, (Outcome::Kept, told))?;
            return Ok(None);
        }
        rows.note(&order.id, own, (Outcome::Proving, ""))?;
        let what = match order.wanted.fetch(archive) {
            Ok(Some(what)) => what,
            Ok(None) => {
                let told = "it is not in sluice.plugins";
                end(rows, own, &order.id, (Outcome::Refused, told))?;
                return Ok(None);
            }
            Err(error) => {
                end(rows, own, &order.id, (Outcome::Refused, &error.to_string()))?;
                return Ok(None);
            }
        };
        let asked = steward.offer(Offer {
            what,
            who: order.by.clone(),
            consent: order.consent,
            is_dry_run: false,
        });
        Ok(Some(Self {
            order,
            asked,
            over: None,
        }))
    }

    /// Keeps the turn and notes what has happened; whether it is over. Called again after an error.
    pub(super) fn go_on(&mut self, rows: &Rows, own: &str) -> Result<bool, Error> {
        rows.stay(own)?;
        while self.over.is_none() {
            self.over = match self.asked.next(Duration::ZERO) {
                Ok(None) => return Ok(false),
                Ok(Some(Event::Traded(_))) => {
                    rows.note(&self.order.id, own, (Outcome::Probation, ""))?;
                    None
                }
                Ok(Some(Event::Kept { .. })) => Some((Outcome::Kept, String::new())),
                Ok(Some(Event::RolledBack { reason, .. })) => Some((Outcome::RolledBack, reason)),
                Ok(Some(Event::Refused { reason, .. })) => Some((Outcome::Refused, reason)),
                Ok(Some(
                    Event::Step { .. }
                    | Event::Proposed(_)
                    | Event::WouldGoBack(_)
                    | Event::Member { .. }
                    | Event::Everywhere { .. }
                    | Event::Stopped { .. },
                )) => None,
                Err(Over) => Some((Outcome::Refused, "the host ends".to_owned())),
            };
        }
        if let Some((outcome, reason)) = &self.over {
            end(rows, own, &self.order.id, (*outcome, reason))?;
        }
        Ok(true)
    }
}

/// Notes what became of a turn, and passes it on.
fn end(rows: &Rows, own: &str, id: &str, what: (Outcome, &str)) -> Result<(), Error> {
    rows.note(id, own, what)?;
    if what.0 != Outcome::Kept {
        rows.end(id, State::Stopped)?;
    }
    rows.pass(own)
}
