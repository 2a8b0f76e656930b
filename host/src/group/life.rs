//! The thread by which a host is one of its group.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::order::{Next, Orders};
use super::rows::Rows;
use super::turn::Turn;
use crate::sink::Error;
use crate::swap::Steward;
use crate::worker::Control;

/// How often it is looked what is ordered.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often a host tells that it is still there: its row lives three times as long.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// How often it is looked whether the process ends.
const TICK: Duration = Duration::from_millis(100);

pub(super) struct Life {
    orders: Orders,
    steward: Steward,
    control: Arc<Control>,
    told: Option<Instant>,
    turn: Option<Turn>,
    rows: Option<Rows>,
    is_failing: bool,
}

impl Life {
    pub(super) fn new(orders: Orders, steward: Steward, control: Arc<Control>) -> Self {
        Self {
            orders,
            steward,
            control,
            told: None,
            turn: None,
            rows: None,
            is_failing: false,
        }
    }

    pub(super) fn live(mut self) {
        while !self.control.is_stopping() {
            match self.look() {
                Ok(()) => self.is_failing = false,
                Err(error) => {
                    // Others take it for gone meanwhile, and its session is made anew.
                    (self.rows, self.told) = (None, None);
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::warn!(
                            %error,
                            "sluice.members is not written: orders to the whole group do not reach this host"
                        );
                    }
                }
            }
            self.rest();
        }
        if let Some(rows) = &self.rows {
            // If not, it is gone as soon as its row is.
            let _ = rows.leave(&self.orders.config.member);
        }
    }

    /// Tells that this host is there, and does what is ordered when it is its turn.
    fn look(&mut self) -> Result<(), Error> {
        let rows = match self.rows.take() {
            Some(rows) => rows,
            None => Rows::open(&self.orders.config)?,
        };
        let rows = self.rows.insert(rows);
        let own = &self.orders.config.member;
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            rows.tell(own)?;
            self.told = Some(Instant::now());
        }
        if let Some(turn) = &mut self.turn {
            if turn.go_on(rows, own)? {
                self.turn = None;
            }
            return Ok(());
        }
        let Some(order) = rows.order()?.filter(|order| order.is_free()) else {
            return Ok(());
        };
        match order.next(own, &rows.members()?) {
            Next::Wait => {}
            Next::End(state) => rows.end(&order.id, state)?,
            Next::Take => {
                let with = (&self.steward, &*self.orders.archive);
                self.turn = Turn::take(order, rows, own, with)?;
            }
        }
        Ok(())
    }

    /// Waits for the next look, or the end.
    fn rest(&self) {
        let until = Instant::now() + LOOK_EVERY;
        while Instant::now() < until && !self.control.is_stopping() {
            match &self.rows {
                Some(rows) => rows.rest(TICK),
                None => thread::sleep(TICK),
            }
        }
    }
}
