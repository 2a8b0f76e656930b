//! Progress as the group's offsets in Kafka, with the clock in their metadata.

use crate::checkpoint::{Checkpoint, Commit, Error};
use crate::sink::Written;
use crate::source::kafka::Committer;

/// Commits through the member that the messages came from.
#[derive(Debug)]
pub struct Kafka {
    committer: Committer,
}

impl Kafka {
    /// A checkpoint of the source that this committer belongs to.
    pub fn new(committer: Committer) -> Self {
        Self { committer }
    }

    /// The offset that the broker has acknowledged for a partition, if it is ours.
    pub fn committed(&self, partition: i32) -> Option<i64> {
        self.committer.committed(partition)
    }
}

impl Checkpoint for Kafka {
    fn record(&mut self, written: &Written) {
        for progress in written.progress() {
            self.committer.record(progress.span, progress.write_time);
        }
    }

    fn commit(&mut self, when: Commit) -> Result<(), Error> {
        match when {
            Commit::IfDue => {
                self.committer.commit_if_due();
                Ok(())
            }
            Commit::Now => self.committer.commit_now().map_err(Error),
        }
    }
}
