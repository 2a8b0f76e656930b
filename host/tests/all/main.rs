//! The tests that need more than one module, in one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod stores;
mod support;

mod admin;
mod aggregates;
mod archive;
mod breaker;
mod cassandra;
mod check;
mod cli;
mod contract;
mod crash;
mod dead_letters;
mod demo;
mod documents;
mod end_to_end;
mod faults;
mod finding;
mod golden;
mod kafka;
mod letters;
mod log;
mod newcomer;
mod one_file;
mod produce;
mod prove;
mod queries;
mod samples;
mod scaffold;
#[cfg(feature = "secure-servers")]
mod secure;
mod settings;
mod shutdown;
mod swap;
mod tidy;
