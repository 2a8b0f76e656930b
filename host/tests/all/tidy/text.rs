//! Rust's text, as far as the rules must understand it.

/// The text with comments and the insides of literals blanked out, line for line.
pub(super) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_name = out.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            '"' => quoted(rest),
            'r' if !is_name && rest[1..].trim_start_matches('#').starts_with('"') => raw(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let blank = |inside: char| if inside == '\n' { '\n' } else { ' ' };
            out.extend(rest[..length].chars().map(blank));
            rest = &rest[length..];
        }
    }
    out
}

fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, inside) in text.char_indices().skip(1) {
        match inside {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw(text: &str) -> usize {
    let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    let start = 2 + hashes;
    text[start..]
        .find(&end)
        .map_or(text.len(), |at| start + at + end.len())
}

/// The length of a character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut inside = text.char_indices().skip(1);
    match (inside.next(), inside.next()) {
        (Some((_, '\\')), Some(_)) => inside.find(|&(_, c)| c == '\'').map_or(0, |(at, _)| at + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

/// A source file without its unit tests, line for line: those of the file's foot, or all of it.
pub(super) fn without_tests(path: &str, text: &str) -> String {
    let end = tests_start(path, text);
    text[..end].to_owned()
}

/// A source file's unit tests alone, line for line.
pub(super) fn tests_only(path: &str, text: &str) -> String {
    let start = tests_start(path, text);
    let blank = "\n".repeat(text[..start].matches('\n').count());
    blank + &text[start..]
}

fn tests_start(path: &str, text: &str) -> usize {
    if path.ends_with("/tests.rs") || path.contains("/tests/") {
        return 0;
    }
    text.find("#[cfg(test)]\nmod ").unwrap_or(text.len())
}

/// The words of a text: names and keywords, each with its place.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(is_part)?;
        at = text[start..]
            .find(|c| !is_part(c))
            .map_or(text.len(), |end| start + end);
        Some((start, &text[start..at]))
    })
}

/// The number of the line that a place is in.
pub(super) fn line(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[test]
fn code_is_what_is_not_commented_or_quoted() {
    let cases = [
        ("a // b\nc", "a     \nc"),
        ("f(\"x \\\" // y\", z)", "f(           , z)"),
        ("r#\"a\"b\"# c", "         c"),
        ("for 'a' in <'a>", "for     in <'a>"),
        ("'\"' x", "    x"),
        ("b'\\'' y", "b     y"),
        ("/* a\nb */c", "    \n    c"),
        ("number\"a\"", "number   "),
    ];
    for (text, expected) in cases {
        assert_eq!(code(text), expected, "{text}");
    }
}
