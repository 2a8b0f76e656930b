//! The binary: parses the command line, runs a verb, prints what went wrong, and exits.

use std::process::ExitCode;

use clap::Parser;
use host::cli::{self, Cli};
use host::failpoint;

fn main() -> ExitCode {
    // An `assert!` that fails is our own mistake. The process ends at once, whichever thread it was:
    // a restart goes on from the last commit.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::exit(cli::exit::BUG.into());
    }));
    failpoint::set_up();
    let cli = Cli::parse();
    cli::start(cli).unwrap_or_else(|error| cli::exit::fail(&error))
}
