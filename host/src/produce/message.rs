//! The text of each message: JSON as Python's `json.dumps` writes it, which most producers use.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use fake::Fake;
use fake::faker::name::en::Name;
use fake::rand::rngs::StdRng;
use fake::rand::{RngExt, SeedableRng};

use super::{Description, Error, Lookups, Plan, Value};

/// After so many names in vain a number makes the next one new.
const NAMES_TRIED_MAX: usize = 16;

/// How many different names what is unknown may have.
const UNKNOWN_MAX: u32 = 1000;

/// A message to send.
pub(super) struct Made<'a> {
    /// The person it is about: its key, if it gets one.
    pub(super) person: &'a str,
    pub(super) value: &'a [u8],
    /// Whether it names what a lookup does not have.
    pub(super) is_unknown: bool,
}

/// Writes messages.
pub(super) struct Writer {
    rng: StdRng,
    people: Vec<Person>,
    parts: Vec<Part>,
    unknown_percent: f64,
    text: String,
    bad: Vec<u8>,
}

struct Person {
    name: String,
    json: String,
    /// The time of the last message about this person, in milliseconds.
    last: i64,
}

struct Part {
    /// What stands before the value: brace or comma, the member's name, and a colon.
    before: String,
    content: Content,
}

enum Content {
    Person,
    /// Cells as JSON, and what an unknown one is called, without its number.
    Cell(Vec<String>, String),
    NowMs,
    NowIso,
    Range(i64, i64),
}

impl Writer {
    pub(super) fn new(
        description: &Description,
        plan: &Plan,
        lookups: &Lookups<'_>,
    ) -> Result<Self, Error> {
        let mut rng = StdRng::seed_from_u64(plan.seed);
        let me = plan.me.as_ref().unwrap_or(&description.me);
        let count = plan.people.unwrap_or(description.people);
        let people = people(count, me, &mut rng);
        let mut parts = Vec::with_capacity(description.members.len());
        for member in &description.members {
            let separator = if parts.is_empty() { "{" } else { ", " };
            parts.push(Part {
                before: format!("{separator}{}: ", json(&member.name)),
                content: content(&member.name, &member.value, lookups)?,
            });
        }
        Ok(Self {
            rng,
            people,
            parts,
            unknown_percent: plan.unknown_percent,
            text: String::new(),
            bad: Vec::new(),
        })
    }

    pub(super) fn people(&self) -> u64 {
        self.people.len() as u64
    }

    /// The message of an index: people take turns.
    pub(super) fn good(&mut self, index: u64) -> Made<'_> {
        let (person, is_unknown) = self.write(index);
        Made {
            person: &self.people[person].name,
            value: self.text.as_bytes(),
            is_unknown,
        }
    }

    /// A message that is bad, in one of a few ways by turns.
    pub(super) fn bad(&mut self, index: u64, turn: u64) -> Made<'_> {
        let (person, _) = self.write(index);
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

    fn write(&mut self, index: u64) -> (usize, bool) {
        let turn = usize::try_from(index % self.people()).expect("it is below a length");
        let person = &mut self.people[turn];
        // Nobody does two things in one millisecond: so rows by person and time stay apart.
        person.last = now().max(person.last + 1);
        let is_unknown = self.unknown_percent > 0.0
            && self.rng.random_range(0.0..100.0) < self.unknown_percent
            && self.parts.iter().any(|part| part.content.is_cell());
        self.text.clear();
        for part in &self.parts {
            self.text.push_str(&part.before);
            let written = match &part.content {
                Content::Person => write!(self.text, "{}", person.json),
                Content::Cell(_, unknown) if is_unknown => {
                    let number = self.rng.random_range(0..UNKNOWN_MAX);
                    write!(self.text, "\"{unknown} {number}\"")
                }
                Content::Cell(cells, _) => {
                    let cell = &cells[self.rng.random_range(0..cells.len())];
                    write!(self.text, "{cell}")
                }
                Content::NowMs => write!(self.text, "{}", person.last),
                Content::NowIso => {
                    let time = jiff::Timestamp::from_millisecond(person.last);
                    let time = time.expect("now is not the year 10,000");
                    write!(self.text, "\"{time:.3}\"")
                }
                &Content::Range(first, last) => {
                    write!(self.text, "{}", self.rng.random_range(first..=last))
                }
            };
            written.expect("a string takes all that is written");
        }
        self.text
            .push_str(if self.parts.is_empty() { "{}" } else { "}" });
        (turn, is_unknown)
    }
}

impl Content {
    fn is_cell(&self) -> bool {
        matches!(self, Self::Cell(..))
    }
}

fn content(member: &str, value: &Value, lookups: &Lookups<'_>) -> Result<Content, Error> {
    Ok(match value {
        Value::Person => Content::Person,
        Value::NowMs => Content::NowMs,
        Value::NowIso => Content::NowIso,
        &Value::Range(first, last) => Content::Range(first, last),
        Value::Cell { lookup, column } => {
            let fail = |source| Error::Lookup {
                lookup: lookup.clone(),
                source,
            };
            let mut cells = lookups(lookup, column).map_err(fail)?;
            cells.retain(|cell| !cell.is_empty());
            if cells.is_empty() {
                return Err(fail(format!("column `{column}` has no cells").into()));
            }
            let cells = cells.iter().map(|cell| json(cell)).collect();
            Content::Cell(cells, escape(&unknown(member)))
        }
    })
}

/// What is not in a lookup is called after its member: `title` gives `Unknown Title`.
fn unknown(member: &str) -> String {
    let mut rest = member.chars();
    let first = rest.next().map(char::to_uppercase);
    let name: String = first.into_iter().flatten().chain(rest).collect();
    format!("Unknown {name}")
}

/// So many names made up, all different, and `me` last.
fn people(count: usize, me: &str, rng: &mut StdRng) -> Vec<Person> {
    let mut taken = HashSet::from([me.to_owned()]);
    let mut names = Vec::with_capacity(count + 1);
    for number in 0..count {
        let made = (0..NAMES_TRIED_MAX).find_map(|_| {
            let name: String = Name().fake_with_rng(rng);
            taken.insert(name.clone()).then_some(name)
        });
        names.push(made.unwrap_or_else(|| {
            let first: String = Name().fake_with_rng(rng);
            let name = format!("{first} {number}");
            taken.insert(name.clone());
            name
        }));
    }
    names.push(me.to_owned());
    let person = |name: String| Person {
        json: json(&name),
        name,
        last: 0,
    };
    names.into_iter().map(person).collect()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.expect("the clock is past 1970");
    i64::try_from(since.as_millis()).expect("milliseconds since 1970 are far below 2^63")
}

/// A text as a JSON string.
fn json(text: &str) -> String {
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
mod tests {
    use super::*;

    fn description() -> Description {
        toml::from_str(
            r#"
            people = 3
            me = "Ada"
            every = "10s"
            bursts = 2
            members = [
                { name = "who", value = "person" },
                { name = "what", value = "things.name" },
                { name = "stars", value = "1..5" },
                { name = "at", value = "now_ms" },
            ]
            "#,
        )
        .unwrap()
    }

    fn writer(plan: &Plan) -> Writer {
        let cells = vec!["Él \"1\"".to_owned(), String::new(), "two\\".to_owned()];
        Writer::new(&description(), plan, &|_, _| Ok(cells.clone())).unwrap()
    }

    fn texts(writer: &mut Writer, count: u64) -> Vec<serde_json::Value> {
        let mut text = |index| {
            let mut value: serde_json::Value =
                serde_json::from_slice(writer.good(index).value).unwrap();
            value["at"].take();
            value
        };
        (0..count).map(&mut text).collect()
    }

    #[test]
    fn a_seed_gives_the_same_messages() {
        let plan = |seed| Plan {
            seed,
            ..Plan::default()
        };
        let (mut one, mut again, mut other) =
            (writer(&plan(1)), writer(&plan(1)), writer(&plan(2)));
        let first = texts(&mut one, 50);
        assert_eq!(first, texts(&mut again, 50));
        assert_ne!(first, texts(&mut other, 50));
        assert!(first.iter().any(|text| text["who"] == "Ada"));
        assert!(first.iter().any(|text| text["what"] == "Él \"1\""));
        assert!(first.iter().all(|text| text["what"] != ""));
    }

    #[test]
    fn messages_look_as_python_writes_them() {
        let mut writer = writer(&Plan {
            people: Some(0),
            ..Plan::default()
        });
        let text = String::from_utf8(writer.good(0).value.to_vec()).unwrap();
        assert!(text.starts_with(r#"{"who": "Ada", "what": ""#), "{text}");
        assert!(text.is_ascii() && text.ends_with('}'), "{text}");
    }

    #[test]
    fn nobody_does_two_things_at_once() {
        let mut writer = writer(&Plan::default());
        let mut seen = HashSet::new();
        for index in 0..1000 {
            let value: serde_json::Value =
                serde_json::from_slice(writer.good(index).value).unwrap();
            assert!(seen.insert((value["who"].to_string(), value["at"].to_string())));
        }
    }

    #[test]
    fn bad_messages_are_bad_in_many_ways() {
        let mut writer = writer(&Plan::default());
        let mut seen = HashSet::new();
        for turn in 0..6 {
            let bad = writer.bad(turn, turn).value.to_vec();
            let found = serde_json::from_slice::<serde_json::Value>(&bad);
            let is_whole = found.is_ok_and(|value| value["at"].is_number());
            assert!(!is_whole, "{}", String::from_utf8_lossy(&bad));
            seen.insert(bad);
        }
        assert_eq!(seen.len(), 6);
    }

    #[test]
    fn unknown_cells_are_called_after_their_member() {
        let mut writer = writer(&Plan {
            unknown_percent: 100.0,
            ..Plan::default()
        });
        let made = writer.good(0);
        assert!(made.is_unknown);
        let value: serde_json::Value = serde_json::from_slice(made.value).unwrap();
        let what = value["what"].as_str().unwrap();
        assert!(what.starts_with("Unknown What "), "{what}");
    }

    #[test]
    fn many_names_are_all_different() {
        let people = people(20_000, "Ada", &mut StdRng::seed_from_u64(7));
        let names: HashSet<&str> = people.iter().map(|person| person.name.as_str()).collect();
        assert_eq!(names.len(), 20_001);
    }
}
