//! What holds, and why: every setting with its value and its origin.

use serde::Serialize;

use super::document::{Document, Origin, Path};
use super::fault::written;
use super::reads::{is_reference, is_secret};
use super::schema::{Kind, Shape};

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its key, from the file's root: `kafka.brokers`.
    pub key: String,
    /// Its value; `None`, if none is given and none is needed.
    pub value: Option<serde_json::Value>,
    /// `default`, `pipeline.toml:12`, a variable's name, or a flag's.
    pub origin: String,
}

/// What is shown instead of a secret.
const REDACTED: &str = "(redacted)";

impl Document {
    /// Every setting, in the order of the schema. What is secret is shown only where it says where
    /// the secret is.
    pub fn settings(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        self.list(Shape::root(), &mut Path::new(), &mut settings);
        settings
    }

    fn list(&self, shape: Shape, path: &mut Path, settings: &mut Vec<Setting>) {
        let below: Vec<(String, Shape)> = self.below(shape, path);
        for (key, shape) in below {
            path.push(key);
            let value = self.value(path);
            let is_section = match value {
                Some(toml::Value::Table(_)) => true,
                Some(toml::Value::Array(list)) => list.iter().any(toml::Value::is_table),
                Some(_) => false,
                None => shape.kind() == Kind::Section,
            };
            if is_section {
                self.list(shape, path, settings);
            } else {
                settings.push(self.setting(path));
            }
            path.pop();
        }
    }

    /// The keys of a section, or the numbers of a list.
    fn below(&self, shape: Shape, path: &Path) -> Vec<(String, Shape)> {
        let said: Vec<String> = match self.value(path) {
            Some(toml::Value::Array(list)) => {
                let numbers = (0..list.len()).map(|index| index.to_string());
                return numbers.map(|number| (number, shape.elements())).collect();
            }
            Some(toml::Value::Table(table)) => table.keys().cloned().collect(),
            // A section that may be left out, and is, has no settings.
            None if !path.is_empty() => return Vec::new(),
            Some(_) | None => self.table.keys().cloned().collect(),
        };
        let own = shape.keys().map(str::to_owned);
        let others = said
            .into_iter()
            .filter(|key| !shape.keys().any(|known| known == key));
        let keys = own.chain(others);
        keys.filter_map(|key| shape.at(&key).map(|shape| (key, shape)))
            .collect()
    }

    fn setting(&self, path: &Path) -> Setting {
        let value = self.value(path).map(|value| match value.as_str() {
            Some(text) if is_reference(text) => text.into(),
            _ if path.iter().any(|key| is_secret(key)) => REDACTED.into(),
            _ => serde_json::to_value(value).unwrap_or_default(),
        });
        Setting {
            key: written(path),
            value,
            origin: self.origin_text(path),
        }
    }

    fn origin_text(&self, path: &Path) -> String {
        let is_there = self.value(path).is_some();
        match self.origin(path).filter(|_| is_there) {
            None | Some(Origin::Default) => "default".to_owned(),
            Some(Origin::Name(name)) => name.clone(),
            Some(Origin::File { value, .. }) => {
                let line = self.text[..value.start].matches('\n').count() + 1;
                let file = self.name.rsplit('/').next().unwrap_or(&self.name);
                let file = file.strip_suffix(" (carried)").unwrap_or(file);
                format!("{file}:{line}")
            }
        }
    }

    /// The places of secrets in the file's text.
    pub(super) fn secrets(&self) -> Vec<std::ops::Range<usize>> {
        self.origins()
            .filter(|(path, _)| path.iter().any(|key| is_secret(key)))
            .filter_map(|(path, origin)| match (origin, self.value(path)) {
                (Origin::File { .. }, Some(toml::Value::String(text))) if is_reference(text) => {
                    None
                }
                // A section's place is its header.
                (Origin::File { .. }, Some(toml::Value::Table(_))) => None,
                (Origin::File { value, .. }, _) => Some(value.clone()),
                (Origin::Default | Origin::Name(_), _) => None,
            })
            .collect()
    }
}
