//! From an author's file to native code, within a time.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::{Error, Limits, refusals, wrap};

/// Compiles beside this thread, so that it can be given up.
pub(super) fn compile(
    engine: &Engine,
    name: &str,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Component, Error> {
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
    match receiver.recv_timeout(limits.compile_max) {
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
