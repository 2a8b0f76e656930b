//! `host pause` and `host resume`: a running host takes nothing more, and goes on.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::ask::Whom;
use super::show;
use crate::config;

/// What `host pause` and `host resume` take.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    whom: Whom,
}

/// Lets a host take nothing more: what is in flight is finished, and it stays in its group.
///
/// # Errors
/// If there is none to ask, or it refuses.
pub fn pause(args: &Args) -> anyhow::Result<ExitCode> {
    ask(args, "/api/v1/pause")
}

/// Lets a host go on.
///
/// # Errors
/// If there is none to ask, or it refuses.
pub fn resume(args: &Args) -> anyhow::Result<ExitCode> {
    ask(args, "/api/v1/resume")
}

fn ask(args: &Args, path: &str) -> anyhow::Result<ExitCode> {
    let client = args.whom.find()?;
    let mut lines = client.post(path, &json!({ "user": config::user() }))?;
    let answer = lines.next().transpose()?.unwrap_or_default();
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    let outcome = answer["outcome"].as_str().unwrap_or("it said nothing");
    show(&format!("{}: {outcome}\n", client.address()))?;
    Ok(ExitCode::SUCCESS)
}
