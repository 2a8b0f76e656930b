//! An archive whose keeping can be held up, as a store holds it up that is slow to answer.

use std::sync::{Arc, Mutex, PoisonError};

use host::archive::directory::Directory;
use host::archive::{Archive, End, Error, Generation, Outcome, Part, Trade};

pub(super) struct Gated {
    directory: Arc<Directory>,
    gate: Arc<Mutex<()>>,
}

impl Gated {
    /// Keeps nothing while the gate is locked.
    pub(super) fn new(directory: &Arc<Directory>, gate: &Arc<Mutex<()>>) -> Self {
        let (directory, gate) = (directory.clone(), gate.clone());
        Self { directory, gate }
    }
}

impl Archive for Gated {
    fn keep(&self, part: &Part) -> Result<(), Error> {
        drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner));
        self.directory.keep(part)
    }

    fn fetch(&self, digest: &str) -> Result<Option<Part>, Error> {
        self.directory.fetch(digest)
    }

    fn take(&self, at_least: u32, trade: &Trade) -> Result<u32, Error> {
        self.directory.take(at_least, trade)
    }

    fn finish(&self, generation: u32, end: &End) -> Result<(), Error> {
        self.directory.finish(generation, end)
    }

    fn finish_if(&self, generation: u32, so_far: Outcome, end: &End) -> Result<bool, Error> {
        self.directory.finish_if(generation, so_far, end)
    }

    fn history(&self, generations_max: usize) -> Result<Vec<Generation>, Error> {
        self.directory.history(generations_max)
    }
}
