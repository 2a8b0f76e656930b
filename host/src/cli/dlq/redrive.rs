//! `host dlq redrive`: the pipeline, with its dead letters as its source.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{Place, letters_config, taken_back};
use crate::checkpoint;
use crate::cli::exit;
use crate::cli::run::assemble::{self, LettersOpener, SourceOpener, sink};
use crate::cli::run::tell_totals;
use crate::cli::tables::Kind;
use crate::config::{self, Found};
use crate::pipeline::{self, Plan};
use crate::source::letters::{self, File, Store, Topic, Wanted};
use crate::telemetry::{Format, Progress, Run};
use crate::worker::{self, Control, Ended, Ends};

/// What `host dlq redrive` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// The plugin to send them through, if it is not the pipeline's as it is
    #[arg(long, value_name = "FILE")]
    plugin: Option<PathBuf>,
    /// Only those with this code
    #[arg(long)]
    code: Option<String>,
    /// How long draining may take after SIGTERM or SIGINT
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    grace: Duration,
}

/// Sends letters through the pipeline again.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let stop = crate::cli::exit_flag()?;
    let found = args.place.found()?;
    let (name, bytes) = match &args.plugin {
        None => found.plugin()?,
        Some(path) => {
            let name = path.display().to_string();
            let bytes = fs::read(path).with_context(|| name.clone())?;
            (name, bytes)
        }
    };
    let version = assemble::load(&found, &name, &bytes)?;
    let wanted = Wanted {
        plugin: version.origin().name,
        code: args.code.clone(),
        is_whole: true,
        ..Wanted::default()
    };
    let kind = match &args.place.sink {
        Kind::Cassandra => assemble::SinkKind::Cassandra,
        Kind::Sqlite(directory) => assemble::SinkKind::Sqlite(directory.clone()),
    };
    let topic: Arc<str> = args.place.name(&found).into();
    let plan = Plan {
        topic: topic.clone(),
        workers: 1,
        worker: worker::Config {
            interval: None,
            keeps_letters: true,
            // All of them were refused once.
            has_breaker: false,
            ..assemble::worker_config(&found, true)
        },
        source: source(&args.place, &found, wanted)?,
        sink: sink::opener(&kind, &found, anew(&args.place, &found)?, &Arc::default())?,
        version,
        grace: args.grace,
    };
    let control = Arc::new(Control::new(stop, Ends::default()));
    let mut progress = Progress::new(Format::Text, Run::new(&found.file.kafka.group, topic));
    let began = Instant::now();
    let ended = pipeline::run(plan.into(), &control, &mut |report| {
        progress.observe(report)
    });
    progress.finish();
    tell_totals(&progress, began, Format::Text)?;
    Ok(match ended? {
        Ended::Drained => ExitCode::SUCCESS,
        Ended::Unfinished => exit::TEMPORARY.into(),
    })
}

/// Opens the letters, with the way back by which they are none any more.
fn source(place: &Place, found: &Found, wanted: Wanted) -> anyhow::Result<SourceOpener> {
    let config = letters_config(found)?;
    let sink = place.sink.clone();
    let taken_back = match &sink {
        Kind::Cassandra => taken_back(found)?,
        Kind::Sqlite(_) => BTreeSet::new(),
    };
    Ok(Box::new(move || {
        let store: Box<dyn Store> = match &sink {
            Kind::Cassandra => {
                let topic = Topic::change(&config, wanted.code.as_deref())?;
                Box::new(topic.without(taken_back.clone()))
            }
            Kind::Sqlite(directory) => Box::new(File::change(directory, wanted.clone())?),
        };
        let (source, settler) = letters::open(store, wanted.clone());
        let checkpoint = checkpoint::letters::Letters::new(settler);
        Ok((Box::new(source), Box::new(checkpoint)))
    }))
}

/// Opens the store of what is refused again.
fn anew(place: &Place, found: &Found) -> Result<LettersOpener, config::Error> {
    match &place.sink {
        Kind::Cassandra => sink::beside_topic(found, &found.file.topic),
        Kind::Sqlite(directory) => Ok(sink::in_file(File::anew(directory))),
    }
}
