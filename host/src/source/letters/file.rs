//! Letters in a file, a JSON object a line: what is no letter any more is left out of it.
//!
//! Who changes the file holds its directory's lock alone; pipelines that add to it share that lock.

use std::fs::{self, TryLockError};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Entry, Letter, Store, Wanted};
use crate::message::NO_TIMESTAMP;
use crate::row::push_cell;
use crate::source::Error;

/// The file's name in its directory, and in that of the letters that are refused anew.
const NAME: &str = "dead-letters.jsonl";

/// Letters in a file.
pub struct File {
    directory: PathBuf,
    /// None, if there is no file.
    lines: Option<BufReader<fs::File>>,
    line: Vec<u8>,
    number: i64,
    /// What changes the file: the lock, which letters leave it, and up to which line.
    change: Option<(fs::File, Wanted, i64)>,
}

impl File {
    /// The letters in a directory, to be looked at.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(NAME);
        let lines = match fs::File::open(&path) {
            Ok(file) => Some(BufReader::new(file)),
            // A mistyped directory has no letters, either.
            Err(error) if error.kind() == io::ErrorKind::NotFound && directory.is_dir() => None,
            Err(error) => return Err(failed(&path, error)),
        };
        Ok(Self {
            directory: directory.to_owned(),
            lines,
            line: Vec::new(),
            number: 0,
            change: None,
        })
    }

    /// The letters in a directory, of which the wanted ones may leave it. Nobody else may write
    /// there meanwhile.
    ///
    /// # Errors
    /// When they cannot be read, or somebody else writes there.
    pub fn change(directory: &Path, wanted: Wanted) -> Result<Self, Error> {
        let lock = fs::File::open(directory).map_err(|error| failed(directory, error))?;
        lock.try_lock().map_err(|error| {
            let error = match error {
                TryLockError::WouldBlock => io::Error::other(
                    "a pipeline, or another `dlq`, writes dead letters there: stop it first",
                ),
                TryLockError::Error(error) => error,
            };
            failed(directory, error)
        })?;
        let anew = Self::anew(directory);
        if anew.exists() {
            // Of a redrive that did not end: the letters themselves are all still in the file.
            fs::remove_dir_all(&anew).map_err(|error| failed(&anew, error))?;
        }
        let mut file = Self::read(directory)?;
        file.change = Some((lock, wanted, 0));
        Ok(file)
    }

    /// Where letters that are refused anew are kept, until they take the place of those they were.
    pub fn anew(directory: &Path) -> PathBuf {
        directory.join("redrive")
    }

    /// Writes what stays beside the file, and puts it in the file's place.
    fn rewrite(&self, wanted: &Wanted, settled: i64) -> Result<(), Error> {
        let path = self.directory.join(NAME);
        let fresh = path.with_extension("jsonl.new");
        let anew = Self::anew(&self.directory);
        let written = || {
            let mut to = BufWriter::new(fs::File::create(&fresh)?);
            let mut from = BufReader::new(fs::File::open(&path)?);
            let (mut line, mut number) = (Vec::new(), 0);
            while from.read_until(b'\n', &mut line)? > 0 {
                number += 1;
                if number > settled || wanted.of(&entry(&line, number)).is_none() {
                    to.write_all(&line)?;
                }
                line.clear();
            }
            match fs::File::open(anew.join(NAME)) {
                Ok(mut refused) => io::copy(&mut refused, &mut to).map(drop)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            to.into_inner()?.sync_all()?;
            fs::rename(&fresh, &path)?;
            fs::File::open(&self.directory)?.sync_all()
        };
        written().map_err(|error| failed(&path, error))
    }
}

impl Store for File {
    fn next(&mut self) -> Result<Option<Entry>, Error> {
        let Some(lines) = &mut self.lines else {
            return Ok(None);
        };
        self.line.clear();
        let read = lines.read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| failed(&self.directory.join(NAME), error))?;
        self.number += 1;
        Ok((read > 0).then(|| entry(&self.line, self.number)))
    }

    fn settle(&mut self) -> Result<(), Error> {
        if let Some((_, _, settled)) = &mut self.change {
            *settled = self.number;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        let Some((_, wanted, settled)) = &self.change else {
            return Ok(());
        };
        if *settled > 0 && self.lines.is_some() {
            self.rewrite(wanted, *settled)?;
        }
        let anew = Self::anew(&self.directory);
        if anew.exists() {
            fs::remove_dir_all(&anew).map_err(|error| failed(&anew, error))?;
        }
        Ok(())
    }
}

fn failed(path: &Path, source: io::Error) -> Error {
    let path = path.display().to_string();
    Error::File { path, source }
}

fn entry(line: &[u8], number: i64) -> Entry {
    Entry {
        partition: 0,
        offset: number,
        letter: serde_json::from_slice(line)
            .ok()
            .and_then(|line| letter(&line)),
        is_settled: false,
    }
}

fn letter(line: &Value) -> Option<Letter> {
    let text = |of: &Value, name: &str| Some(of.get(name)?.as_str()?.to_owned());
    let plugin = line.get("plugin")?;
    let mut headers = Vec::new();
    let all = line.get("headers")?.as_array()?;
    if !all.is_empty() {
        headers.extend_from_slice(&u16::try_from(all.len()).ok()?.to_be_bytes());
    }
    for header in all {
        push_cell(&mut headers, Some(header.get("name")?.as_str()?.as_bytes()));
        push_cell(&mut headers, bytes(header, "value")?.as_deref());
    }
    Some(Letter {
        topic: text(line, "topic")?,
        partition: i32::try_from(line.get("partition")?.as_i64()?).ok()?,
        offset: line.get("offset")?.as_i64().filter(|offset| *offset >= 0)?,
        timestamp: line.get("timestamp")?.as_i64().unwrap_or(NO_TIMESTAMP),
        key: bytes(line, "key")?,
        value: bytes(line, "value")?,
        headers,
        left_out: None,
        write_time: line.get("write_time")?.as_i64(),
        stage: text(line, "stage")?,
        code: text(line, "code")?,
        reason: text(line, "reason")?,
        plugin: text(plugin, "name")?,
        version: text(plugin, "version")?,
        digest: text(plugin, "digest")?,
    })
}

/// What is under a name as text, or as base64 under `<name>_base64`; `None`, if neither is.
fn bytes(object: &Value, name: &str) -> Option<Option<Vec<u8>>> {
    match object.get(name) {
        Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text.clone().into_bytes())),
        Some(_) => None,
        None => {
            let text = object.get(format!("{name}_base64"))?.as_str()?;
            Some(Some(STANDARD.decode(text).ok()?))
        }
    }
}
