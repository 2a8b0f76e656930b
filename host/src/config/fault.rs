//! What is wrong with a configuration: all of it at once, each with its place and the way out.

mod render;

pub(super) use render::{render, render_torn};

use super::document::Path;
use super::schema::{Kind, Shape};
use super::{reads, security};
use crate::nearest::hint;

/// One thing that is wrong.
pub(super) struct Fault {
    /// Where.
    pub(super) path: Path,
    /// Whether the key there is wrong, or the value.
    pub(super) at: At,
    /// What.
    pub(super) what: String,
    /// What to do.
    pub(super) help: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Key,
    Value,
}

/// Holds a document to the schema.
pub(super) fn find(table: &toml::Table) -> Vec<Fault> {
    let mut search = Search::default();
    search.section(Shape::root(), table);
    search.faults
}

/// How a path is written in a message: `plugin.limits.call_max`, `contact_points[0]`.
pub(super) fn written(path: &[String]) -> String {
    let mut text = String::new();
    for key in path {
        let is_bare = |key: &str| key.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
        match key.parse::<usize>() {
            Ok(index) => text += &format!("[{index}]"),
            Err(_) => {
                text += if text.is_empty() { "" } else { "." };
                text += &if is_bare(key) {
                    key.clone()
                } else {
                    format!("\"{key}\"")
                };
            }
        }
    }
    text
}

#[derive(Default)]
struct Search {
    path: Path,
    faults: Vec<Fault>,
}

impl Search {
    fn add(&mut self, at: At, what: String, help: Option<String>) {
        let path = self.path.clone();
        self.faults.push(Fault {
            path,
            at,
            what,
            help,
        });
    }

    fn section(&mut self, shape: Shape, table: &toml::Table) {
        for (key, value) in table {
            self.path.push(key.clone());
            match shape.at(key) {
                Some(below) => self.value(below, value),
                None => self.unknown(shape, key),
            }
            self.path.pop();
        }
        let lacks = |key: &&str| !table.contains_key(*key);
        let missing: Vec<&str> = shape.required().filter(lacks).collect();
        if missing.is_empty() {
            return;
        }
        let keys = missing.join("`, `");
        let what = match written(&self.path).as_str() {
            "" => format!("the file lacks `{keys}`"),
            section => format!("[{section}] lacks `{keys}`"),
        };
        let about = |key: &&str| Some(format!("{key}: {}", shape.at(key)?.about()?));
        let help = missing
            .iter()
            .filter_map(about)
            .collect::<Vec<_>>()
            .join("\n");
        self.add(At::Key, what, Some(help));
    }

    fn unknown(&mut self, section: Shape, key: &str) {
        let known: Vec<String> = section.keys().map(str::to_owned).collect();
        let what = match written(&self.path[..self.path.len() - 1]).as_str() {
            "" => format!("the file has no key `{key}`"),
            section => format!("[{section}] has no key `{key}`"),
        };
        self.add(At::Key, what, Some(hint(key, &known)));
    }

    fn value(&mut self, shape: Shape, value: &toml::Value) {
        let about = || shape.about().map(str::to_owned);
        match (shape.kind(), value) {
            (Kind::Any, _) => {}
            (Kind::Section, toml::Value::Table(table)) => self.section(shape, table),
            (Kind::List, toml::Value::Array(list)) => self.list(shape, list),
            (Kind::Text, toml::Value::String(text)) => self.text(shape, text),
            (Kind::Boolean, toml::Value::Boolean(_)) => {}
            (Kind::Integer, toml::Value::Integer(number)) => {
                if let Some(least) = shape.minimum().filter(|least| number < least) {
                    let what = format!("`{}` is at least {least}", written(&self.path));
                    self.add(At::Value, what, about());
                }
            }
            (kind, value) => {
                let (expected, is) = (expected(kind, shape.reads()), value.type_str());
                let what = format!(
                    "`{}` takes {expected}, and this is of type {is}",
                    written(&self.path)
                );
                self.add(At::Value, what, about());
            }
        }
    }

    fn list(&mut self, shape: Shape, list: &[toml::Value]) {
        if list.len() < shape.elements_min() {
            let what = format!("`{}` is empty", written(&self.path));
            self.add(At::Value, what, shape.about().map(str::to_owned));
        }
        for (index, element) in list.iter().enumerate() {
            self.path.push(index.to_string());
            self.value(shape.elements(), element);
            if let (Some(reads), Some(text)) = (shape.reads(), element.as_str()) {
                self.reads(reads, text);
            }
            self.path.pop();
        }
    }

    fn text(&mut self, shape: Shape, text: &str) {
        let choices: Vec<String> = shape.choices().map(str::to_owned).collect();
        if !choices.is_empty() && !choices.iter().any(|choice| choice == text) {
            let what = format!("`{}` cannot be `{text}`", written(&self.path));
            self.add(At::Value, what, Some(hint(text, &choices)));
        }
        // librdkafka's properties have no shapes of their own.
        let is_secret = match &self.path[..] {
            [kafka, properties, name] if kafka == "kafka" && properties == "properties" => {
                security::is_secret(name)
            }
            _ => false,
        };
        if let Some(reads) = shape.reads().or(is_secret.then_some("secret")) {
            self.reads(reads, text);
        }
    }

    fn reads(&mut self, reads: &str, text: &str) {
        if let Err(reason) = reads::check(reads, text) {
            let (what, help) = match reason.split_once(": ") {
                Some((what, help)) => (what.to_owned(), Some(help.to_owned())),
                None => (reason, None),
            };
            self.add(
                At::Value,
                format!("`{}`: {what}", written(&self.path)),
                help,
            );
        }
    }
}

fn expected(kind: Kind, reads: Option<&str>) -> &'static str {
    match kind {
        Kind::Text if reads == Some("duration") => "a time such as \"30s\"",
        Kind::Text if reads == Some("share") => "a share such as \"2%\"",
        Kind::Text => "a string",
        Kind::Integer => "a whole number",
        Kind::Boolean => "true or false",
        Kind::List => "a list",
        Kind::Section => "a section",
        Kind::Any => "anything",
    }
}
