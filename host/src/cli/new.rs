//! The verb `new`: a folder with a plugin to begin with, which builds and whose test passes.

mod name;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::builder::PossibleValuesParser;
use sluice_bundled::{File, LANGUAGES, PIPELINE, PLUGIN};

use super::build;
use super::run::assemble::own_name;
use crate::config;

/// What `new` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to make; its last part is the plugin's name
    folder: PathBuf,
    /// The language that the plugin is written in
    #[arg(long, value_name = "LANGUAGE", value_parser = languages())]
    lang: String,
    /// With sample messages and queries, so that `host demo` shows it at work
    #[arg(long)]
    pipeline: bool,
}

fn languages() -> PossibleValuesParser {
    PossibleValuesParser::new(LANGUAGES.iter().map(|language| language.name))
}

/// What stands for the plugin's name in what it begins with, and for that name as an identifier.
const NAME: &str = "my-plugin";
const IDENTIFIER: &str = "my_plugin";

/// The file that the sections of other files are put into.
const CONFIG: &str = "pipeline.toml";
const SECTIONS: [&str; 2] = ["build.toml", "produce.toml"];

/// Makes the folder.
///
/// # Errors
/// If the name cannot be one, or the folder is there or cannot be made.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let folder = &args.folder;
    let name = folder.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or_default();
    name::check(name)?;
    let language = LANGUAGES
        .iter()
        .find(|language| language.name == args.lang)
        .context("clap knows the languages")?;
    let more = if args.pipeline { PIPELINE } else { &[] };
    let files = files(name, &[PLUGIN, more, language.files].concat());
    ensure!(
        !folder.exists(),
        "{} is there already: give another name",
        folder.display()
    );
    fs::create_dir(folder).with_context(|| folder.display().to_string())?;
    for (path, text) in files {
        let path = folder.join(path);
        write(&path, &text).with_context(|| path.display().to_string())?;
    }
    let shown = folder.display();
    super::show(&format!("{shown}: a plugin in {}\n", language.spelled))?;
    super::show(&next(args)?)?;
    Ok(ExitCode::SUCCESS)
}

/// What is to be typed next.
fn next(args: &Args) -> anyhow::Result<String> {
    let (host, folder) = (config::invocation(), args.folder.to_string_lossy());
    let found = config::find(&folder, None, &[], own_name)?;
    let mut next = String::new();
    let section = found.file.build.as_ref();
    let missing = section.map(|section| build::missing(section, &args.folder));
    let missing = missing.transpose()?.unwrap_or_default();
    if !missing.is_empty() {
        next += "first get what it is built with, in its folder:\n";
        next.extend(missing.iter().map(|tool| format!("  {}\n", tool.way)));
    }
    next += "next:\n";
    let verbs = ["build", "test", "demo"];
    let count = if args.pipeline { 3 } else { 2 };
    let folder = shell_words::quote(&folder);
    next.extend(
        verbs[..count]
            .iter()
            .map(|verb| format!("  {host} {verb} {folder}\n")),
    );
    Ok(next)
}

/// The folder's files: their paths and texts, with the plugin's name in its places.
fn files(name: &str, begun: &[File]) -> Vec<(PathBuf, String)> {
    let identifier = name.replace('-', "_");
    let named = |text: &str| text.replace(NAME, name).replace(IDENTIFIER, &identifier);
    let (sections, files): (Vec<File>, Vec<File>) =
        begun.iter().partition(|(path, _)| SECTIONS.contains(path));
    let whole = |&(path, text): &File| {
        let mut text = named(text);
        if path == CONFIG {
            text.extend(sections.iter().map(|(_, section)| named(section)));
        }
        (PathBuf::from(named(path)), text)
    };
    files.iter().map(whole).collect()
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}
