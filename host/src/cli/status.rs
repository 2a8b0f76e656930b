//! `host status`: how a running host is, what it runs, and what it has run.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::ask::Whom;
use super::show;
use super::swap::short;
use crate::terminal::plain;

/// What `host status` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whom: Whom,
}

/// Shows how a running host is.
///
/// # Errors
/// If there is none to ask.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.whom.find()?;
    let (_, ready) = client.get("/readyz")?;
    let (_, versions) = client.get("/api/v1/plugins")?;
    let versions: Value = serde_json::from_str(&versions).context("the host's answer")?;
    if args.json {
        let reasons: Vec<_> = ready.lines().skip(1).collect();
        let is_ready = ready == "ready\n";
        let told = json!({
            "address": client.address(), "ready": is_ready, "reasons": reasons, "versions": versions,
        });
        show(&format!("{told}\n"))?;
    } else {
        let head = format!("{}: {ready}", client.address());
        show(&(head + &text(&versions)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What runs, what is being proved, and what has run, for people.
fn text(versions: &Value) -> String {
    let mut out = String::new();
    let probation = &versions["probation"];
    let on_probation = match probation["of"].as_u64() {
        Some(of) => format!(", on probation: {} of {of} batches", probation["batches"]),
        None => String::new(),
    };
    for (word, version, more) in [
        ("runs", &versions["current"], &*on_probation),
        ("before", &versions["before"], ""),
    ] {
        if version.is_object() {
            let _ = writeln!(out, "{word:<10} {}{more}", named(version));
            for (name, digest) in version["lookups"].as_object().into_iter().flatten() {
                let digest = short(digest.as_str().unwrap_or_default());
                let _ = writeln!(out, "{:<10}   lookup {name}, digest {digest}", "");
            }
        }
    }
    if let Some(candidate) = versions["candidate"].as_str() {
        let _ = writeln!(out, "candidate  {candidate}");
    }
    let group = versions["group"].as_array().filter(|group| group.len() > 1);
    for share in group.into_iter().flatten() {
        let _ = writeln!(out, "{:<10} {}", "group", shared(share));
    }
    let history = versions["history"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if !history.is_empty() {
        let _ = writeln!(
            out,
            "\ngeneration  when                  by            plugin        outcome      pause"
        );
    }
    for trade in history {
        let _ = writeln!(out, "{}", line(trade));
    }
    plain(&out)
}

fn named(version: &Value) -> String {
    let of = |name: &str| version[name].as_str().unwrap_or_default();
    let (name, number, digest) = (of("name"), of("version"), short(of("digest")));
    format!(
        "{name} {number}, digest {digest}, generation {}",
        version["generation"]
    )
}

/// What some of the group's partitions are read by.
fn shared(share: &Value) -> String {
    let digest = short(share["code"]["plugin"].as_str().unwrap_or_default());
    let mut lookups = String::new();
    for (name, digest) in share["code"]["lookups"].as_object().into_iter().flatten() {
        let digest = short(digest.as_str().unwrap_or_default());
        let _ = write!(lookups, ", {name} {digest}");
    }
    let partitions = share["partitions"].as_array().into_iter().flatten();
    let partitions: Vec<_> = partitions.map(Value::to_string).collect();
    format!(
        "digest {digest}{lookups}, generation {}: partitions {}",
        share["generation"],
        partitions.join(", ")
    )
}

/// A line of the history.
fn line(trade: &Value) -> String {
    let of = |name: &str| trade[name].as_str().unwrap_or_default();
    let when = Timestamp::from_millisecond(trade["taken_ms"].as_i64().unwrap_or_default());
    let when = when.map(|when| format!("{when:.0}")).unwrap_or_default();
    let digest = short(trade["code"]["plugin"].as_str().unwrap_or_default());
    let pause = trade["pause_us"].as_u64().filter(|pause| *pause > 0);
    let pause = pause.map(|us| format!("{}.{:03} ms", us / 1_000, us % 1_000));
    let mut out = format!(
        "{:>10}  {when:<20}  {:<12}  {digest:<12}  {:<11}  {}",
        trade["generation"].to_string(),
        of("by"),
        of("outcome").replace('_', " "),
        pause.unwrap_or_default(),
    );
    out.truncate(out.trim_end().len());
    for (name, digest) in trade["code"]["lookups"].as_object().into_iter().flatten() {
        if *digest != trade["replaced"]["lookups"][name] {
            let digest = short(digest.as_str().unwrap_or_default());
            let _ = write!(out, "\n{:>12}lookup {name}, digest {digest}", "");
        }
    }
    // Of what changed, how much; the rest is for programs.
    let differ = of("diff").lines().find(|line| line.contains("of the rows"));
    for more in [of("reason").lines().next(), differ].into_iter().flatten() {
        let _ = write!(out, "\n{:>12}{}", "", more.trim());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told() {
        let digest = |digit: &str| digit.repeat(64);
        let version = |number: &str, digit: &str, generation: u32| {
            json!({ "name": "spotify", "version": number, "digest": digest(digit),
                    "lookups": { "songs": digest("c") }, "generation": generation })
        };
        let trade = |generation: u32, outcome: &str, reason: &str, pause: Option<u64>| {
            json!({ "generation": generation, "by": "ada", "taken_ms": 1_772_467_200_000_i64,
                    "code": { "plugin": digest("a") }, "outcome": outcome, "reason": reason,
                    "diff": "new\n  3 % of the rows differ\nmore", "pause_us": pause })
        };
        let mut other_songs = trade(4, "kept", "", None);
        other_songs["code"]["lookups"] = json!({ "songs": digest("d"), "artists": digest("e") });
        other_songs["replaced"]["lookups"] =
            json!({ "songs": digest("c"), "artists": digest("e") });
        let share = |digit: &str, generation: u32, partitions: &[i32]| {
            json!({ "code": { "plugin": digest(digit), "lookups": { "songs": digest("c") } },
                    "generation": generation, "partitions": partitions })
        };
        let told = text(&json!({
            "current": version("0.2.0", "a", 3), "before": version("0.1.0", "b", 0),
            "candidate": "Plugin(new.wasm)", "probation": { "batches": 12, "of": 100 },
            "group": [share("a", 3, &[0, 2]), share("b", 0, &[1])],
            "history": [
                other_songs,
                trade(3, "running", "", Some(412)), trade(1, "rolled_back", "it\u{1b}traps", None),
            ],
        }));
        let expected = "\
runs       spotify 0.2.0, digest aaaaaaaaaaaa, generation 3, on probation: 12 of 100 batches
             lookup songs, digest cccccccccccc
before     spotify 0.1.0, digest bbbbbbbbbbbb, generation 0
             lookup songs, digest cccccccccccc
candidate  Plugin(new.wasm)
group      digest aaaaaaaaaaaa, songs cccccccccccc, generation 3: partitions 0, 2
group      digest bbbbbbbbbbbb, songs cccccccccccc, generation 0: partitions 1

generation  when                  by            plugin        outcome      pause
         4  2026-03-02T16:00:00Z  ada           aaaaaaaaaaaa  kept
            lookup songs, digest dddddddddddd
            3 % of the rows differ
         3  2026-03-02T16:00:00Z  ada           aaaaaaaaaaaa  running      0.412 ms
            3 % of the rows differ
         1  2026-03-02T16:00:00Z  ada           aaaaaaaaaaaa  rolled back
            it traps
            3 % of the rows differ
";
        assert_eq!(told, expected);
        assert_eq!(text(&Value::Null), "");
    }
}
