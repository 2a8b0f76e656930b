//! Versions in a directory, beside SQLite's databases: a file a part, and one a generation.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Archive, End, Error, Generation, Outcome, Part, TAKE_MAX, Trade};
use crate::lookup;

/// How much of a digest tells one group's files from another's.
const GROUP_LETTERS: usize = 16;

/// The versions of one group; the parts are shared by all of the directory.
#[derive(Debug)]
pub struct Directory {
    directory: PathBuf,
    /// What the files of this group's generations begin with.
    prefix: String,
    /// How many files were written: each under a name of its own first.
    written: AtomicU64,
}

impl Directory {
    /// Those of a pipeline's group, in a directory that is made when there is something to keep.
    pub fn new(directory: PathBuf, pipeline: &str, group: &str) -> Self {
        let digest = lookup::hex_digest(format!("{pipeline}\n{group}").as_bytes());
        Self {
            directory,
            prefix: format!("generation-{}-", &digest[..GROUP_LETTERS]),
            written: AtomicU64::new(0),
        }
    }

    fn file(&self, generation: u32) -> PathBuf {
        self.directory
            .join(format!("{}{generation}.json", self.prefix))
    }

    /// Writes a file that takes its name later: a half-written one never has it.
    fn write(&self, bytes: &[u8]) -> Result<PathBuf, Error> {
        fs::create_dir_all(&self.directory).map_err(|error| failed(&self.directory, error))?;
        let count = self.written.fetch_add(1, Ordering::Relaxed);
        let name = format!("new-{}-{count}", std::process::id());
        let path = self.directory.join(name);
        let written = fs::File::create(&path).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(|error| failed(&path, error))?;
        Ok(path)
    }

    /// The names of the directory's files that begin with a text; none, if there is no directory.
    fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| failed(&self.directory, error))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| name.starts_with(prefix)).collect())
    }

    fn read(&self, path: &Path) -> Result<Generation, Error> {
        let bytes = fs::read(path).map_err(|error| failed(path, error))?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Damaged {
            place: self.directory.display().to_string(),
            what: path.display().to_string(),
            reason: error.to_string(),
        })
    }

    /// Writes a generation once more, with its end.
    fn end(&self, begun: Generation, end: &End) -> Result<(), Error> {
        let ended = Generation {
            outcome: end.outcome,
            reason: end.reason.clone(),
            pause_us: Some(end.pause_us)
                .filter(|pause| *pause > 0)
                .or(begun.pause_us),
            ..begun
        };
        let (new, path) = (self.write(&json(&ended))?, self.file(ended.generation));
        fs::rename(&new, &path).map_err(|error| failed(&path, error))
    }
}

impl Archive for Directory {
    fn keep(&self, part: &Part) -> Result<(), Error> {
        let digest = part.digest();
        if !self.names(&format!("{digest}."))?.is_empty() {
            return Ok(());
        }
        let name = Path::new(&part.name).file_name().unwrap_or_default();
        let path = self
            .directory
            .join(format!("{digest}.{}", name.to_string_lossy()));
        let new = self.write(&part.bytes)?;
        fs::rename(&new, &path).map_err(|error| failed(&path, error))
    }

    fn fetch(&self, digest: &str) -> Result<Option<Part>, Error> {
        let prefix = format!("{digest}.");
        let Some(file) = self.names(&prefix)?.pop() else {
            return Ok(None);
        };
        let path = self.directory.join(&file);
        let bytes = fs::read(&path).map_err(|error| failed(&path, error))?;
        let name = file[prefix.len()..].to_owned();
        super::verified(
            &self.directory.display().to_string(),
            digest,
            Part { name, bytes },
        )
        .map(Some)
    }

    fn take(&self, at_least: u32, trade: &Trade) -> Result<u32, Error> {
        for generation in at_least..at_least.saturating_add(TAKE_MAX) {
            let begun = json(&Generation::begun(generation, trade));
            let (new, path) = (self.write(&begun)?, self.file(generation));
            // A link fails where there is something already; a renamed file would replace it.
            let taken = fs::hard_link(&new, &path);
            fs::remove_file(&new).map_err(|error| failed(&new, error))?;
            match taken {
                Ok(()) => return Ok(generation),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&path, error)),
            }
        }
        Err(Error::Taken(at_least))
    }

    fn finish(&self, generation: u32, end: &End) -> Result<(), Error> {
        let begun = self.read(&self.file(generation))?;
        self.end(begun, end)
    }

    fn finish_if(&self, generation: u32, so_far: Outcome, end: &End) -> Result<bool, Error> {
        let begun = self.read(&self.file(generation))?;
        let is_so = begun.outcome == so_far;
        if is_so {
            self.end(begun, end)?;
        }
        Ok(is_so)
    }

    fn history(&self, generations_max: usize) -> Result<Vec<Generation>, Error> {
        let names = self.names(&self.prefix)?.into_iter();
        let read = names.map(|name| self.read(&self.directory.join(name)));
        let mut all = read.collect::<Result<Vec<_>, _>>()?;
        all.sort_by_key(|entry| std::cmp::Reverse(entry.generation));
        all.truncate(generations_max);
        Ok(all)
    }
}

fn json(entry: &Generation) -> Vec<u8> {
    serde_json::to_vec(entry).expect("numbers and texts are always JSON")
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::File {
        path: path.display().to_string(),
        source,
    }
}
