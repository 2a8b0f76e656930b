//! A file as a topic: a line is a message, most often its value alone, and its number the offset, in
//! one partition.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::line::Line;
use crate::message::{Batch, Message, NO_TIMESTAMP};
use crate::source::{Change, Error, Limits, Source, Taken};

/// The one partition of a file.
const PARTITION: i32 = 0;

/// How much is read at a time.
const BUFFER: usize = 1 << 18;

/// A file, or standard input, as a source.
pub struct File {
    path: String,
    lines: BufReader<Box<dyn Read + Send>>,
    timestamp: i64,
    offset: i64,
    /// The line that did not fit into the last batch.
    line: Vec<u8>,
    has_line: bool,
    changes: Vec<Change>,
}

/// Opens a file; `-` is standard input. `topic` is what messages speak of it as.
///
/// # Errors
/// When it cannot be read.
pub fn open(path: &Path, topic: &str) -> Result<File, Error> {
    if path == Path::new("-") {
        return Ok(File::new(topic, Box::new(io::stdin()), NO_TIMESTAMP));
    }
    let path_shown = path.display().to_string();
    let fail = |source| Error::File {
        path: path_shown.clone(),
        source,
    };
    let file = fs::File::open(path).map_err(fail)?;
    let modified = file.metadata().and_then(|metadata| {
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        metadata.modified()
    });
    let modified = modified.map_err(fail)?.duration_since(UNIX_EPOCH);
    let timestamp = modified.map_or(0, |since| {
        i64::try_from(since.as_millis()).expect("milliseconds since 1970 are far below 2^63")
    });
    Ok(File::new(&path_shown, Box::new(file), timestamp))
}

impl File {
    fn new(path: &str, bytes: Box<dyn Read + Send>, timestamp: i64) -> Self {
        Self {
            path: path.to_owned(),
            lines: BufReader::with_capacity(BUFFER, bytes),
            timestamp,
            offset: 0,
            line: Vec::new(),
            has_line: false,
            changes: vec![Change::Assigned {
                partition: PARTITION,
                start: 0,
                generation: 0,
                write_time: None,
            }],
        }
    }

    /// Reads the next line, without its end. Whether there is one.
    fn next_line(&mut self) -> Result<bool, Error> {
        if self.has_line {
            return Ok(true);
        }
        self.line.clear();
        let read = self.lines.read_until(b'\n', &mut self.line);
        let length = read.map_err(|source| Error::File {
            path: self.path.clone(),
            source,
        })?;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
        }
        self.has_line = length > 0;
        Ok(self.has_line)
    }

    /// The error for the line that was read.
    fn wrong(&self, reason: &str) -> Error {
        let number = self.offset + 1;
        Error::File {
            path: self.path.clone(),
            source: io::Error::other(format!("line {number}: {reason}")),
        }
    }
}

impl Source for File {
    fn take(&mut self, batch: &mut Batch, limits: Limits, _: Duration) -> Result<Taken, Error> {
        if !self.changes.is_empty() {
            return Ok(Taken::Nothing);
        }
        let before = batch.len();
        while batch.len() < limits.messages_max {
            if !self.next_line()? {
                return Ok(Taken::End);
            }
            let is_full = batch.bytes_len() + self.line.len() > limits.bytes_max;
            if is_full && !batch.is_empty() {
                break;
            }
            let line = Line::read(&self.line).map_err(|reason| self.wrong(&reason))?;
            batch.push(&Message {
                partition: PARTITION,
                offset: self.offset,
                timestamp: line.timestamp.unwrap_or(self.timestamp),
                key: line.key.as_deref(),
                value: line.value.as_deref(),
                headers: &line.headers,
            });
            self.offset += 1;
            self.has_line = false;
        }
        Ok(if batch.len() > before {
            Taken::Some
        } else {
            Taken::Nothing
        })
    }

    fn serve(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn close(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str, limits: Limits) -> (Vec<String>, usize) {
        let mut file = File::new("test", Box::new(io::Cursor::new(text.to_owned())), 7);
        assert_eq!(file.changes().len(), 1);
        let (mut values, mut batches) = (Vec::new(), 0);
        loop {
            let mut batch = Batch::new("test".into());
            let taken = file.take(&mut batch, limits, Duration::ZERO).unwrap();
            batches += usize::from(!batch.is_empty());
            for message in batch.messages() {
                assert_eq!(message.offset, values.len() as i64);
                assert_eq!((message.partition, message.timestamp), (0, 7));
                let value = message.value.unwrap();
                values.push(String::from_utf8(value.to_vec()).unwrap());
            }
            if taken == Taken::End {
                return (values, batches);
            }
        }
    }

    #[test]
    fn a_line_is_a_message() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("\n", &[""]),
            ("a", &["a"]),
            ("a\n", &["a"]),
            ("a\nb", &["a", "b"]),
            ("a\r\nb\r\n", &["a", "b"]),
            ("a\n\nb\n", &["a", "", "b"]),
            ("a\rb\n", &["a\rb"]),
        ];
        for (text, expected) in cases {
            assert_eq!(values(text, Limits::default()).0, *expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_may_be_a_whole_message() {
        let text = "{\"$message\": {\"key\": \"k\", \"timestamp\": 9, \"value\": null}}\nb\n{\"$message\": {}}\n";
        let mut file = File::new("test", Box::new(io::Cursor::new(text)), 7);
        file.changes();
        let mut batch = Batch::new("test".into());
        let error = file.take(&mut batch, Limits::default(), Duration::ZERO);
        let error = error.unwrap_err();
        let found: Vec<_> = batch
            .messages()
            .map(|message| (message.key, message.value, message.timestamp))
            .collect();
        let expected = [(Some(&b"k"[..]), None, 9), (None, Some(&b"b"[..]), 7)];
        assert_eq!(found, expected);
        assert!(!error.is_transient());
        assert!(error.to_string().starts_with("test: line 3: "), "{error}");
    }

    #[test]
    fn batches_close_by_count_and_bytes() {
        let text = "aaaa\nbbbb\ncccc\ndd\n";
        for (messages_max, bytes_max, batches) in
            [(16, 1000, 1), (2, 1000, 2), (16, 8, 2), (9, 1, 4)]
        {
            let limits = Limits {
                messages_max,
                bytes_max,
            };
            let (values, made) = values(text, limits);
            assert_eq!((values.len(), made), (4, batches), "{limits:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for path in ["/nowhere/at.jsonl", "/"] {
            let Err(error) = open(Path::new(path), "topic") else {
                panic!("{path} was opened");
            };
            assert!(error.to_string().starts_with(path), "{error}");
            assert!(!error.is_transient());
        }
    }
}
