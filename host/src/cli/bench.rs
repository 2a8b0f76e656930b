//! The verb `bench`: what a plugin costs a message, beside one that the binary carries.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::produce::cells;
use super::run::assemble::{lookups, own_name, plugin_config};
use crate::config::{self, Found};
use crate::line::Line;
use crate::measure::{self, Cost, Figure, Outcomes, RUNS, Rig};
use crate::message::Batch;
use crate::plugin::{self, Plugin};
use crate::produce::{self, Plan};
use crate::samples;
use crate::sink::{Sink as _, memory::Memory};
use crate::telemetry::grouped;

/// What `bench` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugin, or its pipeline: a name that the binary carries, or a path
    #[arg(default_value = ".")]
    plugin: String,
    /// The pipeline.toml that belongs to the plugin [default: beside the file]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The pipeline whose plugin is measured beside it, in turn
    #[arg(long, value_name = "PIPELINE", default_value = "spotify")]
    beside: String,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// How many messages a batch has.
const SIZES: [usize; 4] = [1, 100, 1_000, 16_384];
/// The batches of which it is told what takes the time.
const TOLD: usize = 1_000;
/// How many messages there are: enough for the largest batch.
const MESSAGES: usize = 16_384;
/// The name of the topic that they are said to come from.
const TOPIC: &str = "bench";
/// The most that they have in all, in bytes.
const BYTES_MAX: usize = 1 << 30;
/// How many names are made up.
const PEOPLE: usize = 1_000;
/// How often the sign that something is being done turns.
const TURN: Duration = Duration::from_millis(120);

/// Measures a plugin.
///
/// # Errors
/// If it is not there or cannot run, or there are no messages to try it with.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let waits = ProgressBar::new_spinner();
    waits.enable_steady_tick(TURN);
    let mut tell = |what: String| waits.set_message(what);
    let (one, rig) = subject(&args.plugin, args.config.as_deref(), &mut tell)?;
    let (other, other_rig) = subject(&args.beside, None, &mut tell)?;
    let mut rigs = [rig, other_rig];
    let mut costs = Vec::new();
    for size in SIZES {
        tell(format!("measures with batches of {size}"));
        costs.push((size, measure::in_turn(&mut rigs, size)?));
    }
    let subjects = [one, other];
    let memory = rigs.map(|rig| rig.instance.memory_bytes());
    waits.finish_and_clear();
    let text = if args.json {
        format!("{:#}\n", as_json(&subjects, memory, &costs))
    } else {
        as_text(&subjects, memory, &costs)
    };
    super::show(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// A plugin as it is before it is measured.
struct Subject {
    plugin: Plugin,
    bytes: usize,
    /// How long it takes to compile and start, to take from the cache and start, and to start.
    compiled: Duration,
    cached: Duration,
    started: Duration,
    /// Where its messages come from, and how long they are on average.
    source: String,
    length: usize,
    outcomes: Outcomes,
}

fn subject(
    what: &str,
    config: Option<&Path>,
    tell: &mut impl FnMut(String),
) -> anyhow::Result<(Subject, Rig)> {
    let found = config::find(what, config, &[], own_name)?;
    let (name, bytes) = found.plugin()?;
    tell(format!("compiles {name}"));
    // It has a sign of its own that turns.
    let config = plugin::Config {
        waits: None,
        ..plugin_config(&found)?
    };
    let load = |config: &plugin::Config| {
        let began = Instant::now();
        let plugin = Plugin::load(&name, &bytes, config);
        plugin
            .map(|plugin| (plugin, began.elapsed()))
            .with_context(|| name.clone())
    };
    let (_, compiled) = load(&plugin::Config {
        cache: None,
        ..config.clone()
    })?;
    // The first time may be the one that fills the cache.
    load(&config)?;
    let (plugin, cached) = load(&config)?;
    let description = plugin.description();
    found.declared(&description.codes, &description.lookups)?;
    let lookups = lookups(&found, &plugin)?;
    let lookups: Vec<_> = lookups.into_iter().map(|(_, lookup)| lookup).collect();
    let mut memory = Memory::open(&found.schema("`host bench`")?.text)?;
    let keys = memory.prepare(&description.targets)?;
    let (source, messages) = messages(&found)?;
    let mut started = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        let instance = plugin.instance(keys.clone(), lookups.clone())?;
        started.push(began.elapsed());
        drop(instance);
    }
    started.sort();
    let instance = plugin.instance(keys, lookups)?;
    let length = messages.bytes_len() / messages.len();
    let mut rig = Rig { instance, messages };
    let outcomes = rig.outcomes()?;
    let subject = Subject {
        plugin,
        bytes: bytes.len(),
        compiled,
        cached,
        started: started[RUNS / 2],
        source,
        length,
        outcomes,
    };
    Ok((subject, rig))
}

/// The messages that a pipeline is tried with, and where they come from: made as its `[produce]` says, or
/// that of the carried pipeline of its name, so that both get the same; else its samples again and again.
fn messages(found: &Found) -> anyhow::Result<(String, Batch)> {
    let carried = match (&found.file.produce, found.carried) {
        (None, Some(carried)) => Some(config::find(carried.name, None, &[], own_name)?),
        (Some(_), _) | (None, None) => None,
    };
    let maker = carried.as_ref().unwrap_or(found);
    if let Some(description) = &maker.file.produce {
        let plan = Plan {
            people: Some(PEOPLE),
            ..Plan::default()
        };
        let lists = |list: &str, column: &str| cells(maker, &[], list, column);
        let (mut made, mut bytes) = (Vec::with_capacity(MESSAGES), 0);
        for value in produce::messages(description, &plan, &lists, MESSAGES as u64)? {
            bytes += value.len();
            fits(bytes)?;
            made.push(value);
        }
        let made: Vec<_> = made.iter().map(|value| Line::of_value(value)).collect();
        let messages = samples::batch(TOPIC, &made);
        return Ok(("as [produce] makes them".to_owned(), messages));
    }
    let (shown, bytes) = found
        .samples()
        .context("messages to try it with, where no [produce] makes some")?;
    let messages = samples::read(&bytes).map_err(anyhow::Error::new);
    let messages = messages.and_then(|lines| again_and_again(&lines));
    let messages = messages.with_context(|| shown.clone())?;
    Ok((format!("{shown} again and again"), messages))
}

fn again_and_again(lines: &[Line<'_>]) -> anyhow::Result<Batch> {
    ensure!(!lines.is_empty(), "there are no messages in it");
    let length = |line: &Line<'_>| {
        let parts = [line.key.as_deref(), line.value.as_deref()];
        let parts = parts.map(|part| part.map_or(0, <[u8]>::len));
        parts.iter().sum::<usize>() + line.headers.len()
    };
    let each: usize = lines.iter().map(length).sum();
    fits(each.saturating_mul(MESSAGES.div_ceil(lines.len())))?;
    Ok(samples::batch(TOPIC, lines.iter().cycle().take(MESSAGES)))
}

/// Whether so many bytes of messages can be held at once.
fn fits(bytes: usize) -> anyhow::Result<()> {
    ensure!(
        bytes <= BYTES_MAX,
        "{MESSAGES} such messages are too long to be held at once: they have more than {BYTES_MAX} bytes"
    );
    Ok(())
}

/// Of a host that is not optimised, which itself is most of what is measured.
const UNOPTIMISED: &str = "\nThis host is built without optimisation: its figures say little.\n";

type Costs = [(usize, Vec<Cost>)];

fn as_text(subjects: &[Subject; 2], memory: [usize; 2], costs: &Costs) -> String {
    let mut text = String::new();
    for (subject, memory) in subjects.iter().zip(memory) {
        let Outcomes {
            written,
            rejected,
            filtered,
        } = subject.outcomes;
        let description = subject.plugin.description();
        writeln!(
            text,
            "{} {}, {} bytes, digest {}\n  compiles in {}, comes from the cache in {}, an instance starts \
             in {} and has {} KiB\n  {MESSAGES} messages of {} bytes, {}: {written} written, {rejected} \
             rejected, {filtered} filtered",
            description.name,
            description.version,
            grouped(subject.bytes as u64),
            &subject.plugin.digest()[..12],
            time(subject.compiled),
            time(subject.cached),
            time(subject.started),
            grouped(memory as u64 / 1024),
            subject.length,
            subject.source,
        )
        .expect("a string takes all that is written");
    }
    let names = subjects
        .each_ref()
        .map(|subject| &subject.plugin.description().name);
    let (one, other) = (
        names[0],
        if names[0] == names[1] {
            "the carried"
        } else {
            names[1]
        },
    );
    writeln!(
        text,
        "\nCPU time a message in ns: of the plugin's calls, and of all from bytes to checked rows.\n\
         Medians of {RUNS} runs in turn, ± half of what the middle half of them spans.\n\
         {:>7}  {:>17} {:>17}  {:>17} {:>17}  {:>7}\n{:>7}  {:>17} {:>17}  {:>17} {:>17}  {:>7}",
        "", short(one), "", short(other), "", "ratio", "batch", "calls", "all", "calls", "all", "of calls"
    )
    .expect("a string takes all that is written");
    for (size, costs) in costs {
        let [cost, beside] = [costs[0], costs[1]];
        writeln!(
            text,
            "{size:>7}  {:>17} {:>17}  {:>17} {:>17}  {:>6.2}x",
            shown(cost.call),
            shown(cost.whole),
            shown(beside.call),
            shown(beside.whole),
            cost.call.median / beside.call.median,
        )
        .expect("a string takes all that is written");
    }
    text += &shares(names[0], costs);
    if cfg!(debug_assertions) {
        text += UNOPTIMISED;
    }
    text
}

/// What takes the time: the plugin, or what the host does around it.
fn shares(name: &str, costs: &Costs) -> String {
    let told = costs.iter().find(|(size, _)| *size == TOLD);
    let share = told.map(|(_, costs)| 100.0 * costs[0].call.median / costs[0].whole.median);
    let share = share.map(|share| share.min(100.0));
    share.map_or(String::new(), |share| {
        format!(
            "\nOf a message in a batch of {TOLD}, {share:.0} % are the calls of `{name}`, and {:.0} % the host's: \
             it decodes fields and checks rows.\n",
            100.0 - share
        )
    })
}

fn short(name: &str) -> String {
    name.chars().take(17).collect()
}

fn shown(figure: Figure) -> String {
    format!("{:.0} ± {:.0} %", figure.median, figure.spread * 100.0)
}

fn time(time: Duration) -> String {
    match time.as_micros() {
        micros if micros < 10_000 => format!("{:.2} ms", time.as_secs_f64() * 1_000.0),
        micros => format!("{} ms", micros / 1_000),
    }
}

fn as_json(subjects: &[Subject; 2], memory: [usize; 2], costs: &Costs) -> Value {
    let figure = |figure: Figure| json!({ "median_ns": figure.median, "spread": figure.spread });
    let of = |index: usize| {
        let subject = &subjects[index];
        let description = subject.plugin.description();
        let costs = costs.iter().map(|(size, costs)| {
            let cost = costs[index];
            json!({ "batch": size, "calls": figure(cost.call), "all": figure(cost.whole) })
        });
        json!({
            "name": description.name, "version": description.version,
            "digest": subject.plugin.digest(), "bytes": subject.bytes,
            "compile_ms": millis(subject.compiled), "cached_ms": millis(subject.cached),
            "start_ms": millis(subject.started), "memory_bytes": memory[index],
            "message_bytes": subject.length, "written": subject.outcomes.written,
            "rejected": subject.outcomes.rejected, "filtered": subject.outcomes.filtered,
            "costs": costs.collect::<Vec<_>>(),
        })
    };
    let ratios = costs.iter().map(|(size, costs)| {
        let ratio = costs[0].call.median / costs[1].call.median;
        json!({ "batch": size, "calls": ratio })
    });
    json!({
        "messages": MESSAGES, "runs": RUNS, "plugin": of(0), "beside": of(1),
        "ratios": ratios.collect::<Vec<_>>(),
    })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_fit_into_memory() {
        let long = vec![b'a'; 100_000];
        for (length, fits) in [(0, true), (10_000, true), (100_000, false)] {
            let lines = [Line::of_value(&long[..length])];
            let made = again_and_again(&lines).map(|batch| batch.len());
            assert_eq!(made.ok(), fits.then_some(MESSAGES), "{length}");
        }
        assert!(again_and_again(&[]).is_err());
    }
}
