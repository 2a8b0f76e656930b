//! Whether a candidate is a function of each message alone: it is asked twice, in new instances, in other
//! batches and in another order.

use std::time::{Duration, Instant};

use crate::recent::Shared;
use crate::row::Key;
use crate::version::Version;

use super::super::Refusal;
use super::super::diff::{Diff, Made};
use super::{Context, side};

/// How many messages are tried.
const MESSAGES_MAX: usize = 1_000;
/// How many of them come at a time the second time: few, and no power of two.
const SPLIT: usize = 7;
/// How long it may take: all messages, if the candidate is not very slow.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Asks a candidate twice, the newest messages first.
pub(super) fn check(
    version: &Version,
    keys: &[Key],
    batches: &[Shared],
    context: &Context<'_>,
) -> Result<(), Refusal> {
    let mut left = MESSAGES_MAX;
    let mut whole = Vec::new();
    let mut instance = version.instance(keys.to_vec())?;
    for shared in batches.iter().rev() {
        let count = shared.batch().len().min(left);
        left -= count;
        if count > 0 {
            whole.push(instance.apply(shared.batch().part(0..count))?);
        }
    }
    let mut again = version.instance(keys.to_vec())?;
    let mut diff = Diff::default();
    let began = Instant::now();
    for whole in whole.iter().rev() {
        context.go_on()?;
        let made = Made::of(whole, side(version, keys));
        let count = whole.batch.len();
        // From the end: no call stands where it stood, nor has a message the neighbours that it had.
        for first in (0..count).step_by(SPLIT).rev() {
            let part = whole.batch.part(first..count.min(first + SPLIT));
            let split = again.apply(part)?;
            diff.add(&made, &Made::of(&split, side(version, keys)), first);
            if began.elapsed() > TIME_MAX {
                break;
            }
        }
    }
    if diff.is_same() {
        return Ok(());
    }
    let reason = format!(
        "it gives other rows when the same messages come in other batches, or in another order: what \
         becomes of a message must not depend on its neighbours, nor on the calls before, or a replay \
         would not write what stands in the tables\n{diff}"
    );
    Err(Refusal::new("not_deterministic", reason))
}
