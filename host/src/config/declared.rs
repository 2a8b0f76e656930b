//! A configuration held to what its plugin declares.

use std::sync::Arc;

use super::fault::{At, Fault};
use super::{Error, Found};
use crate::lookup::Declared;
use crate::nearest::did_you_mean;

impl Found {
    /// Looks for rejections that the plugin has no code for, and for flags and variables that name
    /// a lookup it has not. The file itself may name more lookups: a plugin need not use them all.
    ///
    /// # Errors
    /// Pointing at each of them.
    pub fn declared(&self, codes: &[Arc<str>], lookups: &[Declared]) -> Result<(), Error> {
        let codes: Vec<&str> = codes.iter().map(|code| &**code).collect();
        let lookups: Vec<&str> = lookups.iter().map(|lookup| lookup.name.as_str()).collect();
        let given = self.file.lookups.keys();
        let given = given.filter(|name| self.document.is_overridden(&["lookups", name, "path"]));
        let rejections = self.file.rejections.keys();
        let rejections = rejections.map(|code| ("rejections", "code", code, &codes));
        let all = rejections.chain(given.map(|name| ("lookups", "lookup", name, &lookups)));
        let fault = |(section, what, key, known): (&str, &str, &String, &Vec<&str>)| {
            let is_known = known.contains(&key.as_str());
            (!is_known).then(|| {
                let help = did_you_mean(key, known);
                let help = help.trim_start_matches("; ");
                Fault {
                    path: vec![section.to_owned(), key.clone()],
                    at: At::Key,
                    what: format!("the plugin has no {what} `{key}`"),
                    help: Some(help.to_owned()).filter(|help| !help.is_empty()),
                }
            })
        };
        let faults: Vec<Fault> = all.filter_map(fault).collect();
        if faults.is_empty() {
            return Ok(());
        }
        Err(self.document.error(faults))
    }
}
