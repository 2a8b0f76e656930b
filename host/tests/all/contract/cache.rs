//! Compiled components on disk: found again, by several processes, and made again where they are spoilt.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use host::plugin::{Config, Plugin};

use super::candidates::candidate;
use super::{config, module};
use crate::support;

#[test]
fn a_compiled_component_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("compiled");
    let config = Config {
        cache: Some(cache.clone()),
        ..config()
    };
    let is_compiled = || {
        let plugin = Plugin::load("misbehaving.wasm", module(), &config).unwrap();
        plugin.card().compile_ms.is_some()
    };
    assert!(is_compiled() && !is_compiled());
    // What is spoilt is compiled again, and then found again.
    let file = fs::read_dir(&cache).unwrap().next().unwrap().unwrap();
    let mut bytes = fs::read(file.path()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file.path(), bytes).unwrap();
    assert!(is_compiled() && !is_compiled());
}

/// Three plugins in four processes each, all at once: each process gets its own, and what is left
/// behind is good for the next.
#[test]
fn processes_share_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    let versions = ["1.0.0", "2.0.0", "3.0.0"];
    for version in versions {
        let module = candidate(&format!("version={version}"));
        fs::write(folder.path().join(format!("{version}.wasm")), module).unwrap();
    }
    let all = versions.repeat(4);
    let begun: Vec<_> = all.iter().map(|it| inspect(folder.path(), it)).collect();
    for (version, process) in all.iter().zip(begun) {
        assert_eq!(card(process)["version"], *version);
    }
    let cache = fs::read_dir(folder.path().join("sluice")).unwrap();
    assert_eq!(cache.count(), versions.len(), "something else is left");
    for version in versions {
        let card = card(inspect(folder.path(), version));
        assert!(card["compile_ms"].is_null(), "{version} is compiled again");
    }
}

fn inspect(folder: &Path, version: &str) -> Child {
    let mut host = support::host();
    host.current_dir(folder).env("XDG_CACHE_HOME", folder);
    host.args(["inspect", "--json"])
        .arg(format!("{version}.wasm"));
    // On a busy machine it says that it compiles.
    host.stderr(Stdio::null());
    host.stdout(Stdio::piped()).spawn().unwrap()
}

fn card(process: Child) -> serde_json::Value {
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}
