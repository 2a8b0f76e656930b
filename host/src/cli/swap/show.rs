//! What is shown of an offer while it is proved, traded and watched.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::cli;
use crate::telemetry::grouped;
use crate::terminal::plain;

/// How often what turns on a terminal does.
const TURN: Duration = Duration::from_millis(100);
/// So much of a digest tells versions apart.
const DIGEST_SHOWN: usize = 12;
/// So many partitions or workers fit a line; `--json` has all.
const NUMBERS_SHOWN: usize = 4;

/// Shows events: lines, and on a terminal what is waited for.
pub(super) struct Show {
    is_json: bool,
    waits: Option<ProgressBar>,
}

impl Show {
    pub(super) fn new(is_json: bool) -> Self {
        Self {
            is_json,
            waits: None,
        }
    }

    /// Shows one: the line as it came, or what it says.
    pub(super) fn event(&mut self, line: &str, event: &Value) -> anyhow::Result<()> {
        if let Some(waits) = self.waits.take() {
            waits.finish_and_clear();
        }
        if self.is_json {
            return cli::show(&format!("{line}\n"));
        }
        cli::show(&text(event))?;
        let is_going_on = matches!(event["event"].as_str(), Some("step" | "traded" | "member"));
        if is_going_on && std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("  {spinner} {elapsed}");
            let waits = ProgressBar::new_spinner();
            waits.set_style(style.expect("the template is right"));
            waits.enable_steady_tick(TURN);
            self.waits = Some(waits);
        }
        Ok(())
    }

    /// It is not watched any longer.
    pub(super) fn stays_on_probation(&mut self) -> anyhow::Result<()> {
        if let Some(waits) = self.waits.take() {
            waits.finish_and_clear();
        }
        if self.is_json {
            return Ok(());
        }
        cli::show(
            "still on probation: the host takes it back by itself, if it must; `host status` tells\n",
        )
    }
}

/// What an event says to people.
fn text(event: &Value) -> String {
    plain(&told(event))
}

fn told(event: &Value) -> String {
    let of = |name: &str| event[name].as_str().unwrap_or_default();
    match of("event") {
        "step" => format!("  {:<12} {}\n", of("step"), of("detail")),
        "proposed" | "would_go_back" => format!("{}\n", of("text").trim_end()),
        "refused" => format!("refused, {}: {}\n", of("code"), of("reason")),
        "traded" => traded(event),
        "kept" if !of("reason").is_empty() => {
            format!(
                "kept after {} batches: {}\n",
                event["batches"],
                of("reason")
            )
        }
        "kept" => format!(
            "kept: it has stood its probation of {} batches\n",
            event["batches"]
        ),
        "rolled_back" => {
            let messages = grouped(event["messages"].as_u64().unwrap_or_default());
            format!(
                "rolled back: {}\n  {} {}, digest {}, runs again, in generation {}; {messages} messages \
                 are read again\n",
                of("reason"),
                event["to"]["name"].as_str().unwrap_or_default(),
                event["to"]["version"].as_str().unwrap_or_default(),
                short(event["to"]["digest"].as_str().unwrap_or_default()),
                event["generation"],
            )
        }
        "member" => {
            let (member, outcome) = (of("member"), of("outcome").replace('_', " "));
            let reason = of("reason");
            let colon = if reason.is_empty() { "" } else { ": " };
            format!("  {member:<12} {outcome}{colon}{reason}\n")
        }
        "everywhere" => format!("every host of the group runs it: {}\n", event["members"]),
        "stopped" => format!("stopped: {}\n", of("reason")),
        other => format!("{other}\n"),
    }
}

fn traded(event: &Value) -> String {
    let of = |name: &str| event[name].as_str().unwrap_or_default();
    let mut out = format!(
        "traded: {} {}, digest {}, generation {}\n",
        of("name"),
        of("version"),
        short(of("digest")),
        event["generation"],
    );
    let firsts = numbers(&event["first_offsets"], &grouped);
    if !firsts.is_empty() {
        let _ = writeln!(out, "  first offset by partition   {firsts}");
    }
    let millis = |us: u64| format!("{}.{:03} ms", us / 1_000, us % 1_000);
    let pauses = numbers(&event["pauses_us"], &millis);
    if !pauses.is_empty() {
        let _ = writeln!(out, "  pause by worker             {pauses}");
    }
    out
}

/// Numbers by partition or worker, in their order.
fn numbers(map: &Value, shown: &dyn Fn(u64) -> String) -> String {
    let each = map.as_object().into_iter().flatten();
    let mut each: Vec<(u64, u64)> = each
        .filter_map(|(key, number)| Some((key.parse().ok()?, number.as_u64()?)))
        .collect();
    each.sort_unstable();
    let more = each.len().saturating_sub(NUMBERS_SHOWN);
    let each = each.iter().take(NUMBERS_SHOWN);
    let each = each.map(|(key, number)| format!("{key}: {}", shown(*number)));
    let mut line = each.collect::<Vec<_>>().join(", ");
    if more > 0 {
        let _ = write!(line, " and {more} more");
    }
    line
}

/// The beginning of a digest.
pub(in crate::cli) fn short(digest: &str) -> &str {
    digest.get(..DIGEST_SHOWN).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_happens_is_told() {
        let digest = "0123456789abcdef".repeat(4);
        let traded = json!({
            "event": "traded", "name": "spotify", "version": "0.2.0", "digest": digest,
            "generation": 3, "first_offsets": { "10": 7, "2": 12_345 },
            "pauses_us": { "0": 412, "1": 12_034 },
        });
        let rolled_back = json!({
            "event": "rolled_back", "reason": "it rejects 12 %", "generation": 5, "messages": 1_200,
            "to": { "name": "spotify", "version": "0.1.0", "digest": digest },
        });
        for (event, expected) in [
            (
                json!({ "event": "step", "step": "compile", "detail": "takes a while" }),
                "  compile      takes a while\n",
            ),
            (
                json!({ "event": "proposed", "text": "same 4\n", "id": "x" }),
                "same 4\n",
            ),
            (
                json!({ "event": "refused", "code": "too_slow", "reason": "it\u{1b}[2J is" }),
                "refused, too_slow: it [2J is\n",
            ),
            (
                traded,
                "traded: spotify 0.2.0, digest 0123456789ab, generation 3\n  \
                 first offset by partition   2: 12,345, 10: 7\n  \
                 pause by worker             0: 0.412 ms, 1: 12.034 ms\n",
            ),
            (
                json!({ "event": "member", "member": "a/1", "outcome": "rolled_back", "reason": "it traps" }),
                "  a/1          rolled back: it traps\n",
            ),
            (
                json!({ "event": "everywhere", "members": 2 }),
                "every host of the group runs it: 2\n",
            ),
            (
                json!({ "event": "stopped", "reason": "a/1: it traps" }),
                "stopped: a/1: it traps\n",
            ),
            (
                json!({ "event": "kept", "batches": 100 }),
                "kept: it has stood its probation of 100 batches\n",
            ),
            (
                json!({ "event": "kept", "batches": 7, "reason": "no more came" }),
                "kept after 7 batches: no more came\n",
            ),
            (
                rolled_back,
                "rolled back: it rejects 12 %\n  spotify 0.1.0, digest 0123456789ab, runs again, in \
                 generation 5; 1,200 messages are read again\n",
            ),
        ] {
            assert_eq!(text(&event), expected);
        }
    }
}
