//! What a plugin's file may bring.

use super::*;

const WHOLE: &str = "name = 'a-1'\ntopic = 't'\nschema = '../cql/schema.cql'\ndead_letters = 'off'\n\
    [plugin]\npath = '../a.wasm'\nconfig = { text = \"\\u001b\", at = '/etc' }\nlimits.memory_max = 1\n\
    [lookups.s]\npath = '/data/s.csv'\nheader = false\n[rejections]\nodd = 'filter'\n\
    [kafka]\nbrokers = 'b:1'\n[cassandra]\nkeyspace = 'k'\nconsistency = 'one'\n\
    [build]\ncommands = ['rm -rf /']\noutput = 'a'\n\
    [produce]\npeople = 1\nme = 'Ada'\nevery = '1s'\nmembers = [{ name = 'a', value = 'l.1' }]\n\
    [produce.lists.l]\npath = 'deep/l.csv'\n[demo]\nquery = 'q'\n";

#[test]
fn what_may_go_along_is_what_may_be_said() {
    let (table, left) = of_text(WHOLE);
    let expected = [
        "build",
        "cassandra.consistency",
        "dead_letters",
        "kafka",
        "plugin.limits",
        "schema",
    ];
    let mut left: Vec<_> = left.iter().map(String::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, expected);
    check(table.clone()).unwrap();
    let text = table.to_string();
    for path in ["\"a.wasm\"", "\"s.csv\"", "\"l.csv\""] {
        assert!(text.contains(&format!("path = {path}")), "{text}");
    }
    super::super::File::parse("inside", &text).unwrap();
    assert_eq!(of_text(&text).0, table, "it goes through unchanged");
}

#[test]
fn what_may_not_be_said_is_refused_by_its_name() {
    let (good, _) = of_text(WHOLE);
    let good = good.to_string();
    let more = |more: &str| format!("{more}\n{good}");
    let instead = |old: &str, new: &str| {
        assert!(good.contains(old), "{good} lacks {old}");
        good.replacen(old, new, 1)
    };
    for (text, words) in [
        (more("build.commands = ['rm -rf /']"), "`build`"),
        (more("schema = 'a.cql'"), "`schema`"),
        (more("queries = 'a.cql'"), "`queries`"),
        (more("breaker = false"), "`breaker`"),
        (more("dead_letters = 'off'"), "`dead_letters`"),
        (more("kafka.brokers = 'evil:1'"), "`kafka`"),
        (more("kafka.security.password = 'env:AWS'"), "`kafka`"),
        (more("admin.address = '0.0.0.0:80'"), "`admin`"),
        (more("batch.messages_max = 1000000000"), "`batch`"),
        (more("swap.max_changed = '100%'"), "`swap`"),
        (
            instead("[cassandra]", "[cassandra]\npassword = 'file:/etc/shadow'"),
            "`cassandra.password`",
        ),
        (
            instead("[cassandra]", "[cassandra]\ncontact_points = ['evil:1']"),
            "`cassandra.contact_points`",
        ),
        (
            instead("[cassandra]", "[cassandra]\ntls = { authorities = '/etc' }"),
            "`cassandra.tls`",
        ),
        (
            instead("[plugin]", "[plugin]\nlimits = { memory_max = 1 }"),
            "`plugin.limits`",
        ),
        (
            instead("[lookups.s]", "[lookups.s]\nurl = 'http://evil'"),
            "`lookups.s.url`",
        ),
        (instead("\"s.csv\"", "\"/etc/passwd\""), "`lookups.s.path`"),
        (instead("\"s.csv\"", "\"../s.csv\""), "`lookups.s.path`"),
        (instead("\"s.csv\"", "\"..\""), "`lookups.s.path`"),
        (instead("\"s.csv\"", "\"a/s.csv\""), "`lookups.s.path`"),
        (instead("\"s.csv\"", "\"s.csv/\""), "`lookups.s.path`"),
        (instead("\"a.wasm\"", "\"/a.wasm\""), "`plugin.path`"),
        (
            instead("\"l.csv\"", "\"./l.csv\""),
            "`produce.lists.l.path`",
        ),
        (instead("\"Ada\"", "\"\\u001b[2J\""), "`produce.me`"),
        (instead("\"q\"", "\"q\\n\""), "`demo.query`"),
        (
            instead("name = \"a\"", "name = \"\\u0007\""),
            "`produce.members.name`",
        ),
        (instead("odd =", "\"o\\u001bd\" ="), "control characters"),
        (instead("\"Ada\"", "\"\\u202eada\""), "`produce.me`"),
        (more("\"\\u001b[2J\" = 1"), "[2J\"` is not for it to say"),
        (
            instead("people = 1", "people = 1000001"),
            "`produce.people` is more than",
        ),
        (instead("\"a-1\"", "\"../a\""), "`name`"),
        (instead("\"a-1\"", "\"\""), "`name`"),
        (instead("\"k\"", "\"system_auth\""), "`system_auth`"),
        (instead("\"k\"", "\"Sluice\""), "`Sluice`"),
    ] {
        let reason = check(text.parse().unwrap()).unwrap_err();
        assert!(reason.contains(words), "{words}: {reason}\n{text}");
        assert!(!reason.contains(char::is_control), "{reason:?}");
    }
}

#[test]
fn what_is_no_text_is_refused() {
    for (text, is_good) in [
        ("-- a\r\n\tb \u{e9}\n", true),
        ("a\rb", false),
        ("a\u{1b}[2Jb", false),
        ("a\u{9b}2Jb", false),
        ("a\u{202e}b", false),
    ] {
        let section = (format!("{PREFIX}{}", SCHEMA.0), text.as_bytes().to_vec());
        let pipeline = (format!("{PREFIX}{}", PIPELINE.0), Vec::new());
        let component = wat::parse_str("(component)").unwrap();
        let bytes = plugin::with_sections(&component, &[section, pipeline]);
        let read = Inside::of("x.wasm", &bytes).unwrap().schema();
        assert_eq!(read.is_ok(), is_good, "{text:?}");
    }
}

#[test]
fn what_is_too_deep_to_read_is_told() {
    const DEPTH: usize = SECTION_BYTES_MAX / 4;
    for text in [
        format!("a{}=1", ".a".repeat(DEPTH)),
        format!("[a{}]", ".a".repeat(DEPTH)),
        format!("a={}1{}", "[".repeat(DEPTH), "]".repeat(DEPTH)),
        format!("a={}1{}", "{a=".repeat(DEPTH), "}".repeat(DEPTH)),
    ] {
        assert!(super::super::File::parse("inside", &text).is_err());
    }
}
