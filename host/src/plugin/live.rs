//! A guest that lives: its store, its functions, and why a call of them has failed.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Func, Instance, InstancePre, TypedFunc};
use wasmtime::{Engine, FrameInfo, Store, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::lookup::Lookup;

use super::bindings::{self, CLOCK, Level, Messages, Outcome, TRANSFORM};
use super::description::Description;
use super::imports::{OUTPUT, State};
use super::isolate::Fault;
use super::limits::{readable, ticks};
use super::{Config, Error};

/// Where limits are changed.
const SECTION: &str = "[plugin.limits]";

/// How many of a trap's functions are told, the innermost of them.
const FRAMES_MAX: usize = 4;
/// The longest name of one, in characters.
const NAME_MAX: usize = 80;

/// A guest that was started and has described itself.
pub(super) struct Live {
    store: Store<State>,
    transform: Func,
    /// The clock of our adapter for WASI preview 1, if the guest has it.
    clock: Option<Clock>,
}

/// A clock that is asked whether it was read: it must not call the host as it is.
struct Clock {
    /// Starts it again, and answers whether it was read.
    reset: TypedFunc<(), (bool,)>,
    /// How loud it is told. What reads clocks before there are messages is a language's runtime, as Go's, which
    /// goes on reading them of its own accord.
    level: Level,
}

impl Live {
    /// Starts a guest and asks it what it is.
    pub(super) fn start(
        engine: &Engine,
        pre: &InstancePre<State>,
        state: State,
        config: &Config,
    ) -> Result<(Self, Description), Error> {
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(config.limits.output_max);
        let time = config.limits.init_max;
        store.set_epoch_deadline(ticks(time));
        let instance = pre.instantiate(&mut store);
        let instance = match instance {
            Ok(instance) => instance,
            Err(error) => return Err(not_started(fault(&error, store.data_mut(), time))),
        };
        let mut find = |interface, name| function(&mut store, &instance, interface, name);
        let (init, transform) = (find(TRANSFORM, "init")?, find(TRANSFORM, "transform")?);
        let reset = find(CLOCK, "reset").ok();
        let contract = |error: wasmtime::Error| Error::Contract(format!("{error:#}"));
        let reset = reset.map(|reset| reset.typed(&store)).transpose();
        let reset: Option<TypedFunc<(), (bool,)>> = reset.map_err(contract)?;
        let typed = init.typed::<(&str,), (Result<bindings::Description, String>,)>(&store);
        transform
            .typed::<(Messages<'_>,), (Outcome,)>(&store)
            .map_err(contract)?;
        let text = if config.config.is_empty() {
            "{}"
        } else {
            &config.config
        };
        store.data_mut().begin();
        let answer = match typed.map_err(contract)?.call(&mut store, (text,)) {
            Ok((answer,)) => answer,
            Err(error) => {
                let fault = fault(&error, store.data_mut(), time);
                let reason = format!("init: {}", fault.reason);
                return Err(not_started(Fault { reason, ..fault }));
            }
        };
        let description = answer.map_err(Error::Configuration)?.try_into()?;
        let clock = reset.map(|reset| -> Result<Clock, Error> {
            let (was_read,) = reset.call(&mut store, ()).map_err(contract)?;
            let level = if was_read { Level::Debug } else { Level::Warn };
            Ok(Clock { reset, level })
        });
        let live = Self {
            clock: clock.transpose()?,
            store,
            transform,
        };
        Ok((live, description))
    }

    /// Lets it look things up from now on.
    pub(super) fn admit(&mut self, lookups: Arc<[Arc<Lookup>]>) {
        self.store.data_mut().lookups = Some(lookups);
    }

    /// How much more memory it may take, in bytes.
    pub(super) fn memory_left(&self) -> usize {
        self.store.data().limiter.left
    }

    /// Calls it with messages. After a fault it must not be called again.
    pub(super) fn transform(
        &mut self,
        messages: Messages<'_>,
        time: Duration,
    ) -> Result<Outcome, Fault> {
        self.store.data_mut().begin();
        self.store.set_epoch_deadline(ticks(time));
        // The types were checked at the start; a lifetime keeps the typed function from being kept.
        let typed = self
            .transform
            .typed::<(Messages<'_>,), (Outcome,)>(&self.store);
        let answer = typed.and_then(|typed| typed.call(&mut self.store, (messages,)));
        let answer = answer.and_then(|(outcome,)| {
            self.end_clock(time)?;
            Ok(outcome)
        });
        answer.map_err(|error| fault(&error, self.store.data_mut(), time))
    }

    /// Starts the clock again for the next call, and tells the author if it was read in this one.
    fn end_clock(&mut self, time: Duration) -> wasmtime::Result<()> {
        let Some(clock) = &self.clock else {
            return Ok(());
        };
        // The call has answered in time.
        self.store.set_epoch_deadline(ticks(time));
        let (was_read,) = clock.reset.call(&mut self.store, ())?;
        if was_read {
            self.store.data_mut().note_clock(clock.level);
        }
        Ok(())
    }
}

fn not_started(fault: Fault) -> Error {
    match fault.code {
        "deadline" => Error::Deadline(fault.reason),
        _ => Error::Start(fault.reason),
    }
}

fn function(
    store: &mut Store<State>,
    instance: &Instance,
    interface: &str,
    name: &str,
) -> Result<Func, Error> {
    let interface = instance.get_export_index(&mut *store, None, interface);
    let index = interface
        .and_then(|interface| instance.get_export_index(&mut *store, Some(&interface), name));
    let function = index.and_then(|index| instance.get_func(&mut *store, index));
    function.ok_or_else(|| Error::Contract(format!("there is no function `{name}`")))
}

/// Why a call has failed: the limit that it went over, or else what the plugin told last, as a panic does.
fn fault(error: &wasmtime::Error, state: &mut State, time: Duration) -> Fault {
    // A line that is indented is the end of a longer tale, as of Go's runtime, and tells nothing alone.
    let said = state.take_error().filter(|said| !said.starts_with(' '));
    let limits = &state.limits;
    let trap = error.downcast_ref::<Trap>();
    let cause = error.root_cause().to_string();
    let (code, reason) = match trap {
        Some(Trap::Interrupt) => ("deadline", longer(state, time)),
        Some(Trap::StackOverflow) => {
            let stack = readable(limits.stack_max);
            (
                "stack",
                format!("its calls nest deeper than {stack} of stack"),
            )
        }
        _ if state.limiter.has_refused => {
            let memory = readable(limits.memory_max);
            let reason =
                format!("it wants more than {memory} of memory: `memory_max` in {SECTION}");
            ("memory", reason)
        }
        // The error's type is private to wasmtime; a contract test would see another wording.
        _ if cause.starts_with(OUTPUT) => {
            let output = readable(limits.output_max);
            let reason =
                format!("it hands over more than {output} in a call: `output_max` in {SECTION}");
            ("output", reason)
        }
        _ => {
            return Fault {
                code: "trap",
                reason: trapped(error, cause, said),
            };
        }
    };
    // A deadline falls where it falls.
    let place = if code == "stack" {
        place(error)
    } else {
        String::new()
    };
    let said = said.map_or(place, |said| format!("; it said: {said}"));
    Fault {
        code,
        reason: reason + &said,
    }
}

/// What took too long, and who may change that.
fn longer(state: &State, time: Duration) -> String {
    let limits = &state.limits;
    if state.lookups.is_none() {
        return format!("it takes longer than {:?} to start", limits.init_max);
    }
    let whose = if time >= limits.call_max {
        format!("`call_max` in {SECTION}")
    } else {
        let (base, more) = (limits.call_base, limits.call_per_message);
        format!("{base:?} a call and {more:?} a message")
    };
    format!("it takes longer than {time:?}: {whose}")
}

/// A call that ended of itself. What it said then tells more than that it fell into a trap, or exited.
fn trapped(error: &wasmtime::Error, cause: String, said: Option<String>) -> String {
    let exit = error.downcast_ref::<I32Exit>().map(|exit| exit.0);
    match (exit, said) {
        (Some(code), None) => format!("it ends itself, with exit code {code}"),
        (Some(code), Some(said)) => format!("{said} (exit code {code})"),
        (None, None) => cause + &place(error),
        (None, Some(said)) if is_deliberate(error) && tells_place(&said) => said,
        (None, Some(said)) if is_deliberate(error) => said + &place(error),
        (None, Some(said)) => format!("{cause}{}: {said}", place(error)),
    }
}

/// Whether it is the trap that compilers make of a panic.
fn is_deliberate(error: &wasmtime::Error) -> bool {
    matches!(error.downcast_ref(), Some(Trap::UnreachableCodeReached))
}

/// Whether it has a file and a line, as in `main.go:53`.
fn tells_place(said: &str) -> bool {
    let mut parts = said.split(':').skip(1);
    parts.any(|part| part.starts_with(|first: char| first.is_ascii_digit()))
}

/// Where a trap has happened: the guest's functions by name, the innermost first. Nothing, where the
/// module does not tell their names.
fn place(error: &wasmtime::Error) -> String {
    let frames = error.downcast_ref::<WasmBacktrace>();
    let frames = frames.map_or(&[][..], WasmBacktrace::frames);
    let mut names: Vec<&str> = frames.iter().filter_map(FrameInfo::func_name).collect();
    // One that calls itself is told once.
    names.dedup();
    let names: Vec<_> = names.into_iter().take(FRAMES_MAX).map(short).collect();
    match &names[..] {
        [] => String::new(),
        [name] => format!(", in `{name}`"),
        [name, callers @ ..] => format!(", in `{name}`, called by `{}`", callers.join("`, `")),
    }
}

/// `transform` for `sluice:plugin/transform@0.1.0#transform`, whatever else is said in full.
fn short(name: &str) -> String {
    let name = name.rsplit('#').next().unwrap_or(name);
    name.chars().take(NAME_MAX).collect()
}
