//! Runs a plugin in an ordinary test: cells go in as text, outcomes come out as lines.
//!
//! ```
//! # use sluice_plugin::{*, CqlType::*, testing::Rig};
//! # const NAME: Field = Field::new("name", Text);
//! # const ROWS: Target = Target::upsert("greetings", &[&[("name", Text), ("is_long", Boolean)]]);
//! # struct Greeter;
//! # impl Plugin for Greeter {
//! #     fn init(_: &str) -> Result<(Self, Description), String> {
//! #         Ok((Self, Description {
//! #             fields: &[NAME], targets: &[ROWS], ..Description::new("greeter", "1") }))
//! #     }
//! #     fn transform(&mut self, batch: &Batch<'_>, out: &mut Outcome) {
//! #         let names = batch.field(NAME);
//! #         for message in batch {
//! #             let name = names.at(message);
//! #             out.row(ROWS, message).cell(name).boolean(name.text().len() > 20);
//! #         }
//! #     }
//! # }
//! let rig = Rig::<Greeter>::new("{}").unwrap();
//! assert_eq!(rig.run(&[&["Ada"]]), "0 greetings: name=\"Ada\" is_long=false\n");
//! ```

use std::cell::RefCell;
use std::collections::HashMap;

use crate::batch::split_cell;
use crate::component::{self, Messages, Outcome, Slot};
use crate::{Cell, CqlType, Lookup, Packed, Plugin, log::Level};

/// A plugin, and lookups that the test fills.
pub struct Rig<P> {
    slot: Slot<P>,
    description: component::Description,
    lookups: HashMap<String, HashMap<Vec<u8>, Vec<u8>>>,
}

impl<P: Plugin> Rig<P> {
    /// Loads the plugin with a configuration.
    ///
    /// # Errors
    /// The plugin's reason for refusing it.
    pub fn new(config: &str) -> Result<Self, String> {
        let slot = Slot::empty();
        let description = slot.init(config)?;
        Ok(Self {
            slot,
            description,
            lookups: HashMap::new(),
        })
    }

    /// Lets a lookup know a key: its cells follow in the order of the declared columns.
    ///
    /// # Panics
    /// If the plugin has no such lookup, or a cell is not of its column's type.
    pub fn know(&mut self, lookup: Lookup, key: &str, cells: &[&str]) {
        let declared = self
            .description
            .lookups
            .iter()
            .find(|it| it.name == lookup.name);
        let declared = declared.expect("a lookup is in the plugin's description");
        assert_eq!(
            cells.len(),
            declared.columns.len(),
            "cells of `{}`",
            lookup.name
        );
        let mut row = Vec::new();
        for (column, text) in declared.columns.iter().zip(cells) {
            let cell = encode(column.kind, text);
            let length = cell
                .as_ref()
                .map_or(-1, |cell| i32::try_from(cell.len()).expect("short"));
            row.extend_from_slice(&length.to_be_bytes());
            row.extend_from_slice(&cell.unwrap_or_default());
        }
        let key = encode(declared.key.kind, key).expect("a key is not null");
        self.lookups
            .entry(lookup.name.into())
            .or_default()
            .insert(key, row);
    }

    /// Makes a batch: for each message the cells of the declared fields, of which `null` is null.
    /// What else the plugin wants to see, the test fills in itself; partitions are 0, offsets count.
    ///
    /// # Panics
    /// If a cell is not of its field's type.
    pub fn messages(&self, messages: &[&[&str]]) -> Messages {
        let fields = &self.description.fields;
        let mut columns: Vec<_> = fields.iter().map(|_| Packed::default()).collect();
        for cells in messages {
            assert_eq!(cells.len(), fields.len(), "cells of a message");
            for ((column, field), cell) in columns.iter_mut().zip(fields).zip(*cells) {
                column.push(encode(field.kind, cell).as_deref());
            }
        }
        Messages {
            topic: "test".into(),
            count: u32::try_from(messages.len()).expect("a test's batch is small"),
            fields: columns,
            values: Packed::default(),
            keys: Packed::default(),
            timestamps: vec![0; messages.len()],
            partitions: vec![0; messages.len()],
            offsets: (0..).take(messages.len()).collect(),
            headers: Packed::default(),
        }
    }

    /// Calls the plugin as the host does.
    pub fn transform(&self, messages: &Messages) -> Outcome {
        self.slot.transform_with(messages, &|lookup, keys| {
            let known = self
                .lookups
                .get(&self.description.lookups[usize::from(lookup)].name);
            let mut found = Packed::default();
            let mut rest = keys.bytes.as_slice();
            for &length in &keys.lengths {
                let (key, after) = rest.split_at(usize::try_from(length).unwrap_or(0));
                rest = after;
                let cells = known
                    .filter(|_| length >= 0)
                    .and_then(|known| known.get(key));
                found.push(cells.map(Vec::as_slice));
            }
            found
        })
    }

    /// What becomes of messages, a line each, by message: `0 table: column=cell ...`,
    /// `0 rejected code: reason` or `0 filtered code`.
    ///
    /// # Panics
    /// If a message has no outcome, or two; or if it has another one in a batch of its own.
    pub fn run(&self, messages: &[&[&str]]) -> String {
        let together = self.show(&self.transform(&self.messages(messages)), 0, messages.len());
        let alone: String = (messages.iter().enumerate())
            .map(|(at, &cells)| {
                let mut message = self.messages(&[cells]);
                message.offsets = vec![i64::try_from(at).expect("a test's batch is small")];
                self.show(&self.transform(&message), at, 1)
            })
            .collect();
        assert_eq!(
            together, alone,
            "outcomes together, and of each message alone"
        );
        together
    }

    fn show(&self, outcome: &Outcome, first: usize, count: usize) -> String {
        let mut lines: Vec<Vec<String>> = vec![Vec::new(); count];
        for rows in &outcome.rows {
            let target = &self.description.targets[usize::from(rows.target)];
            let mut rest = rows.rows.bytes.as_slice();
            for &source in &rows.sources {
                let mut line = format!("{} {}:", first + source as usize, target.table);
                rest = &rest[2..];
                for column in &target.columns {
                    let is_unset = rest.starts_with(&(-2_i32).to_be_bytes());
                    let cell;
                    (cell, rest) = split_cell(rest);
                    let text = show(column.kind, cell);
                    let text = if is_unset { "unset" } else { &text };
                    line += &format!(" {}={text}", column.name);
                }
                lines[source as usize].push(line);
            }
        }
        let mut outcomes: Vec<usize> = lines.iter().map(|rows| rows.len().min(1)).collect();
        let rejected = (outcome.rejected.iter()).map(|it| {
            (
                it.message,
                format!("rejected {}: {}", self.code(it.code), it.reason),
            )
        });
        let filtered = (outcome.filtered.iter())
            .map(|it| (it.message, format!("filtered {}", self.code(it.code))));
        for (message, line) in rejected.chain(filtered) {
            let at = message as usize;
            outcomes[at] += 1;
            lines[at].push(format!("{} {line}", first + at));
        }
        for (at, outcomes) in outcomes.into_iter().enumerate() {
            assert_eq!(
                outcomes,
                1,
                "outcomes of message {}: {:?}",
                first + at,
                lines[at]
            );
        }
        lines
            .into_iter()
            .flatten()
            .map(|line| line + "\n")
            .collect()
    }

    fn code(&self, index: u16) -> &str {
        &self.description.codes[usize::from(index)]
    }
}

thread_local! {
    static LOG: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// The lines that plugins wrote to the log in this thread since it was last asked.
pub fn logged() -> Vec<(Level, String)> {
    LOG.take()
}

#[cfg(not(target_family = "wasm"))]
pub(crate) fn log(level: Level, message: &str) {
    LOG.with_borrow_mut(|lines| lines.push((level, message.into())));
}

/// A cell from its text: numbers as such, a timestamp in milliseconds and a date in days since
/// 1970, what has no plain text in hexadecimal digits.
fn encode(kind: CqlType, text: &str) -> Option<Vec<u8>> {
    if text == "null" {
        return None;
    }
    let cell = match kind {
        CqlType::Ascii | CqlType::Text => Some(text.as_bytes().to_vec()),
        CqlType::Boolean => text.parse().ok().map(|it: bool| vec![it.into()]),
        CqlType::Tinyint => text.parse().ok().map(|it: i8| it.to_be_bytes().into()),
        CqlType::Smallint => text.parse().ok().map(|it: i16| it.to_be_bytes().into()),
        CqlType::Int => text.parse().ok().map(|it: i32| it.to_be_bytes().into()),
        CqlType::Date => text
            .parse()
            .ok()
            .map(|it: i32| (it ^ i32::MIN).to_be_bytes().into()),
        CqlType::Float => text.parse().ok().map(|it: f32| it.to_be_bytes().into()),
        CqlType::Double => text.parse().ok().map(|it: f64| it.to_be_bytes().into()),
        CqlType::Bigint | CqlType::Timestamp | CqlType::Time => {
            text.parse().ok().map(|it: i64| it.to_be_bytes().into())
        }
        CqlType::Blob
        | CqlType::Uuid
        | CqlType::Timeuuid
        | CqlType::Inet
        | CqlType::Decimal
        | CqlType::Varint
        | CqlType::Duration => (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
            .collect(),
    };
    Some(cell.unwrap_or_else(|| panic!("`{text}` is no {kind:?}")))
}

/// The text of a cell, as [`encode`] takes it; text in quotation marks.
fn show(kind: CqlType, cell: Cell<'_>) -> String {
    if cell.is_null() {
        return "null".into();
    }
    match kind {
        CqlType::Ascii | CqlType::Text => format!("{:?}", cell.text()),
        CqlType::Boolean => cell.boolean().to_string(),
        CqlType::Tinyint => cell.tinyint().to_string(),
        CqlType::Smallint => cell.smallint().to_string(),
        CqlType::Int => cell.int().to_string(),
        CqlType::Date => (cell.int() ^ i32::MIN).to_string(),
        CqlType::Float => cell.float().to_string(),
        CqlType::Double => cell.double().to_string(),
        CqlType::Bigint | CqlType::Timestamp | CqlType::Time => cell.bigint().to_string(),
        CqlType::Blob
        | CqlType::Uuid
        | CqlType::Timeuuid
        | CqlType::Inet
        | CqlType::Decimal
        | CqlType::Varint
        | CqlType::Duration => cell
            .value()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    }
}
