//! A configuration held to what its plugin declares.

use std::sync::Arc;

use super::fault::{At, Fault};
use super::{Error, Found};
use crate::lookup::Declared;
use crate::nearest::hint;

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
        let rejections = rejections.map(|code| {
            let path = vec!["rejections".to_owned(), code.clone()];
            (path, At::Key, "code", code, &codes)
        });
        // Whoever gave the file is pointed at, not the file's own section of that name.
        let given = given.map(|name| {
            let path = vec!["lookups".to_owned(), name.clone(), "path".to_owned()];
            (path, At::Value, "lookup", name, &lookups)
        });
        let all = rejections.chain(given);
        let fault = |(path, at, what, key, known): (Vec<String>, At, &str, &String, &Vec<&str>)| {
            let is_known = known.contains(&key.as_str());
            (!is_known).then(|| {
                let help = hint(key, known);
                Fault {
                    path,
                    at,
                    what: format!("the plugin has no {what} `{key}`"),
                    help: Some(help).filter(|help| !help.is_empty()),
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
