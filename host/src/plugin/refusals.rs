//! What cannot be a plugin, in words: what it is or wants, and the way out. Tools say it in their own
//! terms, which name neither.

use std::cmp::Ordering;

use wasmparser::types::{Types, TypesRef};
use wasmparser::{Export, ExternalKind, FuncType, Parser, Payload, TypeRef};

use super::Error;
use super::bindings::{TRANSFORM, VERSION};
use super::wrap::{PREVIEW_1, full_name};

/// Where it is explained.
pub(super) const SECTION: &str = "docs/writing-a-plugin.md#what-a-plugin-cannot-do";
/// What an interface of the contract is called, up to the version.
const CONTRACT: &str = "sluice:plugin/";

const THREADS: &str = "threads, and there are none in a plugin: build it without them (no `-pthread`, no \
                       `--shared-memory`, no target with `threads`)";
const WIDE: &str = "a memory of 64 bits: build it for wasm32";

/// What a core module exports to be a plugin, as `docs/writing-a-plugin.md` has it. The last two may be missing.
const EXPORTS: [(&str, &str); 5] = [
    ("cabi_realloc", "(i32, i32, i32, i32) -> i32"),
    ("init", "(i32, i32) -> i32"),
    ("transform", "(i32) -> i32"),
    ("cabi_post_init", "(i32)"),
    ("cabi_post_transform", "(i32)"),
];
const NEEDED: usize = 3;

/// Modules that other ways of building import from, and what stands behind them.
const FOREIGN: [(&str, &str); 8] = [
    (
        "wasi_unstable",
        "an older WASI: build it with tools that know `wasi_snapshot_preview1`",
    ),
    ("wasi", THREADS),
    ("wbg", JAVASCRIPT),
    ("__wbindgen", JAVASCRIPT),
    (
        "gojs",
        "a JavaScript host: build it with GOOS=wasip1 and -buildmode=c-shared",
    ),
    (
        "go",
        "a JavaScript host: build it with GOOS=wasip1 and -buildmode=c-shared",
    ),
    ("a", EMSCRIPTEN),
    ("env", EMSCRIPTEN),
];
const JAVASCRIPT: &str = "a JavaScript host: leave out wasm-bindgen and the crates that need it";
const EMSCRIPTEN: &str = "something that nothing provides: a function that no file of the sources has, or \
                          what emscripten's own host would give";

/// Words in what validation says, and what stands behind them.
const FEATURES: [(&[&str], &str); 6] = [
    (
        &["component model async", "async component"],
        "asynchronous functions, and a plugin answers before it returns: build it for synchronous ones \
         (componentize-qjs: `--sync`)",
    ),
    (&["threads", "threading feature", "shared memor"], THREADS),
    (
        &["exceptions", "exception refs", "legacy_exceptions"],
        "WebAssembly's exceptions, which are not switched on: build it without them (`-fno-exceptions`)",
    ),
    (
        &[
            "gc types",
            "gc proposal",
            "function references",
            "function-references",
        ],
        "WebAssembly's own garbage collector, which is not switched on: take a compiler that brings its own",
    ),
    (&["memory64", "64-bit memor"], WIDE),
    (
        &["stack switching", "stack-switching"],
        "stack switching, which is not switched on",
    ),
];

/// What begins other files.
const OTHERS: [(&[u8], &str); 6] = [
    (b"\x7fELF", "a native program"),
    (b"\xcf\xfa\xed\xfe", "a native program"),
    (b"MZ", "a native program"),
    (b"PK", "a zip archive"),
    (b"\x1f\x8b", "compressed"),
    (b"!<arch>", "a library of object files"),
];

/// What a plugin's exports make of a component that is none.
const PROGRAMS: [(&str, &str); 2] = [
    ("wasi:cli/run", "a program with a `main`"),
    ("wasi:http/incoming-handler", "a server for HTTP"),
];

/// Bytes that are no WebAssembly.
pub(super) fn no_wasm(bytes: &[u8]) -> Error {
    let start = bytes.trim_ascii_start();
    let known = OTHERS.iter().find(|(start, _)| bytes.starts_with(start));
    let what = match known {
        Some((_, what)) => (*what).to_owned(),
        None if bytes.is_empty() => "empty".to_owned(),
        None if start.starts_with(b"(module") || start.starts_with(b"(component") => {
            "WebAssembly's text, which must be in a file *.wat".to_owned()
        }
        None if bytes.starts_with(b"\0asm") => {
            "WebAssembly of a version that is not known".to_owned()
        }
        None if std::str::from_utf8(bytes).is_ok() => {
            "text: sources become a plugin by `host build`".to_owned()
        }
        None => "something else".to_owned(),
    };
    Error::NotWasm(what)
}

/// Whether a valid core module can be made into a plugin, as far as that can be told in plain words.
pub(super) fn core(core: &[u8], types: &Types) -> Result<(), Error> {
    let mut exports = vec![];
    for payload in Parser::new(0).parse_all(core).map_while(Result::ok) {
        if let Payload::ImportSection(section) = payload {
            for import in section.into_imports().map_while(Result::ok) {
                imported(import.module, import.name, import.ty)?;
            }
        } else if let Payload::ExportSection(section) = payload {
            exports.extend(section.into_iter().map_while(Result::ok));
        }
    }
    let types = types.as_ref();
    if types.memory_count() > 0 {
        let memory = types.memory_at(0);
        for (is_so, what) in [(memory.shared, THREADS), (memory.memory64, WIDE)] {
            if is_so {
                return Err(Error::Wrap(format!("it uses {what} ({SECTION})")));
            }
        }
    }
    let faults = export_faults(&exports, types);
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::Wrap(format!("{} ({SECTION})", faults.join("; "))))
}

/// What a plugin's exports must be, and these are not.
fn export_faults(exports: &[Export<'_>], types: TypesRef<'_>) -> Vec<String> {
    let mut faults = vec![];
    for (place, (name, expected)) in EXPORTS.into_iter().enumerate() {
        let same = exports
            .iter()
            .find(|export| full_name(export.name) == full_name(name));
        match same {
            Some(export) if export.kind == ExternalKind::Func => {
                let found = signature(types[types.core_function_at(export.index)].unwrap_func());
                if found != expected {
                    faults.push(format!("its `{name}` is {found}, not {expected}"));
                }
            }
            Some(_) => faults.push(format!("its `{name}` is no function")),
            None if place < NEEDED => {
                faults.push(format!("it does not export `{name}` {expected}"));
            }
            None => {}
        }
    }
    let has = |name: &str| exports.iter().any(|export| export.name == name);
    if !faults.is_empty() && has("_start") {
        faults.push("it has a `_start`, as a program: build it as a library (a *reactor*)".into());
    }
    if !has("memory") {
        faults.push("it does not export its memory as `memory`".into());
    }
    faults
}

/// Whether somebody provides what a core module imports.
fn imported(module: &str, name: &str, ty: TypeRef) -> Result<(), Error> {
    if let Some((_, other)) = module
        .strip_prefix(CONTRACT)
        .and_then(|it| it.split_once('@'))
        && other != VERSION
    {
        return Err(version(other));
    }
    // A component's own imports, which are looked at once it is one.
    if module == PREVIEW_1 || module.contains(':') {
        return Ok(());
    }
    let is_shared = matches!(ty, TypeRef::Memory(memory) if memory.shared);
    let foreign = FOREIGN.iter().find(|(known, _)| {
        *known == module || known.starts_with("__") && module.starts_with(known)
    });
    let why = match foreign {
        _ if is_shared => THREADS,
        Some((_, why)) => why,
        None => "something that nothing provides",
    };
    Err(Error::Import(format!("{module}.{name}, {why} ({SECTION})")))
}

fn signature(ty: &FuncType) -> String {
    let list = |types: &[wasmparser::ValType]| {
        let each: Vec<_> = types.iter().map(ToString::to_string).collect();
        each.join(", ")
    };
    let results = list(ty.results());
    let arrow = if results.is_empty() { "" } else { " -> " };
    format!("({}){arrow}{results}", list(ty.params()))
}

/// What a tool's words mean, if they are on a feature that plugins do not have.
pub(super) fn explained(said: &str) -> Option<String> {
    let known = FEATURES
        .iter()
        .find(|(words, _)| words.iter().any(|word| said.contains(word)));
    let (_, what) = known?;
    Some(format!("it uses {what} ({SECTION}); in detail: {said}"))
}

/// A component that does not export what a plugin does, but these.
pub(super) fn world(exports: &[String]) -> Error {
    let other = TRANSFORM
        .split_once('@')
        .map_or(TRANSFORM, |(name, _)| name);
    let same = exports
        .iter()
        .find_map(|name| name.strip_prefix(other)?.strip_prefix('@'));
    if let Some(found) = same {
        return version(found);
    }
    let program = PROGRAMS
        .iter()
        .find(|(start, _)| exports.iter().any(|name| name.starts_with(start)));
    let what = match program {
        Some((_, what)) => format!("it is {what}"),
        None if exports.is_empty() => "it exports nothing".to_owned(),
        None => format!("it exports {}", exports.join(", ")),
    };
    Error::World(format!(
        "{what}; it does not export {TRANSFORM} ({SECTION})"
    ))
}

/// An interface that a component imports, and no plugin gets.
pub(super) fn import(name: &str) -> Error {
    if let Some((_, other)) = name
        .strip_prefix(CONTRACT)
        .and_then(|it| it.split_once('@'))
        && other != VERSION
    {
        return version(other);
    }
    let why = match name.split_once('/').map_or(name, |(package, _)| package) {
        "wasi:http" => "the network, which no plugin gets: reference data comes by lookups",
        _ if name.starts_with("wasi:") && name.contains("@0.3") => {
            "WASI's third preview, which is asynchronous: build it for the second"
        }
        _ => "which no plugin gets",
    };
    Error::Import(format!("{name}, {why} ({SECTION})"))
}

/// A plugin for another version of the contract.
pub(super) fn version(found: &str) -> Error {
    let numbers = |version: &str| -> Vec<u64> {
        let numbers = version.split(['.', '-']);
        numbers.map_while(|number| number.parse().ok()).collect()
    };
    let way_out = match numbers(found).cmp(&numbers(VERSION)) {
        Ordering::Greater => {
            "take a newer host, or build the plugin with the SDK that this one writes (`host new`)"
        }
        Ordering::Less | Ordering::Equal => {
            "build the plugin again, with the SDK that this host writes (`host new`)"
        }
    };
    Error::Version {
        found: found.to_owned(),
        ours: VERSION,
        way_out,
    }
}
