//! What the SDK can, for its test: all types, rows taken back, deletes, ids, and keys that are no field.

use sluice_plugin::CqlType::{
    Bigint, Blob, Boolean, Date, Double, Float, Int, Smallint, Text, Timestamp, Tinyint, Uuid,
};
use sluice_plugin::{
    Batch, Cell, Code, Column, Description, Field, Lookup, Outcome, Packed, Plugin, Row, Target,
    Wants, log,
};

const ID: Field = Field::new("id", Text);
const DO: Field = Field::new("do", Text);
const NUMBER: Field = Field::optional("number", Bigint);
const REAL: Field = Field::new("real", Double);
const FLAG: Field = Field::new("flag", Boolean);
const WHEN: Field = Field::new("when", Timestamp);
const DAY: Field = Field::new("day", Date);

const WORDS: Lookup = Lookup::new("words", ("word", Text), &[("plain", Text), ("weight", Float)]);

const KEY: &[Column] = &[("id", Text), ("row", Uuid)];
const NUMBERS: &[Column] = &[
    ("tiny", Tinyint),
    ("small", Smallint),
    ("whole", Int),
    ("big", Bigint),
    ("single", Float),
    ("twice", Double),
];
const OTHERS: &[Column] = &[
    ("flag", Boolean),
    ("time", Timestamp),
    ("day", Date),
    ("raw", Blob),
    ("note", Text),
    ("sent", Timestamp),
];
const THINGS: Target = Target::upsert("things", &[KEY, NUMBERS, OTHERS]);
const GONE: Target = Target::delete("things", &[KEY]);

const ODD: Code = Code::new("odd");
const UNWANTED: Code = Code::new("unwanted");

struct Probe;

impl Plugin for Probe {
    fn init(config: &str) -> Result<(Self, Description), String> {
        if config != r#"{"after":"!"}"# {
            return Err("another configuration".into());
        }
        let description = Description {
            fields: &[ID, DO, NUMBER, REAL, FLAG, WHEN, DAY],
            lookups: &[WORDS],
            targets: &[THINGS, GONE],
            codes: &[ODD, UNWANTED],
            wants: &[
                Wants::VALUES,
                Wants::KEYS,
                Wants::TIMESTAMPS,
                Wants::POSITIONS,
                Wants::HEADERS,
            ],
            ..Description::new("probe", env!("CARGO_PKG_VERSION"))
        };
        Ok((Self, description))
    }

    fn transform(&mut self, batch: &Batch<'_>, out: &mut Outcome) {
        let [ids, todo, numbers, reals, flags, times, days] =
            [ID, DO, NUMBER, REAL, FLAG, WHEN, DAY].map(|field| batch.field(field));
        let (values, keys, headers) = (batch.values(), batch.keys(), batch.headers());
        let mut words = Packed::default();
        for message in batch {
            words.push(Some(format!("<{}>", ids.at(message).text()).as_bytes()));
        }
        let found = batch.find(WORDS, &words);
        out.each(batch, |message, out| {
            if let Some(key) = keys.at(message).bytes() {
                log::info(&format!("a key of {} bytes", key.len()));
            }
            let rows = match todo.at(message).text() {
                "panic" => panic!("asked to panic"),
                "filter" => return Err(UNWANTED.filtered()),
                "delete" => {
                    let id = batch.id(message, 0);
                    out.row(GONE, message).cell(ids.at(message)).uuid(id);
                    return Ok(());
                }
                "twice" => 2,
                _ => 1,
            };
            let (plain, weight) = (found.at(message).cell(0), found.at(message).cell(1));
            let notes = [headers.at(message).header("trace"), keys.at(message), plain];
            let note = notes.into_iter().find(|note| !note.is_null());
            for id in 0..rows {
                let mut row = out.row(THINGS, message);
                row.cell(ids.at(message)).uuid(batch.id(message, id));
                count(&mut row, numbers.at(message));
                row.float(if weight.is_null() { 0.1 } else { 2.0 * weight.float() })
                    .double(2.0 * reals.at(message).double())
                    .boolean(!flags.at(message).boolean())
                    .timestamp(times.at(message).bigint() + 1)
                    .date(days.at(message).date() + 1)
                    .cell(values.at(message))
                    .cell(note.unwrap_or(plain));
                match batch.timestamp(message) {
                    Some(sent) => row.timestamp(sent),
                    None => row.null(),
                };
            }
            // The row that there is already is taken back.
            if todo.at(message).text() == "reject" {
                let reason = format!("{} is odd", numbers.at(message).bigint());
                return Err(ODD.rejected(reason));
            }
            Ok(())
        });
    }
}

/// The cells from `tiny` to `big`.
fn count(row: &mut Row<'_>, number: Cell<'_>) {
    if number.is_null() {
        row.null().null().null().null();
        return;
    }
    let number = number.bigint();
    let tiny = i8::try_from(number).expect("the samples' numbers are small");
    row.tinyint(tiny)
        .smallint(100 * i16::from(tiny))
        .int(100_000 * i32::from(tiny))
        .bigint(10_000_000_000 * number);
}

sluice_plugin::export!(Probe);
