//! CSV as RFC 4180 has it, taken strictly: what could be read in two ways is refused.
//!
//! A byte order mark, either end of line, commas, quotes and line breaks within quotes are read;
//! empty lines are left out. Every record has as many cells as the first.

use std::ops::Range;

use super::Error;

const COMMA: u8 = b',';
const QUOTE: u8 = b'"';

/// Reads the records of a file one after another.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    at: usize,
    line: usize,
    /// How many cells each record has, once that is known.
    cells: Option<usize>,
    /// The record's cells, one after another, without their quotes.
    unquoted: String,
    ranges: Vec<Range<usize>>,
}

/// One record.
#[derive(Debug)]
pub(super) struct Record<'a> {
    /// The line in which it begins.
    pub(super) line: usize,
    text: &'a str,
    ranges: &'a [Range<usize>],
}

impl<'a> Record<'a> {
    pub(super) fn cell(&self, index: usize) -> &'a str {
        &self.text[self.ranges[index].clone()]
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = &'a str> {
        self.ranges.iter().map(|range| &self.text[range.clone()])
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a str, bytes: &'a [u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            let start = before
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1);
            let reason = format!("byte {} of the line is not UTF-8", before.len() - start + 1);
            Error::Malformed {
                file: file.to_owned(),
                line,
                reason,
            }
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (unquoted, ranges) = (String::new(), vec![]);
        Ok(Self {
            file,
            text,
            at: 0,
            line: 1,
            cells: None,
            unquoted,
            ranges,
        })
    }

    /// Says how many cells each record has.
    pub(super) fn expect_cells(&mut self, cells: usize) {
        self.cells = Some(cells);
    }

    /// The next record; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>, Error> {
        while self.end_line() {}
        if self.at == self.text.len() {
            return Ok(None);
        }
        let line = self.line;
        self.unquoted.clear();
        self.ranges.clear();
        loop {
            let start = self.unquoted.len();
            if self.peek() == Some(QUOTE) {
                self.quoted()?;
            } else {
                self.plain()?;
            }
            self.ranges.push(start..self.unquoted.len());
            if self.peek() == Some(COMMA) {
                self.at += 1;
            } else if self.at == self.text.len() || self.end_line() {
                break;
            } else {
                return Err(self.malformed("there is text after a closing quote"));
            }
        }
        let (found, cells) = (
            self.ranges.len(),
            *self.cells.get_or_insert(self.ranges.len()),
        );
        if found != cells {
            let reason = format!("there are {found} cells, not {cells}");
            return Err(Error::Malformed {
                file: self.file.to_owned(),
                line,
                reason,
            });
        }
        Ok(Some(Record {
            line,
            text: &self.unquoted,
            ranges: &self.ranges,
        }))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes an end of line, if here is one.
    fn end_line(&mut self) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let length = if rest.starts_with(b"\r\n") {
            2
        } else {
            usize::from(rest.starts_with(b"\n"))
        };
        self.at += length;
        self.line += usize::from(length > 0);
        length > 0
    }

    fn plain(&mut self) -> Result<(), Error> {
        let rest = &self.text.as_bytes()[self.at..];
        let end = rest
            .iter()
            .position(|byte| matches!(*byte, COMMA | b'\n' | QUOTE));
        let mut end = end.unwrap_or(rest.len());
        if rest.get(end) == Some(&QUOTE) {
            return Err(self.malformed("there is a quote in a cell that does not begin with one"));
        }
        if rest[..end].ends_with(b"\r") && rest.get(end) != Some(&COMMA) {
            end -= 1; // of CRLF, or the last byte of a file that lost its LF
        }
        self.unquoted.push_str(&self.text[self.at..self.at + end]);
        self.at += end;
        if self.at + 1 == self.text.len() && self.peek() == Some(b'\r') {
            self.at += 1;
        }
        Ok(())
    }

    fn quoted(&mut self) -> Result<(), Error> {
        let line = self.line;
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let Some(end) = rest.find('"') else {
                self.line = line;
                return Err(self.malformed("a quote is opened here and never closed"));
            };
            self.unquoted.push_str(&rest[..end]);
            self.line += rest[..end].bytes().filter(|byte| *byte == b'\n').count();
            self.at += end + 1;
            if self.peek() != Some(QUOTE) {
                return Ok(());
            }
            self.unquoted.push('"');
            self.at += 1;
        }
    }

    fn malformed(&self, reason: &str) -> Error {
        let (file, reason) = (self.file.to_owned(), reason.to_owned());
        Error::Malformed {
            file,
            line: self.line,
            reason,
        }
    }
}
