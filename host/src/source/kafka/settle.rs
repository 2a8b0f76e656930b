//! Where the partitions are read from that a member was given: the group's commits, or for a group's
//! first start what the user asked for. Nothing is read before all starts of the topic are committed,
//! so that a partition without a commit is known to be new.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::consumer::{Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::group::Consumer;
use super::meta::{self, Past, Whose};
use super::start::{ASK_WAIT_MAX, Commit, Start, Topic};
use super::state::Place;
use super::{Kept, native};
use crate::code::Code;
use crate::source::Error;

/// What becomes of partitions that were assigned.
pub(super) enum Settled {
    /// This is the group's first start, and the member that owns the first partition commits the
    /// starts of all: two that did would undo each other's commits.
    Waiting,
    /// What there is to do with each.
    Ready(Ready),
}

/// What there is to do with partitions.
#[derive(Default)]
pub(super) struct Ready {
    /// They are read from there.
    pub(super) places: Vec<Place>,
    /// Their commits cannot be read, or are of another topic.
    pub(super) refused: Vec<Error>,
    /// Other code may have begun with them what it did not commit: up to these offsets, where the log ends.
    pub(super) tails: Vec<(Place, i64)>,
}

/// Finds where the pending partitions start, and commits what had no commit before. Without a word
/// where to `start`, a group begins with the oldest message, and one whose topic was made anew stops.
/// Whether it `has_tails` says whether other code can be asked to end what it has begun.
pub(super) fn settle(
    consumer: &Consumer,
    brokers: &str,
    (start, kept, has_tails): (Option<Start>, Option<&Kept>, bool),
    pending: &BTreeSet<i32>,
) -> Result<Settled, Error> {
    let topic = Topic {
        client: consumer,
        brokers,
        topic: &consumer.context().topic,
        wait: ASK_WAIT_MAX,
    };
    let (partitions, id) = topic.identified()?;
    let mut commits = topic.commits(&partitions)?;
    let state = consumer.context().state();
    // What has no partition at the moment trades, too, and no commit tells.
    let (code, met) = (state.code.clone(), state.generation);
    drop(state);
    let fresh = Past {
        topic: id,
        generation: generation(&commits).max(met),
        code,
        ..Past::default()
    }
    .in_new_epoch(0);
    if commits.iter().all(|(_, offset, _)| offset.is_none()) {
        let first = partitions.first();
        if !first.is_some_and(|first| pending.contains(first)) {
            return Ok(Settled::Waiting);
        }
        let rows = kept.map_or_else(|| Ok(Vec::new()), |kept| ask(&topic, kept))?;
        let (mut places, mut refused) = if rows.is_empty() {
            let starts = topic.resolve(start.unwrap_or_default(), &partitions)?;
            let places = begin(starts, |_| fresh.clone());
            commit(consumer, &topic, &places)?;
            (places, Vec::new())
        } else {
            let commits = commits_of(rows, &partitions);
            let fresh = Past {
                // Nobody knows who has written since the rows were kept.
                generation: generation(&commits) + 1,
                ..fresh
            };
            go_on(consumer, &topic, start, &fresh, commits)?
        };
        places.retain(|place| pending.contains(&place.partition));
        refused.retain(|error| error.partition().is_none_or(|of| pending.contains(&of)));
        return Ok(Settled::Ready(Ready {
            places,
            refused,
            tails: Vec::new(),
        }));
    }
    commits.retain(|(partition, ..)| pending.contains(partition));
    let tails = if has_tails {
        tails(consumer, &topic, &fresh, &mut commits)?
    } else {
        Vec::new()
    };
    let fresh = Past {
        generation: ours(&commits, &fresh.code, fresh.generation),
        ..fresh
    };
    let (places, refused) = go_on(consumer, &topic, start, &fresh, commits)?;
    Ok(Settled::Ready(Ready {
        places,
        refused,
        tails,
    }))
}

/// Takes out what other code reads first; and where it has done so, that counts as committed.
fn tails(
    consumer: &Consumer,
    topic: &Topic<'_, super::group::Group>,
    fresh: &Past,
    commits: &mut Vec<Commit>,
) -> Result<Vec<(Place, i64)>, Error> {
    let (mut rest, mut tails) = (Vec::new(), Vec::new());
    for (partition, offset, metadata) in std::mem::take(commits) {
        let state = consumer.context().state();
        if let Some(ended) = state.ended.get(&partition) {
            let metadata = meta::write(&ended.past).into_bytes();
            rest.push((partition, Some(ended.offset), metadata));
            continue;
        }
        let past = meta::read(&metadata).ok().filter(|past| {
            meta::whose(past, &fresh.code) == Whose::Other
                && !meta::is_whole(&metadata)
                && !past.is_of_other(fresh.topic.as_deref())
                && !state.is_undone(&past.code)
        });
        drop(state);
        if let (Some(offset), Some(past)) = (offset, past) {
            let (low, end) = topic.ends(partition)?;
            if (low..end).contains(&offset) {
                // It may have met that generation with another partition, and written in it here, too.
                let past = past.in_generation(fresh.generation);
                let place = Place {
                    partition,
                    offset,
                    past,
                };
                tails.push((place, end));
                continue;
            }
        }
        rest.push((partition, offset, metadata));
    }
    *commits = rest;
    Ok(tails)
}

/// What is kept of the group beside its commits.
fn ask<C: ConsumerContext>(topic: &Topic<'_, C>, kept: &Kept) -> Result<Vec<Place>, Error> {
    let Some(cluster) = topic.client.client().fetch_cluster_id(topic.wait) else {
        return Ok(Vec::new());
    };
    let rows = kept(&cluster).map_err(Error::Kept)?;
    if !rows.is_empty() {
        let partitions = rows.len();
        tracing::warn!(
            topic = topic.topic,
            partitions,
            "Kafka has no offsets of the group any more: it goes on from sluice.checkpoints"
        );
    }
    Ok(rows)
}

/// What is kept, as the commits that are gone.
fn commits_of(rows: Vec<Place>, partitions: &[i32]) -> Vec<Commit> {
    let rows: BTreeMap<i32, Place> = rows.into_iter().map(|row| (row.partition, row)).collect();
    let commits = partitions
        .iter()
        .map(|partition| match rows.get(partition) {
            Some(row) => {
                let metadata = meta::write(&row.past);
                (*partition, Some(row.offset), metadata.into_bytes())
            }
            None => (*partition, None, Vec::new()),
        });
    commits.collect()
}

/// Where partitions of a group go on that has worked before.
fn go_on(
    consumer: &Consumer,
    topic: &Topic<'_, super::group::Group>,
    start: Option<Start>,
    fresh: &Past,
    commits: Vec<Commit>,
) -> Result<(Vec<Place>, Vec<Error>), Error> {
    let (mut ready, mut refused) = (Vec::new(), Vec::new());
    let (mut new, mut others) = (BTreeMap::new(), BTreeMap::new());
    let mut begun = Vec::new();
    for (partition, offset, metadata) in commits {
        let Some(offset) = offset else {
            // The topic was given more partitions: they are read whole.
            new.insert(partition, 0);
            continue;
        };
        match meta::read(&metadata) {
            Err(reason) => refused.push(Error::Metadata { partition, reason }),
            Ok(past) if past.is_of_other(fresh.topic.as_deref()) => {
                others.insert(partition, (offset, past));
            }
            Ok(past) => {
                let is_same = past.generation == fresh.generation
                    && meta::whose(&past, &fresh.code) == Whose::Ours
                    && !meta::is_whole(&metadata);
                let state = consumer.context().state();
                let start = state.start(partition, offset, &past.code);
                drop(state);
                let past = if start < offset {
                    past.undone(offset)
                } else {
                    past
                };
                let offset = start;
                let past = Past {
                    topic: fresh.topic.clone(),
                    code: fresh.code.clone(),
                    epoch: past.epoch.or(fresh.epoch),
                    ..past.in_generation(fresh.generation)
                };
                // Whose rows they are is committed before the first: who comes after a crash knows
                // what it has to beat.
                let places = if is_same { &mut ready } else { &mut begun };
                places.push(Place {
                    partition,
                    offset,
                    past,
                });
            }
        }
    }
    begun.extend(begin(new, |_| fresh.clone()));
    match start {
        Some(start) if !others.is_empty() => {
            let partitions: Vec<i32> = others.keys().copied().collect();
            let starts = topic.resolve(start, &partitions)?;
            // Rows of the topic before may be there still, and these must win.
            begun.extend(begin(starts, |partition| {
                let before = others.get(&partition).cloned().unwrap_or_default();
                Past {
                    topic: fresh.topic.clone(),
                    generation: fresh.generation,
                    code: fresh.code.clone(),
                    ..before.1.in_new_epoch(before.0)
                }
            }));
        }
        Some(_) | None => {
            for (partition, (wanted, _)) in others {
                refused.push(topic.made_anew(partition, wanted)?);
            }
        }
    }
    if !begun.is_empty() {
        commit(consumer, topic, &begun)?;
    }
    ready.append(&mut begun);
    Ok((ready, refused))
}

fn begin(starts: BTreeMap<i32, i64>, past: impl Fn(i32) -> Past) -> Vec<Place> {
    let starts = starts.into_iter();
    starts
        .map(|(partition, offset)| Place {
            partition,
            offset,
            past: past(partition),
        })
        .collect()
}

/// The pipeline's generation: the greatest that a partition's commit has. A new partition has none, nor
/// has one that was moved by Kafka's own tools, and with a lesser one their rows would lose against
/// those that a replay corrects. What cannot be read stops its partition, and says nothing here.
pub(super) fn generation(commits: &[Commit]) -> u32 {
    let pasts = commits
        .iter()
        .filter_map(|(.., metadata)| meta::read(metadata).ok());
    pasts.map(|past| past.generation).max().unwrap_or(0)
}

/// The generation that we write in: the next one, where another plugin or other lookups have written in
/// the greatest. What they wrote and did not commit is read again, and our rows must win.
fn ours(commits: &[Commit], code: &Code, greatest: u32) -> u32 {
    let is_other = |metadata: &[u8]| {
        let past = meta::read(metadata);
        past.is_ok_and(|past| {
            past.generation == greatest && meta::whose(&past, code) == Whose::Other
        })
    };
    let is_next = commits.iter().any(|(.., metadata)| is_other(metadata));
    greatest + u32::from(is_next)
}

fn commit<C: ConsumerContext>(
    consumer: &Consumer,
    topic: &Topic<'_, C>,
    places: &[Place],
) -> Result<(), Error> {
    let list = consumer.context().list(places);
    let answer = native::Commit::send(consumer, &list).and_then(|commit| {
        let timed_out = Err(RDKafkaErrorCode::OperationTimedOut);
        commit.poll(ASK_WAIT_MAX).unwrap_or(timed_out)
    });
    answer.map_err(|code| topic.fail(KafkaError::ConsumerCommit(code)))?;
    let mut state = consumer.context().state();
    let begun = places.iter().map(|place| (place.partition, place.clone()));
    state.begun.extend(begun);
    state.acknowledge(places.to_vec());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_has_the_greatest_generation_of_its_commits() {
        let cases: [(&[&[u8]], u32); 4] = [
            (&[], 0),
            (&[b"", b""], 0),
            (&[br#"{"format":1,"generation":2}"#, b""], 2),
            (
                &[
                    br#"{"format":1,"generation":2}"#,
                    br#"{"format":1,"generation":4}"#,
                    b"not ours",
                ],
                4,
            ),
        ];
        for (metadata, expected) in cases {
            let commits: Vec<Commit> = (0..)
                .zip(metadata)
                .map(|(partition, metadata)| (partition, Some(0), metadata.to_vec()))
                .collect();
            assert_eq!(generation(&commits), expected);
        }
    }
}
