//! The version before: which one it is, and what it means to go back to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::life::Life;
use super::means::{HISTORY_MAX, Means, Ran};
use super::proposal::{Name, short};
use super::{Consent, Event, Pending, Refusal};
use crate::archive::{self, Generation};

/// The version that somebody wants back.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Former {
    /// What runs.
    pub old: Name,
    /// What would run again.
    pub new: Name,
    /// The digests of the lookups that would be read again, by name.
    pub lookups: BTreeMap<String, String>,
    /// When it began and ended last by the history, in milliseconds since 1970; none, if no trade tells.
    pub ran_ms: [Option<i64>; 2],
    /// Whether what runs is on probation, so that what it did is undone.
    pub is_undone: bool,
    /// All of it, as people are shown it.
    pub text: String,
}

impl Former {
    fn of(before: &Ran, current: &Ran, history: &[Generation], is_undone: bool) -> Self {
        let (new, old) = (before.version.code(), current.version.code());
        let ran_ms = archive::ran(history, &new);
        let mut former = Self {
            old: Name::of(&current.version),
            new: Name::of(&before.version),
            ran_ms,
            is_undone,
            lookups: new.lookups,
            text: String::new(),
        };
        former.text = former.told(&old.lookups);
        former
    }

    /// For people. Of the lookups those that are others now.
    fn told(&self, now: &BTreeMap<String, String>) -> String {
        let time = |ms: Option<i64>| Some(Timestamp::from_millisecond(ms?).ok()?.to_string());
        let when = match self.ran_ms.map(time) {
            [Some(from), Some(to)] => format!(", which ran from {from} to {to}"),
            [None, Some(to)] => format!(", which ran until {to}"),
            [Some(from), None] => format!(", which ran since {from}"),
            [None, None] => String::new(),
        };
        let mut text = format!("back to: {}{when}\nnow: {}\n", self.new, self.old);
        for (name, digest) in &self.lookups {
            match now.get(name) {
                Some(now) if now == digest => {}
                Some(now) => {
                    let (digest, now) = (short(digest), short(now));
                    _ = writeln!(text, "lookup {name}: {digest}, now {now}");
                }
                None => _ = writeln!(text, "lookup {name}: {}, now none", short(digest)),
            }
        }
        text += match self.is_undone {
            true => {
                "what runs is on probation: rows that only it made are deleted, and its messages are \
                 read again\n"
            }
            false => "what runs is not on probation: the rows that it made stay\n",
        };
        text
    }
}

impl Means {
    /// The version that ran before this one by the history, of whatever process.
    fn former(&self, current: &Ran) -> Result<Ran, Refusal> {
        let unknown = || {
            let reason =
                "the history knows no version before: `host swap FILE` takes an older file, too";
            Refusal::new("no_version_before", reason)
        };
        let archive = self.archive.as_ref().ok_or_else(unknown)?;
        let history = archive.history(HISTORY_MAX);
        let history = history.map_err(|error| Refusal::new("store_away", error.to_string()))?;
        let before = archive::before(&history, &current.version.code()).ok_or_else(unknown)?;
        let (version, parts) = (self.of_code)(before)?.ok_or_else(unknown)?;
        Ok(Ran {
            version,
            keys: Vec::new(),
            parts,
            generation: 0,
        })
    }
}

impl Life {
    /// Finds the version before, tells which one it is, and waits until whoever asks agrees; `None`, if
    /// that was all that was asked.
    pub(super) fn former(&mut self, pending: &Pending) -> Result<Option<Ran>, Refusal> {
        let is_undone = self.probation.is_some();
        let before = self.before.clone();
        let before = before.map_or_else(|| self.means.former(&self.current), Ok)?;
        // When it ran is for people: who wants it back does not wait for a store that is away.
        let history = self.means.history().unwrap_or_default();
        let former = Former::of(&before, &self.current, &history, is_undone);
        pending.tell(Event::WouldGoBack(former));
        if pending.offer.is_dry_run {
            return Ok(None);
        }
        if pending.offer.consent == Consent::Asked {
            self.wait_for_consent(pending)?;
            if self.probation.is_some() != is_undone {
                let reason = "its probation has ended since, so that what it did would not be \
                              undone: ask again";
                return Err(Refusal::new("outdated", reason));
            }
        }
        Ok(Some(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_means_to_go_back_is_told() {
        let name = |version: &str, digit: &str| Name {
            name: "spotify".to_owned(),
            version: version.to_owned(),
            digest: digit.repeat(64),
        };
        let lookups = |each: &[(&str, &str)]| -> BTreeMap<String, String> {
            let each = each.iter();
            each.map(|(name, digit)| ((*name).to_owned(), digit.repeat(64)))
                .collect()
        };
        let former = |ran_ms, is_undone| Former {
            old: name("0.2.0", "a"),
            new: name("0.1.0", "b"),
            lookups: lookups(&[("artists", "c"), ("songs", "d"), ("years", "e")]),
            ran_ms,
            is_undone,
            text: String::new(),
        };
        let now = lookups(&[("artists", "c"), ("songs", "f")]);
        let ms = Some(1_772_467_200_000);
        let when = "2026-03-02T16:00:00Z";
        for (ran_ms, told) in [
            ([None, None], String::new()),
            ([None, ms], format!(", which ran until {when}")),
            ([ms, None], format!(", which ran since {when}")),
            ([ms, ms], format!(", which ran from {when} to {when}")),
        ] {
            let expected = format!(
                "back to: spotify 0.1.0 (bbbbbbbbbbbb){told}\n\
                 now: spotify 0.2.0 (aaaaaaaaaaaa)\n\
                 lookup songs: dddddddddddd, now ffffffffffff\n\
                 lookup years: eeeeeeeeeeee, now none\n"
            );
            for (is_undone, end) in [(true, "are read again"), (false, "rows that it made stay")] {
                let text = former(ran_ms, is_undone).told(&now);
                assert!(text.starts_with(&expected), "{text}");
                assert!(text.ends_with(&format!("{end}\n")), "{text}");
            }
        }
    }
}
