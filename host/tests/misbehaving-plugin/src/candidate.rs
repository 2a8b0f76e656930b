//! Versions for a swap, without a build each: a test writes words over [`MARK`], and what comes of it has
//! a digest and a behaviour of its own.

use std::hint::black_box;
use std::sync::atomic::{AtomicI32, Ordering};

use super::contract::exports::sluice::plugin::transform::{Description, Outcome};
use super::contract::sluice::plugin::types::{Column, CqlType, Lookup, Rejection};
use super::{hoard, push, spin, turn};

/// `candidate:`, and after it the words that make a version. Without them every payload goes its own way.
static MARK: [u8; 96] = *b"candidate:                                                                                      ";

/// Turns for a message that is slow: about a hundred times what a message takes.
const SLOW: u64 = 1_000_000;

/// What the mark says.
#[derive(Default)]
pub(super) struct Candidate {
    /// `version=2.0.0`: what the description says.
    version: Option<&'static str>,
    /// `add=1`: how much is added to each number, so that a column changes.
    add: i32,
    /// `layout=b`: what stands before each key, so that the rows are others.
    layout: &'static str,
    /// `lookup=titles`: the name of a lookup that it declares, and never asks.
    lookup: Option<&'static str>,
    /// `fault=trap`: `init-trap`, `init-loop`, `column`, or on messages: `trap`, `loop`, `reject`, `slow`,
    /// `hoard`, or what [`unsteady`] knows.
    fault: &'static str,
    /// `share=10`: of a hundred messages, how many are struck by the fault; all of them if nothing is said.
    share: Option<u32>,
}

impl Candidate {
    /// `None`: the mark is as it was built.
    pub(super) fn read() -> Option<Self> {
        let text = std::str::from_utf8(black_box(&MARK)).unwrap_or_default();
        let words = text.split_once(':').map_or("", |(_, words)| words).trim();
        let mut candidate = Self::default();
        for (name, value) in words.split(' ').filter_map(|word| word.split_once('=')) {
            match name {
                "version" => candidate.version = Some(value),
                "add" => candidate.add = value.parse().unwrap_or_default(),
                "layout" => candidate.layout = value,
                "lookup" => candidate.lookup = Some(value),
                "fault" => candidate.fault = value,
                "share" => candidate.share = value.parse().ok(),
                other => panic!("{other} is nothing that a candidate has"),
            }
        }
        (!words.is_empty()).then_some(candidate)
    }

    /// How this version begins.
    pub(super) fn describe(&self, description: &mut Description) {
        if let Some(version) = self.version {
            version.clone_into(&mut description.version);
        }
        if let Some(name) = self.lookup {
            let column = |name: &str| Column {
                name: name.to_owned(),
                kind: CqlType::Text,
            };
            description.lookups.push(Lookup {
                name: name.to_owned(),
                key: column("key"),
                columns: vec![column("value")],
            });
        }
        match self.fault {
            "init-trap" => panic!("asked to panic"),
            "init-loop" => spin(),
            "column" => "missing".clone_into(&mut description.targets[0].columns[2].name),
            _ => {}
        }
    }

    /// What this version makes of a message: a row of `set KEY NUMBER`, and of any other payload one with 7.
    pub(super) fn answer(&self, place: Place, payload: &str, outcome: &mut Outcome) {
        let message = place.message;
        // It is asked of every message, so that its state does not depend on whom the fault strikes.
        let unsteady = unsteady(self.fault, place, payload);
        let mut add = self.add;
        if strikes(payload) < self.share.unwrap_or(100) {
            match self.fault {
                "trap" => panic!("asked to panic"),
                "loop" => spin(),
                "hoard" => hoard(),
                "slow" => (0..SLOW).for_each(turn),
                "reject" => {
                    let (code, reason) = (0, "asked to reject".to_owned());
                    return outcome.rejected.push(Rejection {
                        message,
                        code,
                        reason,
                    });
                }
                _ => add += unsteady,
            }
        }
        let set = payload.strip_prefix("set ");
        let set = set.and_then(|rest| rest.split_once(' '));
        let (key, number) = set.map_or((payload, Some(7)), |(key, number)| {
            (key, number.parse().ok())
        });
        let key = format!("{}{key}", self.layout);
        let number = (number.unwrap_or(0) + add).to_be_bytes();
        push(
            outcome,
            0,
            message,
            &[Some(key.as_bytes()), Some(&number), None],
        );
        if set.is_some() {
            push(
                outcome,
                1,
                message,
                &[Some(payload.as_bytes()), Some(&number)],
            );
        }
    }
}

/// Where a message is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Its index in the batch.
    pub(super) message: u32,
    /// How many messages the batch has.
    pub(super) messages: usize,
}

/// What a version adds that is no function of its message alone.
fn unsteady(fault: &str, place: Place, payload: &str) -> i32 {
    let calls = match place.message {
        0 => CALLS.fetch_add(1, Ordering::Relaxed) + 1,
        _ => CALLS.load(Ordering::Relaxed),
    };
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let length = i32::try_from(payload.len()).unwrap_or(0);
    let previous = PREVIOUS.swap(length, Ordering::Relaxed);
    let sum = SUM.fetch_add(length, Ordering::Relaxed);
    match fault {
        "count" => count,
        "calls" => calls,
        "first" => i32::from(count == 0),
        "every" => i32::from(count % 50 == 49),
        "previous" => previous,
        "sum" => sum,
        "place" => i32::try_from(place.message).unwrap_or(0),
        "size" => i32::try_from(place.messages).unwrap_or(0),
        "last" => i32::from(place.message as usize + 1 == place.messages),
        "address" => i32::try_from(payload.as_ptr() as usize).unwrap_or(0),
        _ => 0,
    }
}

/// The state that a version keeps.
static CALLS: AtomicI32 = AtomicI32::new(0);
static COUNT: AtomicI32 = AtomicI32::new(0);
static PREVIOUS: AtomicI32 = AtomicI32::new(0);
static SUM: AtomicI32 = AtomicI32::new(0);

/// Where a payload stands among a hundred: FNV-1a of its bytes.
fn strikes(payload: &str) -> u32 {
    let hash = payload.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash % 100
}
