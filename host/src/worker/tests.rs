//! The worker on a scripted source and a sink that fails as it is told.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, MutexGuard};

use super::*;
use crate::lookup::{Lookup, Options};
use crate::message::{Message, Span};
use crate::plugin::Plugin;
use crate::row::Key;
use crate::sink::dead_letter::Off;
use crate::sink::memory::Memory;
use crate::sink::{Refused, Sink};

/// What the source does next: in `take`, or, if it is a release, as soon as it is served.
#[derive(Clone, Copy, Debug)]
enum Step {
    Assign(i32, i64),
    /// So many plays of a partition, from this offset.
    Plays(i32, i64, i64),
    Release(i32),
}

struct Script {
    steps: VecDeque<Step>,
    changes: Vec<Change>,
}

impl Source for Script {
    fn take(&mut self, batch: &mut Batch, _: Limits, _: Duration) -> Result<Taken, source::Error> {
        match self.steps.pop_front() {
            None => return Ok(Taken::End),
            Some(Step::Assign(partition, start)) => {
                self.changes.push(Change::Assigned {
                    partition,
                    start,
                    write_time: None,
                });
                return Ok(Taken::Nothing);
            }
            Some(Step::Release(partition)) => {
                self.changes.push(Change::Released { partition });
                return Ok(Taken::Nothing);
            }
            Some(Step::Plays(partition, start, count)) => {
                for offset in start..start + count {
                    let value = format!(r#"{{"name":"A","song":"B","timestamp":{offset}}}"#);
                    batch.push(&Message {
                        partition,
                        offset,
                        timestamp: 1_000,
                        key: None,
                        value: Some(value.as_bytes()),
                        headers: b"",
                    });
                }
            }
        }
        Ok(Taken::Some)
    }

    fn serve(&mut self) -> Result<(), source::Error> {
        if let Some(Step::Release(partition)) = self.steps.front().copied() {
            self.steps.pop_front();
            self.changes.push(Change::Released { partition });
        }
        Ok(())
    }

    fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn close(&mut self) {}
}

/// Fails so often, or needs so many looks, before each batch is written.
struct Slow {
    memory: Memory,
    failures: Vec<sink::Error>,
    looks: usize,
}

impl Sink for Slow {
    fn prepare(&mut self, targets: &[Target]) -> Result<Vec<Key>, sink::Error> {
        self.memory.prepare(targets)
    }

    fn start(&mut self, batch: &Arc<Transformed>) {
        self.memory.start(batch);
    }

    fn poll(&mut self, wait: Duration) -> Option<Result<Vec<Refused>, sink::Error>> {
        if let Some(failure) = self.failures.pop() {
            return Some(Err(failure));
        }
        if self.looks > 0 {
            self.looks -= 1;
            return None;
        }
        self.memory.poll(wait)
    }
}

#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Vec<Span>>>);

impl Recorded {
    fn spans(&self) -> MutexGuard<'_, Vec<Span>> {
        self.0.lock().unwrap()
    }
}

impl Checkpoint for Recorded {
    fn record(&mut self, written: &Written) {
        self.spans()
            .extend(written.progress().iter().map(|progress| progress.span));
    }

    fn commit(&mut self, _: Commit) -> Result<(), checkpoint::Error> {
        Ok(())
    }
}

fn unavailable() -> sink::Error {
    sink::Error::Unavailable {
        store: "S".into(),
        code: "overloaded",
        reason: "busy".into(),
    }
}

fn refused() -> sink::Error {
    sink::Error::Refused {
        store: "S".into(),
        reason: "no permission".into(),
    }
}

/// Runs a script to its end: what was recorded, and how many rows there are then.
fn run(
    steps: &[Step],
    failures: Vec<sink::Error>,
    looks: usize,
) -> (Result<Ended, Error>, Vec<Span>, usize) {
    let carried = sluice_bundled::pipeline("spotify").unwrap();
    let plugin = Plugin::load("spotify.wasm", carried.module, &plugin::Config::default()).unwrap();
    let declared = &plugin.description().lookups[0];
    let lookup = Lookup::read("songs", carried.lookups[0].1, declared, &Options::default());
    let memory = Memory::open(carried.schema).unwrap();
    let targets = plugin.description().targets.clone();
    let slow = Slow {
        memory: memory.clone(),
        failures,
        looks,
    };
    let mut room = sink::Room::new(Box::new(slow), Box::new(Off));
    let keys = room.prepare(&targets).unwrap();
    let recorded = Recorded::default();
    let rooms = Rooms {
        source: Box::new(Script {
            steps: steps.iter().copied().collect(),
            changes: vec![],
        }),
        plugin: plugin
            .instance(keys, vec![Arc::new(lookup.unwrap())])
            .unwrap(),
        sink: room,
        checkpoint: Box::new(recorded.clone()),
        targets,
    };
    let config = Config {
        limits: Limits::default(),
        interval: None,
        generation: 0,
        is_fatal_when_held: true,
        keeps_letters: true,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let control = Arc::new(Control::new(stop, Ends::default()));
    let (reports, _received) = sync_channel(100);
    let ended = Worker::new(config, rooms, control, reports).run("plays".into());
    let spans = recorded.spans().clone();
    (ended, spans, memory.len())
}

fn span(partition: i32, start: i64, end: i64) -> Span {
    Span {
        partition,
        start,
        end,
    }
}

#[test]
fn what_is_written_is_recorded() {
    use Step::{Assign, Plays, Release};
    let check = |steps: &[Step], failures: usize, looks, spans: &[Span], rows: usize| {
        let failures = (0..failures).map(|_| unavailable()).collect();
        let (ended, recorded, written) = run(steps, failures, looks);
        assert_eq!(ended.unwrap(), Ended::Drained);
        assert_eq!((&recorded[..], written), (spans, rows), "{steps:?}");
    };
    check(&[], 0, 0, &[], 0);
    check(&[Assign(0, 5), Plays(0, 5, 3)], 0, 0, &[span(0, 5, 8)], 3);
    // A sink that is away and comes back: once, whatever it takes.
    check(&[Assign(0, 5), Plays(0, 5, 3)], 3, 2, &[span(0, 5, 8)], 3);
    // A partition that is taken away while it is written is not recorded, its rows do no harm.
    let steps = [Assign(0, 0), Plays(0, 0, 3), Release(0)];
    check(&steps, 0, 1, &[], 3);
    // It comes back, and is read again from its commit.
    let steps = [
        Assign(0, 0),
        Plays(0, 0, 3),
        Release(0),
        Assign(0, 0),
        Plays(0, 0, 4),
    ];
    check(&steps, 1, 1, &[span(0, 0, 4)], 4);
}

#[test]
fn what_a_person_must_mend_ends_finite_work() {
    let steps = [Step::Assign(0, 0), Step::Plays(0, 0, 3)];
    let (ended, recorded, _) = run(&steps, vec![refused()], 0);
    assert!(
        matches!(ended, Err(Error::Sink(sink::Error::Refused { .. }))),
        "{ended:?}"
    );
    assert_eq!(recorded, []);
}
