//! The verb `inspect`: what a plugin is and what it may do, without running it on a message.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::run::assemble::plugin_config;
use crate::config;
use crate::plugin::{self, Plugin};

/// What `inspect` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A component, core module or .wat file, or a pipeline: a name that the binary carries, or a path
    #[arg(default_value = ".")]
    plugin: String,
    /// The pipeline.toml whose configuration the plugin is given [default: beside the file]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Loads the plugin and prints its card.
///
/// # Errors
/// If there is no such file, or it is no plugin.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let no_pipeline = |name: &str, _: &[u8]| {
        Err(config::Error::NoPipeline {
            plugin: name.to_owned(),
            missing: String::new(),
        })
    };
    let found = config::find(&args.plugin, args.config.as_deref(), &[], no_pipeline);
    let (name, bytes, config) = match found {
        Ok(found) => {
            let (name, bytes) = found.plugin()?;
            (name, bytes, plugin_config(&found)?)
        }
        // A plugin alone can be looked at just as well.
        Err(config::Error::NoPipeline { plugin: name, .. }) => {
            let path = Path::new(&args.plugin);
            let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
            let cache = config::cache_directory();
            (
                name,
                bytes,
                plugin::Config {
                    cache,
                    waits: Some(super::waits::compiling),
                    ..plugin::Config::default()
                },
            )
        }
        Err(error) => return Err(error.into()),
    };
    let plugin = Plugin::load(&name, &bytes, &config).with_context(|| args.plugin.clone())?;
    let card = plugin.card();
    let text = if args.json {
        serde_json::to_string_pretty(&card)? + "\n"
    } else {
        card.to_string()
    };
    super::show(&text)?;
    Ok(ExitCode::SUCCESS)
}
