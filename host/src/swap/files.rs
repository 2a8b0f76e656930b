//! Files that are looked at again: what one has become is offered once it is whole.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::What;
use crate::lookup::hex_digest;

/// A larger file is not read: no plugin may be so large, and no lookup should.
const BYTES_MAX: u64 = 1 << 30;

/// Reads a file once.
///
/// # Errors
/// If it is none, too large, or cannot be read; with its path.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let told =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    read_whole(path).map(|(bytes, _)| bytes).map_err(told)
}

/// The bytes, and what the file was before and after they were read; `None`, if that differs.
fn read_whole(path: &Path) -> io::Result<(Vec<u8>, Option<Seen>)> {
    // What is no file, as a pipe, might be waited for in vain.
    let is_file = |metadata: &Metadata| metadata.is_file();
    if !is_file(&fs::metadata(path)?) {
        return Err(io::Error::other("it is no file"));
    }
    let file = File::open(path)?;
    let before = file.metadata()?;
    if !is_file(&before) || before.len() > BYTES_MAX {
        return Err(io::Error::other("it is no file, or larger than 1 GiB"));
    }
    let mut bytes = Vec::new();
    (&file).take(BYTES_MAX).read_to_end(&mut bytes)?;
    let before = Seen::of(&before);
    let is_whole = before == Seen::of(&file.metadata()?) && before.bytes == bytes.len() as u64;
    Ok((bytes, is_whole.then_some(before)))
}

/// By what it shows that a file is another, or is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Seen {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    fn at(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok();
        metadata.as_ref().map(Self::of)
    }
}

/// A file that a pipeline is made of.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The lookup that it is read for; `None`: it is the plugin.
    lookup: Option<String>,
    path: PathBuf,
    /// The digest of what was read last.
    digest: String,
    /// What it was at the last look.
    seen: Option<Seen>,
    /// What it was when it was read last.
    read: Option<Seen>,
}

impl Watched {
    /// A file of which bytes with this digest are known.
    pub fn new(lookup: Option<&str>, path: &Path, digest: &str) -> Self {
        Self {
            lookup: lookup.map(str::to_owned),
            path: path.to_owned(),
            digest: digest.to_owned(),
            seen: None,
            read: None,
        }
    }

    /// Looks at it, as is done again and again: what is new in it, once it is whole. That is so if it
    /// has not changed from one look to the next, and does not while it is read. What was given once
    /// is not given again, until it changes.
    pub fn look(&mut self) -> Option<What> {
        let now = Seen::at(&self.path);
        let is_settled = now.is_some() && now == self.seen;
        self.seen = now;
        if !is_settled || now == self.read {
            return None;
        }
        // What cannot be read may be so at the next look.
        self.read_again().ok()?
    }

    /// Reads it now: what is new in it.
    ///
    /// # Errors
    /// If it cannot be read, or is being written.
    pub fn read_again(&mut self) -> io::Result<Option<What>> {
        let (bytes, read) = read_whole(&self.path)?;
        let being_written = || io::Error::other("it is being written");
        self.read = Some(read.ok_or_else(being_written)?);
        let digest = hex_digest(&bytes);
        if digest == self.digest {
            return Ok(None);
        }
        self.digest = digest;
        let name = self.path.display().to_string();
        Ok(Some(match self.lookup.clone() {
            None => What::Plugin { name, bytes },
            Some(lookup) => What::Lookup {
                lookup,
                name,
                bytes,
            },
        }))
    }

    /// What was read last counts as new the next time that it is read: it was refused.
    pub fn forget(&mut self) {
        self.digest.clear();
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        for (path, words) in [
            (fifo.as_path(), "no file"),
            (folder.path(), "no file"),
            (Path::new("/dev/zero"), "no file"),
            (&folder.path().join("none"), "No such file"),
        ] {
            let error = read(path).unwrap_err().to_string();
            assert!(
                error.contains(words) && error.contains(path.to_str().unwrap()),
                "{error}"
            );
        }
    }
}
