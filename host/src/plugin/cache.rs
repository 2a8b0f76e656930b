//! Compiled components on disk, so that a start takes milliseconds.
//!
//! Loading one means running it as native code: the directory is ours alone (0700), and what lies in
//! it was written by this program. Losing it costs a compilation, nothing else.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::SystemTime;

use wasmtime::Engine;
use wasmtime::component::Component;

/// How many are kept: each candidate of a swap leaves one. Those that were not used for longest go first.
const KEPT_MAX: usize = 200;

/// A directory of compiled components.
pub(super) struct Cache<'a> {
    directory: &'a Path,
}

impl<'a> Cache<'a> {
    pub(super) fn new(directory: &'a Path) -> Self {
        Self { directory }
    }

    /// The compiled component of what has this digest, if it is here and fits this engine.
    pub(super) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let path = self.path(engine, digest);
        if !path.exists() || !self.is_ours() {
            return None;
        }
        // SAFETY: the bytes must be what `Component::serialize` made. Only we may write into the
        // directory (`is_ours`), files appear in it whole (`store` renames), and wasmtime itself
        // refuses those of another version or with other settings.
        let loaded = unsafe { Component::deserialize_file(engine, &path) };
        if let Err(error) = &loaded {
            tracing::warn!(path = %path.display(), %error, "a compiled component is not used");
        }
        if let Ok(file) = File::open(&path) {
            // If it cannot be told that it is in use, it is compiled again one day.
            let _ = file.set_modified(SystemTime::now());
        }
        loaded.ok()
    }

    /// Keeps a compiled component. Failing is no fault: the next start compiles again.
    pub(super) fn store(&self, engine: &Engine, digest: &str, component: &Component) {
        if let Err(error) = self.try_store(engine, digest, component) {
            let directory = self.directory.display();
            tracing::warn!(%directory, %error, "a compiled component cannot be kept");
        }
    }

    fn try_store(&self, engine: &Engine, digest: &str, component: &Component) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.directory)?;
        if !self.is_ours() {
            return Err(io::Error::other("others may write into the directory"));
        }
        let bytes = component
            .serialize()
            .map_err(|error| io::Error::other(error.to_string()))?;
        let path = self.path(engine, digest);
        let part = path.with_extension(format!("{}.part", process::id()));
        fs::write(&part, bytes)?;
        fs::rename(&part, &path)?;
        self.sweep()
    }

    /// Removes what is more than may be kept. Who has loaded one goes on with it.
    fn sweep(&self) -> io::Result<()> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(self.directory)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|end| end == "cwasm") {
                // Another process may have removed it meanwhile.
                let used = entry.metadata().and_then(|file| file.modified());
                kept.extend(used.map(|used| (used, entry.path())));
            }
        }
        kept.sort();
        let more = kept.len().saturating_sub(KEPT_MAX);
        for (_, path) in &kept[..more] {
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    fn path(&self, engine: &Engine, digest: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.directory
            .join(format!("{digest}-{:016x}.cwasm", hasher.finish()))
    }

    /// Whether nobody else can have put something into the directory.
    fn is_ours(&self) -> bool {
        // SAFETY: it has no preconditions and cannot fail.
        let user = unsafe { libc::geteuid() };
        let directory = fs::metadata(self.directory);
        directory.is_ok_and(|directory| directory.uid() == user && directory.mode() & 0o022 == 0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let (folder, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let (cache, path) = (Cache::new(folder.path()), |name: &str| {
            folder.path().join(name)
        });
        for age in 0..KEPT_MAX as u64 {
            let file = File::create(path(&format!("{age}.cwasm"))).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(age))
                .unwrap();
        }
        fs::write(path("none of them"), "").unwrap();
        let component = Component::new(&engine, b"\0asm\x0d\0\x01\0").unwrap();
        for digest in ["first", "second"] {
            cache.store(&engine, digest, &component);
        }
        for (name, stays) in [
            ("0.cwasm", false),
            ("1.cwasm", false),
            ("2.cwasm", true),
            ("none of them", true),
        ] {
            assert_eq!(path(name).exists(), stays, "{name}");
        }
        // What is used is not old.
        let first = cache.path(&engine, "first");
        File::open(&first)
            .unwrap()
            .set_modified(UNIX_EPOCH)
            .unwrap();
        assert!(cache.load(&engine, "first").is_some());
        cache.store(&engine, "third", &component);
        assert!(first.exists() && !path("2.cwasm").exists());
    }
}
