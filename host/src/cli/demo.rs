//! `host demo`: the same pipeline on an in-process broker and SQLite, with nothing to install.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What `host demo` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pipeline to show
    #[arg(default_value = "spotify")]
    pub pipeline: String,
    /// Stop after so many messages [default: go on until Ctrl-C]
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Messages a second
    #[arg(long, value_name = "N", default_value_t = 2_000.0)]
    pub rate: f64,
    /// Where the rows go; what an earlier demo left there is replaced
    #[arg(long, value_name = "DIR", default_value = "sluice-demo")]
    pub dir: PathBuf,
}
