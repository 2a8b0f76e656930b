//! The layers of a configuration, merged into one document in which every value knows its origin:
//! flags over the environment over the file over defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{self, Fault};
use super::schema::{Kind, Shape};
use super::{Error, File};

/// The prefix of variables that stand over the file: `SLUICE_KAFKA__BROKERS` over `brokers` in
/// `[kafka]`.
pub(super) const PREFIX: &str = "SLUICE_";

/// What stands for the pipeline's name in a default.
pub(super) const NAME: &str = "<name>";

/// The keys that lead to a value from the document's root; in a list, the element's number.
pub(super) type Path = Vec<String>;

/// A setting that the command line gives.
#[derive(Clone, Debug)]
pub struct Flag {
    name: &'static str,
    path: Path,
    value: toml::Value,
}

impl Flag {
    /// The flag as it is typed, and the keys that lead to what it stands over.
    pub fn new(name: &'static str, path: &[&str], value: impl Into<toml::Value>) -> Self {
        let path = path.iter().map(|&key| key.to_owned()).collect();
        let value = value.into();
        Self { name, path, value }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nobody says anything else.
    Default,
    /// The file's text.
    File {
        key: Range<usize>,
        value: Range<usize>,
    },
    /// A variable of the environment, or a flag, by its name.
    Name(String),
}

/// A configuration with the origin of its values.
pub struct Document {
    /// The file's name.
    pub(super) name: String,
    /// The file's text.
    pub(super) text: String,
    pub(super) table: toml::Table,
    origins: BTreeMap<Path, Origin>,
}

/// The name alone: what else it holds may be secret.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut document = f.debug_struct("Document");
        document.field("name", &self.name).finish_non_exhaustive()
    }
}

impl Document {
    /// Merges the layers, and holds the result to the schema.
    pub(super) fn read(
        name: &str,
        text: &str,
        variables: impl Iterator<Item = (String, String)>,
        flags: &[Flag],
    ) -> Result<Self, Error> {
        let (spans, errors) = DeTable::parse_recoverable(text);
        let mut document = Self {
            name: name.to_owned(),
            text: text.to_owned(),
            table: toml::Table::new(),
            origins: BTreeMap::new(),
        };
        document.note_table(&mut Path::new(), spans.get_ref());
        if !errors.is_empty() {
            return Err(document.torn(&errors));
        }
        document.table = text.parse().map_err(|error| document.torn(&[error]))?;
        // By name: a section goes before its keys, however the environment is ordered.
        for (variable, value) in variables.collect::<BTreeMap<_, _>>() {
            document.put_variable(&variable, &value);
        }
        for flag in flags {
            let value = absolute(&flag.path, flag.value.clone());
            document.put(&flag.path, value, &Origin::Name(flag.name.to_owned()));
        }
        let faults = fault::find(&document.table);
        if !faults.is_empty() {
            return Err(document.error(faults));
        }
        document.put_defaults(Shape::root(), &mut Path::new());
        Ok(document)
    }

    /// The document as the program's own type.
    pub(super) fn file(&self) -> Result<File, Error> {
        File::deserialize(self.table.clone()).map_err(|error| Error::Invalid {
            name: self.name.clone(),
            reason: error.to_string().trim_end().to_owned(),
        })
    }

    /// Whether a value comes from a variable or a flag instead of the file.
    pub fn is_overridden(&self, path: &[&str]) -> bool {
        let path: Path = path.iter().map(|&key| key.to_owned()).collect();
        matches!(self.origin(&path), Some(Origin::Name(_)))
    }

    /// Where a value, or what it is part of, comes from.
    pub(super) fn origin(&self, path: &[String]) -> Option<&Origin> {
        let longest_first = (0..=path.len()).rev();
        longest_first
            .filter_map(|length| self.origins.get(&path[..length]))
            .next()
    }

    /// Every place in the document that somebody spoke of.
    pub(super) fn origins(&self) -> impl Iterator<Item = (&Path, &Origin)> {
        self.origins.iter()
    }

    /// The error for what is wrong, pointing at the places.
    pub(super) fn error(&self, faults: Vec<Fault>) -> Error {
        Error::Faults(fault::render(self, faults))
    }

    /// The error for a text that is no TOML.
    fn torn(&self, errors: &[toml::de::Error]) -> Error {
        let said = errors
            .iter()
            .map(|error| (error.message().to_owned(), error.span()));
        Error::Faults(fault::render_torn(self, said.collect()))
    }

    fn note_table(&mut self, path: &mut Path, table: &DeTable<'_>) {
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            self.note(path, key.span(), value);
            path.pop();
        }
    }

    fn note(&mut self, path: &mut Path, key: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let origin = Origin::File {
            key,
            value: value.span(),
        };
        self.origins.insert(path.clone(), origin);
        match value.get_ref() {
            DeValue::Table(table) => self.note_table(path, table),
            DeValue::Array(list) => {
                for (index, element) in list.iter().enumerate() {
                    path.push(index.to_string());
                    self.note(path, element.span(), element);
                    path.pop();
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }

    /// `SLUICE_KAFKA__BROKERS` leads into a section; without `__` it is one of the file's first
    /// keys, or none of ours: `SLUICE_LOG`.
    fn put_variable(&mut self, variable: &str, text: &str) {
        let Some(place) = variable.strip_prefix(PREFIX) else {
            return;
        };
        let path: Path = place
            .to_lowercase()
            .split("__")
            .map(str::to_owned)
            .collect();
        let is_section = |shape: Shape| shape.kind() == Kind::Section;
        if path.len() == 1 && Shape::root().at(&path[0]).is_none_or(is_section) {
            return;
        }
        let value = absolute(&path, typed(shape(&path), text));
        self.put(&path, value, &Origin::Name(variable.to_owned()));
    }

    /// Puts a value over what is there, with the sections that lead to it.
    fn put(&mut self, path: &[String], value: toml::Value, origin: &Origin) {
        let (last, sections) = path.split_last().expect("a value has a key");
        let mut table = &mut self.table;
        for (depth, key) in sections.iter().enumerate() {
            let section = table
                .entry(key)
                .or_insert_with(|| toml::Table::new().into());
            let is_new = !section.is_table();
            if is_new {
                *section = toml::Table::new().into();
            }
            let place = path[..=depth].to_vec();
            if is_new {
                self.origins.insert(place, origin.clone());
            } else {
                self.origins.entry(place).or_insert_with(|| origin.clone());
            }
            table = section.as_table_mut().expect("it was made one");
        }
        table.insert(last.clone(), value);
        self.origins.retain(|place, _| !place.starts_with(path));
        self.origins.insert(path.to_vec(), origin.clone());
    }

    /// Puts defaults where nothing is said: in this section, and in those below that are there or
    /// hold without being there.
    fn put_defaults(&mut self, shape: Shape, path: &mut Path) {
        let table = match path.is_empty() {
            true => Some(&self.table),
            false => self.value(path).and_then(toml::Value::as_table),
        };
        if table.is_none() && shape.is_optional() {
            return;
        }
        let said: Vec<String> = table
            .into_iter()
            .flat_map(|table| table.keys().cloned())
            .collect();
        let own = shape.keys().map(str::to_owned);
        let others = said
            .iter()
            .filter(|key| !shape.keys().any(|known| known == *key))
            .cloned();
        for key in own.chain(others).collect::<Vec<_>>() {
            let Some(below) = shape.at(&key) else {
                continue;
            };
            let is_said = said.contains(&key);
            path.push(key);
            if let Some(default) = below.default().filter(|_| !is_said) {
                let default = named(default, &self.table);
                self.put(path, default, &Origin::Default);
            }
            if below.kind() == Kind::Section {
                self.put_defaults(below, path);
            }
            path.pop();
        }
    }

    /// The value that a path leads to.
    pub(super) fn value<'a>(&'a self, path: &[String]) -> Option<&'a toml::Value> {
        let (first, rest) = path.split_first()?;
        let step = |value: &'a toml::Value, key: &String| match value.as_array() {
            Some(list) => list.get(key.parse::<usize>().ok()?),
            None => value.get(key),
        };
        rest.iter().try_fold(self.table.get(first)?, step)
    }
}

/// The shape at the end of a path, if the file may have it.
fn shape(path: &[String]) -> Option<Shape> {
    let step = |shape: Shape, key: &String| {
        let is_list = shape.kind() == Kind::List;
        if is_list {
            Some(shape.elements())
        } else {
            shape.at(key)
        }
    };
    path.iter().try_fold(Shape::root(), step)
}

/// A variable's text as the type that its place takes; as it is, if it does not read as that.
fn typed(shape: Option<Shape>, text: &str) -> toml::Value {
    let as_toml = || {
        let mut table: toml::Table = format!("v = {text}").parse().ok()?;
        table.remove("v")
    };
    let value = match shape.map(Shape::kind) {
        Some(Kind::Text) => None,
        Some(Kind::List) if !text.trim_start().starts_with('[') => {
            let elements = text.split(',').map(|element| element.trim().to_owned());
            Some(elements.collect::<Vec<_>>().into())
        }
        Some(Kind::List | Kind::Integer | Kind::Boolean | Kind::Section | Kind::Any) | None => {
            as_toml()
        }
    };
    value.unwrap_or_else(|| text.into())
}

/// Paths in the file start at its folder; those of variables and flags start where the user is.
fn absolute(path: &[String], value: toml::Value) -> toml::Value {
    let is_path = shape(path).and_then(Shape::reads) == Some("path");
    match value.as_str().map(std::path::absolute) {
        Some(Ok(path)) if is_path => path.to_string_lossy().into_owned().into(),
        Some(_) | None => value,
    }
}

/// A default with the pipeline's name in its place.
fn named(default: toml::Value, table: &toml::Table) -> toml::Value {
    let name = table
        .get("name")
        .and_then(toml::Value::as_str)
        .unwrap_or_default();
    match default.as_str() {
        Some(text) => text.replace(NAME, name).into(),
        None => default,
    }
}
