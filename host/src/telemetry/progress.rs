//! Progress: for people a line now and then, for programs a JSON line a batch.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::batch::{Run, rate};
use super::grouped;
use crate::worker::{Done, Report};

/// How progress is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line that changes on a terminal, a line every few seconds elsewhere.
    Text,
    /// A JSON line a batch on standard output, with the keys of Spark's `StreamingQueryProgress`.
    Json,
    /// Nothing until the end.
    Quiet,
}

/// What became of all messages so far.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Messages taken from the source.
    pub messages: u64,
    /// Messages with rows.
    pub written: u64,
    /// The rows.
    pub rows: u64,
    /// Messages left out on purpose, by code.
    pub filtered: BTreeMap<Arc<str>, u64>,
    /// Messages that became dead letters.
    pub dead_letters: u64,
    /// Durable batches.
    pub batches: u64,
}

impl Totals {
    /// Messages left out on purpose.
    pub fn filtered(&self) -> u64 {
        self.filtered.values().sum()
    }

    /// Messages taken that are not durable yet.
    pub fn pending(&self) -> u64 {
        self.messages - self.written - self.filtered() - self.dead_letters
    }

    /// The promise made visible: where every message is.
    pub fn conservation(&self) -> String {
        format!(
            "in {} = written {} + filtered {} + dead letters {} + pending {}",
            grouped(self.messages),
            grouped(self.written),
            grouped(self.filtered()),
            grouped(self.dead_letters),
            grouped(self.pending()),
        )
    }

    /// Why messages were left out, in one line; `None`, if none were.
    pub fn reasons(&self) -> Option<String> {
        let each = self.filtered.iter();
        let each = each.map(|(code, messages)| format!("{code} {}", grouped(*messages)));
        let each: Vec<String> = each.collect();
        (!each.is_empty()).then(|| format!("filtered: {}", each.join(", ")))
    }

    fn add(&mut self, report: &Report) {
        match report {
            Report::Taken { messages } => {
                self.messages += messages.values().sum::<usize>() as u64;
            }
            Report::Done(done) => {
                self.written += done.written as u64;
                self.rows += done.rows.values().sum::<usize>() as u64;
                self.dead_letters += done.dead_letters() as u64;
                self.batches += 1;
                for (code, messages) in &done.filtered {
                    *self.filtered.entry(code.clone()).or_default() += *messages as u64;
                }
            }
            Report::Ready
            | Report::Waits { .. }
            | Report::GoesOn { .. }
            | Report::Retries { .. }
            | Report::Stopped { .. }
            | Report::Standing { .. }
            | Report::Released { .. }
            | Report::Traded { .. }
            | Report::Failing { .. }
            | Report::Settled { .. }
            | Report::WentBack { .. } => {}
        }
    }
}

/// How often a terminal's line changes, and how often a log gets a line.
const REDRAW: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(5);

/// Listens to a pipeline and tells how it gets on.
pub struct Progress {
    format: Format,
    run: Run,
    totals: Totals,
    bar: Option<ProgressBar>,
    told: (Instant, u64),
}

impl Progress {
    /// For a pipeline that begins now.
    pub fn new(format: Format, run: Run) -> Self {
        let on_terminal = format == Format::Text && std::io::stderr().is_terminal();
        let bar = on_terminal.then(|| {
            let style = ProgressStyle::with_template("{spinner} {elapsed:>4} {wide_msg}");
            ProgressBar::new_spinner().with_style(style.expect("the template is right"))
        });
        let (totals, told) = (Totals::default(), (Instant::now(), 0));
        Self {
            format,
            run,
            totals,
            bar,
            told,
        }
    }

    /// What became of all messages so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Counts a report and tells of it when that is due.
    pub fn observe(&mut self, report: Option<&Report>) {
        if let Some(report) = report {
            self.totals.add(report);
        }
        match (self.format, report) {
            (Format::Json, Some(Report::Done(done))) => self.line(done),
            (Format::Text, _) => self.tell(),
            (Format::Json | Format::Quiet, _) => {}
        }
    }

    /// Lets something else print while the changing line is away.
    pub fn pause(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes the changing line away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn tell(&mut self) {
        let (at, messages) = self.told;
        let due = if self.bar.is_some() { REDRAW } else { LINE };
        let passed = at.elapsed();
        let new = self.totals.messages - messages;
        if passed < due || (new == 0 && self.bar.is_none()) {
            return;
        }
        let rate = rate(new, passed);
        match &self.bar {
            Some(bar) => {
                bar.set_message(format!(
                    "{}/s, {}",
                    grouped(rate),
                    self.totals.conservation()
                ));
                bar.tick();
            }
            None => tracing::info!(
                messages = self.totals.messages,
                written = self.totals.written,
                filtered = self.totals.filtered(),
                dead_letters = self.totals.dead_letters,
                pending = self.totals.pending(),
                messages_per_second = rate,
                "progress"
            ),
        }
        self.told = (Instant::now(), self.totals.messages);
    }

    fn line(&self, done: &Done) {
        let number = self.totals.batches - 1;
        let line = self.run.batch(number, jiff::Timestamp::now(), done);
        // A reader that went away does not stop the pipeline.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}
