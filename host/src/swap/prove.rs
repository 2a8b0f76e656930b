//! What stands between a candidate and the workers: each check that can be made beside them.
//!
//! All of it runs in the caller's thread, in instances of its own. What a worker runs is not touched.

mod fixtures;
mod shadow;
mod steady;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::archive::Part;
use crate::lookup::{self, Lookup};
use crate::recent::Recent;
use crate::row::{Key, Target};
use crate::sink;
use crate::version::Version;

use super::diff::Side;
use super::proposal::{Name, Proposal, short};
use super::{Refusal, What};

/// A version, and what it was loaded from: its plugin, then its lookups in their order.
pub type Loaded = (Version, Vec<Part>);
/// Loads a plugin of a name as the pipeline's configuration says, with its lookups.
pub type Load<'a> = dyn Fn(&str, &[u8]) -> Result<Loaded, Refusal> + 'a;
/// Reads a file of reference data as the pipeline's configuration says.
pub type ReadLookup<'a> = dyn Fn(&lookup::Declared, &str, &[u8]) -> Result<Lookup, Refusal> + 'a;
/// The samples that lie beside a plugin's file of this name.
pub type Beside<'a> = dyn Fn(&str) -> Option<Fixtures> + 'a;
/// Holds targets to the live tables, and answers with their keys.
pub type Prepare<'a> = dyn Fn(&[Target]) -> Result<Vec<Key>, sink::Error> + 'a;

/// What a proof works with.
pub struct Context<'a> {
    /// The version that runs.
    pub current: &'a Version,
    /// What that was loaded from.
    pub parts: &'a [Part],
    /// How a plugin is loaded.
    pub load: &'a Load<'a>,
    /// How reference data is read.
    pub read_lookup: &'a ReadLookup<'a>,
    /// What lies beside a plugin that brings no samples in itself.
    pub beside: &'a Beside<'a>,
    /// Holds targets to the live tables.
    pub prepare: &'a Prepare<'a>,
    /// The text of the tables' schema, for samples.
    pub schema: Option<&'a str>,
    /// The last messages.
    pub recent: &'a Recent,
    /// Whether nobody wants the candidate any more.
    pub is_withdrawn: &'a dyn Fn() -> bool,
}

/// A plugin's own samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fixtures {
    /// Messages' values, one a line.
    pub samples: Vec<u8>,
    /// What becomes of them, as `host test` tells it.
    pub golden: Vec<u8>,
    /// The CSV files that they belong to, by the lookup's name.
    pub lookups: BTreeMap<String, Vec<u8>>,
}

/// Is told which step has begun, and what was found.
pub type OnStep<'a> = dyn FnMut(&'static str, String) + 'a;

/// A candidate that has passed.
#[derive(Debug)]
pub struct Proven {
    /// It.
    pub version: Version,
    /// What it was loaded from.
    pub parts: Vec<Part>,
    /// The keys of its tables.
    pub keys: Vec<Key>,
    /// What was found.
    pub proposal: Proposal,
}

impl Context<'_> {
    fn go_on(&self) -> Result<(), Refusal> {
        if (self.is_withdrawn)() {
            return Err(Refusal::new(
                "withdrawn",
                "it was withdrawn before it was proved",
            ));
        }
        Ok(())
    }
}

/// Proves what is offered: loads it, holds it to the tables and to its own samples, and tries it on the last
/// messages beside the version that runs.
///
/// # Errors
/// Why it does not get in, whoever asks for it. What a person may want in spite of it is in the proposal:
/// [`Policy`](super::Policy) decides on that.
///
/// # Panics
/// If it is offered the version before, which has proved itself.
pub fn prove(
    what: &What,
    context: &Context<'_>,
    on_step: &mut OnStep<'_>,
) -> Result<Proven, Refusal> {
    let ((version, parts), old, new, samples) = match what {
        What::Plugin { name, bytes } => {
            with_plugin((name, bytes, &BTreeMap::new()), context, on_step)?
        }
        What::Whole { plugin, lookups } => {
            with_plugin((&plugin.name, &plugin.bytes, lookups), context, on_step)?
        }
        What::Lookup {
            lookup,
            name,
            bytes,
        } => {
            let (loaded, old, new) = with_lookup((lookup, name, bytes), context, on_step)?;
            (loaded, old, new, None)
        }
        What::Before => panic!("the version before is not proved again"),
    };
    let is_older = is_older(&new.version, &old.version);
    let keys = prepare(&version, context, on_step)?;
    let proposal = Proposal {
        old,
        new,
        is_older,
        samples,
        ..Proposal::default()
    };
    let proposal = on_messages(&version, &keys, proposal, context, on_step)?;
    Ok(Proven {
        version,
        parts,
        keys,
        proposal,
    })
}

/// Another plugin, and the lookups that come with it.
fn with_plugin(
    (name, bytes, lookups): (&str, &[u8], &BTreeMap<String, Part>),
    context: &Context<'_>,
    on_step: &mut OnStep<'_>,
) -> Result<(Loaded, Name, Name, Option<usize>), Refusal> {
    let (digest, running) = (lookup::hex_digest(bytes), context.current.code());
    let runs = |(name, part): (&String, &Part)| running.lookups.get(name) == Some(&part.digest());
    if digest == running.plugin && lookups.iter().all(runs) {
        return Err(same(name, &digest));
    }
    let loaded = load(name, bytes, context, on_step)?;
    let (old, new) = (Name::of(context.current), Name::of(&loaded.0));
    if old.name != new.name {
        let reason = format!(
            "it is the plugin `{}`, and `{}` runs: another plugin needs a host of its own",
            new.name, old.name
        );
        return Err(Refusal::new("other_plugin", reason));
    }
    let samples = try_samples(name, bytes, &loaded.0, context, on_step)?;
    Ok((loaded, old, new, samples))
}

/// Loads a plugin: its size, its world and version, its imports, whether it compiles and starts, what it
/// says of itself, and whether that fits the configuration.
fn load(
    name: &str,
    bytes: &[u8],
    context: &Context<'_>,
    on_step: &mut OnStep<'_>,
) -> Result<Loaded, Refusal> {
    on_step(
        "load",
        format!("compiles and starts {name}, {} bytes", bytes.len()),
    );
    let loaded = (context.load)(name, bytes)?;
    let card = loaded.0.plugin.card();
    let took = card
        .compile_ms
        .map_or("it was compiled before".to_owned(), |ms| {
            format!("compiled in {ms} ms")
        });
    on_step("loaded", format!("{}: {took}", Name::of(&loaded.0)));
    context.go_on()?;
    Ok(loaded)
}

fn same(name: &str, digest: &str) -> Refusal {
    let digest = short(digest);
    let reason = format!("{name} is what runs already ({digest}): there is nothing to do");
    Refusal::new("same_version", reason)
}

/// The version that runs, with other reference data.
fn with_lookup(
    (lookup, name, bytes): (&str, &str, &[u8]),
    context: &Context<'_>,
    on_step: &mut OnStep<'_>,
) -> Result<(Loaded, Name, Name), Refusal> {
    let current = context.current;
    let declared = current.plugin.description().lookups.iter();
    let index = declared
        .clone()
        .position(|declared| declared.name == lookup);
    let Some(index) = index else {
        let known: Vec<&str> = declared.map(|declared| &*declared.name).collect();
        let known = match &known[..] {
            [] => "none".to_owned(),
            known => known.join(", "),
        };
        let reason = format!("the plugin has no lookup `{lookup}`, it has {known}");
        return Err(Refusal::new("wrong_lookups", reason));
    };
    let digest = lookup::hex_digest(bytes);
    if digest == current.lookups[index].1.digest() {
        return Err(same(name, &digest));
    }
    on_step("load", format!("reads {name}, {} bytes", bytes.len()));
    let declared = &current.plugin.description().lookups[index];
    let read = (context.read_lookup)(declared, name, bytes)?;
    on_step(
        "loaded",
        format!(
            "{} rows, now {}",
            read.len(),
            current.lookups[index].1.len()
        ),
    );
    let named = |lookup: &Lookup| Name {
        name: declared.name.clone(),
        version: String::new(),
        digest: lookup.digest().to_owned(),
    };
    let (old, new) = (named(&current.lookups[index].1), named(&read));
    let (mut version, mut parts) = (current.clone(), context.parts.to_vec());
    version.lookups[index].1 = Arc::new(read);
    // The plugin is the first.
    parts[index + 1] = Part {
        name: name.to_owned(),
        bytes: bytes.to_vec(),
    };
    context.go_on()?;
    Ok(((version, parts), old, new))
}

/// Tries a plugin on its own samples, if it brings some: how many.
fn try_samples(
    name: &str,
    bytes: &[u8],
    version: &Version,
    context: &Context<'_>,
    on_step: &mut OnStep<'_>,
) -> Result<Option<usize>, Refusal> {
    let fixtures = Fixtures::embedded(bytes)?.or_else(|| (context.beside)(name));
    let Some(fixtures) = fixtures else {
        return Ok(None);
    };
    on_step("samples", "tries it on its own samples".to_owned());
    let count = fixtures::try_out(&version.plugin, &fixtures, context, fixtures::TIME_MAX)?;
    context.go_on()?;
    Ok(count)
}

/// Holds a version to the live tables.
fn prepare(
    version: &Version,
    context: &Context<'_>,
    on_step: &mut OnStep<'_>,
) -> Result<Vec<Key>, Refusal> {
    let targets = &version.plugin.description().targets;
    let tables: Vec<&str> = targets.iter().map(|target| &*target.table).collect();
    on_step("columns", format!("looks at {}", tables.join(", ")));
    Ok((context.prepare)(targets)?)
}

/// Tries a version on the last messages.
fn on_messages(
    version: &Version,
    keys: &[Key],
    proposal: Proposal,
    context: &Context<'_>,
    on_step: &mut OnStep<'_>,
) -> Result<Proposal, Refusal> {
    let batches = context.recent.batches();
    let messages: usize = batches.iter().map(|shared| shared.batch().len()).sum();
    if messages == 0 {
        // It must start with these keys and lookups, even so.
        version.instance(keys.to_vec())?;
        return Ok(proposal.told());
    }
    on_step(
        "shadow",
        format!("tries it on the last {messages} messages, writing nothing"),
    );
    let found = shadow::run(version, keys, &batches, context)?;
    on_step(
        "steady",
        "tries it on them in other batches, in another order".to_owned(),
    );
    steady::check(version, keys, &batches, context)?;
    Ok(Proposal {
        diff: found.diff,
        nanos_a_message: found.nanos_a_message,
        memory_bytes: found.memory_bytes,
        ..proposal
    }
    .told())
}

fn side<'a>(version: &'a Version, keys: &'a [Key]) -> Side<'a> {
    let description = version.plugin.description();
    Side {
        targets: &description.targets,
        keys,
        codes: &description.codes,
    }
}

/// Whether a version's numbers are lower: `1.9.0` than `1.10`. Where a part is no number, nobody can tell.
fn is_older(new: &str, old: &str) -> bool {
    let numbers = |version: &str| {
        let version = version.split(['-', '+']).next().unwrap_or_default();
        let parts = version.split('.').map(str::parse::<u64>);
        let mut numbers = parts.collect::<Result<Vec<_>, _>>().ok()?;
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        Some(numbers)
    };
    matches!((numbers(new), numbers(old)), (Some(new), Some(old)) if new < old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (new, old, is) in [
            ("1.0.0", "1.0.0", false),
            ("0.9.0", "1.0.0", true),
            ("1.9.0", "1.10.0", true),
            ("1.10.0", "1.9.0", false),
            ("1.0", "1.0.0", false),
            ("1.0", "1.0.1", true),
            ("1.0.0-beta", "1.0.0", false),
            ("", "1.0.0", false),
            ("yesterday", "1.0.0", false),
        ] {
            assert_eq!(is_older(new, old), is, "{new} {old}");
        }
    }
}
