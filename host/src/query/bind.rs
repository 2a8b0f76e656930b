//! A query with its values.
//!
//! Stores differ in what an average of nothing is (Cassandra says 0). So an aggregate is asked
//! together with how many values it is of, and where there are none the answer says so.

use super::{Error, Query};
use crate::nearest::did_you_mean;
use crate::sink::schema::token::{self, Kind, Token};
use crate::sink::value::Value;
use crate::sink::{Answer, Parameter};

/// A query as a store is asked it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    pub(super) text: String,
    pub(super) parameters: Vec<Parameter>,
    /// For each column of an aggregate's answer, which of the counts before it says whether it has
    /// a value. Empty = no aggregate.
    counts: Vec<Option<usize>>,
    /// How many columns were asked for beside the query's own.
    hidden: usize,
}

impl Query {
    /// How it is asked on the command line, after `host query PIPELINE`.
    pub fn usage(&self) -> String {
        let parameters = self.parameters.iter().map(|parameter| {
            format!(
                " --{} {}",
                parameter.name,
                parameter.kind.to_string().to_uppercase()
            )
        });
        self.name.clone() + &parameters.collect::<String>()
    }

    /// Puts values to its parameters, for the tables of a keyspace.
    ///
    /// # Errors
    /// [`Error::Parameter`] for one that is missing, unknown, given twice or not of its type.
    pub fn bind(&self, given: &[(String, String)], keyspace: &str) -> Result<Bound, Error> {
        let error = |reason: String| Error::Parameter {
            reason,
            usage: self.usage(),
        };
        let known: Vec<_> = self
            .parameters
            .iter()
            .map(|parameter| format!("--{}", parameter.name))
            .collect();
        for (index, (name, _)) in given.iter().enumerate() {
            let flag = format!("--{name}");
            if !known.contains(&flag) {
                return Err(error(format!(
                    "{flag} is not a parameter{}",
                    did_you_mean(&flag, &known)
                )));
            }
            if given[..index].iter().any(|(other, _)| other == name) {
                return Err(error(format!("{flag} is given twice")));
            }
        }
        let mut values = Vec::new();
        for parameter in &self.parameters {
            let name = &parameter.name;
            let text = given.iter().find(|(other, _)| other == name);
            let (_, text) = text.ok_or_else(|| error(format!("--{name} is missing")))?;
            let named = parameter.kind.values(name, text);
            values.extend(named.map_err(|reason| error(format!("--{name}: {reason}")))?);
        }
        Ok(self.with(&values, keyspace))
    }

    fn with(&self, values: &[(String, Parameter)], keyspace: &str) -> Bound {
        let tokens = token::tokens(&self.text).expect("the query was read before");
        let mut text = String::new();
        let mut parameters = Vec::new();
        let (counted, counts) = counted(&tokens);
        let mut end = 0;
        for (index, token) in tokens.iter().enumerate() {
            let is_keyspace = index > 0
                && tokens[index - 1].is("FROM")
                && tokens.get(index + 1).is_some_and(|next| next.is("."));
            text.push_str(&self.text[end..token.at.start]);
            end = token.at.end;
            if token.kind == Kind::Parameter {
                let value = values.iter().find(|(name, _)| *name == token.text[1..]);
                let (_, value) = value.expect("the query uses only what it declares");
                parameters.push(value.clone());
                text.push('?');
            } else if is_keyspace {
                text.push_str(&token::quote(keyspace));
            } else {
                text.push_str(token.text);
            }
            if index == 0 && !counted.is_empty() {
                text.push_str(&format!(" {},", counted.join(", ")));
            }
        }
        Bound {
            text,
            parameters,
            counts,
            hidden: counted.len(),
        }
    }
}

/// What is to be counted beside a query's aggregates, and the counts of its columns.
fn counted(tokens: &[Token<'_>]) -> (Vec<String>, Vec<Option<usize>>) {
    // A keyspace may be called `group`.
    let mut pairs = tokens.windows(2);
    let is_grouped = pairs.any(|pair| pair[0].is("GROUP") && pair[1].is("BY"));
    let from = tokens
        .iter()
        .position(|token| token.is("FROM"))
        .unwrap_or(0);
    let aggregated = |item: &[Token<'_>]| match item {
        [function, open, column, ..] if open.is("(") => {
            let is_aggregate = ["AVG", "SUM", "MIN", "MAX"]
                .iter()
                .any(|name| function.is(name));
            is_aggregate.then(|| column.text.to_owned())
        }
        _ => None,
    };
    let items: Vec<_> = tokens[..from]
        .get(1..)
        .unwrap_or_default()
        .split(|token| token.is(","))
        .map(aggregated)
        .collect();
    if is_grouped || items.iter().all(Option::is_none) {
        return (Vec::new(), Vec::new());
    }
    let mut counted = vec!["count(*)".to_owned()];
    let counts = items.into_iter().map(|column| {
        counted.push(format!("count({})", column?));
        Some(counted.len() - 1)
    });
    let counts = counts.collect();
    (counted, counts)
}

impl Bound {
    /// The answer without what was asked for beside the query's own columns.
    pub(super) fn shown(&self, mut answer: Answer) -> Answer {
        if self.hidden == 0 {
            return answer;
        }
        answer.columns.drain(..self.hidden);
        answer.rows.retain(|row| row[0] != Value::Integer(0));
        for row in &mut answer.rows {
            let counts: Vec<_> = row.drain(..self.hidden).collect();
            for (value, count) in row.iter_mut().zip(&self.counts) {
                if count.is_some_and(|count| counts[count] == Value::Integer(0)) {
                    *value = Value::Null;
                }
            }
        }
        answer
    }
}
