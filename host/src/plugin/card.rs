//! What a person wants to know of a plugin before running it.

use std::fmt;

use serde::Serialize;

use crate::row::{Column, Operation};

use super::Plugin;
use super::bindings::VERSION;

/// A plugin at a glance: what it is, what it may call, what it reads and writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Card {
    /// The plugin's name.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// The contract it is made for.
    pub contract: String,
    /// The SHA-256 of its file.
    pub digest: String,
    /// The size of its file, in bytes.
    pub size: usize,
    /// How long it took to compile, in milliseconds; `None` = it was in the cache.
    pub compile_ms: Option<u64>,
    /// The interfaces it calls.
    pub imports: Vec<String>,
    /// What is decoded from each message: name and type, with `?` if it may be missing.
    pub fields: Vec<String>,
    /// What else it sees of each message.
    pub wants: Vec<String>,
    /// The reference data it needs.
    pub lookups: Vec<Part>,
    /// The tables it writes.
    pub targets: Vec<Part>,
    /// Why it rejects or filters messages.
    pub codes: Vec<String>,
}

/// A lookup or a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name, with what it does.
    pub name: String,
    /// Its columns: name and type.
    pub columns: Vec<String>,
}

impl Card {
    pub(super) fn of(plugin: &Plugin) -> Self {
        let shared = &*plugin.0;
        let description = &shared.description;
        let column = |column: &Column| format!("{} {}", column.name, column.kind.name());
        let fields = description.fields.iter().map(|field| {
            let optional = if field.is_optional { "?" } else { "" };
            format!("{} {}{optional}", field.name, field.kind.name())
        });
        let lookups = description.lookups.iter().map(|lookup| Part {
            name: format!("{} by {}", lookup.name, column(&lookup.key)),
            columns: lookup.columns.iter().map(column).collect(),
        });
        let targets = description.targets.iter().map(|target| Part {
            name: match target.operation {
                Operation::Upsert => target.table.clone(),
                Operation::Delete => format!("{} (deletes)", target.table),
            },
            columns: target.columns.iter().map(column).collect(),
        });
        let compile_ms = |time: std::time::Duration| u64::try_from(time.as_millis());
        Self {
            name: description.name.clone(),
            version: description.version.clone(),
            contract: format!("sluice:plugin@{VERSION}"),
            digest: shared.digest.clone(),
            size: shared.size,
            compile_ms: shared.compiled_in.and_then(|time| compile_ms(time).ok()),
            imports: shared.world.imports.clone(),
            fields: fields.collect(),
            wants: description.wants.iter().map(ToString::to_string).collect(),
            lookups: lookups.collect(),
            targets: targets.collect(),
            codes: description.codes.iter().map(ToString::to_string).collect(),
        }
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.name, self.version)?;
        let compiled = self
            .compile_ms
            .map_or("from the cache".to_owned(), |ms| format!("in {ms} ms"));
        line(f, "contract", &self.contract)?;
        line(f, "digest", &self.digest)?;
        line(
            f,
            "size",
            &format!("{} bytes, compiled {compiled}", self.size),
        )?;
        list(f, "imports", &self.imports)?;
        list(f, "fields", &self.fields)?;
        list(f, "wants", &self.wants)?;
        for lookup in &self.lookups {
            list(f, "lookup", std::slice::from_ref(&lookup.name))?;
            list(f, "", &lookup.columns)?;
        }
        for target in &self.targets {
            list(f, "target", std::slice::from_ref(&target.name))?;
            list(f, "", &target.columns)?;
        }
        list(f, "codes", &self.codes)
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {name:<9} {text}")
}

/// The names in lines of moderate length.
fn list(f: &mut fmt::Formatter<'_>, name: &str, names: &[String]) -> fmt::Result {
    if names.is_empty() {
        return line(f, name, "none");
    }
    let mut rest = names;
    let mut heading = name;
    while !rest.is_empty() {
        let mut width = 0;
        let fits = rest.iter().take_while(|name| {
            width += name.len() + 2;
            width <= 86
        });
        let (now, later) = rest.split_at(fits.count().max(1));
        line(f, heading, &now.join(", "))?;
        (rest, heading) = (later, "");
    }
    Ok(())
}
