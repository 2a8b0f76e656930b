//! `host check`: whether a pipeline would run, before it is run. Nothing is changed.

mod asked;
mod kafka;
mod local;
mod reach;
mod report;
mod store;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;

use self::asked::{beside, late, wait};
use self::local::Local;
use self::report::{Finding, Report};
use super::run::assemble::sink::cassandra_config;
use super::run::assemble::{self, SinkKind, own_name};
use super::settings::Settings;
use super::{exit, run};
use crate::access::with_causes;
use crate::config::{self, Found};
use crate::source::kafka::verify;
use crate::telemetry::grouped;

/// What `host check` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pipeline: a name that the binary carries, or a path: its folder, its pipeline.toml, its plugin
    pipeline: String,
    /// The pipeline's configuration; by default beside the plugin, or the carried one
    #[arg(long, value_name = "pipeline.toml")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Where rows go: cassandra, sqlite:DIR, or none
    #[arg(long, default_value = "cassandra")]
    sink: SinkKind,
    /// How many workers there shall be
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Only what needs no network
    #[arg(long)]
    offline: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// How long an answer is waited for; with what is done around it, a check takes less than 5 s.
const ANSWER_MAX: Duration = Duration::from_millis(3_800);

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    run: run::Args,
}

impl Args {
    /// The pipeline as its user would start it.
    fn run(&self) -> run::Args {
        let mut run = Line::parse_from(["host", "--plugin", &self.pipeline]).run;
        run.config.clone_from(&self.config);
        run.settings.clone_from(&self.settings);
        run.sink.clone_from(&self.sink);
        run.workers = self.workers;
        run
    }
}

/// What every part of a check knows.
#[derive(Clone)]
struct Question {
    /// When no more answers are waited for.
    until: Instant,
    /// How the user calls the host, and the pipeline.
    invocation: String,
    named: String,
    /// The flags that say which topic, as they are typed.
    stream: String,
    /// The flags that say where the tables are, as they are typed.
    place: String,
}

impl Question {
    /// The command that makes the topic, and messages in it.
    fn produce(&self) -> String {
        format!(
            "`{} produce {}{}`",
            self.invocation, self.named, self.stream
        )
    }

    /// The command that makes the tables.
    fn apply(&self) -> String {
        format!(
            "`{} schema apply {}{}`",
            self.invocation, self.named, self.place
        )
    }

    /// The command that compares them.
    fn diff(&self) -> String {
        format!(
            "`{} schema diff {}{}`",
            self.invocation, self.named, self.place
        )
    }
}

/// Checks a pipeline and prints what was found.
///
/// # Errors
/// If there is no configuration to check.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let run = Arc::new(args.run());
    let flags = args.settings.flags();
    let found = config::find(&run.plugin, run.config.as_deref(), &flags, own_name)?;
    let report = Report::new(
        &args.pipeline,
        findings(args, &run, &Arc::new(found), began),
        began.elapsed(),
    );
    let text = if args.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        report.to_string()
    };
    super::show(&text)?;
    Ok(if report.is_good {
        ExitCode::SUCCESS
    } else {
        exit::FAILED.into()
    })
}

fn findings(args: &Args, run: &Arc<run::Args>, found: &Arc<Found>, began: Instant) -> Vec<Finding> {
    let question = question(&args.settings, found, began);
    let own = {
        let (run, found) = (run.clone(), found.clone());
        beside(move || local::local(&run, &found))
    };
    let stream = asked::stream(args, run, found, &question);
    let store = asked::store(args, found, &question);
    let (own, mut findings) = match wait(&own, began) {
        Some(own) => (own, vec![configuration(run, found)]),
        None => {
            let way_out = format!(
                "`{} inspect {}` compiles it, and keeps what it compiled",
                question.invocation, question.named
            );
            let late = Finding::failed("plugin", late(), &way_out);
            (Local::default(), vec![configuration(run, found), late])
        }
    };
    findings.extend(own.findings);
    findings.extend(stream.findings(began));
    let store = store.found(began);
    findings.extend(store.findings);
    findings.extend(match (&own.targets, &args.sink) {
        (None, _) => vec![Finding::not_asked("tables", "there is no plugin to ask")],
        (Some(targets), SinkKind::Cassandra) => {
            store::tables(targets, &store.tables, own.schema.as_ref(), &question)
        }
        (Some(_), SinkKind::Sqlite(_) | SinkKind::None) => Vec::new(),
    });
    findings
}

fn question(settings: &Settings, found: &Found, began: Instant) -> Question {
    let (mut stream, mut place) = (String::new(), String::new());
    if let Some(brokers) = &settings.brokers {
        stream += &format!(" --brokers {brokers}");
    }
    if let Some(topic) = &settings.topic {
        stream += &format!(" --topic {topic}");
    }
    if !settings.cassandra.is_empty() {
        place += &format!(" --cassandra {}", settings.cassandra.join(","));
    }
    if let Some(keyspace) = &settings.keyspace {
        place += &format!(" --keyspace {keyspace}");
    }
    Question {
        until: began + ANSWER_MAX,
        invocation: config::invocation(),
        named: found.named.clone(),
        stream,
        place,
    }
}

/// Whether the configuration, which could be read, can be used.
fn configuration(run: &run::Args, found: &Found) -> Finding {
    const SUBJECT: &str = "configuration";
    if let Err(error) = usable(run, found) {
        let result = format!("{}: {}", found.config, with_causes(error.as_ref()));
        return Finding::failed(
            SUBJECT,
            result,
            "mend it there, or the variable SLUICE_* over it",
        );
    }
    let (topic, keyspace) = (&found.file.topic, &found.file.cassandra.keyspace);
    let result = format!(
        "{}: pipeline `{}`, topic `{topic}`, keyspace `{keyspace}`",
        found.config, found.file.name
    );
    Finding::passed(SUBJECT, result)
}

/// Makes what the clients are told, and asks nobody.
fn usable(run: &run::Args, found: &Found) -> anyhow::Result<()> {
    verify(&assemble::kafka_config(run, found)?)?;
    if let SinkKind::Cassandra = run.sink {
        cassandra_config(found)?;
    }
    Ok(())
}

/// A number with what it counts.
fn counted(number: usize, one: &str, many: &str) -> String {
    let what = if number == 1 { one } else { many };
    format!("{} {what}", grouped(number as u64))
}
