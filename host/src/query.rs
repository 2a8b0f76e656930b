//! Named queries of a pipeline's tables, the same on Cassandra and on SQLite.
//!
//! `queries.cql` holds them. Comment lines directly above a statement are its head: its name and
//! what it answers, then a line for each parameter with its type. Comments that a blank line follows
//! are for the reader only.
//!
//! ```text
//! -- average-danceability: how danceable one person's plays of one hour are
//! -- :name text
//! -- :hour hour -> :from, :to
//! SELECT avg(danceability) AS average_danceability FROM spotify.records
//! WHERE name = :name AND timestamp >= :from AND timestamp < :to;
//! ```
//!
//! A type is one of CQL's, or `minute`, `hour` or `day`: a stretch of time, given by any moment in
//! it, that stands for the parameters it names: its start and, if two, the start of the next.
//! `int 0..23` is a whole number within bounds, both included. `date as text` is a date that the table
//! has as text.

mod bind;
mod render;

use std::fmt;

use jiff::{SignedDuration, Timestamp, TimestampRound, Unit};

pub use bind::Bound;
pub use render::{Format, render};

use crate::nearest::did_you_mean;
use crate::row::CqlType;
use crate::sink::schema::token;
use crate::sink::value::{cell_of_text, time_of_text};
use crate::sink::{self, Parameter, cassandra, sqlite};

/// A named query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Its name: `[a-z0-9-]+`.
    pub name: String,
    /// What it answers, for a person.
    pub about: String,
    /// What it must be given.
    pub parameters: Vec<Declared>,
    /// Its CQL, in which parameters stand by name.
    pub text: String,
}

/// A parameter of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
}

/// The type of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One value.
    Cell(CqlType),
    /// A whole number within bounds, both included.
    Within(CqlType, std::ops::RangeInclusive<i64>),
    /// One value, of which the table has the text.
    AsText(CqlType),
    /// A stretch of time, and the names of its start and, where asked for, of the start of the next.
    Stretch(Stretch, Vec<String>),
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Stretch {
    Minute,
    Hour,
    Day,
}

impl Stretch {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Minute, "minute"),
        (Self::Hour, "hour"),
        (Self::Day, "day"),
    ];

    /// The stretch that a moment lies in: its start and its end, in UTC.
    fn around(self, moment: Timestamp) -> Option<[Timestamp; 2]> {
        let (unit, length) = match self {
            Self::Minute => (Unit::Minute, SignedDuration::from_mins(1)),
            Self::Hour => (Unit::Hour, SignedDuration::from_hours(1)),
            Self::Day => (Unit::Hour, SignedDuration::from_hours(24)),
        };
        let increment = if self == Self::Day { 24 } else { 1 };
        let floor = TimestampRound::new()
            .smallest(unit)
            .increment(increment)
            .mode(jiff::RoundMode::Floor);
        let start = moment.round(floor).ok()?;
        Some([start, start.checked_add(length).ok()?])
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cell(kind) | Self::AsText(kind) => f.write_str(kind.name()),
            Self::Within(_, bounds) => write!(f, "{}..{}", bounds.start(), bounds.end()),
            Self::Stretch(stretch, _) => {
                let (_, name) = Stretch::ALL
                    .iter()
                    .find(|(other, _)| other == stretch)
                    .ok_or(fmt::Error)?;
                f.write_str(name)
            }
        }
    }
}

impl Kind {
    /// The values that a text stands for, by name.
    fn values(&self, name: &str, text: &str) -> Result<Vec<(String, Parameter)>, String> {
        match self {
            Self::Cell(kind) => {
                let cell = cell_of_text(*kind, text)?;
                Ok(vec![(name.to_owned(), Parameter { kind: *kind, cell })])
            }
            Self::Within(kind, bounds) => {
                let (kind, cell) = (*kind, cell_of_text(*kind, text)?);
                if text.parse().is_ok_and(|number| bounds.contains(&number)) {
                    return Ok(vec![(name.to_owned(), Parameter { kind, cell })]);
                }
                let (least, most) = (bounds.start(), bounds.end());
                Err(format!("`{text}` is not from {least} to {most}"))
            }
            Self::AsText(kind) => {
                // As the type writes it, however it was given.
                let cell = cell_of_text(*kind, text)?;
                let text = sink::value::Value::of_cell(*kind, &cell).to_string();
                let (kind, cell) = (CqlType::Text, text.into_bytes());
                Ok(vec![(name.to_owned(), Parameter { kind, cell })])
            }
            Self::Stretch(stretch, names) => {
                let moments = time_of_text(text).and_then(|moment| stretch.around(moment));
                let moments = moments
                    .ok_or_else(|| format!("`{text}` is not a time like 2026-03-02T16:05"))?;
                let value = |moment: Timestamp| Parameter {
                    kind: CqlType::Timestamp,
                    cell: moment.as_millisecond().to_be_bytes().to_vec(),
                };
                Ok(names.iter().cloned().zip(moments.map(value)).collect())
            }
        }
    }

    /// The names by which the query knows its values.
    fn names<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        match self {
            Self::Cell(_) | Self::Within(..) | Self::AsText(_) => vec![name],
            Self::Stretch(_, names) => names.iter().map(String::as_str).collect(),
        }
    }
}

/// Why a query cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `queries.cql` cannot be read.
    #[error("queries.cql, line {line}: {reason}")]
    File {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// There is no query of that name.
    #[error("there is no query `{name}`{}", did_you_mean(.name, .known))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A parameter is missing, unknown, or not of its type.
    #[error("{reason}; usage: {usage}")]
    Parameter {
        /// What is wrong.
        reason: String,
        /// How the query is asked.
        usage: String,
    },
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] sink::Error),
}

impl Error {
    /// Whether whoever asks mistyped something.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Parameter { .. } => true,
            Self::File { .. } | Self::Store(_) => false,
        }
    }
}

/// Reads `queries.cql`.
///
/// # Errors
/// What cannot be read, with its line.
pub fn parse(text: &str) -> Result<Vec<Query>, Error> {
    let mut queries: Vec<Query> = Vec::new();
    let (mut head, mut statement) = (Vec::new(), String::new());
    for (line, content) in (1..).zip(text.lines()) {
        let error = |reason: String| Error::File { line, reason };
        let content = content.trim_end();
        if !statement.is_empty() || !(content.is_empty() || content.starts_with("--")) {
            statement.push_str(content);
            statement.push('\n');
            if let Some(whole) = content.strip_suffix(';').map(|_| statement.trim_end()) {
                let query = query(&head, whole.trim_end_matches(';')).map_err(error)?;
                if queries.iter().any(|other| other.name == query.name) {
                    return Err(error(format!("there are two queries `{}`", query.name)));
                }
                queries.push(query);
                (head, statement) = (Vec::new(), String::new());
            }
        } else if let Some(comment) = content.strip_prefix("--") {
            head.push(comment.trim());
        } else {
            head.clear();
        }
    }
    if statement.is_empty() {
        return Ok(queries);
    }
    Err(Error::File {
        line: text.lines().count(),
        reason: "the last statement has no `;`".into(),
    })
}

fn query(head: &[&str], text: &str) -> Result<Query, String> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let named = head
        .first()
        .and_then(|first| first.split_once(':'))
        .filter(|(name, _)| is_name(name));
    let (name, about) = named.ok_or("a query is headed by `-- name: what it answers`")?;
    let parameters = head[1..].iter().map(|line| {
        declared(line)
            .ok_or_else(|| format!("`{line}` is not `:name type` or `:name hour -> :from, :to`"))
    });
    let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
    let tokens = token::tokens(text).map_err(|_| "a quote or comment does not end")?;
    // Who asks must not change or drop anything, whatever the file says.
    if !tokens.first().is_some_and(|first| first.is("SELECT")) {
        return Err("a query begins with SELECT".to_owned());
    }
    let used: Vec<_> = tokens
        .iter()
        .filter(|token| token.kind == token::Kind::Parameter)
        .map(|token| &token.text[1..])
        .collect();
    let given: Vec<_> = parameters
        .iter()
        .flat_map(|parameter| parameter.kind.names(&parameter.name))
        .collect();
    if let Some(name) = used.iter().find(|name| !given.contains(name)) {
        return Err(format!("`:{name}` is not declared"));
    }
    if let Some(name) = given.iter().find(|name| !used.contains(name)) {
        return Err(format!("`:{name}` is not used"));
    }
    let (name, about) = (name.to_owned(), about.trim().to_owned());
    Ok(Query {
        name,
        about,
        parameters,
        text: text.to_owned(),
    })
}

fn is_whole(kind: CqlType) -> bool {
    [
        CqlType::Tinyint,
        CqlType::Smallint,
        CqlType::Int,
        CqlType::Bigint,
    ]
    .contains(&kind)
}

fn declared(line: &str) -> Option<Declared> {
    let (left, right) = match line.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (line, None),
    };
    let (name, kind) = left.trim().strip_prefix(':')?.split_once(' ')?;
    let stretch = Stretch::ALL.iter().find(|(_, name)| *name == kind.trim());
    let kind = match (stretch, right) {
        (Some((stretch, _)), Some(right)) => {
            let name = |text: &str| Some(text.trim().strip_prefix(':')?.to_owned());
            let names: Vec<_> = right.split(',').map(name).collect::<Option<_>>()?;
            (names.len() <= 2).then_some(Kind::Stretch(*stretch, names))?
        }
        (None, None) => {
            let words: Vec<_> = kind.split_whitespace().collect();
            let (kind, rest) = words.split_first()?;
            let kind = CqlType::from_name(kind)?;
            match rest {
                [] => Kind::Cell(kind),
                ["as", "text"] => Kind::AsText(kind),
                [bounds] if is_whole(kind) => {
                    let (least, most) = bounds.split_once("..")?;
                    Kind::Within(kind, least.parse().ok()?..=most.parse().ok()?)
                }
                _ => return None,
            }
        }
        (Some(_), None) | (None, Some(_)) => return None,
    };
    Some(Declared {
        name: name.to_owned(),
        kind,
    })
}

/// The query of a name.
///
/// # Errors
/// [`Error::Unknown`], with the nearest.
pub fn find<'a>(queries: &'a [Query], name: &str) -> Result<&'a Query, Error> {
    queries
        .iter()
        .find(|query| query.name == name)
        .ok_or_else(|| Error::Unknown {
            name: name.to_owned(),
            known: queries.iter().map(|query| query.name.clone()).collect(),
        })
}

/// A store that answers queries.
pub enum Store {
    /// Cassandra.
    Cassandra(cassandra::Reader),
    /// A keyspace's file.
    Sqlite(sqlite::Reader),
}

impl Store {
    /// Asks a query.
    ///
    /// # Errors
    /// When the store does not answer, or refuses the query.
    pub fn ask(&self, bound: &Bound) -> Result<sink::Answer, Error> {
        let answer = match self {
            Self::Cassandra(reader) => reader.select(&bound.text, &bound.parameters),
            Self::Sqlite(reader) => reader.select(&bound.text, &bound.parameters),
        };
        Ok(bound.shown(answer?))
    }
}

#[cfg(test)]
mod tests;
