//! `host test`: what it says of a pipeline's samples.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::contract::module;
use crate::scaffold::NAMES;
use crate::support::host;

const CONFIG: &str = "name = \"misbehaving\"\ntopic = \"faults\"\n\n[plugin]\npath = \"plugin.wasm\"\n\n\
    [cassandra]\nkeyspace = \"k\"\n\n[rejections]\ndull = \"filter\"\n";
const SCHEMA: &str = "CREATE TABLE k.facts (id text PRIMARY KEY, number int, note text);\n\
    CREATE TABLE k.others (id text PRIMARY KEY, number int);\n";
const SAMPLES: &str = "one\nreject as filter\ntrap\ntwo";
const GOLDEN: &str = "facts\n  id = one\n  number = 7\nfacts\n  id = two\n  number = 7\n\
    line 3 rejected by transform: trap: ";

/// A pipeline's folder, with other files where a case has some.
pub(crate) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("plugin.wasm", module());
    let usual = [
        ("pipeline.toml", CONFIG),
        ("schema.cql", SCHEMA),
        ("samples.jsonl", SAMPLES),
    ];
    for (name, text) in usual.iter().chain(files) {
        write(name, text.as_bytes());
    }
    folder
}

/// What `host test` says of a folder, and its exit code.
fn told(folder: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let mut host = host();
    host.args(["test", "."])
        .args(flags)
        .current_dir(folder)
        .stdin(Stdio::null());
    let output = host.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn what_comes_out_is_kept_and_held_to() {
    let folder = folder(&[]);
    let golden = folder.path().join("golden.txt");
    let (code, said) = told(folder.path(), &[]);
    assert!(
        code == Some(1) && said.contains("--update makes it"),
        "{code:?} {said}"
    );
    let (code, said) = told(folder.path(), &["--update"]);
    assert_eq!(code, Some(0), "{said}");
    let kept = fs::read_to_string(&golden).unwrap();
    assert!(kept.starts_with(GOLDEN), "{kept}");
    assert!(kept.ends_with("filtered dull: 1\n"), "{kept}");
    assert_eq!(told(folder.path(), &[]).0, Some(0));
    fs::write(&golden, kept.replace("number = 7", "number = 8")).unwrap();
    let (code, said) = told(folder.path(), &[]);
    assert_eq!(code, Some(1), "{said}");
    for line in [
        "-  number = 8",
        "+  number = 7",
        "--update keeps what comes out",
    ] {
        assert!(said.contains(line), "{said}\nlacks {line}");
    }
}

#[test]
fn what_cannot_be_tried_says_why() {
    #[track_caller]
    fn check(files: &[(&str, &str)], words: &[&str]) {
        let folder = folder(files);
        let (code, said) = told(folder.path(), &["--update"]);
        assert_ne!(code, Some(0), "{said}");
        for word in words {
            assert!(said.contains(word), "{said}\nlacks {word}");
        }
    }
    check(
        &[("samples.jsonl", "")],
        &["samples.jsonl", "there are no samples"],
    );
    check(
        &[("samples.jsonl", "a\n{\"$message\": {\"valeu\": 1}}")],
        &[
            "samples.jsonl",
            "line 2: `$message` has no `valeu`; did you mean `value`?",
        ],
    );
    check(
        &[("samples.jsonl", "place\nplaces\nplace")],
        &["must not depend", "-  number = 2"],
    );
    check(
        &[("schema.cql", &SCHEMA.replace("number int", "number text"))],
        &["schema.cql", "number"],
    );
    check(
        &[("pipeline.toml", &CONFIG.replace("dull", "dul"))],
        &["the plugin has no code `dul`", "did you mean `dull`?"],
    );
    let other = CONFIG.replace("plugin.wasm", "nothing.wasm");
    check(&[("pipeline.toml", &other)], &["nothing.wasm"]);
}

#[test]
fn a_carried_pipeline_is_tested_where_it_is_made() {
    let mut host = host();
    let output = host.args(["test", "spotify"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("give the folder"),
        "{said}"
    );
}

#[test]
fn a_failure_is_told_with_the_message_that_it_is_due_to() {
    for (samples, begins) in [
        (SAMPLES, "trap on line 3: wasm trap: "),
        (
            "one\nthrow",
            "exception on line 2: thrown in a file, line 7",
        ),
    ] {
        let folder = folder(&[("samples.jsonl", samples)]);
        let (_, said) = told(folder.path(), &["--update"]);
        let told: Vec<_> = said.lines().filter(|it| it.contains(begins)).collect();
        assert_eq!(told.len(), 1, "{said}");
        assert!(
            told[0].contains("ERROR") && told[0].contains("misbehaving"),
            "{said}"
        );
    }
}

/// The configuration of a plugin that rejects nothing.
fn config_of_names() -> String {
    let config = CONFIG.replace("plugin.wasm", "names.wat");
    config.replace("dull = \"filter\"", "")
}

/// What a plugin says reaches its author, and once, however often the samples are tried.
#[test]
fn what_a_plugin_says_is_shown() {
    const SAYS: &str = "(call $write (i32.const 2) (i32.const 0) (i32.const 14)) (local.set $names";
    let import =
        "(module (import \"sluice:plugin/log@0.1.0\" \"write\" (func $write (param i32 i32 i32)))";
    let module = NAMES
        .replacen("(module", import, 1)
        .replacen("(local.set $names", SAYS, 1);
    let folder = folder(&[
        ("names.wat", &module),
        ("pipeline.toml", &config_of_names()),
        (
            "schema.cql",
            "CREATE TABLE k.names (name text PRIMARY KEY);",
        ),
        ("samples.jsonl", "{\"name\": \"Ada\"}\n{\"name\": \"Bob\"}"),
    ]);
    let (code, said) = told(folder.path(), &["--update"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches(" INFO names1.0.0name ").count(), 1, "{said}");
    let mut host = host();
    host.current_dir(folder.path())
        .args(["--plugin", "names.wat", "--config", "pipeline.toml"])
        .args(["--source", "samples.jsonl", "--sink", "sqlite:out"])
        .args(["--admin", "off"])
        .stdin(Stdio::null());
    let said = String::from_utf8(host.output().unwrap().stderr).unwrap();
    assert!(said.contains("\"message\":\"names1.0.0name\""), "{said}");
}

/// A runtime that starts with random numbers does not concern its plugin's author.
#[test]
fn only_a_call_for_chance_is_told() {
    const CALL: &str = "(drop (call $random (i32.const 512) (i32.const 8)))";
    let import = "(module (import \"wasi_snapshot_preview1\" \"random_get\" (func $random (param i32 i32) (result i32)))";
    let begun = format!("(func (export \"_initialize\") {CALL}) (func (export \"transform\")");
    let called = format!("{CALL} (local.set $names");
    for (place, more, is_told) in [
        ("(func (export \"transform\")", &begun, false),
        ("(local.set $names", &called, true),
    ] {
        let module = NAMES
            .replacen("(module", import, 1)
            .replacen(place, more, 1);
        let folder = folder(&[
            ("names.wat", &module),
            ("pipeline.toml", &config_of_names()),
            (
                "schema.cql",
                "CREATE TABLE k.names (name text PRIMARY KEY);",
            ),
            ("samples.jsonl", "{\"name\": \"Ada\"}"),
        ]);
        let (code, said) = told(folder.path(), &["--update"]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said.contains("random numbers"), is_told, "{place}: {said}");
    }
}

/// A plugin that counts messages gives the same rows however they are split, unless they come otherwise.
#[test]
fn what_depends_on_the_calls_before_is_refused() {
    let counted = "(i32.store8 offset=6 (local.get $row) (global.get $seen))
        (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
        (local.set $cell (i32.add";
    let module = NAMES
        .replacen(
            "(module",
            "(module (global $seen (mut i32) (i32.const 65))",
            1,
        )
        .replacen("(local.set $cell (i32.add", counted, 1);
    let folder = folder(&[
        ("names.wat", &module),
        ("pipeline.toml", &config_of_names()),
        (
            "schema.cql",
            "CREATE TABLE k.names (name text PRIMARY KEY);",
        ),
        (
            "samples.jsonl",
            "{\"name\": \"-da\"}\n{\"name\": \"-ob\"}\n",
        ),
    ]);
    let (code, said) = told(folder.path(), &["--update"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nor on the calls before"), "{said}");
}

/// A plugin that stores of each message what its contract has at an offset, if the message has it.
fn stores(at: &str, wants: &str) -> String {
    let wanted = format!("(module (data (i32.const 148) \"\\{wants}\")");
    let place = format!("(i32.add (local.get $messages) (i32.const {at}))");
    let module = NAMES.replacen("(module", &wanted, 1);
    module.replacen("(i32.load offset=12 (local.get $messages))", &place, 1)
}

#[test]
fn a_sample_may_be_a_whole_message() {
    const KEYED: &str = r#"{"$message": {"key": "Ada", "value": {"name": "a"}}}"#;
    const BOTH: &str = r#"{"$message": {"key": {"base64": "Qm9i"}, "value": "{\"name\": 1}"}}
{"$message": {"key": "Eve", "value": null}}"#;
    const HEADED: &str = r#"{"$message": {"headers": [["trace", "abc"]], "value": {"name": "a"}}}"#;
    for (at, wants, samples, golden) in [
        ("36", "02", KEYED, "names\n  name = Ada\n"),
        (
            "36",
            "02",
            BOTH,
            "line 1 rejected by decode: wrong_type: `name` is a number, which is no text\n\
             filtered tombstone: 1\n",
        ),
        ("76", "10", HEADED, "trace\\0\\0\\0\\u{3}abc"),
    ] {
        let folder = folder(&[
            ("names.wat", &stores(at, wants)),
            ("pipeline.toml", &config_of_names()),
            (
                "schema.cql",
                "CREATE TABLE k.names (name text PRIMARY KEY);",
            ),
            ("samples.jsonl", samples),
        ]);
        let (code, said) = told(folder.path(), &["--update"]);
        assert_eq!(code, Some(0), "{said}");
        let kept = fs::read_to_string(folder.path().join("golden.txt")).unwrap();
        assert!(kept.contains(golden), "{samples}: {kept:?}");
    }
}
