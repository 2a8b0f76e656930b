//! A plugin that misbehaves as each message says, so that every check and limit of the host is met.

mod candidate;

use std::hint::black_box;

use candidate::{Candidate, Place};

mod contract {
    wit_bindgen::generate!({ path: "../../../wit/plugin.wit", world: "plugin" });
}

use contract::exports::sluice::plugin::transform::{Description, Guest, Messages, Outcome};
use contract::sluice::plugin::log::{Level, write};
use contract::sluice::plugin::lookup::find;
use contract::sluice::plugin::types::{
    Column, CqlType, Filtered, Operation, Packed, Rejection, Rows, Target, Wants,
};

struct Misbehaving;

impl Guest for Misbehaving {
    fn init(config: String) -> Result<Description, String> {
        let mut name = "misbehaving".to_owned();
        match config.as_str() {
            "{}" => {}
            "trap" => panic!("asked to panic"),
            "loop" => spin(),
            "lookup" => drop(find(
                0,
                &Packed {
                    bytes: vec![],
                    lengths: vec![],
                },
            )),
            "name" => name = "Not A Name".to_owned(),
            other => return Err(format!("{other} is not to my taste")),
        }
        let column = |name: &str, kind| Column {
            name: name.to_owned(),
            kind,
        };
        let target = |table: &str, operation, columns| Target {
            table: table.to_owned(),
            operation,
            columns,
        };
        let (id, number, note) = (
            column("id", CqlType::Text),
            column("number", CqlType::Int),
            column("note", CqlType::Text),
        );
        let mut description = Description {
            name,
            version: "1.0.0".to_owned(),
            fields: vec![],
            lookups: vec![],
            targets: vec![
                target(
                    "facts",
                    Operation::Upsert,
                    vec![id.clone(), number.clone(), note],
                ),
                target("others", Operation::Upsert, vec![id, number]),
            ],
            codes: ["odd", "dull", "exception"].map(str::to_owned).to_vec(),
            wants: Wants::VALUES,
        };
        if let Some(candidate) = Candidate::read() {
            candidate.describe(&mut description);
        }
        Ok(description)
    }

    fn transform(batch: Messages) -> Outcome {
        let mut outcome = Outcome {
            rows: vec![rows(0), rows(1)],
            rejected: vec![],
            filtered: vec![],
        };
        let candidate = Candidate::read();
        let mut rest = &batch.values.bytes[..];
        for (message, length) in (0..).zip(&batch.values.lengths) {
            let (payload, after) = rest.split_at(usize::try_from(*length).unwrap_or(0));
            rest = after;
            let payload = std::str::from_utf8(payload).unwrap_or_default();
            match &candidate {
                Some(candidate) => {
                    let messages = batch.values.lengths.len();
                    candidate.answer(Place { message, messages }, payload, &mut outcome);
                }
                None => answer(message, payload, &mut outcome),
            }
        }
        outcome
    }
}

fn answer(message: u32, payload: &str, outcome: &mut Outcome) {
    let name = payload.as_bytes();
    let number = &7_i32.to_be_bytes()[..];
    let reject = |code, reason: &str| Rejection {
        message,
        code,
        reason: reason.to_owned(),
    };
    match payload {
        "trap" => panic!("asked to panic"),
        "loop" => spin(),
        "hoard" => hoard(),
        "stack" => drop(black_box(recurse(0))),
        "lookup" => drop(find(
            0,
            &Packed {
                bytes: vec![],
                lengths: vec![],
            },
        )),
        "flood" => outcome.rejected.push(reject(0, &"x".repeat(8 << 20))),
        "log bomb" => {
            log_bomb();
            push(outcome, 0, message, &[Some(name), Some(number), None]);
        }
        "short" => {}
        "twice" => {
            push(outcome, 0, message, &[Some(name), Some(number), None]);
            outcome.filtered.push(Filtered { message, code: 0 });
        }
        "two rejections" => outcome.rejected.extend([reject(0, "a"), reject(0, "b")]),
        "bad code" => outcome.rejected.push(reject(9, "?")),
        "bad target" => outcome.rows.push(rows(9)),
        "bad source" => push(outcome, 0, 1_000_000, &[Some(name), Some(number), None]),
        "no source" => outcome.rows[0].rows.lengths.push(0),
        "bad lengths" => {
            push(outcome, 0, message, &[Some(name), Some(number), None]);
            outcome.rows[0].rows.bytes.push(0);
        }
        "negative length" => {
            outcome.rows[0].rows.lengths.push(-1);
            outcome.rows[0].sources.push(message);
        }
        "arity" => push(outcome, 0, message, &[Some(name), Some(number)]),
        "empty row" => push_bytes(outcome, 0, message, &[]),
        "cut row" => push_bytes(outcome, 0, message, &[0, 3, 0, 0, 0, 1, b'a', 0, 0]),
        "long cell" => push_bytes(outcome, 0, message, &[0, 3, 0, 0, 0, 200, b'a']),
        "odd length" => push_bytes(outcome, 0, message, &[0, 3, 255, 255, 255, 0]),
        "width" => push(outcome, 0, message, &[Some(name), Some(b"abc"), None]),
        "utf8" => push(
            outcome,
            0,
            message,
            &[Some(name), Some(number), Some(b"\xff")],
        ),
        _ => answer_with_rows(message, payload, outcome),
    }
}

/// Rows that keep the packing, but that their tables do not take; and some that they do.
fn answer_with_rows(message: u32, payload: &str, outcome: &mut Outcome) {
    let name = payload.as_bytes();
    let number = &7_i32.to_be_bytes()[..];
    let reject = |code, reason: &str| Rejection {
        message,
        code,
        reason: reason.to_owned(),
    };
    match payload {
        "null key" => push(outcome, 0, message, &[None, Some(number), None]),
        "empty key" => push(outcome, 0, message, &[Some(b""), Some(number), None]),
        "long key" => push(
            outcome,
            0,
            message,
            &[Some(&[b'k'; 65_536]), Some(number), None],
        ),
        "large row" => push(
            outcome,
            0,
            message,
            &[Some(name), Some(number), Some(&[b'n'; 1 << 20])],
        ),
        "same key" => {
            (0..2).for_each(|_| push(outcome, 0, message, &[Some(name), Some(number), None]))
        }
        "good and bad" => {
            push(outcome, 1, message, &[Some(name), Some(number)]);
            push(outcome, 0, message, &[Some(name), Some(b"abc"), None]);
        }
        "two tables" => {
            push(outcome, 0, message, &[Some(name), Some(number), None]);
            push(outcome, 1, message, &[Some(name), Some(number)]);
        }
        "two rows" => {
            push(outcome, 0, message, &[Some(name), Some(number), None]);
            push(outcome, 0, message, &[Some(b"another"), Some(number), None]);
        }
        "reject" => outcome.rejected.push(reject(0, &"é".repeat(2_000))),
        "throw" => outcome.rejected.push(reject(2, "thrown in a file, line 7")),
        "reject as filter" => outcome.rejected.push(reject(1, "dull")),
        "filter" => outcome.filtered.push(Filtered { message, code: 0 }),
        "place" => {
            let place = &message.to_be_bytes()[..];
            push(outcome, 0, message, &[Some(name), Some(place), None]);
        }
        _ => {
            let loud = payload.strip_prefix("log ");
            if loud.is_some() {
                log_bomb();
            }
            let payload = loud.unwrap_or(payload);
            match payload.strip_prefix("set ") {
                Some(rest) => set(message, payload, rest, outcome),
                None => push(outcome, 0, message, &[Some(name), Some(number), None]),
            }
        }
    }
}

/// `set KEY NUMBER` is a row of that key, over which later messages may write, and one of its own.
fn set(message: u32, payload: &str, rest: &str, outcome: &mut Outcome) {
    let cells = rest.split_once(' ');
    let cells = cells.and_then(|(key, number)| Some((key, number.parse::<i32>().ok()?)));
    let Some((key, number)) = cells else {
        let reason = "no number".to_owned();
        outcome.rejected.push(Rejection {
            message,
            code: 0,
            reason,
        });
        return;
    };
    let number = number.to_be_bytes();
    push(
        outcome,
        0,
        message,
        &[Some(key.as_bytes()), Some(&number), None],
    );
    push(
        outcome,
        1,
        message,
        &[Some(payload.as_bytes()), Some(&number)],
    );
}

fn rows(target: u16) -> Rows {
    Rows {
        target,
        rows: Packed {
            bytes: vec![],
            lengths: vec![],
        },
        sources: vec![],
    }
}

fn push(outcome: &mut Outcome, target: usize, message: u32, cells: &[Option<&[u8]>]) {
    let mut row = u16::try_from(cells.len())
        .unwrap_or(0)
        .to_be_bytes()
        .to_vec();
    for cell in cells {
        let length = cell.map_or(-1, |cell| i32::try_from(cell.len()).unwrap_or(0));
        row.extend(length.to_be_bytes());
        row.extend(cell.unwrap_or_default());
    }
    push_bytes(outcome, target, message, &row);
}

fn push_bytes(outcome: &mut Outcome, target: usize, message: u32, row: &[u8]) {
    let rows = &mut outcome.rows[target];
    rows.rows.bytes.extend(row);
    rows.rows
        .lengths
        .push(i32::try_from(row.len()).unwrap_or(0));
    rows.sources.push(message);
}

fn spin() {
    (0..u64::MAX).for_each(turn);
}

/// One turn of a loop that the compiler cannot leave out.
fn turn(turn: u64) {
    black_box(turn);
}

fn log_bomb() {
    (0..2_000).for_each(|_| write(Level::Info, &"\u{7}".repeat(20_000)));
}

fn hoard() {
    let mut blocks = vec![];
    loop {
        blocks.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    recurse(black_box(depth + 1)) ^ depth
}

contract::export!(Misbehaving with_types_in contract);
