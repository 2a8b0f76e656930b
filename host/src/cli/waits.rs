//! What a person sees of a plugin's first compilation, which takes seconds where the plugin brings its
//! language's runtime: on a terminal a sign that turns, elsewhere a line of the log.

use std::any::Any;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::telemetry::grouped;

/// How often the sign turns.
const TURN: Duration = Duration::from_millis(120);

/// Tells that a plugin is compiled, until the answer is dropped.
pub(super) fn compiling(name: &str, bytes: usize) -> Box<dyn Any> {
    let size = grouped(bytes as u64);
    let told = format!("compiles {name}, {size} bytes, which it does once: the cache keeps it");
    if !std::io::stderr().is_terminal() {
        tracing::info!("{told}");
        return Box::new(());
    }
    let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
    let sign = ProgressBar::new_spinner().with_message(told);
    sign.set_style(style.expect("the template is right"));
    sign.enable_steady_tick(TURN);
    Box::new(Turning(sign))
}

/// A sign that leaves nothing behind.
struct Turning(ProgressBar);

impl Drop for Turning {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
