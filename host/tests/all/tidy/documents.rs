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
                let file = target.split('#').next().unwrap_or(target);
                if file.is_empty() || file.contains("://") || leads(tree, path, file) {
                    continue;
                }
                found.push(Finding::new(path, number, format!("there is no `{file}`")));
            }
        }
    }
    found
}

/// Whether a link of the document at `path` leads to a file or a folder.
fn leads(tree: &Tree, path: &str, link: &str) -> bool {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in link.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." if parts.pop().is_none() => return false,
            ".." => {}
            name => parts.push(name),
        }
    }
    let target = parts.join("/");
    tree.keys().any(|file| {
        let below = file.strip_prefix(&target);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    })
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

/// As many commands as lead from a language's page to a plugin that works.
const STEPS_MAX: usize = 8;

/// The page of a language that a plugin can begin in shows the plugin that `host new` writes, and the few
/// commands that lead there; `languages/check` types them in.
pub(super) fn languages(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, needs) in tree {
        let Some(folder) = path.strip_suffix("/scaffold/build.toml") else {
            continue;
        };
        let page = format!("{folder}/README.md");
        let text = tree.get(&page).map_or("", String::as_str);
        let mut complain = |what: String| found.push(Finding::new(&page, 0, what));
        let begun = format!("{folder}/scaffold/");
        let mut sources = tree
            .iter()
            .filter(|(path, _)| path.starts_with(&begun) && !path.ends_with(".toml"));
        let is_shown = sources.any(|(_, source)| text.contains(&format!("\n{source}```\n")));
        if !is_shown {
            complain(format!("it shows no whole file of {begun}"));
        }
        let (_, console) = text.split_once("\n```console\n").unwrap_or_default();
        let console = console.split("\n```").next().unwrap_or_default();
        let steps: Vec<&str> = console.lines().collect();
        if !(1..=STEPS_MAX).contains(&steps.len()) {
            complain(format!("{} commands, not 1 to {STEPS_MAX}", steps.len()));
        }
        for step in steps.iter().filter(|step| !step.starts_with("$ ")) {
            complain(format!("`{step}` is no command"));
        }
        // What a package client gets, it gets by one of them.
        for text in needs.split('"') {
            let way = ["pip install ", "npm "]
                .iter()
                .find_map(|client| text.find(client));
            let way = way.map_or("", |begin| &text[begin..]);
            let is_step = |step: &&str| step.starts_with(&format!("$ {way}"));
            if !way.is_empty() && !steps.iter().any(is_step) {
                complain(format!("none of its commands is `{way}`"));
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
