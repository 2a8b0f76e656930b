//! What all hosts of a group are to run, by its digests, as it stands in an order.

use std::collections::BTreeMap;

use crate::archive::{Archive, Error, Part};
use crate::code::Code;
use crate::swap::What;

/// A part that is another than before, or a plugin with all of its lookups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Which lookup is another; `None`: the plugin is.
    pub(super) lookup: Option<String>,
    pub(super) digest: String,
    /// The digests of the lookups that belong to the plugin; those that are not named stay.
    pub(super) lookups: BTreeMap<String, String>,
}

impl Wanted {
    /// What brings the code back that was there before; `None`, if it is the same.
    pub(super) fn back(before: &Code, now: &Code) -> Option<Self> {
        let lookups = before.lookups.iter();
        let mut others = lookups.filter(|(name, digest)| now.lookups.get(*name) != Some(digest));
        let is_plugin = before.plugin != now.plugin;
        let plugin = |lookups| Self {
            lookup: None,
            digest: before.plugin.clone(),
            lookups,
        };
        Some(match (others.next(), others.next()) {
            (None, _) if is_plugin => plugin(BTreeMap::new()),
            (None, _) => return None,
            (Some((name, digest)), None) if !is_plugin => Self {
                lookup: Some(name.clone()),
                digest: digest.clone(),
                lookups: BTreeMap::new(),
            },
            (Some(_), _) => plugin(before.lookups.clone()),
        })
    }

    /// Keeps what is offered, so that every host finds it; `None`: it has no digest to name it by.
    pub(super) fn keep(what: What, archive: &dyn Archive) -> Result<Option<Self>, Error> {
        let (lookup, part, lookups) = match what {
            What::Plugin { name, bytes } => (None, Part { name, bytes }, BTreeMap::new()),
            What::Lookup {
                lookup,
                name,
                bytes,
            } => (Some(lookup), Part { name, bytes }, BTreeMap::new()),
            What::Whole { plugin, lookups } => (None, plugin, lookups),
            What::Before => return Ok(None),
        };
        for part in lookups.values().chain([&part]) {
            archive.keep(part)?;
        }
        let lookups = lookups.iter();
        Ok(Some(Self {
            lookup,
            digest: part.digest(),
            lookups: lookups
                .map(|(name, part)| (name.clone(), part.digest()))
                .collect(),
        }))
    }

    /// What is to be offered; `None`, if not all of it is kept.
    pub(super) fn fetch(&self, archive: &dyn Archive) -> Result<Option<What>, Error> {
        let Some(part) = archive.fetch(&self.digest)? else {
            return Ok(None);
        };
        let mut lookups = BTreeMap::new();
        for (name, digest) in &self.lookups {
            let Some(part) = archive.fetch(digest)? else {
                return Ok(None);
            };
            lookups.insert(name.clone(), part);
        }
        if !lookups.is_empty() {
            let plugin = part;
            return Ok(Some(What::Whole { plugin, lookups }));
        }
        Ok(Some(What::of(self.lookup.clone(), part.name, part.bytes)))
    }

    /// Whether a host that runs this has nothing to do.
    pub(super) fn is_run_by(&self, code: &Code) -> bool {
        let has = |name: &str, digest: &str| code.lookups.get(name).is_some_and(|it| it == digest);
        let is_it = match &self.lookup {
            None => code.plugin == self.digest,
            Some(lookup) => has(lookup, &self.digest),
        };
        is_it && self.lookups.iter().all(|(name, digest)| has(name, digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::directory::Directory;

    fn part(text: &str) -> Part {
        Part {
            name: format!("{text}.csv"),
            bytes: text.into(),
        }
    }

    /// A plugin, then lookups that are named by the first letter of what is in them.
    fn code(text: &str) -> Code {
        let mut parts = text.split(' ').map(|text| (text, part(text).digest()));
        Code {
            plugin: parts.next().unwrap().1,
            lookups: parts
                .map(|(text, digest)| (text[..1].to_owned(), digest))
                .collect(),
        }
    }

    /// Whatever was another is brought back, by one order, and nothing else is touched.
    #[test]
    fn what_was_before_is_brought_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Directory::new(folder.path().to_owned(), "plays", "group");
        for text in ["a", "s1", "t1"] {
            archive.keep(&part(text)).unwrap();
        }
        // What ran before, what runs, and what is offered, as the log tells it.
        for (before, now, told) in [
            ("a s1", "a s1", None),
            ("a s1", "b s1", Some("Plugin(a.csv)")),
            ("a s1", "b s1 t1", Some("Plugin(a.csv)")),
            ("a s1 t1", "a s2 t1", Some("Lookup(s, s1.csv)")),
            ("a s1 t1", "b s2 t1", Some("Whole(a.csv, s1.csv, t1.csv)")),
            ("a s1 t1", "b s1", Some("Whole(a.csv, s1.csv, t1.csv)")),
            ("a s1 t1", "a s2 t2", Some("Whole(a.csv, s1.csv, t1.csv)")),
        ] {
            let (before, now) = (code(before), code(now));
            let wanted = Wanted::back(&before, &now);
            let Some(wanted) = wanted else {
                assert_eq!(told, None);
                continue;
            };
            assert!(wanted.is_run_by(&before) && !wanted.is_run_by(&now));
            let what = wanted.fetch(&archive).unwrap().unwrap();
            assert_eq!(Some(&*format!("{what:?}")), told);
            assert_eq!(Wanted::keep(what, &archive).unwrap(), Some(wanted));
        }
    }

    /// Half of what is wanted is not offered.
    #[test]
    fn what_is_not_kept_is_not_offered() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Directory::new(folder.path().to_owned(), "plays", "group");
        let wanted = Wanted::back(&code("a s1 t1"), &code("b s2 t1")).unwrap();
        for text in ["a", "s1", "t1"] {
            assert!(wanted.fetch(&archive).unwrap().is_none());
            archive.keep(&part(text)).unwrap();
        }
        assert!(wanted.fetch(&archive).unwrap().is_some());
    }
}
