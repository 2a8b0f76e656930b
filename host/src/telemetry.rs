//! What a person or a program sees of the work: the log, the lines of progress, the last line.
//!
//! It counts reports; it never looks into a room.

mod progress;

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::io::IsTerminal;
use std::time::Instant;

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use progress::{Format, Progress, Totals};

/// Starts the log on standard error: text on a terminal, JSON otherwise. `filter` names levels, for
/// all and for modules: `info`, or `warn,host=info,host::sink=debug`.
///
/// # Errors
/// If the filter cannot be read.
pub fn init(filter: &str) -> Result<(), ParseError> {
    let filter: Targets = filter.parse()?;
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry();
    if std::io::stderr().is_terminal() {
        registry.with(log.with_target(false).with_filter(filter)).init();
    } else {
        registry.with(log.json().flatten_event(true).with_filter(filter)).init();
    }
    Ok(())
}

/// What a worker waits for, told once when it begins and once when it ends.
#[derive(Debug, Default)]
pub struct Stalls {
    since: BTreeMap<&'static str, (String, Instant)>,
}

impl Stalls {
    /// A room does not get on. Logged only if that is new, or for another reason than before.
    pub fn waits(&mut self, room: &'static str, reason: &dyn Display) {
        let reason = reason.to_string();
        match self.since.get_mut(room) {
            Some((told, _)) if *told == reason => {}
            Some((told, _)) => {
                tracing::warn!(room, reason, "still waiting");
                *told = reason;
            }
            None => {
                tracing::warn!(room, reason, "waiting");
                self.since.insert(room, (reason, Instant::now()));
            }
        }
    }

    /// A room gets on again.
    pub fn goes_on(&mut self, room: &'static str) {
        if let Some((_, since)) = self.since.remove(room) {
            tracing::info!(room, waited_ms = since.elapsed().as_millis(), "going on");
        }
    }
}

/// A number with its thousands set apart: 1234567 as 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        let _ = out.write_char(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let given = [0, 999, 1_000, 12_345, 1_234_567];
        assert_eq!(
            given.map(grouped),
            ["0", "999", "1,000", "12,345", "1,234,567"]
        );
    }
}
