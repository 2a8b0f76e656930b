//! wip
pub(crate) fn log(_level: crate::log::Level, _message: &str) {}
