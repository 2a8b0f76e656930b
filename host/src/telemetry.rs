//! What a person or a program sees of the work: the log, the lines of progress, the last line, and
//! what is known of it at any time.
//!
//! It counts reports; it never looks into a room.

mod batch;
mod board;
mod limit;
pub mod metrics;
mod progress;

use std::fmt::Write;
use std::io::IsTerminal;

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use limit::Limited;

pub use batch::Run;
pub use board::{About, Board};
pub use progress::{Format, Progress, Totals};

/// Starts the log on standard error: text on a terminal or where it `is_read` by people anyway, JSON
/// otherwise. `filter` names levels, for all and for modules: `info`, or `warn,host=info,host::sink=debug`.
///
/// # Errors
/// If the filter cannot be read.
pub fn init(filter: &str, is_read: bool) -> Result<(), ParseError> {
    let filter: Targets = filter.parse()?;
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry();
    let is_terminal = std::io::stderr().is_terminal();
    if is_terminal || is_read {
        let log = log.with_target(false).with_ansi(is_terminal);
        let log = log.map_event_format(|format| Limited::new(format, false));
        registry.with(log.with_filter(filter)).init();
    } else {
        let log = log.json().flatten_event(true);
        let log = log.map_event_format(|format| Limited::new(format, true));
        registry.with(log.with_filter(filter)).init();
    }
    Ok(())
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
