//! What a plugin's file brings beside its code, so that one file is a whole pipeline: its
//! `pipeline.toml`, schema, queries, reference data and samples, each a custom section `sluice:*`.
//!
//! Who made the file need not be trusted. What a `pipeline.toml` in it may say is listed here; the rest
//! is refused, so that it names no command, no server, no secret and no file of whoever runs it.

use std::collections::BTreeMap;
use std::path::Path;

use super::Error;
use super::fault::written;
use super::found::{Found, Named, Text, list_bytes, lookup_bytes};
use crate::plugin::{self, SECTION_BYTES_MAX};
use crate::terminal::{self, is_hidden};

/// How the names of the sections begin.
const PREFIX: &str = "sluice:";

/// A file of a pipeline's folder: what becomes of its samples.
pub const GOLDEN_FILE: &str = "golden.txt";

/// The sections, and what a message calls them.
const PIPELINE: (&str, &str) = ("pipeline", "pipeline.toml");
const SCHEMA: (&str, &str) = ("schema", "schema.cql");
const QUERIES: (&str, &str) = ("queries", "queries.cql");
pub(super) const SAMPLES: (&str, &str) = ("samples", "samples.jsonl");
pub(super) const GOLDEN: (&str, &str) = ("golden", GOLDEN_FILE);
const LOOKUP: &str = "lookup:";
const LIST: &str = "list:";

/// What a `pipeline.toml` in a plugin's file may say, with all below it; `*` is any key.
const MAY_SAY: [&str; 10] = [
    "name",
    "topic",
    "plugin.path",
    "plugin.config",
    "lookups.*.path",
    "lookups.*.header",
    "rejections",
    "cassandra.keyspace",
    "produce",
    "demo",
];

/// Where it may say how a file is called, which then is a section: never where one is.
const PATHS: [&str; 3] = ["plugin.path", "lookups.*.path", "produce.lists.*.path"];

/// What sections take the place of, and what is of no use without the sources.
const REPLACED: [&str; 3] = ["schema", "queries", "build"];

/// Whose texts are never shown but with their control characters escaped.
const ANY_TEXT: &str = "plugin.config";

/// How many names `[produce]` may make up, where whoever made the file says it: they are all in memory.
const PEOPLE: &str = "produce.people";
const PEOPLE_MAX: i64 = 1_000_000;

/// The longest name of a pipeline that a plugin's file brings, in bytes.
const NAME_BYTES_MAX: usize = 48;

/// Keyspaces that are nobody's tables: the database's begin so, and the host's own is called so.
const SYSTEM: &str = "system";
const OWN: &str = "sluice";

/// A pipeline in a plugin's file.
pub(super) struct Inside {
    /// What messages call the file.
    plugin: String,
    /// By the rest of their names; `None`: it is too large.
    sections: BTreeMap<String, Option<Vec<u8>>>,
}

impl Inside {
    /// What a plugin brings; `None`, if there is no `pipeline.toml` in it.
    pub(super) fn of(plugin: &str, bytes: &[u8]) -> Option<Self> {
        let sections = plugin::sections(bytes, PREFIX).into_iter();
        let fits = |bytes: &[u8]| (bytes.len() <= SECTION_BYTES_MAX).then(|| bytes.to_vec());
        let inside = Self {
            plugin: plugin.to_owned(),
            sections: sections.map(|(name, bytes)| (name, fits(bytes))).collect(),
        };
        inside.sections.contains_key(PIPELINE.0).then_some(inside)
    }

    /// Its `pipeline.toml`, which says nothing that it may not.
    pub(super) fn pipeline(&self) -> Result<Text, Error> {
        let text = self.text(PIPELINE)?.expect("it was found");
        // What is no TOML is told by whoever reads it.
        if let Ok(table) = text.text.parse() {
            check(table).map_err(|reason| self.refused(reason))?;
        }
        Ok(text)
    }

    pub(super) fn schema(&self) -> Result<Option<Text>, Error> {
        self.text(SCHEMA)
    }

    pub(super) fn queries(&self) -> Result<Option<Text>, Error> {
        self.text(QUERIES)
    }

    pub(super) fn lookup(&self, name: &str) -> Result<Option<Named>, Error> {
        self.section((&format!("{LOOKUP}{name}"), name))
    }

    pub(super) fn list(&self, name: &str) -> Result<Option<Named>, Error> {
        self.section((&format!("{LIST}{name}"), name))
    }

    /// A section, and what to call it.
    pub(super) fn section(&self, (name, shown): (&str, &str)) -> Result<Option<Named>, Error> {
        let label = format!("{shown} in {}", self.plugin);
        match self.sections.get(name) {
            None => Ok(None),
            Some(Some(bytes)) => Ok(Some((label, bytes.clone()))),
            Some(None) => Err(self.refused(format!(
                "its section {PREFIX}{name} has more than {SECTION_BYTES_MAX} bytes"
            ))),
        }
    }

    fn text(&self, section: (&str, &str)) -> Result<Option<Text>, Error> {
        let Some((name, bytes)) = self.section(section)? else {
            return Ok(None);
        };
        match String::from_utf8(bytes) {
            // A lone return of the carriage would hide what stands before it.
            Ok(text) if !hides(&text.replace("\r\n", "").replace(['\n', '\t'], "")) => {
                Ok(Some(Text { name, text }))
            }
            Ok(_) | Err(_) => Err(self.refused(format!("its {} is no text", section.1))),
        }
    }

    fn refused(&self, reason: String) -> Error {
        Error::Inside {
            plugin: self.plugin.clone(),
            reason,
        }
    }
}

/// What goes into a plugin's file, and what does not.
pub struct Brought {
    /// The sections, with their whole names.
    pub sections: Vec<(String, Vec<u8>)>,
    /// What cannot go along, and why.
    pub left: Vec<String>,
}

/// What goes into the file of a pipeline's plugin.
///
/// # Errors
/// If a file that belongs to the pipeline cannot be read.
pub fn sections(found: &Found) -> Result<Brought, Error> {
    let (mut sections, mut left) = (Vec::new(), Vec::new());
    let mut add = |name: &str, bytes: Vec<u8>| {
        if bytes.len() <= SECTION_BYTES_MAX {
            sections.push((format!("{PREFIX}{name}"), bytes));
            return None;
        }
        Some(format!(
            "{name}, which has more than {SECTION_BYTES_MAX} bytes"
        ))
    };
    let folder = found.folder.as_deref().unwrap_or(Path::new(""));
    for (section, file) in [SAMPLES, GOLDEN] {
        if let Ok(bytes) = std::fs::read(folder.join(file)) {
            left.extend(add(section, bytes));
        }
    }
    for name in found.file.lookups.keys() {
        let (_, csv) = lookup_bytes(found, name)?;
        left.extend(add(&format!("{LOOKUP}{name}"), csv));
    }
    let lists = found.file.produce.iter().flat_map(|it| it.lists.keys());
    for name in lists {
        let ((_, csv), _) = list_bytes(found, name, None)?;
        left.extend(add(&format!("{LIST}{name}"), csv));
    }
    for ((section, _), text) in [(SCHEMA, &found.schema), (QUERIES, &found.queries)] {
        if let Some(text) = text {
            left.extend(add(section, text.text.clone().into_bytes()));
        }
    }
    let (table, mut said) = of_text(&found.document.text);
    said.retain(|key| !REPLACED.contains(&key.as_str()));
    left.extend(
        said.into_iter()
            .map(|key| format!("`{key}` of {}", found.config)),
    );
    match check(table.clone()) {
        Ok(()) => left.extend(add(PIPELINE.0, table.to_string().into_bytes())),
        Err(reason) => left.push(format!("{}: {reason}", found.config)),
    }
    Ok(Brought { sections, left })
}

/// What of a `pipeline.toml` may go into a plugin's file, and the keys that may not.
fn of_text(text: &str) -> (toml::Table, Vec<String>) {
    let mut table: toml::Table = text.parse().expect("it was read before");
    let mut left = Vec::new();
    take_out(&mut table, &mut Vec::new(), &mut left);
    each(&mut table, &mut Vec::new(), &mut |path, value| {
        if is_one(path, &PATHS)
            && let toml::Value::String(text) = value
            && let Some(name) = Path::new(text).file_name()
        {
            *text = name.to_string_lossy().into_owned();
        }
    });
    (table, left)
}

/// Whether a `pipeline.toml` says only what it may.
fn check(mut table: toml::Table) -> Result<(), String> {
    let mut wrong = Vec::new();
    take_out(&mut table, &mut Vec::new(), &mut wrong);
    if !wrong.is_empty() {
        return Err(format!("`{}` is not for it to say", wrong.join("`, `")));
    }
    each(&mut table, &mut Vec::new(), &mut |path, value| {
        let text = value.as_str().unwrap_or_default();
        let key = shown(path);
        if hides(&written(path)) || hides(text) && !is_one(path, &[ANY_TEXT]) {
            wrong.push(format!("there are control characters in `{key}`"));
        } else if key == PEOPLE && value.as_integer().is_some_and(|many| many > PEOPLE_MAX) {
            wrong.push(format!("`{key}` is more than {PEOPLE_MAX}"));
        } else if is_one(path, &PATHS) && !is_plain(text) {
            wrong.push(format!("`{key}` leads out of it, to `{text}`"));
        } else if key == "name" && !is_name(text) {
            wrong.push(format!(
                "`name` is not of letters, digits, `-` and `_`, at most {NAME_BYTES_MAX} in all"
            ));
        } else if key == "cassandra.keyspace" && is_taken(text) {
            wrong.push(format!(
                "the keyspace `{text}` is not for a plugin's tables"
            ));
        }
    });
    wrong.into_iter().next().map_or(Ok(()), Err)
}

/// Takes out what may not be said, and notes the keys.
fn take_out(table: &mut toml::Table, path: &mut Vec<String>, out: &mut Vec<String>) {
    for key in table.keys().cloned().collect::<Vec<_>>() {
        path.push(key.clone());
        if !is_one(path, &MAY_SAY) {
            match table.get_mut(&key) {
                Some(toml::Value::Table(below)) if leads_on(path) => take_out(below, path, out),
                Some(_) | None => {
                    table.remove(&key);
                    out.push(shown(path));
                }
            }
        }
        path.pop();
    }
}

/// Meets every value that is neither a table nor a list, with the keys that lead there; of a list's
/// elements, the list's.
fn each(
    table: &mut toml::Table,
    path: &mut Vec<String>,
    meet: &mut dyn FnMut(&[String], &mut toml::Value),
) {
    for (key, value) in table.iter_mut() {
        path.push(key.clone());
        each_in(value, path, meet);
        path.pop();
    }
}

fn each_in(
    value: &mut toml::Value,
    path: &mut Vec<String>,
    meet: &mut dyn FnMut(&[String], &mut toml::Value),
) {
    match value {
        toml::Value::Table(table) => each(table, path, meet),
        toml::Value::Array(list) => {
            for element in list {
                each_in(element, path, meet);
            }
        }
        toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => meet(path, value),
    }
}

/// Whether one of the patterns leads to this place, or to what it is part of.
fn is_one(path: &[String], patterns: &[&str]) -> bool {
    let leads = |pattern: &&str| {
        let keys: Vec<&str> = pattern.split('.').collect();
        path.len() >= keys.len() && agree(path, &keys)
    };
    patterns.iter().any(leads)
}

/// Whether below this place something may be said.
fn leads_on(path: &[String]) -> bool {
    let leads = |pattern: &&str| agree(path, &pattern.split('.').collect::<Vec<_>>());
    MAY_SAY.iter().any(leads)
}

/// Whether keys are those of a pattern, as far as both go.
fn agree(path: &[String], pattern: &[&str]) -> bool {
    let mut both = path.iter().zip(pattern);
    both.all(|(key, expected)| *expected == "*" || key == expected)
}

/// Whether a path is a file's name and no more.
fn is_plain(path: &str) -> bool {
    Path::new(path).file_name().is_some_and(|name| name == path)
}

/// How a path is written, with nothing hidden.
fn shown(path: &[String]) -> String {
    terminal::line(&written(path))
}

/// Whether a terminal would do something else than show a text as it stands.
fn hides(text: &str) -> bool {
    text.contains(is_hidden)
}

fn is_name(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_word)
}

/// Whether a keyspace is the database's own, or the host's.
pub fn is_taken(keyspace: &str) -> bool {
    let keyspace = keyspace.to_ascii_lowercase();
    let rest = keyspace.strip_prefix(SYSTEM);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_')) || keyspace == OWN
}

#[cfg(test)]
mod tests;
