//! The host's log. It keeps 8 KiB of a line, and only so many lines a second.
//!
//! In a native test the lines are kept: [`crate::testing::logged`] gives them.

pub use crate::component::wit::sluice::plugin::log::Level;

/// Writes a line.
pub fn write(level: Level, message: &str) {
    #[cfg(target_family = "wasm")]
    crate::component::wit::sluice::plugin::log::write(level, message);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::log(level, message);
}

/// Writes a line for whoever looks for a mistake.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// Writes a line that tells of something usual.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Writes a line about something that is not as it should be.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// Writes a line about something that went wrong.
pub fn error(message: &str) {
    write(Level::Error, message);
}
