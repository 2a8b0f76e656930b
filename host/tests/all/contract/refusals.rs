//! What is no plugin is refused before it runs: with what it is, why it cannot be one, and the way out.

use std::time::Duration;

use host::plugin::{Config, Error, Limits, Plugin};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::module;

const CONTRACT: &str = include_str!("../../../../wit/plugin.wit");

/// What every module below has, but for its memory.
const ABI: &str = r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (unreachable))
    (func (export "init") (param i32 i32) (result i32) (unreachable))
    (func (export "transform") (param i32) (result i32) (unreachable))"#;
const MEMORY: &str = r#"(memory (export "memory") 1)"#;

/// Files of bytes, and what is told of each.
const FILES: &[(&[u8], &str)] = &[
    (b"", "it is empty"),
    (b"\x7fELF\x02\x01\x01", "it is a native program"),
    (b"PK\x03\x04", "it is a zip archive"),
    (b"\x1f\x8b\x08", "it is compressed"),
    (b"(module)", "must be in a file *.wat"),
    (
        b"export const transform = {};",
        "sources become a plugin by `host build`",
    ),
    (b"\0asm\x07\0\0\0", "of a version that is not known"),
    (b"\xff\xfe\xfd", "it is something else"),
];

/// Core modules that lack, or have, something: each with what is told.
#[rustfmt::skip]
const MODULES: &[(&str, &[&str])] = &[
    ("", &["`cabi_realloc` (i32, i32, i32, i32) -> i32", "`init` (i32, i32) -> i32", "`transform` (i32) -> i32", "its memory"]),
    ("(func (export \"_start\"))", &["as a program", "reactor"]),
    ("ABI", &["it does not export its memory as `memory`"]),
    ("MEMORY (func (export \"init\") (param i32) (result i64) (unreachable))", &["its `init` is (i32) -> i64, not (i32, i32) -> i32"]),
    ("MEMORY ABI (func (export \"cabi_post_init\") (result i32) (unreachable))", &["its `cabi_post_init` is () -> i32, not (i32)"]),
    ("(import \"env\" \"emscripten_notify\" (func)) MEMORY ABI", &["imports env.emscripten_notify", "nothing provides"]),
    ("(import \"__wbindgen_placeholder__\" \"__wbindgen_throw\" (func)) MEMORY ABI", &["wasm-bindgen"]),
    ("(import \"gojs\" \"runtime.wasmExit\" (func)) MEMORY ABI", &["GOOS=wasip1"]),
    ("(import \"wasi\" \"thread-spawn\" (func (param i32) (result i32))) MEMORY ABI", &["imports wasi.thread-spawn, threads"]),
    ("(import \"wasi_unstable\" \"fd_write\" (func)) MEMORY ABI", &["an older WASI"]),
    ("(import \"elsewhere\" \"f\" (func)) MEMORY ABI", &["imports elsewhere.f, something that nothing provides"]),
    ("(import \"env\" \"memory\" (memory 1 1 shared)) ABI", &["imports env.memory, threads"]),
    ("(memory (export \"memory\") 1 1 shared) ABI", &["it uses threads", "-pthread"]),
    ("(memory (export \"memory\") i64 1) ABI", &["a memory of 64 bits", "wasm32"]),
    ("MEMORY ABI (func (drop (i32.atomic.load (i32.const 0))))", &["it uses threads"]),
    ("MEMORY ABI (tag) (func (throw 0))", &["exceptions", "-fno-exceptions"]),
    ("(type (struct)) MEMORY ABI (func (drop (struct.new 0)))", &["garbage collector"]),
    ("(import \"sluice:plugin/log@0.2.0\" \"write\" (func (param i32 i32 i32))) MEMORY ABI", &["version 0.2.0", "take a newer host"]),
    ("(import \"sluice:plugin/log@0.0.9\" \"write\" (func (param i32 i32 i32))) MEMORY ABI", &["version 0.0.9", "build the plugin again"]),
    ("(import \"sluice:plugin/log@0.1.0\" \"shout\" (func)) MEMORY ABI", &["`shout`"]),
    ("(import \"sluice:plugin/log@0.1.0\" \"write\" (func (param i32))) MEMORY ABI", &["type mismatch for function `write`", "[I32, I32, I32]"]),
    ("(import \"wasi_snapshot_preview1\" \"path_mkdir\" (func)) MEMORY ABI", &["`path_mkdir`"]),
    ("\n  (func (foo))", &["unknown operator", "2:10"]),
];

/// Components, by what they import and export.
#[rustfmt::skip]
const COMPONENTS: &[(&str, &str, &[&str])] = &[
    ("", "", &["it exports nothing", "does not export sluice:plugin/transform@0.1.0"]),
    ("", "wasi:cli/run@0.2.0", &["a program with a `main`"]),
    ("", "wasi:http/incoming-handler@0.2.0", &["a server for HTTP"]),
    ("", "other:world/it@1.0.0", &["it exports other:world/it@1.0.0"]),
    ("", "sluice:plugin/transform@0.2.0", &["version 0.2.0 of the contract", "take a newer host"]),
    ("", "sluice:plugin/transform@0.0.1", &["version 0.0.1 of the contract", "build the plugin again"]),
    ("", "sluice:plugin/transform@0.1.0", &["there is no function `init`"]),
    ("wasi:http/types@0.2.0", "sluice:plugin/transform@0.1.0", &["imports wasi:http/types@0.2.0", "the network"]),
    ("wasi:cli/stdin@0.3.0", "sluice:plugin/transform@0.1.0", &["third preview", "asynchronous"]),
    ("wasi:keyvalue/store@0.2.0", "sluice:plugin/transform@0.1.0", &["which no plugin gets"]),
    ("sluice:plugin/log@0.3.0", "sluice:plugin/transform@0.1.0", &["version 0.3.0"]),
];

/// A component whose `transform` is asynchronous.
const ASYNCHRONOUS: &str = r#"(component
    (core module $m
        (func (export "f") (param i32) (result i32) (unreachable))
        (func (export "c") (param i32 i32 i32) (result i32) (unreachable)))
    (core instance $i (instantiate $m))
    (func $f async (param "batch" u32) (canon lift (core func $i "f") async (callback (func $i "c"))))
    (instance $t (export "transform" (func $f)))
    (export "sluice:plugin/transform@0.1.0" (instance $t)))"#;

fn check(name: &str, bytes: &[u8], words: &[&str]) {
    let refused = Plugin::load(name, bytes, &Config::default());
    let told = refused.unwrap_err().to_string();
    for word in words {
        let shown = String::from_utf8_lossy(bytes);
        assert!(
            told.contains(word),
            "{shown}\n{told:?} does not say {word:?}"
        );
    }
}

#[test]
fn what_is_no_plugin_is_refused_with_the_reason() {
    for (bytes, word) in FILES {
        let neither = "neither a WebAssembly component nor a core module";
        check("a.wasm", bytes, &[neither, word]);
    }
    for (body, words) in MODULES {
        let body = body.replace("ABI", ABI).replace("MEMORY", MEMORY);
        check("a.wat", format!("(module {body})").as_bytes(), words);
    }
    for (import, export, words) in COMPONENTS {
        let mut parts = String::new();
        if !import.is_empty() {
            parts += &format!("(import \"{import}\" (instance))");
        }
        if !export.is_empty() {
            parts += &format!("(instance $i) (export \"{export}\" (instance $i))");
        }
        check("a.wat", format!("(component {parts})").as_bytes(), words);
    }
    check(
        "a.wat",
        ASYNCHRONOUS.as_bytes(),
        &["asynchronous", "`--sync`"],
    );
}

#[test]
fn what_is_too_large_is_not_looked_at() {
    let config = Config {
        limits: Limits {
            component_max: 10,
            ..Limits::default()
        },
        ..Config::default()
    };
    let told = Plugin::load("a.wasm", module(), &config);
    assert!(matches!(
        told,
        Err(Error::Limit {
            what: "component",
            max: 10,
            ..
        })
    ));
}

/// A module that says a thousand times what its contract is: reading that takes the tools a while, and the
/// last of it is wrong.
fn tiresome() -> Vec<u8> {
    let mut resolve = Resolve::default();
    let contract = resolve.push_str("plugin.wit", CONTRACT).unwrap();
    let world = resolve.select_world(&[contract], Some("plugin")).unwrap();
    let mut core = wat::parse_str(format!("(module {ABI} {MEMORY})")).unwrap();
    let begins = core.len();
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).unwrap();
    core.extend(core[begins..].repeat(1_000));
    let wrong = b"\x10component-type:x";
    core.extend([0, u8::try_from(wrong.len()).unwrap()]);
    core.extend(wrong);
    core
}

/// It was wrapped in the caller's thread, for as long as it took.
#[test]
fn what_cannot_be_wrapped_in_time_is_given_up() {
    let limits = Limits {
        compile_max: Duration::from_millis(1),
        ..Limits::default()
    };
    let config = Config {
        limits: limits.clone(),
        ..Config::default()
    };
    let core = tiresome();
    let loaded = Plugin::load("a.wasm", &core, &config).map(|_| ());
    let wrapped = host::plugin::component("a.wasm", &core, &limits).map(|_| ());
    for told in [loaded, wrapped] {
        let told = told.unwrap_err();
        assert!(
            matches!(&told, Error::Compile(why) if why.contains("1ms")),
            "{told}"
        );
    }
}
