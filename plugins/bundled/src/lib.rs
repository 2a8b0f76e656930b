//! The pipelines that the host carries, so that it runs them with nothing beside it.
//!
//! Every folder of `plugins/` with a `pipeline.toml` is one; `build.rs` finds them, builds their
//! plugins for WebAssembly and puts all they need in here.

/// A pipeline, whole.
#[derive(Clone, Copy)]
pub struct Pipeline {
    /// Its name: that of its folder.
    pub name: &'static str,
    /// The plugin, as a core module: the host makes a component of it.
    pub module: &'static [u8],
    /// Its `pipeline.toml`.
    pub config: &'static str,
    /// Its keyspace and tables: what `schema` in its `pipeline.toml` leads to.
    pub schema: &'static str,
    /// What can be asked of its tables: what `queries` leads to.
    pub queries: &'static str,
    /// Messages to try it with, one a line: its `samples.jsonl`.
    pub samples: &'static [u8],
    /// The reference data that its `pipeline.toml` names: each lookup's name, and the CSV.
    pub lookups: &'static [(&'static str, &'static [u8])],
    /// What only `[produce]` takes cells from: each list's name, and the CSV.
    pub lists: &'static [(&'static str, &'static [u8])],
}

include!(concat!(env!("OUT_DIR"), "/pipelines.rs"));

/// A file of a new plugin's folder: its path in there, and its text, in which `my-plugin` stands for the
/// plugin's name, and `my_plugin` for that as an identifier.
pub type File = (&'static str, &'static str);

/// What a new plugin begins with in one language: the `scaffold` in its folder of `languages/`.
#[derive(Clone, Copy, Debug)]
pub struct Language {
    /// Its name: that of its folder.
    pub name: &'static str,
    /// How it is spelled.
    pub spelled: &'static str,
    /// The author's files, how they are built, and the SDK.
    pub files: &'static [File],
}

include!(concat!(env!("OUT_DIR"), "/languages.rs"));

/// The pipeline of a name.
pub fn pipeline(name: &str) -> Option<&'static Pipeline> {
    PIPELINES.iter().find(|pipeline| pipeline.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_says_how_its_plugins_are_built() {
        assert!(!LANGUAGES.is_empty());
        for language in LANGUAGES {
            let (name, spelled) = (language.name, language.spelled);
            assert!(name.eq_ignore_ascii_case(spelled), "{name}: {spelled}");
            let build = language
                .files
                .iter()
                .find(|(path, _)| *path == "build.toml");
            let (_, text) = build.unwrap_or_else(|| panic!("{}", language.name));
            assert!(text.contains("[build]"), "{}", language.name);
            let own = |(path, _): &&File| PLUGIN.iter().any(|(other, _)| other == path);
            assert_eq!(language.files.iter().find(own), None, "{}", language.name);
        }
    }

    #[test]
    fn every_pipeline_is_whole() {
        assert!(!PIPELINES.is_empty());
        for carried in PIPELINES {
            let name = carried.name;
            assert_eq!(&carried.module[..4], b"\0asm", "{name}");
            assert!(
                carried.module.len() < 200_000,
                "{name} is {} bytes",
                carried.module.len()
            );
            assert!(
                carried.config.contains(&format!("name = \"{name}\"")),
                "{name}"
            );
            assert!(carried.samples.ends_with(b"\n"), "{name}");
            assert_eq!(
                pipeline(name).map(|found| found.module),
                Some(carried.module)
            );
        }
        assert!(pipeline("nobody").is_none());
    }
}
