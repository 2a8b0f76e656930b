//! The plans of versions that end what they have begun, before the pipeline's own goes on.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::{Args, sink, stream};
use crate::cli::run::tail::Tail;
use crate::config::Found;
use crate::pipeline::Plan;
use crate::source::kafka;
use crate::version::Version;
use crate::worker::{self, Ends};

/// A plan like the pipeline's own for each version; `kafka` is how its topic is read.
pub(super) fn tails(
    versions: Vec<Version>,
    (like, kafka): (&Plan, &kafka::Config),
    (args, found): (&Args, &Found),
    in_flight: &Arc<AtomicUsize>,
) -> anyhow::Result<Vec<Tail>> {
    let tail = |version: Version| {
        let config = kafka::Config {
            code: version.code(),
            is_tail: true,
            // What is no message at the end is read over, too.
            once: true,
            ..kafka.clone()
        };
        let reached = (Ends::default(), like.workers);
        let letters = sink::letters(args, found, &like.topic)?;
        let plan = Arc::new(Plan {
            topic: like.topic.clone(),
            workers: like.workers,
            worker: worker::Config {
                // What is tried on a candidate is what the pipeline's own version did.
                recent: None,
                ..like.worker.clone()
            },
            source: stream::topic(config.clone(), None, reached)?.source,
            sink: sink::opener(&args.sink, found, letters, in_flight)?,
            version,
            grace: like.grace,
        });
        Ok(Tail { plan, config })
    };
    versions.into_iter().map(tail).collect()
}
