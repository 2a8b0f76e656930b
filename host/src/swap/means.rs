//! What a steward works with, and what it remembers of a version.

use std::sync::Arc;

use super::policy::Policy;
use super::prove::{self, Context, Fixtures, Loaded, Proven};
use super::{Refusal, What};
use crate::archive::{self, Archive, End, Generation, Outcome, Part};
use crate::code::Code;
use crate::lookup::{self, Lookup};
use crate::pipeline::Plan;
use crate::recent::Recent;
use crate::row::Key;
use crate::sink;
use crate::version::Version;

/// How far back the history is looked through for the version before.
pub(super) const HISTORY_MAX: usize = 1_000;

/// What a steward works with.
pub struct Means {
    /// The pipeline's workers.
    pub plan: Arc<Plan>,
    /// The version they begin with.
    pub first: Ran,
    /// What the commits named, if a start has brought that first version instead, and no trade.
    pub replaced: Option<Code>,
    /// The greatest generation that a commit told at the start; none, if there was no commit.
    pub committed: Option<u32>,
    /// Where versions are remembered.
    pub archive: Option<Arc<dyn Archive>>,
    /// Who gets in without a question.
    pub policy: Policy,
    /// The last messages.
    pub recent: Arc<Recent>,
    /// How a plugin is loaded, as the pipeline's configuration says.
    pub load: Box<Load>,
    /// How reference data is read.
    pub read_lookup: Box<ReadLookup>,
    /// Loads what is kept of the version with a code; `None`, if it is not kept.
    pub of_code: Box<OfCode>,
    /// What lies beside a plugin's file.
    pub beside: Box<Beside>,
    /// The text of the tables' schema, if it is known.
    pub schema: Option<String>,
    /// What the members of the group run, if there is a group.
    pub group: Option<Box<super::Ask>>,
    /// Counts what became of offers, for metrics.
    pub count: Box<dyn Fn(&'static str) + Send + Sync>,
    /// Is told what runs from now on.
    pub runs: Box<dyn Fn(&Ran) + Send + Sync>,
}

/// Loads a plugin of a name from its bytes, with the lookups that run, by name; others as the
/// pipeline's configuration says.
pub type Load =
    dyn Fn(&str, &[u8], &dyn Fn(&str) -> Option<Part>) -> Result<Loaded, Refusal> + Send + Sync;
/// Loads the version of a code.
pub type OfCode = dyn Fn(&Code) -> Result<Option<Loaded>, Refusal> + Send + Sync;
/// The samples that lie beside a plugin's file of this name.
pub type Beside = dyn Fn(&str) -> Option<Fixtures> + Send + Sync;
/// Reads a file of reference data.
pub type ReadLookup =
    dyn Fn(&lookup::Declared, &str, &[u8]) -> Result<Lookup, Refusal> + Send + Sync;

/// A version that ran, or runs.
#[derive(Clone)]
pub struct Ran {
    /// It.
    pub version: Version,
    /// The keys of its tables; none, of a version that was not proved, until they are needed.
    pub keys: Vec<Key>,
    /// What it was loaded from: its plugin, then its lookups in their order.
    pub parts: Vec<Part>,
    /// The generation in which it began.
    pub generation: u32,
}

impl Ran {
    /// The file that a lookup was read from.
    fn lookup(&self, name: &str) -> Option<Part> {
        let lookups = self.version.lookups.iter();
        let index = lookups.clone().position(|(known, _)| known == name)?;
        self.parts.get(index + 1).cloned()
    }
}

impl Means {
    /// The keys of a version's tables, as they are now.
    pub(super) fn keys(&self, version: &Version) -> Result<Vec<Key>, sink::Error> {
        let mut room = (self.plan.sink)(version.origin())?;
        room.prepare(&version.plugin.description().targets)
    }

    /// Proves what is offered instead of what runs.
    pub(super) fn prove(
        &self,
        current: &Ran,
        what: &What,
        is_withdrawn: &dyn Fn() -> bool,
        on_step: &mut prove::OnStep<'_>,
    ) -> Result<Proven, Refusal> {
        let given = match what {
            What::Whole { lookups, .. } => Some(lookups),
            What::Plugin { .. } | What::Lookup { .. } | What::Before => None,
        };
        let lookup = |name: &str| {
            let given = given.and_then(|lookups| lookups.get(name));
            given.cloned().or_else(|| current.lookup(name))
        };
        let context = Context {
            current: &current.version,
            parts: &current.parts,
            load: &|name, bytes| (self.load)(name, bytes, &lookup),
            read_lookup: &*self.read_lookup,
            beside: &*self.beside,
            prepare: &|targets| {
                let mut room = (self.plan.sink)(current.version.origin())?;
                room.prepare(targets)
            },
            schema: self.schema.as_deref(),
            recent: &self.recent,
            is_withdrawn,
        };
        prove::prove(what, &context, on_step)
    }

    /// Keeps what a version was loaded from, and takes a generation for it.
    pub(super) fn remember(
        &self,
        next: &Ran,
        at_least: u32,
        trade: &archive::Trade,
    ) -> Result<u32, Refusal> {
        let not_kept = |error: archive::Error| {
            let reason = format!("{error}; it is not kept, so that a restart could not run it");
            Refusal::new("not_kept", reason)
        };
        if let Some(archive) = &self.archive {
            for part in &next.parts {
                archive.keep(part).map_err(not_kept)?;
            }
        }
        self.take(at_least, trade).map_err(not_kept)
    }

    /// Takes a generation.
    pub(super) fn take(
        &self,
        at_least: u32,
        trade: &archive::Trade,
    ) -> Result<u32, archive::Error> {
        let archive = self.archive.as_ref();
        archive.map_or(Ok(at_least), |archive| archive.take(at_least, trade))
    }

    /// Notes how a trade ended.
    pub(super) fn finish(&self, generation: u32, end: &End) {
        if let Some(archive) = &self.archive {
            is_noted(generation, archive.finish(generation, end).map(|()| true));
        }
    }

    /// Notes how a trade ended that is `so_far` in the history; whether it was.
    fn finish_if(&self, generation: u32, so_far: Outcome, end: &End) -> bool {
        let archive = self.archive.as_ref();
        archive
            .is_some_and(|archive| is_noted(generation, archive.finish_if(generation, so_far, end)))
    }

    /// Notes in the history how the trades ended that a process before this one did not see to their end, and
    /// that this start has brought another version, unless that is the last that it tells.
    pub(super) fn note_start(&self) {
        let Some(history) = self.history() else {
            return;
        };
        let code = self.first.version.code();
        for (generation, end) in archive::left_open(&history, &code) {
            let is_ours = |entry: &Generation| entry.generation == generation && entry.code == code;
            // Another member may watch it, and has perhaps told its end since the history was read.
            let is_open = self.finish_if(generation, Outcome::Running, &end);
            if is_open && end.outcome == Outcome::Unwatched && history.iter().any(is_ours) {
                tracing::warn!(
                    generation,
                    "the probation of what runs had not ended, and this host does not watch it: unless \
                     another host of the group does, `host rollback` goes back, and leaves the rows that it \
                     made"
                );
            }
        }
        let named = self.replaced.as_ref().unwrap_or(&code);
        let nothing = |committed| archive::never_begun(&history, committed, [&code, named]);
        for generation in self.committed.map_or_else(Vec::new, nothing) {
            let end = End {
                outcome: Outcome::Abandoned,
                reason: "the process that brought it ended before a commit named it".to_owned(),
                pause_us: 0,
            };
            self.finish_if(generation, Outcome::Deployed, &end);
        }
        let Some(replaced) = self.replaced.clone() else {
            return;
        };
        let is_told = |last: &Generation| {
            last.outcome == Outcome::Deployed && (&last.code, &last.replaced) == (&code, &replaced)
        };
        if history.first().is_some_and(is_told) {
            return;
        }
        let start = archive::Trade {
            code,
            replaced,
            by: "start".to_owned(),
            diff: String::new(),
            is_deployment: true,
        };
        if let Err(error) = self.take(self.first.generation, &start) {
            tracing::warn!(%error, "that a start has brought another version is not in the history");
        }
    }

    /// The trades so far, the last one first; `None`, if they cannot be read.
    pub(super) fn history(&self) -> Option<Vec<Generation>> {
        let history = self.archive.as_ref()?.history(HISTORY_MAX);
        let told = |error: &archive::Error| tracing::warn!(%error, "the history cannot be read");
        history.inspect_err(told).ok()
    }

    pub(super) fn count(&self, outcome: &'static str) {
        (self.count)(outcome);
    }
}

/// Whether what became of a trade is in the history; if that is not known, it is told.
fn is_noted(generation: u32, noted: Result<bool, archive::Error>) -> bool {
    // The commits say what runs. Who asks later finds the trade as it began.
    let told = |error: archive::Error| {
        tracing::warn!(%error, generation, "what became of a trade is not in the history");
        false
    };
    noted.unwrap_or_else(told)
}
