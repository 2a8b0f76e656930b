//! Why a plugin cannot be run.

/// Why a plugin cannot be run. A person must mend each of them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It exceeds a limit before it runs at all.
    #[error("the plugin's {what} of {size} bytes is over the limit of {max}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        max: usize,
    },
    /// The bytes are something else.
    #[error("it is neither a WebAssembly component nor a core module: it is {0}")]
    NotWasm(String),
    /// A core module that cannot be made into a component.
    #[error("the core module cannot be made into a component: {0}")]
    Wrap(String),
    /// A component that is no plugin.
    #[error("the component is no plugin: {0}")]
    World(String),
    /// A plugin for another version of the contract.
    #[error(
        "the plugin is made for version {found} of the contract, this host, {}, runs {ours}: {way_out}",
        env!("CARGO_PKG_VERSION")
    )]
    Version {
        /// The plugin's version.
        found: String,
        /// This host's.
        ours: &'static str,
        /// What may be done.
        way_out: &'static str,
    },
    /// It wants something that no plugin gets.
    #[error("the plugin imports {0}")]
    Import(String),
    /// Its functions are not those of the contract.
    #[error("the plugin's functions are not those of the contract: {0}")]
    Contract(String),
    /// It cannot be compiled.
    #[error("the plugin cannot be compiled: {0}")]
    Compile(String),
    /// It cannot be started.
    #[error("the plugin cannot be started: {0}")]
    Start(String),
    /// It does not come to an end when it is started.
    #[error("the plugin cannot be started: {0}")]
    Deadline(String),
    /// It refuses its configuration.
    #[error("the plugin refuses its configuration: {0}")]
    Configuration(String),
    /// What it says of itself cannot be.
    #[error("the plugin's description cannot be: {0}")]
    Description(String),
    /// The tables' keys do not fit its targets.
    #[error("the tables do not fit the plugin: {0}")]
    Keys(String),
    /// The lookups are not those that it declares.
    #[error("the plugin declares {declared} lookups, not {given}")]
    Lookups {
        /// How many it declares.
        declared: usize,
        /// How many there are.
        given: usize,
    },
    /// It fails so much that the search for the messages it fails on took too long.
    #[error(
        "the plugin failed on so many messages of one batch that {seconds} s did not suffice; the last: {reason}"
    )]
    Failing {
        /// The limit.
        seconds: u64,
        /// What the last failure told.
        reason: String,
    },
}

impl Error {
    /// Whether waiting may mend it.
    pub fn is_transient(&self) -> bool {
        false
    }
}
