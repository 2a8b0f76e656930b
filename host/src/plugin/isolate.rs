//! The search for the messages on which a plugin fails.
//!
//! A call that fails is a fault of some message in it, but not which. So its messages are called
//! again in halves, until the one that fails stands alone: at most 2 log2 n + 2 calls for each.

use std::ops::Range;

/// Why a call has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// `trap`, `deadline`, `memory`, `stack`, `output` or `bad_answer`.
    pub(super) code: &'static str,
    /// What it told.
    pub(super) reason: String,
}

/// What came of a call.
pub(super) enum Called<E> {
    /// Its messages have their outcomes.
    Done,
    /// It failed because of its messages.
    Failed(Fault),
    /// It could not be made, whatever its messages.
    Broken(E),
}

/// Calls with all messages, and after a failure with fewer, so that in the end each message is done
/// or told to `blame`. `context` is what both work on.
pub(super) fn isolate<C, E>(
    messages: Range<usize>,
    context: &mut C,
    mut call: impl FnMut(&mut C, Range<usize>) -> Called<E>,
    mut blame: impl FnMut(&mut C, usize, Fault),
) -> Result<(), E> {
    let mut left = vec![messages];
    while let Some(range) = left.pop() {
        if range.is_empty() {
            continue;
        }
        match call(context, range.clone()) {
            Called::Done => {}
            Called::Failed(fault) if range.len() == 1 => blame(context, range.start, fault),
            Called::Failed(_) => {
                let middle = range.start + range.len() / 2;
                left.push(middle..range.end);
                left.push(range.start..middle);
            }
            Called::Broken(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Log {
        calls: usize,
        done: Vec<usize>,
        blamed: Vec<usize>,
    }

    fn run(count: usize, poison: &[usize]) -> Log {
        let mut log = Log::default();
        let call = |log: &mut Log, range: Range<usize>| {
            log.calls += 1;
            if range.clone().any(|message| poison.contains(&message)) {
                return Called::Failed(Fault {
                    code: "trap",
                    reason: String::new(),
                });
            }
            log.done.extend(range);
            Called::<()>::Done
        };
        let ran = isolate(0..count, &mut log, call, |log, message, _| {
            log.blamed.push(message)
        });
        assert_eq!(ran, Ok(()));
        log
    }

    proptest! {
        #[test]
        fn each_message_is_done_or_blamed_once(count in 0..300_usize, poison in prop::collection::btree_set(0..300_usize, 0..5)) {
            let poison: Vec<_> = poison.into_iter().filter(|message| *message < count).collect();
            let log = run(count, &poison);
            prop_assert_eq!(&log.blamed, &poison);
            let fine: Vec<_> = (0..count).filter(|message| !poison.contains(message)).collect();
            prop_assert_eq!(log.done, fine);
        }
    }

    #[test]
    fn one_poison_message_costs_few_calls() {
        for count in [1_usize, 2, 100, 16_384] {
            for poison in [0, count / 3, count - 1] {
                let depth = usize::try_from(count.next_power_of_two().ilog2()).unwrap();
                let calls = run(count, &[poison]).calls;
                assert!(calls <= 2 * depth + 2, "{count} {poison}: {calls}");
            }
        }
    }
}
