//! How a version does, and whether it does worse than the one before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::diff::Diff;
use crate::worker::{Control, Done};

/// What is counted of each generation, as long as it matters, and what speaks against the one on probation.
///
/// That is found where batches are counted, and workers rest from there on: the steward may have to wait for
/// a store before it looks, and all that a bad version does meanwhile would have to be done again.
pub(super) struct Tallies {
    counted: Mutex<Counted>,
    control: Arc<Control>,
}

#[derive(Default)]
struct Counted {
    of: BTreeMap<u32, Tally>,
    trial: Option<Trial>,
}

/// A version on probation.
struct Trial {
    /// From this generation on.
    generation: u32,
    /// What it is measured by.
    before: Tally,
    /// Why it must not stay, once that is found.
    reason: Option<String>,
}

/// How many generations are counted at most: the one that runs, what ran before, and those that workers
/// passed through on the way.
const GENERATIONS_MAX: usize = 16;

/// What became of the messages of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) batches: u64,
    messages: u64,
    letters: u64,
    /// Those of the letters that the plugin broke on: traps, deadlines, memory.
    broken: u64,
}

/// The codes of letters whose message broke the plugin.
const BREAKS: [&str; 5] = ["trap", "deadline", "memory", "stack", "output"];
/// So many letters more than before may be chance.
const LETTERS_FLOOR: u64 = 5;
/// So large a share of letters more than before may be chance, in messages of a thousand.
const SHARE_FLOOR: u64 = 10;
/// The same of those that break the plugin, which seldom is chance.
const BROKEN_FLOOR: u64 = 3;
const BROKEN_SHARE_FLOOR: u64 = 1;

impl Tallies {
    /// Of workers that heed this.
    pub(super) fn of(control: Arc<Control>) -> Self {
        let counted = Mutex::default();
        Self { counted, control }
    }

    pub(super) fn count(&self, done: &Done) {
        let mut counted = self.lock();
        counted.of.entry(done.generation).or_default().count(done);
        while counted.of.len() > GENERATIONS_MAX {
            counted.of.pop_first();
        }
        let Counted { of, trial } = &mut *counted;
        if let Some(trial) = trial.as_mut().filter(|trial| trial.reason.is_none()) {
            let tally = sum(of, trial.generation, u32::MAX);
            trial.reason = tally.is_worse_than(&trial.before);
            if trial.reason.is_some() {
                self.control.expect_orders(true);
            }
        }
    }

    /// A probation begins: from this generation on, measured by this.
    pub(super) fn try_out(&self, generation: u32, before: Tally) {
        self.lock().trial = Some(Trial {
            generation,
            before,
            reason: None,
        });
    }

    /// The probation ends, and workers rest from here on if there is a way back to go.
    pub(super) fn end(&self, do_workers_rest: bool) {
        let mut counted = self.lock();
        counted.trial = None;
        // While nobody counts: nothing is found any more.
        self.control.expect_orders(do_workers_rest);
    }

    /// The probation ends for another version, unless something speaks against the one on it.
    pub(super) fn gives_way(&self) -> bool {
        let mut counted = self.lock();
        let trial = counted.trial.as_ref();
        let gives_way = trial.is_none_or(|trial| trial.reason.is_none());
        if gives_way {
            counted.trial = None;
        }
        gives_way
    }

    /// Why what is on probation must not stay; `None`: nothing speaks against it so far.
    pub(super) fn verdict(&self) -> Option<String> {
        self.lock().trial.as_ref()?.reason.clone()
    }

    /// All from a generation on, up to another.
    pub(super) fn between(&self, from: u32, to: u32) -> Tally {
        sum(&self.lock().of, from, to)
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sum(tallies: &BTreeMap<u32, Tally>, from: u32, to: u32) -> Tally {
    let mut sum = Tally::default();
    for tally in tallies.range(from..to).map(|(_, tally)| tally) {
        sum.add(tally);
    }
    sum
}

impl Tally {
    fn count(&mut self, done: &Done) {
        let broken = done.letters.iter();
        let broken = broken.filter(|((_, code), _)| BREAKS.contains(&&**code));
        self.add(&Self {
            batches: 1,
            messages: done.messages as u64,
            letters: done.dead_letters() as u64,
            broken: broken.map(|(_, &letters)| letters as u64).sum(),
        });
    }

    fn add(&mut self, other: &Self) {
        self.batches += other.batches;
        self.messages += other.messages;
        self.letters += other.letters;
        self.broken += other.broken;
    }

    /// What a version may do that was seen to reject more, and taken all the same: the share that the proof
    /// found is no reason to take it back.
    pub(super) fn allowing(self, diff: &Diff) -> Self {
        let (newly, tried) = (diff.newly_rejected() as u64, diff.messages as u64);
        // As if so many messages had come before, if none has.
        let messages = if self.messages > 0 {
            self.messages
        } else {
            tried
        };
        let newly = newly.saturating_mul(messages).div_ceil(tried.max(1));
        Self {
            messages,
            letters: self.letters + newly,
            ..self
        }
    }

    /// Why it must not stay, beside what ran before; `None`: nothing speaks against it so far.
    pub(super) fn is_worse_than(&self, before: &Self) -> Option<String> {
        let exceeds = |new: u64, old: u64, floor: u64, share: u64| {
            let [new_of, old_of] = [self.messages.max(1), before.messages.max(1)];
            // new / new_of > old / old_of + share / 1,000, in whole numbers.
            let [new, old, share, new_of, old_of] =
                [new, old, share, new_of, old_of].map(u128::from);
            new >= u128::from(floor)
                && new * old_of * 1_000 > (old * 1_000 + share * old_of) * new_of
        };
        let told = |what: &str, new: u64, old: u64| {
            format!(
                "{what} {new} of its first {} messages; of the {} before, the version before did so \
                 with {old}",
                self.messages, before.messages
            )
        };
        if exceeds(self.broken, before.broken, BROKEN_FLOOR, BROKEN_SHARE_FLOOR) {
            return Some(told("it broke on", self.broken, before.broken));
        }
        if exceeds(self.letters, before.letters, LETTERS_FLOOR, SHARE_FLOOR) {
            return Some(told("it rejected", self.letters, before.letters));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::diff::Rejections;
    use super::*;

    fn tally([messages, letters, broken]: [u64; 3]) -> Tally {
        Tally {
            batches: 1,
            messages,
            letters,
            broken,
        }
    }

    /// Of 100 messages on which it was tried, the candidate rejects 20 more.
    #[test]
    fn what_was_agreed_to_is_no_reason_to_take_it_back() {
        let rejections = Rejections {
            messages: 20,
            ..Rejections::default()
        };
        let diff = Diff {
            messages: 100,
            newly_rejected: [("odd".to_owned(), rejections)].into(),
            ..Diff::default()
        };
        for (new, old, is_worse) in [
            ([1_000, 200, 0], [0, 0, 0], false),
            ([1_000, 200, 0], [10_000, 0, 0], false),
            ([1_000, 300, 0], [10_000, 1_000, 0], false),
            ([1_000, 250, 0], [0, 0, 0], true),
            ([1_000, 250, 0], [10_000, 0, 0], true),
            ([1_000, 200, 200], [10_000, 0, 0], true),
        ] {
            let before = tally(old).allowing(&diff);
            let reason = tally(new).is_worse_than(&before);
            assert_eq!(
                reason.is_some(),
                is_worse,
                "{new:?} after {old:?}: {reason:?}"
            );
        }
        let none = tally([10, 1, 0]).allowing(&Diff::default());
        assert_eq!(none, tally([10, 1, 0]));
    }

    #[test]
    fn a_version_is_worse_if_it_loses_more_than_the_one_before() {
        for (new, old, is_worse) in [
            ([0, 0, 0], [0, 0, 0], None),
            ([1_000, 0, 0], [1_000, 500, 0], None),
            // Chance.
            ([100, 4, 0], [1_000, 0, 0], None),
            ([1_000, 10, 0], [1_000, 0, 0], None),
            ([1_000, 29, 0], [1_000, 20, 0], None),
            // Worse.
            ([1_000, 11, 0], [1_000, 0, 0], Some("it rejected 11")),
            ([1_000, 31, 0], [1_000, 20, 0], Some("it rejected 31")),
            (
                [10, 10, 0],
                [0, 0, 0],
                Some("it rejected 10 of its first 10"),
            ),
            // What breaks a plugin is noticed sooner.
            ([100, 2, 2], [1_000, 0, 0], None),
            (
                [100, 3, 3],
                [1_000, 0, 0],
                Some("it broke on 3 of its first 100"),
            ),
            ([100, 3, 3], [1_000, 30, 30], None),
        ] {
            let reason = tally(new).is_worse_than(&tally(old));
            match (&reason, is_worse) {
                (None, None) => {}
                (Some(reason), Some(part)) => assert!(reason.contains(part), "{reason}"),
                _ => panic!("{new:?} after {old:?}: {reason:?}"),
            }
        }
    }
}
