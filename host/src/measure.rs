//! What plugins cost a message: the time of this thread's CPU, so that what others do on the machine is
//! not in it. Plugins are measured in turn, so that what changes while it lasts changes for all.

use std::collections::VecDeque;
use std::time::Duration;

use crate::message::Batch;
use crate::plugin::{Error, Instance};

/// How often each plugin is measured with batches of one size.
pub const RUNS: usize = 9;
/// The least that a run takes: a shorter one would tell of the clock.
const RUN_MIN: Duration = Duration::from_millis(60);
/// A plugin that is measured, with its messages.
pub struct Rig {
    /// What turns the messages into rows.
    pub instance: Instance,
    /// The messages. Batches are made of whole parts of them.
    pub messages: Batch,
}

/// What a message costs, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// As many runs were above as below.
    pub median: f64,
    /// Half of what the middle half of the runs spans, as a share of the median.
    pub spread: f64,
}

/// What a plugin costs with batches of one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// The plugin's calls alone, with what is copied into its memory and out.
    pub call: Figure,
    /// From the messages' bytes to checked rows: decoding, the calls, the checks.
    pub whole: Figure,
}

/// What became of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Those with rows.
    pub written: usize,
    /// Those that were refused.
    pub rejected: usize,
    /// Those that were left out on purpose.
    pub filtered: usize,
}

impl Rig {
    /// What becomes of all the messages.
    ///
    /// # Errors
    /// If the plugin cannot run.
    pub fn outcomes(&mut self) -> Result<Outcomes, Error> {
        let transformed = self.instance.apply(self.messages.clone())?;
        let filtered = transformed.filtered.iter();
        Ok(Outcomes {
            written: transformed.written,
            rejected: transformed.rejected.len(),
            filtered: filtered.map(|filtered| filtered.messages).sum(),
        })
    }
}

/// Measures plugins in turn, with batches of so many messages. What each costs, in their order.
///
/// # Errors
/// If one cannot run.
///
/// # Panics
/// If one has fewer messages than a batch.
pub fn in_turn(rigs: &mut [Rig], size: usize) -> Result<Vec<Cost>, Error> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for rig in rigs {
        let whole = 0..rig.messages.len() / size;
        let part = |index: usize| rig.messages.part(index * size..(index + 1) * size);
        let batches: VecDeque<Batch> = whole.map(part).collect();
        assert!(!batches.is_empty(), "there are fewer messages than {size}");
        turns.push(Turn {
            instance: &mut rig.instance,
            batches,
            calls: Vec::new(),
            wholes: Vec::new(),
        });
    }
    // The first run of each warms it up.
    for run in 0..=RUNS {
        for turn in &mut turns {
            let (call, whole) = turn.run()?;
            if run > 0 {
                turn.calls.push(call);
                turn.wholes.push(whole);
            }
        }
    }
    let cost = |turn: Turn<'_>| Cost {
        call: figure(turn.calls),
        whole: figure(turn.wholes),
    };
    Ok(turns.into_iter().map(cost).collect())
}

struct Turn<'a> {
    instance: &'a mut Instance,
    batches: VecDeque<Batch>,
    calls: Vec<f64>,
    wholes: Vec<f64>,
}

impl Turn<'_> {
    /// Nanoseconds a message, of the calls and of all; each batch comes back, and its rows are dropped.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn run(&mut self) -> Result<(f64, f64), Error> {
        let (mut messages, mut calls, mut whole) = (0, Duration::ZERO, Duration::ZERO);
        while whole < RUN_MIN {
            let batch = self.batches.pop_front().expect("each comes back");
            messages += batch.len();
            let began = cpu_time();
            let transformed = self.instance.apply_timed(batch, cpu_time, &mut calls)?;
            whole += cpu_time().saturating_sub(began);
            self.batches.push_back(transformed.batch);
        }
        let each = |time: Duration| time.as_nanos() as f64 / messages as f64;
        Ok((each(calls), each(whole)))
    }
}

/// The CPU time of this thread so far.
pub fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live local of the type that clock_gettime fills in.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "the system has a clock for each thread");
    let part = |part: libc::c_long| u64::try_from(part).expect("it counts from 0");
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

/// The median of runs, and how far they lie apart.
///
/// # Panics
/// If there are none.
pub fn figure(mut runs: Vec<f64>) -> Figure {
    assert!(!runs.is_empty(), "there are runs");
    runs.sort_by(f64::total_cmp);
    let (quarter, middle) = (runs.len() / 4, runs.len() / 2);
    let median = runs[middle];
    let span = runs[runs.len() - 1 - quarter] - runs[quarter];
    Figure {
        median,
        spread: span / 2.0 / median,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_middle_and_says_how_far_runs_lie_apart() {
        for (runs, median, spread) in [
            (&[7.0][..], 7.0, 0.0),
            (&[3.0, 1.0, 2.0], 2.0, 0.5),
            (&[4.0, 4.0, 4.0, 4.0, 900.0], 4.0, 0.0),
            (&[10.0, 8.0, 12.0, 1.0, 99.0], 10.0, 0.2),
        ] {
            let figure = figure(runs.to_vec());
            assert_eq!((figure.median, figure.spread), (median, spread), "{runs:?}");
        }
    }

    #[test]
    fn the_clock_goes_while_this_thread_works_and_only_then() {
        let began = cpu_time();
        while cpu_time() <= began {}
        let before = cpu_time();
        std::thread::spawn(|| {
            let began = cpu_time();
            while cpu_time() - began < RUN_MIN {}
        })
        .join()
        .unwrap();
        assert!(
            cpu_time() - before < RUN_MIN,
            "another thread's work is in it"
        );
    }
}
