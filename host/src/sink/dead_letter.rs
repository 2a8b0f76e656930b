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
    fn start(&mut self, _: &Arc<Transformed>, _: &[Rejected]) {}

    fn poll(&mut self, _: Duration) -> Option<Result<(), Error>> {
        Some(Ok(()))
    }
}

/// The headers of a message, unpacked.
fn headers(packed: &[u8]) -> Vec<(String, Option<&[u8]>)> {
    let Some((count, mut rest)) = packed.split_first_chunk::<2>() else {
        return Vec::new();
    };
    let mut part = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            rest = after;
            return Some(None);
        };
        let (part, after) = after.split_at_checked(length)?;
        rest = after;
        Some(Some(part))
    };
    let mut header = || {
        let name = String::from_utf8_lossy(part()??).into_owned();
        Some((name, part()?))
    };
    (0..u16::from_be_bytes(*count))
        .map_while(|_| header())
        .collect()
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

    #[test]
    fn headers_are_unpacked() {
        let batch = rejected();
        let message = batch.batch.message(0);
        assert_eq!(
            headers(message.headers),
            [("a".into(), Some(&b"hi"[..])), ("b".into(), None)]
        );
        assert_eq!(headers(b""), []);
        assert_eq!(headers(b"\0\x01\0\0\0\x09a"), []);
    }
}
