//! What the members of the group run, as its commits tell: while each is swapped by itself, two versions
//! stand side by side.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::status::Status;
use crate::code::Code;
use crate::worker::Control;

/// How often the commits are asked.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether the process ends.
const TICK: Duration = Duration::from_millis(100);

/// What some partitions of the group's topic are read by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The version.
    pub code: Code,
    /// The greatest generation that it writes in.
    pub generation: u32,
    /// The partitions.
    pub partitions: Vec<i32>,
}

/// Asks what the group runs; nothing, if it cannot be known now. Waits for the brokers.
pub type Ask = dyn Fn() -> Option<Vec<Share>> + Send + Sync;

/// Keeps the status up to date, in a thread of its own: brokers that do not answer hold nothing up.
pub(super) fn watch(
    ask: Box<Ask>,
    control: Arc<Control>,
    status: Arc<Mutex<Status>>,
) -> std::io::Result<()> {
    let life = move || {
        while !control.is_stopping() {
            if let Some(shares) = ask() {
                let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
                status.group = shares;
            }
            for _ in 0..ASK_EVERY.as_millis() / TICK.as_millis() {
                if control.is_stopping() {
                    return;
                }
                thread::sleep(TICK);
            }
        }
    };
    thread::Builder::new()
        .name("group".into())
        .spawn(life)
        .map(drop)
}
