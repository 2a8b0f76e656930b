//! The group's way back in the log: from where it would read again, and the commit that takes it there.
//!
//! It only goes back. Reading again is safe, because rows do not change by it; leaving messages out
//! that nobody has read is not, and an offset that the log lacks is refused with the numbers.

use std::collections::BTreeMap;
use std::time::Instant;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::ask::{Asker, CALL_MAX};
use super::meta::{Past, Skip};
use super::start::ASK_WAIT_MAX;
use super::{Config, group, meta, native, settle};
use crate::source::Error;

/// Where a group is to read again from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// The oldest message that the log has.
    Beginning,
    /// The first message of this time or later, in milliseconds since 1970.
    Since(i64),
    /// These offsets, by partition. The other partitions go on where they are.
    From(BTreeMap<i32, i64>),
}

/// Up to where a group reads again. Then it goes on where it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// All that it has read before.
    #[default]
    Now,
    /// The messages before the first one of this time or later, in milliseconds since 1970.
    Time(i64),
    /// Those before these offsets, by partition; in the other partitions all.
    Offsets(BTreeMap<i32, i64>),
}

/// A partition's way back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Which one.
    pub partition: i32,
    /// The first offset in its log.
    pub low: i64,
    /// The offset that the group would go on with.
    pub next: i64,
    /// The offset that it is to go on with.
    pub from: i64,
    /// The offset before which it reads again; then it goes on with `next`.
    pub to: i64,
    /// How many offsets lie between; not all of them need to be messages any more.
    pub messages: i64,
    /// Whether the group's offset was of another topic: this one was made anew, and nothing of it read.
    pub is_made_anew: bool,
    /// Whether write times go on from the last one; not so where another tool has moved the group.
    pub knows_write_time: bool,
    /// The offset committed, and what its commit tells; but of the topic that is there now.
    committed: i64,
    past: Past,
}

/// A group's way back, in all its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewind {
    /// The pipeline's generation so far; the next one is that of what is read again.
    pub generation: u32,
    /// One for each partition of the topic, in order.
    pub steps: Vec<Step>,
}

/// What a way back means for a group. Nothing is changed.
///
/// # Errors
/// When the brokers do not answer, the group has never committed, or what is asked for is not in the
/// log or ahead of the group.
pub fn rewind(config: &Config, again: &Again, until: &Until) -> Result<Rewind, Error> {
    plan_of(&ask(config)?, again, until)
}

/// Takes a group back, unless it went on since `rewind` was made. Kafka refuses it while the group has
/// members.
///
/// # Errors
/// As [`rewind`], or when Kafka refuses.
pub fn go_back(
    config: &Config,
    (again, until): (&Again, &Until),
    rewind: &Rewind,
) -> Result<(), Error> {
    let asker = ask(config)?;
    let group = &config.group;
    if plan_of(&asker, again, until)? != *rewind {
        let reason = format!("the group `{group}` or the log went on meanwhile; ask once more");
        return Err(Error::Rewind(reason));
    }
    let steps = rewind.steps.iter();
    let next = rewind.generation + 1;
    let each = steps.map(|step| {
        let metadata = meta::rewound(&step.past, step.committed, next);
        (step.partition, step.from, metadata)
    });
    let list = group::list(&config.topic, each);
    let answer = native::Commit::send(&asker.client, &list).and_then(|commit| {
        let timed_out = Err(RDKafkaErrorCode::OperationTimedOut);
        commit.poll(ASK_WAIT_MAX).unwrap_or(timed_out)
    });
    answer.map_err(|code| {
        if is_of_members(code) {
            return Error::Rewind(format!(
                "the group `{group}` has members, who would go on where they are; stop them first"
            ));
        }
        asker.topic().fail(KafkaError::ConsumerCommit(code))
    })
}

/// Whether a commit from without was refused because the group has members.
fn is_of_members(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::RebalanceInProgress
    )
}

fn ask(config: &Config) -> Result<Asker<'_>, Error> {
    let asker = Asker::new(config, Instant::now() + CALL_MAX)?;
    asker.reach()?;
    Ok(asker)
}

fn plan_of(asker: &Asker<'_>, again: &Again, until: &Until) -> Result<Rewind, Error> {
    let config = asker.config;
    let ends = asker.partitions()?;
    let partitions: Vec<i32> = ends.iter().map(|&(partition, ..)| partition).collect();
    let (_, id) = asker.topic().identified()?;
    let commits = asker.topic().commits(&partitions)?;
    if commits.iter().all(|(_, offset, _)| offset.is_none()) {
        return Err(Error::Rewind(format!(
            "the group `{}` has never committed on topic `{}`, so it begins where `run --start` says",
            config.group, config.topic
        )));
    }
    let found = match again {
        Again::Since(time) => asker.topic().offsets_at(*time, &partitions)?,
        Again::Beginning | Again::From(_) => BTreeMap::new(),
    };
    let found_end = match until {
        Until::Time(time) => asker.topic().offsets_at(*time, &partitions)?,
        Until::Now | Until::Offsets(_) => BTreeMap::new(),
    };
    let generation = settle::generation(&commits);
    let mut stands = Vec::with_capacity(ends.len());
    for ((partition, low, end), (_, offset, metadata)) in ends.into_iter().zip(commits) {
        let unreadable = |reason| Error::Metadata { partition, reason };
        let past = meta::read(&metadata).map_err(unreadable)?;
        let is_made_anew = past.is_of_other(id.as_deref());
        let topic = id.clone();
        stands.push(Stand {
            partition,
            low,
            end,
            next: match offset {
                // A way back that is not at its end gives way to this one.
                Some(offset) if !is_made_anew => offset.max(past.skip.map_or(0, |skip| skip.to)),
                // Nothing of this log was read.
                Some(_) => low,
                // A partition without a commit is a new one, and is read whole.
                None => 0,
            },
            is_made_anew,
            since: found.get(&partition).copied(),
            before: found_end.get(&partition).copied(),
            knows_write_time: offset.is_none() || !metadata.is_empty(),
            committed: offset.unwrap_or(0).max(past.skip.map_or(0, |skip| skip.to)),
            past: Past {
                topic,
                skip: None,
                ..past
            },
        });
    }
    match steps(stands, again, until) {
        Ok(steps) => Ok(Rewind { generation, steps }),
        Err(faults) => Err(Error::Rewind(format!(
            "topic `{}`, group `{}`:\n{}",
            config.topic,
            config.group,
            faults.join("\n")
        ))),
    }
}

/// A partition's log, and where the group stands in it.
struct Stand {
    partition: i32,
    low: i64,
    end: i64,
    next: i64,
    is_made_anew: bool,
    /// The first offset of the time asked for, or later.
    since: Option<i64>,
    /// The first offset of the time up to which is asked for, or later.
    before: Option<i64>,
    knows_write_time: bool,
    committed: i64,
    past: Past,
}

/// Each partition's way back, or all that is in the way.
fn steps(stands: Vec<Stand>, again: &Again, until: &Until) -> Result<Vec<Step>, Vec<String>> {
    let mut faults = missing(&stands, again, until);
    let mut steps = Vec::with_capacity(stands.len());
    for stand in stands {
        match from(&stand, again) {
            Ok(from) => steps.push(step(stand, from, until)),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        Ok(steps)
    } else {
        Err(faults)
    }
}

/// What is asked of partitions that the topic has not.
fn missing(stands: &[Stand], again: &Again, until: &Until) -> Vec<String> {
    let last = stands.len().saturating_sub(1);
    let is_there = |wanted| stands.iter().any(|stand| stand.partition == wanted);
    let from = match again {
        Again::From(offsets) => Some(offsets),
        Again::Beginning | Again::Since(_) => None,
    };
    let to = match until {
        Until::Offsets(offsets) => Some(offsets),
        Until::Now | Until::Time(_) => None,
    };
    let asked = from.into_iter().chain(to).flat_map(BTreeMap::keys);
    let missing = asked.filter(|&&wanted| !is_there(wanted));
    missing
        .map(|wanted| format!("there is no partition {wanted}; the last one is {last}"))
        .collect()
}

/// A partition's way back from a place. Where it would end before it begins, there is none.
fn step(stand: Stand, from: i64, until: &Until) -> Step {
    let reached = reached(&stand);
    let to = match until {
        Until::Now => reached,
        Until::Time(_) => stand.before.unwrap_or(stand.end),
        Until::Offsets(offsets) => offsets.get(&stand.partition).copied().unwrap_or(reached),
    }
    .min(reached);
    let is_none = to <= from && *until != Until::Now;
    let (from, to) = if is_none {
        (stand.next, stand.next)
    } else {
        (from, to)
    };
    let skip = (from < to && to < reached).then_some(Skip {
        from: to,
        to: reached,
    });
    Step {
        partition: stand.partition,
        low: stand.low,
        next: stand.next,
        from,
        to,
        messages: (to - from.max(stand.low)).max(0),
        is_made_anew: stand.is_made_anew,
        knows_write_time: stand.knows_write_time,
        committed: stand.committed,
        past: Past { skip, ..stand.past },
    }
}

/// How far a partition is read, in what its log holds now.
fn reached(stand: &Stand) -> i64 {
    stand.next.clamp(stand.low, stand.end)
}

fn from(stand: &Stand, again: &Again) -> Result<i64, String> {
    let Stand {
        partition,
        low,
        end,
        next,
        ..
    } = *stand;
    match again {
        Again::Beginning => Ok(low),
        // Where messages between were never read, a time alone is not enough of a word to leave them.
        Again::Since(_) if next < low || next > end => Err(format!(
            "partition {partition} would go on at {next}, and the log holds {low} to {end}: say where \
             with --from-offset {partition}={low}, or --from-beginning"
        )),
        Again::Since(_) => Ok(stand.since.unwrap_or(end).min(next)),
        Again::From(offsets) => {
            let Some(&wanted) = offsets.get(&partition) else {
                return Ok(next);
            };
            let reached = reached(stand);
            if wanted < low || wanted > end {
                Err(format!(
                    "partition {partition}: offset {wanted} is not in the log, which holds {low} to \
                     {end}; the furthest back is --from-offset {partition}={low}"
                ))
            } else if wanted > reached {
                Err(format!(
                    "partition {partition}: offset {wanted} is ahead of the group, which goes on at \
                     {reached}; messages that nobody has read would be left out"
                ))
            } else {
                Ok(wanted)
            }
        }
    }
}

#[cfg(test)]
mod tests;
