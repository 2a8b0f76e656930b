//! Every limit and check of the plugin boundary, reached.

mod asked;
mod cache;
pub(crate) mod candidates;
mod refusals;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use host::message::{Batch, Message};
use host::plugin::{Config, Limits, Plugin};
use host::row::{Key, Transformed};

/// The misbehaving plugin's core module, built once.
pub(crate) fn module() -> &'static [u8] {
    static MODULE: OnceLock<Vec<u8>> = OnceLock::new();
    MODULE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        // Beside the target directory in use: cargo holds a lock on that.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("plugins");
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(root)
            .args(["build", "--quiet", "--locked", "--profile", "plugin"]);
        cargo.args([
            "--package",
            "misbehaving-plugin",
            "--target",
            "wasm32-unknown-unknown",
        ]);
        cargo.arg("--target-dir").arg(&target);
        let leaking = ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "RUSTC_WRAPPER"];
        for variable in leaking
            .into_iter()
            .chain(["RUSTC_WORKSPACE_WRAPPER", "CARGO_TARGET_DIR"])
        {
            cargo.env_remove(variable);
        }
        assert!(
            cargo.status().unwrap().success(),
            "the misbehaving plugin does not build"
        );
        let module: PathBuf = [
            "wasm32-unknown-unknown",
            "plugin",
            "misbehaving_plugin.wasm",
        ]
        .iter()
        .collect();
        std::fs::read(target.join(module)).unwrap()
    })
}

/// Small enough to be reached soon, large enough for what behaves.
pub(crate) fn config() -> Config {
    let limits = Limits {
        memory_max: 32 << 20,
        call_base: Duration::from_millis(300),
        call_max: Duration::from_millis(500),
        init_max: Duration::from_millis(500),
        output_max: 4 << 20,
        ..Limits::default()
    };
    Config {
        limits,
        filter_codes: ["dull".to_owned()].into(),
        ..Config::default()
    }
}

fn plugin() -> &'static Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| Plugin::load("misbehaving.wasm", module(), &config()).unwrap())
}

fn apply(payloads: &[&str]) -> Transformed {
    apply_to(plugin(), payloads)
}

fn apply_to(plugin: &Plugin, payloads: &[impl AsRef<str>]) -> Transformed {
    let key = Key {
        partition: vec![0],
        clustering: vec![],
    };
    let mut instance = plugin.instance(vec![key.clone(), key], vec![]).unwrap();
    let mut batch = Batch::new("faults".into());
    for (offset, payload) in (0..).zip(payloads) {
        let value = Some(payload.as_ref().as_bytes());
        batch.push(&Message {
            partition: 0,
            offset,
            timestamp: 1,
            key: None,
            value,
            headers: b"",
        });
    }
    batch.stamp(|_, timestamp| Some(timestamp));
    instance.apply(batch).unwrap()
}

/// A message among others that behave: its code, if it was rejected. The others are written.
fn fate(payload: &str) -> (Option<String>, String, Transformed) {
    const OTHERS: usize = 10;
    let mut payloads = vec!["fine"; OTHERS];
    payloads.insert(6, payload);
    let transformed = apply(&payloads);
    let rejected: Vec<_> = transformed.rejected.iter().collect();
    assert!(
        rejected.iter().all(|rejected| rejected.message == 6),
        "{payload}: {rejected:?}"
    );
    let written = transformed.rows[0]
        .sources
        .iter()
        .filter(|source| **source != 6)
        .count();
    assert_eq!(written, OTHERS, "{payload}");
    assert_eq!(transformed.conservation_gap(), 0, "{payload}");
    let mut sources = transformed.rows.iter().flat_map(|rows| &rows.sources);
    let has_rows = sources.any(|source| *source == 6);
    assert!(
        rejected.is_empty() || !has_rows,
        "{payload}: a rejected message has a row, in whatever table"
    );
    let rejected = rejected.first();
    let (code, reason) = rejected.map_or((None, ""), |it| (Some(it.code.to_string()), &*it.reason));
    (code, reason.to_owned(), transformed.clone())
}

/// A message by which the plugin fails, the code it is rejected with, and what must be told.
#[rustfmt::skip]
pub(crate) const FAULTS: &[(&str, &str, &str)] = &[
    ("trap", "trap", "unreachable"),
    ("loop", "deadline", "it takes longer than 301ms: 300ms a call and 1ms a message"),
    ("hoard", "memory", "of memory: `memory_max` in [plugin.limits]"),
    ("stack", "stack", "deeper than 512 KiB of stack"),
    ("flood", "output", "in a call: `output_max` in [plugin.limits]"),
    ("lookup", "trap", "lookup 0 is not declared"),
    ("short", "bad_answer", "message 0 has no outcome"),
    ("twice", "bad_answer", "message 0 has two outcomes"),
    ("two rejections", "bad_answer", "two outcomes"),
    ("bad code", "bad_answer", "no code 9"),
    ("bad target", "bad_answer", "no target 9"),
    ("bad source", "bad_answer", "message 1000000 of 1"),
    ("no source", "bad_answer", "1 rows with 0 sources"),
    ("bad lengths", "bad_answer", "do not fit their bytes"),
    ("negative length", "bad_answer", "do not fit their bytes"),
    ("arity", "bad_row", "2 cells, not 3"),
    ("empty row", "bad_row", "no count"),
    ("cut row", "bad_row", "ends before column `number`"),
    ("long cell", "bad_row", "ends within column `id`"),
    ("odd length", "bad_row", "`id` has a length of -256"),
    ("width", "bad_row", "`number`: 3 bytes that are no int"),
    ("utf8", "bad_row", "`note`: 1 bytes that are no text"),
    ("null key", "bad_key", "`id` is of the key and has no value"),
    ("empty key", "bad_key", "is empty"),
    ("long key", "bad_key", "65536 bytes"),
    ("large row", "row_too_large", "more than 1048576"),
    ("same key", "duplicate_row", ""),
    ("good and bad", "bad_row", "`number`"),
    ("reject", "odd", "éé"),
];

#[test]
fn each_fault_is_told_by_its_code_and_spares_the_others() {
    for &(payload, code, reason) in FAULTS {
        let (found, told, _) = fate(payload);
        assert_eq!(found.as_deref(), Some(code), "{payload}: {told}");
        assert!(
            told.contains(reason),
            "{payload}: {told:?} does not say {reason:?}"
        );
    }
}

#[test]
fn what_is_right_is_written_or_filtered() {
    let check = |payload: &str, rows: &[usize], filtered: Option<&str>| {
        let (code, _, transformed) = fate(payload);
        assert_eq!(code, None, "{payload}");
        let ours = transformed
            .rows
            .iter()
            .map(|rows| rows.sources.iter().filter(|it| **it == 6).count());
        assert_eq!(ours.collect::<Vec<_>>(), rows, "{payload}");
        let code = transformed.filtered.first().map(|filtered| &*filtered.code);
        assert_eq!(code, filtered, "{payload}");
    };
    check("fine", &[1], None);
    check("log bomb", &[1], None);
    check("two rows", &[2], None);
    check("two tables", &[1, 1], None);
    check("filter", &[0], Some("odd"));
    check("reject as filter", &[0], Some("dull"));
}

#[test]
fn all_of_a_batch_may_fail() {
    let transformed = apply(&["trap"; 20]);
    assert_eq!(
        (transformed.rejected.len(), transformed.rows.len()),
        (20, 0)
    );
    let reason = &fate("reject").1;
    assert_eq!(reason.len(), 1_024, "a reason is cut short");
}

#[test]
fn a_start_that_fails_says_why() {
    let check = |init: &str, want: &str| {
        let config = Config {
            config: init.to_owned(),
            ..config()
        };
        let told = Plugin::load("misbehaving.wasm", module(), &config)
            .unwrap_err()
            .to_string();
        assert!(
            told.contains(want),
            "{init}: {told:?} does not say {want:?}"
        );
    };
    check("trap", "cannot be started: init: ");
    check("loop", "init: it takes longer than 500ms to start");
    check("lookup", "lookups are not there yet");
    check("name", "\"Not A Name\" is not [a-z0-9-]");
    check(
        "{\"a\":1}",
        "refuses its configuration: {\"a\":1} is not to my taste",
    );
}

/// Any language: a core module with plain names that wants WASI preview 1 for printing and random
/// numbers. Its `init` refuses every configuration.
const PREVIEW_1: &str = r#"(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "init") (param i32 i32) (result i32)
    (drop (call $random (i32.const 64) (i32.const 8)))
    (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 72)))
    (i32.store (i32.const 80) (i32.const 96))
    (i32.store (i32.const 84) (i32.const 6))
    (drop (call $write (i32.const 2) (i32.const 80) (i32.const 1) (i32.const 88)))
    (i32.store8 (i32.const 16) (i32.const 1))
    (i32.store (i32.const 20) (i32.const 96))
    (i32.store (i32.const 24) (i32.const 5))
    (i32.const 16))
  (func (export "transform") (param i32) (result i32) (unreachable))
  (data (i32.const 96) "never\n"))"#;

#[test]
fn a_core_module_with_wasi_preview_1_is_wrapped_and_runs() {
    let told = Plugin::load("any.wat", PREVIEW_1.as_bytes(), &config()).unwrap_err();
    assert_eq!(
        told.to_string(),
        "the plugin refuses its configuration: never"
    );
}

/// What docs/writing-a-plugin.md says of a core module: it is started first, names may be plain or the
/// contract's, and whether it wants to know when its answer was read is up to it.
#[test]
fn a_core_module_needs_no_more_than_its_page_says() {
    for (plain, other, says) in [
        (
            "(data",
            "(func (export \"_initialize\") (i32.store8 (i32.const 96) (i32.const 78)))(data",
            "Never",
        ),
        (
            "\"init\"",
            "\"sluice:plugin/transform@0.1.0#init\"",
            "never",
        ),
        (
            "(data",
            "(func (export \"cabi_post_init\") (param i32))(data",
            "never",
        ),
        (
            "(data",
            "(func (export \"cabi_post_init\") (param i32) unreachable)(data",
            "cannot be started: init: never",
        ),
        ("(memory (export \"memory\") 1)", "(memory 1)", "memory"),
        ("cabi_realloc", "realloc", "cabi_realloc"),
        ("\"transform\"", "\"other\"", "transform"),
    ] {
        assert_eq!(PREVIEW_1.matches(plain).count(), 1, "{plain}");
        let module = PREVIEW_1.replace(plain, other);
        let told = Plugin::load("any.wat", module.as_bytes(), &config()).unwrap_err();
        assert!(told.to_string().contains(says), "{other}: {told}");
    }
}

/// Whoever writes a plugin by hand goes by the numbers of that page.
#[test]
fn the_numbers_of_the_page_are_those_of_the_contract() {
    let contract = include_str!("../../../wit/plugin.wit");
    let page = include_str!("../../../docs/writing-a-plugin.md").replace('\n', " ");
    let is_flag = |kind: &str| kind.starts_with("flags");
    for kind in [
        "enum cql-type",
        "enum level",
        "enum operation",
        "flags wants",
    ] {
        let (_, members) = contract.split_once(&format!("{kind} {{")).unwrap();
        let members = members.split('}').next().unwrap().lines();
        let members = members.filter(|line| !line.trim().starts_with("///"));
        let members: Vec<_> = members.flat_map(|line| line.split([',', ' '])).collect();
        let members = members.into_iter().filter(|member| !member.is_empty());
        let numbered = members.enumerate().map(|(at, member)| match is_flag(kind) {
            true => format!("{member} {}", 1 << at),
            false => format!("{at} {member}"),
        });
        let told = numbered.collect::<Vec<_>>().join(", ");
        assert!(page.contains(&told), "{kind}: {told}");
    }
}
