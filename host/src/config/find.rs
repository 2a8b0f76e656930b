//! Finding which `pipeline.toml`, schema and queries belong to what is named.

use std::path::{Path, PathBuf};

use sluice_bundled::Pipeline;

use super::found::{Found, Module, Text};
use super::inside::Inside;
use super::{Document, Error, File, Flag};
use crate::nearest::did_you_mean;

/// What is named where a pipeline is asked for.
enum Place {
    /// A `pipeline.toml`, or the folder that it is in.
    Config(PathBuf),
    /// A plugin.
    Plugin(PathBuf),
    /// A pipeline that the binary carries.
    Carried(&'static Pipeline),
}

/// Finds the pipeline that `what` names: a folder with a `pipeline.toml`, that file itself, a plugin,
/// or a pipeline that the binary carries, with or without `.wasm`.
///
/// A plugin's configuration is `config`, else the file beside it, else what it brings inside, else that of
/// the carried pipeline of its own name, for which `ask` is asked, else the flags alone. `flags` stand over
/// it. A file goes before a carried name, a carried name before a folder: `./name` is always the folder.
///
/// # Errors
/// What is missing, and how to give it.
pub fn find<E: From<Error>>(
    what: &str,
    config: Option<&Path>,
    flags: &[Flag],
    ask: impl FnOnce(&str, &[u8]) -> Result<String, E>,
) -> Result<Found, E> {
    let place = place(what)?;
    let beside = match &place {
        Place::Config(path) => Some(path.clone()),
        Place::Plugin(path) => Some(beside(path, CONFIG)).filter(|path| path.is_file()),
        Place::Carried(_) => None,
    };
    if let Some(path) = config.map(Path::to_path_buf).or(beside) {
        let named = config.map_or(what.to_owned(), |config| config.display().to_string());
        return Ok(configured(named, place, &path, flags)?);
    }
    let path = match place {
        Place::Carried(pipeline) => {
            return Ok(of_carried(pipeline, Module::Carried(pipeline), flags)?);
        }
        Place::Plugin(path) | Place::Config(path) => path,
    };
    let (name, bytes) = (file_name(&path), read(&path)?);
    if let Some(inside) = Inside::of(&name, &bytes) {
        return Ok(brought(what, path, inside, flags)?);
    }
    let own = ask(&name, &bytes)?;
    Ok(match sluice_bundled::pipeline(&own) {
        Some(carried) => of_carried(carried, Module::File(path), flags)?,
        None => of_flags(what, &own, path, flags)?,
    })
}

/// A carried pipeline, with a plugin for it.
fn of_carried(carried: &'static Pipeline, module: Module, flags: &[Flag]) -> Result<Found, Error> {
    let name = format!("{}/pipeline.toml (carried)", carried.name);
    let (file, document) = File::read(&name, carried.config, flags)?;
    Ok(Found {
        named: carried.name.to_owned(),
        file,
        document,
        config: name,
        folder: None,
        schema: Some(carried_text(carried, "schema.cql", carried.schema)),
        queries: Some(carried_text(carried, "queries.cql", carried.queries)),
        carried: Some(carried),
        module,
        inside: None,
    })
}

/// The pipeline that a plugin's file brings.
fn brought(what: &str, path: PathBuf, inside: Inside, flags: &[Flag]) -> Result<Found, Error> {
    let text = inside.pipeline()?;
    let (file, document) = File::read(&text.name, &text.text, flags)?;
    Ok(Found {
        named: what.to_owned(),
        config: text.name,
        folder: None,
        schema: inside.schema()?,
        queries: inside.queries()?,
        carried: sluice_bundled::pipeline(&file.name),
        module: Module::File(path),
        inside: Some(inside),
        file,
        document,
    })
}

/// The pipeline of a plugin of which only flags, or the environment, say where it reads and writes.
fn of_flags(what: &str, own: &str, path: PathBuf, flags: &[Flag]) -> Result<Found, Error> {
    // What nobody stands over is not known: its place is only held.
    let text = format!(
        "name = {own:?}\ntopic = 'none'\n[plugin]\npath = {:?}\n[cassandra]\nkeyspace = 'none'\n",
        file_name(&path)
    );
    let (file, document) = File::read("the command line", &text, flags)?;
    let needed = [
        ("--topic", &["topic"][..]),
        ("--keyspace", &["cassandra", "keyspace"]),
    ];
    let missing = needed
        .iter()
        .filter(|(_, key)| !document.is_overridden(key));
    let missing: Vec<&str> = missing.map(|(flag, _)| *flag).collect();
    if !missing.is_empty() {
        return Err(Error::NoPipeline {
            plugin: own.to_owned(),
            missing: missing.join(" and "),
        });
    }
    Ok(Found {
        named: what.to_owned(),
        config: "the command line".to_owned(),
        folder: None,
        schema: None,
        queries: None,
        carried: None,
        module: Module::File(path),
        inside: None,
        file,
        document,
    })
}

/// The name of a pipeline's configuration in its folder.
const CONFIG: &str = "pipeline.toml";

fn place(what: &str) -> Result<Place, Error> {
    let path = Path::new(what);
    if path.is_file() {
        let is_config = path.extension().is_some_and(|ending| ending == "toml");
        let place = if is_config {
            Place::Config
        } else {
            Place::Plugin
        };
        return Ok(place(path.to_path_buf()));
    }
    match sluice_bundled::pipeline(what.strip_suffix(".wasm").unwrap_or(what)) {
        Some(pipeline) => Ok(Place::Carried(pipeline)),
        None if path.join(CONFIG).exists() => Ok(Place::Config(path.join(CONFIG))),
        None if path.is_dir() => Err(Error::NoConfig {
            folder: what.to_owned(),
        }),
        None => Err(no_plugin(what)),
    }
}

/// The pipeline of a `pipeline.toml`, with the plugin of `place`.
fn configured(named: String, place: Place, config: &Path, flags: &[Flag]) -> Result<Found, Error> {
    let (file, document) = parsed(config, flags)?;
    let module = match place {
        Place::Plugin(path) => Module::File(path),
        Place::Carried(pipeline) => Module::Carried(pipeline),
        Place::Config(own) => {
            // Another file's configuration for the plugin that this one names.
            let named = (own != config).then(|| parsed(&own, &[])).transpose()?;
            let path = &named.as_ref().map_or(&file, |(file, _)| file).plugin.path;
            Module::Configured {
                path: beside(&own, path),
                config: own,
            }
        }
    };
    let carried = sluice_bundled::pipeline(&file.name);
    let text = |key: &Option<PathBuf>, name: &str, carried_text: Option<Text>| match key {
        Some(path) => text(&beside(config, path)).map(Some),
        None if beside(config, name).is_file() => text(&beside(config, name)).map(Some),
        None => Ok(carried_text),
    };
    let schema = carried.map(|pipeline| carried_text(pipeline, "schema.cql", pipeline.schema));
    let queries = carried.map(|pipeline| carried_text(pipeline, "queries.cql", pipeline.queries));
    Ok(Found {
        named,
        schema: text(&file.schema, "schema.cql", schema)?,
        queries: text(&file.queries, "queries.cql", queries)?,
        folder: Some(beside(config, "")),
        config: config.display().to_string(),
        carried,
        module,
        inside: None,
        file,
        document,
    })
}

fn no_plugin(name: &str) -> Error {
    let carried = sluice_bundled::PIPELINES.iter();
    let carried: Vec<&str> = carried.map(|pipeline| pipeline.name).collect();
    Error::NoPlugin {
        name: name.to_owned(),
        hint: did_you_mean(name.strip_suffix(".wasm").unwrap_or(name), &carried),
    }
}

fn carried_text(pipeline: &Pipeline, file: &str, text: &str) -> Text {
    Text {
        name: format!("{}/{file} (carried)", pipeline.name),
        text: text.to_owned(),
    }
}

/// A path of the folder that a file is in.
pub(super) fn beside(file: &Path, path: impl AsRef<Path>) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

pub(super) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn parsed(config: &Path, flags: &[Flag]) -> Result<(File, Document), Error> {
    let text = text(config)?;
    File::read(&text.name, &text.text, flags)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Unreadable {
        path: path.to_path_buf(),
        source,
    })
}

fn text(path: &Path) -> Result<Text, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable {
        path: path.to_path_buf(),
        source,
    })?;
    Ok(Text {
        name: path.display().to_string(),
        text,
    })
}
