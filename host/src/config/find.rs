//! Finding what belongs together: a plugin's bytes, its `pipeline.toml`, its schema, its lookups.

use std::path::{Path, PathBuf};

use super::{Error, File};

/// A text with the name by which messages speak of it.
#[derive(Clone, Debug)]
pub struct Text {
    /// Its file, or where else it comes from.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A plugin and the pipeline it is for.
pub struct Found {
    /// The plugin's file name; `.wat` text goes by its ending.
    pub name: String,
    /// The plugin's bytes: a component, a core module, or text.
    pub bytes: Vec<u8>,
    /// The pipeline's configuration.
    pub file: File,
    /// The folder that paths in the configuration start from; `None`, if the binary carries it.
    pub folder: Option<PathBuf>,
    /// The tables' schema, if there is one.
    pub schema: Option<Text>,
    /// The carried pipeline of this name, whose samples stand in for files that are not there.
    pub carried: Option<&'static sluice_bundled::Pipeline>,
}

/// Finds the plugin that `--plugin` names, and its pipeline: `--config`, else the file beside the
/// plugin, else the carried pipeline of the plugin's own name, for which `ask` is asked.
///
/// # Errors
/// What is missing, and how to give it.
pub fn find<E: From<Error>>(
    plugin: &str,
    config: Option<&Path>,
    ask: impl FnOnce(&str, &[u8]) -> Result<String, E>,
) -> Result<Found, E> {
    let path = Path::new(plugin);
    let carried = sluice_bundled::pipeline(plugin.strip_suffix(".wasm").unwrap_or(plugin));
    let bytes = match (path.is_file(), carried) {
        (true, _) => read(path)?,
        (false, Some(pipeline)) => pipeline.module.to_vec(),
        (false, None) => return Err(no_plugin(plugin).into()),
    };
    let beside = path.parent().unwrap_or(Path::new("")).join("pipeline.toml");
    let beside = (path.is_file() && beside.is_file()).then_some(beside);
    let config = config.map(Path::to_path_buf).or(beside);
    let name = path
        .file_name()
        .map_or(plugin.into(), |name| name.to_string_lossy())
        .into_owned();
    if let Some(path) = config {
        let text = text(&path)?;
        let file = File::parse(&text.name, &text.text)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let carried = sluice_bundled::pipeline(&file.name);
        let schema = schema(&file, &folder)?.or_else(|| carried.map(carried_schema));
        return Ok(Found {
            name,
            bytes,
            file,
            folder: Some(folder),
            schema,
            carried,
        });
    }
    let carried = match (path.is_file(), carried) {
        (false, Some(pipeline)) => pipeline,
        (_, _) => {
            let own = ask(&name, &bytes)?;
            sluice_bundled::pipeline(&own).ok_or(Error::NoPipeline { plugin: own })?
        }
    };
    let file = File::parse(
        &format!("{}/pipeline.toml (carried)", carried.name),
        carried.config,
    )?;
    let schema = Some(carried_schema(carried));
    Ok(Found {
        name,
        bytes,
        file,
        folder: None,
        schema,
        carried: Some(carried),
    })
}

/// A lookup's bytes and the name to speak of them: the flag's file, else the configuration's, else
/// the carried sample.
///
/// # Errors
/// If there is none, or it cannot be read.
pub fn lookup_bytes(
    found: &Found,
    name: &str,
    flag: Option<&Path>,
) -> Result<(String, Vec<u8>), Error> {
    let configured = found.file.lookups.get(name);
    let path = match (flag, configured, &found.folder) {
        (Some(path), _, _) => Some(path.to_path_buf()),
        (None, Some(section), Some(folder)) => Some(folder.join(&section.path)),
        (None, _, _) => None,
    };
    if let Some(path) = path {
        return Ok((path.display().to_string(), read(&path)?));
    }
    let samples = found.carried.map_or(&[][..], |pipeline| pipeline.lookups);
    let sample = samples.iter().find(|(sample, _)| *sample == name);
    let (_, bytes) = sample.ok_or_else(|| Error::NoLookup {
        name: name.to_owned(),
    })?;
    Ok((format!("the carried sample of `{name}`"), bytes.to_vec()))
}

fn no_plugin(name: &str) -> Error {
    let carried: Vec<_> = sluice_bundled::PIPELINES
        .iter()
        .map(|pipeline| pipeline.name)
        .collect();
    Error::NoPlugin {
        name: name.to_owned(),
        carried: carried.join(", "),
    }
}

fn schema(file: &File, folder: &Path) -> Result<Option<Text>, Error> {
    let beside = folder.join("schema.cql");
    match &file.schema {
        Some(path) => text(&folder.join(path)).map(Some),
        None if beside.is_file() => text(&beside).map(Some),
        None => Ok(None),
    }
}

fn carried_schema(pipeline: &'static sluice_bundled::Pipeline) -> Text {
    let name = format!("{}/schema.cql (carried)", pipeline.name);
    Text {
        name,
        text: pipeline.schema.to_owned(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
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
