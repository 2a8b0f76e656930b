//! A pipeline that was found, and the files that belong to it: its plugin, its samples, its reference
//! data.

use std::path::{Path, PathBuf};

use sluice_bundled::Pipeline;

use super::find::{beside, file_name, read};
use super::inside::{GOLDEN, Inside, SAMPLES};
use super::{Document, Error, File};

/// Bytes, after the name by which messages speak of them.
pub(super) type Named = (String, Vec<u8>);

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
    /// The folder that paths in the configuration start from; `None`, if it lies in none: the binary
    /// carries it, or the plugin's file brings it.
    pub folder: Option<PathBuf>,
    /// The tables' schema, if there is one.
    pub schema: Option<Text>,
    /// What can be asked of the tables, if there is something.
    pub queries: Option<Text>,
    /// The carried pipeline of this name, whose samples stand in for files that are not there.
    pub carried: Option<&'static Pipeline>,
    pub(super) module: Module,
    pub(super) inside: Option<Inside>,
}

/// Where a plugin's bytes are.
pub(super) enum Module {
    /// In a file that was named.
    File(PathBuf),
    /// In the file that `[plugin] path` of a `pipeline.toml` leads to.
    Configured { path: PathBuf, config: PathBuf },
    /// In this binary.
    Carried(&'static Pipeline),
}

impl Found {
    /// The plugin: its file's name, by whose ending `.wat` text is told, and its bytes: a component, a
    /// core module, or text.
    ///
    /// # Errors
    /// If there is no such file, with what makes one, or it cannot be read.
    pub fn plugin(&self) -> Result<Named, Error> {
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

    /// The messages that it is tried with, and the name to speak of them.
    ///
    /// # Errors
    /// If there are none, or they cannot be read.
    pub fn samples(&self) -> Result<Named, Error> {
        let carried = self.carried.map(|carried| carried.samples.to_vec());
        let carried = carried.map(|samples| (SAMPLES.1.to_owned(), samples));
        self.tried(SAMPLES, carried)
    }

    /// What becomes of the samples, and the name to speak of it.
    ///
    /// # Errors
    /// If there is nothing, or it cannot be read.
    pub fn golden(&self) -> Result<Named, Error> {
        self.tried(GOLDEN, None)
    }

    fn tried(
        &self,
        (section, file): (&'static str, &'static str),
        carried: Option<Named>,
    ) -> Result<Named, Error> {
        if let Some(folder) = &self.folder {
            let path = folder.join(file);
            return Ok((path.display().to_string(), read(&path)?));
        }
        let found = match &self.inside {
            Some(inside) => inside.section((section, file))?,
            None => carried,
        };
        found.ok_or_else(|| Error::NoSamples {
            file,
            pipeline: self.named.clone(),
            way_out: match self.inside {
                Some(_) => " inside: `host build` puts it there",
                None => ": give the folder that it is in",
            },
        })
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
pub fn lookup_bytes(found: &Found, name: &str) -> Result<Named, Error> {
    let section = found.file.lookups.get(name);
    let path = section.map(|section| section.path.as_path());
    let carried = found.carried.map_or(&[][..], |pipeline| pipeline.lookups);
    let inside = |inside: &Inside| inside.lookup(name);
    let bytes = csv_bytes(found, name, (None, path), &inside, carried)?;
    bytes.ok_or_else(|| Error::NoLookup {
        name: name.to_owned(),
    })
}

/// What the producer takes cells from: a list of `[produce]`, or else a lookup. Its bytes and name,
/// found as a lookup's are, and whether its first line names the columns.
///
/// # Errors
/// If there is none, or it cannot be read.
pub fn list_bytes(found: &Found, name: &str, flag: Option<&Path>) -> Result<(Named, bool), Error> {
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
    let inside = |inside: &Inside| match list {
        Some(_) => inside.list(name),
        None => inside.lookup(name),
    };
    let carried = carried.unwrap_or_default();
    let bytes = csv_bytes(found, name, (flag, path), &inside, carried)?;
    let bytes = bytes.ok_or_else(|| Error::NoList {
        name: name.to_owned(),
    })?;
    Ok((bytes, header))
}

/// What the flag leads to, else the configuration, else what is inside, else what is carried.
fn csv_bytes(
    found: &Found,
    name: &str,
    (flag, configured): (Option<&Path>, Option<&Path>),
    inside: &dyn Fn(&Inside) -> Result<Option<Named>, Error>,
    carried: &[(&str, &[u8])],
) -> Result<Option<Named>, Error> {
    let configured = configured.and_then(|path| below(found, path));
    if let Some(path) = flag.map(Path::to_path_buf).or(configured) {
        return Ok(Some((path.display().to_string(), read(&path)?)));
    }
    if let Some(found) = found.inside.as_ref().map(inside).transpose()?.flatten() {
        return Ok(Some(found));
    }
    let sample = carried.iter().find(|(sample, _)| *sample == name);
    Ok(sample.map(|(_, bytes)| (format!("the carried sample of `{name}`"), bytes.to_vec())))
}

/// Where a path of the configuration leads.
fn below(found: &Found, path: &Path) -> Option<PathBuf> {
    match &found.folder {
        Some(folder) => Some(folder.join(path)),
        // In a carried file the path is that of the carried sample, and inside a plugin's it is a section's;
        // one that is given is absolute.
        None => path.is_absolute().then(|| path.to_path_buf()),
    }
}
