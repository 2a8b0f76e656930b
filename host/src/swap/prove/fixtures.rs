//! A candidate's own samples: what its author says that it makes of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::lookup::Lookup;
use crate::plugin::{self, Plugin};
use crate::samples::{Error, Trial, difference};

use super::super::Refusal;
use super::{Context, Fixtures};

/// How the names of an embedded fixture's sections begin.
const PREFIX: &str = "sluice:";
/// What of a difference is shown, in lines.
const LINES_MAX: usize = 12;

impl Fixtures {
    /// Those that a plugin's file carries: the custom sections `sluice:samples`, `sluice:golden` and, for each
    /// lookup, `sluice:lookup:NAME`. `None`, if it has no samples or no golden rows.
    pub fn embedded(bytes: &[u8]) -> Option<Self> {
        let sections: BTreeMap<_, _> = plugin::sections(bytes, PREFIX).into_iter().collect();
        let lookups = sections.iter().filter_map(|(name, csv)| {
            let name = name.strip_prefix("lookup:")?;
            Some((name.to_owned(), csv.to_vec()))
        });
        Some(Self {
            samples: sections.get("samples")?.to_vec(),
            golden: sections.get("golden")?.to_vec(),
            lookups: lookups.collect(),
        })
    }
}

/// Tries a plugin on its own samples; how many there are. `None`: without the lookups that belong to them
/// they cannot be tried, for golden rows depend on those.
pub(super) fn try_out(
    plugin: &Plugin,
    fixtures: &Fixtures,
    context: &Context<'_>,
) -> Result<Option<usize>, Refusal> {
    let Some(schema) = context.schema else {
        return Ok(None);
    };
    let mut lookups: Vec<Arc<Lookup>> = Vec::new();
    for declared in &plugin.description().lookups {
        let Some(csv) = fixtures.lookups.get(&declared.name) else {
            return Ok(None);
        };
        let lookup = (context.read_lookup)(declared, &declared.name, csv)?;
        lookups.push(Arc::new(lookup));
    }
    let trial = Trial {
        plugin,
        lookups,
        schema,
        samples: &fixtures.samples,
    };
    let made = trial.run().map_err(refusal)?;
    let golden = String::from_utf8_lossy(&fixtures.golden);
    if made != golden {
        return Err(not_golden(&golden, &made));
    }
    Ok(Some(trial.count().map_err(refusal)?))
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Plugin(error) => error.into(),
        Error::Sink(error) => error.into(),
        Error::Empty => Refusal::new("fixtures_failed", "its samples are empty"),
        Error::Line { .. } => Refusal::new("fixtures_failed", format!("its samples: {error}")),
        Error::Split {
            ref whole,
            ref split,
            ..
        } => {
            let shown = first_lines(whole, split);
            Refusal::new(
                "not_deterministic",
                format!("on its own samples, {error}\n{shown}"),
            )
        }
    }
}

fn not_golden(golden: &str, made: &str) -> Refusal {
    let shown = first_lines(golden, made);
    let reason = format!(
        "its own samples give something else than its golden rows say: build it again with golden rows \
         that are right (`host test --update`)\n{shown}"
    );
    Refusal::new("fixtures_failed", reason)
}

/// The first lines of what is otherwise.
fn first_lines(old: &str, new: &str) -> String {
    let shown = difference(old, new);
    let lines: Vec<&str> = shown.lines().take(LINES_MAX).collect();
    lines.join("\n")
}
