//! A batch as Spark tells of one: the keys of `StreamingQueryProgress`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::message::Span;
use crate::worker::Done;

/// One run of a pipeline, as it is told apart from others.
#[derive(Clone, Debug)]
pub struct Run {
    /// What names the pipeline across restarts: the consumer group.
    pub id: String,
    /// What names this start of it.
    pub run: String,
    /// The topic, or the file taken for one.
    pub topic: Arc<str>,
}

impl Run {
    /// A run that begins now.
    pub fn new(id: &str, topic: Arc<str>) -> Self {
        let (id, run) = (id.to_owned(), uuid::Uuid::new_v4().to_string());
        Self { id, run, topic }
    }

    /// What there is to tell of a batch, the one with this number from 0, durable since `at`.
    pub(super) fn batch(&self, number: u64, at: Timestamp, done: &Done) -> Value {
        let offsets = |offset: &dyn Fn(&Span) -> i64| -> Value {
            let spans = done.spans.iter();
            let each = spans.map(|span| (span.partition.to_string(), offset(span)));
            json!({ &*self.topic: each.collect::<BTreeMap<_, _>>() })
        };
        let filtered = done.filtered.iter();
        let filtered = filtered.map(|(code, messages)| (&**code, *messages));
        let [fetch, transform, write, checkpoint] = done.phases;
        let work = transform + write + checkpoint;
        let whole = fetch + work;
        let millis = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        let input = done.messages;
        json!({
            "id": self.id,
            "runId": self.run,
            "name": &*self.topic,
            "timestamp": at.to_string(),
            "batchId": number,
            "numInputRows": input,
            "inputRowsPerSecond": rate(input as u64, whole),
            "processedRowsPerSecond": rate(input as u64, work),
            "durationMs": {
                "fetch": millis(fetch),
                "transform": millis(transform),
                "write": millis(write),
                "checkpoint": millis(checkpoint),
                "triggerExecution": millis(whole),
            },
            "sources": [{
                "description": &*self.topic,
                "startOffset": offsets(&|span| span.start),
                "endOffset": offsets(&|span| span.end),
                "numInputRows": input,
            }],
            "sink": {
                "numOutputRows": done.rows.values().sum::<usize>(),
                "deadLetters": done.dead_letters(),
                "filtered": filtered.collect::<BTreeMap<_, _>>(),
            },
        })
    }
}

/// Messages a second, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and rates are never negative"
)]
pub(super) fn rate(messages: u64, time: Duration) -> u64 {
    (messages as f64 / time.as_secs_f64().max(1e-6)).round() as u64
}
