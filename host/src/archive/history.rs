//! What follows from the trades so far, for whoever starts, goes back or looks at what is left.

use std::collections::{BTreeMap, BTreeSet};

use super::{End, Generation, Outcome};
use crate::code::Code;

/// Which part of a code is looked at.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// The plugin.
    Plugin,
    /// The lookup of this name.
    Lookup(&'a str),
}

impl Which<'_> {
    /// The digest that a code has there.
    pub fn of(self, code: &Code) -> Option<&str> {
        match self {
            Self::Plugin => Some(code.plugin.as_str()),
            Self::Lookup(name) => code.lookups.get(name).map(String::as_str),
        }
    }
}

/// Whether a digest was traded away for the one that the commits name, by one trade or several, or was
/// tried and thrown out for it. If so, a file that still has it is an old one; a digest that no trade
/// leads away from is a new deployment.
pub fn was_traded_away(
    history: &[Generation],
    which: Which<'_>,
    digest: &str,
    committed: &str,
) -> bool {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for entry in history {
        let (Some(new), Some(old)) = (which.of(&entry.code), which.of(&entry.replaced)) else {
            continue;
        };
        let (from, to) = match entry.outcome {
            Outcome::Running | Outcome::Kept | Outcome::Unwatched => (old, new),
            Outcome::RolledBack => (new, old),
            // What a start has brought, the next may take away again.
            Outcome::Abandoned | Outcome::Deployed => continue,
        };
        next.entry(from).or_default().insert(to);
    }
    let (mut seen, mut open) = (BTreeSet::from([digest]), vec![digest]);
    while let Some(at) = open.pop() {
        for &to in next.get(at).into_iter().flatten() {
            if seen.insert(to) {
                open.push(to);
            }
        }
    }
    digest != committed && seen.contains(committed)
}

/// Who asks for the way back from a version on probation.
pub const WAY_BACK: &str = "probation";

/// Whether what `old` has begun is `old`'s to end, before `new` goes on: both were let in by trades, and the
/// last one of `old` did not throw it out. What no trade knows is a new deployment: whoever brings that wants
/// nothing more of what ran before. The last trade stands first in the history.
pub fn ends_what_it_began(history: &[Generation], old: &Code, new: &Code) -> bool {
    let last = |code: &Code| {
        let is_its = |entry: &&Generation| {
            let is_trade = ![Outcome::Abandoned, Outcome::Deployed].contains(&entry.outcome);
            is_trade && (entry.code == *code || entry.replaced == *code)
        };
        history.iter().find(is_its)
    };
    let (Some(last), Some(_)) = (last(old), last(new)) else {
        return false;
    };
    let is_thrown_out = match last.outcome {
        Outcome::RolledBack => last.code == *old,
        Outcome::Running
        | Outcome::Kept
        | Outcome::Unwatched
        | Outcome::Abandoned
        | Outcome::Deployed => last.replaced == *old && last.by == WAY_BACK,
    };
    !is_thrown_out
}

/// How the trades ended that nobody told the end of, for a process that begins with `ours`: those who ordered
/// them are gone, or tell it later.
pub fn left_open(history: &[Generation], ours: &Code) -> Vec<(u32, End)> {
    let open = history
        .iter()
        .filter(|entry| entry.outcome == Outcome::Running);
    let end = |entry: &Generation| {
        let (outcome, reason) = match (entry.by == WAY_BACK, entry.code == *ours) {
            (true, true) => (Outcome::Kept, entry.reason.as_str()),
            (true, false) => (Outcome::Abandoned, "the process ended before the way back"),
            (false, _) => (
                Outcome::Unwatched,
                "the process ended in its probation, and nobody watched it from there on",
            ),
        };
        let reason = reason.to_owned();
        let pause_us = 0;
        (
            entry.generation,
            End {
                outcome,
                reason,
                pause_us,
            },
        )
    };
    open.map(end).collect()
}

/// The deployments that came to nothing: behind `committed`, the greatest generation that a commit tells, and
/// none of what is `known`, by the commits or as what goes on now. A start names its version in a commit before
/// it makes a row: this one ended before.
pub fn never_begun(history: &[Generation], committed: u32, known: [&Code; 2]) -> Vec<u32> {
    let is_one = |entry: &&Generation| {
        entry.outcome == Outcome::Deployed
            && entry.generation > committed
            && !known.contains(&&entry.code)
    };
    let deployments = history.iter().filter(is_one);
    deployments.map(|entry| entry.generation).collect()
}

/// The version that a trade brought `code` in for, the last one that did. A way back brings nothing new in:
/// what it leads away from was thrown out, and is no version to go back to. The last one stands first in
/// the history.
pub fn before<'a>(history: &'a [Generation], code: &Code) -> Option<&'a Code> {
    let mut trades = history.iter().filter(|entry| entry.is_asked());
    trades
        .find(|entry| entry.code == *code)
        .map(|last| &last.replaced)
}

/// When a version began and ended last, in milliseconds since 1970, as far as trades tell. The last trade
/// stands first in the history.
pub fn ran(history: &[Generation], code: &Code) -> [Option<i64>; 2] {
    let trades: Vec<_> = history.iter().filter(|entry| entry.is_asked()).collect();
    let is_of_it = |entry: &&Generation| [&entry.code, &entry.replaced].contains(&code);
    let last = trades.iter().position(is_of_it);
    let ended = last.filter(|&last| trades[last].replaced == *code);
    let earlier = &trades[ended.map_or(0, |ended| ended + 1)..];
    let begun = earlier.iter().find(|entry| entry.code == *code);
    [begun, ended.map(|ended| &trades[ended])].map(|entry| entry.map(|entry| entry.taken_ms))
}

/// The plugins that trades brought in and that were always taken back during their probation: all that
/// they did was done again by others.
pub fn taken_back(history: &[Generation]) -> BTreeSet<String> {
    let count = |is: &dyn Fn(&Generation) -> bool| history.iter().filter(|entry| is(entry)).count();
    let is_only_taken_back = |digest: &String| {
        let runs = |entry: &Generation| entry.code.plugin == *digest;
        let back = count(&|entry| runs(entry) && entry.outcome == Outcome::RolledBack);
        let stayed = count(&|entry| runs(entry) && entry.outcome.is_in());
        // Each way back is a trade of its own; another one tells that it had run before.
        let left = count(&|entry| entry.replaced.plugin == *digest);
        stayed == 0 && left <= back
    };
    let back = history.iter().filter(|entry| {
        entry.outcome == Outcome::RolledBack && entry.replaced.plugin != entry.code.plugin
    });
    let back = back.map(|entry| entry.code.plugin.clone());
    back.filter(is_only_taken_back).collect()
}
