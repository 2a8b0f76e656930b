//! The log is kept short: what one place in the code says too often is counted instead of written.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The most lines of one place in a while, and how long that is.
const LINES_MAX: u64 = 100;
const WHILE: Duration = Duration::from_secs(10);

/// Writes events as `inner` does, but not too many of one place.
pub(super) struct Limited<F> {
    inner: F,
    is_json: bool,
    /// By file and line.
    sites: Mutex<HashMap<(&'static str, u32), Site>>,
}

/// What one place has said in the while that began last.
struct Site {
    since: Instant,
    lines: u64,
}

impl<F> Limited<F> {
    /// `inner` writes JSON, or text.
    pub(super) fn new(inner: F, is_json: bool) -> Self {
        let sites = Mutex::default();
        Self {
            inner,
            is_json,
            sites,
        }
    }

    /// Whether there is room for a line of a place: then how many were left out before it.
    fn admit(&self, place: (&'static str, u32), now: Instant) -> Option<u64> {
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Site {
            since: now,
            lines: 0,
        };
        let site = sites.entry(place).or_insert(fresh);
        let mut left_out = 0;
        if now.duration_since(site.since) >= WHILE {
            left_out = site.lines.saturating_sub(LINES_MAX);
            (site.since, site.lines) = (now, 0);
        }
        site.lines += 1;
        (site.lines <= LINES_MAX).then_some(left_out)
    }

    fn tell(&self, of: &Metadata<'_>, left_out: u64, writer: &mut Writer<'_>) -> fmt::Result {
        let message = "lines like the next were left out";
        let (at, target) = (jiff::Timestamp::now(), of.target());
        if self.is_json {
            let told = json!({
                "timestamp": at.to_string(),
                "level": "WARN",
                "message": message,
                "left_out": left_out,
                "target": target,
            });
            return writeln!(writer, "{told}");
        }
        writeln!(writer, "{at}  WARN {message} left_out={left_out}")
    }
}

impl<S, N, F> FormatEvent<S, N> for Limited<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let of = event.metadata();
        // A plugin has a limit of its own.
        if of.target() != "plugin"
            && let Some(place) = of.file().zip(of.line())
        {
            match self.admit(place, Instant::now()) {
                None => return Ok(()),
                Some(0) => {}
                Some(left_out) => self.tell(of, left_out, &mut writer)?,
            }
        }
        self.inner.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_not_written() {
        let limited = Limited::new((), true);
        let (flood, other) = (("a.rs", 1), ("a.rs", 2));
        let start = Instant::now();
        for line in 0..LINES_MAX + 50 {
            let is_admitted = line < LINES_MAX;
            let admitted = limited.admit(flood, start);
            assert_eq!(admitted, is_admitted.then_some(0), "{line}");
        }
        let later = start + WHILE - Duration::from_millis(1);
        assert_eq!(limited.admit(flood, later), None);
        assert_eq!(limited.admit(other, later), Some(0));
        assert_eq!(limited.admit(flood, start + WHILE), Some(51));
        assert_eq!(limited.admit(flood, start + WHILE), Some(0));
    }

    #[test]
    fn what_was_left_out_is_told() {
        static SITE: Metadata<'static> = tracing::metadata! {
            name: "site",
            target: "host::worker",
            level: tracing::Level::INFO,
            fields: &[],
            callsite: &CALLSITE,
            kind: tracing::metadata::Kind::EVENT,
        };
        static CALLSITE: tracing::callsite::DefaultCallsite =
            tracing::callsite::DefaultCallsite::new(&SITE);
        for (is_json, words) in [(true, r#""left_out":51,"#), (false, " left_out=51\n")] {
            let mut told = String::new();
            let limited = Limited::new((), is_json);
            limited
                .tell(&SITE, 51, &mut Writer::new(&mut told))
                .unwrap();
            assert!(told.contains(words) && told.ends_with('\n'), "{told}");
        }
    }
}
