//! Dead letters as lines of a file: one JSON object each.
//!
//! What is not text is kept as base64 under a name of its own. A crash before the commit writes the
//! same lines again, byte for byte: `sort -u` makes one of them, and so does whoever goes by the
//! position. A line cut off by a crash was never acknowledged and is removed on opening.

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Origin;
use crate::message::headers;
use crate::row::{Rejected, Transformed};
use crate::sink::{Error, Letters};

/// The file's name in its directory.
const NAME: &str = "dead-letters.jsonl";

/// Dead letters in a file.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    file: fs::File,
    /// Of the directory, shared: who holds it alone may put another file in this one's place.
    _lock: fs::File,
    origin: Origin,
    pending: Vec<u8>,
}

impl File {
    /// Opens `dead-letters.jsonl` in a directory; both are made if they are missing.
    ///
    /// # Errors
    /// When the system refuses it, or its letters are being redriven or dropped.
    pub fn open(directory: &Path, origin: Origin) -> Result<Self, Error> {
        let path = directory.join(NAME);
        let lock = fs::create_dir_all(directory).and_then(|()| fs::File::open(directory));
        let lock = lock.map_err(|error| refused(&path, &error))?;
        match lock.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Unavailable {
                    store: path.display().to_string(),
                    code: "locked",
                    reason: "its letters are being redriven or dropped".to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(refused(&path, &error)),
        }
        let file = opened(&path).map_err(|error| refused(&path, &error))?;
        Ok(Self {
            path,
            file,
            _lock: lock,
            origin,
            pending: Vec::new(),
        })
    }
}

fn opened(path: &Path) -> io::Result<fs::File> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    let mut end = length;
    let mut last = [0];
    while end > 0 {
        file.seek(SeekFrom::Start(end - 1))?;
        file.read_exact(&mut last)?;
        if last == *b"\n" {
            break;
        }
        end -= 1;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(file)
}

fn refused(path: &Path, error: &io::Error) -> Error {
    Error::Refused {
        store: path.display().to_string(),
        reason: error.to_string(),
    }
}

impl Letters for File {
    fn judged_by(&mut self, origin: &Origin) {
        self.origin = origin.clone();
    }

    fn start(&mut self, batch: &Arc<Transformed>, rejected: &[Rejected]) {
        self.pending.clear();
        for letter in rejected {
            let line = line(batch, letter, &self.origin);
            self.pending.extend_from_slice(line.to_string().as_bytes());
            self.pending.push(b'\n');
        }
    }

    /// Writes the lines and has the system keep them: a batch rarely has more than a few.
    fn poll(&mut self, _: Duration) -> Option<Result<(), Error>> {
        let length = self.file.metadata().map(|metadata| metadata.len());
        let written = length.and_then(|length| {
            let written = self
                .file
                .write_all(&self.pending)
                .and_then(|()| self.file.sync_data());
            // What is half written now would be a broken line later.
            written.inspect_err(|_| drop(self.file.set_len(length)))
        });
        Some(written.map_err(|error| Error::Unavailable {
            store: self.path.display().to_string(),
            code: "io_error",
            reason: error.to_string(),
        }))
    }
}

fn line(batch: &Transformed, letter: &Rejected, origin: &Origin) -> Value {
    let message = batch.batch.message(letter.message);
    let mut line = Map::new();
    line.insert("topic".into(), batch.batch.topic().as_ref().into());
    line.insert("partition".into(), message.partition.into());
    line.insert("offset".into(), message.offset.into());
    line.insert("timestamp".into(), message.timestamp.into());
    put(&mut line, "key", message.key);
    put(&mut line, "value", message.value);
    let headers = headers(message.headers).into_iter().map(|(name, value)| {
        let mut header = Map::new();
        header.insert("name".into(), name.into());
        put(&mut header, "value", value);
        Value::Object(header)
    });
    line.insert("headers".into(), headers.collect());
    line.insert("stage".into(), letter.stage.name().into());
    line.insert("code".into(), letter.code.as_ref().into());
    line.insert("reason".into(), letter.reason.as_str().into());
    line.insert(
        "write_time".into(),
        batch.batch.write_time(letter.message).into(),
    );
    line.insert("plugin".into(), json!(origin));
    Value::Object(line)
}

/// Puts bytes under a name if they are text, else as base64 under `<name>_base64`.
fn put(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(|bytes| (bytes, str::from_utf8(bytes))) {
        None => object.insert(name.into(), Value::Null),
        Some((_, Ok(text))) => object.insert(name.into(), text.into()),
        Some((bytes, Err(_))) => {
            object.insert(format!("{name}_base64"), STANDARD.encode(bytes).into())
        }
    };
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::tests::{origin, rejected};
    use super::*;

    #[test]
    fn letters_are_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        fs::write(&path, "{\"kept\":1}\n{\"cut o").unwrap();
        let batch = rejected();
        for _ in 0..2 {
            let mut file = File::open(directory.path(), origin()).unwrap();
            file.start(&batch, &batch.rejected);
            file.poll(Duration::ZERO).unwrap().unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        assert_eq!(first, "{\"kept\":1}");
        let (once, again) = rest.split_at(rest.len() / 2);
        assert_eq!(once, again);
        expect![[r#"
            {"topic":"plays","partition":3,"offset":5,"timestamp":1000,"key":"ada","value":"not JSON","headers":[{"name":"a","value":"hi"},{"name":"b","value":null}],"stage":"decode","code":"bad_json","reason":"message 0\nis bad","write_time":1000000,"plugin":{"name":"spotify","version":"0.1.0","digest":"ab12"}}
            {"topic":"plays","partition":3,"offset":6,"timestamp":1000,"key":null,"value_base64":"/wA=","headers":[],"stage":"decode","code":"bad_json","reason":"message 1\nis bad","write_time":1000000,"plugin":{"name":"spotify","version":"0.1.0","digest":"ab12"}}
            {"topic":"plays","partition":3,"offset":9,"timestamp":1000,"key_base64":"/g==","value":null,"headers":[],"stage":"decode","code":"bad_json","reason":"message 2\nis bad","write_time":1000000,"plugin":{"name":"spotify","version":"0.1.0","digest":"ab12"}}
        "#]]
        .assert_eq(once);
    }
}
