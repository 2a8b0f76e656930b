//! What was in the plugin when a process died, so that one message cannot end every process that
//! meets it.
//!
//! While a batch is in the plugin, its offsets stand in a note, a file of this worker's own; a
//! process that dies leaves the note behind. Offsets in the notes of [`DEATHS_MIN`] dead are taken
//! message by message, and a message that stood alone in so many notes is the one that kills.
//!
//! Only the plugin's call is noted. It is short, so that whoever ends a process for reasons of his
//! own hardly meets the same message alone again and again; a write can last as long as the
//! database is away, and would make an innocent message look guilty.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::message::{Batch, Message, Span};
use crate::row::{Rejected, Stage};

/// So many deaths are no chance.
const DEATHS_MIN: usize = 3;
/// How long a note of the dead counts. Restarts back off to minutes, not to days.
const AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The most notes of the dead that are kept, the youngest.
const NOTES_MAX: usize = 100;
/// What a note begins with while a batch is in the plugin, and otherwise. Both are as long.
const BUSY: &str = "busy";
const IDLE: &str = "idle";

/// The notes of the dead, and the one of this worker.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    own: Option<Note>,
    dead: Vec<Vec<Span>>,
    text: String,
}

impl Suspects {
    /// Reads what the dead have left in a directory, and begins a note there. Without a directory,
    /// or if that fails, which is logged, nothing is noted and nobody is suspected.
    pub(super) fn open(directory: Option<&Path>) -> Self {
        let Some(directory) = directory else {
            return Self::default();
        };
        let opened = read(directory).and_then(|dead| Ok((dead, Note::begin(directory)?)));
        let (dead, own) = match opened {
            Ok((dead, own)) => (dead, Some(own)),
            Err(error) => {
                let directory = directory.display();
                tracing::warn!(%directory, %error, "what is in the plugin cannot be noted");
                return Self::default();
            }
        };
        if dead.len() >= DEATHS_MIN {
            let deaths = dead.len();
            tracing::warn!(
                deaths,
                "processes died: what was in the plugin three times is taken one by one"
            );
        }
        let text = String::new();
        Self { own, dead, text }
    }

    /// Whether one of these positions lies where processes died: messages are taken one by one then.
    pub(super) fn are_at(&self, positions: &BTreeMap<i32, i64>) -> bool {
        let mut positions = positions.iter();
        // Nearly always there are no notes, and this is asked for each batch.
        !self.dead.is_empty() && positions.any(|(&partition, &at)| self.is_suspect(partition, at))
    }

    fn is_suspect(&self, partition: i32, offset: i64) -> bool {
        let covers =
            |span: &Span| span.partition == partition && (span.start..span.end).contains(&offset);
        let notes = self.dead.iter();
        notes.filter(|note| note.iter().any(covers)).count() >= DEATHS_MIN
    }

    /// The verdict on a batch of one message, if it alone was in the plugin whenever processes died.
    pub(super) fn verdict(&self, batch: &Batch) -> Option<Rejected> {
        if self.dead.is_empty() || batch.len() != 1 {
            return None;
        }
        let alone = [alone(&batch.message(0))];
        let deaths = self.dead.iter().filter(|note| note[..] == alone).count();
        (deaths >= DEATHS_MIN).then(|| Rejected {
            message: 0,
            stage: Stage::Transform,
            code: "host_crash".into(),
            reason: format!("{deaths} processes died while this message was in the plugin, alone"),
        })
    }

    /// Notes that a batch goes into the plugin.
    pub(super) fn enter(&mut self, batch: &Batch) {
        let Some(own) = &self.own else { return };
        self.text.clear();
        self.text.push_str(BUSY);
        let alone = (batch.len() == 1).then(|| alone(&batch.message(0)));
        let spans = alone.as_ref().map_or(batch.spans(), std::slice::from_ref);
        for span in spans {
            let Span {
                partition,
                start,
                end,
            } = span;
            write!(self.text, " {partition}:{start}..{end}").expect("a string takes all");
        }
        self.text.push('\n');
        self.note(own.file.write_all_at(self.text.as_bytes(), 0));
    }

    /// Notes that it has come out again.
    pub(super) fn leave(&mut self) {
        if let Some(own) = &self.own {
            self.note(own.file.write_all_at(IDLE.as_bytes(), 0));
        }
    }

    /// A disk that is full must not stop the work; what cannot be noted once is not tried again.
    fn note(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            tracing::warn!(%error, "what is in the plugin is not noted any more");
            self.own = None;
        }
    }
}

/// A message's own offset, whatever else a batch of it covers.
fn alone(message: &Message<'_>) -> Span {
    Span {
        partition: message.partition,
        start: message.offset,
        end: message.offset + 1,
    }
}

/// The file of one worker. As long as that lives, it holds a lock on it.
#[derive(Debug)]
struct Note {
    file: File,
    path: PathBuf,
}

impl Note {
    fn begin(directory: &Path) -> io::Result<Self> {
        let mut directories = DirBuilder::new();
        directories.recursive(true).mode(0o700).create(directory)?;
        for number in 0.. {
            let path = directory.join(format!("{number}"));
            let mut options = OpenOptions::new();
            match options.write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => {
                    file.lock()?;
                    return Ok(Self { file, path });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("a directory has room for fewer files than there are numbers")
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        // A worker that ends leaves nothing to suspect; the last one takes the directory along.
        let _ = fs::remove_file(&self.path);
        let _ = self.path.parent().map(fs::remove_dir);
    }
}

/// What was in the plugin when others died. Notes that say nothing any more are removed.
fn read(directory: &Path) -> io::Result<Vec<Vec<Span>>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut notes = Vec::new();
    for entry in entries {
        let path = entry?.path();
        // Others may remove it at the same time, which is as good.
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if file.try_lock_shared().is_err() {
            continue;
        }
        let (Ok(metadata), Ok(text)) = (file.metadata(), fs::read_to_string(&path)) else {
            continue;
        };
        if text.starts_with(IDLE) {
            let _ = fs::remove_file(path);
            continue;
        }
        let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        notes.push((written, path, text));
    }
    notes.sort_by_key(|(written, ..)| std::cmp::Reverse(*written));
    let mut dead = Vec::new();
    for (index, (written, path, text)) in notes.into_iter().enumerate() {
        let age = written.elapsed().unwrap_or_default();
        if index >= NOTES_MAX || age > AGE_MAX {
            let _ = fs::remove_file(path);
        } else {
            dead.extend(parse(&text));
        }
    }
    Ok(dead)
}

/// What a note says was in the plugin: `None`, if nothing was, or it is damaged.
fn parse(text: &str) -> Option<Vec<Span>> {
    // A longer note may have stood here before: only the first line counts.
    let (line, _) = text.split_once('\n')?;
    let mut words = line.split(' ');
    if words.next() != Some(BUSY) {
        return None;
    }
    let span = |word: &str| {
        let (partition, offsets) = word.split_once(':')?;
        let (start, end) = offsets.split_once("..")?;
        Some(Span {
            partition: partition.parse().ok()?,
            start: start.parse().ok()?,
            end: end.parse().ok()?,
        })
    };
    words.map(span).collect()
}

#[cfg(test)]
mod tests;
