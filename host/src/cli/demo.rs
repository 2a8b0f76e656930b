//! `host demo`: the same pipeline on an in-process broker and SQLite, with nothing to install.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;

use super::run::{self, assemble};
use crate::embedded::Broker;
use crate::pipeline::{self, Control};
use crate::telemetry::{Format, Progress, grouped};
use crate::worker::{Ended, Report};
use crate::{config, produce};

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

/// One bad message in so many: they are part of the show.
const BAD_EVERY: u64 = 700;
/// Messages sent but not written yet, at most: the in-process broker keeps only so much.
const AHEAD_MAX: u64 = 50_000;
/// What the demo's directory holds besides SQLite's files.
const LETTERS: &str = "dead-letters.jsonl";

/// Shows a pipeline at work.
///
/// # Errors
/// If the pipeline does not exist, or the directory cannot be written.
#[expect(clippy::print_stdout, reason = "the demo is there to be read")]
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let stop = run::exit_flag()?;
    let found = config::find::<anyhow::Error>(&args.pipeline, None, |name, _| Ok(name.into()))?;
    let carried = found
        .carried
        .context("the demo is for the pipelines that the binary carries")?;
    let keyspace = &found.file.cassandra.keyspace;
    clear(&args.dir, keyspace)?;

    let began = Instant::now();
    let topic = found.file.topic.as_str();
    let broker = Broker::start(topic, PARTITIONS)?;
    let run_args = pipeline_args(args, &broker.brokers());
    println!(
        "sluice {}: the pipeline `{}`, embedded",
        env!("CARGO_PKG_VERSION"),
        carried.name
    );
    println!(
        "  in   an in-process Kafka broker, topic `{topic}`, sample messages, some of them bad"
    );
    println!(
        "  out  SQLite, {}",
        args.dir.join(format!("{keyspace}.db")).display()
    );
    let assembled = assemble::assemble(&run_args, &stop)?;
    let control = Arc::new(Control::new(stop.clone(), assembled.ends));

    let settled = Arc::new(AtomicU64::new(0));
    let description = found
        .file
        .produce
        .context("the pipeline does not say what to produce")?;
    let plan = produce_plan(args, topic, &broker);
    let producer = spawn_producer(description, plan, carried, stop, settled.clone());

    let mut progress = Progress::new(Format::Text, topic.into(), &assembled.group);
    let mut shown = false;
    let ended = pipeline::run(assembled.plan, &control, &mut |report| {
        progress.observe(report);
        let totals = progress.totals();
        let done = totals.messages - totals.pending();
        settled.store(done, Ordering::Relaxed);
        if !shown && totals.written > 0 && matches!(report, Some(Report::Done(_))) {
            shown = true;
            progress
                .pause(|| println!("  first rows after {:.1} s", began.elapsed().as_secs_f64()));
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
    finish(args, carried, &progress)?;
    Ok(if ended == Ended::Drained {
        ExitCode::SUCCESS
    } else {
        super::exit::TEMPORARY.into()
    })
}

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
