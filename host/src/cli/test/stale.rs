//! Whether a plugin is older than what it is made of, so that another one is tried than its author means.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::Found;

/// How files end that no plugin is made of.
const NO_SOURCES: [&str; 8] = ["cql", "csv", "jsonl", "lock", "md", "toml", "txt", "wasm"];

/// A source in the folder of a plugin that was written after the plugin: another `host build` is due.
/// `None`, too, where nothing says how it is built.
pub(super) fn newer_source(found: &Found) -> Option<PathBuf> {
    let (build, folder) = (found.file.build.as_ref()?, found.folder.as_deref()?);
    let built = fs::metadata(found.plugin_path()?).ok()?.modified().ok()?;
    let output = folder.join(build.output.components().next()?);
    // What tools make there is no source.
    let ignored = fs::read_to_string(folder.join(".gitignore")).unwrap_or_default();
    let ignored: Vec<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let is_source = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        let is_made = name.starts_with('.') || ignored.contains(&&*name) || path == output;
        !is_made && !NO_SOURCES.contains(&&*ending)
    };
    let (mut newer, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        // An empty path is the folder that the user is in.
        let shown = if next.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &next
        };
        for entry in fs::read_dir(shown).ok()?.flatten() {
            let path = next.join(entry.file_name());
            // Links are not followed.
            let about = entry.metadata().ok()?;
            if !is_source(&path) {
                continue;
            }
            if about.is_dir() {
                folders.push(path);
            } else if about.modified().is_ok_and(|written| written > built) {
                newer.push(path);
            }
        }
    }
    newer.into_iter().min()
}
