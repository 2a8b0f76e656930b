//! Compiled components on disk, so that a start takes milliseconds.
//!
//! Loading one means running it as native code, and wasmtime takes it as it is. So an entry ends in a
//! digest of its name and of all its bytes, and is run only if that is right, and the file and its
//! directory are ours alone: what is cut, changed, moved or somebody else's is compiled again. Against
//! who may write as this user nothing helps: he might as well replace the host. Losing an entry costs a
//! compilation, nothing else.

use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::wrap;

/// How many are kept: each candidate of a swap leaves one. Those that were not used for longest go first.
const KEPT_MAX: usize = 200;
/// How many bytes are kept; a plugin with an interpreter takes 35 MB.
const KEPT_BYTES_MAX: u64 = 2 << 30;
/// The largest entry that is read, in bytes: compiled, a component of the largest size.
const ENTRY_BYTES_MAX: u64 = 1 << 30;
/// How long a file may be half written; one that is older was left by a process that has ended.
const PART_MAX: Duration = Duration::from_secs(3_600);
/// The length of the digest at the end of an entry, in bytes.
const DIGEST: usize = 32;

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
        let loaded = self
            .read(&path)
            .and_then(|bytes| checked(&path, &bytes, engine));
        match loaded {
            Ok(component) => Some(component),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a compiled component is not used");
                None
            }
        }
    }

    /// An entry's bytes, if nobody else can have written them.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut options = OpenOptions::new();
        // No way to elsewhere is followed, and nothing that lies there makes us wait.
        options
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        if !is_ours(&metadata) || !is_ours(&fs::metadata(self.directory)?) {
            return Err(io::Error::other("others may write it"));
        }
        // If it cannot be told that it is in use, it is compiled again one day.
        let _ = file.set_modified(SystemTime::now());
        let mut bytes = Vec::new();
        file.take(ENTRY_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
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
        if !is_ours(&fs::metadata(self.directory)?) {
            return Err(io::Error::other("others may write into the directory"));
        }
        let bytes = component
            .serialize()
            .map_err(|error| io::Error::other(error.to_string()))?;
        let path = self.path(engine, digest);
        // Its own for each thread of each process: it appears under its name once it is whole.
        static PARTS: AtomicU64 = AtomicU64::new(0);
        let count = PARTS.fetch_add(1, Ordering::Relaxed);
        let part = path.with_extension(format!("{}-{count}.part", process::id()));
        let mut options = OpenOptions::new();
        let kept = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)
            .and_then(|mut file| {
                file.write_all(&bytes)?;
                file.write_all(&seal(&path, &bytes))
            })
            .and_then(|()| fs::rename(&part, &path));
        if kept.is_err() {
            let _ = fs::remove_file(&part);
        }
        kept.and_then(|()| self.sweep())
    }

    /// Removes what is more than may be kept. Who has loaded one goes on with it.
    fn sweep(&self) -> io::Result<()> {
        let now = SystemTime::now();
        let mut kept = Vec::new();
        for entry in fs::read_dir(self.directory)? {
            let path = entry?.path();
            let end = path.extension().unwrap_or_default();
            // Another process may have removed it meanwhile.
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            let used = metadata.modified()?;
            if end == "cwasm" {
                kept.push((used, metadata.len(), path));
            } else if end == "part" && now.duration_since(used).is_ok_and(|age| age > PART_MAX) {
                let _ = fs::remove_file(&path);
            }
        }
        kept.sort();
        let mut sum = 0;
        for (place, (_, size, path)) in kept.iter().rev().enumerate() {
            sum += size;
            // The newest stays, whatever its size.
            if place >= KEPT_MAX || place > 0 && sum > KEPT_BYTES_MAX {
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }

    fn path(&self, engine: &Engine, digest: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        // A core module's digest does not tell what this host has made of it.
        wrap::WITH.hash(&mut hasher);
        self.directory
            .join(format!("{digest}-{:016x}.cwasm", hasher.finish()))
    }
}

/// The component of an entry's bytes, if they are those that were stored under this name.
fn checked(path: &Path, bytes: &[u8], engine: &Engine) -> io::Result<Component> {
    let split = bytes.split_last_chunk::<DIGEST>();
    let Some((compiled, _)) = split.filter(|(compiled, end)| **end == seal(path, compiled)) else {
        return Err(io::Error::other("it is damaged, or belongs to another"));
    };
    // SAFETY: the bytes must be what `Component::serialize` made. By the digest they are what `store` has
    // written for this very component and engine, and the file is nobody else's (`read`). They are
    // copied, not mapped: a change of the file after this changes nothing.
    let loaded = unsafe { Component::deserialize(engine, compiled) };
    loaded.map_err(|error| io::Error::other(format!("{error:#}")))
}

/// What an entry ends in. The name is in it, so that one under another's name is not taken for it.
fn seal(path: &Path, compiled: &[u8]) -> [u8; DIGEST] {
    let name = path.file_name().unwrap_or_default();
    let digest = Sha256::new().chain_update(name.as_encoded_bytes());
    digest.chain_update(compiled).finalize().into()
}

/// Whether nobody else can have written it.
fn is_ours(metadata: &Metadata) -> bool {
    // SAFETY: it has no preconditions and cannot fail.
    let user = unsafe { libc::geteuid() };
    metadata.uid() == user && metadata.mode() & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::time::UNIX_EPOCH;

    use super::*;

    /// The smallest component there is.
    fn component(engine: &Engine) -> Component {
        Component::new(engine, b"\0asm\x0d\0\x01\0").unwrap()
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let (folder, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let (cache, path) = (Cache::new(folder.path()), |name: &str| {
            folder.path().join(name)
        });
        let made = |name: &str, used: SystemTime| {
            let file = File::create(path(name)).unwrap();
            file.set_modified(used).unwrap();
        };
        for age in 0..KEPT_MAX as u64 {
            made(
                &format!("{age}.cwasm"),
                UNIX_EPOCH + Duration::from_secs(age),
            );
        }
        fs::write(path("none of them"), "").unwrap();
        made("left.1-0.part", SystemTime::now() - 2 * PART_MAX);
        made("begun.1-1.part", SystemTime::now());
        let component = component(&engine);
        for digest in ["first", "second"] {
            cache.store(&engine, digest, &component);
        }
        for (name, stays) in [
            ("0.cwasm", false),
            ("1.cwasm", false),
            ("2.cwasm", true),
            ("none of them", true),
            ("left.1-0.part", false),
            ("begun.1-1.part", true),
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
        // So many bytes, however few the files are.
        let large = File::create(path("3.cwasm")).unwrap();
        large.set_len(KEPT_BYTES_MAX).unwrap();
        large
            .set_modified(UNIX_EPOCH + Duration::from_secs(3_000))
            .unwrap();
        cache.store(&engine, "third", &component);
        assert!(first.exists() && !path("3.cwasm").exists() && !path("199.cwasm").exists());
    }

    #[test]
    fn what_is_not_whole_and_ours_is_compiled_again() {
        let (folder, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = Cache::new(folder.path());
        let component = component(&engine);
        cache.store(&engine, "other", &component);
        let other = cache.path(&engine, "other");
        let other_engine = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        cache.store(
            &other_engine,
            "one",
            &Component::new(&other_engine, b"\0asm\x0d\0\x01\0").unwrap(),
        );
        let others = cache.path(&other_engine, "one");
        let path = cache.path(&engine, "one");
        let whole = || {
            let _ = fs::remove_dir(&path);
            cache.store(&engine, "one", &component);
            assert!(cache.load(&engine, "one").is_some());
            fs::read(&path).unwrap()
        };
        let check = |what: &str, spoil: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = whole();
            spoil(&mut bytes);
            // Written beside it, as a foreign program may: a link is no file of ours.
            if path.symlink_metadata().is_ok_and(|file| file.is_file()) {
                fs::write(&path, bytes).unwrap();
            }
            assert!(cache.load(&engine, "one").is_none(), "{what} is run");
        };
        let length = whole().len();
        for at in (0..length).step_by(101).chain(length - DIGEST - 1..length) {
            check(&format!("byte {at} of {length}"), &|bytes| bytes[at] ^= 4);
        }
        for keeps in [0, 1, DIGEST, length / 2, length - 1] {
            check(&format!("{keeps} bytes"), &|bytes| bytes.truncate(keeps));
        }
        check("more", &|bytes| bytes.push(0));
        check("another's", &|bytes| *bytes = fs::read(&other).unwrap());
        check("another engine's", &|bytes| {
            *bytes = fs::read(&others).unwrap();
        });
        check("another engine's under our seal", &|bytes| {
            *bytes = fs::read(&others).unwrap();
            bytes.truncate(bytes.len() - DIGEST);
            bytes.extend(seal(&path, bytes));
        });
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        check("what the group may write", &|_| mode(0o620));
        check("what all may write", &|_| mode(0o602));
        check("a link", &|_| {
            fs::remove_file(&path).unwrap();
            symlink(cache.path(&engine, "other"), &path).unwrap();
        });
        check("a folder", &|_| {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        });
        // SAFETY: it has no preconditions and cannot fail.
        if unsafe { libc::geteuid() } == 0 {
            check("another user's", &|_| {
                chown(&path, Some(12_345), None).unwrap();
            });
        }
        whole();
        let open = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode));
        open(0o770).unwrap();
        assert!(cache.load(&engine, "one").is_none());
        open(0o700).unwrap();
        assert!(cache.load(&engine, "one").is_some());
    }
}
