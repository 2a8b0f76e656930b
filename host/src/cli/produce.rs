//! `host produce`: a pipeline's sample messages, to a real broker.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;

use super::name_and_file;
use crate::lookup;
use crate::produce::{self, BROKERS, BoxError, Description, PARTITIONS, Plan};

/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_millis(500);

/// What `host produce` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pipeline whose messages are made
    #[arg(default_value = "spotify")]
    pipeline: String,
    /// The pipeline's description, instead of the one that the binary carries
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Where the brokers are
    #[arg(long, default_value = BROKERS, value_name = "HOST:PORT")]
    brokers: String,
    /// The topic, instead of the pipeline's; it is made if there is none
    #[arg(long)]
    topic: Option<String>,
    /// How many partitions the topic gets if it is made
    #[arg(long, default_value_t = PARTITIONS, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Messages a second, until Ctrl-C or --count; 0 = as fast as it goes [default: the pipeline's
    /// own bursts]
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// How many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// The same seed makes the same messages, but for their times
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The one name that is not made up
    #[arg(long, value_name = "NAME")]
    me: Option<String>,
    /// How many names are made up
    #[arg(long, value_name = "N")]
    people: Option<usize>,
    /// How many messages are bad
    #[arg(long, value_name = "N", default_value_t = 0)]
    bad: u64,
    /// How many of a hundred messages name what the reference data does not have
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    unknown: f64,
    /// Make the person the message's key, so that each stays in one partition
    #[arg(long)]
    keyed: bool,
    /// Reference data, instead of the pipeline's sample
    #[arg(long, value_name = "NAME=FILE.csv", value_parser = name_and_file)]
    lookup: Vec<(String, PathBuf)>,
    /// How batches are compressed, instead of as the pipeline says
    #[arg(long, value_parser = ["none", "gzip", "snappy", "lz4", "zstd"])]
    compression: Option<String>,
    /// Print each message
    #[arg(short, long)]
    verbose: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    number(text, f64::MAX)
}

fn percent(text: &str) -> Result<f64, String> {
    number(text, 100.0)
}

fn number(text: &str, max: f64) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=max).contains(&number) {
        return Ok(number);
    }
    Err(format!("not between 0 and {max}"))
}

/// What of `pipeline.toml` matters here.
#[derive(Deserialize)]
struct Pipeline {
    topic: String,
    produce: Option<Description>,
}

/// Makes messages until all are sent or Ctrl-C.
///
/// # Errors
/// If there is no such pipeline, or the brokers do not take its messages.
#[expect(clippy::print_stdout, reason = "the report is there to be read")]
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (pipeline, description) = pipeline(&args)?;
    let stop = super::exit_flag()?;
    let plan = plan(&args, pipeline.topic);
    let mut progress = Progress::new(plan.count);
    let report = produce::run(
        &description,
        &plan,
        &|lookup, column| cells(&args, lookup, column),
        &stop,
        &mut |sent| progress.show(sent),
    );
    progress.clear();
    let report = report?;
    let rate = rate_of(report.sent, report.elapsed);
    println!(
        "sent {} messages to topic `{}` in {:.1} s ({rate:.0}/s), {} of them bad, {} of unknown \
         titles",
        report.sent,
        plan.topic,
        report.elapsed.as_secs_f64(),
        report.bad,
        report.unknown
    );
    Ok(ExitCode::SUCCESS)
}

fn pipeline(args: &Args) -> anyhow::Result<(Pipeline, Description)> {
    let (name, text) = match &args.config {
        Some(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).with_context(|| name.clone())?;
            (name, text)
        }
        None => {
            let carried = sluice_bundled::pipeline(&args.pipeline).with_context(|| {
                let all = sluice_bundled::PIPELINES.iter().map(|carried| carried.name);
                let all = all.collect::<Vec<_>>().join(", ");
                format!("there is no pipeline `{}`; there is {all}", args.pipeline)
            })?;
            (
                format!("pipeline `{}`", carried.name),
                carried.config.to_owned(),
            )
        }
    };
    let mut pipeline: Pipeline = toml::from_str(&text).with_context(|| name.clone())?;
    let Some(description) = pipeline.produce.take() else {
        bail!("{name} does not say what to produce: it has no [produce]");
    };
    Ok((pipeline, description))
}

fn plan(args: &Args, topic: String) -> Plan {
    Plan {
        brokers: args.brokers.clone(),
        topic: args.topic.clone().unwrap_or(topic),
        partitions: args.partitions,
        rate: args.rate,
        count: args.count,
        seed: args.seed,
        me: args.me.clone(),
        bad: args.bad,
        unknown_percent: args.unknown,
        people: args.people,
        keyed: args.keyed,
        compression: args.compression.clone(),
        properties: BTreeMap::new(),
        each: args.verbose.then_some(print),
    }
}

#[expect(clippy::print_stdout, reason = "--verbose asks for it")]
fn print(message: &[u8]) {
    println!("{}", message.escape_ascii());
}

/// The cells of a lookup's column: of the file that is given, else of the pipeline's sample.
fn cells(args: &Args, lookup: &str, column: &str) -> Result<Vec<String>, BoxError> {
    if let Some((_, path)) = args.lookup.iter().find(|(name, _)| name == lookup) {
        let bytes = std::fs::read(path).map_err(|e| anyhow!("{}: {e}", path.display()))?;
        return Ok(lookup::column(
            &path.display().to_string(),
            &bytes,
            column,
            &lookup::Options::default(),
        )?);
    }
    let carried = sluice_bundled::pipeline(&args.pipeline);
    let carried = carried.ok_or_else(|| anyhow!("no file: say --lookup {lookup}=FILE.csv"))?;
    sample_cells(carried, lookup, column)
}

/// The cells of a column of a carried lookup.
///
/// # Errors
/// If the pipeline carries no such lookup, or that has no such column.
pub fn sample_cells(
    carried: &sluice_bundled::Pipeline,
    lookup: &str,
    column: &str,
) -> Result<Vec<String>, BoxError> {
    let sample = carried.lookups.iter().find(|(name, _)| *name == lookup);
    let (_, bytes) = sample.ok_or_else(|| anyhow!("no file: say --lookup {lookup}=FILE.csv"))?;
    let name = format!("the carried sample of `{lookup}`");
    Ok(lookup::column(
        &name,
        bytes,
        column,
        &lookup::Options::default(),
    )?)
}

#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
fn rate_of(sent: u64, elapsed: Duration) -> f64 {
    sent as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// A line on the terminal that is written over again and again; nothing elsewhere.
struct Progress {
    total: Option<u64>,
    began: Instant,
    shown: Option<Instant>,
    is_terminal: bool,
}

impl Progress {
    fn new(total: Option<u64>) -> Self {
        Self {
            total,
            began: Instant::now(),
            shown: None,
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, sent: u64) {
        if !self.is_terminal || self.shown.is_some_and(|shown| shown.elapsed() < SHOW_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let of = self
            .total
            .map_or(String::new(), |total| format!(" of {total}"));
        let rate = rate_of(sent, self.began.elapsed());
        self.write(&format!("\r{sent}{of} messages, {rate:.0}/s\x1b[K"));
    }

    fn clear(&self) {
        if self.shown.is_some() {
            self.write("\r\x1b[K");
        }
    }

    fn write(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        // A terminal that is gone needs no progress.
        let _: std::io::Result<()> = stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_limits() {
        assert_eq!(rate("0"), Ok(0.0));
        assert_eq!(rate("0.5"), Ok(0.5));
        for text in ["-1", "NaN", "inf", "x"] {
            assert!(rate(text).is_err(), "{text}");
        }
        assert_eq!(percent("2"), Ok(2.0));
        assert!(percent("101").is_err());
    }
}
