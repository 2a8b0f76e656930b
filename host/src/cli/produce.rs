//! `host produce`: a pipeline's sample messages, to a real broker.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::name_and_file;
use super::settings::Settings;
use super::tables::pipeline;
use crate::config::{self, Found};
use crate::lookup;
use crate::nearest::did_you_mean;
use crate::produce::{self, BoxError, Description, PARTITIONS, Plan, Report, Value};

/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_millis(500);

/// What `host produce` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pipeline whose messages are made: a name that the binary carries, or a path
    #[arg(default_value = "spotify")]
    pipeline: String,
    /// Where the brokers are [default: the pipeline's, else localhost:29092]
    #[arg(long, value_name = "HOST:PORT,..")]
    brokers: Option<String>,
    /// The topic, instead of the pipeline's; it is made if there is none
    #[arg(long)]
    topic: Option<String>,
    /// How many partitions the topic gets if it is made
    #[arg(long, default_value_t = PARTITIONS, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Messages a second, until Ctrl-C or --count; 0 = as fast as it goes [default: the pipeline's
    /// own pace and end]
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
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    people: Option<u32>,
    /// How many messages are bad
    #[arg(long, value_name = "N", default_value_t = 0)]
    bad: u64,
    /// How many of a hundred messages name what the pipeline's CSV files do not have
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    unknown: f64,
    /// Make the person the message's key, so that each stays in one partition
    #[arg(long)]
    keyed: bool,
    /// A CSV file that messages take cells from, instead of the pipeline's lookup or list of that
    /// name
    #[arg(long, value_name = "NAME=FILE.csv", value_parser = name_and_file)]
    lookup: Vec<(String, PathBuf)>,
    /// How batches are compressed, instead of as the pipeline says
    #[arg(long, value_parser = ["none", "gzip", "snappy", "lz4", "zstd"])]
    compression: Option<String>,
    /// Print each message, as some pipelines say anyway
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// Print no message, whatever the pipeline says
    #[arg(short, long)]
    quiet: bool,
}

/// Messages a second.
///
/// # Errors
/// If it is no number, or below 0.
pub(super) fn rate(text: &str) -> Result<f64, String> {
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

/// Makes messages until all are sent or Ctrl-C.
///
/// # Errors
/// If there is no such pipeline, or the brokers do not take its messages.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = Settings {
        brokers: args.brokers.clone(),
        topic: args.topic.clone(),
        ..Settings::default()
    };
    let found = pipeline(&args.pipeline, &settings)?;
    let description = description(&found)?;
    known(&args.lookup, &found, description)?;
    let stop = super::exit_flag()?;
    let plan = plan(&args, &found, description)?;
    let mut progress = Progress::new(&plan);
    let report = produce::run(
        description,
        &plan,
        &|list, column| cells(&found, &args.lookup, list, column),
        &stop,
        &mut |sent| progress.show(sent),
    );
    progress.clear();
    let report = report?;
    super::show(&(totals(&report, &plan.topic) + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn totals(report: &Report, topic: &str) -> String {
    format!(
        "sent {} messages to topic `{topic}` in {:.1} s ({:.0}/s), {} of them bad, {} of unknown titles",
        report.sent,
        report.elapsed.as_secs_f64(),
        rate_of(report.sent, report.elapsed),
        report.bad,
        report.unknown
    )
}

/// What a pipeline's messages look like.
///
/// # Errors
/// If it does not say.
pub(super) fn description(found: &Found) -> anyhow::Result<&Description> {
    let refused = || {
        let name = &found.file.name;
        config::Error::Setting(format!(
            "nothing says what messages of `{name}` look like: its pipeline.toml has no [produce]"
        ))
    };
    Ok(found.file.produce.as_ref().ok_or_else(refused)?)
}

/// A file for what no message takes cells from would be left aside without a word.
fn known(
    given: &[(String, PathBuf)],
    found: &Found,
    description: &Description,
) -> anyhow::Result<()> {
    let list = |value: &Value| match value {
        Value::Cell { list, .. } => Some(list.clone()),
        Value::Person | Value::Now(_) | Value::Range(..) => None,
    };
    let values = description.members.iter().map(|member| &member.value);
    let known: Vec<String> = values.filter_map(list).collect();
    match given.iter().find(|(name, _)| !known.contains(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let (pipeline, hint) = (&found.file.name, did_you_mean(name, &known));
            let reason = format!(
                "--lookup {name}=..: the messages of `{pipeline}` take no cells from it{hint}"
            );
            Err(config::Error::Setting(reason).into())
        }
    }
}

fn plan(args: &Args, found: &Found, description: &Description) -> anyhow::Result<Plan> {
    let prints = args.verbose || (description.print && !args.quiet);
    Ok(Plan {
        brokers: found.file.kafka.brokers.clone(),
        topic: found.file.topic.clone(),
        partitions: args.partitions,
        rate: args.rate,
        count: args.count,
        seed: args.seed,
        me: args.me.clone(),
        bad: args.bad,
        unknown_percent: args.unknown,
        people: args.people.map(|people| people as usize),
        keyed: args.keyed,
        compression: args.compression.clone(),
        properties: found.file.kafka.client(found.folder.as_deref())?,
        each: prints.then_some(print),
    })
}

/// Whether whoever reads is still there: `head` goes when it has seen enough.
fn print(message: &[u8]) -> std::io::Result<bool> {
    match writeln!(std::io::stdout(), "{}", String::from_utf8_lossy(message)) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// The cells of a column of a pipeline's list or lookup, of the file that is given for it, if one is.
///
/// # Errors
/// If there is no such file, or it has no such column.
pub(super) fn cells(
    found: &Found,
    given: &[(String, PathBuf)],
    list: &str,
    column: &str,
) -> Result<Vec<String>, BoxError> {
    let flag = given.iter().rev().find(|(name, _)| name == list);
    let ((name, bytes), header) =
        config::list_bytes(found, list, flag.map(|(_, path)| path.as_path()))?;
    let options = lookup::Options { header };
    Ok(lookup::column(&name, &bytes, column, &options)?)
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
    is_shown: bool,
}

impl Progress {
    fn new(plan: &Plan) -> Self {
        Self {
            total: plan.count,
            began: Instant::now(),
            shown: None,
            // Messages that are printed tell enough.
            is_shown: plan.each.is_none() && std::io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, sent: u64) {
        if !self.is_shown || self.shown.is_some_and(|shown| shown.elapsed() < SHOW_EVERY) {
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
