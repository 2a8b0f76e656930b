//! What the documents say.

use super::{Finding, Tree};

pub(super) fn links(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| path.ends_with(".md")) {
        for (number, line) in (1..).zip(text.lines()) {
            for target in line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next())
            {
                let (file, heading) = target.split_once('#').unwrap_or((target, ""));
                if file.contains("://") {
                    continue;
                }
                if !file.is_empty() && !leads(tree, path, file) {
                    found.push(Finding::new(path, number, format!("there is no `{file}`")));
                }
                let page = if file.is_empty() {
                    path
                } else {
                    &place(path, file)
                };
                let text = tree.get(page).filter(|_| page.ends_with(".md"));
                if !heading.is_empty() && text.is_some_and(|text| !has_heading(text, heading)) {
                    found.push(Finding::new(
                        path,
                        number,
                        format!("`{target}` is no heading"),
                    ));
                }
            }
        }
    }
    found
}

/// Whether a document has a heading that a link's last part means: in lower case, with dashes for spaces.
fn has_heading(text: &str, meant: &str) -> bool {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| {
            let title = line
                .trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace(' ', "-");
            let kept = title
                .chars()
                .filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter));
            kept.eq(meant.chars())
        })
}

/// Whether a link of the document at `path` leads to a file or a folder.
fn leads(tree: &Tree, path: &str, link: &str) -> bool {
    let target = place(path, link);
    tree.keys().any(|file| {
        let below = file.strip_prefix(&target);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    })
}

/// Where a link of the document at `path` leads, from the root.
fn place(path: &str, link: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in link.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Promises are points of a list: `**P1** ...`, and after that `*Held by*` with the names of tests and the
/// rows of `proof/faults`.
pub(super) fn promises(tree: &Tree) -> Vec<Finding> {
    const PAGE: &str = "docs/operating.md";
    let page = tree.get(PAGE).map_or("", String::as_str);
    let rows = tree.get("proof/faults").map_or("", String::as_str);
    let is_test = |name: &str| {
        let function = format!("fn {name}(");
        let mut code = tree.iter().filter(|(path, _)| path.ends_with(".rs"));
        code.any(|(_, text)| text.contains(&function))
    };
    let mut found = Vec::new();
    for promise in page
        .split("\n- **P")
        .skip(1)
        .chain(page.strip_prefix("- **P"))
    {
        let promise = promise.split("\n\n").next().unwrap_or(promise);
        let promise = promise.split("\n- ").next().unwrap_or(promise);
        let number = promise.split("**").next().unwrap_or(promise);
        let mut complain = |what: String| found.push(Finding::new(PAGE, 0, what));
        let Some((_, holds)) = promise.split_once("*Held by*") else {
            complain(format!("nothing holds P{number}"));
            continue;
        };
        for (index, part) in holds.split('`').enumerate() {
            if index % 2 == 1 && !is_test(part) {
                complain(format!("P{number}: there is no test `{part}`"));
            }
            let words = part.split(|c: char| !c.is_ascii_alphanumeric());
            let named = words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
            for row in named.filter(|_| index % 2 == 0) {
                if !rows.contains(&format!("\"{row}\": (")) {
                    complain(format!("P{number}: there is no row {row} in proof/faults"));
                }
            }
        }
    }
    found
}

/// The commands of the documents' examples: lines of fenced blocks that call the host.
pub(super) fn commands(tree: &Tree) -> Vec<(Finding, Vec<String>)> {
    let mut found = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| path.ends_with(".md")) {
        let mut is_fenced = false;
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim_start().starts_with("```") {
                is_fenced = !is_fenced;
            }
            let is_example = is_fenced || line.starts_with("    ");
            let line = line.trim_start().trim_start_matches("$ ");
            let arguments = ["host ", "target/release/host ", "cargo run --release -- "]
                .iter()
                .find_map(|program| line.strip_prefix(program));
            if let Some(arguments) = arguments.filter(|_| is_example) {
                let arguments = arguments.split(" #").next().unwrap_or(arguments);
                let words = arguments.split_whitespace().map(str::to_owned).collect();
                found.push((Finding::new(path, number, line), words));
            }
        }
    }
    found
}

#[test]
fn commands_are_found_in_examples_only() {
    let text = "Use `host demo`.\nhost is a word\n```\n$ host demo --count 5   # five\nhost query spotify\n```\n\n    host inspect a.wasm\n";
    let tree = Tree::from([("README.md".to_owned(), text.to_owned())]);
    let found: Vec<String> = commands(&tree)
        .iter()
        .map(|(_, words)| words.join(" "))
        .collect();
    assert_eq!(found, ["demo --count 5", "query spotify", "inspect a.wasm"]);
}
