//! `host dlq`: a pipeline's dead letters, looked at, sent through it again, dropped.

mod drop;
mod list;
mod redrive;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

pub(super) use self::list::{Position, escaped, position};
use super::run::assemble::sink::cassandra_config;
use super::run::assemble::versions::HISTORY_MAX;
use super::run::assemble::{group_config, own_name};
use super::settings::Settings;
use super::tables::Kind;
use crate::archive::cassandra::Cassandra;
use crate::archive::{self, Archive as _};
use crate::config::{self, Found};
use crate::source::kafka;
use crate::source::letters::{File, Store, Topic, Wanted};

/// What `host dlq` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// How many dead letters there are, by code, and a line for each
    Ls(list::Ls),
    /// Everything of one dead letter
    Show(list::Show),
    /// Send dead letters through decoding, plugin and sink again, as the messages they were
    Redrive(redrive::Args),
    /// Delete dead letters
    Drop(drop::Args),
}

/// Whose letters, and where they are.
#[derive(Debug, clap::Args)]
struct Place {
    /// The pipeline: a name that the binary carries, or a path: its folder, its pipeline.toml, its plugin
    pipeline: String,
    /// The pipeline's configuration; by default beside the plugin, or the carried one
    #[arg(long, value_name = "pipeline.toml")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Where the pipeline's rows go: cassandra, with letters in TOPIC.dlq; or sqlite:DIR, with letters in DIR
    #[arg(long, value_name = "cassandra|sqlite:DIR", default_value = "cassandra")]
    sink: Kind,
}

/// Does what is asked of a pipeline's dead letters.
///
/// # Errors
/// If they cannot be read, or not changed.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Ls(args) => list::ls(&args),
        Action::Show(args) => list::show(&args),
        Action::Redrive(args) => redrive::run(&args),
        Action::Drop(args) => drop::run(&args),
    }
}

impl Place {
    fn found(&self) -> anyhow::Result<Found> {
        let flags = self.settings.flags();
        config::find(&self.pipeline, self.config.as_deref(), &flags, own_name)
    }

    /// The letters of a pipeline's own plugin.
    fn wanted(found: &Found, code: Option<&String>) -> anyhow::Result<Wanted> {
        let (name, bytes) = found.plugin()?;
        Ok(Wanted {
            plugin: own_name(&name, &bytes)?,
            code: code.cloned(),
            ..Wanted::default()
        })
    }

    /// All letters there are, to be looked at.
    fn read(&self, found: &Found) -> anyhow::Result<Box<dyn Store>> {
        Ok(match &self.sink {
            Kind::Cassandra => {
                let topic = Topic::read(&letters_config(found)?)?;
                Box::new(topic.without(taken_back(found)?))
            }
            Kind::Sqlite(directory) => Box::new(File::read(directory)?),
        })
    }

    /// What messages call the place.
    fn name(&self, found: &Found) -> String {
        match &self.sink {
            Kind::Cassandra => format!(
                "topic `{}.dlq` at {}",
                found.file.topic, found.file.kafka.brokers
            ),
            Kind::Sqlite(directory) => directory.display().to_string(),
        }
    }
}

/// The digests of plugins that were taken back during their probation.
fn taken_back(found: &Found) -> anyhow::Result<BTreeSet<String>> {
    let group = found.file.kafka.group.clone();
    let archive = Cassandra::new(cassandra_config(found)?, found.file.name.clone(), group);
    let history = archive.history(HISTORY_MAX).unwrap_or_else(|error| {
        // A host without rights on those tables has no history, either.
        tracing::warn!(%error, "which versions were taken back is not known: their letters are listed");
        Vec::new()
    });
    Ok(archive::taken_back(&history))
}

/// How a pipeline's topic of letters is read.
fn letters_config(found: &Found) -> Result<kafka::Config, config::Error> {
    Ok(kafka::Config {
        topic: format!("{}.dlq", found.file.topic),
        ..group_config(found)?
    })
}
