//! Progress of a redrive: letters whose messages are written, or refused anew, are settled.

use crate::checkpoint::{Checkpoint, Commit, Error};
use crate::sink::Written;
use crate::source::letters::Settler;

/// Settles through the store that the letters came from.
pub struct Letters {
    settler: Settler,
}

impl Letters {
    /// A checkpoint of the source that this settler belongs to.
    pub fn new(settler: Settler) -> Self {
        Self { settler }
    }
}

impl Checkpoint for Letters {
    /// One batch is in flight, so that what is written is all that was taken.
    fn record(&mut self, _: &Written) {
        self.settler.record();
    }

    fn commit(&mut self, when: Commit) -> Result<(), Error> {
        let settled = match when {
            Commit::IfDue => self.settler.settle(),
            Commit::Now => self.settler.finish(),
        };
        settled.map_err(|error| Error(error.to_string()))
    }
}
