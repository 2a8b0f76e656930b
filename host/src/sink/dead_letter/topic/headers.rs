//! The headers of a letter.

use rdkafka::message::{Header, OwnedHeaders};

use crate::message::headers;
use crate::row::{Rejected, Transformed};
use crate::sink::dead_letter::Origin;

/// The header that counts how often a message was tried; a letter sent back into the topic has it.
const ATTEMPT: &str = "sluice.attempt";

/// The message's own headers, and after them the letter's.
pub(super) fn of(batch: &Transformed, letter: &Rejected, origin: &Origin) -> OwnedHeaders {
    let message = batch.batch.message(letter.message);
    let mut attempts = 1;
    let mut all = OwnedHeaders::new();
    for (name, value) in headers(message.headers) {
        if name == ATTEMPT {
            let before = value.and_then(|value| str::from_utf8(value).ok()?.parse::<u32>().ok());
            attempts = before.unwrap_or(0).saturating_add(1);
        } else {
            all = all.insert(Header { key: &name, value });
        }
    }
    let write_time = batch
        .batch
        .write_time(letter.message)
        .map(|time| time.to_string());
    let reason = letter.reason.as_str();
    let own = [
        (
            "__connect.errors.topic",
            Some(batch.batch.topic().to_string()),
        ),
        (
            "__connect.errors.partition",
            Some(message.partition.to_string()),
        ),
        ("__connect.errors.offset", Some(message.offset.to_string())),
        ("__connect.errors.connector.name", Some(origin.name.clone())),
        (
            "__connect.errors.stage",
            Some(letter.stage.name().to_owned()),
        ),
        (
            "__connect.errors.exception.class.name",
            Some(letter.code.to_string()),
        ),
        (
            "__connect.errors.exception.message",
            Some(reason.to_owned()),
        ),
        ("sluice.plugin.version", Some(origin.version.clone())),
        ("sluice.plugin.digest", Some(origin.digest.clone())),
        ("sluice.write_time", write_time),
        (ATTEMPT, Some(attempts.to_string())),
    ];
    for (key, value) in &own {
        all = all.insert(Header {
            key,
            value: value.as_deref(),
        });
    }
    all
}
