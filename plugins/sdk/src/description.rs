//! What a plugin says of itself, as constants: a mistake in a name does not compile.

use crate::component::types as wit;
use crate::{CqlType, Refusal};

pub use wit::Wants;

/// A named cell and its type.
pub type Column = (&'static str, CqlType);

/// A member of the messages that the host decodes: see [`crate::Batch::field`].
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub(crate) name: &'static str,
    kind: CqlType,
    optional: bool,
}

impl Field {
    /// A member that every message must have; dots lead into nested objects.
    pub const fn new(name: &'static str, kind: CqlType) -> Self {
        Self {
            name,
            kind,
            optional: false,
        }
    }

    /// A member that may be missing or null.
    pub const fn optional(name: &'static str, kind: CqlType) -> Self {
        Self {
            name,
            kind,
            optional: true,
        }
    }
}

/// Reference data to look things up in: see [`crate::Batch::find`].
#[derive(Clone, Copy, Debug)]
pub struct Lookup {
    pub(crate) name: &'static str,
    key: Column,
    pub(crate) columns: &'static [Column],
}

impl Lookup {
    /// Finds `columns` by `key`. Which file the data is in is the pipeline's business.
    pub const fn new(name: &'static str, key: Column, columns: &'static [Column]) -> Self {
        Self { name, key, columns }
    }
}

/// A table to write into: see [`crate::Outcome::row`].
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub(crate) table: &'static str,
    operation: wit::Operation,
    columns: &'static [&'static [Column]],
}

impl Target {
    /// Rows that write these columns; the slices stand one after another.
    pub const fn upsert(table: &'static str, columns: &'static [&'static [Column]]) -> Self {
        Self {
            table,
            operation: wit::Operation::Upsert,
            columns,
        }
    }

    /// Rows that delete: the columns are those of the table's primary key.
    pub const fn delete(table: &'static str, key: &'static [&'static [Column]]) -> Self {
        Self {
            table,
            operation: wit::Operation::Delete,
            columns: key,
        }
    }

    /// Its columns, in the order of a row's cells.
    pub(crate) fn columns(self) -> impl Iterator<Item = Column> {
        self.columns.iter().copied().flatten().copied()
    }
}

/// A reason for which the plugin refuses messages: see [`crate::Outcome::reject`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub(crate) &'static str);

impl Code {
    /// A code of `[a-z0-9_]{1,32}`: it is a label of the host's metrics.
    ///
    /// # Panics
    /// If it is none; in a constant that does not compile.
    pub const fn new(code: &'static str) -> Self {
        assert!(
            is_name(code, b'_', 32),
            "a code is 1 to 32 of a-z, 0-9 and _"
        );
        Self(code)
    }

    /// The error for a message that cannot be used, with a reason for a person.
    pub fn rejected(self, reason: impl Into<String>) -> Refusal {
        Refusal::Rejected(self, reason.into())
    }

    /// The error for a message that is left out on purpose.
    pub fn filtered(self) -> Refusal {
        Refusal::Filtered(self)
    }
}

/// What a plugin is: what it reads, what it writes and why it may refuse.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Its name: `[a-z0-9-]{1,48}`.
    pub name: &'static str,
    /// Its version, for people.
    pub version: &'static str,
    /// The members of the messages that it reads.
    pub fields: &'static [Field],
    /// The reference data that it needs.
    pub lookups: &'static [Lookup],
    /// The tables that it writes.
    pub targets: &'static [Target],
    /// The reasons for which it refuses messages.
    pub codes: &'static [Code],
    /// What else of the messages it wants to see: their raw values, keys, times and so on.
    pub wants: &'static [Wants],
}

impl Description {
    /// A plugin that reads and writes nothing: what is left open of a description.
    ///
    /// # Panics
    /// If the name is not `[a-z0-9-]{1,48}`; in a constant that does not compile.
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        assert!(
            is_name(name, b'-', 48),
            "a plugin's name is 1 to 48 of a-z, 0-9 and -"
        );
        Self {
            name,
            version,
            fields: &[],
            lookups: &[],
            targets: &[],
            codes: &[],
            wants: &[],
        }
    }

    pub(crate) fn to_wit(self) -> wit::Description {
        let column = |(name, kind): Column| wit::Column {
            name: name.into(),
            kind,
        };
        let field = |field: &Field| wit::Field {
            name: field.name.into(),
            kind: field.kind,
            optional: field.optional,
        };
        let lookup = |lookup: &Lookup| wit::Lookup {
            name: lookup.name.into(),
            key: column(lookup.key),
            columns: lookup.columns.iter().copied().map(column).collect(),
        };
        let target = |target: &Target| wit::Target {
            table: target.table.into(),
            operation: target.operation,
            columns: target.columns().map(column).collect(),
        };
        wit::Description {
            name: self.name.into(),
            version: self.version.into(),
            fields: self.fields.iter().map(field).collect(),
            lookups: self.lookups.iter().map(lookup).collect(),
            targets: self.targets.iter().map(target).collect(),
            codes: self.codes.iter().map(|code| code.0.into()).collect(),
            wants: (self.wants.iter()).fold(Wants::empty(), |all, &wants| all | wants),
        }
    }
}

impl PartialEq for Target {
    /// One table may have several targets. Their columns, constants of the plugin, are nearly always
    /// at the same address: this is asked for every row.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table
            && self.operation == other.operation
            && (std::ptr::eq(self.columns, other.columns) || self.columns == other.columns)
    }
}

/// The index of what was declared under a name.
#[inline]
pub(crate) fn position<T>(declared: &[T], name: &str, name_of: impl Fn(&T) -> &str) -> usize {
    match declared.iter().position(|item| name_of(item) == name) {
        Some(index) => index,
        None => panic!("`{name}` is not in the plugin's description"),
    }
}

const fn is_name(name: &str, punctuation: u8, length_max: usize) -> bool {
    let (bytes, mut i) = (name.as_bytes(), 0);
    while i < bytes.len() {
        if !matches!(bytes[i], b'a'..=b'z' | b'0'..=b'9') && bytes[i] != punctuation {
            return false;
        }
        i += 1;
    }
    0 < i && i <= length_max
}
