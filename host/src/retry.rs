//! How long to wait before the next attempt: exponential backoff with full jitter.
//!
//! It only computes; the worker waits, because it must keep its membership meanwhile.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// The waits between attempts: a random time below a ceiling that doubles from [`Backoff::FIRST`]
/// up to [`Backoff::MAX`].
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The first ceiling.
    pub const FIRST: Duration = Duration::from_millis(50);
    /// The last ceiling.
    pub const MAX: Duration = Duration::from_secs(5);

    /// How long to wait now. Never less than a millisecond.
    pub fn wait(&mut self) -> Duration {
        let ceiling = Self::ceiling(self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        // The standard library seeds each `RandomState` anew, which is all the chance a jitter needs.
        let random = RandomState::new().hash_one(self.attempts) >> 32;
        let part = f64::from(u32::try_from(random).expect("the upper half was shifted down"))
            / f64::from(u32::MAX);
        ceiling.mul_f64(part).max(Duration::from_millis(1))
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    fn ceiling(attempts: u32) -> Duration {
        Self::FIRST
            .saturating_mul(1 << attempts.min(16))
            .min(Self::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_the_last() {
        let millis = |attempts| Backoff::ceiling(attempts).as_millis();
        assert_eq!(
            [0, 1, 2, 6, 7, 40].map(millis),
            [50, 100, 200, 3_200, 5_000, 5_000]
        );
    }

    #[test]
    fn waits_stay_below_their_ceiling() {
        let mut backoff = Backoff::default();
        for attempt in 0..200 {
            let wait = backoff.wait();
            assert!(wait >= Duration::from_millis(1) && wait <= Backoff::ceiling(attempt));
        }
    }
}
