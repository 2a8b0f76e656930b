//! A candidate's own samples: what its author says that it makes of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lookup::Lookup;
use crate::plugin::{self, Plugin, SECTION_BYTES_MAX};
use crate::samples::{Error, Trial, difference};

use super::super::Refusal;
use super::{Context, Fixtures};

/// How the names of an embedded fixture's sections begin.
const PREFIX: &str = "sluice:";
/// What of a difference is shown, in lines.
const LINES_MAX: usize = 12;
/// How long trying them may take: a candidate may be as slow as it is allowed, on each of them.
pub(super) const TIME_MAX: Duration = Duration::from_secs(60);

impl Fixtures {
    /// Those that a plugin's file carries: the custom sections `sluice:samples`, `sluice:golden` and, for each
    /// lookup, `sluice:lookup:NAME`. `None`, if it has no samples or no golden rows.
    ///
    /// # Errors
    /// If one of them is too large.
    pub fn embedded(bytes: &[u8]) -> Result<Option<Self>, Refusal> {
        let sections: BTreeMap<_, _> = plugin::sections(bytes, PREFIX).into_iter().collect();
        let mut each = sections.iter();
        if let Some((name, _)) = each.find(|(_, inside)| inside.len() > SECTION_BYTES_MAX) {
            let reason =
                format!("its section {PREFIX}{name} has more than {SECTION_BYTES_MAX} bytes");
            return Err(Refusal::new("fixtures_failed", reason));
        }
        let (Some(samples), Some(golden)) = (sections.get("samples"), sections.get("golden"))
        else {
            return Ok(None);
        };
        let lookups = sections.iter().filter_map(|(name, csv)| {
            let name = name.strip_prefix("lookup:")?;
            Some((name.to_owned(), csv.to_vec()))
        });
        Ok(Some(Self {
            samples: samples.to_vec(),
            golden: golden.to_vec(),
            lookups: lookups.collect(),
        }))
    }
}

/// Tries a plugin on its own samples; how many there are. `None`: without the lookups that belong to them
/// they cannot be tried, for golden rows depend on those.
pub(super) fn try_out(
    plugin: &Plugin,
    fixtures: &Fixtures,
    context: &Context<'_>,
    time_max: Duration,
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
    let began = Instant::now();
    let trial = Trial {
        plugin,
        lookups,
        schema,
        samples: &fixtures.samples,
        go_on: &|| context.go_on().is_ok() && began.elapsed() < time_max,
    };
    let made = trial.run();
    // Who withdrew it waits for nothing else.
    context.go_on()?;
    let made = made.map_err(refusal)?;
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
        Error::GivenUp => Refusal::new(
            "fixtures_failed",
            format!(
                "its own samples take longer than {TIME_MAX:?}: bring fewer, or mend what is slow"
            ),
        ),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Config;
    use crate::recent::Recent;
    use crate::version::Version;

    const NAMES: &[u8] = include_bytes!("../../../../languages/wat/names/names.wat");

    #[test]
    fn samples_that_take_too_long_are_given_up() {
        let plugin = Plugin::load("names.wat", NAMES, &Config::default()).unwrap();
        let version = Version {
            plugin: plugin.clone(),
            lookups: vec![],
        };
        let context = Context {
            current: &version,
            parts: &[],
            load: &|_, _| panic!("it is loaded"),
            read_lookup: &|_, _, _| panic!("it has none"),
            beside: &|_| None,
            prepare: &|_| panic!("no table is looked at"),
            schema: Some("CREATE TABLE names.names (name text PRIMARY KEY)"),
            recent: &Recent::default(),
            is_withdrawn: &|| false,
        };
        let fixtures = Fixtures {
            samples: br#"{"name": "Ada"}"#.to_vec(),
            golden: b"names\n  name = Ada\n".to_vec(),
            ..Fixtures::default()
        };
        let tried = |time_max| try_out(&plugin, &fixtures, &context, time_max);
        assert_eq!(tried(TIME_MAX).unwrap(), Some(1));
        let refused = tried(Duration::ZERO).unwrap_err();
        assert!(refused.reason.contains("take longer"), "{refused}");
    }
}
