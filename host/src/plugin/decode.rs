//! Fields out of messages, once for every language: JSON members into columns of encoded cells.
//!
//! A message is read in one pass and nothing is allocated for it. It is refused as a whole or
//! decoded as a whole; what was appended for a refused one is taken back.

mod cell;
mod escape;
mod json;

use std::mem;

use crate::row::CqlType;

use super::description::Field;
use cell::{push_number, push_text};
use json::{Fault, Parser, Token};

/// What is said to whoever writes times in another form.
const TIMES: &str = " (say 2026-03-02T16:05:01Z, 2026-03-02 16:05, or milliseconds since 1970)";

/// Values of many messages in one block, as `packed` of `wit/plugin.wit`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) bytes: Vec<u8>,
    pub(super) lengths: Vec<i32>,
}

impl Column {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
    }

    /// Appends a value, or its absence.
    pub(super) fn push(&mut self, value: Option<&[u8]>) {
        let length = value.map(|value| i32::try_from(value.len()));
        self.lengths
            .push(length.map_or(-1, |length| length.expect("a message is < 2 GiB")));
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }
}

/// Why a message cannot be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) reason: String,
}

/// A member of objects that leads to fields.
#[derive(Debug, Default)]
struct Node {
    name: Vec<u8>,
    field: Option<usize>,
    children: Vec<usize>,
}

/// What a message says of a field so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Absent,
    Value,
    /// A value of another type: what it is instead.
    Wrong(&'static str),
    /// Its parent is no object.
    Orphan,
}

/// Decodes messages.
#[derive(Debug)]
pub(super) struct Decoder {
    fields: Vec<Field>,
    /// The tree of members; the first is the message itself.
    nodes: Vec<Node>,
    states: Vec<State>,
    /// Where the message's cells begin in each column.
    starts: Vec<usize>,
    /// Names and texts without their escapes.
    scratch: Vec<u8>,
}

impl Decoder {
    pub(super) fn new(fields: &[Field]) -> Self {
        let mut nodes = vec![Node::default()];
        for (index, field) in fields.iter().enumerate() {
            let mut at = 0;
            for name in field.name.split('.') {
                let known = nodes[at]
                    .children
                    .iter()
                    .find(|child| nodes[**child].name == name.as_bytes());
                at = known.copied().unwrap_or_else(|| {
                    let child = nodes.len();
                    nodes[at].children.push(child);
                    nodes.push(Node {
                        name: name.into(),
                        ..Node::default()
                    });
                    child
                });
            }
            nodes[at].field = Some(index);
        }
        Self {
            fields: fields.to_vec(),
            nodes,
            states: vec![State::Absent; fields.len()],
            starts: vec![0; fields.len()],
            scratch: vec![],
        }
    }

    /// Whether messages are decoded at all.
    pub(super) fn has_fields(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Appends the message's cells, one to each column, or refuses it and appends nothing.
    pub(super) fn decode(&mut self, message: &[u8], columns: &mut [Column]) -> Result<(), Refusal> {
        for ((state, start), column) in self.states.iter_mut().zip(&mut self.starts).zip(&*columns)
        {
            (*state, *start) = (State::Absent, column.bytes.len());
        }
        let mut scratch = mem::take(&mut self.scratch);
        let decoded = self
            .object(message, columns, &mut scratch)
            .and_then(|()| self.judge());
        self.scratch = scratch;
        for ((column, state), start) in columns.iter_mut().zip(&self.states).zip(&self.starts) {
            if decoded.is_err() {
                column.bytes.truncate(*start);
            } else if *state == State::Absent {
                column.lengths.push(-1);
            } else {
                let length = i32::try_from(column.bytes.len() - start);
                column.lengths.push(length.expect("a message is < 2 GiB"));
            }
        }
        decoded
    }

    /// Appends an absent cell to each column: a tombstone has no members.
    pub(super) fn skip(columns: &mut [Column]) {
        columns.iter_mut().for_each(|column| column.push(None));
    }

    fn object(
        &mut self,
        message: &[u8],
        columns: &mut [Column],
        scratch: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        match message.first() {
            None => return Err(refusal("bad_json", "the value is empty")),
            Some(0) => return Err(refusal("registry_framing", REGISTRY)),
            Some(_) => {}
        }
        let mut parser = Parser::new(message, scratch);
        let mut reader = Reader {
            decoder: self,
            columns,
        };
        let is_object = reader
            .message(&mut parser)
            .map_err(|fault| describe(&fault))?;
        if !is_object {
            return Err(refusal("wrong_type", "the message is not an object"));
        }
        Ok(())
    }

    /// Whether all fields have what they need.
    fn judge(&self) -> Result<(), Refusal> {
        for (field, state) in self.fields.iter().zip(&self.states) {
            let Field {
                name,
                kind,
                is_optional,
            } = field;
            match state {
                State::Absent if !is_optional => {
                    return Err(refusal(
                        "missing_field",
                        &format!("`{name}` is missing or null"),
                    ));
                }
                State::Wrong(found) => {
                    let forms = if *kind == CqlType::Timestamp {
                        TIMES
                    } else {
                        ""
                    };
                    let kind = kind.name();
                    let reason = format!("`{name}` is {found}, which is no {kind}{forms}");
                    return Err(refusal("wrong_type", &reason));
                }
                State::Orphan => {
                    let reason = format!("`{name}` is not there: its parent is no object");
                    return Err(refusal("wrong_type", &reason));
                }
                State::Absent | State::Value => {}
            }
        }
        Ok(())
    }
}

const REGISTRY: &str = "the value begins with 0x00 as schema registries frame it, so it is Avro, \
                        Protobuf or framed JSON: only plain JSON is read";

fn refusal(code: &'static str, reason: &str) -> Refusal {
    Refusal {
        code,
        reason: reason.to_owned(),
    }
}

fn describe(fault: &Fault) -> Refusal {
    match fault {
        Fault::Syntax { at, what } => refusal("bad_json", &format!("{what} at byte {at}")),
        Fault::Utf8 { at, member } => {
            let member = String::from_utf8_lossy(member);
            refusal("bad_utf8", &format!("`{member}` is not UTF-8 at byte {at}"))
        }
    }
}

/// Puts what a message says into the columns.
struct Reader<'a> {
    decoder: &'a mut Decoder,
    columns: &'a mut [Column],
}

impl Reader<'_> {
    /// Reads a message to its end; `false` if it is JSON, but no object.
    fn message(&mut self, parser: &mut Parser<'_>) -> Result<bool, Fault> {
        let token = parser.value()?;
        let is_object = matches!(token, Token::Object);
        if is_object {
            self.members(0, parser)?;
        } else {
            parser.skip(&token)?;
        }
        parser.end()?;
        Ok(is_object)
    }

    /// Reads the members of an object that leads to fields.
    fn members(&mut self, node: usize, parser: &mut Parser<'_>) -> Result<(), Fault> {
        // Members mostly come in the order in which they are declared.
        let mut likely = 0;
        let mut is_first = true;
        while let Some(name) = parser.member(is_first)? {
            is_first = false;
            let children = &self.decoder.nodes[node].children;
            let name = parser.name(name)?;
            let is_named = |child: &usize| self.decoder.nodes[children[*child]].name == name;
            let found = Some(likely).filter(|child| *child < children.len() && is_named(child));
            let found = found.or_else(|| (0..children.len()).find(is_named));
            let child = found.map(|found| children[found]);
            likely = found.map_or(likely, |found| found + 1);
            match child {
                Some(child) => self.member(child, parser)?,
                None => {
                    let token = parser.value()?;
                    parser.skip(&token)?;
                }
            }
        }
        parser.leave();
        Ok(())
    }

    /// Reads the value of a member that is a field or leads to some. The last one of a name counts.
    fn member(&mut self, node: usize, parser: &mut Parser<'_>) -> Result<(), Fault> {
        let token = parser.value()?;
        self.forget(node, &token);
        if let Some(field) = self.decoder.nodes[node].field {
            self.cell(field, &token, parser)?;
        }
        match token {
            Token::Object if !self.decoder.nodes[node].children.is_empty() => {
                self.members(node, parser)
            }
            Token::Object | Token::Array => parser.skip(&token),
            Token::Text(_) if self.decoder.nodes[node].field.is_none() => parser.skip(&token),
            Token::Null | Token::Boolean(_) | Token::Number(_) | Token::Text(_) => Ok(()),
        }
    }

    /// Takes back what an earlier member of this name said, and what those below it cannot be now.
    fn forget(&mut self, node: usize, token: &Token<'_>) {
        if let Some(field) = self.decoder.nodes[node].field {
            self.columns[field]
                .bytes
                .truncate(self.decoder.starts[field]);
            self.decoder.states[field] = State::Absent;
        }
        for index in 0..self.decoder.nodes[node].children.len() {
            let child = self.decoder.nodes[node].children[index];
            self.forget(child, token);
            if let (Some(field), false) = (
                self.decoder.nodes[child].field,
                matches!(token, Token::Object | Token::Null),
            ) {
                self.decoder.states[field] = State::Orphan;
            }
        }
    }

    fn cell(
        &mut self,
        field: usize,
        token: &Token<'_>,
        parser: &mut Parser<'_>,
    ) -> Result<(), Fault> {
        let kind = self.decoder.fields[field].kind;
        let bytes = &mut self.columns[field].bytes;
        let start = bytes.len();
        let is_value = match token {
            Token::Null => return Ok(()),
            Token::Boolean(value) => {
                bytes.push(u8::from(*value));
                kind == CqlType::Boolean
            }
            Token::Number(number) => push_number(kind, number, bytes),
            Token::Text(text) => push_text(kind, *text, bytes, parser)?,
            Token::Object | Token::Array => false,
        };
        self.decoder.states[field] = State::Value;
        if !is_value {
            bytes.truncate(start);
            self.decoder.states[field] = State::Wrong(match token {
                Token::Null => "null",
                Token::Boolean(_) => "a boolean",
                Token::Number(_) => "a number",
                Token::Text(_) => "a text",
                Token::Object => "an object",
                Token::Array => "an array",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
