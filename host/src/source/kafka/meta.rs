//! What travels with a group's offsets: the clock, and which code made the rows so far.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::message::WriteTime;

/// The format this version writes, and the newest it reads.
const FORMAT: u32 = 1;

/// By how much a generation is later than the one before, in microseconds.
const GENERATION: WriteTime = 1_000;

/// How long a topic's id is: 16 bytes as base64.
const TOPIC_ID_LENGTH: usize = 22;

/// The most bytes of it: Kafka's `offset.metadata.max.bytes` as it comes.
pub(super) const BYTES_MAX: usize = 4096;

/// Offsets that were read before, and that a group which reads again leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Skip {
    /// The first of them.
    pub from: i64,
    /// Where it goes on behind them.
    pub to: i64,
}

/// What a commit tells of the rows before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The id of the topic whose offset it is: a topic that is made anew has another. None, if the
    /// brokers give none, or the commit is of a version that did not ask.
    pub topic: Option<Arc<str>>,
    /// How many times the pipeline's rows were to be corrected by reading again.
    pub generation: u32,
    /// The greatest write time; none, if none is known.
    pub write_time: Option<WriteTime>,
    /// What makes rows about this progress newer than all of before the group last went back, in
    /// microseconds since 1970: those are written at this time and the offset. None, if not chosen yet.
    pub epoch: Option<i64>,
    /// What is left out further on, if the group reads again up to a place.
    pub skip: Option<Skip>,
    /// Which code made the rows; an empty one, if none has yet, or nobody knows.
    pub code: Arc<Code>,
}

/// Which code made the rows before a commit, as its metadata tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The same as ours.
    Ours,
    /// Another plugin, or other lookups.
    Other,
    /// None yet, or nobody knows: a new generation's first commit, or one by Kafka's own tools.
    Unknown,
}

/// Whose rows are before a commit.
pub(super) fn whose(past: &Past, ours: &Code) -> Whose {
    if *past.code == *ours {
        Whose::Ours
    } else if past.code.plugin.is_empty() {
        Whose::Unknown
    } else {
        Whose::Other
    }
}

impl Past {
    /// In a generation, which may be a later one: then all that is written from now on is later by the
    /// generation's millisecond, also where write times do not come from the messages' own.
    pub(super) fn in_generation(self, generation: u32) -> Self {
        let is_later = self.generation < generation;
        let later = |w: WriteTime| w.saturating_add(GENERATION);
        Self {
            generation,
            write_time: match self.write_time {
                before if is_later => Some(later(before.unwrap_or(0))),
                before => before,
            },
            ..self
        }
    }

    /// Taken back from an offset while nobody had the partition. How late the rows are that were taken
    /// back is not known then, but for those that were committed: what follows is later than now.
    pub(super) fn undone(self, next: i64) -> Self {
        let past = self.in_new_epoch(next);
        Self {
            write_time: past.write_time.max(Some(now())),
            ..past
        }
    }

    /// In a new epoch, which is later than all rows before it, up to that of an offset.
    pub(super) fn in_new_epoch(self, next: i64) -> Self {
        let before = self.epoch.map_or(0, |epoch| epoch.saturating_add(next));
        Self {
            epoch: Some(now().max(before.saturating_add(1))),
            ..self
        }
    }

    /// Whether its offset is of another topic than the one of this id. Without ids nobody can tell.
    pub(super) fn is_of_other(&self, topic: Option<&str>) -> bool {
        let both = self.topic.as_deref().zip(topic);
        both.is_some_and(|(its, topic)| its != topic)
    }
}

/// The present, in microseconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(0))
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Default, Deserialize, Serialize)]
struct Written {
    format: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(default)]
    generation: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    w: Option<WriteTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skip: Option<Skip>,
    #[serde(default)]
    plugin: String,
    #[serde(default)]
    lookups: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    whole: bool,
}

/// The metadata of one partition's commit.
pub(super) fn write(past: &Past) -> String {
    written(past, false)
}

/// The same, of a member that gives the partition away and has written nothing beyond.
pub(super) fn write_whole(past: &Past) -> String {
    written(past, true)
}

/// Whether a commit's member has written nothing beyond it. Whoever goes on from there must say otherwise.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    parse(bytes).is_ok_and(|written| written.whole)
}

fn written(past: &Past, whole: bool) -> String {
    let written = Written {
        format: FORMAT,
        topic: past.topic.as_deref().map(str::to_owned),
        generation: past.generation,
        w: past.write_time,
        epoch: past.epoch,
        skip: past.skip,
        plugin: past.code.plugin.clone(),
        lookups: past.code.lookups.clone(),
        whole,
    };
    serde_json::to_string(&written).expect("numbers and texts are always JSON")
}

/// The most bytes that the metadata of one partition's commit may come to.
pub(super) fn size_max(code: &Code) -> usize {
    let longest = Past {
        topic: Some("A".repeat(TOPIC_ID_LENGTH).into()),
        generation: u32::MAX,
        write_time: Some(WriteTime::MAX),
        epoch: Some(i64::MAX),
        skip: Some(Skip {
            from: i64::MAX,
            to: i64::MAX,
        }),
        code: Arc::new(code.clone()),
    };
    write_whole(&longest).len()
}

/// The metadata of a commit that takes a group back from an offset, into a new generation, in which no
/// code has made rows yet.
pub(super) fn rewound(past: &Past, offset: i64, generation: u32) -> String {
    let past = Past {
        code: Arc::default(),
        ..past.clone().in_new_epoch(offset)
    };
    write(&past.in_generation(generation))
}

/// Reads back what was written before, or says why it cannot. Empty metadata is what Kafka's own
/// tools leave when they move a group's offsets: nothing is known then.
pub(super) fn read(bytes: &[u8]) -> Result<Past, String> {
    let written = parse(bytes)?;
    Ok(Past {
        topic: written.topic.map(Arc::from),
        generation: written.generation,
        write_time: written.w,
        epoch: written.epoch,
        skip: written.skip,
        code: Arc::new(Code {
            plugin: written.plugin,
            lookups: written.lookups,
        }),
    })
}

fn parse(bytes: &[u8]) -> Result<Written, String> {
    if bytes.is_empty() {
        return Ok(Written::default());
    }
    let Ok(Format { format }) = serde_json::from_slice(bytes) else {
        return Err(
            "its metadata is not ours: another program uses this group; take another --group"
                .into(),
        );
    };
    if format > FORMAT {
        return Err(format!(
            "its metadata has format {format}, and this version reads up to {FORMAT}: a newer \
             version has worked for this group; use that one, or take another --group"
        ));
    }
    serde_json::from_slice(bytes).map_err(|error| format!("its metadata is damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Code {
        Code {
            plugin: "ab".repeat(32),
            lookups: [("songs".to_owned(), "cd".repeat(32))].into(),
        }
    }

    fn past(generation: u32, write_time: Option<WriteTime>) -> Past {
        Past {
            topic: Some("an id".into()),
            generation,
            write_time,
            epoch: Some(FUTURE),
            skip: Some(Skip { from: 40, to: 70 }),
            code: Arc::new(ours()),
        }
    }

    /// An epoch that is not now.
    const FUTURE: i64 = 99_000_000_000_000_000;

    #[test]
    fn what_was_written_before_comes_back() {
        for write_time in [None, Some(0), Some(1_772_467_200_000_123)] {
            let past = past(3, write_time);
            for (metadata, expected) in [(write(&past), false), (write_whole(&past), true)] {
                assert_eq!(is_whole(metadata.as_bytes()), expected, "{metadata}");
                assert_eq!(read(metadata.as_bytes()).as_ref(), Ok(&past));
            }
        }
    }

    #[test]
    fn a_new_generation_is_later_and_has_no_code_yet() {
        for (write_time, expected) in [(None, Some(1_000)), (Some(7), Some(1_007))] {
            let after = rewound(&past(3, write_time), 30, 5);
            let mut found = read(after.as_bytes()).unwrap();
            assert!(found.epoch.take() > Some(FUTURE + 30), "{after}");
            found.epoch = Some(FUTURE);
            assert_eq!(whose(&found, &ours()), Whose::Unknown);
            found.code = Arc::new(ours());
            assert_eq!(found, past(5, expected));
        }
        let found = read(rewound(&Past::default(), 30, 1).as_bytes()).unwrap();
        assert_eq!((found.generation, found.write_time), (1, Some(1_000)));
        assert!(found.epoch < Some(FUTURE), "it is now");
    }

    #[test]
    fn code_is_told_apart_by_its_digests() {
        let mut other_lookup = ours();
        other_lookup.lookups.insert("songs".into(), "ef".into());
        let other_plugin = Code {
            plugin: "ef".into(),
            ..ours()
        };
        for (code, expected) in [
            (ours(), Whose::Ours),
            (other_plugin, Whose::Other),
            (other_lookup, Whose::Other),
            (Code::default(), Whose::Unknown),
        ] {
            let code = Arc::new(code);
            let past = Past {
                code: code.clone(),
                ..past(0, None)
            };
            assert_eq!(whose(&past, &ours()), expected, "{code:?}");
        }
    }

    #[test]
    fn what_may_stand_in_a_commit() {
        type Case = (
            &'static [u8],
            Result<(u32, Option<WriteTime>), &'static str>,
        );
        let cases: &[Case] = &[
            (b"", Ok((0, None))),
            (br#"{"format":1}"#, Ok((0, None))),
            (br#"{"format":0,"w":7}"#, Ok((0, Some(7)))),
            (
                br#"{"format":1,"generation":2,"w":7,"later":{}}"#,
                Ok((2, Some(7))),
            ),
            (br#"{"format":2,"w":{}}"#, Err("newer version")),
            (br#"{"format":1,"w":"7"}"#, Err("damaged")),
            (b"AAAAAA==", Err("another program")),
            (b"\xff\xfe", Err("another program")),
        ];
        for (given, expected) in cases {
            match (read(given), expected) {
                (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
                (Ok(past), Ok(expected)) => {
                    assert_eq!((past.generation, past.write_time), *expected);
                }
                (found, expected) => panic!("{found:?} instead of {expected:?}"),
            }
        }
    }
}
