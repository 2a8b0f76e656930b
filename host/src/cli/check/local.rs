//! What needs no network: the plugin, its reference data, its schema and its queries.

use std::collections::BTreeSet;

use super::counted;
use super::report::Finding;
use crate::access::with_causes;
use crate::cli::run::{self, assemble};
use crate::config::{self, Found, Text};
use crate::plugin::{self, Description, Plugin};
use crate::produce::Value;
use crate::query;
use crate::row::Target;
use crate::sink::schema::{self, Schema};
use crate::telemetry::grouped;

/// What was found beside us.
#[derive(Default)]
pub(super) struct Local {
    pub(super) findings: Vec<Finding>,
    /// What the plugin writes; none, if there is no plugin to ask.
    pub(super) targets: Option<Vec<Target>>,
    pub(super) schema: Option<Schema>,
}

/// Loads what there is and compares it.
pub(super) fn local(args: &run::Args, found: &Found) -> Local {
    let mut local = Local::default();
    let plugin = plugin(found, &mut local.findings);
    let description = plugin.as_ref().map(Plugin::description);
    match description {
        Some(description) => {
            settings(found, description, &mut local.findings);
            lookups(found, description, &mut local.findings);
        }
        None => local
            .findings
            .push(Finding::not_asked("lookups", "there is no plugin to ask")),
    }
    let targets = description.map(|description| description.targets.clone());
    local.schema = tables(found, args, targets.as_deref(), &mut local.findings);
    local.findings.push(queries(found));
    local.targets = targets;
    local
}

fn plugin(found: &Found, findings: &mut Vec<Finding>) -> Option<Plugin> {
    let loaded = found.plugin().map_err(anyhow::Error::from);
    let loaded = loaded.and_then(|(name, bytes)| {
        Ok(Plugin::load(
            &name,
            &bytes,
            &assemble::plugin_config(found)?,
        )?)
    });
    match loaded {
        Ok(plugin) => {
            let card = plugin.card();
            let (name, version, imports) = (card.name, card.version, card.imports.join(", "));
            let imports = if imports.is_empty() {
                "nothing"
            } else {
                &imports
            };
            let size = grouped(card.size as u64);
            let result = format!("{name} {version}, {size} bytes, imports {imports}");
            findings.push(Finding::passed("plugin", result));
            Some(plugin)
        }
        Err(error) => {
            let way_out = match error.downcast_ref() {
                Some(plugin::Error::Configuration(_)) => {
                    "it is given what [plugin.config] of pipeline.toml says"
                }
                Some(_) => "docs/writing-a-plugin.md says what a plugin is, and how one is built",
                // It says it itself.
                None => "",
            };
            findings.push(Finding::failed(
                "plugin",
                with_causes(error.as_ref()),
                way_out,
            ));
            None
        }
    }
}

/// What the configuration says and the plugin knows nothing of.
fn settings(found: &Found, description: &Description, findings: &mut Vec<Finding>) {
    if let Err(error) = found.declared(&description.codes, &description.lookups) {
        findings.push(Finding::failed("settings", error.to_string(), ""));
    }
    let mut used: BTreeSet<&str> = description
        .lookups
        .iter()
        .map(|lookup| lookup.name.as_str())
        .collect();
    let members = found
        .file
        .produce
        .iter()
        .flat_map(|produce| &produce.members);
    used.extend(members.filter_map(|member| match &member.value {
        Value::Cell { list, .. } => Some(list.as_str()),
        Value::Person | Value::Now(_) | Value::Range(..) => None,
    }));
    for name in found
        .file
        .lookups
        .keys()
        .filter(|name| !found.document.is_overridden(&["lookups", name, "path"]))
        .filter(|name| !used.contains(name.as_str()))
    {
        let way_out = "neither the plugin nor [produce] uses it";
        findings.push(Finding::warning(subject(name), "it is not used", way_out));
    }
}

fn subject(lookup: &str) -> String {
    format!("lookup `{lookup}`")
}

fn lookups(found: &Found, description: &Description, findings: &mut Vec<Finding>) {
    let declared = &description.lookups;
    for declared in declared {
        let subject = subject(&declared.name);
        findings.push(match assemble::lookup(found, declared) {
            Ok((from, lookup)) if lookup.is_empty() => Finding::warning(
                subject,
                format!("{from}: no rows"),
                "nothing will be found in it",
            ),
            Ok((from, lookup)) => {
                let (rows, duplicates) = (lookup.len(), lookup.duplicates());
                let left_out = match duplicates {
                    0 => String::new(),
                    more => format!(
                        ", {} more left out: an earlier one has their key",
                        grouped(more as u64)
                    ),
                };
                let rows = counted(rows, "row", "rows");
                Finding::passed(subject, format!("{from}: {rows}{left_out}"))
            }
            Err(error) => {
                let way_out = match error.downcast_ref::<config::Error>() {
                    Some(config::Error::NoLookup { .. }) => String::new(),
                    Some(_) | None => {
                        format!(
                            "mend it, or give another file: --lookup {}=FILE.csv",
                            declared.name
                        )
                    }
                };
                Finding::failed(subject, with_causes(error.as_ref()), &way_out)
            }
        });
    }
}

/// Reads the schema and compares it with what the plugin writes.
fn tables(
    found: &Found,
    args: &run::Args,
    targets: Option<&[Target]>,
    findings: &mut Vec<Finding>,
) -> Option<Schema> {
    const SUBJECT: &str = "schema";
    let text = match (&found.schema, &args.sink) {
        (Some(text), _) => text,
        (None, assemble::SinkKind::Cassandra) => {
            findings.push(Finding::passed(
                SUBJECT,
                "there is none: the tables are made elsewhere",
            ));
            return None;
        }
        (None, assemble::SinkKind::Sqlite(_) | assemble::SinkKind::None) => {
            let error = config::Error::NoSchema { sink: "the sink" };
            findings.push(Finding::failed(SUBJECT, with_causes(&error), ""));
            return None;
        }
    };
    let schema = match Schema::parse(&text.text) {
        Ok(schema) => schema,
        Err(error) => {
            findings.push(Finding::failed(
                SUBJECT,
                place(text, error.line, &error.reason),
                "mend the file",
            ));
            return None;
        }
    };
    let compared = targets.map(|targets| schema::keys(targets, &schema.tables));
    findings.push(match compared {
        Some(Err(differences)) => {
            let lines: Vec<&str> = differences.lines().map(str::trim).collect();
            let result = format!(
                "{}: not what the plugin writes\n{}",
                text.name,
                lines.join("\n")
            );
            Finding::failed(SUBJECT, result, "mend the file, or the plugin's targets")
        }
        Some(Ok(_)) => {
            let result = format!("{}: it has what the plugin writes", text.name);
            Finding::passed(SUBJECT, result)
        }
        None => Finding::passed(SUBJECT, format!("{}: it can be read", text.name)),
    });
    Some(schema)
}

fn queries(found: &Found) -> Finding {
    const SUBJECT: &str = "queries";
    let Some(text) = &found.queries else {
        return Finding::passed(SUBJECT, "there are none");
    };
    match query::parse(&text.text) {
        Ok(queries) => Finding::passed(
            SUBJECT,
            format!(
                "{}: {}",
                text.name,
                counted(queries.len(), "query", "queries")
            ),
        ),
        Err(query::Error::File { line, reason }) => {
            Finding::failed(SUBJECT, place(text, line, &reason), "mend the file")
        }
        Err(error) => Finding::failed(SUBJECT, with_causes(&error), "mend the file"),
    }
}

fn place(text: &Text, line: usize, reason: &str) -> String {
    format!("{}, line {line}: {reason}", text.name)
}
