//! What another version takes a pipeline's place by, while it runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{own_name, versions};
use crate::archive::{Archive, Part};
use crate::code::Code;
use crate::config::{self, Found};
use crate::pipeline::Plan;
use crate::recent::Recent;
use crate::source::kafka;
use crate::swap::prove::{Fixtures, Loaded};
use crate::swap::{Ask, Means, Policy, Ran, Refusal, Share};
use crate::telemetry::Board;

type Made = (Arc<Plan>, Vec<Part>, Option<Arc<dyn Archive>>, Arc<Recent>);

/// Asks what the members of a group run, and lets the board know how many versions that are.
fn group(kafka: kafka::Config, board: Arc<Board>) -> Box<Ask> {
    Box::new(move || {
        // Whether the brokers answer is told by those who read.
        let named = kafka::named(&kafka).ok()?;
        let mut shares = BTreeMap::<_, Share>::new();
        for named in named {
            let share = shares.entry(named.code.clone()).or_insert_with(|| Share {
                code: Code::clone(&named.code),
                generation: 0,
                partitions: Vec::new(),
            });
            share.generation = share.generation.max(named.generation);
            share.partitions.push(named.partition);
        }
        board.group_runs(shares.len());
        Some(shares.into_values().collect())
    })
}

/// The version of a code, as it is kept.
fn of_code(
    found: &Found,
    archive: Option<&dyn Archive>,
    code: &Code,
) -> Result<Option<Loaded>, Refusal> {
    let Some(archive) = archive else {
        return Ok(None);
    };
    let loaded = versions::of_code(found, code, &|digest| archive.fetch(digest));
    let loaded = loaded.map_err(refusal)?;
    Ok(loaded.map(|loaded| (loaded.version, loaded.parts)))
}

/// What a steward of this pipeline works with.
pub(super) fn means(
    found: Arc<Found>,
    made: Made,
    (since, kafka): (versions::Since, Option<kafka::Config>),
    board: &Arc<Board>,
) -> Means {
    let (plan, parts, archive, recent) = made;
    let first = Ran {
        version: plan.version.clone(),
        keys: Vec::new(),
        parts,
        generation: since.generation,
    };
    let schema = found.schema("samples").ok().map(|text| text.text.clone());
    let policy = Policy::from(&found.file.swap);
    let (loads, reads) = (found.clone(), found.clone());
    let kept = archive.clone();
    let (counts, runs) = (board.clone(), board.clone());
    Means {
        plan,
        first,
        replaced: since.replaced,
        committed: since.committed,
        archive,
        policy,
        recent,
        load: Box::new(move |name, bytes, running| {
            let plugin = Part {
                name: name.to_owned(),
                bytes: bytes.to_vec(),
            };
            let lookup = |name: &str| match running(name) {
                Some(part) => Ok(part),
                None => versions::lookup_of_file(&loads, name),
            };
            let loaded = versions::load(&loads, plugin, &lookup).map_err(refusal)?;
            Ok((loaded.version, loaded.parts))
        }),
        read_lookup: Box::new(move |declared, name, bytes| {
            let part = Part {
                name: name.to_owned(),
                bytes: bytes.to_vec(),
            };
            versions::read(&reads, declared, &part).map_err(|error| Refusal::from(&error))
        }),
        group: kafka.map(|kafka| group(kafka, board.clone())),
        of_code: Box::new(move |code| of_code(&found, kept.as_deref(), code)),
        beside: Box::new(beside),
        schema,
        count: Box::new(move |outcome| counts.swapped(outcome)),
        runs: Box::new(move |ran| {
            let origin = ran.version.origin();
            runs.runs(
                [&origin.name, &origin.version, &origin.digest],
                ran.generation,
            );
        }),
    }
}

/// Why a candidate cannot be loaded.
fn refusal(error: anyhow::Error) -> Refusal {
    use crate::{lookup, plugin};
    if let Some(error) = error.downcast_ref::<plugin::Error>() {
        return error.into();
    }
    if let Some(error) = error.downcast_ref::<lookup::Error>() {
        return error.into();
    }
    Refusal::new("wrong_configuration", format!("{error:#}"))
}

/// The samples that lie beside a plugin's file, with the lookups that its own configuration names.
fn beside(name: &str) -> Option<Fixtures> {
    let folder = Path::new(name).parent()?;
    let read = |file: &str| std::fs::read(folder.join(file)).ok();
    let (samples, golden) = (read("samples.jsonl")?, read("golden.txt")?);
    let found = config::find(name, None, &[], own_name).ok()?;
    let lookups = found.file.lookups.keys();
    let lookups =
        lookups.map(|name| Some((name.clone(), config::lookup_bytes(&found, name).ok()?.1)));
    Some(Fixtures {
        samples,
        golden,
        lookups: lookups.collect::<Option<_>>()?,
    })
}
