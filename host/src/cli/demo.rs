//! `host demo`: the same pipeline on an in-process broker and SQLite, with nothing to install.

mod example;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;

use jiff::Timestamp;
use shell_words::quote as quoted;

use self::example::Example;
use super::produce::{cells, description};
use super::run;
use super::run::assemble::{self, Watched};
use super::settings::Settings;
use super::{exit, tables};
use crate::config::{self, Found};
use crate::embedded::Broker;
use crate::query::Query;
use crate::sink::schema::token::quote;
use crate::sink::schema::{Schema, Table, check_name};
use crate::sink::sqlite;
use crate::sink::value::Value;
use crate::telemetry::{Format, Progress, Totals, grouped};
use crate::worker::{Control, Ended};
use crate::{pipeline, produce, query};

/// What `host demo` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The pipeline to show: a name that the binary carries, or a path
    #[arg(default_value = "spotify")]
    pub pipeline: String,
    /// Stop after so many messages [default: go on until Ctrl-C]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Messages a second; 0 = as fast as it goes
    #[arg(long, value_name = "N", default_value_t = 2_000.0, value_parser = super::produce::rate)]
    pub rate: f64,
    /// Where the rows go; what an earlier demo left there is replaced
    #[arg(long, value_name = "DIR", default_value = "sluice-demo")]
    pub dir: PathBuf,
    /// Where metrics and readiness are told over HTTP [default: off]
    #[arg(long, value_name = "HOST:PORT")]
    pub admin: Option<String>,
}

/// One message in so many is bad, when their number is known: they are part of the show.
const BAD_EVERY: u64 = 700;
/// How many names are made up: enough for rows of one person not to fall on one millisecond.
const PEOPLE: usize = 500;
/// Messages sent but not written yet, at most: the in-process broker keeps only so much.
const AHEAD_MAX: u64 = 50_000;
/// What the demo's directory holds besides SQLite's files.
const LETTERS: &str = "dead-letters.jsonl";
/// The query that every pipeline has: some of its rows, the most telling columns first.
const SAMPLE: &str = "sample";
/// How much of the first rows fits a terminal.
const ROWS_SHOWN: usize = 5;
const COLUMNS_SHOWN: usize = 6;
const WIDTH_MAX: usize = 110;

/// Shows a pipeline at work.
///
/// # Errors
/// If the pipeline does not exist or has nothing to show, or the directory cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let stop = super::exit_flag()?;
    let show = Arc::new(Show::new(args)?);
    let file = &show.found.file;
    clear(&args.dir, &file.cassandra.keyspace)?;
    let broker = Broker::start(&file.topic, PARTITIONS)?;
    show.greet()?;
    let typed = pipeline_args(args, &file.name, &broker.brokers());
    let assembled = assemble::assemble(&typed, &stop)?;
    tell_admin(assembled.watched.as_ref())?;
    let (board, ends) = (assembled.board, assembled.ends);
    let control = Arc::new(Control::new(stop.clone(), ends));
    let steward = run::open(assembled.means, None, assembled.watched.as_ref(), &control)?;

    let settled = Arc::new(AtomicU64::new(0));
    let plan = produce_plan(args, &file.topic, &broker);
    let producer = spawn_producer(show.clone(), plan, stop, settled.clone());

    let mut progress = Progress::new(Format::Text, board.run().clone());
    let mut is_shown = false;
    let ended = pipeline::run(assembled.plan, &control, &mut |report| {
        if let Some(report) = report {
            board.observe(report);
            if let Some(steward) = &steward {
                steward.observe(report);
            }
        }
        progress.observe(report);
        let totals = progress.totals();
        let done = totals.messages - totals.pending();
        settled.store(done, Ordering::Relaxed);
        if !is_shown && totals.written > 0 {
            is_shown = true;
            progress.pause(|| show.first_rows(began.elapsed()));
        }
        if args.count.is_some_and(|count| done >= count) {
            control.stop();
        }
    });
    control.stop();
    progress.finish();
    let produced = producer.join().expect("the producer returns its errors");
    let (ended, produced) = (ended?, produced?);
    show.say_goodbye(produced.mine, progress.totals())?;
    Ok(if ended == Ended::Drained {
        ExitCode::SUCCESS
    } else {
        exit::TEMPORARY.into()
    })
}

/// What there is to show.
struct Show {
    args: Args,
    found: Found,
    queries: Vec<Query>,
    example: Option<Example>,
    store: sqlite::Config,
}

impl Show {
    fn new(args: &Args) -> anyhow::Result<Self> {
        let found = tables::pipeline(&args.pipeline, &Settings::default())?;
        let text = found.queries()?;
        let queries = query::parse(&text.text).with_context(|| text.name.clone())?;
        query::find(&queries, SAMPLE).map_err(|error| {
            let name = &text.name;
            config::Error::Setting(format!("{name}: {error}: the demo shows its first rows"))
        })?;
        let me = &description(&found)?.me;
        let keyspace = found.file.cassandra.keyspace.clone();
        // Files are cleared away by this name: it must not lead elsewhere.
        check_name("keyspace", &keyspace)?;
        let example = found.file.demo.as_ref().map(|section| {
            Example::new(&section.query, me, &queries, &keyspace).map_err(|error| {
                let query = &section.query;
                config::Error::Setting(format!("`query` in [demo], `{query}`: {error:#}"))
            })
        });
        Ok(Self {
            args: args.clone(),
            example: example.transpose()?,
            queries,
            store: sqlite::Config {
                directory: args.dir.clone(),
                keyspace,
                schema: found.schema("SQLite")?.text.clone(),
            },
            found,
        })
    }

    fn greet(&self) -> anyhow::Result<()> {
        let file = &self.found.file;
        let plugin = match (&self.found.folder, self.found.plugin_path()) {
            (_, None) => format!("{}.wasm, carried in this binary", file.name),
            (None, Some(path)) => path.display().to_string(),
            (Some(folder), Some(_)) => format!("the plugin of {}", folder.display()),
        };
        super::show(&format!(
            "sluice {}, the pipeline `{}`, embedded:\n  \
               in   topic `{}` of an in-process Kafka broker; sample messages, some of them bad\n  \
               by   {plugin}\n  \
               out  SQLite, {}\n",
            env!("CARGO_PKG_VERSION"),
            file.name,
            file.topic,
            self.store.path().display()
        ))
    }

    fn first_rows(&self, after: Duration) {
        let shown = self.sample().and_then(|rows| {
            let after = after.as_secs_f64();
            super::show(&format!(
                "first rows after {after:.1} s:\n{}\n",
                rows.trim_end()
            ))
        });
        // The work goes on, and the commands at the end show the rows.
        if let Err(error) = shown {
            tracing::warn!(%error, "the first rows cannot be shown");
        }
    }

    /// The corner of what the query `sample` answers.
    fn sample(&self) -> anyhow::Result<String> {
        let bound = query::find(&self.queries, SAMPLE)?.bind(&[], &self.store.keyspace)?;
        let mut answer = query::Store::Sqlite(sqlite::Reader::open(&self.store)?).ask(&bound)?;
        answer.rows.truncate(ROWS_SHOWN);
        let mut columns = answer.columns.len().min(COLUMNS_SHOWN);
        loop {
            answer.columns.truncate(columns);
            answer.rows.iter_mut().for_each(|row| row.truncate(columns));
            let table = query::render(&answer, query::Format::Table);
            let width = table.lines().next().map_or(0, |line| line.chars().count());
            if width <= WIDTH_MAX || columns == 1 {
                return Ok(table);
            }
            columns -= 1;
        }
    }

    fn say_goodbye(
        &self,
        mine: Option<(Timestamp, Timestamp)>,
        totals: &Totals,
    ) -> anyhow::Result<()> {
        let (host, pipeline) = (config::invocation(), quoted(&self.args.pipeline));
        let sink = format!("sqlite:{}", self.args.dir.display());
        let sink = quoted(&sink);
        let mut lines = vec![String::new(), totals.conservation()];
        lines.extend(totals.reasons());
        lines.push(format!(
            "{}. Look at them:",
            rows(&self.counts()?, totals.rows)
        ));
        lines.push(format!("  {host} query {pipeline} --list"));
        lines.push(format!("  {host} query {pipeline} {SAMPLE} --sink {sink}"));
        if let Some((example, times)) = self.example.as_ref().zip(mine) {
            let asked = example.line(times);
            lines.push(format!("  {host} query {pipeline} {asked} --sink {sink}"));
        }
        if totals.dead_letters > 0 {
            lines.push("and at what was refused, with the reasons:".to_owned());
            lines.push(format!("  {host} dlq ls {pipeline} --sink {sink}"));
        }
        super::show(&(lines.join("\n") + "\n"))
    }

    /// How many rows each table has.
    fn counts(&self) -> anyhow::Result<Vec<(String, u64)>> {
        let keyspace = &self.store.keyspace;
        let schema = Schema::parse(&self.store.schema)?;
        let reader = sqlite::Reader::open(&self.store)?;
        let count = |table: &Table| {
            let name = format!("{keyspace}.{}", table.name);
            let asked = format!(
                "SELECT count(*) FROM {}.{}",
                quote(keyspace),
                quote(&table.name)
            );
            let answer = reader.select(&asked, &[])?;
            match answer.rows.first().and_then(|row| row.first()) {
                Some(&Value::Integer(count)) => Ok((name, u64::try_from(count)?)),
                other => anyhow::bail!("`{asked}` was answered with {other:?}"),
            }
        };
        schema.tables.iter().map(count).collect()
    }
}

fn tell_admin(watched: Option<&Watched>) -> anyhow::Result<()> {
    watched.map_or(Ok(()), |Watched { address, .. }| {
        super::show(&format!(
            "  see  http://{address}/metrics, /readyz, /api/v1/progress\n"
        ))
    })
}

/// How many rows there are: of some keys there were several, of which one is left.
fn rows(tables: &[(String, u64)], written: u64) -> String {
    let each = tables.iter().enumerate().map(|(index, (table, count))| {
        let unit = if index == 0 { "rows " } else { "" };
        format!("{} {unit}in {table}", grouped(*count))
    });
    let each = each.collect::<Vec<_>>().join(" and ");
    let kept: u64 = tables.iter().map(|(_, count)| count).sum();
    if kept == written {
        return each;
    }
    format!(
        "{each}, after {} were written: the last of each key is kept",
        grouped(written)
    )
}

fn produce_plan(args: &Args, topic: &str, broker: &Broker) -> produce::Plan {
    produce::Plan {
        brokers: broker.brokers(),
        topic: topic.to_owned(),
        rate: Some(args.rate),
        count: args.count,
        seed: 1,
        bad: args
            .count
            .map_or(u64::MAX, |count| count.div_ceil(BAD_EVERY)),
        unknown_percent: 2.0,
        people: Some(PEOPLE),
        ..produce::Plan::default()
    }
}

/// Sends the messages from a thread of its own, never too far ahead of what is `settled`.
fn spawn_producer(
    show: Arc<Show>,
    plan: produce::Plan,
    stop: Arc<AtomicBool>,
    settled: Arc<AtomicU64>,
) -> JoinHandle<anyhow::Result<produce::Report>> {
    let send = move || {
        let cells = |list: &str, column: &str| cells(&show.found, &[], list, column);
        let mut wait = |sent| {
            while sent > settled.load(Ordering::Relaxed) + AHEAD_MAX
                && !stop.load(Ordering::Relaxed)
            {
                std::thread::sleep(PACE);
            }
        };
        let produced = description(&show.found).and_then(|description| {
            Ok(produce::run(description, &plan, &cells, &stop, &mut wait)?)
        });
        if produced.is_err() {
            // The messages that are waited for do not come any more.
            stop.store(true, Ordering::Relaxed);
        }
        produced
    };
    let thread = std::thread::Builder::new().name("producer".to_owned());
    thread.spawn(send).expect("the system starts a thread")
}

/// How often a producer that is too far ahead looks again.
const PACE: Duration = Duration::from_millis(5);
/// The in-process broker keeps 5 MiB a partition: many partitions keep more.
const PARTITIONS: i32 = 32;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: run::Args,
}

/// The pipeline as its user would start it against these brokers.
fn pipeline_args(args: &Args, name: &str, brokers: &str) -> run::Args {
    let sink = format!("sqlite:{}", args.dir.display());
    let group = format!("sluice-demo-{name}");
    let typed = [
        "host",
        "--plugin",
        &args.pipeline,
        "--brokers",
        brokers,
        "--group",
        &group,
        // Its messages are made up and end by themselves: none is worth holding the show for.
        "--no-breaker",
    ];
    let admin = args.admin.as_deref().unwrap_or("off");
    let typed = typed.into_iter().chain(["--sink", &sink, "--admin", admin]);
    let mut args = Line::parse_from(typed).args;
    args.is_embedded = true;
    args
}

/// Makes room for the demo's own files, and touches no others.
fn clear(directory: &Path, keyspace: &str) -> anyhow::Result<()> {
    let own = [".db", ".db-wal", ".db-shm"].map(|ending| format!("{keyspace}{ending}"));
    for name in own.iter().map(String::as_str).chain([LETTERS]) {
        let path = directory.join(name);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
    Ok(())
}
