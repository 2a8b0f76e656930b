//! What a line of a file stands for that is read as messages: a message's value, as it is; or a whole
//! message, if it is an object whose only member is `$message`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::message::NO_TIMESTAMP;
use crate::nearest::did_you_mean;
use crate::row::push_cell;

/// The last time that a message may have, in milliseconds since 1970: the end of the year 9999.
const LAST_MS: i64 = 253_402_300_799_999;

/// What makes a message of a line, and what may stand in it.
const MESSAGE: &str = "$message";
const KEY: &str = "key";
const HEADERS: &str = "headers";
const TIMESTAMP: &str = "timestamp";
const VALUE: &str = "value";
const MEMBERS: [&str; 4] = [KEY, HEADERS, TIMESTAMP, VALUE];

/// The only member of an object that stands for bytes.
const BASE64: &str = "base64";

/// A message without a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'a> {
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Cow<'a, [u8]>>,
    /// As [`Message::headers`](crate::message::Message::headers) packs them.
    pub headers: Vec<u8>,
    /// In milliseconds since 1970, or [`NO_TIMESTAMP`]; `None`, if nothing is said of it.
    pub timestamp: Option<i64>,
}

impl<'a> Line<'a> {
    /// A message of which nothing but the value is said.
    pub fn of_value(value: &'a [u8]) -> Self {
        Self {
            key: None,
            value: Some(value.into()),
            headers: Vec::new(),
            timestamp: None,
        }
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    /// What is wrong with a message, and how one is written.
    pub fn read(line: &'a [u8]) -> Result<Self, String> {
        if !begins_a_message(line) {
            return Ok(Self::of_value(line));
        }
        let object: Map<String, Value> = serde_json::from_slice(line).map_err(not_json)?;
        // With others beside it, it is a member like any.
        let [message] = object.values().collect::<Vec<_>>()[..] else {
            return Ok(Self::of_value(line));
        };
        Self::of_message(message)
    }

    fn of_message(message: &Value) -> Result<Self, String> {
        let members = message
            .as_object()
            .ok_or_else(|| format!("`{MESSAGE}` must be an object of {}", MEMBERS.join(", ")))?;
        for name in members.keys() {
            if !MEMBERS.contains(&name.as_str()) {
                let hint = did_you_mean(name, &MEMBERS);
                return Err(format!("`{MESSAGE}` has no `{name}`{hint}"));
            }
        }
        let value = members
            .get(VALUE)
            .ok_or_else(|| format!("`{MESSAGE}` lacks `{VALUE}`: null is a tombstone"))?;
        Ok(Self {
            key: bytes(members.get(KEY).unwrap_or(&Value::Null))
                .ok_or_else(|| format!("`{KEY}` must be {BYTES}"))?,
            value: written(value)?.map(Cow::Owned),
            headers: packed(members.get(HEADERS))?,
            timestamp: members.get(TIMESTAMP).map(time).transpose()?,
        })
    }
}

/// What a key or a header's value is.
const BYTES: &str = "a text, null, or `{\"base64\": \"..\"}`";

fn not_json(error: serde_json::Error) -> String {
    let said = error.to_string();
    // Which line it is, whoever has the file knows.
    format!(
        "`{MESSAGE}`: {}",
        said.replace(" at line 1 column ", " at byte ")
    )
}

/// Whether a line's first words are those of a message, however it goes on.
fn begins_a_message(line: &[u8]) -> bool {
    let name = format!("\"{MESSAGE}\"");
    let mut rest = line;
    for word in ["{", &name, ":"] {
        match rest.trim_ascii_start().strip_prefix(word.as_bytes()) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

/// The bytes that a text or base64 stands for; outside: `None`, if it is neither, nor null.
fn bytes(value: &Value) -> Option<Option<Vec<u8>>> {
    match value {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text.clone().into_bytes())),
        Value::Object(object) if object.len() == 1 => {
            let text = object.get(BASE64)?.as_str()?;
            Some(Some(STANDARD.decode(text).ok()?))
        }
        Value::Object(_) | Value::Array(_) | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// A message's value: bytes, or else JSON as it is written shortest.
fn written(value: &Value) -> Result<Option<Vec<u8>>, String> {
    let is_base64 =
        matches!(value, Value::Object(object) if object.len() == 1 && object.contains_key(BASE64));
    match bytes(value) {
        Some(bytes) => Ok(bytes),
        None if is_base64 => Err(format!("`{VALUE}` is no base64")),
        None => Ok(Some(value.to_string().into_bytes())),
    }
}

/// Headers, packed.
fn packed(headers: Option<&Value>) -> Result<Vec<u8>, String> {
    let wrong = || format!("`{HEADERS}` must be a list of [name, value], each value {BYTES}");
    let Some(headers) = headers else {
        return Ok(Vec::new());
    };
    let headers = headers.as_array().ok_or_else(wrong)?;
    if headers.is_empty() {
        return Ok(Vec::new());
    }
    let count = u16::try_from(headers.len()).map_err(|_| wrong())?;
    let mut packed = count.to_be_bytes().to_vec();
    for header in headers {
        let [name, value] = header.as_array().map(Vec::as_slice).unwrap_or_default() else {
            return Err(wrong());
        };
        let name = name.as_str().ok_or_else(wrong)?;
        let value = bytes(value).ok_or_else(wrong)?;
        push_cell(&mut packed, Some(name.as_bytes()));
        push_cell(&mut packed, value.as_deref());
    }
    Ok(packed)
}

/// A message's time.
fn time(value: &Value) -> Result<i64, String> {
    if value.is_null() {
        return Ok(NO_TIMESTAMP);
    }
    let time = value.as_i64().filter(|time| (0..=LAST_MS).contains(time));
    time.ok_or_else(|| {
        format!("`{TIMESTAMP}` must be milliseconds since 1970, up to {LAST_MS}, or null")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::headers;

    #[test]
    fn a_line_is_a_value() {
        for text in [
            "",
            "a",
            "{}",
            "{\"a\": 1}",
            // A member of that name among others, or elsewhere, is a value's.
            "{\"$message\": {}, \"a\": 1}",
            "{\"a\": {\"$message\": 1}}",
            "{\"$message\"}",
            "[\"$message\"]",
        ] {
            let found = Line::read(text.as_bytes()).unwrap();
            assert_eq!(found, Line::of_value(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn a_line_may_be_a_whole_message() {
        let none = Line {
            value: None,
            ..Line::of_value(b"")
        };
        let value = |bytes: &'static [u8]| Line::of_value(bytes);
        for (inside, expected) in [
            (r#""value": null"#, none.clone()),
            (r#""value": "text""#, value(b"text")),
            (r#""value": "\u00e9\n""#, value("é\n".as_bytes())),
            (r#""value": {"base64": "/wA="}"#, value(b"\xff\0")),
            (
                r#""value": {"b": [1, 2.5], "a": null}"#,
                value(br#"{"b":[1,2.5],"a":null}"#),
            ),
            (
                r#""value": {"base64": "/wA=", "a": 1}"#,
                value(br#"{"base64":"/wA=","a":1}"#),
            ),
            (r#""value": 7"#, value(b"7")),
            (r#""value": {"$message": {}}"#, value(br#"{"$message":{}}"#)),
            (
                r#""key": "Ada", "value": null"#,
                Line {
                    key: Some(b"Ada".to_vec()),
                    ..none.clone()
                },
            ),
            (
                r#""value": null, "key": {"base64": "AA=="}"#,
                Line {
                    key: Some(vec![0]),
                    ..none.clone()
                },
            ),
            (r#""key": null, "headers": [], "value": null"#, none.clone()),
            (
                r#""timestamp": 0, "value": null"#,
                Line {
                    timestamp: Some(0),
                    ..none.clone()
                },
            ),
            (
                r#""timestamp": null, "value": null"#,
                Line {
                    timestamp: Some(NO_TIMESTAMP),
                    ..none
                },
            ),
        ] {
            let line = format!("  {{ \"$message\" : {{{inside}}} }}");
            let found = Line::read(line.as_bytes()).unwrap();
            assert_eq!(found, expected, "{line}");
        }
        let line = br#"{"$message": {"headers": [["a", "hi"], ["a", null], ["", {"base64": "/w=="}]], "value": ""}}"#;
        let found = Line::read(line).unwrap();
        let expected = [
            ("a".to_owned(), Some(&b"hi"[..])),
            ("a".to_owned(), None),
            (String::new(), Some(&b"\xff"[..])),
        ];
        assert_eq!(headers(&found.headers), expected);
    }

    #[test]
    fn what_is_no_message_is_told() {
        for (inside, words) in [
            (
                r#"{"keey": "a", "value": null}"#,
                "no `keey`; did you mean `key`?",
            ),
            (r#"{"key": "a"}"#, "lacks `value`: null is a tombstone"),
            ("{}", "lacks `value`"),
            ("[]", "must be an object of key, headers, timestamp, value"),
            (
                r#"{"value": null"#,
                "`$message`: EOF while parsing an object at byte 28",
            ),
            (r#"{"value": {"base64": "?"}}"#, "`value` is no base64"),
            (r#"{"value": {"base64": 1}}"#, "`value` is no base64"),
            (
                r#"{"key": 1, "value": 1}"#,
                "`key` must be a text, null, or",
            ),
            (r#"{"key": {"base46": ""}, "value": 1}"#, "`key` must be"),
            (
                r#"{"headers": {"a": "b"}, "value": 1}"#,
                "`headers` must be a list",
            ),
            (
                r#"{"headers": [["a"]], "value": 1}"#,
                "`headers` must be a list",
            ),
            (
                r#"{"headers": [["a", "b", "c"]], "value": 1}"#,
                "`headers` must be a list",
            ),
            (
                r#"{"headers": [[null, "b"]], "value": 1}"#,
                "`headers` must be a list",
            ),
            (
                r#"{"headers": [["a", 1]], "value": 1}"#,
                "`headers` must be a list",
            ),
            (
                r#"{"timestamp": -1, "value": 1}"#,
                "`timestamp` must be milliseconds",
            ),
            (r#"{"timestamp": 9e99, "value": 1}"#, "`timestamp` must be"),
            (
                r#"{"timestamp": 253402300800000, "value": 1}"#,
                "`timestamp` must be",
            ),
            (
                r#"{"timestamp": "2026-01-01", "value": 1}"#,
                "`timestamp` must be",
            ),
        ] {
            let line = format!("{{\"$message\": {inside}}}");
            let error = Line::read(line.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{inside}: {error}");
        }
    }
}
