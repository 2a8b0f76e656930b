//! The verb `build`: from a plugin's sources to a component that is ready to run.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::run::assemble::plugin_config;
use crate::config::{self, BuildSection, Found};
use crate::plugin::{self, Limits, Plugin};

/// What `build` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugin's folder, in which a pipeline.toml says how it is built
    #[arg(default_value = ".")]
    folder: String,
}

/// How many lines are shown of what a tool says that does not work.
const SAID_MAX: usize = 3;

/// Runs the language's own tools, makes a component of what comes of them, and compiles it ahead of its
/// first run.
///
/// # Errors
/// If a tool is missing, with how to get it; if a command fails; or if what it makes is no plugin.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let found = config::find(&args.folder, None, &[], super::run::assemble::own_name)?;
    let (folder, path) = match (&found.folder, found.plugin_path()) {
        (Some(folder), Some(path)) => (folder, path),
        (_, None) => bail!(
            "`{}` is carried by the binary: give the folder of its sources, ./{0}",
            args.folder
        ),
        (None, Some(_)) => bail!(
            "`{}` is a plugin already: give the folder of its sources",
            args.folder
        ),
    };
    let section = found.file.build.as_ref().with_context(|| {
        format!(
            "{} does not say how the plugin is built:\n  [build]\n  commands = [\"...\"]   # run in its \
             folder\n  output = \"FILE\"        # what they make",
            found.config
        )
    })?;
    // An empty path is the folder that the user is in.
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let missing: String = missing(section, folder)?
        .into_iter()
        .map(|Missing { line, way, said }| {
            format!("\n  `{line}` does not work here\n    get it by: {way}{said}")
        })
        .collect();
    ensure!(
        missing.is_empty(),
        "what it is built with is missing{missing}"
    );
    // Not every compiler makes the folder that it writes into.
    if let Some(made) = folder.join(&section.output).parent() {
        fs::create_dir_all(made).with_context(|| made.display().to_string())?;
    }
    for line in &section.commands {
        super::show(&format!("$ {line}\n"))?;
        let status = command(line, folder)?.status();
        let status = status.with_context(|| format!("`{line}` cannot be run"))?;
        ensure!(status.success(), "`{line}` has failed: {status}");
    }
    let mut config = plugin_config(&found)?;
    // Its author sees that it is compiled, and knows how long to wait.
    config.limits.compile_max = Duration::MAX;
    let bytes = component(&found, section, folder, &config.limits)?;
    let plugin = Plugin::load(&path.to_string_lossy(), &bytes, &config);
    let plugin = plugin.with_context(|| section.output.display().to_string())?;
    // Only now: what is there may be better than what cannot start.
    write_whole(path, &bytes).with_context(|| path.display().to_string())?;
    super::show(&format!("{}\n{}", path.display(), plugin.card()))?;
    Ok(ExitCode::SUCCESS)
}

/// A tool that a plugin is built with and that does not work here.
pub(super) struct Missing<'a> {
    /// The command that should succeed.
    line: &'a str,
    /// How to get it.
    pub(super) way: &'a str,
    /// What the command says instead, a line each.
    said: String,
}

/// The tools that are not there, of those that a plugin is built with.
///
/// # Errors
/// If a command cannot be read.
pub(super) fn missing<'a>(
    section: &'a BuildSection,
    folder: &Path,
) -> Result<Vec<Missing<'a>>, config::Error> {
    let mut missing = Vec::new();
    for (line, way) in &section.needs {
        let mut command = command(line, folder)?;
        let said = match command.stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => continue,
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => "there is no such program".into(),
            Err(error) => error.to_string(),
        };
        let told = said.lines().filter(|line| !line.trim().is_empty());
        let told = told.take(SAID_MAX);
        let said = told.map(|said| format!("\n    it says: {said}")).collect();
        missing.push(Missing { line, way, said });
    }
    Ok(missing)
}

/// A line of `[build]` as a command: words as a shell has them, variables before them.
fn command(line: &str, folder: &Path) -> Result<Command, config::Error> {
    let wrong = |reason: &str| config::Error::Setting(format!("`{line}` in [build]: {reason}"));
    let words = shell_words::split(line).map_err(|error| wrong(&error.to_string()))?;
    let variables = words.iter().map_while(|word| word.split_once('='));
    let variables: Vec<_> = variables.collect();
    let mut rest = words[variables.len()..].iter();
    let program = rest
        .next()
        .ok_or_else(|| wrong("there is no command in it"))?;
    let mut command = Command::new(program);
    command.args(rest).envs(variables).current_dir(folder);
    Ok(command)
}

/// What the commands have made, as a component, with all of the pipeline that can go along in it.
fn component(
    found: &Found,
    section: &BuildSection,
    folder: &Path,
    limits: &Limits,
) -> anyhow::Result<Vec<u8>> {
    let output = folder.join(&section.output);
    let shown = output.display().to_string();
    let bytes = fs::read(&output).with_context(|| {
        format!(
            "{shown}, to which `output` in [build] of {} leads",
            found.config
        )
    })?;
    let component = plugin::component(&shown, &bytes, limits).context(shown)?;
    let brought = config::sections(found)?;
    for left in brought.left {
        super::show(&format!("does not go along in the file: {left}\n"))?;
    }
    Ok(plugin::with_sections(&component, &brought.sections))
}

/// Puts a file in its place at once: a host that watches it never sees half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&part, bytes)?;
    fs::rename(&part, path)
}
