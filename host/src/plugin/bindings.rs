//! The contract's types as they cross the boundary. What goes in is borrowed, so that a batch is
//! copied once, into the guest's memory.
//!
//! `wit/plugin.wit` documents every field; the order here is the order there.

use wasmtime::component::{ComponentType, Lift, Lower, WasmList, flags};

use crate::row::{self, CqlType};

/// The version of the contract, as it stands in the names of imports and exports.
pub(super) const VERSION: &str = "0.1.0";
/// The interface that a plugin exports.
pub(super) const TRANSFORM: &str = "sluice:plugin/transform@0.1.0";
/// The interface for reference data.
pub(super) const LOOKUP: &str = "sluice:plugin/lookup@0.1.0";
/// The interface for lines of the log.
pub(super) const LOG: &str = "sluice:plugin/log@0.1.0";
/// The types that the others use; it has no functions.
pub(super) const TYPES: &str = "sluice:plugin/types@0.1.0";
/// What our adapter for WASI preview 1 needs of the host: unlike the log it takes pieces of lines.
pub(super) const PRINT: &str = "sluice:adapter/print@0.1.0";
/// What the host needs of that adapter.
pub(super) const CLOCK: &str = "sluice:adapter/clock@0.1.0";

/// A batch.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Messages<'a> {
    pub(super) topic: &'a str,
    pub(super) count: u32,
    pub(super) fields: &'a [Packed<'a>],
    pub(super) values: Packed<'a>,
    pub(super) keys: Packed<'a>,
    pub(super) timestamps: &'a [i64],
    pub(super) partitions: &'a [i32],
    pub(super) offsets: &'a [i64],
    pub(super) headers: Packed<'a>,
}

/// Many values on their way in.
#[derive(Clone, Copy, ComponentType, Default, Lower)]
#[component(record)]
pub(super) struct Packed<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) lengths: &'a [i32],
}

/// Many values on their way out, or found by a lookup.
#[derive(ComponentType, Debug, Default, Lift, Lower)]
#[component(record)]
pub(super) struct Cells {
    pub(super) bytes: Vec<u8>,
    pub(super) lengths: Vec<i32>,
}

/// Many values that are read where they lie, in the guest's memory.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Keys {
    pub(super) bytes: WasmList<u8>,
    pub(super) lengths: WasmList<i32>,
}

/// What became of a batch.
#[derive(ComponentType, Debug, Default, Lift)]
#[component(record)]
pub(super) struct Outcome {
    pub(super) rows: Vec<Rows>,
    pub(super) rejected: Vec<Rejection>,
    pub(super) filtered: Vec<Filtered>,
}

/// Rows for one target.
#[derive(ComponentType, Debug, Default, Lift)]
#[component(record)]
pub(super) struct Rows {
    pub(super) target: u16,
    pub(super) rows: Cells,
    pub(super) sources: Vec<u32>,
}

/// A message refused.
#[derive(ComponentType, Debug, Lift)]
#[component(record)]
pub(super) struct Rejection {
    pub(super) message: u32,
    pub(super) code: u16,
    pub(super) reason: String,
}

/// A message left out.
#[derive(ComponentType, Debug, Lift)]
#[component(record)]
pub(super) struct Filtered {
    pub(super) message: u32,
    pub(super) code: u16,
}

/// What a plugin says it is.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Description {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) fields: Vec<Field>,
    pub(super) lookups: Vec<Lookup>,
    pub(super) targets: Vec<Target>,
    pub(super) codes: Vec<String>,
    pub(super) wants: Wants,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) optional: bool,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Lookup {
    pub(super) name: String,
    pub(super) key: Column,
    pub(super) columns: Vec<Column>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Target {
    pub(super) table: String,
    pub(super) operation: Operation,
    pub(super) columns: Vec<Column>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

impl From<Column> for row::Column {
    fn from(Column { name, kind }: Column) -> Self {
        Self {
            name,
            kind: kind.into(),
        }
    }
}

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[expect(
    dead_code,
    reason = "wasmtime makes them from what the guest hands over"
)]
#[repr(u8)]
pub(super) enum Operation {
    #[component(name = "upsert")]
    Upsert,
    #[component(name = "delete")]
    Delete,
}

/// `cql-type`, in the order of [`CqlType::ALL`].
#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[expect(
    dead_code,
    reason = "wasmtime makes them from what the guest hands over"
)]
#[repr(u8)]
pub(super) enum Kind {
    #[component(name = "ascii")]
    Ascii,
    #[component(name = "text")]
    Text,
    #[component(name = "blob")]
    Blob,
    #[component(name = "boolean")]
    Boolean,
    #[component(name = "tinyint")]
    Tinyint,
    #[component(name = "smallint")]
    Smallint,
    #[component(name = "int")]
    Int,
    #[component(name = "bigint")]
    Bigint,
    #[component(name = "float")]
    Float,
    #[component(name = "double")]
    Double,
    #[component(name = "timestamp")]
    Timestamp,
    #[component(name = "date")]
    Date,
    #[component(name = "time")]
    Time,
    #[component(name = "uuid")]
    Uuid,
    #[component(name = "timeuuid")]
    Timeuuid,
    #[component(name = "inet")]
    Inet,
    #[component(name = "decimal")]
    Decimal,
    #[component(name = "varint")]
    Varint,
    #[component(name = "duration")]
    Duration,
}

impl From<Kind> for CqlType {
    fn from(kind: Kind) -> Self {
        Self::ALL[kind as usize]
    }
}

/// How much a line of the log matters.
#[derive(Clone, Copy, ComponentType, Debug, Lift, PartialEq, Eq)]
#[component(enum)]
#[expect(
    dead_code,
    reason = "wasmtime makes them from what the guest hands over"
)]
#[repr(u8)]
pub(super) enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// What a plugin may ask for in vain; the order is that of `adapter.wit`.
#[derive(Clone, Copy, ComponentType, Debug, Lift, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(super) enum Asked {
    #[component(name = "files")]
    Files,
    #[component(name = "sockets")]
    Sockets,
    #[component(name = "environment")]
    Environment,
    #[component(name = "clock")]
    Clock,
    #[component(name = "random")]
    Random,
}

flags! {
    Wants {
        #[component(name = "values")]
        const VALUES;
        #[component(name = "keys")]
        const KEYS;
        #[component(name = "timestamps")]
        const TIMESTAMPS;
        #[component(name = "positions")]
        const POSITIONS;
        #[component(name = "headers")]
        const HEADERS;
    }
}
