//! Why a candidate does not get in.

use std::fmt;

use crate::{lookup, plugin, sink};

/// Why a candidate does not get in: a code for programs, and the reason and the way out for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The same for the same reason, in every version of the host.
    pub code: &'static str,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl Refusal {
    /// A refusal with its reason.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { code, reason }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl From<&plugin::Error> for Refusal {
    fn from(error: &plugin::Error) -> Self {
        use plugin::Error;
        let code = match error {
            Error::Limit { .. } => "too_large",
            Error::NotWasm(_) => "not_a_plugin",
            Error::Wrap(_) => "cannot_be_wrapped",
            Error::World(_) => "wrong_world",
            Error::Version { .. } => "wrong_contract",
            Error::Import(_) => "forbidden_import",
            Error::Contract(_) => "wrong_functions",
            Error::Compile(_) => "cannot_be_compiled",
            Error::Start(_) => "init_failed",
            Error::Deadline(_) => "init_deadline",
            Error::Configuration(_) => "refuses_configuration",
            Error::Description(_) => "wrong_description",
            Error::Keys(_) => "wrong_columns",
            Error::Lookups { .. } => "wrong_lookups",
            Error::Failing { .. } => "fails",
        };
        Self::new(code, error.to_string().trim_end())
    }
}

impl From<plugin::Error> for Refusal {
    fn from(error: plugin::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&lookup::Error> for Refusal {
    fn from(error: &lookup::Error) -> Self {
        Self::new("wrong_lookup", error.to_string())
    }
}

impl From<sink::Error> for Refusal {
    fn from(error: sink::Error) -> Self {
        let code = if error.is_transient() {
            "store_away"
        } else {
            "wrong_columns"
        };
        Self::new(code, error.to_string().trim_end())
    }
}
