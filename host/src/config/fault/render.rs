//! Faults as text: the line of the file, the place in it, and what to do.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::{At, Fault};
use crate::config::document::{Document, Origin};
use crate::config::reads::secret_in;

/// All faults of a document, in the order of their places; those without a line in it come last.
pub(in crate::config) fn render(document: &Document, mut faults: Vec<Fault>) -> String {
    let place = |fault: &Fault| match document.origin(&fault.path) {
        Some(Origin::File { key, value }) => match fault.at {
            At::Key => Some(key.clone()),
            At::Value => Some(value.clone()),
        },
        Some(Origin::Name(_) | Origin::Default) | None => None,
    };
    faults.sort_by_key(|fault| place(fault).map_or(usize::MAX, |place| place.start));
    let source = masked(document);
    let texts = faults.iter().map(|fault| {
        let what = match document.origin(&fault.path) {
            Some(Origin::Name(name)) => format!("{name}: {}", fault.what),
            Some(Origin::File { .. } | Origin::Default) => fault.what.clone(),
            None => format!("{}: {}", document.name, fault.what),
        };
        one(
            &document.name,
            &source,
            &what,
            place(fault),
            fault.help.as_deref(),
        )
    });
    joined(texts)
}

/// What the parser says of a text that is no TOML.
pub(in crate::config) fn render_torn(
    document: &Document,
    errors: Vec<(String, Option<Range<usize>>)>,
) -> String {
    let source = masked(document);
    let texts = errors.into_iter().map(|(what, place)| {
        let place = place.unwrap_or(0..0);
        one(&document.name, &source, &what, Some(place), None)
    });
    joined(texts)
}

/// The first of them follows the word `error: ` of whoever prints it.
fn joined(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join("\n\nerror: ")
}

fn one(
    name: &str,
    source: &str,
    what: &str,
    place: Option<Range<usize>>,
    help: Option<&str>,
) -> String {
    let Some(place) = place else {
        let help = help.map(|help| format!("\n  = help: {}", help.replace('\n', "\n          ")));
        return format!("{what}{}", help.unwrap_or_default());
    };
    let place = AnnotationKind::Primary.span(place);
    let snippet = Snippet::source(source).path(name).annotation(place);
    let title = Level::ERROR.no_name().primary_title(what);
    let help = help.map(|help| Level::HELP.message(help));
    Renderer::plain().render(&[title.element(snippet).elements(help)])
}

/// The document's text with secrets blanked out, byte for byte, so that places stay what they are.
fn masked(document: &Document) -> String {
    let mut text = document.text.clone().into_bytes();
    for place in document.secrets() {
        blank(&mut text[place]);
    }
    // Of a torn file not every key is known: there the lines tell.
    let is_torn = document.table.is_empty();
    let mut start = 0;
    for line in document.text.split_inclusive('\n').filter(|_| is_torn) {
        if let Some(end) = secret_in(line) {
            let value = line[end..].find('=').map_or(end, |equals| end + equals + 1);
            blank(&mut text[start + value..start + line.len()]);
        }
        start += line.len();
    }
    String::from_utf8(text).expect("whole values become asterisks")
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| !byte.is_ascii_whitespace()) {
        *byte = b'*';
    }
}
