//! `host explain`: which rows a message made, and what made them.

mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};

use self::report::{Explained, Fate, Row};
use super::dlq::{Position, position};
use super::run::assemble::sink::cassandra_config;
use super::run::assemble::{group_config, own_name, versions};
use super::settings::Settings;
use super::tables;
use crate::archive::cassandra::{Begun, Cassandra};
use crate::archive::{Archive, Part};
use crate::config::{self, Found};
use crate::message::{Batch, Message};
use crate::row::{Cell, Key, Target, Transformed};
use crate::sink::cassandra::Reader;
use crate::sink::value::Value;
use crate::sink::{Parameter, schema};
use crate::source::kafka;
use crate::terminal::plain;

/// What `host explain` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The message; the topic may be left out, if it is the pipeline's
    #[arg(value_name = "[TOPIC/]PARTITION/OFFSET", value_parser = position)]
    message: Position,
    /// The plugin, as `run` takes it: a file, or a pipeline that the binary carries
    #[arg(long, value_name = "FILE")]
    plugin: String,
    /// The pipeline's configuration; by default beside the plugin, or the carried one
    #[arg(long, value_name = "pipeline.toml")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the version that was at work on a message, and compares its rows with the tables.
///
/// # Errors
/// If the message, the version or the tables are not there, or the servers do not answer.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut settings = args.settings.clone();
    settings.topic = args.message.topic.clone().or(settings.topic);
    let flags = settings.flags();
    let found = config::find(&args.plugin, args.config.as_deref(), &flags, own_name)?;
    let explained = explain(&found, args.message.partition, args.message.offset)?;
    super::show(&if args.json {
        explained.json()
    } else {
        plain(&explained.text())
    })?;
    Ok(ExitCode::SUCCESS)
}

fn explain(found: &Found, partition: i32, offset: i64) -> anyhow::Result<Explained> {
    let kafka = group_config(found)?;
    let committed = kafka::committed(&kafka)?.into_iter();
    let next = committed
        .filter(|(of, _)| *of == partition)
        .find_map(|(_, next)| next);
    let config = cassandra_config(found)?;
    let archive = Cassandra::new(config, found.file.name.clone(), kafka.group.clone());
    let begun = archive.begun(partition)?.into_iter();
    let begun = begun
        .filter(|begun| begun.first_offset <= offset)
        .max_by_key(|begun| begun.generation);
    let Some(begun) = begun else {
        bail!(
            "sluice.generations does not know who has read offset {offset} of partition {partition}, in \
             topic `{}` for the group `{}`",
            kafka.topic,
            kafka.group
        );
    };
    let batch = read(&kafka, partition, offset, begun.generation)?;
    let version = load(found, &archive, &begun)?;
    let reader = tables::cassandra(found)?;
    let targets = &version.version.plugin.description().targets;
    let keys = schema::keys(targets, &reader.tables()?);
    let keys = keys.map_err(|differences| {
        anyhow::anyhow!("that version does not fit the tables any more:\n{differences}")
    })?;
    let mut instance = version.version.instance(keys.clone())?;
    let transformed = instance.apply(batch)?;
    let rows = rows(&reader, found, (targets, &keys), &transformed)?;
    let origin = version.version.origin();
    Ok(Explained {
        topic: kafka.topic,
        next,
        begun,
        plugin: format!("{} {}", origin.name, origin.version),
        fate: Fate::of(&transformed, rows),
        batch: transformed.batch,
    })
}

/// The message, alone, stamped with the earliest write time that it can have.
fn read(
    kafka: &kafka::Config,
    partition: i32,
    offset: i64,
    generation: u32,
) -> anyhow::Result<Batch> {
    let partitions = kafka::partitions(kafka)?;
    let there = partitions.iter().find(|(of, ..)| *of == partition);
    let Some(&(_, low, end)) = there else {
        bail!("`{}` has no partition {partition}", kafka.topic);
    };
    ensure!(
        (low..end).contains(&offset),
        "offset {offset} is not in the log: partition {partition} of `{}` holds {low} to {end}",
        kafka.topic
    );
    let from = partitions.iter().map(|&(of, _, end)| (of, end));
    let mut from: BTreeMap<i32, i64> = from.collect();
    from.insert(partition, offset);
    let mut reader = kafka::Reader::open(kafka, &from)?;
    let mut batch = Batch::new(kafka.topic.as_str().into());
    let mut push = |message: &Message<'_>| {
        if (message.partition, message.offset) == (partition, offset) {
            batch.push(message);
        }
    };
    reader.next(&mut push)?;
    ensure!(
        !batch.is_empty(),
        "offset {offset} of partition {partition} is no message: it was compacted away, or belongs to a \
         transaction"
    );
    batch.stamp(|_, time| {
        Some(
            time.max(0)
                .saturating_add(generation.into())
                .saturating_mul(1_000),
        )
    });
    Ok(batch)
}

/// The version that a generation began with: from what is kept, or from the files, if they are the same.
fn load(found: &Found, archive: &dyn Archive, begun: &Begun) -> anyhow::Result<versions::Loaded> {
    let part = |what: &str, digest: &str, file: anyhow::Result<Part>| -> anyhow::Result<Part> {
        if let Some(kept) = archive.fetch(digest)? {
            return Ok(kept);
        }
        let same = file.ok().filter(|part| part.digest() == digest);
        same.with_context(|| {
            format!("the {what} {digest} is not kept, and the file is another one")
        })
    };
    let file = found.plugin().map(|(name, bytes)| Part { name, bytes });
    let plugin = part("plugin", &begun.code.plugin, file.map_err(Into::into))?;
    versions::load(found, plugin, &|name| {
        let digest = begun.code.lookups.get(name);
        let digest = digest.with_context(|| format!("the commits name no lookup `{name}`"))?;
        let what = format!("lookup `{name}`");
        part(&what, digest, versions::lookup_of_file(found, name))
    })
}

/// The rows that were made, each beside what stands in its table now.
fn rows(
    reader: &Reader,
    found: &Found,
    (targets, keys): (&[Target], &[Key]),
    transformed: &Transformed,
) -> anyhow::Result<Vec<Row>> {
    let keyspace = &found.file.cassandra.keyspace;
    let mut shown = Vec::new();
    for rows in &transformed.rows {
        let (target, key) = (&targets[rows.target], &keys[rows.target]);
        for index in 0..rows.len() {
            let cells: Vec<Cell<'_>> = rows.cells(index).collect();
            let (query, parameters) = question(keyspace, target, key, &cells);
            let answer = reader.select(&query, &parameters)?;
            let stands = answer.rows.into_iter().next();
            let values = target.columns.iter().zip(&cells);
            let values = values.map(|(column, cell)| {
                let value = match cell {
                    Cell::Unset => return (column.name.clone(), None),
                    Cell::Null => Value::Null,
                    Cell::Value(cell) => Value::of_cell(column.kind, cell),
                };
                (column.name.clone(), Some(value))
            });
            shown.push(Row {
                table: format!("{keyspace}.{}", target.table),
                operation: target.operation,
                values: values.collect(),
                stands,
                written: rows.write_times[index],
            });
        }
    }
    Ok(shown)
}

/// What asks for a row of a table by its key: the row's columns, and last when it was written.
fn question(
    keyspace: &str,
    target: &Target,
    key: &Key,
    cells: &[Cell<'_>],
) -> (String, Vec<Parameter>) {
    let name = |index: usize| schema::token::quote(&target.columns[index].name);
    let indices: Vec<usize> = key
        .partition
        .iter()
        .chain(&key.clustering)
        .copied()
        .collect();
    let mut columns: Vec<_> = (0..target.columns.len()).map(name).collect();
    // Keys have no write time; a table of nothing else has none to show.
    let written = (0..target.columns.len()).find(|index| !indices.contains(index));
    columns.extend(written.map(|index| format!("WRITETIME({})", name(index))));
    let wheres: Vec<_> = indices
        .iter()
        .map(|&index| format!("{} = ?", name(index)))
        .collect();
    let parameter = |&index: &usize| Parameter {
        kind: target.columns[index].kind,
        cell: match cells[index] {
            Cell::Value(cell) => cell.to_vec(),
            Cell::Null | Cell::Unset => Vec::new(),
        },
    };
    let query = format!(
        "SELECT {} FROM {}.{} WHERE {}",
        columns.join(", "),
        schema::token::quote(keyspace),
        schema::token::quote(&target.table),
        wheres.join(" AND ")
    );
    (query, indices.iter().map(parameter).collect())
}
