//! Exit codes, as `sysexits.h` has them where it has one, and the last words of a failure.

use std::process::ExitCode;

use crate::terminal::plain;
use crate::{admin, config, lookup, plugin, produce, query, sink, source, worker};

/// The command line is wrong; clap exits with it too.
pub const USAGE: u8 = 2;
/// The running host that is asked for is not there.
pub const UNAVAILABLE: u8 = 69;
/// Our own mistake: an assertion failed.
pub const BUG: u8 = 70;
/// An upstream is down, or a batch could not be finished in time: try again later.
pub const TEMPORARY: u8 = 75;
/// The configuration, the plugin or the tables are not as they must be.
pub const CONFIG: u8 = 78;
/// Anything else.
pub const FAILED: u8 = 1;

/// Prints an error with its causes, and gives its exit code.
#[expect(
    clippy::print_stderr,
    reason = "the last words of the process are for its user"
)]
pub fn fail(error: &anyhow::Error) -> ExitCode {
    eprint!("error: {}", plain(&error.to_string()));
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Some libraries repeat a cause in the text of what it caused.
        if !said.contains(&cause) {
            eprint!("\n  because: {}", plain(&cause));
            said = cause;
        }
    }
    eprintln!();
    code(error).into()
}

fn code(error: &anyhow::Error) -> u8 {
    let causes = || error.chain();
    let is_config = causes().any(|cause| {
        cause.is::<config::Error>()
            || cause.is::<lookup::Error>()
            || cause.is::<plugin::Error>()
            || cause.is::<sink::schema::Error>()
            || matches!(cause.downcast_ref(), Some(query::Error::File { .. }))
            || matches!(cause.downcast_ref(), Some(source::Error::Settings(_)))
            || matches!(cause.downcast_ref(), Some(produce::Error::Settings(_)))
            || matches!(cause.downcast_ref(), Some(sink::Error::Schema(_)))
            || matches!(cause.downcast_ref(), Some(worker::Error::Plugin(_)))
            || matches!(
                cause.downcast_ref(),
                Some(worker::Error::Sink(sink::Error::Schema(_)))
            )
    });
    let is_temporary = causes().any(|cause| {
        cause
            .downcast_ref()
            .is_some_and(source::Error::is_transient)
            || cause.downcast_ref().is_some_and(sink::Error::is_transient)
            || cause
                .downcast_ref()
                .is_some_and(produce::Error::is_transient)
            || matches!(cause.downcast_ref(), Some(worker::Error::Checkpoint(_)))
    });
    let is_usage = causes().any(|cause| {
        let asked = cause.downcast_ref::<query::Error>();
        asked.is_some_and(query::Error::is_usage)
    });
    let asked = causes().find_map(|cause| cause.downcast_ref::<admin::client::Error>());
    if asked.is_some_and(admin::client::Error::is_away) {
        return UNAVAILABLE;
    }
    if is_usage {
        return USAGE;
    }
    match (is_config, is_temporary) {
        (true, _) => CONFIG,
        (false, true) => TEMPORARY,
        (false, false) => FAILED,
    }
}
