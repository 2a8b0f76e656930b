//! Stores of dead letters: a topic, a file, or none.
//!
//! A letter is the message as it came, with where it came from and why it was refused. Kept twice,
//! after a crash, it is still one letter: topic, partition and offset say which.

mod file;
mod topic;

use std::sync::Arc;
use std::time::Duration;

pub use file::File;
pub use topic::Topic;

use super::{Error, Letters};
use crate::row::{Rejected, Transformed};

/// Whose judgement it was.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Origin {
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its bytes.
    pub digest: String,
}

/// Keeps nothing: rejected messages are counted, as filtered ones are.
#[derive(Debug, Default)]
pub struct Off;

impl Letters for Off {
    fn judged_by(&mut self, _: &Origin) {}

    fn start(&mut self, _: &Arc<Transformed>, _: &[Rejected]) {}

    fn poll(&mut self, _: Duration) -> Option<Result<(), Error>> {
        Some(Ok(()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::message::{Batch, Message};
    use crate::row::Stage;

    /// A batch whose messages are all rejected: plain text, other bytes, and a tombstone.
    pub(crate) fn rejected() -> Arc<Transformed> {
        let mut batch = Batch::new("plays".into());
        let headers = b"\0\x02\0\0\0\x01a\0\0\0\x02hi\0\0\0\x01b\xff\xff\xff\xff";
        let messages = [
            (5, Some(&b"ada"[..]), Some(&b"not JSON"[..]), &headers[..]),
            (6, None, Some(&b"\xff\0"[..]), &b""[..]),
            (9, Some(&b"\xfe"[..]), None, &b""[..]),
        ];
        for (offset, key, value, headers) in messages {
            batch.push(&Message {
                partition: 3,
                offset,
                timestamp: 1_000,
                key,
                value,
                headers,
            });
        }
        batch.stamp(|_, timestamp| Some(timestamp * 1_000));
        let letter = |message: usize| Rejected {
            message,
            stage: Stage::Decode,
            code: "bad_json".into(),
            reason: format!("message {message}\nis bad"),
        };
        Arc::new(Transformed {
            batch,
            rows: vec![],
            written: 0,
            rejected: (0..3).map(letter).collect(),
            filtered: vec![],
        })
    }

    pub(crate) fn origin() -> Origin {
        Origin {
            name: "spotify".into(),
            version: "0.1.0".into(),
            digest: "ab12".into(),
        }
    }
}
