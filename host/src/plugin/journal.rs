//! What a plugin says, in the host's log: whole lines, short, without control characters, and not
//! too many of them.

use std::mem;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::message::Batch;
use crate::terminal;

use super::bindings::{Asked, Level};
use super::refusals::SECTION;

/// The longest line, in bytes; the rest is cut off.
const LINE_BYTES_MAX: usize = 8 << 10;
/// The most lines of a plugin in a second, however many instances it has had in it: one that fails on
/// every message has as many.
const LINES_MAX: u32 = 100;
/// How much of what is printed at once is looked at, in bytes: the end of it, where the reason stands. No
/// deadline falls while the host reads.
const PRINT_BYTES_MAX: usize = 1 << 20;

/// How far an instance is: what its language's runtime does of its own accord is not its author's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It is being made.
    Start,
    /// Its `init` is called.
    Init,
    /// It is given messages.
    Messages,
}

/// Whose lines they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Author {
    pub(super) name: Arc<str>,
    pub(super) version: Arc<str>,
    /// What it was told already that it asks for in vain: a bit for each of [`Asked`].
    pub(super) told: Arc<AtomicU8>,
    pub(super) allowance: Arc<Mutex<Allowance>>,
    /// Of the host's own lines on it: what it has said last, however long, must not keep back why it failed.
    pub(super) blames: Arc<Mutex<Allowance>>,
}

/// How much a plugin has said in the second that began last.
#[derive(Debug)]
pub(super) struct Allowance {
    second: Instant,
    lines: u32,
    left_out: u64,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            second: Instant::now(),
            lines: 0,
            left_out: 0,
        }
    }
}

impl Allowance {
    /// Whether there is room for a line, and how many were left out before it.
    fn admit(&mut self, now: Instant) -> (bool, u64) {
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.lines) = (now, 0);
        }
        self.lines += 1;
        if self.lines > LINES_MAX {
            self.left_out += 1;
            return (false, 0);
        }
        (true, mem::take(&mut self.left_out))
    }
}

/// The log of one instance.
#[derive(Debug)]
pub(super) struct Journal {
    author: Author,
    /// What was printed since the last end of a line, to standard output and error.
    printed: [Vec<u8>; 2],
    last_error: Option<String>,
    phase: Phase,
}

impl Journal {
    pub(super) fn new(author: Author) -> Self {
        Self {
            author,
            printed: [vec![], vec![]],
            last_error: None,
            phase: Phase::Start,
        }
    }

    /// Begins a call: what was told before it is not why it fails.
    pub(super) fn begin(&mut self, phase: Phase) {
        self.take_error();
        self.phase = phase;
    }

    /// Writes a line.
    pub(super) fn line(&mut self, level: Level, text: &str) {
        let is_allowed = self.admit(&self.author.allowance);
        if is_allowed || level == Level::Error {
            let text = clean(text);
            if is_allowed {
                self.emit(level, &text);
            }
            if level == Level::Error {
                self.last_error = Some(text);
            }
        }
    }

    /// Says on which message of a batch the plugin has failed, and why.
    pub(super) fn blame(&self, batch: &Batch, message: usize, code: &str, reason: &str) {
        if self.admit(&self.author.blames) {
            let place = batch.place(message);
            let line = format!("{code} on {place}: {reason}");
            self.emit(Level::Error, &clean(&line));
        }
    }

    /// Whether there is room for a line; says how many were left out before it.
    fn admit(&self, allowance: &Mutex<Allowance>) -> bool {
        let (is_allowed, left_out) = {
            let mut allowance = allowance.lock().unwrap_or_else(PoisonError::into_inner);
            allowance.admit(Instant::now())
        };
        if left_out > 0 {
            let told = format!("{left_out} lines were left out: at most {LINES_MAX} a second");
            self.emit(Level::Warn, &told);
        }
        is_allowed
    }

    /// Takes a piece of what the guest prints; a line is written when it is complete.
    pub(super) fn print(&mut self, is_error: bool, text: &[u8]) {
        let text = &text[text.len().saturating_sub(PRINT_BYTES_MAX)..];
        for piece in text.split_inclusive(|byte| *byte == b'\n') {
            let line = &mut self.printed[usize::from(is_error)];
            let room = LINE_BYTES_MAX.saturating_sub(line.len());
            line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.end_line(is_error);
            }
        }
    }

    fn end_line(&mut self, is_error: bool) {
        let line = mem::take(&mut self.printed[usize::from(is_error)]);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if !text.is_empty() {
            self.line(if is_error { Level::Error } else { Level::Info }, text);
        }
    }

    /// Says once for each plugin that it asks for what is not there, if that is its author's doing: from which
    /// phase on it is, the runtimes of languages tell.
    pub(super) fn note(&mut self, asked: Asked, since: Phase, level: Level) {
        let bit = 1 << asked as u8;
        if self.phase < since || self.author.told.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            return;
        }
        let line = match asked {
            Asked::Files => {
                "it asks for a file or a folder: a plugin has none; reference data comes by lookups"
            }
            Asked::Sockets => {
                "it asks for the network: a plugin has none; reference data comes by lookups"
            }
            Asked::Environment => {
                "it asks for arguments or environment variables: a plugin has none; its settings are in [plugin.config]"
            }
            Asked::Clock => {
                "it reads a clock: a plugin's clocks only count how often they are read, so that a replay makes the \
                 same rows; take the message's time"
            }
            Asked::Random => {
                "it draws random numbers: a plugin's are the same in each call, so that a replay makes the same rows; \
                 take the message's position for an id"
            }
        };
        self.line(level, &format!("{line} ({SECTION})"));
    }

    /// The last error it told since this was asked before: why a call has failed.
    pub(super) fn take_error(&mut self) -> Option<String> {
        self.end_line(false);
        self.end_line(true);
        self.last_error.take()
    }

    fn emit(&self, level: Level, text: &str) {
        let (plugin, version) = (&*self.author.name, &*self.author.version);
        match level {
            Level::Trace => tracing::trace!(target: "plugin", plugin, version, "{text}"),
            Level::Debug => tracing::debug!(target: "plugin", plugin, version, "{text}"),
            Level::Info => tracing::info!(target: "plugin", plugin, version, "{text}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, version, "{text}"),
            Level::Error => tracing::error!(target: "plugin", plugin, version, "{text}"),
        }
    }
}

/// What a plugin says, as the log takes it.
fn clean(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(LINE_BYTES_MAX)];
    terminal::line(text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_short_and_harmless() {
        assert_eq!(clean("a\x1b[31m\nb\u{202e}\n"), "a [31m b ");
        assert_eq!(clean(&"é".repeat(LINE_BYTES_MAX)).len(), LINE_BYTES_MAX);
    }

    #[test]
    fn a_flood_is_counted_not_written() {
        let mut allowance = Allowance::default();
        let start = allowance.second;
        let admitted = (0..LINES_MAX + 50)
            .filter(|_| allowance.admit(start).0)
            .count();
        assert_eq!(admitted, LINES_MAX as usize);
        assert_eq!(allowance.admit(start + Duration::from_secs(1)), (true, 50));
    }

    /// All lines of the guest's memory at once would take the host half a minute.
    #[test]
    fn of_too_much_at_once_the_end_is_read() {
        let mut journal = Journal::new(Author::default());
        let lines = "a\n".repeat(PRINT_BYTES_MAX) + "why\n";
        journal.print(true, lines.as_bytes());
        let left_out = journal.author.allowance.lock().unwrap().left_out;
        assert!(left_out <= PRINT_BYTES_MAX as u64 / 2, "{left_out}");
        assert_eq!(journal.take_error().as_deref(), Some("why"));
    }

    #[test]
    fn pieces_are_joined_and_the_last_error_is_known() {
        let mut journal = Journal::new(Author::default());
        journal.print(true, b"panic: ");
        assert_eq!(journal.last_error, None);
        journal.print(true, b"one\ntwo");
        assert_eq!(journal.last_error.as_deref(), Some("panic: one"));
        assert_eq!(journal.take_error().as_deref(), Some("two"));
        assert_eq!(journal.take_error(), None);
        journal.line(Level::Error, "of a call that went well");
        journal.print(true, b"and no end of a line");
        journal.begin(Phase::Init);
        assert_eq!(journal.take_error(), None);
        journal.print(false, &[b'x'; 3 * LINE_BYTES_MAX]);
        assert_eq!(journal.printed[0].len(), LINE_BYTES_MAX);
    }
}
