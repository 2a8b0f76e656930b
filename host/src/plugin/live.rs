//! A guest that lives: its store, its functions, and why a call of them has failed.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Func, Instance, InstancePre};
use wasmtime::{Engine, Store, Trap};

use crate::lookup::Lookup;

use super::bindings::{self, Messages, Outcome, TRANSFORM};
use super::description::Description;
use super::imports::{OUTPUT, State};
use super::isolate::Fault;
use super::limits::ticks;
use super::{Config, Error};

/// A guest that was started and has described itself.
pub(super) struct Live {
    store: Store<State>,
    transform: Func,
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
        store.set_epoch_deadline(ticks(config.limits.init_max));
        let instance = pre.instantiate(&mut store);
        let instance = match instance {
            Ok(instance) => instance,
            Err(error) => return Err(not_started(fault(&error, store.data_mut()), config)),
        };
        let init = function(&mut store, &instance, "init")?;
        let transform = function(&mut store, &instance, "transform")?;
        let contract = |error: wasmtime::Error| Error::Contract(format!("{error:#}"));
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
                let fault = fault(&error, store.data_mut());
                let reason = format!("init: {}", fault.reason);
                return Err(not_started(Fault { reason, ..fault }, config));
            }
        };
        let description = answer.map_err(Error::Configuration)?.try_into()?;
        Ok((Self { store, transform }, description))
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
        let answer = answer.map(|(outcome,)| outcome);
        answer.map_err(|error| fault(&error, self.store.data_mut()))
    }
}

fn not_started(fault: Fault, config: &Config) -> Error {
    let (limit, reason) = (config.limits.init_max, fault.reason);
    match fault.code {
        "deadline" => Error::Deadline { limit, reason },
        _ => Error::Start(reason),
    }
}

fn function(store: &mut Store<State>, instance: &Instance, name: &str) -> Result<Func, Error> {
    let interface = instance.get_export_index(&mut *store, None, TRANSFORM);
    let index = interface
        .and_then(|interface| instance.get_export_index(&mut *store, Some(&interface), name));
    let function = index.and_then(|index| instance.get_func(&mut *store, index));
    function.ok_or_else(|| Error::Contract(format!("there is no function `{name}`")))
}

/// Why a call has failed, with what the plugin told last: a panic's message is in its log.
fn fault(error: &wasmtime::Error, state: &mut State) -> Fault {
    let trap = error.downcast_ref::<Trap>();
    let cause = error.root_cause().to_string();
    let code = match trap {
        Some(Trap::Interrupt) => "deadline",
        Some(Trap::StackOverflow) => "stack",
        _ if state.limiter.has_refused => "memory",
        // The error's type is private to wasmtime; a contract test would see another wording.
        _ if cause.starts_with(OUTPUT) => "output",
        _ => "trap",
    };
    let reason = match state.take_error() {
        Some(said) => format!("{cause}: {said}"),
        None => cause,
    };
    Fault { code, reason }
}
