//! A message that kills the process, again and again.
#![cfg(feature = "failpoints")]

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::contract::module;
use crate::support::host;

/// The tenth of twenty messages ends the process when it is in the plugin.
fn run(folder: &Path, plugin: &str) -> Output {
    let mut host = host();
    host.current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("FAILPOINTS", "apply-0-9=return")
        .args([
            "--source",
            "messages",
            "--sink",
            "sqlite:out",
            "--plugin",
            plugin,
        ]);
    host.output().unwrap()
}

#[test]
fn a_message_that_kills_the_process_becomes_a_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    // The same but for its digest: an empty section at its end.
    let mended = [module(), &[0, 2, 1, b'x']].concat();
    for (name, bytes) in [("plugin", module()), ("mended", &mended)] {
        let config = format!(
            "name = \"misbehaving\"\ntopic = \"faults\"\nschema = \"schema.cql\"\n\
             [plugin]\npath = \"{name}.wasm\"\n[cassandra]\nkeyspace = \"k\"\n"
        );
        fs::create_dir(folder.path().join(name)).unwrap();
        write(&format!("{name}/pipeline.toml"), config.as_bytes());
        write(&format!("{name}/{name}.wasm"), bytes);
        write(
            &format!("{name}/schema.cql"),
            b"CREATE TABLE k.facts (id text PRIMARY KEY, number int, note text);\n\
              CREATE TABLE k.others (id text PRIMARY KEY, number int);\n",
        );
    }
    let messages = (0..20).map(|number| format!("fact {number}\n"));
    write("messages", messages.collect::<String>().as_bytes());

    // Three times among others, which condemns nobody; then three times alone.
    for death in 0..6 {
        let output = run(folder.path(), "plugin/plugin.wasm");
        assert_eq!(output.status.code(), None, "death {death}: {output:?}");
    }
    let output = run(folder.path(), "plugin/plugin.wasm");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let conservation = "in 20 = written 19 + filtered 0 + dead letters 1 + pending 0";
    assert!(said.contains(conservation), "{said}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("taken one by one"), "{said}");
    let letters = fs::read_to_string(folder.path().join("out/dead-letters.jsonl")).unwrap();
    let letter: serde_json::Value = serde_json::from_str(letters.trim()).unwrap();
    let told = (letter["offset"].as_i64(), letter["code"].as_str());
    assert_eq!(told, (Some(9), Some("host_crash")), "{letters}");

    // A plugin that was mended meets it again.
    let output = run(folder.path(), "mended/mended.wasm");
    assert_eq!(output.status.code(), None, "{output:?}");
}
