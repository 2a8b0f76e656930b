//! What a member has: what is its own, how far that is written, and what the broker knows of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::group::Consumer;
use super::meta::Past;
use super::native;
use crate::code::Code;
use crate::message::{Span, WriteTime};
use crate::source::Change;

/// What the hooks share with the source and the committer.
#[derive(Default)]
pub(super) struct State {
    /// What makes our rows.
    pub(super) code: Arc<Code>,
    /// Given to us, and not read yet: their starts are not resolved.
    pub(super) pending: BTreeSet<i32>,
    /// What we read.
    pub(super) owned: BTreeMap<i32, Progress>,
    /// What the worker has not been told yet.
    pub(super) changes: Vec<Change>,
    /// The pipeline's: how many times its rows were to be corrected.
    pub(super) generation: u32,
    /// Whether some broker was connected when librdkafka last counted.
    pub(super) is_connected: bool,
    /// What the broker has acknowledged and nobody has asked for yet: the last of each partition.
    pub(super) acknowledged: BTreeMap<i32, Place>,
    /// Code that was taken back, and where it began with each partition: nobody may have owned one then.
    undone: Option<(Arc<Code>, BTreeMap<i32, i64>)>,
    /// Where we began with a partition, if it was in a generation that was new for it.
    pub(super) begun: BTreeMap<i32, Place>,
    /// Given to us, and read first by the code that their commits name: it ends what it has begun.
    pub(super) tails: BTreeMap<i32, Tailed>,
    /// How many there have been that read such.
    tails_begun: u64,
    /// The next offset to take of each partition that is read by us, as the source told last.
    taken: BTreeMap<i32, i64>,
    /// How far that was read, of those that are pending again.
    pub(super) ended: BTreeMap<i32, Place>,
    pub(super) in_flight: Option<InFlight>,
    /// Whether the group is being left.
    pub(super) leave: Leave,
}

/// How far a member is with leaving its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Leave {
    /// It stays.
    #[default]
    No,
    /// librdkafka is told to leave, or will be now.
    Begun,
    /// It has heard that all partitions are given up.
    Answered,
}

/// How far a partition is.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// The next offset to write: all before it is durable.
    pub(super) written: i64,
    /// The write time of the last message before it, and what else a commit tells.
    pub(super) past: Past,
    /// The offset that the broker has acknowledged.
    pub(super) committed: Option<i64>,
    /// Whether the broker has yet to hear of other code, or of a way back, in this generation.
    pub(super) news: Option<u32>,
}

/// A partition that other code than ours reads.
pub(super) struct Tailed {
    /// Who reads it: there may have been another one, before it was given to us again.
    pub(super) tail: u64,
    /// How far that is.
    pub(super) progress: Progress,
}

/// A commit that has not been answered.
pub(super) struct InFlight {
    pub(super) commit: native::Commit<Arc<Consumer>>,
    pub(super) places: Vec<Place>,
}

/// An offset of a partition, with what a commit of it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which partition.
    pub partition: i32,
    /// The next offset.
    pub offset: i64,
    /// What else a commit tells.
    pub past: Past,
}

impl Progress {
    /// At the beginning of what is read of a place on.
    pub(super) fn at(place: Place) -> Self {
        Self {
            written: place.offset,
            past: place.past,
            committed: Some(place.offset),
            news: None,
        }
    }

    /// Whether it is written further than the broker knows, or in a way that it does not know.
    fn is_due(&self) -> bool {
        self.committed != Some(self.written) || self.news.is_some()
    }

    /// What a commit tells of it, in this generation.
    fn place(&self, partition: i32, generation: u32) -> Place {
        Place {
            partition,
            offset: self.written,
            past: Past {
                generation,
                skip: self.past.skip.filter(|skip| self.written < skip.to),
                ..self.past.clone()
            },
        }
    }

    /// Notes that a span is durable.
    ///
    /// # Panics
    /// If messages before it would be skipped.
    pub(super) fn record(&mut self, span: Span, write_time: Option<WriteTime>) {
        assert!(
            span.start <= self.written,
            "{span:?} does not follow on {}",
            self.written
        );
        self.written = self.written.max(span.end);
        self.past.write_time = self.past.write_time.max(write_time);
    }
}

impl State {
    /// Of a member that was given nothing yet.
    pub(super) fn of(code: &Code) -> Self {
        Self {
            code: Arc::new(code.clone()),
            ..Self::default()
        }
    }

    /// What is written further than the broker knows.
    pub(super) fn due(&self) -> Vec<Place> {
        let due = self.read().filter(|(_, progress)| progress.is_due());
        due.map(|(partition, progress)| self.place(partition, progress))
            .collect()
    }

    /// Notes the next offset to take of each partition.
    pub(super) fn note_taken(&mut self, positions: &BTreeMap<i32, i64>) {
        self.taken.clone_from(positions);
    }

    /// What is to be committed of partitions that are given away; and whether nothing is written beyond it.
    pub(super) fn leaving(&self, partitions: &BTreeSet<i32>) -> Vec<(Place, bool)> {
        let given_away = self
            .read()
            .filter(|(partition, _)| partitions.contains(partition));
        let leaving = given_away.filter_map(|(partition, progress)| {
            let is_whole = self.is_whole(partition);
            (is_whole || progress.is_due()).then(|| (self.place(partition, progress), is_whole))
        });
        leaving.collect()
    }

    /// Whether nothing of a partition is written beyond what a commit of it would tell.
    fn is_whole(&self, partition: i32) -> bool {
        // On the way back, rows lie beyond that are still to be deleted.
        let undone = self.undone.as_ref();
        let is_going_back = undone.is_some_and(|(undone, _)| *undone == self.code);
        let written = self.owned.get(&partition).map(|progress| progress.written);
        !is_going_back && written.is_some() && written.as_ref() == self.taken.get(&partition)
    }

    /// What a commit tells of a partition: of one that other code reads, what that one has made.
    fn place(&self, partition: i32, progress: &Progress) -> Place {
        let is_tail = self.tails.contains_key(&partition);
        let its = progress.past.generation;
        progress.place(partition, if is_tail { its } else { self.generation })
    }

    /// What is read, by our code or other.
    pub(super) fn read(&self) -> impl Iterator<Item = (i32, &Progress)> {
        let owned = self.owned.iter();
        let tails = self.tails.iter();
        let tails = tails.map(|(partition, tailed)| (partition, &tailed.progress));
        owned
            .chain(tails)
            .map(|(&partition, progress)| (partition, progress))
    }

    /// Lets partitions be read by other code first; the number of who reads them.
    pub(super) fn begin_tail<'a>(&mut self, places: impl Iterator<Item = &'a Place>) -> u64 {
        self.tails_begun += 1;
        let tail = self.tails_begun;
        for place in places {
            let progress = Progress::at(place.clone());
            self.pending.remove(&place.partition);
            let tailed = Tailed { tail, progress };
            self.tails.insert(place.partition, tailed);
        }
        tail
    }

    /// Reads a partition from a place on.
    pub(super) fn own(&mut self, from: Place) {
        self.changes.push(Change::Assigned {
            partition: from.partition,
            start: from.offset,
            generation: from.past.generation,
            write_time: from.past.write_time,
        });
        self.owned.insert(from.partition, Progress::at(from));
    }

    /// Gives up a partition, whoever reads it.
    pub(super) fn release(&mut self, partition: i32) {
        self.pending.remove(&partition);
        self.ended.remove(&partition);
        let is_tail = self.tails.remove(&partition).is_some();
        if self.owned.remove(&partition).is_some() || is_tail {
            self.changes.push(Change::Released { partition });
        }
    }

    /// Whoever read them first reads no more: what is still ours is read by our own code.
    pub(super) fn end_tail(&mut self, number: u64) {
        let ended = self.tails.extract_if(.., |_, tailed| tailed.tail == number);
        for (partition, Tailed { progress, .. }) in ended {
            let place = progress.place(partition, progress.past.generation);
            self.pending.insert(partition);
            self.ended.insert(partition, place);
        }
    }

    /// Whether this is code that was taken back, and not what runs.
    pub(super) fn is_undone(&self, code: &Code) -> bool {
        let undone = self.undone.as_ref();
        undone.is_some_and(|(undone, _)| **undone == *code) && *self.code != *code
    }

    /// Where a partition is to be read from whose commit names an offset and code: further back, if that
    /// code was taken back while nobody had the partition.
    pub(super) fn start(&self, partition: i32, offset: i64, code: &Code) -> i64 {
        let undone = self.undone.as_ref().filter(|_| self.is_undone(code));
        let from = undone.and_then(|(_, from)| from.get(&partition));
        from.map_or(offset, |from| offset.min(*from))
    }

    /// Begins a generation with other code.
    pub(super) fn trade(&mut self, code: &Arc<Code>, generation: u32) {
        self.code = code.clone();
        for (&partition, progress) in &mut self.owned {
            progress.past = Past {
                code: code.clone(),
                ..progress.past.clone().in_generation(generation)
            };
            progress.news = Some(generation);
            let place = Place {
                partition,
                offset: progress.written,
                past: progress.past.clone(),
            };
            self.begun.insert(partition, place);
        }
        self.generation = generation;
    }

    /// Goes back to these offsets, in a later generation; and later to those of `late`.
    pub(super) fn rewind(
        &mut self,
        to: &BTreeMap<i32, i64>,
        generation: u32,
        late: &BTreeMap<i32, i64>,
    ) {
        self.undone = Some((self.code.clone(), late.clone()));
        for (partition, &offset) in to {
            if let Some(progress) = self.owned.get_mut(partition) {
                let past = progress.past.clone().in_new_epoch(progress.written);
                progress.past = past.in_generation(generation);
                progress.news = Some(generation);
                progress.written = offset;
            }
        }
        self.generation = generation;
    }

    /// Notes what the broker has acknowledged.
    pub(super) fn acknowledge(&mut self, places: Vec<Place>) {
        for place in places {
            let owned = self.owned.get_mut(&place.partition);
            let tails = self.tails.get_mut(&place.partition);
            if let Some(progress) = owned.or(tails.map(|tailed| &mut tailed.progress)) {
                if progress
                    .news
                    .is_some_and(|generation| place.past.generation >= generation)
                {
                    progress.news = None;
                    progress.committed = Some(place.offset);
                } else {
                    progress.committed = progress.committed.max(Some(place.offset));
                }
            }
            self.acknowledged.insert(place.partition, place);
        }
    }
}

#[cfg(test)]
mod tests;
