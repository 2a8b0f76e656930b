//! The command line. One file a verb; each assembles rooms and has no logic of its own.

pub mod ask;
pub mod bench;
pub mod build;
pub mod check;
pub mod config;
pub mod demo;
pub mod dlq;
pub mod exit;
pub mod explain;
pub mod inspect;
pub mod new;
pub mod pause;
pub mod produce;
pub mod query;
pub mod replay;
pub mod run;
pub mod schema;
pub mod settings;
pub mod status;
pub mod swap;
mod tables;
pub mod test;
mod waits;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};

use crate::source::kafka;
use crate::telemetry;

/// Kafka in, WebAssembly in the middle, Cassandra out.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: Option<run::Args>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a pipeline; the verb may be left out
    Run(run::Args),
    /// See it work: in-process broker, sample messages, SQLite; nothing to install
    Demo(demo::Args),
    /// Send a pipeline's sample messages to a broker
    Produce(produce::Args),
    /// Ask a pipeline's tables one of its named queries
    Query(query::Args),
    /// Let a pipeline read again what it has read before, to correct its rows
    Replay(replay::Args),
    /// Run another plugin, or other reference data, in a running host: proved, shown, then traded
    Swap(swap::Args),
    /// Let a running host go back to the version that ran before
    Rollback(swap::RollbackArgs),
    /// Show how a running host is, what it runs, and what it has run
    Status(status::Args),
    /// Let a running host take nothing more, and stay in its group
    Pause(pause::Args),
    /// Let a paused host go on
    Resume(pause::Args),
    /// Show, compare or apply a pipeline's schema
    Schema(schema::Args),
    /// Show what a pipeline's configuration comes to, and what it may say
    Config(config::Args),
    /// Begin a plugin: a folder that builds, with samples and a test
    New(new::Args),
    /// Make a plugin from its sources, ready to run
    Build(build::Args),
    /// Show what a plugin is and what it may do
    Inspect(inspect::Args),
    /// Measure what a plugin costs a message, beside a plugin that the binary carries
    Bench(bench::Args),
    /// Try a pipeline's samples, and compare what comes out with its golden rows
    Test(test::Args),
    /// See whether a pipeline would run: configuration, plugin, reference data, broker, tables
    Check(check::Args),
    /// Show which rows a message made, and which version made them
    Explain(explain::Args),
    /// Show a pipeline's dead letters, send them through it again, or drop them
    Dlq(dlq::Args),
}

/// Runs what the command line says.
///
/// # Errors
/// What went wrong; [`exit::fail`] prints it and knows the exit code.
pub fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    // Where the output itself tells how the work goes, the log is for what is wrong. Why Cassandra does
    // not answer is told once, by the worker; its driver would tell at every attempt.
    let filter = match (&cli.verb, &cli.run) {
        (Some(Verb::Run(_)), _) | (None, Some(_)) => "warn,scylla=off,host=info,plugin=info",
        (Some(Verb::Replay(_)), _) => "warn,scylla=off,host::cli=info",
        (Some(Verb::Demo(_)), _) => "warn,scylla=off,host::telemetry=info,plugin=info",
        (Some(Verb::Test(_)), _) => "warn,scylla=off,plugin=info",
        (Some(_) | None, _) => "warn,scylla=off",
    };
    // What takes long is told whatever the verb.
    let filter = format!("{filter},host::cli::waits=info");
    // A plugin's author reads what the plugin says, through a pipe as well.
    let is_read = matches!(
        cli.verb,
        Some(Verb::Build(_) | Verb::Inspect(_) | Verb::Bench(_) | Verb::Test(_))
    );
    telemetry::init(&crate::config::log_filter(&filter), is_read)
        .context("SLUICE_LOG cannot be read as a filter")?;
    match (cli.verb, cli.run) {
        (Some(Verb::Run(args)), _) | (None, Some(args)) => run::run(args),
        (Some(Verb::Demo(args)), _) => demo::run(&args),
        (Some(Verb::Produce(args)), _) => produce::run(args),
        (Some(Verb::Query(args)), _) => query::run(args),
        (Some(Verb::Replay(args)), _) => replay::run(&args),
        (Some(Verb::Swap(args)), _) => swap::run(&args),
        (Some(Verb::Rollback(args)), _) => swap::rollback(&args),
        (Some(Verb::Status(args)), _) => status::run(&args),
        (Some(Verb::Pause(args)), _) => pause::pause(&args),
        (Some(Verb::Resume(args)), _) => pause::resume(&args),
        (Some(Verb::Schema(args)), _) => schema::run(args),
        (Some(Verb::Config(args)), _) => config::run(args),
        (Some(Verb::New(args)), _) => new::run(&args),
        (Some(Verb::Build(args)), _) => build::run(&args),
        (Some(Verb::Inspect(args)), _) => inspect::run(args),
        (Some(Verb::Bench(args)), _) => bench::run(&args),
        (Some(Verb::Test(args)), _) => test::run(&args),
        (Some(Verb::Check(args)), _) => check::run(&args),
        (Some(Verb::Explain(args)), _) => explain::run(&args),
        (Some(Verb::Dlq(args)), _) => dlq::run(args),
        (None, None) => {
            Cli::command().print_help()?;
            Ok(exit::USAGE.into())
        }
    }
}

/// Prints what a verb is there to show. Whoever reads may have seen enough, as `head` has.
///
/// # Errors
/// If it cannot be written.
pub fn show(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output cannot be written"),
    }
}

/// Asks whether to go on with what cannot be taken back.
///
/// # Errors
/// If there is no terminal to ask at.
pub fn is_agreed(question: &str) -> anyhow::Result<bool> {
    let input = std::io::stdin();
    anyhow::ensure!(
        input.is_terminal(),
        "{question} There is no terminal to ask at, so nothing was changed; --yes goes on without \
         asking"
    );
    show(&format!("{question} [y/N] "))?;
    std::io::stdout().flush().context("the terminal")?;
    let mut answer = String::new();
    input.read_line(&mut answer).context("the terminal")?;
    let is_agreed = matches!(answer.trim(), "y" | "Y" | "yes");
    if !is_agreed {
        show("nothing was changed\n")?;
    }
    Ok(is_agreed)
}

/// A time, as flags take it: milliseconds since 1970.
///
/// # Errors
/// If it is none.
pub fn time(text: &str) -> Result<i64, String> {
    kafka::time(text).map_err(|way_out| format!("expected {way_out}"))
}

/// `NAME=FILE`, as `--lookup` takes it.
///
/// # Errors
/// If it is not of that form.
pub fn name_and_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.to_owned(), file.into()))
        }
        _ => Err("expected NAME=FILE.csv".to_owned()),
    }
}

/// A flag that SIGINT and SIGTERM set. The second of them ends the process at once.
///
/// # Errors
/// If the system refuses the handlers.
pub fn exit_flag() -> anyhow::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let stop = Arc::new(AtomicBool::new(false));
    for (signal, code) in [(SIGINT, 130), (SIGTERM, 143)] {
        // Order matters: the first signal finds the flag unset, and then sets it.
        signal_hook::flag::register_conditional_shutdown(signal, code, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}
