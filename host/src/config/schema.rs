//! The JSON schema of `pipeline.toml`, made from [`File`](super::File) and its doc comments: what
//! editors are given, and what files, variables and flags are held to.

use std::sync::LazyLock;

use schemars::transform::RecursiveTransform;
use schemars::{Schema, generate::SchemaSettings};
use serde_json::Value;

use super::File;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let settings = settings.with_transform(RecursiveTransform(as_toml));
    settings
        .into_generator()
        .into_root_schema_for::<File>()
        .to_value()
});

/// Marks a section that may be left out as a whole, and then has no defaults: to say it is to ask
/// for something.
const OPTIONAL: &str = "x-optional";

/// TOML has no null: what is not given is not there. A doc comment's lines are one text.
fn as_toml(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            if only == "object" {
                schema.insert(OPTIONAL.to_owned(), true.into());
            }
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::String(about)) = schema.get_mut("description") {
        *about = about.replace('\n', " ");
    }
    // `uint` and its like are Rust's.
    schema.remove("format");
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
    if let Some(Value::Array(forms)) = schema.get_mut("anyOf") {
        forms.retain(|form| form["type"] != "null");
        if let [Value::Object(only)] = &forms[..] {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                schema.ensure_object().entry(key).or_insert(value);
            }
        }
    }
}

/// The schema as a text of JSON.
pub fn text() -> String {
    format!("{:#}\n", *SCHEMA)
}

/// What the schema says of one place in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape(&'static Value);

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Boolean,
    List,
    /// Keys with values of their own shapes.
    Section,
    /// Whatever the plugin makes of it.
    Any,
}

impl Shape {
    /// The whole file.
    pub(super) fn root() -> Self {
        Self(&SCHEMA)
    }

    pub(super) fn kind(self) -> Kind {
        match self.0["type"].as_str() {
            Some("string") => Kind::Text,
            Some("integer") => Kind::Integer,
            Some("boolean") => Kind::Boolean,
            Some("array") => Kind::List,
            Some("object") => Kind::Section,
            Some(_) | None if self.choices().next().is_some() => Kind::Text,
            Some(_) | None => Kind::Any,
        }
    }

    /// The shape of what stands under a key, if the key may be there.
    pub(super) fn at(self, key: &str) -> Option<Self> {
        let named = self.0["properties"].get(key);
        named.map(Self).or_else(|| self.others())
    }

    /// The shape of what stands under keys that the file's author names.
    pub(super) fn others(self) -> Option<Self> {
        if !matches!(self.kind(), Kind::Section | Kind::Any) {
            return None;
        }
        // Without a word about others, or with `true`, any may follow: a shape that asks for nothing.
        let others = &self.0["additionalProperties"];
        let is_closed = *others == Value::Bool(false);
        (!is_closed).then_some(Self(others))
    }

    /// The shape of a list's elements.
    pub(super) fn elements(self) -> Self {
        Self(&self.0["items"])
    }

    /// The keys that have names, in the order of their declaration.
    pub(super) fn keys(self) -> impl Iterator<Item = &'static str> {
        let named = self.0["properties"].as_object();
        named
            .into_iter()
            .flat_map(|named| named.keys())
            .map(String::as_str)
    }

    /// Whether there need not be such a section at all.
    pub(super) fn is_optional(self) -> bool {
        self.0[OPTIONAL] == true
    }

    /// The keys that must be there.
    pub(super) fn required(self) -> impl Iterator<Item = &'static str> {
        let required = self.0["required"].as_array();
        required.into_iter().flatten().filter_map(Value::as_str)
    }

    /// The texts that may stand here, if not any may.
    pub(super) fn choices(self) -> impl Iterator<Item = &'static str> {
        let choices = self.0["oneOf"].as_array().into_iter().flatten();
        choices.filter_map(|choice| choice["const"].as_str())
    }

    /// What a text must read as.
    pub(super) fn reads(self) -> Option<&'static str> {
        self.0["x-reads"].as_str()
    }

    pub(super) fn minimum(self) -> Option<i64> {
        self.0["minimum"].as_i64()
    }

    /// The fewest elements of a list.
    pub(super) fn elements_min(self) -> usize {
        let least = self.0["minItems"].as_u64();
        least
            .and_then(|least| usize::try_from(least).ok())
            .unwrap_or(0)
    }

    /// What holds if nothing is said.
    pub(super) fn default(self) -> Option<toml::Value> {
        let default = self.0.get("default")?;
        toml::Value::try_from(default).ok()
    }

    /// What it is for, in a sentence.
    pub(super) fn about(self) -> Option<&'static str> {
        self.0["description"].as_str()
    }
}
