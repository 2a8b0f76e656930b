//! The hybrid logical clock of write times.
//!
//! Cassandra settles conflicting writes by their time. A time taken from the wall clock would let a
//! late or repeated write undo a newer one; one derived from the message does not.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::failpoint;
use crate::message::{Batch, NO_TIMESTAMP, WriteTime};

/// How far ahead of this host's clock a message's time may be.
const AHEAD_MAX: Duration = Duration::from_secs(3_600);

/// By how much a generation is later than the one before, in microseconds.
const GENERATION: WriteTime = 1_000;

/// Gives each message of a partition a write time greater than the one before:
/// `w(m) = max((message_ms + generation) * 1000, w(previous) + 1)`, in microseconds.
///
/// A pipeline has one generation. A worker learns it with its partitions, and the greatest that it
/// has met holds for all of them: with a lesser one rows would lose against those they correct.
#[derive(Debug, Default)]
pub struct Clock {
    generation: u32,
    last: BTreeMap<i32, WriteTime>,
}

impl Clock {
    /// Goes on with a partition in a generation, from the write time of its last message.
    pub fn resume(&mut self, partition: i32, generation: u32, last: Option<WriteTime>) {
        self.generation = self.generation.max(generation);
        self.last.insert(partition, last.unwrap_or(0));
    }

    /// The greatest generation that was met.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Begins a later generation: all that is stamped from now on is later by its millisecond, also
    /// where write times do not come from the messages' own.
    pub fn enter(&mut self, generation: u32) {
        self.generation = generation;
        for last in self.last.values_mut() {
            *last = last.saturating_add(GENERATION);
        }
    }

    /// Forgets a partition that is somebody else's now.
    pub fn forget(&mut self, partition: i32) {
        self.last.remove(&partition);
    }

    /// Stamps a batch. A message that claims to come from more than an hour ahead gets no write
    /// time and does not move the clock: it would make every later row of its key invisible.
    pub fn stamp(&mut self, batch: &mut Batch) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let latest = (now.unwrap_or_default() + AHEAD_MAX).as_millis();
        let latest = i64::try_from(latest).unwrap_or(i64::MAX);
        let is_wall_clock = failpoint::has_bug("bug-wall-clock");
        batch.stamp(|partition, timestamp| {
            let timestamp = if is_wall_clock { latest } else { timestamp };
            self.next(partition, timestamp, latest)
        });
    }

    fn next(&mut self, partition: i32, timestamp: i64, latest: i64) -> Option<WriteTime> {
        if timestamp > latest {
            return None;
        }
        let last = self.last.entry(partition).or_insert(0);
        let own = match timestamp {
            NO_TIMESTAMP => 0,
            _ => timestamp
                .saturating_add(i64::from(self.generation))
                .saturating_mul(1_000),
        };
        *last = own.max(*last + 1);
        Some(*last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(generation: u32, last: Option<i64>, timestamps: &[i64], expected: &[Option<i64>]) {
        let mut clock = Clock::default();
        clock.resume(3, generation, last);
        let stamps: Vec<_> = timestamps
            .iter()
            .map(|&ms| clock.next(3, ms, 1_000))
            .collect();
        assert_eq!(stamps, expected);
    }

    #[test]
    fn later_messages_have_greater_write_times() {
        check(0, None, &[5, 6], &[Some(5_000), Some(6_000)]);
        // A producer's clock that goes back, and several messages of one millisecond.
        check(
            0,
            None,
            &[5, 3, 5],
            &[Some(5_000), Some(5_001), Some(5_002)],
        );
        // No time at all.
        check(
            0,
            None,
            &[NO_TIMESTAMP, 1, NO_TIMESTAMP],
            &[Some(1), Some(1_000), Some(1_001)],
        );
        // From the future: refused, and the clock stays.
        check(0, None, &[5, 1_001, 6], &[Some(5_000), None, Some(6_000)]);
        // Going on where another owner stopped.
        check(0, Some(7_000), &[5, 8], &[Some(7_001), Some(8_000)]);
        // A newer generation beats what was written before of the same message.
        check(2, None, &[5], &[Some(7_000)]);
        check(0, None, &[i64::MIN], &[Some(1)]);
    }

    #[test]
    fn the_greatest_generation_holds_for_all_partitions() {
        let mut clock = Clock::default();
        clock.resume(0, 2, None);
        clock.resume(1, 0, Some(6_500));
        assert_eq!(clock.next(0, 5, 1_000), Some(7_000));
        assert_eq!(clock.next(1, 5, 1_000), Some(7_000));
        clock.resume(2, 3, None);
        assert_eq!(clock.next(0, 5, 1_000), Some(8_000));
    }

    /// The write times of the same messages before and after a rewind, which keeps the last one
    /// that was committed and adds a generation's 1,000 to it.
    #[track_caller]
    fn beats(committed: usize, read_again_from: usize, timestamps: &[i64]) {
        let mut clock = Clock::default();
        let next = |clock: &mut Clock, ms: &i64| clock.next(0, *ms, i64::MAX).unwrap();
        let before: Vec<i64> = timestamps.iter().map(|ms| next(&mut clock, ms)).collect();
        let last = committed.checked_sub(1).map_or(0, |last| before[last]);
        clock.resume(0, 1, Some(last + 1_000));
        let again = &timestamps[read_again_from..];
        let after: Vec<i64> = again.iter().map(|ms| next(&mut clock, ms)).collect();
        for (before, after) in before[read_again_from..].iter().zip(&after) {
            assert!(after > before, "{timestamps:?}: {after} after {before}");
        }
        // The last one to be read beats all there was, also what was written and not committed.
        assert!(after.last() > before.iter().max());
    }

    #[test]
    fn a_replay_in_a_new_generation_beats_what_was_written_before() {
        let logs: [&[i64]; 4] = [
            &[5, 6, 7, 8, 9, 10],
            &[5; 6],
            &[9, 1, 8, 2, 7, 3],
            &[NO_TIMESTAMP, 7, NO_TIMESTAMP, 7, 1, NO_TIMESTAMP],
        ];
        for log in logs {
            for committed in 0..=log.len() {
                for read_again_from in 0..=committed.min(log.len() - 1) {
                    beats(committed, read_again_from, log);
                }
            }
        }
    }
}
