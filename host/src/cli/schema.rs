//! `host schema`: what a pipeline's tables should be, what they are, and how to make them so.

use std::process::ExitCode;

use anyhow::Context;

use super::exit;
use super::run::assemble::sink::{cassandra_config, sqlite_config};
use super::tables::{self, Kind, Place};
use crate::checkpoint;
use crate::config::{self, Found};
use crate::sink;
use crate::sink::schema::Schema;
use crate::sink::sqlite::{self, Sqlite};

/// What `host schema` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to do
    action: Action,
    /// The pipeline: a name that the binary carries, or a path: its folder, its pipeline.toml, its plugin
    pipeline: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Action {
    /// Print the schema
    Show,
    /// Compare the live tables with it
    Diff,
    /// Make the keyspace, tables and columns that are missing
    Apply,
}

/// Shows, compares or applies a schema.
///
/// # Errors
/// When the store does not answer, or refuses.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let found = args.place.pipeline(&args.pipeline)?;
    let text = found.schema("`host schema`")?;
    let schema = Schema::parse(&text.text).with_context(|| text.name.clone())?;
    if let Action::Show = args.action {
        let statements = schema.statements(&found.file.cassandra.keyspace);
        let text: String = statements
            .iter()
            .map(|statement| format!("{statement};\n\n"))
            .collect();
        super::show(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let differences = match args.place.kind() {
        Kind::Cassandra => in_cassandra(&args, &found, &schema)?,
        Kind::Sqlite(directory) => {
            let config = sqlite_config(&directory, &found)?;
            match args.action {
                Action::Diff => in_sqlite(&config)?,
                // Opening the file compares its tables with the schema, and makes those that lack.
                Action::Show | Action::Apply => {
                    drop(Sqlite::open(&config)?);
                    Vec::new()
                }
            }
        }
    };
    if differences.is_empty() {
        super::show("the tables are as the schema says\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let (pipeline, invocation) = (shell_words::quote(&args.pipeline), config::invocation());
    let place = args.place.typed();
    super::show(&format!(
        "{}\n\n`{invocation} schema apply {pipeline}{place}` makes what is missing; what is of another type or key must \
         be dropped first\n",
        differences.join("\n")
    ))?;
    Ok(exit::FAILED.into())
}

/// What a file lacks, which is left as it is.
fn in_sqlite(config: &sqlite::Config) -> Result<Vec<String>, sink::Error> {
    let Some(missing) = sqlite::missing(config)? else {
        return Ok(vec![format!("there is no {}", config.path().display())]);
    };
    let missing = missing.into_iter();
    Ok(missing
        .map(|name| format!("{name}: there is no such table"))
        .collect())
}

fn in_cassandra(args: &Args, found: &Found, schema: &Schema) -> anyhow::Result<Vec<String>> {
    let reader = tables::cassandra(found)?;
    if let Action::Apply = args.action {
        let keyspace = &found.file.cassandra.keyspace;
        for statement in schema.statements(keyspace) {
            reader.execute(&statement)?;
        }
        for statement in schema.additions(keyspace, &reader.tables()?) {
            reader.execute(&statement)?;
        }
        checkpoint::cassandra::apply(&cassandra_config(found)?)?;
    }
    Ok(schema.differences(&reader.tables()?))
}
