//! The verb `new`: a folder with a plugin to begin with, which builds and whose test passes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::builder::PossibleValuesParser;
use sluice_bundled::{File, LANGUAGES, PIPELINE, PLUGIN};

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

/// As many characters as a keyspace's name may have.
const NAME_MAX: usize = 48;

/// Makes the folder.
///
/// # Errors
/// If the name cannot be one, or the folder is there or cannot be made.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let folder = &args.folder;
    let name = folder.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or_default();
    check(name)?;
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
    let (host, shown) = (config::invocation(), folder.display());
    let lang = &args.lang;
    let mut next = format!(
        "{shown}: a plugin in {lang}\nnext:\n  {host} build {shown}\n  {host} test {shown}\n"
    );
    if args.pipeline {
        next += &format!("  {host} demo {shown}\n");
    }
    super::show(&next)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a plugin may be called so: it becomes the name of packages and, with `_` for `-`, of a keyspace.
fn check(name: &str) -> anyhow::Result<()> {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_legal = name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(|letter| is_word(letter) || letter == '-')
        && name.len() <= NAME_MAX;
    ensure!(
        is_legal,
        "`{name}` cannot be the name of a plugin: a lower-case letter, then lower-case letters, digits and \
         `-`, at most {NAME_MAX} in all"
    );
    if sluice_bundled::pipeline(name).is_some() {
        bail!("`{name}` is a pipeline that this binary carries: give another name");
    }
    Ok(())
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
