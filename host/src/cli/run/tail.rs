//! What a version has begun when a trade was cut off, by a crash: it ends that itself, before the one
//! that was traded for it goes on. Its rows that no commit covers yet may have keys that the other one
//! would not write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::pipeline::{self, Plan};
use crate::source::{self, kafka};
use crate::worker::{Control, Ends, Report};

/// How often the group's commits are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A version with what it has begun.
pub struct Tail {
    /// How it is read.
    pub plan: Arc<Plan>,
    /// Whose commits tell how far it is.
    pub config: kafka::Config,
}

/// Reads tails up to the log's end as it stands now, unless the process is told to stop, or other members
/// of the group have gone on with them. What cannot be read begins anew with the other version.
pub(super) fn end(tails: Vec<Tail>, stop: &AtomicBool, observe: &mut dyn FnMut(&Report)) {
    for Tail { plan, config } in tails {
        let plugin = config.code.plugin.clone();
        tracing::info!(
            plugin,
            "a trade was cut off: the version before ends what it has begun"
        );
        let told = |error: &dyn std::error::Error| {
            tracing::warn!(plugin, %error, "what the version before has begun is begun anew");
        };
        let ends = match ends(&config) {
            Ok(ends) => ends,
            Err(error) => {
                told(&error);
                continue;
            }
        };
        let control = Arc::new(Control::new(Arc::default(), Ends::default()));
        let mut looked = Instant::now();
        let ended = pipeline::run(plan, &control, &mut |report| {
            if looked.elapsed() >= LOOK_EVERY && !control.is_stopping() {
                looked = Instant::now();
                if stop.load(Ordering::Relaxed) || is_over(&config, &ends) {
                    control.stop();
                }
            }
            if let Some(report) = report {
                observe(report);
            }
        });
        if let Err(error) = ended {
            told(&error);
        }
    }
}

/// The offset after the last message of each partition.
fn ends(config: &kafka::Config) -> Result<BTreeMap<i32, i64>, source::Error> {
    let partitions = kafka::partitions(config)?.into_iter();
    Ok(partitions
        .map(|(partition, _, end)| (partition, end))
        .collect())
}

/// Whether all that is this version's is committed up to there.
fn is_over(config: &kafka::Config, ends: &BTreeMap<i32, i64>) -> bool {
    // Brokers that do not answer now may do so the next time.
    kafka::named(config).is_ok_and(|named| {
        named.iter().all(|named| {
            let end = ends.get(&named.partition);
            *named.code != config.code || end.is_none_or(|end| named.next >= *end)
        })
    })
}
