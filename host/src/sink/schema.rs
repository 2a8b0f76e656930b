//! What tables look like, in a schema file and in a live store, and how that differs from what a
//! plugin writes.
//!
//! Only `CREATE KEYSPACE` and `CREATE TABLE` are read. What else a statement says (options,
//! compaction, ...) is kept as text for the store that understands it.

mod parse;
pub(crate) mod token;

use std::fmt::Write as _;
use std::ops::Range;

use crate::row::{CqlType, Key, Operation, Target};

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in CQL, which may be one that no plugin can write.
    pub kind: String,
    /// Whether all rows of a partition share it.
    pub is_static: bool,
}

impl Column {
    /// Its type, if plugins can write it.
    pub fn known(&self) -> Option<CqlType> {
        CqlType::from_name(&self.kind)
    }
}

/// The order of a clustering column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Ascending,
    /// Greatest first.
    Descending,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, without the keyspace.
    pub name: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// The columns of the partition key, in its order.
    pub partition: Vec<String>,
    /// The clustering columns, in their order.
    pub clustering: Vec<(String, Order)>,
}

impl Table {
    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The names of the primary key's columns, in its order.
    pub fn primary_key(&self) -> impl Iterator<Item = &str> {
        let clustering = self.clustering.iter().map(|(name, _)| name.as_str());
        self.partition.iter().map(String::as_str).chain(clustering)
    }

    /// The key of a target's rows in this table.
    fn key(&self, target: &Target) -> Option<Key> {
        let index = |name: &str| target.columns.iter().position(|column| column.name == name);
        let partition = self.partition.iter().map(|name| index(name));
        let clustering = self.clustering.iter().map(|(name, _)| index(name));
        Some(Key {
            partition: partition.collect::<Option<_>>()?,
            clustering: clustering.collect::<Option<_>>()?,
        })
    }
}

/// A statement of a schema file, which names its keyspace once.
#[derive(Clone, Debug)]
struct Statement {
    text: String,
    keyspace: Range<usize>,
}

/// A schema file.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The keyspace that its tables are in.
    pub keyspace: String,
    /// Its tables.
    pub tables: Vec<Table>,
    statements: Vec<Statement>,
}

/// Why a schema file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("schema.cql, line {line}: {reason}")]
pub struct Error {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

impl Schema {
    /// The table of a name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Its statements, to be run in this order, for a keyspace that may be another one.
    pub fn statements(&self, keyspace: &str) -> Vec<String> {
        let written = |statement: &Statement| {
            let mut text = statement.text.clone();
            if keyspace == self.keyspace {
                return text;
            }
            text.replace_range(statement.keyspace.clone(), &token::quote(keyspace));
            text
        };
        self.statements.iter().map(written).collect()
    }
}

/// The longest name of a keyspace or table that Cassandra takes.
const NAME_BYTES_MAX: usize = 48;

/// Refuses names that would not mean themselves in a statement, or in a file's name.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), super::Error> {
    let is_word = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_letter_first = name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    if is_word && is_letter_first && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    let rule = "a letter, then letters, digits and `_`, at most 48 in all";
    Err(super::Error::Schema(format!(
        "`{name}` cannot be the name of a {what}: {rule}"
    )))
}

/// The key of each target in its table, or the difference: a line for each thing that is wrong.
///
/// # Errors
/// The difference, as text for a person.
pub fn keys(targets: &[Target], tables: &[Table]) -> Result<Vec<Key>, String> {
    let mut differences = String::new();
    let mut keys = Vec::new();
    for target in targets {
        let name = &target.table;
        let Some(table) = tables.iter().find(|table| table.name == *name) else {
            writeln!(differences, "  {name}: there is no such table").expect("a text takes all");
            continue;
        };
        for (column, difference) in column_differences(target, table) {
            writeln!(differences, "  {name}.{column}: {difference}").expect("a text takes all");
        }
        keys.extend(table.key(target));
    }
    if differences.is_empty() {
        Ok(keys)
    } else {
        Err(differences)
    }
}

fn column_differences<'a>(target: &'a Target, table: &'a Table) -> Vec<(&'a str, String)> {
    let mut differences = Vec::new();
    for column in &target.columns {
        let wanted = column.kind.name();
        match table.column(&column.name) {
            None => differences.push((
                column.name.as_str(),
                format!("is missing; it should be {wanted}"),
            )),
            Some(live) if live.kind != wanted => {
                let difference = format!("is {}; it should be {wanted}", live.kind);
                differences.push((column.name.as_str(), difference));
            }
            Some(live) if live.is_static => {
                let difference = "is static: rows would overwrite each other's".into();
                differences.push((column.name.as_str(), difference));
            }
            Some(_) => {}
        }
    }
    for name in table.primary_key() {
        if !target.columns.iter().any(|column| column.name == name) {
            differences.push((name, "is in the primary key, but is not written".into()));
        }
    }
    if target.operation == Operation::Delete {
        let is_key = |name: &str| table.primary_key().any(|other| other == name);
        for column in target.columns.iter().filter(|column| !is_key(&column.name)) {
            let difference = "is not in the primary key, by which the plugin deletes rows".into();
            differences.push((column.name.as_str(), difference));
        }
    }
    differences
}

impl Schema {
    /// What a store's tables lack of this schema, a line for each.
    pub fn differences(&self, live: &[Table]) -> Vec<String> {
        let mut differences = Vec::new();
        for table in &self.tables {
            let name = &table.name;
            let Some(live) = live.iter().find(|live| live.name == *name) else {
                differences.push(format!("{name}: there is no such table"));
                continue;
            };
            for column in &table.columns {
                let (name, wanted) = (format!("{name}.{}", column.name), &column.kind);
                match live.column(&column.name) {
                    None => differences.push(format!("{name}: is missing; it should be {wanted}")),
                    Some(live) if live.kind != *wanted => {
                        differences
                            .push(format!("{name}: is {}; it should be {wanted}", live.kind));
                    }
                    Some(_) => {}
                }
            }
            if live.partition != table.partition || live.clustering != table.clustering {
                differences.push(format!(
                    "{name}: the primary key is another one, or its order is"
                ));
            }
        }
        differences
    }

    /// The statements that add columns which a store's tables lack.
    pub fn additions(&self, keyspace: &str, live: &[Table]) -> Vec<String> {
        let both = self
            .tables
            .iter()
            .filter_map(|table| Some((table, live.iter().find(|live| live.name == table.name)?)));
        let mut statements = Vec::new();
        for (table, live) in both {
            let is_missing = |column: &&Column| live.column(&column.name).is_none();
            for column in table.columns.iter().filter(is_missing) {
                let [keyspace, table, name] =
                    [keyspace, &table.name, &column.name].map(token::quote);
                let fixed = if column.is_static { " STATIC" } else { "" };
                statements.push(format!(
                    "ALTER TABLE {keyspace}.{table} ADD {name} {}{fixed}",
                    column.kind
                ));
            }
        }
        statements
    }
}

#[cfg(test)]
mod tests;
