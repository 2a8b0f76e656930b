//! A plugin with its lookups: what turns messages into rows.

use std::sync::Arc;

use crate::code::Code;
use crate::lookup::Lookup;
use crate::plugin::{self, Instance, Plugin};
use crate::row::Key;
use crate::sink::dead_letter::Origin;

/// A version of a pipeline's code, loaded. Clones share it.
#[derive(Clone, Debug)]
pub struct Version {
    /// The plugin.
    pub plugin: Plugin,
    /// Its reference data by name, in the order in which it declares them.
    pub lookups: Vec<(String, Arc<Lookup>)>,
}

impl Version {
    /// What it is told apart by.
    pub fn code(&self) -> Code {
        let lookups = self.lookups.iter();
        let digests = lookups.map(|(name, lookup)| (name.clone(), lookup.digest().to_owned()));
        Code {
            plugin: self.plugin.digest().to_owned(),
            lookups: digests.collect(),
        }
    }

    /// Whose judgement its dead letters are.
    pub fn origin(&self) -> Origin {
        let description = self.plugin.description();
        Origin {
            name: description.name.clone(),
            version: description.version.clone(),
            digest: self.plugin.digest().to_owned(),
        }
    }

    /// A new instance for tables with these keys.
    ///
    /// # Errors
    /// As [`Plugin::instance`].
    pub fn instance(&self, keys: Vec<Key>) -> Result<Instance, plugin::Error> {
        let lookups = self.lookups.iter();
        let lookups = lookups.map(|(_, lookup)| lookup.clone()).collect();
        self.plugin.instance(keys, lookups)
    }
}
