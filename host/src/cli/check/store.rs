//! Cassandra or SQLite, and the tables that the plugin writes.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Instant;

use super::Question;
use super::reach::reached;
use super::report::Finding;
use crate::access::with_causes;
use crate::row::Target;
use crate::sink::schema::{self, Schema, Table};
use crate::sink::{Error, cassandra, sqlite};

/// Where nodes listen when nobody says.
const PORT: u16 = 9042;

pub(super) const CASSANDRA: &str = "Cassandra";
pub(super) const SQLITE: &str = "SQLite";

/// What a store was found to be.
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    /// Its tables, or why they are not known.
    pub(super) tables: Result<Vec<Table>, String>,
}

impl Found {
    fn failed(mut findings: Vec<Finding>, last: Finding, reason: &str) -> Self {
        findings.push(last);
        Self {
            findings,
            tables: Err(reason.to_owned()),
        }
    }
}

/// Asks Cassandra.
pub(super) fn cassandra(mut config: cassandra::Config, question: &Question) -> Found {
    let away = "Cassandra does not answer";
    let mut findings = Vec::new();
    let way_out =
        "start it, or say where it is: --cassandra HOST:PORT, or `contact_points` in [cassandra]";
    let reached = reached(
        CASSANDRA,
        &config.contact_points,
        PORT,
        way_out,
        &mut findings,
    );
    let keyspace = format!("keyspace `{}`", config.keyspace);
    let Some(at) = reached else {
        return Found::failed(findings, Finding::not_asked(keyspace, away), away);
    };
    let rest = question.until.saturating_duration_since(Instant::now());
    (config.connect_timeout, config.request_timeout) = (rest, rest);
    // The driver asks nobody where nobody is: so we ask anybody, and look ourselves.
    let wanted = config.local_datacenter.take();
    let asked = cassandra::Reader::open(&config).and_then(|reader| {
        let (cluster, tables) = (reader.cluster()?, reader.tables()?);
        Ok((cluster, tables))
    });
    let (cluster, tables) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            findings.push(Finding::failed(
                CASSANDRA,
                with_causes(&error),
                way_in(&error),
            ));
            return Found::failed(findings, Finding::not_asked(keyspace, away), away);
        }
    };
    let datacenters = Vec::from_iter(cluster.datacenters).join(", ");
    if let Some(wanted) = wanted.filter(|wanted| !datacenters.split(", ").any(|one| one == wanted))
    {
        let result = format!("no node is in data centre `{wanted}`; there is {datacenters}");
        findings.push(Finding::failed(
            CASSANDRA,
            result,
            "mend `local_datacenter` in [cassandra]",
        ));
    } else {
        let result = format!(
            "{at}: version {}, data centre {datacenters}",
            cluster.version
        );
        findings.push(Finding::passed(CASSANDRA, result));
    }
    if !cluster.has_keyspace {
        let way_out = format!("{} makes it, with its tables", question.apply());
        let missing = Finding::failed(keyspace, "there is none", &way_out);
        return Found::failed(findings, missing, "there is no keyspace");
    }
    findings.push(Finding::passed(keyspace, "it is there"));
    Found {
        findings,
        tables: Ok(tables),
    }
}

/// What lets us in, by the way that we were kept out.
fn way_in(error: &Error) -> &'static str {
    match error {
        // It says itself what mends it.
        Error::Refused { .. } => "",
        Error::Unavailable { .. } | Error::Schema(_) => {
            "it takes connections, but does not answer as Cassandra: is the port Cassandra's, and does it \
             want TLS?"
        }
    }
}

/// Looks at SQLite's directory and file, and changes nothing there.
pub(super) fn sqlite(config: &sqlite::Config) -> Found {
    let path = config.path();
    let shown = path.display();
    let finding = match (sqlite::missing(config), writable(&config.directory)) {
        (Err(error), _) => Finding::failed(SQLITE, with_causes(&error), ""),
        (Ok(_), Err(reason)) => {
            let way_out = "give a directory that the host may write into: --sink sqlite:DIR";
            Finding::failed(SQLITE, reason, way_out)
        }
        (Ok(None), Ok(())) => Finding::passed(SQLITE, format!("{shown}, to be made")),
        (Ok(Some(missing)), Ok(())) if missing.is_empty() => {
            Finding::passed(SQLITE, format!("{shown}, as the schema says"))
        }
        (Ok(Some(missing)), Ok(())) => {
            let result = format!("{shown}, where {} will be made", missing.join(", "));
            Finding::passed(SQLITE, result)
        }
    };
    Found {
        findings: vec![finding],
        // They are those of the schema, which is compared with the plugin anyway.
        tables: Ok(Vec::new()),
    }
}

/// Whether files can be made in a directory, or the directory itself: by making one.
fn writable(directory: &Path) -> Result<(), String> {
    let there = directory.ancestors().find(|path| path.exists());
    let there = there.unwrap_or(Path::new("."));
    let trial = there.join(format!(".sluice-check-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&trial);
    made.and_then(|_| std::fs::remove_file(&trial))
        .map_err(|error| format!("{}: {error}", there.display()))
}

/// Compares the live tables with what the plugin writes into them, and with the schema.
pub(super) fn tables(
    targets: &[Target],
    live: &Result<Vec<Table>, String>,
    schema: Option<&Schema>,
    question: &Question,
) -> Vec<Finding> {
    let mut names: Vec<&str> = targets.iter().map(|target| target.table.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let finding = |name: &str| {
        let subject = format!("table `{name}`");
        let live = match live {
            Ok(live) => live,
            Err(reason) => return Finding::not_asked(subject, reason),
        };
        let own: Vec<Target> = targets
            .iter()
            .filter(|t| t.table == name)
            .cloned()
            .collect();
        if let Err(differences) = schema::keys(&own, live) {
            let lines: Vec<&str> = differences.lines().map(str::trim).collect();
            let way_out = format!(
                "{} makes what is missing; what is of another type or key must be dropped first",
                question.apply()
            );
            return Finding::failed(subject, lines.join("\n"), &way_out);
        }
        let differences = schema.map_or(Vec::new(), |schema| schema.differences(live));
        let mine = |line: &&String| line.split([':', '.']).next() == Some(name);
        let differences: Vec<&str> = differences
            .iter()
            .filter(mine)
            .map(String::as_str)
            .collect();
        if differences.is_empty() {
            let columns = live.iter().find(|table| table.name == name);
            let columns = columns.map_or(0, |table| table.columns.len());
            return Finding::passed(
                subject,
                format!("{columns} columns, as the plugin writes them"),
            );
        }
        let result = format!(
            "the plugin can write it, but the schema has it otherwise\n{}",
            differences.join("\n")
        );
        Finding::warning(
            subject,
            result,
            &format!("{} compares them", question.diff()),
        )
    };
    names.into_iter().map(finding).collect()
}
