//! `host replay`: a pipeline reads again what it has read before, to correct its rows.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::run::assemble::{group_config, refuse_company};
use super::settings::Settings;
use super::{exit, is_agreed, show, tables, time};
use crate::source::kafka::{self, Again, Rewind, Step, Until};
use crate::telemetry::grouped;

/// What `host replay` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The pipeline: a name that the binary carries, or a path: its folder, its pipeline.toml, its plugin
    pipeline: String,
    #[command(flatten)]
    place: Place,
    /// Only what is before this time, or before these offsets; then the group goes on where it is now
    #[arg(long, value_name = "TIME|PARTITION=OFFSET,..", value_parser = until)]
    to: Option<Until>,
    /// Brokers to begin with [default: the pipeline's, else localhost:29092]
    #[arg(long, value_name = "HOST:PORT,..")]
    brokers: Option<String>,
    /// The topic, instead of the pipeline's
    #[arg(long)]
    topic: Option<String>,
    /// The consumer group [default: sluice-<pipeline>]
    #[arg(long)]
    group: Option<String>,
    /// How many messages the pipeline does in a second, to say about how long it takes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Where it reads again from.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// From the first message of this time or later, as 2026-03-02T16:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    from_timestamp: Option<i64>,
    /// From these offsets; partitions that are not named stay where they are
    #[arg(long, value_name = "PARTITION=OFFSET,..", value_parser = offsets)]
    from_offset: Option<Offsets>,
    /// From the oldest message that the log has
    #[arg(long)]
    from_beginning: bool,
}

/// Offsets by partition.
type Offsets = BTreeMap<i32, i64>;

fn offset(text: &str) -> Result<(i32, i64), String> {
    let parts = text.split_once('=');
    let numbers = parts.and_then(|(partition, offset)| {
        let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
        (partition >= 0 && offset >= 0).then_some((partition, offset))
    });
    numbers.ok_or_else(|| "expected PARTITION=OFFSET, as 0=1200".to_owned())
}

fn offsets(text: &str) -> Result<Offsets, String> {
    let mut offsets = BTreeMap::new();
    for part in text.split(',') {
        let (partition, at) = offset(part)?;
        if offsets.insert(partition, at).is_some() {
            return Err(format!("partition {partition} is named twice"));
        }
    }
    Ok(offsets)
}

fn until(text: &str) -> Result<Until, String> {
    if text.contains('=') {
        return offsets(text).map(Until::Offsets);
    }
    time(text)
        .map(Until::Time)
        .map_err(|expected| format!("{expected}, or PARTITION=OFFSET,.., as 0=1200,3=980"))
}

impl Place {
    fn again(&self) -> Again {
        match (self.from_timestamp, &self.from_offset) {
            (Some(time), _) => Again::Since(time),
            (None, Some(offsets)) => Again::From(offsets.clone()),
            (None, None) => Again::Beginning,
        }
    }
}

/// Shows what would be read again, asks, and takes the group back.
///
/// # Errors
/// When the group has members, or cannot go where it should.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let again = args.place.again();
    let until = args.to.clone().unwrap_or_default();
    let settings = Settings {
        brokers: args.brokers.clone(),
        topic: args.topic.clone(),
        group: args.group.clone(),
        ..Settings::default()
    };
    let config = group_config(&tables::pipeline(&args.pipeline, &settings)?)?;
    // Nothing is begun yet that a signal would have to end well.
    let stop = AtomicBool::new(false);
    refuse_company(&config, &stop, "they would go on where they are; stop them")?;
    let rewind = kafka::rewind(&config, &again, &until)?;
    let (topic, group) = (&config.topic, &config.group);
    show(&format!(
        "group `{group}` on topic `{topic}`\n{}",
        told(&rewind, args.rate)
    ))?;
    let stays = |step: &Step| step.from == step.next && !step.is_made_anew;
    if rewind.steps.iter().all(stays) {
        show("it goes on there already: nothing to do\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !is_agreed("Read them again?")? {
        return Ok(exit::FAILED.into());
    }
    kafka::go_back(&config, (&again, &until), &rewind)?;
    show(&format!(
        "the next run of this group reads from there, as generation {}\n",
        rewind.generation + 1
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// What a way back means: a line a partition, their sum, and what is to be known about it.
fn told(rewind: &Rewind, rate: Option<u64>) -> String {
    const HEAD: [&str; 5] = ["partition", "goes on at", "then at", "up to", "read again"];
    let number = |number: i64| grouped(u64::try_from(number).unwrap_or(0));
    let steps = rewind.steps.iter();
    let rows = steps.map(|step| {
        [
            step.partition.to_string(),
            number(step.next),
            number(step.from),
            number(step.to),
            number(step.messages),
        ]
    });
    let mut lines: Vec<String> = [HEAD.map(str::to_owned)]
        .into_iter()
        .chain(rows)
        .map(|[partition, next, from, to, messages]| {
            format!("{partition:>9}  {next:>14}  {from:>14}  {to:>14}  {messages:>14}")
        })
        .collect();
    let all: i64 = rewind.steps.iter().map(|step| step.messages).sum();
    let mut sum = format!("at most {} messages are read again", number(all));
    if let Some(rate) = rate {
        let seconds = u64::try_from(all).unwrap_or(0).div_ceil(rate);
        let wait = humantime::format_duration(Duration::from_secs(seconds));
        sum += &format!(", in about {wait} at {} a second", grouped(rate));
    }
    lines.push(sum);
    if rewind.steps.iter().any(|step| step.to < step.next) {
        lines.push(
            "! what comes after those is not read again, and its rows lose where they have the same key"
                .to_owned(),
        );
    }
    lines.extend(rewind.steps.iter().flat_map(remarks));
    lines.join("\n") + "\n"
}

/// What the numbers do not say by themselves.
fn remarks(step: &Step) -> Vec<String> {
    let Step {
        partition,
        low,
        next,
        from,
        ..
    } = *step;
    let mut remarks = Vec::new();
    if step.is_made_anew {
        remarks.push(format!(
            "! partition {partition}: the topic was made anew since the group read it"
        ));
    } else if next < low && from != next {
        remarks.push(format!(
            "! partition {partition}: offsets {next} to {} were never read, and are not in the log any more",
            low - 1
        ));
    } else if from == low && low > 0 && from != next {
        remarks.push(format!(
            "! partition {partition}: the log begins at {low}; what was before is not read again"
        ));
    }
    if !step.knows_write_time {
        remarks.push(format!(
            "! partition {partition}: another program has moved the group, and with it the last write time \
             was lost: older rows may win over those that are written now, unless the tables are emptied"
        ));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_text() {
        let cases = [
            ("0=1200", Some((0, 1200))),
            ("7=0", Some((7, 0))),
            ("-1=0", None),
            ("0=-5", None),
            ("0", None),
            ("0=", None),
            ("=5", None),
            ("a=5", None),
        ];
        for (text, expected) in cases {
            assert_eq!(offset(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn ends_are_read_from_text() {
        let offsets =
            |offsets: &[(i32, i64)]| Some(Until::Offsets(offsets.iter().copied().collect()));
        let cases = [
            ("0=1200", offsets(&[(0, 1200)])),
            ("0=1200,3=980", offsets(&[(0, 1200), (3, 980)])),
            ("2026-03-02T16:00:00Z", Some(Until::Time(1_772_467_200_000))),
            ("0=1,0=2", None),
            ("0=1,3", None),
            ("soon", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(until(text).ok(), expected, "{text}");
        }
    }

    /// A partition whose log begins at 12.
    fn step(next: i64, from: i64, knows_write_time: bool) -> Step {
        let mut step = Step::default();
        (step.partition, step.low) = (3, 12);
        (step.next, step.from, step.to) = (next, from, next);
        step.messages = (next - from).max(0);
        step.knows_write_time = knows_write_time;
        step
    }

    #[test]
    fn what_is_not_in_the_log_is_told() {
        let cases: [(Step, &[&str]); 5] = [
            (step(30, 20, true), &[]),
            (step(30, 30, true), &[]),
            (step(30, 12, true), &["log begins at 12"]),
            (step(5, 12, true), &["offsets 5 to 11 were never read"]),
            (
                step(30, 12, false),
                &["log begins at 12", "older rows may win"],
            ),
        ];
        for (step, expected) in cases {
            let remarks = remarks(&step);
            assert_eq!(remarks.len(), expected.len(), "{remarks:?}");
            for (remark, words) in remarks.iter().zip(expected) {
                assert!(remark.contains(words), "{words:?} is not said: {remark}");
                assert!(remark.contains("partition 3"), "{remark}");
            }
        }
    }

    #[test]
    fn the_numbers_are_told() {
        let steps = vec![step(41_200, 1_200, true), step(30, 30, true)];
        let generation = 1;
        let mut rewind = Rewind { generation, steps };
        let expected = "\
partition      goes on at         then at           up to      read again
        3          41,200           1,200          41,200          40,000
        3              30              30              30               0
at most 40,000 messages are read again";
        assert_eq!(told(&rewind, None), format!("{expected}\n"));
        let wait = ", in about 1m 20s at 500 a second\n";
        assert_eq!(told(&rewind, Some(500)), format!("{expected}{wait}"));
        rewind.steps[0].to = 2_000;
        let told = told(&rewind, None);
        assert!(
            told.ends_with("lose where they have the same key\n"),
            "{told}"
        );
    }
}
