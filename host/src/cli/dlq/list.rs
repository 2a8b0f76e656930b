//! `host dlq ls` and `host dlq show`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::json;

use super::Place;
use crate::cli::show as print;
use crate::message::headers;
use crate::source::letters::Letter;
use crate::telemetry::grouped;

/// What `host dlq ls` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Ls {
    #[command(flatten)]
    place: Place,
    /// Only those with this code
    #[arg(long)]
    code: Option<String>,
    /// How many get a line; all are counted
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// What `host dlq show` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    #[command(flatten)]
    place: Place,
    /// The message, as `ls` names it; the topic may be left out
    #[arg(value_name = "[TOPIC/]PARTITION/OFFSET", value_parser = position)]
    message: Position,
}

/// Which message a letter was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Position {
    pub(in crate::cli) topic: Option<String>,
    pub(in crate::cli) partition: i32,
    pub(in crate::cli) offset: i64,
}

pub(in crate::cli) fn position(text: &str) -> Result<Position, String> {
    let mut parts = text.rsplitn(3, '/');
    let offset = parts.next().and_then(|part| part.parse().ok());
    let partition = parts.next().and_then(|part| part.parse().ok());
    let (Some(partition), Some(offset)) = (partition, offset) else {
        return Err("expected [TOPIC/]PARTITION/OFFSET".to_owned());
    };
    Ok(Position {
        topic: parts.next().map(str::to_owned),
        partition,
        offset,
    })
}

/// Counts letters by code, and shows a line of each.
pub(super) fn ls(args: &Ls) -> anyhow::Result<ExitCode> {
    let found = args.place.found()?;
    let wanted = Place::wanted(&found, args.code.as_ref())?;
    let mut store = args.place.read(&found)?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut shown: Vec<Letter> = Vec::new();
    let (mut redriven, mut others) = (0, 0);
    while let Some(entry) = store.next()? {
        match wanted.of(&entry) {
            Some(letter) => {
                *counts.entry(letter.code.clone()).or_default() += 1;
                if shown.len() < args.limit {
                    shown.extend(entry.letter);
                }
            }
            None if entry.is_settled => redriven += 1,
            None => others += 1,
        }
    }
    let all: u64 = counts.values().sum();
    if args.json {
        let letters: Vec<_> = shown.iter().map(object).collect();
        let report = json!({ "letters": all, "codes": counts, "redriven": redriven,
            "others": others, "shown": letters });
        print(&(serde_json::to_string_pretty(&report)? + "\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("{}: {} dead letters", args.place.name(&found), grouped(all));
    for (index, (code, count)) in counts.iter().enumerate() {
        let before = if index == 0 { ": " } else { ", " };
        write!(
            text,
            "{before}{} {}",
            escaped(code.as_bytes()),
            grouped(*count)
        )?;
    }
    text.push('\n');
    text += &lines(&shown);
    let rest = all - shown.len() as u64;
    for (count, what) in [
        (rest, "more; --limit shows them"),
        (redriven, "redriven before"),
        (others, "others: not of this pipeline, or not asked for"),
    ] {
        if count > 0 {
            writeln!(text, "{} {what}", grouped(count))?;
        }
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// What `ls` tells of a letter, in columns.
const HEAD: [&str; 6] = ["message", "code", "stage", "time", "key", "reason"];

/// A line a letter, under a head; nothing without letters.
fn lines(letters: &[Letter]) -> String {
    let cells = letters.iter().map(|letter| {
        let key = letter.key.as_deref();
        [
            place(letter),
            escaped(letter.code.as_bytes()),
            escaped(letter.stage.as_bytes()),
            time(letter.timestamp),
            key.map_or_else(|| "-".to_owned(), |key| short(key, KEY_MAX)),
            short(letter.reason.as_bytes(), REASON_MAX),
        ]
    });
    let cells: Vec<_> = [HEAD.map(str::to_owned)].into_iter().chain(cells).collect();
    if letters.is_empty() {
        return String::new();
    }
    let width = |column: usize| {
        let widths = cells.iter().map(|line| line[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut text = String::new();
    for line in &cells {
        for (cell, width) in line.iter().zip(widths) {
            text += &format!("{cell:width$}  ");
        }
        text += &line[5];
        text.push('\n');
    }
    text
}

fn object(letter: &Letter) -> serde_json::Value {
    json!({
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp": letter.timestamp,
        "key": letter.key.as_deref().map(String::from_utf8_lossy),
        "stage": letter.stage,
        "code": letter.code,
        "reason": letter.reason,
    })
}

/// Shows all of one letter.
pub(super) fn show(args: &Show) -> anyhow::Result<ExitCode> {
    let found = args.place.found()?;
    let mut store = args.place.read(&found)?;
    let asked = &args.message;
    let mut last = None;
    while let Some(entry) = store.next()? {
        let Some(letter) = entry.letter else { continue };
        let is_asked = (letter.partition, letter.offset) == (asked.partition, asked.offset)
            && asked
                .topic
                .as_ref()
                .is_none_or(|topic| *topic == letter.topic);
        if is_asked {
            last = Some((letter, entry.is_settled));
        }
    }
    let place = args.place.name(&found);
    let Some((letter, is_settled)) = last else {
        anyhow::bail!("{place} has no letter of that message; `dlq ls` shows those it has");
    };
    print(&whole(&letter, is_settled))?;
    Ok(ExitCode::SUCCESS)
}

fn whole(letter: &Letter, is_settled: bool) -> String {
    let or_none = |part: Option<&[u8]>| part.map_or_else(|| "(none)".to_owned(), escaped);
    let value = match &letter.left_out {
        Some(size) => format!("(left out: {} bytes)", escaped(size.as_bytes())),
        None => or_none(letter.value.as_deref()),
    };
    let write_time = letter.write_time.map(|time| time.to_string());
    let mut lines = vec![
        ("message", place(letter)),
        ("code", escaped(letter.code.as_bytes())),
        ("reason", escaped(letter.reason.as_bytes())),
        ("stage", escaped(letter.stage.as_bytes())),
        (
            "plugin",
            escaped(format!("{} {} {}", letter.plugin, letter.version, letter.digest).as_bytes()),
        ),
        ("time", time(letter.timestamp)),
        (
            "write time",
            write_time.unwrap_or_else(|| "(none)".to_owned()),
        ),
        ("redriven", if is_settled { "yes" } else { "no" }.to_owned()),
        ("key", or_none(letter.key.as_deref())),
    ];
    for (name, value) in headers(&letter.headers) {
        lines.push((
            "header",
            format!("{}: {}", escaped(name.as_bytes()), or_none(value)),
        ));
    }
    lines.push(("value", value));
    let line = |(name, text): &(&str, String)| format!("{name:11} {text}\n");
    lines.iter().map(line).collect()
}

fn place(letter: &Letter) -> String {
    let topic = escaped(letter.topic.as_bytes());
    format!("{topic}/{}/{}", letter.partition, letter.offset)
}

fn time(milliseconds: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(milliseconds);
    let time = time.ok().filter(|_| milliseconds >= 0);
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

/// The most characters of a key in a line.
const KEY_MAX: usize = 32;
/// The most characters of a reason in a line; `show` has all of it.
const REASON_MAX: usize = 60;

fn short(bytes: &[u8], chars_max: usize) -> String {
    let whole = escaped(bytes);
    match whole.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

/// Bytes that anybody may have sent, so that a terminal shows them and obeys none.
pub(in crate::cli) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' | '\'' => text.push(letter),
                _ => text.extend(letter.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            text += &format!("\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_named_as_it_is_shown() {
        let at = |topic: Option<&str>| {
            Ok(Position {
                topic: topic.map(str::to_owned),
                partition: 3,
                offset: 5,
            })
        };
        assert_eq!(position("3/5"), at(None));
        assert_eq!(position("plays/3/5"), at(Some("plays")));
        assert_eq!(position("a/b/3/5"), at(Some("a/b")));
        for wrong in ["", "5", "plays/5", "plays/3/", "3/x"] {
            assert!(position(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_terminal_is_told_nothing() {
        for (bytes, expected) in [
            (&b"{\"a\": 'b'}"[..], r#"{"a": 'b'}"#),
            (b"\x1b[2J\n\0", r"\u{1b}[2J\n\0"),
            (b"a\xff\xfeb", r"a\xff\xfeb"),
            ("ü\u{202e}\u{9b}".as_bytes(), r"ü\u{202e}\u{9b}"),
        ] {
            assert_eq!(escaped(bytes), expected);
        }
        assert_eq!(short(&[b'k'; 40], 32), format!("{}…", "k".repeat(32)));
    }
}
