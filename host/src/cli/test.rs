//! `host test`: a pipeline's samples through its plugin, held to its golden rows.

mod stale;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use similar::TextDiff;

use super::run::assemble::{lookups, own_name, plugin_config};
use super::{exit, name_and_file};
use crate::config::{self, Flag, Found};
use crate::plugin::Plugin;
use crate::samples::{Error, Trial};

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

/// A pipeline's messages, in its folder: each line is a message's value, or a whole message.
pub(super) const SAMPLES: &str = "samples.jsonl";
/// What becomes of them.
pub(super) const GOLDEN: &str = "golden.txt";
/// How many lines around a difference are shown.
const CONTEXT: usize = 3;

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
    let Some(folder) = found.folder.clone() else {
        bail!(
            "`{}` is carried by the binary: give the folder that its samples and golden rows are in",
            args.pipeline
        );
    };
    let (samples, golden) = (folder.join(SAMPLES), folder.join(GOLDEN));
    if let (Some(source), Some(plugin)) = (stale::newer_source(&found), found.plugin_path()) {
        let (source, plugin) = (source.display(), plugin.display());
        super::show(&format!(
            "{source} is newer than {plugin}, which is tried as it is: `host build` makes it anew\n"
        ))?;
    }
    let made = trial(&found, &samples)?;
    if args.update {
        std::fs::write(&golden, &made).with_context(|| golden.display().to_string())?;
        let build = match found.file.build {
            Some(_) => "; `host build` puts it into the plugin",
            None => "",
        };
        super::show(&format!(
            "{} is written: read it{build}\n",
            golden.display()
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    let kept = std::fs::read_to_string(&golden)
        .with_context(|| format!("{} (--update makes it)", golden.display()))?;
    if kept == made {
        let (samples, golden) = (samples.display(), golden.display());
        super::show(&format!("{samples} gives what {golden} says\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (samples, golden) = (samples.display(), golden.display().to_string());
    let shown = difference((&golden, &kept), ("what comes out", &made));
    super::show(&format!(
        "{shown}\n{samples} gives something else than {golden} says; --update keeps what comes out\n"
    ))?;
    Ok(exit::FAILED.into())
}

/// What becomes of the samples.
fn trial(found: &Found, samples: &Path) -> anyhow::Result<String> {
    let (name, bytes) = found.plugin()?;
    let plugin =
        Plugin::load(&name, &bytes, &plugin_config(found)?).with_context(|| found.named.clone())?;
    let bytes = std::fs::read(samples).with_context(|| samples.display().to_string())?;
    let lookups = lookups(found, &plugin)?;
    let trial = Trial {
        plugin: &plugin,
        lookups: lookups.into_iter().map(|(_, lookup)| lookup).collect(),
        schema: &found.schema("`host test`")?.text,
        samples: &bytes,
    };
    trial.run().map_err(|error| {
        let about = match &error {
            Error::Split { whole, split, .. } => {
                difference(("all at once", whole), ("a few at a time", split))
            }
            Error::Empty | Error::Line { .. } | Error::Plugin(_) | Error::Sink(_) => {
                samples.display().to_string()
            }
        };
        anyhow::Error::new(error).context(about)
    })
}

/// Two texts as a unified diff.
fn difference((old_name, old): (&str, &str), (new_name, new): (&str, &str)) -> String {
    let diff = TextDiff::from_lines(old, new);
    let mut shown = diff.unified_diff();
    shown
        .context_radius(CONTEXT)
        .header(old_name, new_name)
        .to_string()
}
