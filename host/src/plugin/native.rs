//! A plugin linked natively in place of its guest, so that `benches/transform.rs` can tell what
//! WebAssembly costs: all else is the same. The host itself never does this.

use super::bindings::{self, Cells, Messages, Outcome};

/// Some messages as a native plugin takes them: of all that a guest is given, the fields.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// How many messages there are.
    pub count: u32,
    /// Each field's cells: their bytes and their lengths.
    pub fields: &'a [(&'a [u8], &'a [i32])],
}

/// Rows for one target, as `rows` of `wit/plugin.wit`.
#[derive(Debug, Default)]
pub struct Rows {
    /// Index into the description's targets.
    pub target: u16,
    /// The rows, one after another.
    pub bytes: Vec<u8>,
    /// The length of each.
    pub lengths: Vec<i32>,
    /// The message that each comes from.
    pub sources: Vec<u32>,
}

/// What answers instead of the guest.
pub type Transform<'a> = dyn FnMut(Given<'_>) -> Vec<Rows> + 'a;

pub(super) fn call(transform: &mut Transform<'_>, messages: &Messages<'_>) -> Outcome {
    let fields = messages.fields.iter();
    let fields: Vec<_> = fields.map(|field| (field.bytes, field.lengths)).collect();
    let rows = transform(Given {
        count: messages.count,
        fields: &fields,
    });
    let rows = rows.into_iter().map(|rows| bindings::Rows {
        target: rows.target,
        rows: Cells {
            bytes: rows.bytes,
            lengths: rows.lengths,
        },
        sources: rows.sources,
    });
    Outcome {
        rows: rows.collect(),
        ..Outcome::default()
    }
}
