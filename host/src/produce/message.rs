//! The text of each message: JSON as Python's `json.dumps` writes it, which most producers use.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;
use std::rc::Rc;

use fake::rand::rngs::StdRng;
use fake::rand::{RngExt, SeedableRng};
use jiff::Timestamp;

use super::description::{Clock, Order};
use super::people::{self, Person};
use super::{Description, Error, Lists, Member, Plan, Value};

/// The longest message, in bytes: what librdkafka sends, and brokers take, where nobody says otherwise.
pub(super) const MESSAGE_BYTES_MAX: usize = 1_000_000;

/// The longest time as it is written, in bytes: with quotes, microseconds and a sign before the year.
const TIME_BYTES_MAX: usize = 40;

/// How many different names what is unknown may have.
const UNKNOWN_MAX: u32 = 1000;

/// A message to send.
pub(super) struct Made<'a> {
    /// The person it is about: its key, if it gets one.
    pub(super) person: &'a str,
    pub(super) value: &'a [u8],
    /// Whether it names what the lists do not have.
    pub(super) is_unknown: bool,
    /// Its time, if it is about the one person who is not made up.
    pub(super) mine: Option<Timestamp>,
}

/// Writes messages.
pub(super) struct Writer {
    rng: StdRng,
    /// The last one is not made up.
    people: Vec<Person>,
    order: Order,
    parts: Vec<Part>,
    unknown_percent: f64,
    text: String,
    bad: Vec<u8>,
}

struct Part {
    /// What stands before the value: brace or comma, the member's name, and a colon.
    before: String,
    content: Content,
}

enum Content {
    Person,
    /// Cells as JSON, and what an unknown one is called, without its number.
    Cell(Rc<[String]>, String),
    Now(Clock),
    Range(i64, i64),
}

/// What a written message is about.
struct About {
    person: usize,
    time: Timestamp,
    is_unknown: bool,
}

impl Writer {
    pub(super) fn new(
        description: &Description,
        plan: &Plan,
        lists: &Lists<'_>,
    ) -> Result<Self, Error> {
        let mut rng = StdRng::seed_from_u64(plan.seed);
        let me = plan.me.as_ref().unwrap_or(&description.me);
        let count = plan.people.unwrap_or(description.people);
        let people = people::make(count, me, &mut rng);
        let name = people.iter().map(|person| person.json.len()).max();
        let (mut parts, mut size) = (Vec::new(), "}".len());
        let mut columns = BTreeMap::new();
        for member in &description.members {
            let separator = if parts.is_empty() { "{" } else { ", " };
            let before = format!("{separator}{}: ", json(&member.name));
            let content = content(member, lists, &mut columns)?;
            size += before.len() + content.longest(name.unwrap_or(0));
            if size > MESSAGE_BYTES_MAX {
                return Err(Error::Large(member.name.clone()));
            }
            parts.push(Part { before, content });
        }
        Ok(Self {
            rng,
            people,
            order: description.order,
            parts,
            unknown_percent: plan.unknown_percent,
            text: String::new(),
            bad: Vec::new(),
        })
    }

    pub(super) fn people(&self) -> u64 {
        self.people.len() as u64
    }

    /// The message of an index.
    pub(super) fn good(&mut self, index: u64) -> Made<'_> {
        let about = self.write(index);
        Made {
            person: &self.people[about.person].name,
            value: self.text.as_bytes(),
            is_unknown: about.is_unknown,
            mine: (about.person + 1 == self.people.len()).then_some(about.time),
        }
    }

    /// A message that is bad, in one of a few ways by turns.
    pub(super) fn bad(&mut self, index: u64, turn: u64) -> Made<'_> {
        let person = self.write(index).person;
        self.bad.clear();
        let half = self.text.len() / 2;
        let half = self.text.floor_char_boundary(half);
        match turn % 6 {
            0 => self.bad.extend_from_slice(b"this is not JSON"),
            1 => self.bad.extend_from_slice(&self.text.as_bytes()[..half]),
            // Its last member is missing, and then of a type that none has.
            2 => self.replace_last(""),
            3 => self.replace_last("[]"),
            4 => {
                let quote = self.text.rfind('"').unwrap_or(0);
                self.bad.extend_from_slice(&self.text.as_bytes()[..quote]);
                self.bad.push(0xff);
                self.bad.extend_from_slice(&self.text.as_bytes()[quote..]);
            }
            _ => {}
        }
        Made {
            person: &self.people[person].name,
            value: &self.bad,
            is_unknown: false,
            mine: None,
        }
    }

    fn replace_last(&mut self, value: &str) {
        let before = self.parts.last().map_or("", |part| &part.before);
        let start = self.text.rfind(before).unwrap_or(0);
        self.bad.extend_from_slice(&self.text.as_bytes()[..start]);
        if !value.is_empty() {
            self.bad.extend_from_slice(before.as_bytes());
            self.bad.extend_from_slice(value.as_bytes());
        } else if self.parts.len() == 1 {
            self.bad.push(b'{');
        }
        self.bad.push(b'}');
    }

    fn write(&mut self, index: u64) -> About {
        let person = match self.order {
            Order::Turns => index % self.people(),
            Order::Random => self.rng.random_range(0..self.people()),
        };
        let person = usize::try_from(person).expect("it is below a length");
        let name = &mut self.people[person];
        let time = name.next_time(Timestamp::now());
        let is_unknown = self.unknown_percent > 0.0
            && self.rng.random_range(0.0..100.0) < self.unknown_percent
            && self.parts.iter().any(|part| part.content.is_cell());
        self.text.clear();
        for part in &self.parts {
            self.text.push_str(&part.before);
            let written = match &part.content {
                Content::Person => write!(self.text, "{}", name.json),
                Content::Cell(_, unknown) if is_unknown => {
                    let number = self.rng.random_range(0..UNKNOWN_MAX);
                    write!(self.text, "\"{unknown} {number}\"")
                }
                Content::Cell(cells, _) => {
                    let cell = &cells[self.rng.random_range(0..cells.len())];
                    write!(self.text, "{cell}")
                }
                Content::Now(clock) => write_time(&mut self.text, *clock, time),
                &Content::Range(first, last) => {
                    write!(self.text, "{}", self.rng.random_range(first..=last))
                }
            };
            written.expect("a string takes all that is written");
        }
        self.text
            .push_str(if self.parts.is_empty() { "{}" } else { "}" });
        About {
            person,
            time,
            is_unknown,
        }
    }
}

fn write_time(text: &mut String, clock: Clock, time: Timestamp) -> std::fmt::Result {
    match clock {
        Clock::Ms => write!(text, "{}", time.as_millisecond()),
        Clock::Iso => write!(text, "\"{time:.3}\""),
        Clock::IsoMicros => write!(text, "\"{}\"", time.strftime("%Y-%m-%dT%H:%M:%S%.6f")),
        Clock::Minute => write!(text, "\"{}\"", time.strftime("%Y-%m-%d %H:%M")),
    }
}

impl Content {
    fn is_cell(&self) -> bool {
        matches!(self, Self::Cell(..))
    }

    /// The most bytes that it may be, where people's names are at most so many.
    fn longest(&self, name: usize) -> usize {
        match self {
            Self::Person => name,
            Self::Cell(cells, unknown) => {
                let unknown = format!("\"{unknown} {UNKNOWN_MAX}\"").len();
                cells.iter().map(String::len).fold(unknown, usize::max)
            }
            Self::Now(_) => TIME_BYTES_MAX,
            Self::Range(first, last) => first.to_string().len().max(last.to_string().len()),
        }
    }
}

/// What stands in a member. A column that several members take from is read once.
fn content<'a>(
    Member { name, value }: &'a Member,
    lists: &Lists<'_>,
    columns: &mut BTreeMap<(&'a str, &'a str), Rc<[String]>>,
) -> Result<Content, Error> {
    Ok(match value {
        Value::Person => Content::Person,
        &Value::Now(clock) => Content::Now(clock),
        &Value::Range(first, last) => Content::Range(first, last),
        Value::Cell { list, column } => {
            let cells = match columns.entry((list, column)) {
                Entry::Occupied(read) => read.get().clone(),
                Entry::Vacant(new) => new.insert(cells(list, column, lists)?).clone(),
            };
            Content::Cell(cells, escape(&unknown(name)))
        }
    })
}

/// The cells of a column as JSON.
fn cells(list: &str, column: &str, lists: &Lists<'_>) -> Result<Rc<[String]>, Error> {
    let fail = |source| Error::List {
        list: list.to_owned(),
        source,
    };
    let mut cells = lists(list, column).map_err(fail)?;
    cells.retain(|cell| !cell.is_empty());
    if cells.is_empty() {
        return Err(fail(format!("column `{column}` has no cells").into()));
    }
    Ok(cells.iter().map(|cell| json(cell)).collect())
}

/// What is not in a list is called after its member: `title` gives `Unknown Title`.
fn unknown(member: &str) -> String {
    let mut rest = member.chars();
    let first = rest.next().map(char::to_uppercase);
    let name: String = first.into_iter().flatten().chain(rest).collect();
    format!("Unknown {name}")
}

/// A text as a JSON string.
pub(super) fn json(text: &str) -> String {
    format!("\"{}\"", escape(text))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '"' | '\\' => escaped.extend(['\\', char]),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            ' '..='~' => escaped.push(char),
            _ => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(escaped, "\\u{unit:04x}").expect("a string takes all that is written");
                }
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
