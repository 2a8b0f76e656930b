//! Words that must not occur.

use super::{Finding, Tree, text};

/// Where the forbidden words themselves are written down.
const OURSELVES: &str = "host/tests/all/tidy";

/// Lines of files for which `what` has something to say.
fn lines(
    tree: &Tree,
    is_in_scope: impl Fn(&str) -> bool,
    read: impl Fn(&str, &str) -> String,
    what: impl Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let files = tree
        .iter()
        .filter(|(path, _)| is_in_scope(path) && !path.starts_with(OURSELVES));
    for (path, whole) in files {
        for (number, line) in (1..).zip(read(path, whole).lines()) {
            found.extend(what(line).map(|what| Finding::new(path, number, what)));
        }
    }
    found
}

fn as_it_is(_: &str, whole: &str) -> String {
    whole.to_owned()
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

pub(super) fn pipelines(tree: &Tree) -> Vec<Finding> {
    let is_host = |path: &str| path.starts_with("host/src/");
    lines(tree, is_host, text::without_tests, |line| {
        let line = line.to_lowercase();
        let word = ["song", "movie"]
            .into_iter()
            .find(|word| line.contains(word))?;
        Some(format!("`{word}` is a pipeline's word"))
    })
}

pub(super) fn host_words(tree: &Tree) -> Vec<Finding> {
    let is_guest = |path: &str| {
        let is_plugin = path.starts_with("plugins/") && path.contains("/src/");
        path.starts_with("wit/") || (is_plugin && !path.starts_with("plugins/bundled/"))
    };
    lines(tree, is_guest, as_it_is, |line| {
        let line = line.to_lowercase();
        if let Some(word) = ["kafka", "cassandra"]
            .into_iter()
            .find(|word| line.contains(word))
        {
            return Some(format!("`{word}` is the host's business"));
        }
        // The cells' encoding has no other name.
        let rest = ["cql-type", "cql_type", "cqltype"]
            .iter()
            .fold(line.clone(), |line, name| line.replace(name, ""));
        let is_encoding = rest.contains("cell") || rest.contains("encod");
        (rest.contains("cql") && !is_encoding)
            .then(|| "`CQL` may only name the cells' encoding".into())
    })
}

pub(super) fn marks(tree: &Tree) -> Vec<Finding> {
    let marks = [
        "TODO",
        "FIXME",
        "XXX",
        "HACK",
        "todo!",
        "unimplemented!",
        "dbg!",
        "#[ignore",
    ];
    let is_ours = |path: &str| !path.ends_with(".lock") && !path.starts_with("data/");
    lines(tree, is_ours, as_it_is, |line| {
        let mark = marks.into_iter().find(|mark| line.contains(mark))?;
        Some(format!("`{mark}` is left over"))
    })
}

pub(super) fn allows(tree: &Tree) -> Vec<Finding> {
    lines(
        tree,
        is_rust,
        |_, whole| text::code(whole),
        |line| {
            let is_allow = line.contains("#[allow") || line.contains("#![allow");
            is_allow.then(|| "use #[expect(.., reason = ..)]".into())
        },
    )
}

/// What a name must not contain: words that say nothing of the thing.
const EMPTY: [&str; 10] = [
    "manager", "managers", "handler", "handlers", "helper", "helpers", "util", "utils", "common",
    "misc",
];
/// What a name must not be.
const ALONE: [&str; 3] = ["data", "process", "new2"];

fn is_banned(name: &str) -> bool {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && snake.ends_with(char::is_lowercase) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    let has_empty = snake.split('_').any(|part| EMPTY.contains(&part));
    has_empty
        || ALONE.contains(&snake.as_str())
        || snake.starts_with("do_")
        || snake.starts_with("process_")
}

pub(super) fn names(tree: &Tree) -> Vec<Finding> {
    const DECLARES: [&str; 13] = [
        "fn",
        "struct",
        "enum",
        "union",
        "trait",
        "mod",
        "type",
        "const",
        "static",
        "let",
        "mut",
        "macro_rules",
        "pub",
    ];
    let mut found = Vec::new();
    for (path, whole) in tree.iter().filter(|(path, _)| is_rust(path)) {
        let file = path
            .rsplit('/')
            .next()
            .unwrap_or(path)
            .trim_end_matches(".rs");
        if is_banned(file) {
            found.push(Finding::new(path, 0, format!("`{file}` says nothing")));
        }
        let code = text::code(whole)
            .replace("pub(crate)", "pub       ")
            .replace("pub(super)", "pub       ");
        let words: Vec<(usize, &str)> = text::words(&code).collect();
        for pair in words.windows(2) {
            let [(_, before), (at, name)] = *pair else {
                continue;
            };
            if DECLARES.contains(&before) && is_banned(name) {
                found.push(Finding::new(
                    path,
                    text::line(&code, at),
                    format!("`{name}` says nothing"),
                ));
            }
        }
    }
    found
}

pub(super) fn sleeps(tree: &Tree) -> Vec<Finding> {
    // Waiting for a condition needs a pause between two looks: there, and only there.
    let is_test = |path: &str| {
        is_rust(path)
            && !path.ends_with("tests/all/support.rs")
            && path != "host/tests/misbehaving-plugin/src/lib.rs"
    };
    lines(
        tree,
        is_test,
        |path, whole| text::tests_only(path, &text::code(whole)),
        |line| {
            let is_sleep = line.contains("sleep(");
            is_sleep.then(|| "wait for a condition, with a bound".into())
        },
    )
}

pub(super) fn servers(tree: &Tree) -> Vec<Finding> {
    let is_elsewhere = |path: &str| is_rust(path) && !path.starts_with("host/tests/");
    lines(tree, is_elsewhere, as_it_is, |line| {
        let is_gate = line.contains("feature = \"servers\"");
        is_gate.then(|| ".ci/run looks for it in host/tests only".into())
    })
}
