//! N workers of one pipeline: their beginning and their end.
//!
//! A worker is a thread that opens its own source and sink. Everything here is about beginning and
//! ending; what happens to a message is the worker's business.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::checkpoint::Checkpoint;
use crate::retry::Backoff;
use crate::row::Key;
use crate::sink::{self, dead_letter::Origin};
use crate::source::{self, Source};
use crate::version::Version;
use crate::worker::{self, Control, Ended, Error, Fitted, Report, Reports, Rooms, Stalls, Worker};

/// A source with the checkpoint that commits through it.
pub type Opened = (Box<dyn Source>, Box<dyn Checkpoint>);

/// Opens a sink, with a store of letters beside it that are of some version's judgement.
pub type SinkOpener = Box<dyn Fn(Origin) -> Result<sink::Room, sink::Error> + Send + Sync>;

/// What a pipeline is made of.
pub struct Plan {
    /// The topic's name, or the file's.
    pub topic: Arc<str>,
    /// How many workers there are.
    pub workers: usize,
    /// How each goes about its batches.
    pub worker: worker::Config,
    /// What all of them run, each its own instance.
    pub version: Version,
    /// Opens a worker's source.
    pub source: Box<dyn Fn() -> Result<Opened, source::Error> + Send + Sync>,
    /// Opens a worker's sink.
    pub sink: SinkOpener,
    /// How long workers may take to drain once told to stop.
    pub grace: Duration,
}

/// Reports that wait to be read before a worker waits for their reader.
const REPORTS_MAX: usize = 1_024;
/// How often the grace period and the workers' ends are looked at.
const TICK: Duration = Duration::from_millis(50);

/// Runs the workers until all have ended. `observe` sees every report, and `None` now and then.
///
/// # Errors
/// The first error of a worker; the others are drained.
pub fn run(
    plan: Arc<Plan>,
    control: &Arc<Control>,
    observe: &mut dyn FnMut(Option<&Report>),
) -> Result<Ended, Error> {
    let grace = plan.grace;
    let (reports, received) = sync_channel(REPORTS_MAX);
    let spawn = |index| {
        let (plan, control, reports) = (plan.clone(), control.clone(), reports.clone());
        // Nobody listens any more only when the process is about to end.
        let reports = Reports::new(index, move |report| drop(reports.send(report)));
        let life = move || {
            let ended = live(&plan, &control, reports);
            // One worker that cannot go on ends the process, which says why and exits.
            if ended.is_err() {
                control.stop();
            }
            ended
        };
        let name = format!("worker-{index}");
        let thread = std::thread::Builder::new().name(name);
        thread.spawn(life).expect("the system starts a thread")
    };
    let workers: Vec<_> = (0..plan.workers).map(spawn).collect();
    drop(reports);
    attend(&received, control, grace, observe);
    join(workers)
}

/// Passes reports on until every worker has ended.
fn attend(
    received: &Receiver<Report>,
    control: &Control,
    grace: Duration,
    observe: &mut dyn FnMut(Option<&Report>),
) {
    let mut deadline = None;
    loop {
        match received.recv_timeout(TICK) {
            Ok(report) => observe(Some(&report)),
            Err(RecvTimeoutError::Timeout) => observe(None),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if control.is_stopping() {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + grace);
            if Instant::now() >= deadline {
                control.end_grace();
            }
        }
    }
}

fn join(workers: Vec<JoinHandle<Result<Ended, Error>>>) -> Result<Ended, Error> {
    let mut all = Ok(Ended::Drained);
    for worker in workers {
        match worker.join() {
            Ok(Ok(Ended::Drained)) => {}
            Ok(Ok(Ended::Unfinished)) => all = all.map(|_| Ended::Unfinished),
            Ok(Err(error)) => all = all.and(Err(error)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    all
}

/// A worker's life: opens its rooms, then works.
fn live(plan: &Plan, control: &Arc<Control>, reports: Reports) -> Result<Ended, Error> {
    let (mut source, checkpoint) = (plan.source)()?;
    let Some((sink, keys)) = open_sink(plan, control, &reports, source.as_mut())? else {
        return Ok(Ended::Drained);
    };
    let fitted = Fitted::of(&plan.version, keys)?;
    let rooms = Rooms {
        source,
        fitted,
        sink,
        checkpoint,
    };
    reports.send(Report::Ready);
    Worker::new(plan.worker.clone(), rooms, control.clone(), reports).run(plan.topic.clone())
}

/// Opens and prepares the sink, for as long as that takes. `None`: told to stop meanwhile.
fn open_sink(
    plan: &Plan,
    control: &Control,
    reports: &Reports,
    source: &mut dyn Source,
) -> Result<Option<(sink::Room, Vec<Key>)>, Error> {
    let (mut backoff, mut stalls) = (Backoff::default(), Stalls::default());
    loop {
        let opened = (plan.sink)(plan.version.origin()).and_then(|mut sink| {
            let keys = sink.prepare(&plan.version.plugin.description().targets)?;
            Ok((sink, keys))
        });
        let error = match opened {
            Ok(opened) => {
                stalls.goes_on(reports, "sink");
                return Ok(Some(opened));
            }
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(error.into()),
        };
        stalls.waits(reports, "sink", &error);
        let until = Instant::now() + backoff.wait();
        while Instant::now() < until {
            if control.is_stopping() {
                return Ok(None);
            }
            match source.serve() {
                Err(error) if !error.is_transient() => return Err(error.into()),
                Ok(()) | Err(_) => std::thread::park_timeout(TICK),
            }
        }
    }
}
