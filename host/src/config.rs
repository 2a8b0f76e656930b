//! Configuration: flags over environment over `pipeline.toml` over defaults.
//!
//! The only place that reads the environment. It finds texts and files and checks their shape;
//! what they mean is the rooms' business.

mod declared;
mod document;
mod fault;
mod file;
mod find;
mod found;
mod inside;
mod reads;
mod schema;
mod secret;
mod security;
mod settings;
mod swap;

use std::ffi::OsString;
use std::path::PathBuf;

pub use document::{Document, Flag};
pub use file::{
    AdminSection, BatchSection, BuildSection, CassandraSection, DeadLetters, File, LookupSection,
    Verdict,
};
pub use find::find;
pub use found::{Found, Text, list_bytes, lookup_bytes};
pub use inside::{GOLDEN_FILE as GOLDEN, is_taken, sections};
pub use schema::text as schema;
pub use secret::Reference;
pub use security::{CassandraTls, KafkaSecurity, Mechanism, Properties, Property};
pub use settings::Setting;
pub use swap::SwapSection;

/// Why there is no configuration to work with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The configuration is not as it must be: each fault with its place and the way out.
    #[error("{0}")]
    Faults(String),
    /// The configuration does not become the program's own type.
    #[error("{name}: {reason}")]
    Invalid {
        /// The file's name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// What is named is neither a file or folder nor a carried pipeline.
    #[error(
        "there is no file or folder `{name}`, and this binary carries no pipeline of that name{hint}"
    )]
    NoPlugin {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        hint: String,
    },
    /// A folder that is no pipeline's.
    #[error(
        "there is no pipeline.toml in `{folder}`: go to a plugin's folder, or name it; `host new` makes one"
    )]
    NoConfig {
        /// The folder.
        folder: String,
    },
    /// The configuration leads to a plugin that is not there.
    #[error("there is no file `{path}`, to which `path` in [plugin] of {config} leads{way_out}")]
    NoModule {
        /// Where it should be.
        path: PathBuf,
        /// The file that says so.
        config: PathBuf,
        /// What makes one.
        way_out: String,
    },
    /// A plugin that no configuration belongs to.
    #[error(
        "nothing says which topic and keyspace the plugin `{plugin}` is for: give {missing}, or \
         --config pipeline.toml, or put one beside the file"
    )]
    NoPipeline {
        /// The plugin's own name.
        plugin: String,
        /// The flags that would say it.
        missing: String,
    },
    /// A plugin's file brings what it must not.
    #[error(
        "the pipeline.toml inside {plugin} is not taken: {reason}; give --config pipeline.toml, or put one \
         beside the file"
    )]
    Inside {
        /// The plugin's file.
        plugin: String,
        /// What is wrong.
        reason: String,
    },
    /// Samples or golden rows that are asked for and not there.
    #[error("there is no {file} for `{pipeline}`{way_out}")]
    NoSamples {
        /// How it is called in a folder.
        file: &'static str,
        /// The pipeline.
        pipeline: String,
        /// Where there may be one.
        way_out: &'static str,
    },
    /// A lookup without a file.
    #[error(
        "the plugin looks things up in `{name}`: give --lookup {name}=FILE.csv, or [lookups.{name}] \
         with a path in pipeline.toml"
    )]
    NoLookup {
        /// The lookup's name.
        name: String,
    },
    /// A list without a file.
    #[error(
        "messages take cells from `{name}`: give --lookup {name}=FILE.csv, or [produce.lists.{name}] \
         with a path in pipeline.toml"
    )]
    NoList {
        /// The list's name.
        name: String,
    },
    /// A schema that is needed and not there.
    #[error(
        "{sink} needs the tables' schema: say `schema = \"FILE.cql\"` in pipeline.toml, or put a \
         schema.cql beside it"
    )]
    NoSchema {
        /// What needs it.
        sink: &'static str,
    },
    /// Queries that are asked for and not there.
    #[error(
        "nothing says what can be asked of `{pipeline}`: say `queries = \"FILE.cql\"` in pipeline.toml, \
         or put a queries.cql beside it"
    )]
    NoQueries {
        /// The pipeline.
        pipeline: String,
    },
    /// Flags or settings that cannot be.
    #[error("{0}")]
    Setting(String),
}

/// The environment. What is no text is taken as far as it can be read.
fn variables() -> impl Iterator<Item = (String, String)> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

/// The log's filter: `SLUICE_LOG`, else the verb's own.
pub fn log_filter(default: &str) -> String {
    std::env::var("SLUICE_LOG").unwrap_or_else(|_| default.to_owned())
}

/// Where compiled components are kept, and notes of what is in a plugin: `sluice` in
/// `XDG_CACHE_HOME`, else in `~/.cache`. `None`, if the environment names no home.
pub fn cache_directory() -> Option<PathBuf> {
    let own = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty());
    let cache = own.map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    Some(cache?.join("sluice"))
}

/// Where a running host tells that it runs: `sluice` in `XDG_RUNTIME_DIR`. `None`, if the environment
/// names no such place.
pub fn runtime_directory() -> Option<PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty());
    Some(PathBuf::from(own?).join("sluice"))
}

/// The token of a host whose notice is not to be had, as the environment has it.
pub fn admin_token() -> Option<String> {
    std::env::var("SLUICE_ADMIN_TOKEN").ok()
}

/// Who asks a running host for something, for its log: the environment's user; empty, if unknown.
pub fn user() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    user.unwrap_or_default()
}

/// A name that tells this process from all other hosts that run: the machine's, and its own number.
pub fn host_name() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = match machine.trim() {
        "" => "host",
        machine => machine,
    };
    format!("{machine}/{}", std::process::id())
}

/// How the user began this program, to begin the commands that are shown: `cargo run ... --`, if
/// cargo started it, else its path as typed.
pub fn invocation() -> String {
    let typed = std::env::args().next().unwrap_or_else(|| "host".to_owned());
    let release = if cfg!(debug_assertions) {
        ""
    } else {
        " --release"
    };
    match std::env::var_os("CARGO_PKG_NAME") {
        Some(package) if package == env!("CARGO_PKG_NAME") => format!("cargo run{release} --"),
        _ => typed,
    }
}

#[cfg(test)]
mod tests;
