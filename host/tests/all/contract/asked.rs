//! What a plugin asks for in vain: it gets an answer it can see, and its author is told why, once.

use std::io::Write;
use std::sync::{Arc, Mutex};

use host::message::{Batch, Message};
use host::plugin::{Config, Plugin};
use host::row::Key;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A whole plugin in WebAssembly's text, which asks for nothing.
const NAMES: &str = include_str!("../../../../languages/wat/names/names.wat");
const CONTRACT: &str = include_str!("../../../../wit/plugin.wit");
const PAGE: &str = include_str!("../../../../docs/writing-a-plugin.md");

/// As much of WASI's second preview as is asked for here.
const WASI: &str = "package test:asks;
world asks {
  include sluice:plugin/plugin@0.1.0;
  import wasi:cli/environment@0.2.6;
  import wasi:filesystem/preopens@0.2.6;
  import wasi:sockets/tcp-create-socket@0.2.6;
  import wasi:clocks/wall-clock@0.2.6;
  import wasi:random/random@0.2.6;
}
package wasi:cli@0.2.6 { interface environment {
  get-environment: func() -> list<tuple<string, string>>;
  get-arguments: func() -> list<string>;
} }
package wasi:filesystem@0.2.6 {
  interface types { resource descriptor; }
  interface preopens {
    use types.{descriptor};
    get-directories: func() -> list<tuple<descriptor, string>>;
  }
}
package wasi:sockets@0.2.6 {
  interface network {
    enum ip-address-family { ipv4, ipv6 }
    enum error-code {
      unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout,
      concurrency-conflict, not-in-progress, would-block, invalid-state, new-socket-limit,
      address-not-bindable, address-in-use, remote-unreachable, connection-refused,
      connection-reset, connection-aborted, datagram-too-large, name-unresolvable,
      temporary-resolver-failure, permanent-resolver-failure,
    }
  }
  interface tcp { resource tcp-socket; }
  interface tcp-create-socket {
    use network.{error-code, ip-address-family};
    use tcp.{tcp-socket};
    create-tcp-socket: func(address-family: ip-address-family) -> result<tcp-socket, error-code>;
  }
}
package wasi:clocks@0.2.6 { interface wall-clock {
  record datetime { seconds: u64, nanoseconds: u32 }
  now: func() -> datetime;
} }
package wasi:random@0.2.6 { interface random { get-random-u64: func() -> u64; } }";

/// What is imported, how it is called when messages come, whether its answer is right (its scratch
/// memory is at 900), and what the author is told; nothing, if that is empty.
#[rustfmt::skip]
const ASKED: &[(&str, &str, &str, &str, &str)] = &[
    (PREVIEW_1, "path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)",
        "(i32.const 3) (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 900)",
        "(i32.const 44) (i32.eq)", "it asks for a file or a folder"),
    (PREVIEW_1, "path_unlink_file (param i32 i32 i32) (result i32)", "(i32.const 3) (i32.const 0) (i32.const 5)",
        "(i32.const 44) (i32.eq)", "it asks for a file or a folder"),
    (PREVIEW_1, "fd_prestat_get (param i32 i32) (result i32)", "(i32.const 3) (i32.const 900)",
        "(i32.const 8) (i32.eq)", "it asks for a file or a folder"),
    (PREVIEW_1, "sock_recv (param i32 i32 i32 i32 i32 i32) (result i32)",
        "(i32.const 3) (i32.const 900) (i32.const 0) (i32.const 0) (i32.const 900) (i32.const 904)",
        "(i32.const 57) (i32.eq)", "it asks for the network"),
    (PREVIEW_1, "environ_sizes_get (param i32 i32) (result i32)", "(i32.const 900) (i32.const 904)",
        "(i32.load (i32.const 900)) (i32.or) (i32.eqz)", "arguments or environment variables"),
    (PREVIEW_1, "random_get (param i32 i32) (result i32)", "(i32.const 900) (i32.const 8)",
        "(drop) (i64.ne (i64.load (i32.const 900)) (i64.const 0))", "it draws random numbers"),
    // A C library keeps lines back where this is no terminal: a character device that cannot seek and tell.
    (PREVIEW_1, "fd_fdstat_get (param i32 i32) (result i32)", "(i32.const 1) (i32.const 900)",
        "(drop) (i32.eq (i32.load8_u (i32.const 900)) (i32.const 2)) (i64.eqz (i64.and (i64.load (i32.const 908)) (i64.const 0x24))) (i32.and)", ""),
    // The first reading of each call.
    (PREVIEW_1, "clock_time_get (param i32 i64 i32) (result i32)", "(i32.const 0) (i64.const 0) (i32.const 900)",
        "(drop) (i64.eq (i64.load (i32.const 900)) (i64.const 1000))", CLOCK),
    // Go's scheduler relies on it that this one goes on.
    (PREVIEW_1, "clock_time_get (param i32 i64 i32) (result i32)", "(i32.const 1) (i64.const 0) (i32.const 900)",
        "(drop) (i64.gt_u (i64.load (i32.const 900)) (global.get $seen)) (global.set $seen (i64.load (i32.const 900)))", CLOCK),
    ("wasi:cli/environment@0.2.6", "get-environment (param i32)", "(i32.const 900)",
        "(i32.eqz (i32.load (i32.const 904)))", "arguments or environment variables"),
    ("wasi:cli/environment@0.2.6", "get-arguments (param i32)", "(i32.const 900)",
        "(i32.eqz (i32.load (i32.const 904)))", "arguments or environment variables"),
    ("wasi:filesystem/preopens@0.2.6", "get-directories (param i32)", "(i32.const 900)",
        "(i32.eqz (i32.load (i32.const 904)))", "it asks for a file or a folder"),
    ("wasi:sockets/tcp-create-socket@0.2.6", "create-tcp-socket (param i32 i32)", "(i32.const 0) (i32.const 900)",
        "(i32.eq (i32.load8_u (i32.const 900)) (i32.const 1)) (i32.eq (i32.load8_u (i32.const 904)) (i32.const 1)) (i32.and)",
        "it asks for the network"),
    ("wasi:clocks/wall-clock@0.2.6", "now (param i32)", "(i32.const 904)",
        "(i32.eqz (i32.load (i32.const 912)))", CLOCK),
    ("wasi:random/random@0.2.6", "get-random-u64 (result i64)", "", "(i64.const 0) (i64.ne)", "it draws random numbers"),
];
const PREVIEW_1: &str = "wasi_snapshot_preview1";
const CLOCK: &str = "it reads a clock";

/// Names, which asks for this whenever it is given messages, and falls into a trap if the answer is wrong.
fn asking(module: &str, function: &str, arguments: &str, is_right: &str) -> String {
    let (name, ty) = function.split_once(' ').unwrap();
    let import = format!(
        "(module\n  (import \"{module}\" \"{name}\" (func $ask {ty}))\n  (global $seen (mut i64) (i64.const 0))"
    );
    let count = "    (local.set $count (";
    let ask = format!(
        "    {arguments} (call $ask)\n    {is_right}\n    (if (i32.eqz) (then (unreachable)))\n{count}"
    );
    let asking = NAMES.replacen("(module", &import, 1);
    let asking = asking.replacen(count, &ask, 1);
    assert_eq!(asking.matches("$ask").count(), 2);
    asking
}

/// Says that a module is for the world that has WASI's second preview.
fn with_wasi(module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_str("plugin.wit", CONTRACT).unwrap();
    let package = resolve.push_str("asks.wit", WASI).unwrap();
    let world = resolve.select_world(&[package], Some("asks")).unwrap();
    // The functions' full names: such a module says itself what its exports are.
    let mut module = module.to_owned();
    for name in ["init", "transform"] {
        let full = format!("\"sluice:plugin/transform@0.1.0#{name}\"");
        module = module.replace(&format!("\"{name}\""), &full);
        let full = format!("\"cabi_post_sluice:plugin/transform@0.1.0#{name}\"");
        module = module.replace(&format!("\"cabi_post_{name}\""), &full);
    }
    let mut core = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).unwrap();
    core
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the log has of it.
fn logged(work: impl FnOnce()) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false);
    tracing::subscriber::with_default(subscriber.finish(), work);
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}

/// Gives a plugin a batch after another, in two instances, and answers with why messages were rejected.
fn run(plugin: &Plugin) -> Vec<String> {
    let mut reasons = vec![];
    for _ in 0..2 {
        let key = Key {
            partition: vec![0],
            clustering: vec![],
        };
        let mut instance = plugin.instance(vec![key], vec![]).unwrap();
        for offset in 0..3 {
            let mut batch = Batch::new("names".into());
            batch.push(&Message {
                partition: 0,
                offset,
                timestamp: 1,
                key: None,
                value: Some(br#"{"name": "Ada"}"#),
                headers: b"",
            });
            batch.stamp(|_, timestamp| Some(timestamp));
            let rejected = instance.apply(batch).unwrap().rejected;
            reasons.extend(rejected.into_iter().map(|it| it.reason));
        }
    }
    reasons
}

#[test]
fn what_is_asked_for_in_vain_is_answered_and_told_once() {
    for (module, function, arguments, is_right, told) in ASKED {
        let text = asking(module, function, arguments, is_right);
        let core = match *module {
            PREVIEW_1 => wat::parse_str(text).unwrap(),
            _ => with_wasi(&text),
        };
        let said = logged(|| {
            let plugin = Plugin::load("asks.wasm", &core, &Config::default());
            let plugin = plugin.unwrap_or_else(|error| panic!("{function}: {error}"));
            assert_eq!(run(&plugin), [""; 0], "{function}");
            // An import or not: of the first preview's clocks it is none.
            let has_clock = plugin
                .card()
                .may
                .iter()
                .any(|it| it.starts_with("read clocks"));
            assert_eq!(has_clock, *told == CLOCK, "{function}");
        });
        let lines: Vec<_> = said.lines().filter(|line| line.contains("WARN")).collect();
        assert_eq!(
            lines.len(),
            usize::from(!told.is_empty()),
            "{function}: {said}"
        );
        assert!(
            lines.iter().all(|line| line.contains(told)),
            "{function}: {said}"
        );
        let section = "docs/writing-a-plugin.md#what-a-plugin-cannot-do";
        assert!(lines.iter().all(|line| line.contains(section)), "{said}");
    }
    assert!(PAGE.contains("\n## What a plugin cannot do\n"));
}

/// What reads clocks before there are messages goes on by itself, as Go's runtime does when it collects garbage.
#[test]
fn a_runtime_reads_clocks_without_a_warning() {
    let clock = ASKED.iter().find(|asked| asked.4 == CLOCK);
    let (module, function, arguments, is_right, _) = clock.unwrap();
    let text = asking(module, function, arguments, is_right);
    let begins = format!("(func (export \"_initialize\") {arguments} (call $ask) (drop))");
    let end = text.rfind(')').unwrap();
    let core = wat::parse_str(format!("{}{begins})", &text[..end])).unwrap();
    let said = logged(|| {
        let plugin = Plugin::load("asks.wasm", &core, &Config::default()).unwrap();
        assert_eq!(run(&plugin), [""; 0]);
    });
    assert!(!said.contains("WARN"), "{said}");
    let told = said.lines().filter(|line| line.contains(CLOCK));
    assert_eq!(told.count(), 1, "{said}");
}

/// All of WASI's first preview is there: what is not needed is dropped, and what is asked for is answered.
#[test]
fn a_module_may_import_all_of_preview_1() {
    const FUNCTIONS: &str = "args_get/ii args_sizes_get/ii environ_get/ii environ_sizes_get/ii clock_res_get/ii \
        clock_time_get/iIi fd_advise/iIIi fd_allocate/iII fd_close/i fd_datasync/i fd_fdstat_get/ii \
        fd_fdstat_set_flags/ii fd_fdstat_set_rights/iII fd_filestat_get/ii fd_filestat_set_size/iI \
        fd_filestat_set_times/iIIi fd_pread/iiiIi fd_prestat_get/ii fd_prestat_dir_name/iii fd_pwrite/iiiIi \
        fd_read/iiii fd_readdir/iiiIi fd_renumber/ii fd_seek/iIii fd_sync/i fd_tell/ii fd_write/iiii \
        path_create_directory/iii path_filestat_get/iiiii path_filestat_set_times/iiiiIIi path_link/iiiiiii \
        path_open/iiiiiIIii path_readlink/iiiiii path_remove_directory/iii path_rename/iiiiii \
        path_symlink/iiiii path_unlink_file/iii poll_oneoff/iiii proc_raise/i random_get/ii sched_yield/ \
        sock_accept/iii sock_recv/iiiiii sock_send/iiiii sock_shutdown/ii";
    let imports = FUNCTIONS.split_whitespace().map(|function| {
        let (name, parameters) = function.split_once('/').unwrap();
        let types = parameters.replace('i', " i32").replace('I', " i64");
        format!("  (import \"{PREVIEW_1}\" \"{name}\" (func (param{types}) (result i32)))\n")
    });
    let imports: String = imports.collect();
    let exit = format!("  (import \"{PREVIEW_1}\" \"proc_exit\" (func (param i32)))\n");
    let module = NAMES.replacen("(module\n", &format!("(module\n{imports}{exit}"), 1);
    let plugin = Plugin::load("all.wat", module.as_bytes(), &Config::default()).unwrap();
    assert_eq!(run(&plugin), [""; 0]);
}

/// A trap says in which function, if the module tells their names; what is for debuggers is left out.
#[test]
fn a_trap_says_where() {
    // Called by way of a table, so that it is not compiled into its caller.
    let wild = "(table funcref (elem $wild)) (func $wild (drop (i32.load (i32.const -4))))";
    let module = NAMES
        .replacen(
            "(func (export \"transform\")",
            &format!("{wild}\n  (func $rows (export \"transform\")"),
            1,
        )
        .replacen(
            "    (local.set $count (",
            "    (call_indirect (i32.const 0))\n    (local.set $count (",
            1,
        );
    let mut core = wat::parse_str(module).unwrap();
    let section = b"\x0b.debug_infoA thousand bytes of a library's own.";
    core.extend([0, u8::try_from(section.len()).unwrap()]);
    core.extend(section);
    let component = host::plugin::component("wild.wasm", &core, &Config::default().limits).unwrap();
    assert!(!String::from_utf8_lossy(&component).contains("debug_info"));
    let plugin = Plugin::load("wild.wasm", &core, &Config::default()).unwrap();
    for reason in run(&plugin) {
        assert!(
            reason.ends_with("out of bounds memory access, in `wild`, called by `rows`"),
            "{reason}"
        );
    }
}

/// What a plugin ends with, and what its message's dead letter and the log say then.
#[rustfmt::skip]
const ENDS: &[(&str, &str)] = &[
    ("(call $exit (i32.const 3))", "it ends itself, with exit code 3"),
    ("(call $say) (call $exit (i32.const 2))", "panic: odd (exit code 2)"),
    ("(call $say) (unreachable)", "panic: odd, in `rows`"),
    // More than the log takes of a plugin: why it failed is not left out.
    ("(loop (call $say) (br_if 0 (i32.lt_u (call $said) (i32.const 200)))) (unreachable)", "panic: odd, in `rows`"),
    ("(i32.store (i32.const 900) (i32.const 0x373a6120)) (call $say) (unreachable)", "pani a:7dd"),
    ("(i32.store8 (i32.const 896) (i32.const 32)) (call $say) (call $exit (i32.const 2))", "it ends itself, with exit code 2"),
    ("(call $say) (drop (i32.load (i32.const -4)))", "wasm trap: out of bounds memory access, in `rows`: panic: odd"),
    ("(drop (call $deep))", "its calls nest deeper than 512 KiB of stack, in `deep`"),
    ("(unreachable)", "wasm trap: wasm `unreachable` instruction executed, in `rows`"),
];

#[test]
fn what_ends_itself_has_said_why() {
    for (end, told) in ENDS {
        let imports = format!(
            "(module\n  (import \"{PREVIEW_1}\" \"proc_exit\" (func $exit (param i32)))
  (import \"{PREVIEW_1}\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
  (data (i32.const 880) \"\\80\\03\\00\\00\\0b\\00\\00\\00\") (data (i32.const 896) \"panic: odd\\n\")
  (func $deep (result i32) (i32.add (call $deep) (i32.const 1)))
  (global $lines (mut i32) (i32.const 0))
  (func $said (result i32) (global.set $lines (i32.add (global.get $lines) (i32.const 1))) (global.get $lines))
  (func $say (drop (call $write (i32.const 2) (i32.const 880) (i32.const 1) (i32.const 920))))"
        );
        let count = "    (local.set $count (";
        let module = NAMES
            .replacen("(module", &imports, 1)
            .replacen(
                "(func (export \"transform\")",
                "(func $rows (export \"transform\")",
                1,
            )
            .replacen(count, &format!("    {end}\n{count}"), 1);
        let plugin = Plugin::load("ends.wat", module.as_bytes(), &Config::default()).unwrap();
        let log = logged(|| assert_eq!(run(&plugin), [*told; 6]));
        let is_told = |line: &&str| line.contains(" on names/0/") && line.contains(told);
        assert_eq!(log.lines().filter(is_told).count(), 6, "{end}: {log}");
    }
}
