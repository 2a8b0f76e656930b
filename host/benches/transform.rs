//! Measures what a message costs from its bytes to checked rows, through WebAssembly and with the
//! same plugin linked natively: decoding, packing, the call with its lookup, and the checks of every
//! cell are in both, so that the one difference is WebAssembly.
//!
//! `cargo bench --bench transform` prints nanoseconds of this thread's CPU time a message: medians
//! of runs that alternate. Ratios are good for judging; a lone figure says little.

#![expect(clippy::print_stdout, reason = "a program that prints its figures")]

use std::sync::Arc;

use fake::Fake;
use fake::faker::name::en::Name;
use fake::rand::rngs::StdRng;
use fake::rand::{RngExt, SeedableRng};
use host::lookup::{self, Lookup};
use host::message::{Batch, Message};
use host::plugin::native::{Given, Rows};
use host::plugin::{Config, Instance, Plugin};
use host::row::Transformed;
use host::sink::{Sink, memory::Memory};
use sluice_bundled::Pipeline;
use sluice_plugin::Packed;
use sluice_plugin::component::{Messages, Slot};
use spotify::Spotify;

/// How often each way is measured.
const RUNS: usize = 9;
/// How many messages a run has at least, whatever the size of its batches.
const MESSAGES: usize = 1 << 18;
/// How many messages there are: enough that none is remembered from its last turn.
const DISTINCT: usize = 1 << 16;
const PEOPLE: usize = 1_000;
const UNKNOWN_PERCENT: usize = 2;
/// When the first play was, in milliseconds.
const START: i64 = 1_767_225_600_000;

/// The most that WebAssembly may cost, as a multiple of the native code.
const RATIO_MAX: f64 = 1.3;

fn main() {
    let pipeline = sluice_bundled::pipeline("spotify").expect("the host carries it");
    let mut rig = Rig::new(pipeline);
    let plays = plays(pipeline);
    let bytes: usize = plays.iter().map(String::len).sum();
    println!(
        "{DISTINCT} plays of {} bytes, {PEOPLE} people, {UNKNOWN_PERCENT} % of unknown songs; \
         medians of {RUNS} runs of {MESSAGES} messages",
        bytes / plays.len()
    );
    println!(
        "{:>10} {:>12} {:>12} {:>8}",
        "batch", "wasm ns", "native ns", "ratio"
    );
    for size in [100, 1_000, 16_384] {
        let mut batches: Vec<_> = plays.chunks_exact(size).map(batch).collect();
        rig.agree(&batches[0]);
        let (mut wasm, mut native) = (vec![], vec![]);
        for _ in 0..RUNS {
            wasm.push(run(&mut batches, |batch| rig.wasm(batch)));
            native.push(run(&mut batches, |batch| rig.native(batch)));
        }
        let (wasm, native) = (median(wasm), median(native));
        let ratio = wasm / native;
        println!("{size:>10} {wasm:>12.0} {native:>12.0} {ratio:>7.2}x");
    }
    println!("target: at most {RATIO_MAX}x");
}

/// The plugin, both ways.
struct Rig {
    instance: Instance,
    slot: Slot<Spotify>,
    songs: Arc<Lookup>,
}

impl Rig {
    fn new(pipeline: &Pipeline) -> Self {
        let plugin = Plugin::load("spotify.wasm", pipeline.module, &Config::default());
        let plugin = plugin.expect("the carried plugin loads");
        let description = plugin.description();
        let songs = Lookup::read(
            "songs.csv",
            pipeline.lookups[0].1,
            &description.lookups[0],
            &lookup::Options::default(),
        );
        let songs = Arc::new(songs.expect("the carried songs are read"));
        let mut memory = Memory::open(pipeline.schema).expect("the carried schema is read");
        let keys = memory.prepare(&description.targets);
        let keys = keys.expect("the carried schema has the targets");
        let instance = plugin.instance(keys, vec![songs.clone()]);
        let slot = Slot::empty();
        slot.init("{}").expect("it needs no configuration");
        Self {
            instance: instance.expect("the carried plugin starts"),
            slot,
            songs,
        }
    }

    fn wasm(&mut self, batch: Batch) -> Transformed {
        self.instance.apply(batch).expect("the guest works")
    }

    fn native(&mut self, batch: Batch) -> Transformed {
        let Self {
            instance,
            slot,
            songs,
        } = self;
        let mut transform = |given: Given<'_>| transform(slot, songs, given);
        let transformed = instance.apply_natively(batch, &mut transform);
        transformed.expect("native code works")
    }

    /// Checks that both ways do the same, all of it.
    fn agree(&mut self, batch: &Batch) {
        let (wasm, native) = (self.wasm(batch.clone()), self.native(batch.clone()));
        assert_eq!(wasm.rows, native.rows, "the two ways differ");
        assert_eq!(wasm.written, batch.len(), "every play becomes a row");
    }
}

/// What the guest does, and what wasmtime does for it: the copies in and out are both here.
fn transform(slot: &Slot<Spotify>, songs: &Lookup, given: Given<'_>) -> Vec<Rows> {
    let packed = |bytes: &[u8], lengths: &[i32]| Packed {
        bytes: bytes.to_vec(),
        lengths: lengths.to_vec(),
    };
    let fields = given.fields.iter();
    let messages = Messages {
        topic: String::new(),
        count: given.count,
        fields: fields
            .map(|(bytes, lengths)| packed(bytes, lengths))
            .collect(),
        values: Packed::default(),
        keys: Packed::default(),
        timestamps: vec![],
        partitions: vec![],
        offsets: vec![],
        headers: Packed::default(),
    };
    let outcome = slot.transform_with(&messages, &|_, keys| {
        let mut found = Packed::default();
        songs.find(
            &keys.bytes,
            &keys.lengths,
            &mut found.bytes,
            &mut found.lengths,
        );
        found
    });
    let rows = outcome.rows.into_iter().map(|rows| Rows {
        target: rows.target,
        bytes: rows.rows.bytes,
        lengths: rows.rows.lengths,
        sources: rows.sources,
    });
    rows.collect()
}

/// Plays as `host produce` makes them.
fn plays(pipeline: &Pipeline) -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(1);
    let songs = lookup::column(
        "songs.csv",
        pipeline.lookups[0].1,
        "name",
        &lookup::Options::default(),
    );
    let songs = songs.expect("the carried songs have names");
    let people: Vec<String> = (0..PEOPLE)
        .map(|_| Name().fake_with_rng(&mut rng))
        .collect();
    let mut play = |index: usize| {
        let song = if rng.random_range(0..100) < UNKNOWN_PERCENT {
            format!("Unknown Song {}", rng.random_range(0..1_000))
        } else {
            songs[rng.random_range(0..songs.len())].clone()
        };
        let (person, song) = (&people[index % PEOPLE], serde_json::Value::from(song));
        let time = START + i64::try_from(index).expect("there are few");
        format!(r#"{{"name": "{person}", "song": {song}, "timestamp": {time}}}"#)
    };
    (0..DISTINCT).map(&mut play).collect()
}

fn batch(plays: &[String]) -> Batch {
    let mut batch = Batch::new("plays".into());
    for (offset, play) in (0..).zip(plays) {
        batch.push(&Message {
            partition: 0,
            offset,
            timestamp: START + offset,
            key: None,
            value: Some(play.as_bytes()),
            headers: b"",
        });
    }
    batch.stamp(|_, timestamp| Some(timestamp * 1_000));
    batch
}

/// Nanoseconds a message; each batch comes back with its rows, which a sink would drop.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn run(batches: &mut Vec<Batch>, mut apply: impl FnMut(Batch) -> Transformed) -> f64 {
    let began = cpu_nanoseconds();
    let mut messages = 0;
    while messages < MESSAGES {
        let turned = batches.drain(..).map(|batch| apply(batch).batch).collect();
        *batches = turned;
        messages += batches.iter().map(Batch::len).sum::<usize>();
    }
    (cpu_nanoseconds() - began) as f64 / messages as f64
}

/// The CPU time of this thread: what others do on the machine is not in it.
fn cpu_nanoseconds() -> i64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live local of the type that clock_gettime fills in.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "Linux has a clock for each thread");
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
