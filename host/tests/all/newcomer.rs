//! The steps of `docs/carrying-a-pipeline.md`, as a newcomer types them: in a copy of the project, each
//! block of commands in its turn, with the binary as it is now.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::host;

/// As many steps as a newcomer is asked to take.
const STEPS_MAX: usize = 8;

/// What a copy of the project needs.
const COPIED: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "cql",
    "data",
    "host",
    "languages",
    "plugins",
    "wit",
];
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A block of commands, and what its output must have in it.
struct Block {
    commands: String,
    shown: String,
}

/// The blocks of the page, and how many steps they are.
fn blocks(page: &str) -> (usize, Vec<Block>) {
    let steps = (1..)
        .take_while(|step| page.contains(&format!("\n**{step}. ")))
        .count();
    let mut blocks: Vec<Block> = Vec::new();
    for fenced in page.split("\n```").skip(1).step_by(2) {
        let (language, text) = fenced.split_once('\n').expect("a block has lines");
        match (language, blocks.last_mut()) {
            ("sh", _) => blocks.push(Block {
                commands: text.to_owned(),
                shown: String::new(),
            }),
            ("text", Some(block)) => text.clone_into(&mut block.shown),
            (other, _) => panic!("the page has a block of {other:?}"),
        }
    }
    (steps, blocks)
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// All files below a folder, but for what is built.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_path_buf();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_newcomer_writes_a_pipeline_in_a_few_steps() {
    let page = fs::read_to_string(format!("{ROOT}/docs/carrying-a-pipeline.md")).unwrap();
    let (steps, blocks) = blocks(&page);
    assert!((1..=STEPS_MAX).contains(&steps), "{steps} steps");
    let scratch = tempfile::tempdir().unwrap();
    let project = scratch.path().join("sluice");
    fs::create_dir(&project).unwrap();
    for name in COPIED {
        copy(&Path::new(ROOT).join(name), &project.join(name));
    }
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("newcomer");
    fs::create_dir_all(&built).unwrap();
    std::os::unix::fs::symlink(&built, project.join("target")).unwrap();
    let before = files(&project);
    for block in blocks {
        let said = type_in(&project, &block.commands);
        assert!(
            said.contains(&block.shown),
            "it should show\n{}\nbut shows\n{said}",
            block.shown
        );
    }
    only_its_own_files_changed(&before, &files(&project));
    let carried = type_in(&project, "cargo test --package sluice-bundled");
    assert!(
        carried.contains("every_pipeline_is_whole ... ok"),
        "{carried}"
    );
    the_carried_are_built_alike(&project);
}

/// A pipeline that the host carries is built in its folder, too, into a file that is whole.
fn the_carried_are_built_alike(project: &Path) {
    let said = type_in(
        project,
        "host build plugins/spotify; mkdir alone; cd alone\ncp ../plugins/spotify/spotify.wasm x.wasm\n\
         host test x.wasm; host demo x.wasm --count 100",
    );
    for words in [
        "spotify 0.1.0",
        "samples.jsonl in x.wasm gives what golden.txt in x.wasm says",
        "in 100 = written ",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let of = |name: &str| {
        let text = fs::read_to_string(format!("{ROOT}/plugins/{name}/pipeline.toml")).unwrap();
        let config: toml::Table = text.parse().unwrap();
        config["build"].clone()
    };
    for pipeline in sluice_bundled::PIPELINES {
        let (build, own) = (of(pipeline.name), pipeline.name.replace('-', "_"));
        assert_eq!(build["commands"], of("spotify")["commands"]);
        let output = build["output"].as_str().unwrap();
        assert!(output.ends_with(&format!("/plugin/{own}.wasm")), "{output}");
    }
}

/// Runs commands as typed, one after another; all must succeed.
fn type_in(project: &Path, commands: &str) -> String {
    let host = host();
    let folder = Path::new(host.get_program()).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &format!("exec 2>&1\n{commands}")]);
    shell.current_dir(project).env("PATH", path);
    for (name, value) in host.get_envs() {
        shell.env(name, value.unwrap());
    }
    for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        shell.env_remove(name);
    }
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{commands}\nsays\n{said}");
    said
}

/// A new pipeline is its own folders, and a line among the members.
fn only_its_own_files_changed(
    before: &BTreeMap<PathBuf, Vec<u8>>,
    after: &BTreeMap<PathBuf, Vec<u8>>,
) {
    for (name, old) in before {
        assert!(after.contains_key(name), "{} is gone", name.display());
        let may_change = ["Cargo.toml", "Cargo.lock"]
            .iter()
            .any(|own| name == Path::new(own));
        assert!(
            may_change || after[name] == *old,
            "{} is changed",
            name.display()
        );
    }
    let lines = |files: &BTreeMap<PathBuf, Vec<u8>>| {
        let text = String::from_utf8(files[Path::new("Cargo.toml")].clone()).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (old, new) = (lines(before), lines(after));
    let added: Vec<_> = new.iter().filter(|line| !old.contains(line)).collect();
    assert!(old.iter().all(|line| new.contains(line)), "{new:?}");
    assert!(
        added.len() == 1 && added[0].contains("plugins/runs"),
        "{added:?}"
    );
    let own = ["plugins/runs/", "cql/runs/", "sluice-demo/"];
    for name in after.keys().filter(|name| !before.contains_key(*name)) {
        let is_own = own.iter().any(|folder| name.starts_with(folder));
        assert!(is_own, "{} is new", name.display());
    }
}
