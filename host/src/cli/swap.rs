//! `host swap` and `host rollback`: another version for a running pipeline, proved before it is traded.

mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use super::ask::Whom;
use super::{exit, is_agreed, name_and_file};
use crate::config;
use show::Show;
pub(super) use show::short;

/// What `host swap` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    what: What,
    /// Have every host of the group trade it, one after the other, through Cassandra; the first that does
    /// not keep it is the last
    #[arg(long)]
    whole_group: bool,
    #[command(flatten)]
    decides: Decides,
    #[command(flatten)]
    told: Told,
}

/// What is offered.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// The plugin to run instead: a component, a core module or .wat; the running host reads it
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Other reference data for the plugin that runs, instead of a plugin
    #[arg(long, value_name = "NAME=FILE.csv", value_parser = name_and_file)]
    lookup: Option<(String, PathBuf)>,
}

/// Who decides once it is proved; who asks, if not given.
#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
struct Decides {
    /// End with what the proof finds
    #[arg(long)]
    dry_run: bool,
    /// Do not ask: trade it unless the proof refuses it
    #[arg(long)]
    yes: bool,
    /// Do not ask: let the pipeline's [swap] decide
    #[arg(long)]
    policy: bool,
}

/// How it is told.
#[derive(Clone, Debug, clap::Args)]
struct Told {
    /// How long to watch the probation once it is traded
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Print what happens as JSON, a line each, and do not ask: without --yes or --policy, it is a dry run
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whom: Whom,
}

/// What `host rollback` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct RollbackArgs {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Have every host of the group run what the group ran before its last trade, one after the other; it is
    /// proved like any other, and rows are not undone
    #[arg(long)]
    whole_group: bool,
    #[command(flatten)]
    told: Told,
}

/// Offers a version to a running host and tells what becomes of it. Whoever ends this before the trade
/// leaves the version that runs.
///
/// # Errors
/// If there is no host to ask, or it refuses to be asked.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let absolute = |path: &PathBuf| {
        let absolute = path.canonicalize();
        absolute.with_context(|| format!("{} cannot be read", path.display()))
    };
    let mut body = json!({ "user": config::user() });
    if let Some(path) = &args.what.file {
        body["plugin"] = json!(absolute(path)?);
    }
    if let Some((name, path)) = &args.what.lookup {
        body["lookup"] = json!([name, absolute(path)?]);
    }
    let Decides {
        dry_run,
        yes,
        policy,
    } = args.decides;
    body["consent"] = match (yes, policy) {
        (true, _) => "yes".into(),
        (false, true) => "policy".into(),
        (false, false) => "ask".into(),
    };
    let question = "Let every host of the group trade it, one after the other?";
    offer(
        &args.told,
        SWAP,
        body,
        (dry_run, args.whole_group, question),
    )
}

/// Asks for what is in the body, by whoever it says decides. A group answers no questions: one host tries it
/// first.
fn offer(
    told: &Told,
    path: &str,
    mut body: Value,
    (is_dry_run, is_for_group, question): (bool, bool, &str),
) -> anyhow::Result<ExitCode> {
    let asks = body["consent"] == "ask";
    let tries = is_for_group && asks;
    body["dry_run"] = (is_dry_run || tries || (told.json && asks)).into();
    body["whole_group"] = is_for_group.into();
    let code = follow(told, path, &body)?;
    if code != 0 || !tries || is_dry_run || told.json {
        return Ok(code.into());
    }
    if !is_agreed(question)? {
        return Ok(exit::FAILED.into());
    }
    (body["consent"], body["dry_run"]) = ("yes".into(), false.into());
    Ok(follow(told, path, &body)?.into())
}

/// Lets a running host go back to the version before.
///
/// # Errors
/// If there is no host to ask, or it refuses to be asked.
pub fn rollback(args: &RollbackArgs) -> anyhow::Result<ExitCode> {
    let consent = if args.yes { "yes" } else { "ask" };
    let body = json!({ "user": config::user(), "consent": consent });
    let question = "Let every host of the group go back to it, one after the other?";
    offer(
        &args.told,
        ROLLBACK,
        body,
        (false, args.whole_group, question),
    )
}

/// Asks, and shows what happens until it is over, or long enough after the trade.
fn follow(told: &Told, path: &str, body: &Value) -> anyhow::Result<u8> {
    let client = told.whom.find()?;
    let mut show = Show::new(told.json);
    let is_dry_run = body["dry_run"] == true;
    let asks = body["consent"] == "ask" && !is_dry_run;
    let tries = body["whole_group"] == true && is_dry_run;
    let (mut code, mut traded) = (None, None::<Instant>);
    for line in client.post(path, body)? {
        let line = line?;
        if !line.is_empty() {
            let event: Value = serde_json::from_str(&line).context("the host's answer")?;
            show.event(&line, &event)?;
            match event["event"].as_str() {
                Some("proposed" | "would_go_back") if asks => {
                    let question = match path {
                        ROLLBACK => "Go back to it?",
                        _ => "Trade it for what runs?",
                    };
                    if !is_agreed(question)? {
                        return Ok(exit::FAILED);
                    }
                    let agreed = json!({ "user": config::user(), "id": event["id"] });
                    client.post("/api/v1/swap/agree", &agreed)?;
                }
                Some("proposed" | "would_go_back") if is_dry_run => code = Some(0),
                // Others of the group may run another.
                Some("refused") if tries && event["code"] == "same_version" => code = Some(0),
                Some("traded") => (code, traded) = (Some(0), Some(Instant::now())),
                Some("kept") => traded = None,
                Some("everywhere") => code = Some(0),
                Some("refused" | "stopped") => code = Some(exit::FAILED),
                Some("rolled_back") => {
                    let is_asked_for = path == ROLLBACK;
                    (code, traded) = (Some(u8::from(!is_asked_for) * exit::FAILED), None);
                }
                Some(_) | None => {}
            }
        }
        if traded.is_some_and(|at| at.elapsed() >= told.wait) {
            show.stays_on_probation()?;
            break;
        }
    }
    code.with_context(|| format!("the host at {} ended its answer", client.address()))
}

const SWAP: &str = "/api/v1/swap";
const ROLLBACK: &str = "/api/v1/rollback";
