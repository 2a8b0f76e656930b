//! What other versions have begun with partitions that come to this host, after a crash in the middle of a
//! trade, or from a member that runs another version: each ends that itself, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{Args, kafka_config, notes, sink, stream, versions, worker_config};
use crate::archive::{self, Archive, ends_what_it_began};
use crate::config::{self, Found};
use crate::pipeline::{self, Plan};
use crate::sink::Requests;
use crate::source::kafka::{self, Tail};
use crate::telemetry::Board;
use crate::worker::{self, Control, Ends, Pause, Report};

/// What a tail is read by: the same as the pipeline's own messages, but for the version.
struct Reading {
    args: Args,
    found: Arc<Found>,
    archive: Arc<dyn Archive>,
    kafka: kafka::Config,
    requests: Arc<Requests>,
    board: Arc<Board>,
    stop: Arc<AtomicBool>,
    pause: Arc<Pause>,
}

/// Reads tails from now on, whenever one comes.
pub(super) fn tails(
    args: &Args,
    found: &Arc<Found>,
    archive: Arc<dyn Archive>,
    (requests, pause): (&Arc<Requests>, &Arc<Pause>),
    (stop, board): (&Arc<AtomicBool>, &Arc<Board>),
) -> Result<kafka::Tails, config::Error> {
    let reading = Arc::new(Reading {
        args: args.clone(),
        found: found.clone(),
        archive,
        kafka: kafka_config(args, found)?,
        requests: requests.clone(),
        board: board.clone(),
        stop: stop.clone(),
        pause: pause.clone(),
    });
    Ok(Arc::new(move |tail| {
        let reading = reading.clone();
        let end = thread::Builder::new().name("tail".into());
        if let Err(error) = end.spawn(move || reading.end(tail)) {
            tracing::warn!(%error, "what another version has begun is begun anew");
        }
    }))
}

impl Reading {
    fn end(&self, tail: Tail) {
        let tail = Arc::new(tail);
        let (plugin, offsets) = (&tail.code.plugin, tail.offsets());
        match self.read(&tail) {
            Ok(true) => tracing::info!(plugin, offsets, "another version has ended what it began"),
            Ok(false) => {}
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(
                    plugin,
                    offsets,
                    error,
                    "what another version has begun is begun anew"
                );
            }
        }
    }

    /// Lets the tail's version read it. Whether it did.
    fn read(&self, tail: &Arc<Tail>) -> anyhow::Result<bool> {
        let patiently = (&self.stop, &self.board);
        let ask = || self.archive.history(versions::HISTORY_MAX);
        let history = stream::patiently("sink", patiently, ask, archive::Error::is_transient)?;
        if !ends_what_it_began(&history, &tail.code, &tail.next) {
            return Ok(false);
        }
        let fetch = |digest: &str| {
            let ask = || self.archive.fetch(digest);
            stream::patiently("sink", patiently, ask, archive::Error::is_transient)
        };
        let Some(loaded) = versions::of_code(&self.found, &tail.code, &fetch)? else {
            return Ok(false);
        };
        let (args, found, kafka) = (&self.args, &self.found, self.kafka.clone());
        let (topic, version) = (super::topic(args, &kafka.topic), loaded.version);
        let letters = sink::letters(args, found, &topic)?;
        let worker = worker::Config {
            interval: None,
            notes: notes(args, found, version.plugin.digest()),
            // What cannot be ended is not waited for: the pipeline's own version goes on.
            ..worker_config(found, true)
        };
        let (name, its) = (&version.origin().version, &tail.code.plugin);
        let offsets = tail.offsets();
        tracing::info!(
            plugin = its,
            version = name,
            offsets,
            "another version ends what it began"
        );
        let source = tail.clone();
        let plan = Plan {
            topic,
            workers: 1,
            worker,
            version,
            source: Box::new(move || {
                Ok((Box::new(source.read(&kafka)?), Box::new(source.clone())))
            }),
            sink: sink::opener(&args.sink, found, letters, &self.requests)?,
            grace: args.grace,
        };
        let control = Control::new(Arc::default(), Ends::default());
        let control = Arc::new(control.with_pause(self.pause.clone()));
        pipeline::run(Arc::new(plan), &control, &mut |report| {
            if self.stop.load(Ordering::Relaxed) {
                control.stop();
            }
            if let Some(
                report @ (Report::Taken { .. } | Report::Done(_) | Report::Retries { .. }),
            ) = report
            {
                self.board.observe(report);
            }
        })?;
        Ok(true)
    }
}
