//! `host demo`: the same pipeline on an in-process broker and SQLite, with nothing to install.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;

use super::exit;
use super::run::{self, assemble};
use crate::embedded::Broker;
use crate::pipeline;
use crate::sink::sqlite;
use crate::telemetry::{Format, Progress, grouped};
use crate::worker::{Control, Ended};
use crate::{config, produce, query};

/// What `host demo` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pipeline to show
    #[arg(default_value = "spotify")]
    pub pipeline: String,
    /// Stop after so many messages [default: go on until Ctrl-C]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Messages a second; 0 = as fast as it goes
    #[arg(long, value_name = "N", default_value_t = 2_000.0)]
    pub rate: f64,
    /// Where the rows go; what an earlier demo left there is replaced
    #[arg(long, value_name = "DIR", default_value = "sluice-demo")]
    pub dir: PathBuf,
}

/// One message in so many is bad, when their number is known: they are part of the show.
const BAD_EVERY: u64 = 700;
/// How many names are made up: enough for rows of one person not to fall on one millisecond.
const PEOPLE: usize = 500;
/// Messages sent but not written yet, at most: the in-process broker keeps only so much.
const AHEAD_MAX: u64 = 50_000;
/// What the demo's directory holds besides SQLite's files.
const LETTERS: &str = "dead-letters.jsonl";

/// Shows a pipeline at work.
///
/// # Errors
/// If the pipeline does not exist, or the directory cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let stop = super::exit_flag()?;
    let found = config::find::<anyhow::Error>(&args.pipeline, None, |name, _| Ok(name.into()))?;
    let carried = found
        .carried
        .context("the demo is for the pipelines that the binary carries")?;
    let keyspace = found.file.cassandra.keyspace.clone();
    clear(&args.dir, &keyspace)?;
    let topic = found.file.topic.as_str();
    let broker = Broker::start(topic, PARTITIONS)?;
    greet(args, carried.name, topic, &keyspace);
    let assembled = assemble::assemble(&pipeline_args(args, &broker.brokers()), &stop)?;
    let control = Arc::new(Control::new(stop.clone(), assembled.ends));

    let settled = Arc::new(AtomicU64::new(0));
    let description = found
        .file
        .produce
        .context("the pipeline does not say what to produce")?;
    let me = description.me.clone();
    let plan = produce_plan(args, topic, &broker);
    let producer = spawn_producer(carried, description, plan, stop, settled.clone());

    let mut progress = Progress::new(Format::Text, topic.into(), &assembled.group);
    let mut is_shown = false;
    let ended = pipeline::run(assembled.plan, &control, &mut |report| {
        progress.observe(report);
        let totals = progress.totals();
        let done = totals.messages - totals.pending();
        settled.store(done, Ordering::Relaxed);
        if !is_shown && totals.written > 0 {
            is_shown = true;
            progress.pause(|| show_first_rows(args, carried, began.elapsed()));
        }
        if args.count.is_some_and(|count| done >= count) {
            control.stop();
        }
    });
    control.stop();
    progress.finish();
    let produced = producer.join().expect("the producer returns its errors");
    let ended = ended?;
    produced?;
    say_goodbye(args, carried.name, &me, &progress);
    Ok(if ended == Ended::Drained {
        ExitCode::SUCCESS
    } else {
        exit::TEMPORARY.into()
    })
}

#[expect(clippy::print_stdout, reason = "the demo is there to be read")]
fn greet(args: &Args, pipeline: &str, topic: &str, keyspace: &str) {
    println!(
        "sluice {}, the pipeline `{pipeline}`, embedded:",
        env!("CARGO_PKG_VERSION")
    );
    println!(
        "  in   topic `{topic}` of an in-process Kafka broker; sample messages, some of them bad"
    );
    println!("  by   {pipeline}.wasm, carried in this binary");
    println!(
        "  out  SQLite, {}",
        args.dir.join(format!("{keyspace}.db")).display()
    );
}

#[expect(clippy::print_stdout, reason = "the demo is there to be read")]
fn show_first_rows(args: &Args, carried: &sluice_bundled::Pipeline, after: Duration) {
    println!("first rows after {:.1} s:", after.as_secs_f64());
    match sample(carried, args) {
        Ok(rows) => println!("{rows}"),
        // The work goes on, and the commands at the end show the rows.
        Err(error) => tracing::warn!(%error, "the first rows cannot be shown"),
    }
}

/// How much of the first rows fits a terminal.
const ROWS_SHOWN: usize = 5;
const COLUMNS_SHOWN: usize = 6;

/// The corner of what the query `sample` answers.
fn sample(carried: &sluice_bundled::Pipeline, args: &Args) -> anyhow::Result<String> {
    let queries = query::parse(carried.queries)?;
    let keyspace = config::File::parse(carried.name, carried.config)?
        .cassandra
        .keyspace;
    let bound = query::find(&queries, "sample")?.bind(&[], &keyspace)?;
    let directory = args.dir.clone();
    let config = sqlite::Config {
        directory,
        keyspace,
        schema: carried.schema.to_owned(),
    };
    let mut answer = query::Store::Sqlite(sqlite::Reader::open(&config)?).ask(&bound)?;
    answer.columns.truncate(COLUMNS_SHOWN);
    answer.rows.truncate(ROWS_SHOWN);
    answer
        .rows
        .iter_mut()
        .for_each(|row| row.truncate(COLUMNS_SHOWN));
    Ok(query::render(&answer, query::Format::Table))
}

#[expect(clippy::print_stdout, reason = "the demo is there to be read")]
fn say_goodbye(args: &Args, pipeline: &str, me: &str, progress: &Progress) {
    let (host, directory) = (config::invocation(), args.dir.display());
    let hour = jiff::Timestamp::now().strftime("%Y-%m-%dT%H");
    let totals = progress.totals();
    println!("\n{}", totals.conservation());
    println!("{} rows. Look at them:", grouped(totals.rows));
    println!("  {host} query {pipeline} --list");
    println!("  {host} query {pipeline} sample --sink sqlite:{directory}");
    println!(
        "  {host} query {pipeline} average-danceability --name \"{me}\" --hour {hour} --sink \
         sqlite:{directory}"
    );
    if totals.dead_letters > 0 {
        println!("and at a message that was refused, with its reason:");
        println!("  head -n 1 {}", args.dir.join(LETTERS).display());
    }
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
    carried: &'static sluice_bundled::Pipeline,
    description: produce::Description,
    plan: produce::Plan,
    stop: Arc<AtomicBool>,
    settled: Arc<AtomicU64>,
) -> JoinHandle<Result<produce::Report, produce::Error>> {
    let send = move || {
        let cells =
            |lookup: &str, column: &str| super::produce::sample_cells(carried, lookup, column);
        produce::run(&description, &plan, &cells, &stop, &mut |sent| {
            while sent > settled.load(Ordering::Relaxed) + AHEAD_MAX
                && !stop.load(Ordering::Relaxed)
            {
                std::thread::sleep(PACE);
            }
        })
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
fn pipeline_args(args: &Args, brokers: &str) -> run::Args {
    let sink = format!("sqlite:{}", args.dir.display());
    let group = format!("sluice-demo-{}", args.pipeline);
    let typed = [
        "host",
        "--plugin",
        &args.pipeline,
        "--brokers",
        brokers,
        "--group",
        &group,
    ];
    Line::parse_from(typed.into_iter().chain(["--sink", &sink])).args
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
