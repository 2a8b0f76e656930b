//! The worker on a scripted source and a sink that fails as it is told.

use std::collections::VecDeque;
use std::io::Seek;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::*;
use crate::lookup::{Lookup, Options};
use crate::message::{Message, Span};
use crate::plugin::Plugin;
use crate::row::{Key, Target};
use crate::sink::dead_letter::Off;
use crate::sink::memory::Memory;
use crate::sink::{Refused, Sink};
use crate::source::Change;
use crate::version::Version;

/// What the source does next: in `take`, or, if it is a release, as soon as it is served.
#[derive(Clone, Copy, Debug)]
enum Step {
    Assign(i32, i64),
    /// So many plays of a partition, from this offset.
    Plays(i32, i64, i64),
    /// So many messages that are none.
    Bad(i32, i64, i64),
    Release(i32),
    /// The source fails for a while.
    Fail,
    Nothing,
    GoOn,
    /// Somebody stops the work.
    Stop,
}

struct Script {
    steps: VecDeque<Step>,
    changes: Vec<Change>,
    is_held_up: bool,
    stop: Arc<AtomicBool>,
}

impl Script {
    fn send(batch: &mut Batch, partition: i32, offsets: std::ops::Range<i64>, is_bad: bool) {
        for offset in offsets {
            let play = format!(r#"{{"name":"A","song":"B","timestamp":{offset}}}"#);
            let value = if is_bad { "bad" } else { &play };
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

impl Source for Script {
    fn take(&mut self, batch: &mut Batch, _: Limits, _: Duration) -> Result<Taken, source::Error> {
        match self.steps.pop_front() {
            None => return Ok(Taken::End),
            Some(Step::Assign(partition, start)) => {
                self.changes.push(Change::Assigned {
                    partition,
                    start,
                    generation: 0,
                    write_time: None,
                });
                return Ok(Taken::Nothing);
            }
            Some(Step::Release(partition)) => {
                self.changes.push(Change::Released { partition });
                return Ok(Taken::Nothing);
            }
            Some(Step::Plays(partition, start, count)) => {
                Self::send(batch, partition, start..start + count, false);
            }
            Some(Step::Bad(partition, start, count)) => {
                Self::send(batch, partition, start..start + count, true);
            }
            Some(Step::Fail) => {
                self.is_held_up = true;
                return Err(source::Error::Broker {
                    brokers: "b".into(),
                    source: "away".into(),
                });
            }
            Some(Step::Nothing | Step::Stop) => return Ok(Taken::Nothing),
            Some(Step::GoOn) => {
                tracing::info!("the source goes on");
                self.is_held_up = false;
                return Ok(Taken::Nothing);
            }
        }
        Ok(Taken::Some)
    }

    fn serve(&mut self) -> Result<(), source::Error> {
        match self.steps.front().copied() {
            Some(Step::Release(partition)) => self.changes.push(Change::Released { partition }),
            Some(Step::Stop) => self.stop.store(true, Ordering::Relaxed),
            _ => return Ok(()),
        }
        self.steps.pop_front();
        Ok(())
    }

    fn is_held_up(&self) -> bool {
        self.is_held_up
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
    /// Whether it takes no row at all, and of how many messages.
    refuses: Option<usize>,
}

impl Sink for Slow {
    fn prepare(&mut self, targets: &[Target]) -> Result<Vec<Key>, sink::Error> {
        self.memory.prepare(targets)
    }

    fn start(&mut self, batch: &Arc<Transformed>) {
        self.memory.start(batch);
        self.refuses = self.refuses.map(|_| batch.batch.len());
    }

    fn poll(&mut self, wait: Duration) -> Option<Result<Vec<Refused>, sink::Error>> {
        if let Some(failure) = self.failures.pop() {
            return Some(Err(failure));
        }
        if self.looks > 0 {
            self.looks -= 1;
            return None;
        }
        let polled = self.memory.poll(wait)?;
        let refused = |message| Refused {
            message,
            reason: "too large".into(),
        };
        Some(polled.map(|_| (0..self.refuses.unwrap_or(0)).map(refused).collect()))
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

/// What a worker meets besides its messages.
struct World {
    failures: Vec<sink::Error>,
    looks: usize,
    refuses: bool,
    is_fatal_when_held: bool,
    has_breaker: bool,
    keeps_letters: bool,
}

impl Default for World {
    fn default() -> Self {
        Self {
            failures: vec![],
            looks: 0,
            refuses: false,
            is_fatal_when_held: true,
            has_breaker: true,
            keeps_letters: true,
        }
    }
}

/// Runs a script to its end: what was recorded, and how many rows there are then.
fn run(steps: &[Step], world: World) -> (Result<Ended, Error>, Vec<Span>, usize) {
    let carried = sluice_bundled::pipeline("spotify").unwrap();
    let plugin = Plugin::load("spotify.wasm", carried.module, &plugin::Config::default()).unwrap();
    let declared = &plugin.description().lookups[0];
    let lookup = Lookup::read("songs", carried.lookups[0].1, declared, &Options::default());
    let memory = Memory::open(carried.schema).unwrap();
    let slow = Slow {
        memory: memory.clone(),
        failures: world.failures,
        looks: world.looks,
        refuses: world.refuses.then_some(0),
    };
    let mut room = sink::Room::new(Box::new(slow), Box::new(Off));
    let keys = room.prepare(&plugin.description().targets).unwrap();
    let version = Version {
        plugin,
        lookups: vec![("songs".to_owned(), Arc::new(lookup.unwrap()))],
    };
    let recorded = Recorded::default();
    let stop = Arc::new(AtomicBool::new(false));
    let rooms = Rooms {
        source: Box::new(Script {
            steps: steps.iter().copied().collect(),
            changes: vec![],
            is_held_up: false,
            stop: stop.clone(),
        }),
        fitted: Fitted::of(&version, keys).unwrap(),
        sink: room,
        checkpoint: Box::new(recorded.clone()),
    };
    let config = Config {
        limits: Limits::default(),
        interval: None,
        is_fatal_when_held: world.is_fatal_when_held,
        keeps_letters: world.keeps_letters,
        has_breaker: world.has_breaker,
        notes: None,
        recent: None,
    };
    let control = Arc::new(Control::new(stop, Ends::default()));
    let reports = Reports::new(0, |_| {});
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
    use Step::{Assign, Fail, Plays, Release};
    let check = |steps: &[Step], failures: usize, looks, spans: &[Span], rows: usize| {
        let world = World {
            failures: (0..failures).map(|_| unavailable()).collect(),
            looks,
            ..World::default()
        };
        let (ended, recorded, written) = run(steps, world);
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
    // The same of one that is taken away while the batch is still collected.
    let steps = [Assign(0, 0), Plays(0, 0, 1_000), Fail, Release(0)];
    check(&steps, 0, 0, &[], 1_000);
}

#[test]
fn what_a_person_must_mend_ends_finite_work() {
    let steps = [Step::Assign(0, 0), Step::Plays(0, 0, 3)];
    let world = World {
        failures: vec![refused()],
        ..World::default()
    };
    let (ended, recorded, _) = run(&steps, world);
    assert!(
        matches!(ended, Err(Error::Sink(sink::Error::Refused { .. }))),
        "{ended:?}"
    );
    assert_eq!(recorded, []);
}

#[test]
fn the_breaker_stops_at_the_message_that_opens_it() {
    use Step::{Assign, Bad, Plays, Release, Stop};
    let check = |steps: &[Step], world: World, spans: &[Span], rows: usize, is_open: bool| {
        let is_finite = world.is_fatal_when_held;
        let (ended, recorded, written) = run(steps, world);
        assert_eq!((&recorded[..], written), (spans, rows), "{steps:?}");
        match ended {
            Err(Error::Breaker(_)) => assert!(is_open && is_finite, "{steps:?}"),
            ended => assert_eq!(ended.unwrap(), Ended::Drained, "{steps:?}"),
        }
    };
    let normal = World::default;
    // In the middle of a batch.
    let steps = [Assign(0, 0), Assign(1, 5), Plays(0, 0, 200), Bad(1, 5, 300)];
    check(
        &steps,
        normal(),
        &[span(0, 0, 200), span(1, 5, 16)],
        200,
        true,
    );
    // Nothing more is taken, but the group is served; until somebody stops the work.
    let steps = [
        Assign(0, 0),
        Bad(0, 0, 150),
        Release(0),
        Stop,
        Plays(0, 100, 9),
    ];
    let goes_on = World {
        is_fatal_when_held: false,
        ..normal()
    };
    check(&steps, goes_on, &[span(0, 0, 100)], 0, true);
    // Too few to tell, or told to go on, or none that is kept.
    let (few, whole) = ([span(0, 0, 99)], [span(0, 0, 150)]);
    check(&[Assign(0, 0), Bad(0, 0, 99)], normal(), &few, 0, false);
    let without = World {
        has_breaker: false,
        ..normal()
    };
    check(&[Assign(0, 0), Bad(0, 0, 150)], without, &whole, 0, false);
    let off = World {
        keeps_letters: false,
        ..normal()
    };
    check(&[Assign(0, 0), Bad(0, 0, 150)], off, &whole, 0, false);
    // What the sink refuses is known only when the batch is written.
    let refuses = World {
        refuses: true,
        ..normal()
    };
    check(
        &[Assign(0, 0), Plays(0, 0, 150)],
        refuses,
        &whole,
        150,
        true,
    );
}

#[test]
fn a_source_goes_on_when_it_does() {
    use Step::{Assign, Fail, GoOn, Nothing, Plays};
    let log = Arc::new(tempfile::tempfile().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone());
    let steps = [Assign(0, 0), Fail, Nothing, GoOn, Plays(0, 0, 3)];
    let (ended, _, rows) =
        tracing::subscriber::with_default(subscriber.finish(), || run(&steps, World::default()));
    assert_eq!((ended.unwrap(), rows), (Ended::Drained, 3));
    (&*log).rewind().unwrap();
    let log = std::io::read_to_string(&*log).unwrap();
    let events = ["waiting", "the source goes on", "going on"];
    let at = events.map(|event| log.find(event).unwrap());
    assert!(at.is_sorted(), "{log}");
}
