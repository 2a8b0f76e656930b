//! What files there are, and how long.

use super::{Finding, Tree, text};

pub(super) const LINES_MAX: usize = 400;

/// Folders below `plugins/` that are no pipelines.
const NOT_PIPELINES: [&str; 3] = ["sdk", "bundled", "languages"];

pub(super) fn lengths(tree: &Tree) -> Vec<Finding> {
    let written = |path: &str| {
        let endings = [".rs", ".wit", ".py", ".toml", ".cql", ".sh"];
        let scripts = [
            "services/services",
            "proof/spine",
            "proof/pipelines",
            "languages/check",
            ".ci/run",
        ];
        let is_script = scripts.contains(&path);
        is_script || endings.iter().any(|ending| path.ends_with(ending))
    };
    let files = tree.iter().filter(|(path, _)| written(path));
    let lengths = files.map(|(path, text)| (path, text.lines().count()));
    let long = lengths.filter(|(_, lines)| *lines > LINES_MAX);
    long.map(|(path, lines)| Finding::new(path, LINES_MAX, format!("it has {lines} lines")))
        .collect()
}

pub(super) fn orphans(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for path in tree.keys().filter(|path| path.ends_with(".rs")) {
        let Some((folder, file)) = path.rsplit_once('/') else {
            continue;
        };
        let is_root = ["lib.rs", "main.rs", "build.rs", "mod.rs"].contains(&file);
        let is_program = ["/benches", "/examples", "/tests"]
            .iter()
            .any(|kind| folder.ends_with(kind));
        if is_root || is_program {
            continue;
        }
        let name = file.trim_end_matches(".rs");
        let parents = [
            format!("{folder}.rs"),
            format!("{folder}/lib.rs"),
            format!("{folder}/main.rs"),
        ];
        let names_it = |parent: &String| {
            let code = text::code(tree.get(parent)?);
            let words: Vec<&str> = text::words(&code).map(|(_, word)| word).collect();
            Some(words.windows(2).any(|pair| pair == ["mod", name]))
        };
        if !parents.iter().filter_map(names_it).any(|is_named| is_named) {
            found.push(Finding::new(
                path,
                0,
                format!("no parent says `mod {name};`"),
            ));
        }
    }
    found
}

pub(super) fn mod_files(tree: &Tree) -> Vec<Finding> {
    let files = tree.keys().filter(|path| path.ends_with("/mod.rs"));
    files
        .map(|path| Finding::new(path, 0, "name it as its folder, beside it"))
        .collect()
}

pub(super) fn pipelines(tree: &Tree) -> Vec<Finding> {
    let folders = tree.keys().filter_map(|path| {
        let (name, _) = path.strip_prefix("plugins/")?.split_once('/')?;
        (!NOT_PIPELINES.contains(&name)).then_some(name)
    });
    let mut names: Vec<&str> = folders.collect();
    names.dedup();
    let mut found = Vec::new();
    for name in names {
        let own = [
            "Cargo.toml",
            "pipeline.toml",
            "src/lib.rs",
            "samples.jsonl",
            "golden.txt",
        ];
        let own = own.map(|file| format!("plugins/{name}/{file}"));
        let tables =
            ["schema.cql", "queries.cql", "answers.txt"].map(|file| format!("cql/{name}/{file}"));
        for path in own
            .iter()
            .chain(&tables)
            .filter(|path| !tree.contains_key(*path))
        {
            found.push(Finding::new(path, 0, "it is missing"));
        }
        let members = tree.get("Cargo.toml").map_or("", String::as_str);
        if !members.contains(&format!("\"plugins/{name}\"")) {
            found.push(Finding::new(
                "Cargo.toml",
                0,
                format!("plugins/{name} is no member"),
            ));
        }
    }
    found
}
