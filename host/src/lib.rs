//! Sluice's host: Kafka in, WebAssembly in the middle, Cassandra out.
//!
//! A message walks through four rooms, along one corridor:
//!
//! ```text
//!  Kafka -> [source] --Batch--> [plugin] --Transformed--> [sink] --Written--> [checkpoint]
//!             ^ worker.rs walks this line, left to right, again and again; nothing flows back
//! ```
//!
//! Read the modules in this order.

pub mod access;
pub mod code;
pub mod failpoint;
pub mod line;
pub mod message;
pub mod nearest;
pub mod recent;
pub mod row;
pub mod terminal;

pub mod archive;
pub mod checkpoint;
pub mod lookup;
pub mod plugin;
pub mod sink;
pub mod source;
pub mod version;

pub mod group;
pub mod pipeline;
pub mod retry;
pub mod swap;
pub mod worker;

pub mod config;
pub mod embedded;
pub mod measure;
pub mod produce;
pub mod query;
pub mod samples;
pub mod telemetry;

pub mod admin;
pub mod cli;
