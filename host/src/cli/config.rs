//! `host config`: what a pipeline's configuration comes to, and what it may say.

use std::path::PathBuf;
use std::process::ExitCode;

use super::run::assemble::own_name;
use super::settings::Settings;
use crate::config::{self, Found, Setting};

/// What `host config` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Print every setting with its value and where it comes from
    Show(Box<Show>),
    /// Print the JSON schema of pipeline.toml, for editors
    Schema,
}

#[derive(Clone, Debug, clap::Args)]
struct Show {
    /// The pipeline: a name that the binary carries, or a path: its folder, its pipeline.toml, its plugin
    pipeline: String,
    /// The pipeline's configuration; by default beside the plugin, or the carried one
    #[arg(long, value_name = "pipeline.toml")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// As a JSON array of objects
    #[arg(long)]
    json: bool,
}

/// Prints what is asked for.
///
/// # Errors
/// If there is no such pipeline, or its configuration is not as it must be.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Schema => super::show(&config::schema())?,
        Action::Show(show) => {
            let flags = show.settings.flags();
            let found = config::find(&show.pipeline, show.config.as_deref(), &flags, own_name)?;
            let settings = found.document.settings();
            if show.json {
                super::show(&(serde_json::to_string_pretty(&settings)? + "\n"))?;
            } else {
                super::show(&table(&found, &settings))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The settings as the file would say them, each with its origin.
fn table(found: &Found, settings: &[Setting]) -> String {
    let lines: Vec<(String, &str)> = settings
        .iter()
        .map(|setting| {
            let value = setting.value.as_ref().map(ToString::to_string);
            let line = format!(
                "{} = {}",
                setting.key,
                value.as_deref().unwrap_or("(not given)")
            );
            (line, setting.origin.as_str())
        })
        .collect();
    let width = lines
        .iter()
        .map(|(line, _)| line.chars().count().min(WIDTH_MAX));
    let width = width.max().unwrap_or_default();
    let mut text = format!("# {}\n", found.config);
    for (line, origin) in lines {
        text += &format!("{line:width$}  # {origin}\n");
    }
    text
}

/// A longer line does not push the others' origins away.
const WIDTH_MAX: usize = 60;
