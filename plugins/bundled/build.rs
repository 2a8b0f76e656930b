//! Finds the pipelines, builds their plugins for WebAssembly and writes down where all of it is; so too for
//! what a new plugin begins with, in each language.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const WASM: &str = "wasm32-unknown-unknown";

/// What tells the outer build how to compile: none of it is meant for the plugins.
const NOT_INHERITED: [&str; 5] = [
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

fn main() -> ExitCode {
    let Err(error) = bundle() else {
        return ExitCode::SUCCESS;
    };
    for line in error.to_string().lines() {
        println!("cargo::error={line}");
    }
    ExitCode::FAILURE
}

fn bundle() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .ok_or("this crate is not where it belongs, in plugins/bundled")?;
    for input in [
        "plugins",
        "languages",
        "wit",
        "cql",
        "data",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        // Relative, so that another clone that shares the target directory is not taken for this one.
        println!("cargo::rerun-if-changed=../../{input}");
    }
    let folders = pipelines(&root.join("plugins"))?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let modules = build(root, &folders, &target_dir(&out).join("plugins"))?;
    let mut text =
        String::from("/// All of them, by name.\npub const PIPELINES: &[Pipeline] = &[\n");
    for folder in &folders {
        text += &entry(folder, &modules, &out)?;
    }
    text += "];\n";
    fs::write(out.join("pipelines.rs"), text)?;
    fs::write(
        out.join("languages.rs"),
        languages(&root.join("languages"), &out)?,
    )?;
    Ok(())
}

/// What a new plugin begins with, as constants: a folder with a `scaffold` is a language.
fn languages(root: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root)? {
        let folder = entry?.path();
        if folder.join("scaffold").is_dir() {
            names.push(name(&folder)?.to_owned());
        }
    }
    names.sort();
    let mut text =
        String::from("/// All of them, by name.\npub const LANGUAGES: &[Language] = &[\n");
    for language in &names {
        let files = embedded(language, &root.join(language).join("scaffold"), out)?;
        let spelled = spelled(&root.join(language).join("README.md"))?;
        writeln!(
            text,
            "    Language {{ name: {language:?}, spelled: {spelled:?}, files: {files} }},"
        )?;
    }
    text += "];\n";
    for (constant, about, folder) in [
        ("PLUGIN", "What every new plugin has", "scaffold"),
        ("PIPELINE", "What else a pipeline has", "pipeline"),
    ] {
        let files = embedded(folder, &root.join(folder), out)?;
        writeln!(
            text,
            "/// {about}.\npub const {constant}: &[File] = {files};"
        )?;
    }
    Ok(text)
}

/// How a language is spelled: as the first line of its page has it.
fn spelled(page: &Path) -> Result<String, Box<dyn Error>> {
    let text = fs::read_to_string(page).map_err(|error| format!("{}: {error}", page.display()))?;
    let spelled = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("# A plugin in "));
    let spelled =
        spelled.ok_or_else(|| format!("{} does not begin with its language", page.display()))?;
    Ok(spelled.to_owned())
}

/// The files of a folder and of those in it, links followed, as a constant: their paths and texts.
fn embedded(prefix: &str, folder: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if !path.is_dir() {
                files.push(path);
            } else if !is_built(&path) {
                folders.push(path);
            }
        }
    }
    files.sort();
    let mut text = String::from("&[\n");
    for file in files {
        let path = file.strip_prefix(folder)?.to_str();
        let path = path.ok_or_else(|| format!("{}: no text", file.display()))?;
        let copy = copied(
            &file,
            &out.join(format!("{prefix}.{}", path.replace('/', "."))),
        )?;
        writeln!(text, "        ({path:?}, include_str!({copy:?})),")?;
    }
    Ok(text + "    ]")
}

/// Whether a folder of a scaffold holds what a build makes, or what a package client fetches.
fn is_built(folder: &Path) -> bool {
    let names = [
        "target",
        "build",
        "node_modules",
        ".venv",
        ".zig-cache",
        "__pycache__",
    ];
    names.iter().any(|name| folder.ends_with(name))
}

/// The folders with a pipeline in them, by name.
fn pipelines(plugins: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(plugins)? {
        let folder = entry?.path();
        if folder.join("pipeline.toml").is_file() {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

/// The outer build's target directory: cargo marks it, wherever it is.
fn target_dir(out: &Path) -> &Path {
    let is_marked = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
    out.ancestors().find(is_marked).unwrap_or(out)
}

/// Builds the plugins, in a target directory of their own: cargo holds a lock on the outer one
/// until this script is done. Returns the folder that the modules are in.
fn build(root: &Path, folders: &[PathBuf], target: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let sysroot = Command::new(env::var("RUSTC")?)
        .args(["--print", "target-libdir", "--target", WASM])
        .output()?;
    if !Path::new(String::from_utf8(sysroot.stdout)?.trim()).is_dir() {
        return Err(format!(
            "the plugins are built for {WASM}, which this toolchain does not have yet: run\n\
             rustup target add {WASM}"
        )
        .into());
    }
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo.current_dir(root);
    cargo.args(["build", "--locked", "--profile", "plugin", "--target", WASM]);
    cargo.arg("--target-dir").arg(target);
    for folder in folders {
        cargo.arg("--package").arg(name(folder)?);
    }
    for variable in NOT_INHERITED {
        cargo.env_remove(variable);
    }
    let output = cargo.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the plugins do not build:\n{said}").into());
    }
    Ok(target.join(WASM).join("plugin"))
}

/// A pipeline's name: its folder's, which its package shares.
fn name(folder: &Path) -> Result<&str, Box<dyn Error>> {
    let name = folder.file_name().and_then(|name| name.to_str());
    Ok(name.ok_or("a pipeline's folder has a name of [a-z0-9-]")?)
}

/// A pipeline as an element of the constant.
fn entry(folder: &Path, modules: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let name = name(folder)?;
    let config = folder.join("pipeline.toml");
    let parsed: toml::Table = fs::read_to_string(&config)?
        .parse()
        .map_err(|error| format!("{}: {error}", config.display()))?;
    // As the host finds it: where the key leads, else beside the file.
    let beside = |key: &str| {
        let path = parsed.get(key).and_then(toml::Value::as_str);
        path.map_or_else(
            || folder.join(format!("{key}.cql")),
            |path| folder.join(path),
        )
    };
    let mut text = format!("    Pipeline {{\n        name: {name:?},\n");
    for (field, include, path) in [
        (
            "module",
            "include_bytes",
            modules.join(format!("{}.wasm", name.replace('-', "_"))),
        ),
        ("config", "include_str", config.clone()),
        ("schema", "include_str", beside("schema")),
        ("queries", "include_str", beside("queries")),
        ("samples", "include_bytes", folder.join("samples.jsonl")),
    ] {
        let copy = copied(&path, &out.join(format!("{name}.{field}")))?;
        writeln!(text, "        {field}: {include}!({copy:?}),")?;
    }
    let lookups = parsed.get("lookups").and_then(toml::Value::as_table);
    let produce = parsed.get("produce");
    let lists = produce.and_then(|section| section.get("lists")?.as_table());
    for (field, files) in [("lookups", lookups), ("lists", lists)] {
        writeln!(text, "        {field}: &[")?;
        for (file, options) in files.into_iter().flatten() {
            let path = options.get("path").and_then(toml::Value::as_str);
            let path = path.ok_or_else(|| format!("{}: {file} has no path", config.display()))?;
            let copy = out.join(format!("{name}.{field}.{file}"));
            let copy = copied(&folder.join(path), &copy)?;
            writeln!(text, "            ({file:?}, include_bytes!({copy:?})),")?;
        }
        text += "        ],\n";
    }
    text += "    },\n";
    Ok(text)
}

/// A copy of a file: what is embedded is what this script has seen, whatever happens to the file.
fn copied(from: &Path, to: &Path) -> Result<PathBuf, Box<dyn Error>> {
    fs::copy(from, to).map_err(|error| format!("{}: {error}", from.display()))?;
    Ok(to.to_path_buf())
}
