//! The SQL of a table: how it is made, and how a row is written into it.

use crate::row::{CqlType, Operation, Target};
use crate::sink::schema::token::quote;
use crate::sink::schema::{Order, Table};

/// The hidden column of a row's write time.
pub(super) const WRITE_TIME: &str = "sluice_w";

/// The hidden column that says whether a row is deleted. Its row stays, so that an older message
/// that comes late does not bring it back.
pub(super) const DELETED: &str = "sluice_deleted";

/// The storage class of a type.
fn storage(kind: Option<CqlType>) -> &'static str {
    match kind {
        Some(
            CqlType::Ascii
            | CqlType::Text
            | CqlType::Date
            | CqlType::Uuid
            | CqlType::Timeuuid
            | CqlType::Inet,
        ) => "TEXT",
        Some(
            CqlType::Boolean
            | CqlType::Tinyint
            | CqlType::Smallint
            | CqlType::Int
            | CqlType::Bigint
            | CqlType::Timestamp
            | CqlType::Time,
        ) => "INTEGER",
        Some(CqlType::Float | CqlType::Double) => "REAL",
        Some(CqlType::Blob | CqlType::Decimal | CqlType::Varint | CqlType::Duration) | None => {
            "BLOB"
        }
    }
}

/// The columns of a table as SQLite describes them: name, storage class, place in the primary key.
pub(super) fn layout(table: &Table) -> Vec<(String, String, i64)> {
    let key: Vec<_> = (1..).zip(table.primary_key()).collect();
    let place = |name: &str| {
        key.iter()
            .find(|(_, key)| *key == name)
            .map_or(0, |(place, _)| *place)
    };
    let columns = table.columns.iter().map(|column| {
        (
            column.name.clone(),
            storage(column.known()).to_owned(),
            place(&column.name),
        )
    });
    let hidden = [WRITE_TIME, DELETED].map(|name| (name.to_owned(), "INTEGER".to_owned(), 0));
    columns.chain(hidden).collect()
}

pub(super) fn create(table: &Table) -> String {
    let mut parts: Vec<_> = layout(table)
        .iter()
        .map(|(name, kind, key)| {
            let not_null = if *key > 0 { " NOT NULL" } else { "" };
            format!("{} {kind}{not_null}", quote(name))
        })
        .collect();
    let partition = table.partition.iter().map(|name| quote(name));
    let clustering = table.clustering.iter().map(|(name, order)| match order {
        Order::Ascending => quote(name),
        Order::Descending => format!("{} DESC", quote(name)),
    });
    parts.push(format!(
        "PRIMARY KEY ({})",
        partition.chain(clustering).collect::<Vec<_>>().join(", ")
    ));
    format!(
        "CREATE TABLE IF NOT EXISTS {} ({}) WITHOUT ROWID",
        quote(&table.name),
        parts.join(", ")
    )
}

/// The statement of a target for rows of which only some columns are set. Its parameters are those
/// columns and the write time.
pub(super) fn text(table: &Table, target: &Target, is_set: impl Fn(usize) -> bool) -> String {
    let is_key = |name: &str| table.primary_key().any(|key| key == name);
    let set = target
        .columns
        .iter()
        .enumerate()
        .filter(|(index, _)| is_set(*index));
    let names: Vec<_> = set.map(|(_, column)| column.name.as_str()).collect();
    let is_delete = target.operation == Operation::Delete;
    let mut changes = vec![
        format!("{WRITE_TIME} = excluded.{WRITE_TIME}"),
        format!("{DELETED} = excluded.{DELETED}"),
    ];
    if is_delete {
        let others = table.columns.iter().filter(|column| !is_key(&column.name));
        changes.extend(others.map(|column| format!("{} = NULL", quote(&column.name))));
    } else {
        let others = names
            .iter()
            .filter(|name| !is_key(name))
            .map(|name| quote(name));
        changes.extend(others.map(|name| format!("{name} = excluded.{name}")));
    }
    // As in Cassandra, of a row and its deletion at the same time the deletion wins.
    let wins = if is_delete {
        format!("excluded.{WRITE_TIME} >= {WRITE_TIME}")
    } else {
        format!(
            "excluded.{WRITE_TIME} > {WRITE_TIME} OR (excluded.{WRITE_TIME} = {WRITE_TIME} AND NOT {DELETED})"
        )
    };
    let columns: Vec<_> = names.iter().map(|name| quote(name)).collect();
    format!(
        "INSERT INTO {} ({}, {WRITE_TIME}, {DELETED}) VALUES ({}?, {}) ON CONFLICT ({}) DO UPDATE SET {} WHERE {wins}",
        quote(&table.name),
        columns.join(", "),
        "?, ".repeat(columns.len()),
        i32::from(is_delete),
        table
            .primary_key()
            .map(quote)
            .collect::<Vec<_>>()
            .join(", "),
        changes.join(", "),
    )
}
