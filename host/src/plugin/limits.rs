//! What a plugin may use: memory, stack, time, output. Every limit has a default and a test that
//! reaches it.

use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::{Config, Engine, Inlining, ResourceLimiter};

use super::Error;

/// What a plugin may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most memory of an instance, in bytes.
    pub memory_max: usize,
    /// The deepest stack of a call, in bytes.
    pub stack_max: usize,
    /// The time of a call, whatever its batch.
    pub call_base: Duration,
    /// What each message of the batch adds to that.
    pub call_per_message: Duration,
    /// The most time of a call.
    pub call_max: Duration,
    /// The time for starting an instance.
    pub init_max: Duration,
    /// The most that a call may hand over, in bytes.
    pub output_max: usize,
    /// The largest component or module, in bytes.
    pub component_max: usize,
    /// The time for compiling it.
    pub compile_max: Duration,
    /// The time for finding the messages of one batch on which the plugin fails.
    pub isolation_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_max: 128 << 20,
            stack_max: 512 << 10,
            call_base: Duration::from_secs(1),
            call_per_message: Duration::from_millis(1),
            call_max: Duration::from_secs(10),
            init_max: Duration::from_secs(10),
            output_max: 64 << 20,
            component_max: 64 << 20,
            // A Python plugin carries its runtime: 10 s of a core that nobody else uses.
            compile_max: Duration::from_secs(300),
            // Well below Kafka's max.poll.interval.ms of 5 minutes, after which we lose our place.
            isolation_max: Duration::from_secs(120),
        }
    }
}

impl Limits {
    /// The time for a call with so many messages.
    pub(super) fn call(&self, messages: usize) -> Duration {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        let time = self
            .call_base
            .saturating_add(self.call_per_message.saturating_mul(messages));
        time.min(self.call_max)
    }
}

/// Bytes as a person reads them.
pub(super) fn readable(bytes: usize) -> String {
    match bytes {
        0..0x400 => format!("{bytes} bytes"),
        0x400..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// How often the clock of deadlines ticks.
const TICK: Duration = Duration::from_millis(10);

/// Ticks from now until a time has surely passed: the current tick may be nearly over.
pub(super) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX / 2) + 1
}

/// The engines of this process: one, unless pipelines ask for different stacks.
static ENGINES: Mutex<Vec<(usize, Engine)>> = Mutex::new(Vec::new());

/// A stack takes part of a worker thread's own, which has 2 MiB.
const STACK_MAX: usize = 1 << 20;

fn engines() -> MutexGuard<'static, Vec<(usize, Engine)>> {
    // Nothing can be left half done in it.
    ENGINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine for plugins with such a stack.
pub(super) fn engine(stack_max: usize) -> Result<Engine, Error> {
    if stack_max > STACK_MAX {
        return Err(Error::Limit {
            what: "stack",
            size: stack_max,
            max: STACK_MAX,
        });
    }
    let mut engines = engines();
    if let Some((_, engine)) = engines.iter().find(|(size, _)| *size == stack_max) {
        return Ok(engine.clone());
    }
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(stack_max)
        // The languages' compilers have done it. Again, it makes calls in Python an eighth faster and others
        // hardly, and holds the code of all functions in memory: 8 GB for a plugin in Python, 0.4 GB without.
        .compiler_inlining(Inlining::No)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_relaxed_simd(false)
        .memory_init_cow(true);
    let engine = Engine::new(&config).map_err(|error| Error::Compile(error.to_string()))?;
    engines.push((stack_max, engine.clone()));
    drop(engines);
    start_ticking();
    Ok(engine)
}

/// One thread for all engines, which lives as long as the process.
fn start_ticking() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let ticker = thread::Builder::new().name("deadlines".into());
        let ticking = ticker.spawn(|| {
            loop {
                thread::sleep(TICK);
                engines()
                    .iter()
                    .for_each(|(_, engine)| engine.increment_epoch());
            }
        });
        ticking.expect("without a thread for deadlines nothing may run");
    });
}

/// Keeps one instance within its memory.
#[derive(Debug)]
pub(super) struct Limiter {
    /// How much more memory it may have, in bytes.
    pub(super) left: usize,
    table_left: usize,
    /// Whether the instance was refused memory. Many guests then end in an `unreachable`, which
    /// alone would not tell why.
    pub(super) has_refused: bool,
}

impl Limiter {
    pub(super) fn new(limits: &Limits) -> Self {
        // Python's dynamic linking needs some 20,000 functions in a table.
        Self {
            left: limits.memory_max,
            table_left: 200_000,
            has_refused: false,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let left = self.left.checked_sub(desired - current);
        self.left = left.unwrap_or(self.left);
        self.has_refused |= left.is_none();
        Ok(left.is_some())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let left = self.table_left.checked_sub(desired - current);
        self.table_left = left.unwrap_or(self.table_left);
        self.has_refused |= left.is_none();
        Ok(left.is_some())
    }

    // A component is many modules once a language's runtime is linked dynamically.
    fn instances(&self) -> usize {
        256
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_time_for_its_messages_and_never_too_much() {
        let limits = Limits::default();
        for (messages, millis) in [
            (0, 1_000),
            (1, 1_001),
            (9_000, 10_000),
            (usize::MAX, 10_000),
        ] {
            assert_eq!(
                limits.call(messages),
                Duration::from_millis(millis),
                "{messages}"
            );
        }
        assert_eq!(ticks(Duration::from_millis(19)), 2);
    }

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut limiter = Limiter::new(&Limits {
            memory_max: 100,
            ..Limits::default()
        });
        for (current, desired, want) in [
            (0, 60, true),
            (0, 50, false),
            (60, 100, true),
            (0, 1, false),
        ] {
            let grows = limiter.memory_growing(current, desired, None).unwrap();
            assert_eq!(grows, want, "{current} {desired}");
        }
        assert!(limiter.has_refused);
    }
}
