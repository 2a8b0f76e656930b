//! Which version a pipeline begins with: that of its files, unless a swap has traded it away.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::stream::{Watchers, patiently};
use super::{Args, SinkKind, plugin_config, sink};
use crate::archive::{self, Archive, Part, Which, was_traded_away};
use crate::code::Code;
use crate::config::{self, Found};
use crate::lookup::{self, Lookup};
use crate::plugin::Plugin;
use crate::source::{self, kafka};
use crate::swap::files::Watched;
use crate::version::Version;

/// How far back it is looked for trades: a swap a minute for a week.
pub(in crate::cli) const HISTORY_MAX: usize = 10_080;

/// How soon is tried again what could not be kept.
const AGAIN: Duration = Duration::from_secs(5);

/// A version, and what it was loaded from.
pub(in crate::cli) struct Loaded {
    pub(in crate::cli) version: Version,
    pub(super) parts: Vec<Part>,
}

/// The version of the pipeline's files.
///
/// # Errors
/// If a file is not there, or not as it should be.
pub(super) fn of_files(found: &Found) -> anyhow::Result<Loaded> {
    let (name, bytes) = found.plugin()?;
    load(found, Part { name, bytes }, &|name| {
        lookup_of_file(found, name)
    })
}

/// The files that a version was read from; what the binary carries is none.
pub(super) fn files(found: &Found, version: &Version) -> Vec<Watched> {
    let plugin = found.plugin_path();
    let plugin = plugin.map(|path| Watched::new(None, path, version.plugin.digest()));
    let lookups = version.lookups.iter().filter_map(|(name, lookup)| {
        let path = found.lookup_path(name)?;
        Some(Watched::new(Some(name), &path, lookup.digest()))
    });
    plugin.into_iter().chain(lookups).collect()
}

/// A lookup as its file has it.
pub(in crate::cli) fn lookup_of_file(found: &Found, name: &str) -> anyhow::Result<Part> {
    let (name, bytes) = config::lookup_bytes(found, name)?;
    Ok(Part { name, bytes })
}

/// Loads a plugin, and the lookups that it declares.
///
/// # Errors
/// If it is no plugin, or a lookup is not there, or not as the plugin declares it.
pub(in crate::cli) fn load(
    found: &Found,
    plugin: Part,
    lookup: &dyn Fn(&str) -> anyhow::Result<Part>,
) -> anyhow::Result<Loaded> {
    let loaded = Plugin::load(&plugin.name, &plugin.bytes, &plugin_config(found)?);
    let loaded = loaded.with_context(|| plugin.name.clone())?;
    let description = loaded.description();
    found.declared(&description.codes, &description.lookups)?;
    let mut parts = vec![plugin];
    let mut lookups = Vec::with_capacity(description.lookups.len());
    for declared in &description.lookups {
        let part = lookup(&declared.name)?;
        lookups.push(told(found, declared, &part)?);
        parts.push(part);
    }
    let version = Version {
        plugin: loaded,
        lookups,
    };
    Ok(Loaded { version, parts })
}

/// Reads a lookup's rows, as the pipeline says how.
pub(super) fn read(
    found: &Found,
    declared: &lookup::Declared,
    part: &Part,
) -> Result<Lookup, lookup::Error> {
    let section = found.file.lookups.get(&declared.name);
    let header = section.is_none_or(|section| section.header);
    let options = lookup::Options { header };
    Lookup::read(&part.name, &part.bytes, declared, &options)
}

/// The same, with its name, and tells what was read.
pub(super) fn told(
    found: &Found,
    declared: &lookup::Declared,
    part: &Part,
) -> Result<(String, Arc<Lookup>), lookup::Error> {
    let lookup = read(found, declared, part)?;
    let (rows, duplicates) = (lookup.len(), lookup.duplicates());
    let (name, from) = (&declared.name, &part.name);
    tracing::info!(lookup = name, from, rows, duplicates, "lookup read");
    Ok((name.clone(), Arc::new(lookup)))
}

/// Where versions are remembered: beside the rows. Rows that go nowhere leave nothing but the caches.
///
/// # Errors
/// If the pipeline's configuration does not say where its rows are.
pub(super) fn archive(args: &Args, found: &Found) -> anyhow::Result<Option<Arc<dyn Archive>>> {
    let (pipeline, group) = (&found.file.name, &found.file.kafka.group);
    let in_directory = |directory: &Path| -> Arc<dyn Archive> {
        let directory = directory.join("sluice-versions");
        Arc::new(archive::directory::Directory::new(
            directory, pipeline, group,
        ))
    };
    Ok(match &args.sink {
        SinkKind::Cassandra => {
            let config = sink::cassandra_config(found)?;
            let archive =
                archive::cassandra::Cassandra::new(config, pipeline.clone(), group.clone());
            Some(Arc::new(archive))
        }
        SinkKind::Sqlite(directory) => Some(in_directory(directory)),
        SinkKind::None => config::cache_directory().map(|directory| in_directory(&directory)),
    })
}

/// Where a group goes on.
#[derive(Default)]
pub(super) struct Since {
    /// In which generation, as far as the commits tell.
    pub(super) generation: u32,
    /// What the commits name, if the files are a new deployment.
    pub(super) replaced: Option<Code>,
    /// The greatest generation that a commit tells; none, if there is no commit.
    pub(super) committed: Option<u32>,
}

/// The version that the group goes on with. The commits name the last one; a file that a swap has traded
/// away since is an old one, and any other file is a new deployment.
///
/// # Errors
/// When the brokers do not answer, or what the commits name cannot be loaded.
pub(super) fn go_on(
    files: Loaded,
    found: &Found,
    kafka: &kafka::Config,
    archive: &dyn Archive,
    watchers: Watchers<'_>,
) -> anyhow::Result<(Loaded, Since)> {
    let ask = || kafka::named(kafka);
    let named = patiently("source", watchers, ask, source::Error::is_transient)?;
    let latest = named.iter().max_by_key(|named| named.generation);
    let ours = files.version.code();
    let Some(latest) = latest.filter(|_| named.iter().any(|named| *named.code != ours)) else {
        let generations = named.iter().map(|named| named.generation);
        let committed = generations.max();
        let since = Since {
            generation: committed.unwrap_or(0),
            replaced: None,
            committed,
        };
        return Ok((files, since));
    };
    let committed = latest.code.clone();
    let ask = || archive.history(HISTORY_MAX);
    let history = patiently("sink", watchers, ask, archive::Error::is_transient);
    let history = history.unwrap_or_else(|error| {
        tracing::warn!(%error, "it is not known what was swapped: the files are taken for new");
        Vec::new()
    });
    let fetch = |digest: &str| {
        let ask = || archive.fetch(digest);
        patiently("sink", watchers, ask, archive::Error::is_transient)
    };
    let newer = |which: Which<'_>, part: &Part| {
        let (digest, committed) = (part.digest(), which.of(&committed)?);
        was_traded_away(&history, which, &digest, committed).then(|| committed.to_owned())
    };
    let instead = |which: Which<'_>, part: Part| -> anyhow::Result<Part> {
        let Some(digest) = newer(which, &part) else {
            return Ok(part);
        };
        let kept = fetch(&digest)?;
        tell(which, &digest, kept.as_ref());
        Ok(kept.unwrap_or(part))
    };
    let first = files.parts.into_iter().next();
    let plugin = instead(Which::Plugin, first.expect("a version has a plugin"))?;
    let loaded = load(found, plugin, &|name| {
        instead(Which::Lookup(name), lookup_of_file(found, name)?)
    })?;
    let replaced = (*committed != loaded.version.code()).then(|| Code::clone(&committed));
    let since = Since {
        generation: latest.generation + u32::from(replaced.is_some()),
        replaced,
        committed: Some(latest.generation),
    };
    Ok((loaded, since))
}

/// The version of a code, from what is kept; `None`, if it is not.
pub(super) fn of_code(
    found: &Found,
    code: &Code,
    fetch: &dyn Fn(&str) -> Result<Option<Part>, archive::Error>,
) -> anyhow::Result<Option<Loaded>> {
    let digests = [&code.plugin].into_iter().chain(code.lookups.values());
    let mut parts = BTreeMap::new();
    for digest in digests {
        let Some(part) = fetch(digest)? else {
            tracing::warn!(
                digest,
                "a version that ran is not kept, and cannot run again"
            );
            return Ok(None);
        };
        parts.insert(digest.as_str(), part);
    }
    let plugin = parts[code.plugin.as_str()].clone();
    let lookup = |name: &str| {
        let digest = code.lookups.get(name);
        let part = digest.and_then(|digest| parts.get(digest.as_str()));
        part.cloned()
            .with_context(|| format!("the commits name no lookup `{name}`"))
    };
    load(found, plugin, &lookup).map(Some)
}

/// Says that a file is an old one, and how it would be run all the same.
fn tell(which: Which<'_>, runs: &str, kept: Option<&Part>) {
    let invocation = config::invocation();
    let (what, way_out) = match which {
        Which::Plugin => ("plugin".to_owned(), format!("{invocation} swap FILE")),
        Which::Lookup(name) => (
            format!("lookup `{name}`"),
            format!("{invocation} swap --lookup {name}=FILE"),
        ),
    };
    match kept {
        Some(Part { name, .. }) => tracing::warn!(
            runs,
            name,
            "the {what} of the file was traded away by a swap, and what came instead goes on; \
             `{way_out}` runs another"
        ),
        None => tracing::warn!(
            wanted = runs,
            "the {what} of the file was traded away by a swap, but what came instead is not kept: \
             the file's goes on"
        ),
    }
}

/// Keeps parts, beside all else: so that a restart has them, whatever the files are by then.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn keep(archive: Arc<dyn Archive>, parts: Vec<Part>) -> std::io::Result<()> {
    let life = move || {
        let mut is_failing = false;
        for part in parts {
            while let Err(error) = archive.keep(&part) {
                if !std::mem::replace(&mut is_failing, true) {
                    let name = &part.name;
                    tracing::warn!(%error, name, "the version that runs is not kept: no swap could go back to it");
                }
                if !error.is_transient() {
                    return;
                }
                thread::sleep(AGAIN);
            }
        }
    };
    let thread = thread::Builder::new().name("keep".into());
    thread.spawn(life).map(drop)
}
