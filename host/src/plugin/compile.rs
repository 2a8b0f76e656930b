//! From an author's file to a component and to native code, beside the thread that wants it, within a time.

use std::any::Any;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::{Config, Error, Limits, refusals, wrap};

/// What takes no longer is nothing that a person must be told of.
const PATIENCE: Duration = Duration::from_secs(1);
/// Its thread's stack, in bytes: as much as a program's first thread has, for which the tools are made.
const STACK: usize = 8 << 20;

/// The component of the bytes of a file: a component, a core module, or, if its name ends in `.wat`, text.
///
/// # Errors
/// If they are none of these, too large, lack what a plugin must have, or take too long.
pub fn component(name: &str, bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    let (name, bytes, own) = (name.to_owned(), bytes.to_vec(), limits.clone());
    let wrapped = move || Ok(wrap::component(&name, &bytes, &own)?.into_owned());
    beside(limits.compile_max, PATIENCE, &|| None, wrapped)
}

/// The native code of a file that [`component`] takes.
pub(super) fn compile(
    engine: &Engine,
    name: &str,
    bytes: &[u8],
    config: &Config,
) -> Result<Component, Error> {
    let tell = || config.waits.map(|waits| waits(name, bytes.len()));
    let (engine, limits) = (engine.clone(), config.limits.clone());
    let (file, bytes) = (name.to_owned(), bytes.to_vec());
    beside(config.limits.compile_max, PATIENCE, &tell, move || {
        let component = wrap::component(&file, &bytes, &limits)?;
        Component::from_binary(&engine, &component).map_err(|error| {
            let said = format!("{error:#}");
            Error::Compile(refusals::explained(&said).unwrap_or(said))
        })
    })
}

/// Works in a thread of its own, so that it can be given up when the limit is over. After `patience`, `tell`
/// says that it takes a while, until what that answers is dropped.
fn beside<T: Send + 'static>(
    limit: Duration,
    patience: Duration,
    tell: &dyn Fn() -> Option<Box<dyn Any>>,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (sender, receiver) = mpsc::channel();
    // Given up, it works on in vain: a thread cannot be ended from outside.
    let thread = thread::Builder::new().name("compile".into());
    let started = thread.stack_size(STACK).spawn(move || {
        let _ = sender.send(work());
    });
    started.map_err(|error| Error::Compile(error.to_string()))?;
    let patience = patience.min(limit);
    let (mut answer, mut shown) = (receiver.recv_timeout(patience), None);
    if matches!(answer, Err(RecvTimeoutError::Timeout)) && patience < limit {
        shown = tell();
        answer = receiver.recv_timeout(limit.saturating_sub(patience));
    }
    drop(shown);
    match answer {
        Ok(done) => done,
        Err(RecvTimeoutError::Disconnected) => {
            Err(Error::Compile("the compiler fails on it".into()))
        }
        Err(RecvTimeoutError::Timeout) => {
            Err(Error::Compile(format!("it takes longer than {limit:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::mpsc::{Receiver, Sender};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Sets what it holds when it is dropped.
    struct Shown(Rc<Cell<bool>>);

    impl Drop for Shown {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }

    #[test]
    fn who_waits_is_told_until_it_is_done() {
        // It is done once somebody was told of it.
        let (told, heard): (Sender<()>, Receiver<()>) = mpsc::channel();
        let (gone, times) = (Rc::new(Cell::new(false)), Cell::new(0));
        let tell = || -> Option<Box<dyn Any>> {
            times.set(times.get() + 1);
            told.send(()).unwrap();
            Some(Box::new(Shown(gone.clone())))
        };
        let made = beside(LONG, Duration::ZERO, &tell, move || {
            heard.recv_timeout(LONG).unwrap();
            Ok(7)
        });
        assert_eq!(made.unwrap(), 7);
        assert_eq!((times.get(), gone.get()), (1, true));
    }

    #[test]
    fn of_what_is_soon_over_nobody_is_told() {
        let tell = || panic!("there is nothing to wait for");
        assert_eq!(beside(LONG, LONG, &tell, || Ok(7)).unwrap(), 7);
        let failed = beside(LONG, LONG, &tell, || {
            Err::<(), _>(Error::Wrap("why".into()))
        });
        assert!(matches!(failed, Err(Error::Wrap(why)) if why == "why"));
    }

    #[test]
    fn what_never_ends_is_given_up_and_what_breaks_is_told() {
        let (_sender, never): (Sender<()>, Receiver<()>) = mpsc::channel();
        let (short, tell) = (Duration::from_millis(1), || None);
        let check = |made: Result<(), Error>, why: &str| {
            assert!(made.unwrap_err().to_string().contains(why), "{why}");
        };
        let waits = move || never.recv().map_err(|_| Error::Wrap("it is over".into()));
        check(beside(short, LONG, &tell, waits), "takes longer than 1ms");
        let breaks = || panic!("as a tool may");
        check(beside(LONG, LONG, &tell, breaks), "fails on it");
    }
}
