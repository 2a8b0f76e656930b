//! A candidate beside the version that runs, on the same messages, writing nothing.

use std::time::{Duration, Instant};

use crate::message::Batch;
use crate::plugin::Instance;
use crate::recent::Shared;
use crate::row::{Key, Transformed};
use crate::version::Version;

use super::super::Refusal;
use super::super::diff::{Diff, Made};
use super::{Context, side};

/// How long it may take. What has been tried by then is what is told.
const TIME_MAX: Duration = Duration::from_secs(10);
/// The messages of the first call: few, for on each the candidate may take as long as it is allowed.
const FIRST: usize = 16;
/// The messages of later calls.
const PART_MAX: usize = 1_024;

/// What was found.
pub(super) struct Found {
    pub(super) diff: Diff,
    pub(super) nanos_a_message: Option<[u64; 2]>,
    pub(super) memory_bytes: [usize; 2],
}

/// An instance, and how long a message takes in it.
struct Runner {
    instance: Instance,
    /// In its fastest part: in the others something else may have taken the core.
    nanos_a_message: Option<u128>,
}

impl Runner {
    fn of(version: &Version, keys: &[Key]) -> Result<Self, Refusal> {
        Ok(Self {
            instance: version.instance(keys.to_vec())?,
            nanos_a_message: None,
        })
    }

    /// Applies a part. The first is not timed: memory is touched for the first time then.
    fn apply(&mut self, part: Batch, is_timed: bool) -> Result<Transformed, Refusal> {
        let messages = part.len() as u128;
        let transformed = self.instance.apply(part)?;
        let took: Duration = self.instance.take_calls().took.into_iter().sum();
        let nanos = took.as_nanos().checked_div(messages).filter(|_| is_timed);
        self.nanos_a_message = self.nanos_a_message.into_iter().chain(nanos).min();
        Ok(transformed)
    }

    fn nanos_a_message(&self) -> Option<u64> {
        u64::try_from(self.nanos_a_message?).ok()
    }
}

/// Tries a candidate on messages, the newest batches first.
pub(super) fn run(
    version: &Version,
    keys: &[Key],
    batches: &[Shared],
    context: &Context<'_>,
) -> Result<Found, Refusal> {
    let current = context.current;
    let current_keys = (context.prepare)(&current.plugin.description().targets)?;
    let mut old = Runner::of(current, &current_keys)?;
    let mut new = Runner::of(version, keys)?;
    let mut diff = Diff::default();
    let began = Instant::now();
    let mut size = FIRST;
    'all: for shared in batches.iter().rev() {
        let batch = shared.batch();
        let mut first = 0;
        while first < batch.len() {
            if began.elapsed() > TIME_MAX {
                break 'all;
            }
            context.go_on()?;
            let end = batch.len().min(first + size);
            let is_timed = diff.messages > 0;
            let was = old.apply(batch.part(first..end), is_timed)?;
            let is = new.apply(batch.part(first..end), is_timed)?;
            let was = Made::of(&was, side(current, &current_keys));
            diff.add(&was, &Made::of(&is, side(version, keys)), 0);
            // One such message is enough, and each costs all the time that a call is allowed.
            if diff.newly_failing() > 0 {
                return Err(failing(&diff));
            }
            (first, size) = (end, (size * 4).min(PART_MAX));
        }
    }
    let nanos_a_message = old.nanos_a_message().zip(new.nanos_a_message());
    Ok(Found {
        diff,
        nanos_a_message: nanos_a_message.map(|(old, new)| [old, new]),
        memory_bytes: [old, new].map(|runner| runner.instance.memory_bytes()),
    })
}

fn failing(diff: &Diff) -> Refusal {
    let (failing, messages) = (diff.newly_failing(), diff.messages);
    let reason = format!(
        "it fails on {failing} of the last {messages} messages, and the version that runs does not: mend \
         it, with such messages among its samples\n{diff}"
    );
    Refusal::new("fails", reason)
}
