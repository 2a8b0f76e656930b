//! What a group ran before its last trade, as far as one order can bring it back: one part.

use crate::archive::{Archive, Generation};
use crate::swap::{Refusal, What};

/// How far back the history is looked through.
const HISTORY_MAX: usize = 1_000;

/// The part that was another before the group's last trade.
pub(super) fn part(archive: &dyn Archive) -> Result<What, Refusal> {
    let away = |error: crate::archive::Error| Refusal::new("store_away", error.to_string());
    let history = archive.history(HISTORY_MAX).map_err(away)?;
    let unknown = || {
        let reason = "the history knows no part that was another before, and is kept: \
                      `host swap FILE --whole-group` takes an older file, too";
        Refusal::new("no_version_before", reason)
    };
    let (lookup, digest) = other(&history).ok_or_else(unknown)?;
    let part = archive.fetch(digest).map_err(away)?.ok_or_else(unknown)?;
    Ok(What::of(lookup.map(str::to_owned), part.name, part.bytes))
}

/// The lookup and the digest that it had before the last trade that somebody asked for.
fn other(history: &[Generation]) -> Option<(Option<&str>, &str)> {
    let Generation { code, replaced, .. } = history.iter().find(|entry| entry.is_asked())?;
    if code.plugin != replaced.plugin {
        return Some((None, &replaced.plugin));
    }
    let mut lookups = replaced.lookups.iter();
    let (name, digest) = lookups.find(|(name, digest)| code.lookups.get(*name) != Some(*digest))?;
    Some((Some(name), digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{Outcome, WAY_BACK};
    use crate::code::Code;

    fn code(text: &str) -> Code {
        let mut digests = text.split(' ').map(str::to_owned);
        Code {
            plugin: digests.next().unwrap(),
            lookups: digests.map(|digest| ("songs".to_owned(), digest)).collect(),
        }
    }

    #[test]
    fn one_part_is_another_than_before() {
        use Outcome::{Abandoned, Deployed, Kept, RolledBack, Running, Unwatched};
        type Entry = (Outcome, &'static str, &'static str, &'static str);
        type Case = (
            &'static [Entry],
            Option<(Option<&'static str>, &'static str)>,
        );
        // Outcomes, who asked, and what was traded for what, the last one first.
        let cases: [Case; 9] = [
            (&[], None),
            (&[(Kept, "ada", "a", "b")], Some((None, "a"))),
            (&[(Unwatched, "ada", "a s", "b s t")], Some((None, "a"))),
            (&[(Deployed, "start", "a", "b")], Some((None, "a"))),
            (
                &[(Running, "ada", "a s", "a t")],
                Some((Some("songs"), "s")),
            ),
            (&[(Abandoned, "ada", "a", "b")], None),
            (
                &[(Kept, "ada", "b", "c"), (Kept, "ada", "a", "b")],
                Some((None, "b")),
            ),
            // One host took it back; another has kept it.
            (
                &[
                    (Kept, WAY_BACK, "b", "a"),
                    (RolledBack, "ada", "a", "b"),
                    (Kept, "ada", "a", "b"),
                ],
                Some((None, "a")),
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
            assert_eq!(other(&entries), expected, "{history:?}");
        }
    }
}
