//! What the pages of the languages say.

use super::{Finding, Tree};

/// As many commands as lead from a language's page to a plugin that works.
const STEPS_MAX: usize = 8;

/// Where `languages/check --table` writes what a plugin costs in the language.
const PLACE: &str = "\n<!-- languages/check --table -->\n";

/// The page of a language that a plugin can begin in shows the plugin that `host new` writes, and the few
/// commands that lead there; `languages/check` types them in.
pub(super) fn pages(tree: &Tree) -> Vec<Finding> {
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
        if !text.contains(PLACE) {
            complain(format!("it has no {PLACE:?} for what a plugin costs"));
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

/// What a page says that one can call, before its traps, is called by a plugin in that language, which is
/// built and held to its golden rows: those of the carried pipelines are in Rust.
pub(super) fn calls(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for path in tree.keys() {
        let Some(folder) = path.strip_suffix("/scaffold/build.toml") else {
            continue;
        };
        let page = format!("{folder}/README.md");
        let text = tree.get(&page).map_or("", String::as_str);
        let text = text.split("\n## Traps").next().unwrap_or(text);
        let carried = if folder.ends_with("/rust") {
            "plugins/"
        } else {
            folder
        };
        let is_plugin = |path: &str| {
            [folder, carried].iter().any(|own| path.starts_with(*own)) && !path.contains("/sluice.")
        };
        let sources: Vec<&str> = tree
            .iter()
            .filter(|(path, _)| is_plugin(path) && !path.ends_with(".md"))
            .map(|(_, source)| source.as_str())
            .collect();
        let prose = text.split("\n```").step_by(2);
        for span in prose.flat_map(|prose| prose.split('`').skip(1).step_by(2)) {
            let before = span.split('(').rev().skip(1);
            for name in
                before.filter_map(|before| before.split(|c: char| !is_of_name(c)).next_back())
            {
                if !sources
                    .iter()
                    .any(|source| source.contains(&format!("{name}(")))
                {
                    found.push(Finding::new(&page, 0, format!("no plugin calls `{name}`")));
                }
            }
        }
    }
    found
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}
