//! The words of CQL text: enough to read schemas and queries, not a parser of the language.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword, a name or a number.
    Word,
    /// A name between double quotes.
    Quoted,
    /// A text between single quotes.
    Text,
    /// `:name`, which stands for a value.
    Parameter,
    /// Any other character.
    Symbol,
}

/// A piece of CQL and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    pub(crate) at: Range<usize>,
}

impl Token<'_> {
    /// Whether it is this keyword, which is written in capitals here.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        match self.kind {
            Kind::Word | Kind::Symbol => self.text.eq_ignore_ascii_case(keyword),
            Kind::Quoted | Kind::Text | Kind::Parameter => false,
        }
    }

    /// The name it stands for: what is not quoted is lower case.
    pub(crate) fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text.to_ascii_lowercase()),
            Kind::Quoted => Some(self.text[1..self.text.len() - 1].replace("\"\"", "\"")),
            Kind::Text | Kind::Parameter | Kind::Symbol => None,
        }
    }
}

/// The line of a place in a text, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at]
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count()
        + 1
}

/// Splits a text into tokens, without blanks and comments.
///
/// Fails with where a quote or comment begins that does not end.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token<'_>>, usize> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if rest.starts_with("--") || rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        if let Some(comment) = rest.strip_prefix("/*") {
            at += 4 + comment.find("*/").ok_or(at)?;
            continue;
        }
        let (kind, length) = match first {
            '\'' => (Kind::Text, quoted(rest, '\'').ok_or(at)?),
            '"' => (Kind::Quoted, quoted(rest, '"').ok_or(at)?),
            ':' if word(&rest[1..]) > 0 => (Kind::Parameter, 1 + word(&rest[1..])),
            _ if word(rest) > 0 => (Kind::Word, word(rest)),
            _ => (Kind::Symbol, first.len_utf8()),
        };
        tokens.push(Token {
            kind,
            text: &rest[..length],
            at: at..at + length,
        });
        at += length;
    }
    Ok(tokens)
}

fn word(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len())
}

/// The length of a quoted piece at the start of a text; a doubled quote does not end it.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut rest = 1;
    loop {
        let end = rest + text[rest..].find(quote)? + 1;
        if !text[end..].starts_with(quote) {
            return Some(end);
        }
        rest = end + 1;
    }
}

/// A name as CQL and SQL both take it, whatever it is.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fall_into_tokens() {
        let check = |text: &str, expected: &[&str]| {
            let tokens = tokens(text).unwrap();
            assert_eq!(
                tokens.iter().map(|token| token.text).collect::<Vec<_>>(),
                expected
            );
        };
        check(
            "a.b >= :from -- c\n;",
            &["a", ".", "b", ">", "=", ":from", ";"],
        );
        check("{'a': 'it''s'} // x", &["{", "'a'", ":", "'it''s'", "}"]);
        check("/* a\n'b */ \"C \"\"d\" ü", &["\"C \"\"d\"", "ü"]);
        assert_eq!(tokens("a 'b"), Err(2));
        assert_eq!(tokens("a /* b"), Err(2));
        assert_eq!(tokens("A \"B\"\"c\"").unwrap()[1].name().unwrap(), "B\"c");
    }
}
