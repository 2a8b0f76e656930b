//! What gets in without a question: `[swap]` of `pipeline.toml`.

use std::time::Duration;

use super::{Consent, Proposal, Refusal};

/// How much another version may differ where nobody is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Of the rows, the share that may be changed, added or removed: 0 to 1.
    pub max_changed: f64,
    /// Of the messages, the share that may be rejected newly: 0 to 1.
    pub max_rejected: f64,
    /// How many times the time for a message may be as long as now.
    pub max_slowdown: u32,
    /// How many batches may still bring the version before back.
    pub probation: u32,
    /// For how long they may; where fewer come, the version stays.
    pub probation_time: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_changed: 0.0,
            max_rejected: 0.0,
            max_slowdown: 10,
            probation: 100,
            probation_time: Duration::from_secs(600),
        }
    }
}

/// The time for a message that is never too long, in nanoseconds: at 100,000 messages a second, a few times
/// more or less is not what holds a pipeline up.
const FAST_NANOS: u64 = 10_000;

/// The way out where a limit is exceeded.
const ASK: &str = "`host swap FILE` without --yes shows it and asks";

impl Policy {
    /// Decides by what the proof found.
    ///
    /// Whoever is [`Consent::Asked`] sees the proposal and may agree to all of it. Consent that is
    /// [`Consent::Given`] beforehand is to other rows and to an older version, and no more: nobody
    /// expects to lose messages, or time. [`Consent::Policy`] is held to every limit.
    ///
    /// # Errors
    /// The first limit that is exceeded.
    pub fn decide(&self, proposal: &Proposal, consent: Consent) -> Result<(), Refusal> {
        let limits = match consent {
            Consent::Asked => return Ok(()),
            Consent::Given => [None, None, self.rejected(proposal), self.slowdown(proposal)],
            Consent::Policy => [
                older(proposal),
                self.changed(proposal),
                self.rejected(proposal),
                self.slowdown(proposal),
            ],
        };
        limits.into_iter().flatten().next().map_or(Ok(()), Err)
    }

    fn changed(&self, proposal: &Proposal) -> Option<Refusal> {
        let share = proposal.diff.changed_share();
        let reason = || {
            let (is, max) = (percent(share), percent(self.max_changed));
            format!("{is} of the rows differ, and `max_changed` in [swap] is {max}: {ASK}")
        };
        (share > self.max_changed).then(|| Refusal::new("changes_more", reason()))
    }

    fn rejected(&self, proposal: &Proposal) -> Option<Refusal> {
        let share = proposal.diff.rejected_share();
        let reason = || {
            let (is, max) = (percent(share), percent(self.max_rejected));
            format!(
                "{is} of the messages are newly rejected, and `max_rejected` in [swap] is {max}: {ASK}"
            )
        };
        (share > self.max_rejected).then(|| Refusal::new("rejects_more", reason()))
    }

    fn slowdown(&self, proposal: &Proposal) -> Option<Refusal> {
        let [old, new] = proposal.nanos_a_message?;
        let is_slow = new > FAST_NANOS && new > old.saturating_mul(self.max_slowdown.into());
        is_slow.then(|| {
            let (old, new, max) = (micros(old), micros(new), self.max_slowdown);
            let reason = format!(
                "a message takes {new} instead of {old}, and `max_slowdown` in [swap] is {max}: {ASK}"
            );
            Refusal::new("too_slow", reason)
        })
    }
}

fn older(proposal: &Proposal) -> Option<Refusal> {
    let (old, new) = (&proposal.old.version, &proposal.new.version);
    proposal.is_older.then(|| {
        let reason = format!(
            "version {new} is older than {old}, which runs: {ASK}, `host rollback` goes back"
        );
        Refusal::new("older_version", reason)
    })
}

/// `12.5 %`, never rounded to none of it.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.01 {
        return "less than 0.01 %".to_owned();
    }
    let text = format!("{percent:.2}");
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `1.25 us`
pub(super) fn micros(nanos: u64) -> String {
    format!("{}.{:02} us", nanos / 1_000, nanos % 1_000 / 10)
}

#[cfg(test)]
mod tests {
    use super::super::diff::{Diff, Rejections, Rows};
    use super::super::proposal::Name;
    use super::*;

    /// Of 100 rows and messages, so many are changed, so many rejected newly.
    fn proposal(changed: usize, rejected: usize, nanos: [u64; 2], is_older: bool) -> Proposal {
        let rows = Rows {
            same: 100 - changed,
            changed,
            ..Rows::default()
        };
        let rejections = Rejections {
            messages: rejected,
            ..Rejections::default()
        };
        let diff = Diff {
            messages: 100,
            tables: [("t".to_owned(), rows)].into(),
            newly_rejected: [("odd".to_owned(), rejections)].into(),
            ..Diff::default()
        };
        let name = |version: &str| Name {
            version: version.to_owned(),
            ..Name::default()
        };
        Proposal {
            old: name("2.0.0"),
            new: name("1.0.0"),
            is_older,
            diff,
            nanos_a_message: Some(nanos),
            ..Proposal::default()
        }
    }

    #[test]
    fn what_is_decided_depends_on_who_consents() {
        let policy = Policy {
            max_changed: 0.1,
            max_rejected: 0.02,
            ..Policy::default()
        };
        let fast = [1_000, 1_000];
        let slow = [1_000, 100_000];
        // By `Given`, then by `Policy`.
        for (proposal, given, unasked) in [
            (proposal(0, 0, fast, false), None, None),
            (proposal(10, 2, fast, false), None, None),
            (proposal(11, 0, fast, false), None, Some("changes_more")),
            (
                proposal(0, 3, fast, false),
                Some("rejects_more"),
                Some("rejects_more"),
            ),
            (
                proposal(0, 0, slow, false),
                Some("too_slow"),
                Some("too_slow"),
            ),
            // Ten times of next to nothing is next to nothing.
            (proposal(0, 0, [100, 9_000], false), None, None),
            (proposal(0, 0, [100_000, 1_000_000], false), None, None),
            (proposal(0, 0, fast, true), None, Some("older_version")),
        ] {
            let code = |consent| policy.decide(&proposal, consent).err().map(|it| it.code);
            assert_eq!(code(Consent::Asked), None, "{proposal:?}");
            assert_eq!(code(Consent::Given), given, "{proposal:?}");
            assert_eq!(code(Consent::Policy), unasked, "{proposal:?}");
        }
    }

    #[test]
    fn shares_and_times_are_told_as_people_read_them() {
        for (share, text) in [
            (0.0, "0 %"),
            (1.0, "100 %"),
            (0.125, "12.5 %"),
            (0.00001, "less than 0.01 %"),
        ] {
            assert_eq!(percent(share), text);
        }
        assert_eq!(micros(1_259), "1.25 us");
    }
}
