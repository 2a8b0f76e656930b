//! From an author's file to native code, within a time.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::{Config, Error, refusals, wrap};

/// What takes no longer is nothing that a person must be told of.
const PATIENCE: Duration = Duration::from_secs(1);

/// Compiles beside this thread, so that it can be given up.
pub(super) fn compile(
    engine: &Engine,
    name: &str,
    bytes: &[u8],
    config: &Config,
) -> Result<Component, Error> {
    let limits = &config.limits;
    let component = wrap::component(name, bytes, limits)?.into_owned();
    let (sender, receiver) = mpsc::channel();
    let engine = engine.clone();
    // Given up, it works on in vain until the process ends, which is soon: there is no plugin.
    let compiler = thread::Builder::new()
        .name("compile".into())
        .spawn(move || {
            let _ = sender.send(Component::from_binary(&engine, &component));
        });
    compiler.map_err(|error| Error::Compile(error.to_string()))?;
    let seconds = limits.compile_max.as_secs();
    let (mut answer, mut shown) = (receiver.recv_timeout(PATIENCE), None);
    if matches!(answer, Err(RecvTimeoutError::Timeout)) && limits.compile_max > PATIENCE {
        shown = config.waits.map(|waits| waits(name, bytes.len()));
        answer = receiver.recv_timeout(limits.compile_max - PATIENCE);
    }
    drop(shown);
    match answer {
        Ok(compiled) => compiled.map_err(|error| {
            let said = format!("{error:#}");
            Error::Compile(refusals::explained(&said).unwrap_or(said))
        }),
        Err(RecvTimeoutError::Disconnected) => {
            Err(Error::Compile("the compiler fails on it".into()))
        }
        Err(RecvTimeoutError::Timeout) => {
            Err(Error::Compile(format!("it takes longer than {seconds} s")))
        }
    }
}
