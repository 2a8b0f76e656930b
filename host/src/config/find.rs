//! Finding what belongs together: a plugin's bytes, its `pipeline.toml`, its schema, its queries, its
//! lookups.

use std::path::{Path, PathBuf};

use sluice_bundled::Pipeline;

use super::{Document, Error, File, Flag};
use crate::nearest::did_you_mean;

/// A text with the name by which messages speak of it.
#[derive(Clone, Debug)]
pub struct Text {
    /// Its file, or where else it comes from.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A pipeline: what its configuration says, and what lies beside it.
pub struct Found {
    /// What verbs that take a pipeline call it: a carried name or a path.
    pub named: String,
    /// What messages call the configuration: its file, or that it is carried.
    pub config: String,
    /// The pipeline's configuration.
    pub file: File,
    /// Where each of its settings comes from.
    pub document: Document,
    /// The folder that paths in the configuration start from; `None`, if the binary carries it.
    pub folder: Option<PathBuf>,
    /// The tables' schema, if there is one.
    pub schema: Option<Text>,
    /// What can be asked of the tables, if there is something.
    pub queries: Option<Text>,
    /// The carried pipeline of this name, whose samples stand in for files that are not there.
    pub carried: Option<&'static Pipeline>,
    module: Module,
}

/// Where a plugin's bytes are.
enum Module {
    /// In a file that was named.
    File(PathBuf),
    /// In the file that `[plugin] path` of a `pipeline.toml` leads to.
    Configured { path: PathBuf, config: PathBuf },
    /// In this binary.
    Carried(&'static Pipeline),
}

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
/// A plugin's configuration is `config`, else the file beside it, else that of the carried pipeline
/// of its own name, for which `ask` is asked. `flags` stand over it. A file goes before a carried name, a carried name
/// before a folder: `./name` is always the folder.
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
    let (module, carried) = match place {
        Place::Carried(pipeline) => (Module::Carried(pipeline), pipeline),
        Place::Plugin(path) | Place::Config(path) => {
            let own = ask(&file_name(&path), &read(&path)?)?;
            let carried = sluice_bundled::pipeline(&own);
            let carried = carried.ok_or(Error::NoPipeline { plugin: own })?;
            (Module::File(path), carried)
        }
    };
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
        None if path.is_dir() => Ok(Place::Config(path.join(CONFIG))),
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
        file,
        document,
    })
}

impl Found {
    /// The plugin: its file's name, by whose ending `.wat` text is told, and its bytes: a component, a
    /// core module, or text.
    ///
    /// # Errors
    /// If there is no such file, with what makes one, or it cannot be read.
    pub fn plugin(&self) -> Result<(String, Vec<u8>), Error> {
        let path = match &self.module {
            Module::Carried(pipeline) => {
                return Ok((format!("{}.wasm", pipeline.name), pipeline.module.to_vec()));
            }
            Module::Configured { path, config } if !path.is_file() => {
                return Err(Error::NoModule {
                    path: path.clone(),
                    config: config.clone(),
                    way_out: way_to_build(config, self.file.build.is_some()),
                });
            }
            Module::File(path) | Module::Configured { path, .. } => path,
        };
        Ok((file_name(path), read(path)?))
    }

    /// The file that the plugin is read from; `None`, if the binary carries it.
    pub fn plugin_path(&self) -> Option<&Path> {
        match &self.module {
            Module::Carried(_) => None,
            Module::File(path) | Module::Configured { path, .. } => Some(path),
        }
    }

    /// The file that a lookup is read from; `None`, if the binary carries it.
    pub fn lookup_path(&self, name: &str) -> Option<PathBuf> {
        let section = self.file.lookups.get(name)?;
        below(self, &section.path)
    }

    /// The tables' schema; `sink` needs it.
    ///
    /// # Errors
    /// If there is none.
    pub fn schema(&self, sink: &'static str) -> Result<&Text, Error> {
        self.schema.as_ref().ok_or(Error::NoSchema { sink })
    }

    /// What can be asked of the tables.
    ///
    /// # Errors
    /// If there is nothing.
    pub fn queries(&self) -> Result<&Text, Error> {
        let pipeline = self.file.name.clone();
        self.queries.as_ref().ok_or(Error::NoQueries { pipeline })
    }
}

/// A line that says how a plugin is built whose sources lie beside its configuration.
fn way_to_build(config: &Path, is_told: bool) -> String {
    if is_told {
        return format!(
            "\n  `{} build {}` makes it",
            super::invocation(),
            config.display()
        );
    }
    let manifest = beside(config, "Cargo.toml");
    if !manifest.is_file() {
        return String::new();
    }
    format!(
        "\n  `cargo build --release --target wasm32-unknown-unknown --manifest-path {}` builds it: let \
         the key lead to what that makes",
        manifest.display()
    )
}

/// A lookup's bytes and the name to speak of them: the configuration's file, else the carried
/// sample.
///
/// # Errors
/// If there is none, or it cannot be read.
pub fn lookup_bytes(found: &Found, name: &str) -> Result<(String, Vec<u8>), Error> {
    let section = found.file.lookups.get(name);
    let path = section.map(|section| section.path.as_path());
    let carried = found.carried.map_or(&[][..], |pipeline| pipeline.lookups);
    let bytes = csv_bytes(found, name, None, path, carried)?;
    bytes.ok_or_else(|| Error::NoLookup {
        name: name.to_owned(),
    })
}

/// What the producer takes cells from: a list of `[produce]`, or else a lookup. Its bytes and name,
/// found as a lookup's are, and whether its first line names the columns.
///
/// # Errors
/// If there is none, or it cannot be read.
pub fn list_bytes(
    found: &Found,
    name: &str,
    flag: Option<&Path>,
) -> Result<(String, Vec<u8>, bool), Error> {
    let lists = found.file.produce.as_ref().map(|section| &section.lists);
    let list = lists.and_then(|lists| lists.get(name));
    let (path, header, carried) = match (list, found.file.lookups.get(name)) {
        (Some(list), _) => (
            Some(list.path.as_path()),
            list.header,
            found.carried.map(|pipeline| pipeline.lists),
        ),
        (None, lookup) => (
            lookup.map(|section| section.path.as_path()),
            lookup.is_none_or(|section| section.header),
            found.carried.map(|pipeline| pipeline.lookups),
        ),
    };
    let bytes = csv_bytes(found, name, flag, path, carried.unwrap_or_default())?;
    let (label, bytes) = bytes.ok_or_else(|| Error::NoList {
        name: name.to_owned(),
    })?;
    Ok((label, bytes, header))
}

fn csv_bytes(
    found: &Found,
    name: &str,
    flag: Option<&Path>,
    configured: Option<&Path>,
    carried: &[(&str, &[u8])],
) -> Result<Option<(String, Vec<u8>)>, Error> {
    let configured = configured.and_then(|path| below(found, path));
    if let Some(path) = flag.map(Path::to_path_buf).or(configured) {
        return Ok(Some((path.display().to_string(), read(&path)?)));
    }
    let sample = carried.iter().find(|(sample, _)| *sample == name);
    Ok(sample.map(|(_, bytes)| (format!("the carried sample of `{name}`"), bytes.to_vec())))
}

/// Where a path of the configuration leads.
fn below(found: &Found, path: &Path) -> Option<PathBuf> {
    match &found.folder {
        Some(folder) => Some(folder.join(path)),
        // In a carried file the path is that of the carried sample; one that is given is absolute.
        None => path.is_absolute().then(|| path.to_path_buf()),
    }
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
fn beside(file: &Path, path: impl AsRef<Path>) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn parsed(config: &Path, flags: &[Flag]) -> Result<(File, Document), Error> {
    let text = text(config)?;
    File::read(&text.name, &text.text, flags)
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
