//! `host dlq drop`: letters that nobody wants any more.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use super::{Place, letters_config, taken_back};
use crate::cli::tables::Kind;
use crate::cli::{exit, is_agreed, show, time};
use crate::config::Found;
use crate::source::kafka::Reader;
use crate::source::letters::{File, Store as _, Topic, Wanted};
use crate::telemetry::grouped;

/// What `host dlq drop` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// Only those of messages before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    before: Option<i64>,
    /// Only those with this code
    #[arg(long)]
    code: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Drops letters.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let found = args.place.found()?;
    let wanted = Wanted {
        before: args.before,
        ..Place::wanted(&found, args.code.as_ref())?
    };
    let place = args.place.name(&found);
    match &args.place.sink {
        Kind::Cassandra => in_topic(args, &found, &wanted, &place),
        Kind::Sqlite(directory) => {
            let mut file = File::change(directory, wanted.clone())?;
            let mut letters = 0;
            while let Some(entry) = file.next()? {
                letters += u64::from(wanted.of(&entry).is_some());
            }
            let what = format!("{} dead letters of {place}", grouped(letters));
            if !is_meant(args, letters, &what)? {
                return Ok(exit::FAILED.into());
            }
            file.settle()?;
            file.finish()?;
            told(&what)
        }
    }
}

/// A topic loses its oldest letters only, up to the first that stays.
fn in_topic(args: &Args, found: &Found, wanted: &Wanted, place: &str) -> anyhow::Result<ExitCode> {
    let config = &letters_config(found)?;
    let mut topic = Topic::read(config)?.without(taken_back(found)?);
    let mut before = BTreeMap::new();
    let mut stopped = BTreeSet::new();
    let (mut letters, mut redriven, mut behind) = (0, 0, 0);
    while let Some(entry) = topic.next()? {
        let is_wanted = wanted.of(&entry).is_some();
        let is_ours = entry
            .letter
            .as_ref()
            .is_some_and(|letter| letter.plugin == wanted.plugin);
        if !(is_wanted || is_ours && entry.is_settled) {
            stopped.insert(entry.partition);
        }
        if stopped.contains(&entry.partition) {
            behind += u64::from(is_wanted);
            continue;
        }
        before.insert(entry.partition, entry.offset + 1);
        *if is_wanted {
            &mut letters
        } else {
            &mut redriven
        } += 1;
    }
    let mut what = format!(
        "{} dead letters, and {} redriven ones, of {place}",
        grouped(letters),
        grouped(redriven)
    );
    if behind > 0 {
        what += &format!(
            " ({} more stay: a topic loses its oldest only, and they are behind some to be kept)",
            grouped(behind)
        );
    }
    if !is_meant(args, letters + redriven, &what)? {
        return Ok(exit::FAILED.into());
    }
    if !before.is_empty() {
        Reader::delete(config, &before)?;
    }
    told(&what)
}

fn told(what: &str) -> anyhow::Result<ExitCode> {
    show(&format!("dropped {what}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the user says so, if there is something to say it of.
fn is_meant(args: &Args, count: u64, what: &str) -> anyhow::Result<bool> {
    Ok(args.yes || count == 0 || is_agreed(&format!("This drops {what}, for good. Go on?"))?)
}
