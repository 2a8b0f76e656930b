//! `host test`: a pipeline's samples through its plugin, held to its golden rows.

mod stale;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::run::assemble::{lookups, own_name, plugin_config};
use super::{exit, name_and_file};
use crate::config::{self, Flag, Found};
use crate::plugin::Plugin;
use crate::samples::{Error, Trial, difference};

/// What `host test` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pipeline: a folder with a pipeline.toml, that file, or a plugin beside it
    #[arg(default_value = ".")]
    pub pipeline: String,
    /// Reference data, instead of the pipeline's
    #[arg(long, value_name = "NAME=FILE.csv", value_parser = name_and_file)]
    pub lookup: Vec<(String, PathBuf)>,
    /// Keep what comes out as the golden rows
    #[arg(long)]
    pub update: bool,
}

/// Tries a pipeline's samples. Exits with 1 if what comes out is not what the golden file says.
///
/// # Errors
/// If the pipeline is not whole, or its plugin's answers depend on how messages are batched.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let flags = args.lookup.iter().map(|(name, file)| {
        let file = file.to_string_lossy().into_owned();
        Flag::new("--lookup", &["lookups", name, "path"], file)
    });
    let flags: Vec<Flag> = flags.collect();
    let found = config::find(&args.pipeline, None, &flags, own_name)?;
    if let (Some(source), Some(plugin)) = (stale::newer_source(&found), found.plugin_path()) {
        let (source, plugin) = (source.display(), plugin.display());
        super::show(&format!(
            "{source} is newer than {plugin}, which is tried as it is: `host build` makes it anew\n"
        ))?;
    }
    if args.update {
        return update(&found);
    }
    let (samples, made) = trial(&found)?;
    let (golden, kept) = match &found.folder {
        Some(folder) => {
            let path = folder.join(config::GOLDEN).display().to_string();
            let kept =
                std::fs::read(&path).with_context(|| format!("{path} (--update makes it)"))?;
            (path, kept)
        }
        None => found.golden()?,
    };
    let shown = difference(&String::from_utf8_lossy(&kept), &made);
    if shown.is_empty() {
        super::show(&format!("{samples} gives what {golden} says\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    super::show(&format!(
        "-{golden}\n+what comes out\n\n{shown}\n{samples} gives something else than {golden} says"
    ))?;
    super::show(match found.folder {
        Some(_) => "; --update keeps what comes out\n",
        None => "\n",
    })?;
    Ok(exit::FAILED.into())
}

/// Keeps what becomes of the samples as the golden rows.
fn update(found: &Found) -> anyhow::Result<ExitCode> {
    let Some(folder) = &found.folder else {
        bail!(
            "there is no file for the golden rows of `{}`: give the folder of its sources",
            found.named
        );
    };
    let golden = folder.join(config::GOLDEN);
    let (_, made) = trial(found)?;
    std::fs::write(&golden, &made).with_context(|| golden.display().to_string())?;
    let build = match found.file.build {
        Some(_) => "; `host build` puts it into the plugin",
        None => "",
    };
    super::show(&format!(
        "{} is written: read it{build}\n",
        golden.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// What the samples are called, and what becomes of them.
fn trial(found: &Found) -> anyhow::Result<(String, String)> {
    let (name, bytes) = found.plugin()?;
    let plugin =
        Plugin::load(&name, &bytes, &plugin_config(found)?).with_context(|| found.named.clone())?;
    let description = plugin.description();
    found.declared(&description.codes, &description.lookups)?;
    let (samples, bytes) = found.samples()?;
    let lookups = lookups(found, &plugin)?;
    let trial = Trial {
        plugin: &plugin,
        lookups: lookups.into_iter().map(|(_, lookup)| lookup).collect(),
        schema: &found.schema("`host test`")?.text,
        samples: &bytes,
        go_on: &|| true,
    };
    let made = trial.run().map_err(|error| {
        let about = match &error {
            Error::Split { whole, split, .. } => format!(
                "-all at once\n+a few at a time\n\n{}",
                difference(whole, split)
            ),
            Error::Empty
            | Error::Line { .. }
            | Error::Plugin(_)
            | Error::Sink(_)
            | Error::GivenUp => samples.clone(),
        };
        anyhow::Error::new(error).context(about)
    })?;
    Ok((samples, made))
}
