//! What a group ran before its last trade.

use super::wanted::Wanted;
use crate::archive::{Archive, Generation};
use crate::swap::{Refusal, What};

/// How far back the history is looked through.
const HISTORY_MAX: usize = 1_000;

/// What was another before the group's last trade: a part, or the plugin with its lookups.
pub(super) fn what(archive: &dyn Archive) -> Result<What, Refusal> {
    let away = |error: crate::archive::Error| Refusal::new("store_away", error.to_string());
    let history = archive.history(HISTORY_MAX).map_err(away)?;
    let unknown = || {
        let reason = "the history knows nothing that was another before, and is kept: \
                      `host swap FILE --whole-group` takes an older file, too";
        Refusal::new("no_version_before", reason)
    };
    let other = other(&history).ok_or_else(unknown)?;
    other.fetch(archive).map_err(away)?.ok_or_else(unknown)
}

/// What the last trade that somebody asked for has replaced, or the start that brought other files.
fn other(history: &[Generation]) -> Option<Wanted> {
    let last = history.iter().find(|entry| entry.is_asked())?;
    Wanted::back(&last.replaced, &last.code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{Outcome, WAY_BACK};
    use crate::code::Code;

    fn code(plugin: &str) -> Code {
        Code {
            plugin: plugin.to_owned(),
            ..Code::default()
        }
    }

    #[test]
    fn what_the_last_trade_has_replaced_is_wanted() {
        use Outcome::{Abandoned, Deployed, Kept, RolledBack, Running, Unwatched};
        type Entry = (Outcome, &'static str, &'static str, &'static str);
        type Case = (&'static [Entry], Option<&'static str>);
        // Outcomes, who asked, and what was traded for what, the last one first.
        let cases: [Case; 9] = [
            (&[], None),
            (&[(Kept, "ada", "a", "b")], Some("a")),
            (&[(Unwatched, "ada", "a", "b")], Some("a")),
            (&[(Running, "ada", "a", "b")], Some("a")),
            (&[(Deployed, "start", "a", "b")], Some("a")),
            (&[(Abandoned, "ada", "a", "b")], None),
            (
                &[(Kept, "ada", "b", "c"), (Kept, "ada", "a", "b")],
                Some("b"),
            ),
            // One host took it back; another has kept it.
            (
                &[
                    (Kept, WAY_BACK, "b", "a"),
                    (RolledBack, "ada", "a", "b"),
                    (Kept, "ada", "a", "b"),
                ],
                Some("a"),
            ),
            (
                &[(Kept, WAY_BACK, "b", "a"), (RolledBack, "ada", "a", "b")],
                None,
            ),
        ];
        for (history, expected) in cases {
            let entries = history.iter().map(|(outcome, by, old, new)| Generation {
                generation: 1,
                code: code(new),
                replaced: code(old),
                by: (*by).to_owned(),
                taken_ms: 0,
                diff: String::new(),
                outcome: *outcome,
                reason: String::new(),
                pause_us: None,
            });
            let entries: Vec<_> = entries.collect();
            let found = other(&entries).map(|wanted| wanted.digest);
            assert_eq!(found.as_deref(), expected, "{history:?}");
        }
    }
}
