//! Queries of a keyspace's file, written in CQL as Cassandra takes them.
//!
//! The two languages agree on what our queries need; what differs is translated: the keyspace goes,
//! deleted rows and hidden columns are left out, and `avg` and `sum` are Cassandra's.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::{Config, aggregate, connect, failure, statement, store, stored};
use crate::row::CqlType;
use crate::sink::schema::token::{self, Kind, Token, quote};
use crate::sink::schema::{Schema, Table};
use crate::sink::value::Value;
use crate::sink::{Answer, Error, Parameter};

/// A keyspace's file, for reading.
pub struct Reader {
    store: String,
    connection: Connection,
    schema: Schema,
}

impl Reader {
    /// Opens the file.
    ///
    /// # Errors
    /// As [`Sqlite::open`](super::Sqlite::open).
    pub fn open(config: &Config) -> Result<Self, Error> {
        let (connection, schema) = connect(config)?;
        let store = store(&config.path());
        aggregate::register(&connection).map_err(|error| failure(&store, &error))?;
        Ok(Self {
            store,
            connection,
            schema,
        })
    }

    /// Runs a query, whose parameters stand in it as `?`.
    ///
    /// # Errors
    /// When it could not be run.
    pub fn select(&self, query: &str, parameters: &[Parameter]) -> Result<Answer, Error> {
        let translated = translated(&self.schema, query);
        let translated = translated.map_err(|reason| Error::Refused {
            store: self.store.clone(),
            reason,
        })?;
        let columns = translated
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect();
        let rows = self.rows(&translated, parameters);
        let rows = rows.map_err(|error| failure(&self.store, &error))?;
        Ok(Answer { columns, rows })
    }

    fn rows(
        &self,
        query: &Translated,
        parameters: &[Parameter],
    ) -> rusqlite::Result<Vec<Vec<Value>>> {
        let mut statement = self.connection.prepare(&query.text)?;
        for (index, parameter) in parameters.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, stored(parameter.kind, &parameter.cell))?;
        }
        let values = |row: &Row<'_>| -> rusqlite::Result<Vec<Value>> {
            let kinds = query.columns.iter().map(|column| column.kind);
            kinds
                .enumerate()
                .map(|(index, kind)| Ok(value(kind, row.get_ref(index)?)))
                .collect()
        };
        let mut rows = statement.raw_query();
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(values(row)?);
        }
        Ok(all)
    }
}

/// What SQLite stores, as the value of its type.
fn value(kind: Option<CqlType>, stored: ValueRef<'_>) -> Value {
    match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => match kind {
            Some(CqlType::Timestamp) => Value::Timestamp(number),
            Some(CqlType::Boolean) => Value::Boolean(number != 0),
            Some(CqlType::Time) => Value::of_cell(CqlType::Time, &number.to_be_bytes()),
            Some(CqlType::Tinyint) => Value::Integer(wrapped(number, 8)),
            Some(CqlType::Smallint) => Value::Integer(wrapped(number, 16)),
            Some(CqlType::Int) => Value::Integer(wrapped(number, 32)),
            _ => Value::Integer(number),
        },
        ValueRef::Real(number) => match kind {
            Some(CqlType::Float) => Value::Float(narrowed(number)),
            _ => Value::Double(number),
        },
        ValueRef::Text(text) => match kind {
            Some(CqlType::Float) => Value::Float(f32::NAN),
            Some(CqlType::Double) => Value::Double(f64::NAN),
            _ => Value::Text(String::from_utf8_lossy(text).into_owned()),
        },
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// A sum that left its type of so many bits, as Cassandra's does.
fn wrapped(number: i64, bits: u32) -> i64 {
    let spare = i64::BITS - bits;
    (number << spare) >> spare
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "it was widened when it was stored, or is what Cassandra rounds"
)]
fn narrowed(number: f64) -> f32 {
    number as f32
}

/// A query in SQL.
#[derive(Debug, PartialEq)]
struct Translated {
    text: String,
    columns: Vec<Selected>,
}

#[derive(Debug, PartialEq)]
struct Selected {
    name: String,
    kind: Option<CqlType>,
}

fn translated(schema: &Schema, query: &str) -> Result<Translated, String> {
    let tokens = token::tokens(query).map_err(|_| "a quote does not end".to_owned())?;
    let from = tokens.iter().position(|token| token.is("FROM"));
    let from = from.ok_or("a query is SELECT .. FROM ..")?;
    let (items, mut rest) = (&tokens[..from], &tokens[from + 1..]);
    if let [_, dot, after @ ..] = rest
        && dot.is(".")
    {
        rest = after;
    }
    let (name, rest) = rest.split_first().ok_or("a table is expected after FROM")?;
    let name = name.name().ok_or("a table is expected after FROM")?;
    let table = schema
        .table(&name)
        .ok_or_else(|| format!("there is no table `{name}`"))?;
    let Some((select, items)) = items.split_first().filter(|(first, _)| first.is("SELECT")) else {
        return Err("a query begins with SELECT".into());
    };
    let mut columns = Vec::new();
    let mut texts = Vec::new();
    for item in items.split(|token| token.is(",")) {
        let (text, selected) = selected(table, item).ok_or_else(|| {
            format!(
                "a column or a function of one is expected after `{}`",
                select.text
            )
        })?;
        texts.push(text);
        columns.extend(selected);
    }
    let text = format!(
        "SELECT {} FROM (SELECT * FROM {} WHERE NOT {}) {}",
        texts.join(", "),
        quote(&name),
        statement::DELETED,
        conditions(table, rest),
    );
    Ok(Translated { text, columns })
}

/// An item of a query's list, with the columns of the answer that it stands for.
fn selected(table: &Table, item: &[Token<'_>]) -> Option<(String, Vec<Selected>)> {
    let (item, alias) = match item {
        [item @ .., keyword, alias] if keyword.is("AS") => (item, alias.name()),
        item => (item, None),
    };
    let column = |token: &Token<'_>| table.column(&token.name()?);
    let (text, name, kind) = match item {
        [all] if all.is("*") => {
            let mut columns: Vec<_> = table.columns.iter().collect();
            // Cassandra answers with the key first, and then the others by name.
            let place = |name: &str| {
                table
                    .primary_key()
                    .position(|key| key == name)
                    .unwrap_or(usize::MAX)
            };
            columns.sort_by_key(|column| (place(&column.name), column.name.clone()));
            let names: Vec<_> = columns.iter().map(|column| quote(&column.name)).collect();
            let selected = columns.iter().map(|column| Selected {
                name: column.name.clone(),
                kind: column.known(),
            });
            return Some((names.join(", "), selected.collect()));
        }
        [name] => {
            let column = column(name)?;
            (quote(&column.name), column.name.clone(), column.known())
        }
        [function, open, all, close] if open.is("(") && all.is("*") && close.is(")") => {
            function.is("COUNT").then_some(())?;
            ("count(*)".into(), "count".into(), Some(CqlType::Bigint))
        }
        [function, open, name, close] if open.is("(") && close.is(")") => {
            let (function, column) = (function.name()?, column(name)?);
            let kind = match function.as_str() {
                "count" => Some(CqlType::Bigint),
                "avg" | "min" | "max" | "sum" => column.known(),
                _ => return None,
            };
            let text = format!("{function}({})", quote(&column.name));
            (text, format!("system.{function}({})", column.name), kind)
        }
        _ => return None,
    };
    Some((
        text,
        vec![Selected {
            name: alias.unwrap_or(name),
            kind,
        }],
    ))
}

/// What follows the table, with names as SQLite takes them and without what only Cassandra needs.
fn conditions(table: &Table, tokens: &[Token<'_>]) -> String {
    let mut words: Vec<String> = Vec::new();
    for token in tokens
        .iter()
        .filter(|token| !token.is("ALLOW") && !token.is("FILTERING") && !token.is(";"))
    {
        words.push(match (token.kind, token.name()) {
            (Kind::Word | Kind::Quoted, Some(name)) if table.column(&name).is_some() => {
                quote(&name)
            }
            _ => token.text.to_owned(),
        });
    }
    // `>=` and the like fall into two tokens, which SQLite wants together.
    words
        .join(" ")
        .replace("> =", ">=")
        .replace("< =", "<=")
        .replace("! =", "!=")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const SCHEMA: &str = "CREATE TABLE m.plays (name text, key int, at timestamp, tempo float, PRIMARY KEY ((name), at))";

    #[test]
    fn queries_are_translated() {
        let schema = Schema::parse(SCHEMA).unwrap();
        let check = |query: &str, expected: Expect| {
            let answer = match translated(&schema, query) {
                Ok(Translated { text, columns }) => {
                    let columns = columns.iter().map(|Selected { name, kind }| {
                        format!("{name}: {}", kind.map_or("?", CqlType::name))
                    });
                    format!("{text}\n{}", columns.collect::<Vec<_>>().join(", "))
                }
                Err(reason) => reason,
            };
            expected.assert_eq(&answer);
        };
        check(
            "SELECT * FROM m.plays LIMIT 50;",
            expect![[r#"
                SELECT "name", "at", "key", "tempo" FROM (SELECT * FROM "plays" WHERE NOT sluice_deleted) LIMIT 50
                name: text, at: timestamp, key: int, tempo: float"#]],
        );
        check(
            "SELECT avg(tempo) AS tempo, count(*) FROM plays WHERE name = ? AND key >= ? ALLOW FILTERING",
            expect![[r#"
                SELECT avg("tempo"), count(*) FROM (SELECT * FROM "plays" WHERE NOT sluice_deleted) WHERE "name" = ? AND "key" >= ?
                tempo: float, count: bigint"#]],
        );
        check(
            "SELECT a FROM m.plays",
            expect!["a column or a function of one is expected after `SELECT`"],
        );
        check("SELECT * FROM m.x", expect!["there is no table `x`"]);
        check(
            "SELECT toJson(key) FROM m.plays",
            expect!["a column or a function of one is expected after `SELECT`"],
        );
        check("UPDATE plays", expect!["a query is SELECT .. FROM .."]);
    }
}
