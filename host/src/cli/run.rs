//! `host run`, or `host` without a verb: a pipeline from a source to a sink.

pub mod assemble;
mod reload;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::exit;
use super::settings::Settings;
use crate::admin::{Running, Swaps};
use crate::group::{self, Orders};
use crate::pipeline;
use crate::source::kafka::Start;
use crate::swap::{Means, Steward};
use crate::telemetry::{Format, Progress, grouped};
use crate::worker::{Control, Ended, Report};
use assemble::Watched;
use reload::Reload;

/// What `host run` takes.
#[derive(Clone, Debug, clap::Args)]
// The verb may be left out, and its flags may not: this one tells that it is meant.
#[group(arg = "plugin")]
pub struct Args {
    /// The plugin: a component, a core module or .wat, or a pipeline that the binary carries
    #[arg(long, value_name = "FILE")]
    pub plugin: String,
    /// The pipeline's configuration; by default beside the plugin, or the carried one
    #[arg(long, value_name = "pipeline.toml")]
    pub config: Option<PathBuf>,
    /// What stands over that configuration.
    #[command(flatten)]
    pub settings: Settings,
    /// Where a group begins that has never committed, or whose topic was made anew: earliest, latest, or
    /// a time [default: earliest; a topic made anew stops]
    #[arg(long, value_name = "WHERE")]
    pub start: Option<Start>,
    /// Where rows go: cassandra, sqlite:DIR, or none
    #[arg(long, default_value = "cassandra")]
    pub sink: assemble::SinkKind,
    /// Where messages come from: kafka, a file of which each line is a message's value, or -
    #[arg(long, value_name = "kafka|FILE.jsonl|-", default_value = "kafka")]
    pub source: assemble::SourceKind,
    /// How many workers [default: as many as cores, but no more than partitions]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Work up to the end as it stands now, then exit
    #[arg(long)]
    pub once: bool,
    /// With --once: although the group has other members, which may do part of the work
    #[arg(long, requires = "once")]
    pub share: bool,
    /// Go on, however many messages become dead letters
    #[arg(long)]
    pub no_breaker: bool,
    /// Offer plugin and lookups again whenever their files change; SIGHUP does so once
    #[arg(long, conflicts_with = "once")]
    pub watch: bool,
    /// How progress is shown
    #[arg(long, value_name = "text|json", default_value = "text", value_parser = format)]
    pub progress: Format,
    /// Where metrics and readiness are told over HTTP [default: 127.0.0.1:9464]
    #[arg(long, value_name = "HOST:PORT|off")]
    pub admin: Option<String>,
    /// Whether the broker is in this process: the pipeline's TLS and login are for another.
    #[arg(skip)]
    pub is_embedded: bool,
    /// How long draining may take after SIGTERM or SIGINT
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    pub grace: Duration,
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err("expected text or json".to_owned()),
    }
}

/// Runs a pipeline until its source ends or a signal comes.
///
/// # Errors
/// Whatever no waiting mends.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = super::exit_flag()?;
    // Nothing is read yet, so there is nothing to drain.
    let starting = Watch::begin(&stop, Duration::ZERO, 0, "stopped before anything was read");
    let assembled = assemble::assemble(&args, &stop)?;
    drop(starting);
    let wait = args.grace.saturating_add(LEAVE_MAX);
    let _draining = Watch::begin(&stop, wait, exit::TEMPORARY, UNFINISHED);
    let control = Control::new(stop, assembled.ends).with_pause(assembled.pause);
    let control = Arc::new(control);
    let watched = assembled.watched.as_ref();
    let steward = open(assembled.means, assembled.group, watched, &control)?;
    if let Some(steward) = &steward {
        let reload = Reload {
            files: assembled.files,
            is_watching: args.watch,
            control: control.clone(),
            steward: steward.clone(),
        };
        reload.begin().context("SIGHUP")?;
    }
    let topic = assembled.plan.topic.clone();
    let board = assembled.board;
    let mut progress = Progress::new(args.progress, board.run().clone());
    let workers = assembled.plan.workers;
    let mut ready = 0;
    let began = Instant::now();
    let ended = pipeline::run(assembled.plan, &control, &mut |report| {
        if matches!(report, Some(Report::Ready)) {
            ready += 1;
            if ready == workers {
                let started_ms = assembled.began.elapsed().as_millis();
                let group = &board.run().id;
                tracing::info!(%topic, group, workers, started_ms, "ready");
            }
        }
        if let Some(report) = report {
            board.observe(report);
            if let Some(steward) = &steward {
                steward.observe(report);
            }
        }
        progress.observe(report);
    });
    progress.finish();
    tell_totals(&progress, began, args.progress)?;
    match ended? {
        Ended::Drained => Ok(ExitCode::SUCCESS),
        Ended::Unfinished => {
            tracing::warn!("{UNFINISHED}");
            Ok(exit::TEMPORARY.into())
        }
    }
}

/// Lets a pipeline that is about to run be changed: begins who trades its versions, makes it one of its
/// group, and has it asked at the admin address.
pub(super) fn open(
    means: Option<Means>,
    group: Option<group::Config>,
    watched: Option<&Watched>,
    control: &Arc<Control>,
) -> anyhow::Result<Option<Steward>> {
    let archive = means.as_ref().and_then(|means| means.archive.clone());
    let steward = means.map(|means| Steward::begin(means, control.clone()));
    let steward = steward.transpose().context("a thread for swaps")?;
    let mut swaps = steward.as_ref().map(Swaps::from);
    if let (Some(config), Some(archive), Some(steward)) = (group, archive, &steward) {
        let orders = Orders { config, archive };
        group::join(orders.clone(), steward.clone(), control.clone())
            .context("a thread for the group")?;
        swaps = swaps.map(|swaps| swaps.of_group(orders));
    }
    if let Some(watched) = watched {
        let control = control.clone();
        watched.desk.open(Running { control, swaps });
    }
    Ok(steward)
}

/// What is told when draining took too long.
const UNFINISHED: &str = "the grace period ended with a batch in flight: it will be read again";
/// How long a worker whose grace period is over may take to commit and to leave its group.
const LEAVE_MAX: Duration = Duration::from_millis(400);
/// How often it is looked whether the process is told to stop.
const TICK: Duration = Duration::from_millis(50);

/// Ends the process some time after it is told to stop, whatever hangs by then: a call of a plugin, a
/// connection that nobody answers, a broker that is away. What is in flight is read again, as
/// after a `kill -9`. Dropped, it ends nothing any more.
struct Watch {
    _is_wanted: Sender<()>,
}

impl Watch {
    fn begin(stop: &Arc<AtomicBool>, wait: Duration, code: u8, last_words: &'static str) -> Self {
        let stop = stop.clone();
        let (_is_wanted, wanted) = mpsc::channel::<()>();
        let is_over = move |wait| wanted.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected);
        let watch = move || {
            while !stop.load(Ordering::Relaxed) {
                if is_over(TICK) {
                    return;
                }
            }
            if !is_over(wait) {
                tracing::warn!("{last_words}");
                signal_hook::low_level::exit(code.into());
            }
        };
        let thread = thread::Builder::new().name("watch".into());
        thread.spawn(watch).expect("the system starts a thread");
        Self { _is_wanted }
    }
}

/// Prints the conservation line, and why messages were left out, where it does not disturb a program that reads JSON.
pub(super) fn tell_totals(
    progress: &Progress,
    began: Instant,
    format: Format,
) -> anyhow::Result<()> {
    use std::io::Write;
    let totals = progress.totals();
    let seconds = began.elapsed().as_secs_f64();
    let mut line = format!(
        "{} ({} rows, {seconds:.1} s)",
        totals.conservation(),
        grouped(totals.rows)
    );
    if let Some(reasons) = totals.reasons() {
        line += &format!("\n{reasons}");
    }
    match format {
        Format::Json => writeln!(std::io::stderr(), "{line}"),
        Format::Text | Format::Quiet => writeln!(std::io::stdout(), "{line}"),
    }
    .context("standard output cannot be written")
}
