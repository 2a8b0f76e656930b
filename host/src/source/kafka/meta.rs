//! What travels with a group's offsets: the clock, and which code made the rows so far.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::message::WriteTime;

/// The format this version writes, and the newest it reads.
const FORMAT: u32 = 1;

/// The most bytes of it: Kafka's `offset.metadata.max.bytes` as it comes.
pub(super) const BYTES_MAX: usize = 4096;

/// Which code makes the rows: it travels in the metadata of every commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// How many times the pipeline's plugin or lookups were changed.
    pub generation: u32,
    /// The plugin's digest.
    pub plugin: String,
    /// The lookups' digests, by name.
    pub lookups: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Deserialize, Serialize)]
struct Written {
    format: u32,
    #[serde(default)]
    generation: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    w: Option<WriteTime>,
    #[serde(default)]
    plugin: String,
    #[serde(default)]
    lookups: BTreeMap<String, String>,
}

/// The metadata of one partition's commit.
pub(super) fn write(meta: &Meta, write_time: Option<WriteTime>) -> String {
    let written = Written {
        format: FORMAT,
        generation: meta.generation,
        w: write_time,
        plugin: meta.plugin.clone(),
        lookups: meta.lookups.clone(),
    };
    serde_json::to_string(&written).expect("numbers and texts are always JSON")
}

/// Reads the write time back, or says why it cannot. Empty metadata is what Kafka's own tools leave
/// when they move a group's offsets: there is no write time then.
pub(super) fn read(bytes: &[u8]) -> Result<Option<WriteTime>, String> {
    if bytes.is_empty() {
        return Ok(None);
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
    serde_json::from_slice(bytes)
        .map(|written: Written| written.w)
        .map_err(|error| format!("its metadata is damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_write_time_comes_back() {
        let meta = Meta {
            generation: 3,
            plugin: "ab".repeat(32),
            lookups: [("songs".to_owned(), "cd".repeat(32))].into(),
        };
        for write_time in [None, Some(0), Some(1_772_467_200_000_123)] {
            let written = write(&meta, write_time);
            assert_eq!(read(written.as_bytes()), Ok(write_time));
        }
    }

    #[test]
    fn what_may_stand_in_a_commit() {
        type Case = (&'static [u8], Result<Option<WriteTime>, &'static str>);
        let cases: &[Case] = &[
            (b"", Ok(None)),
            (br#"{"format":1}"#, Ok(None)),
            (br#"{"format":0,"w":7}"#, Ok(Some(7))),
            (br#"{"format":1,"w":7,"later":{}}"#, Ok(Some(7))),
            (br#"{"format":2,"w":{}}"#, Err("newer version")),
            (br#"{"format":1,"w":"7"}"#, Err("damaged")),
            (b"AAAAAA==", Err("another program")),
            (b"\xff\xfe", Err("another program")),
        ];
        for (given, expected) in cases {
            match (read(given), expected) {
                (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
                (found, expected) => assert_eq!(found, expected.map_err(str::to_owned)),
            }
        }
    }
}
