//! What a plugin says it is, checked before anything relies on it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::lookup::Declared;
use crate::row::{Column, CqlType, Operation, Target};

use super::Error;
use super::bindings::{self, Wants};

/// The most lookups, and the most targets.
const DECLARED_MAX: usize = 16;
/// The most fields, and the most columns of a target or lookup.
const COLUMNS_MAX: usize = 1_000;
const CODES_MAX: usize = 32;

/// A value that the host decodes from each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The member of the message's object; dots lead into nested objects.
    pub name: String,
    /// The type of the cell.
    pub kind: CqlType,
    /// Whether it may be missing or null.
    pub is_optional: bool,
}

/// What a plugin is: the answer of its `init`.
#[derive(Clone, Debug)]
pub struct Description {
    /// The plugin's name: `[a-z0-9-]{1,48}`.
    pub name: String,
    /// The plugin's own version, for people.
    pub version: String,
    /// What is decoded from each message.
    pub fields: Vec<Field>,
    /// The reference data it needs.
    pub lookups: Vec<Declared>,
    /// The tables it writes.
    pub targets: Vec<Target>,
    /// Why it rejects or filters messages.
    pub codes: Vec<Arc<str>>,
    /// What else it sees of each message: of `values`, `keys`, `timestamps`, `positions`, `headers`.
    pub wants: BTreeSet<&'static str>,
}

impl Description {
    /// Whether it deletes rows, and so wants to see tombstones.
    pub(super) fn has_delete(&self) -> bool {
        self.targets
            .iter()
            .any(|target| target.operation == Operation::Delete)
    }
}

impl TryFrom<bindings::Description> for Description {
    type Error = Error;

    fn try_from(given: bindings::Description) -> Result<Self, Error> {
        let fields = given.fields.into_iter().map(|field| Field {
            name: field.name,
            kind: field.kind.into(),
            is_optional: field.optional,
        });
        let lookups = given.lookups.into_iter().map(|lookup| Declared {
            name: lookup.name,
            key: lookup.key.into(),
            columns: lookup.columns.into_iter().map(Column::from).collect(),
        });
        let targets = given.targets.into_iter().map(|target| Target {
            table: target.table,
            operation: match target.operation {
                bindings::Operation::Upsert => Operation::Upsert,
                bindings::Operation::Delete => Operation::Delete,
            },
            columns: target.columns.into_iter().map(Column::from).collect(),
        });
        let description = Self {
            name: given.name,
            version: given.version,
            fields: fields.collect(),
            lookups: lookups.collect(),
            targets: targets.collect(),
            codes: given.codes.into_iter().map(Arc::from).collect(),
            wants: wants(given.wants),
        };
        match fault(&description) {
            Some(fault) => Err(Error::Description(fault)),
            None => Ok(description),
        }
    }
}

fn wants(flags: Wants) -> BTreeSet<&'static str> {
    let names = [
        (Wants::VALUES, "values"),
        (Wants::KEYS, "keys"),
        (Wants::TIMESTAMPS, "timestamps"),
        (Wants::POSITIONS, "positions"),
        (Wants::HEADERS, "headers"),
    ];
    let wanted = names
        .into_iter()
        .filter(|(flag, _)| (flags & *flag) == *flag);
    wanted.map(|(_, name)| name).collect()
}

fn fault(description: &Description) -> Option<String> {
    let Description {
        name,
        version,
        fields,
        lookups,
        targets,
        codes,
        ..
    } = description;
    let is_name = |name: &str, max: usize, others: &str| {
        let is_letter =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || others.contains(c);
        (1..=max).contains(&name.len()) && name.chars().all(is_letter)
    };
    if !is_name(name, 48, "-") {
        return Some(format!("its name {name:?} is not [a-z0-9-]{{1,48}}"));
    }
    if version.len() > 64 || version.contains(char::is_control) {
        return Some("its version is no short line".to_owned());
    }
    if lookups.len() > DECLARED_MAX || targets.len() > DECLARED_MAX {
        return Some(format!(
            "it has more than {DECLARED_MAX} lookups or targets"
        ));
    }
    if targets.is_empty() {
        return Some("it has no target, so nothing would ever be written".to_owned());
    }
    if fields.len() > COLUMNS_MAX || codes.len() > CODES_MAX {
        return Some(format!(
            "it has more than {COLUMNS_MAX} fields or {CODES_MAX} codes"
        ));
    }
    if let Some(code) = codes.iter().find(|code| !is_name(code, 32, "_")) {
        return Some(format!("its code {code:?} is not [a-z0-9_]{{1,32}}"));
    }
    names_fault(description)
}

/// What is wrong with the names that must be told apart.
fn names_fault(description: &Description) -> Option<String> {
    let Description {
        fields,
        lookups,
        targets,
        codes,
        ..
    } = description;
    if targets
        .iter()
        .any(|target| target.table.is_empty() || target.columns.is_empty())
    {
        return Some("a target has no table or no columns".to_owned());
    }
    let mut names: Vec<(&str, Vec<&str>)> = vec![
        (
            "the fields",
            fields.iter().map(|field| &*field.name).collect(),
        ),
        ("the codes", codes.iter().map(|code| &**code).collect()),
        (
            "the lookups",
            lookups.iter().map(|lookup| &*lookup.name).collect(),
        ),
    ];
    let columns = |columns: &'static str, list| (columns, column_names(list));
    names.extend(
        targets
            .iter()
            .map(|target| columns("the columns of a target", &target.columns)),
    );
    names.extend(
        lookups
            .iter()
            .map(|lookup| columns("the columns of a lookup", &lookup.columns)),
    );
    names.iter().find_map(|(whose, names)| {
        if names.len() > COLUMNS_MAX {
            return Some(format!("{whose} are more than {COLUMNS_MAX}"));
        }
        let mut seen = BTreeSet::new();
        let odd = names
            .iter()
            .find(|name| name.is_empty() || !seen.insert(**name))?;
        Some(format!("{whose} have the name {odd:?} empty or twice"))
    })
}

fn column_names(columns: &[Column]) -> Vec<&str> {
    columns.iter().map(|column| &*column.name).collect()
}
