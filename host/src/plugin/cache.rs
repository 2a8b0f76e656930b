//! Compiled components on disk, so that a start takes milliseconds.
//!
//! Loading one means running it as native code: the directory is ours alone (0700), and what lies in
//! it was written by this program. Losing it costs a compilation, nothing else.

use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process;

use wasmtime::Engine;
use wasmtime::component::Component;

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
        fs::rename(&part, &path)
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
