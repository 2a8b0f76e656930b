//! Progress as the group's offsets in Kafka, with the clock in their metadata; and as rows beside them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::checkpoint::cassandra::{Row, Store};
use crate::checkpoint::{Checkpoint, Commit, Error};
use crate::code::Code;
use crate::sink::Written;
use crate::source::kafka::{Committer, Kept, Past, Place, Tail};

/// Commits through the member that the messages came from.
#[derive(Debug)]
pub struct Kafka {
    committer: Committer,
    rows: Option<Arc<Store>>,
}

impl Kafka {
    /// A checkpoint of the source that this committer belongs to, with its rows, where there are any.
    pub fn new(committer: Committer, rows: Option<Arc<Store>>) -> Self {
        Self { committer, rows }
    }

    /// The offset that the broker has acknowledged for a partition, if it is ours.
    pub fn committed(&self, partition: i32) -> Option<i64> {
        self.committer.committed(partition)
    }

    /// Lets the rows follow what the broker has acknowledged.
    fn keep(&self) {
        if let Some(rows) = &self.rows
            && let Some(news) = self.committer.news()
        {
            let row = |place| row(place, &news.member);
            rows.keep(
                &news.cluster,
                news.acknowledged.into_iter().map(row).collect(),
            );
            rows.begin(news.begun.into_iter().map(row).collect());
        }
    }
}

impl Checkpoint for Kafka {
    fn record(&mut self, written: &Written) {
        for progress in written.progress() {
            self.committer.record(progress.span, progress.write_time);
        }
    }

    fn commit(&mut self, when: Commit) -> Result<(), Error> {
        let committed = match when {
            Commit::IfDue => {
                self.committer.commit_if_due();
                Ok(())
            }
            Commit::Now => self.committer.commit_now().map_err(Error),
        };
        self.keep();
        committed
    }

    fn trade(&mut self, code: &Arc<Code>, generation: u32) {
        self.committer.trade(code, generation);
    }

    fn rewind(&mut self, to: &BTreeMap<i32, i64>, generation: u32, late: &BTreeMap<i32, i64>) {
        self.committer.rewind(to, generation, late);
    }
}

/// The member that owns its partitions commits them.
impl Checkpoint for Arc<Tail> {
    fn record(&mut self, written: &Written) {
        for progress in written.progress() {
            Tail::record(self, progress.span, progress.write_time);
        }
    }

    fn commit(&mut self, _when: Commit) -> Result<(), Error> {
        Ok(())
    }
}

/// What the rows tell a source whose group has no commits.
pub fn kept(rows: Arc<Store>) -> Kept {
    Box::new(move |cluster| {
        let kept = rows.kept(cluster)?;
        Ok(kept.into_iter().map(place).collect())
    })
}

fn row(place: Place, member: &str) -> Row {
    Row {
        partition: place.partition,
        topic: place.past.topic.as_deref().map(str::to_owned),
        next: place.offset,
        write_time: place.past.write_time,
        generation: place.past.generation,
        epoch: place.past.epoch.unwrap_or(0),
        member: member.to_owned(),
        code: place.past.code,
    }
}

fn place(row: Row) -> Place {
    Place {
        partition: row.partition,
        offset: row.next,
        past: Past {
            topic: row.topic.map(Arc::from),
            generation: row.generation,
            write_time: row.write_time,
            epoch: Some(row.epoch),
            // What was read before is read again then.
            skip: None,
            code: row.code,
        },
    }
}
