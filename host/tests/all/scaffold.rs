//! `host new` and `host build`: from nothing to a plugin that runs.

mod costs;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime};

use crate::support::host;

/// Runs the host in a folder; whether it succeeded, and all that it said.
fn run(folder: &Path, arguments: &str) -> (bool, String) {
    let mut host = host();
    host.current_dir(folder).args(arguments.split(' '));
    // Of the build that runs this test, nothing is meant for the plugin's own.
    for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        host.env_remove(name);
    }
    let Output {
        status,
        stdout,
        stderr,
    } = host.stdin(Stdio::null()).output().unwrap();
    let said = [stdout, stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    (status.success(), said.concat())
}

#[track_caller]
pub(crate) fn succeeds(folder: &Path, arguments: &str) -> String {
    let (is_good, said) = run(folder, arguments);
    assert!(is_good, "host {arguments}: {said}");
    assert!(!said.contains("panicked"), "host {arguments}: {said}");
    said
}

#[track_caller]
pub(crate) fn fails(folder: &Path, arguments: &str, words: &[&str]) {
    let (is_good, said) = run(folder, arguments);
    assert!(!is_good, "host {arguments}: {said}");
    assert!(!said.contains("panicked"), "host {arguments}: {said}");
    for word in words {
        assert!(
            said.contains(word),
            "host {arguments} does not say {word:?}: {said}"
        );
    }
}

/// What a newcomer reads.
fn page() -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/writing-a-plugin.md");
    fs::read_to_string(page).unwrap()
}

/// All files below a folder: their paths in it, and their texts.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_path_buf();
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn every_language_has_a_plugin_to_begin_with() {
    let folder = tempfile::tempdir().unwrap();
    for language in sluice_bundled::LANGUAGES {
        for (kind, more) in [("a", ""), ("b", " --pipeline")] {
            let name = format!("{}-{kind}9", language.name);
            let said = succeeds(
                folder.path(),
                &format!("new {name} --lang {}{more}", language.name),
            );
            assert!(said.contains(&format!("build {name}")), "{said}");
            assert_eq!(
                said.contains(&format!("demo {name}")),
                !more.is_empty(),
                "{said}"
            );
            let files = files(&folder.path().join(&name));
            for (path, text) in &files {
                for text in [&*path.to_string_lossy(), text] {
                    for placeholder in ["my-plugin", "my_plugin"] {
                        assert!(!text.contains(placeholder), "{name}/{}", path.display());
                    }
                }
            }
            let has = |path: &str| files.contains_key(Path::new(path));
            // What npm fetches is never in a folder that has just been made.
            let asks = said.contains("in its folder:\n") && said.contains("\n  npm ");
            assert_eq!(asks, has("package.json"), "{said}");
            assert!(has("samples.jsonl") && has("golden.txt"), "{name}");
            assert!(!has("build.toml") && !has("produce.toml"), "{name}");
            assert_eq!(has("queries.cql"), !more.is_empty(), "{name}");
            let config = succeeds(folder.path(), &format!("config show {name}"));
            assert!(config.contains("build.output"), "{config}");
            assert_eq!(
                config.contains("produce.people"),
                !more.is_empty(),
                "{config}"
            );
        }
    }
}

#[test]
fn what_cannot_be_a_new_plugin_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("taken")).unwrap();
    for (arguments, words) in [
        ("new taken --lang rust", &["taken", "there already"][..]),
        ("new Upper --lang rust", &["`Upper`", "lower-case"]),
        ("new 9lives --lang rust", &["`9lives`"]),
        ("new a_b --lang rust", &["`a_b`"]),
        ("new .. --lang rust", &["lower-case"]),
        ("new spotify --lang rust", &["`spotify`", "carries"]),
        ("new table --lang rust", &["`table`", "CQL"]),
        (
            "new none/nowhere --lang rust",
            &["none/nowhere", "No such file"],
        ),
        ("new fine --lang cobol", &["cobol", "rust"]),
        ("new fine", &["--lang"]),
    ] {
        fails(folder.path(), arguments, words);
    }
    assert_eq!(files(folder.path()), BTreeMap::new());
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "only what was there"
    );
}

/// The commands of the page's first chapter.
fn first_steps() -> Vec<String> {
    let page = page();
    let (_, chapter) = page.split_once("\n## From nothing to a plugin\n").unwrap();
    let (_, block) = chapter.split_once("\n```sh\n").unwrap();
    let block = block.split("\n```").next().unwrap();
    let steps = block
        .lines()
        .map(|line| line.strip_prefix("host ").unwrap().to_owned());
    steps.collect()
}

/// A new plugin works as it is, by the steps that the page shows.
#[test]
fn a_newcomer_has_a_plugin_in_a_few_commands() {
    let folder = tempfile::tempdir().unwrap();
    let steps = first_steps();
    // Its dependencies are built once for all runs of this test.
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scaffold");
    fs::create_dir_all(&built).unwrap();
    let mut said = BTreeMap::new();
    for step in &steps {
        let verb = step.split(' ').next().unwrap();
        said.insert(verb, succeeds(folder.path(), step));
        if verb == "new" {
            std::os::unix::fs::symlink(&built, folder.path().join("readings/target")).unwrap();
        }
    }
    for (verb, words) in [
        ("new", &["readings: a plugin in Rust"][..]),
        (
            "build",
            &[
                "$ cargo build",
                "readings/readings.wasm",
                "readings 0.1.0",
                "compiled ",
            ],
        ),
        (
            "test",
            &["readings/samples.jsonl gives what readings/golden.txt says"],
        ),
        (
            "bench",
            &[
                "readings 0.1.0, ",
                "spotify 0.1.0, ",
                " as [produce] makes them: 16384 written, 0 rejected",
                "\n      1 ",
                "\n    100 ",
                "\n   1000 ",
                "\n  16384 ",
                " ± ",
                "are the calls of `readings`, and ",
                "x\n",
            ],
        ),
        ("demo", &["in 10,000 = written 9,", "pending 0"]),
    ] {
        for word in words {
            assert!(
                said[verb].contains(word),
                "{verb} does not say {word:?}: {}",
                said[verb]
            );
        }
    }
    // What was compiled ahead is found.
    let said = succeeds(folder.path(), "inspect readings");
    assert!(said.contains("compiled from the cache"), "{said}");
}

/// What the scaffold's copy of the SDK is built with is what the SDK is built with.
#[test]
fn the_sdk_of_a_scaffold_is_the_sdk() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = |path: &str| -> toml::Table {
        let text = fs::read_to_string(root.join(path)).unwrap();
        text.parse().unwrap()
    };
    let own = manifest("languages/rust/scaffold/sluice-plugin/Cargo.toml");
    let sdk = manifest("plugins/sdk/Cargo.toml");
    assert_eq!(own["dependencies"], sdk["dependencies"]);
    assert_eq!(own["package"]["name"], sdk["package"]["name"]);
}

/// A plugin as text, so that it needs no tools.
pub(crate) const NAMES: &str = include_str!("../../../languages/wat/names/names.wat");

const CONFIG: &str = "name = \"names\"\ntopic = \"names\"\n[plugin]\npath = \"names.wasm\"\n\
                      [cassandra]\nkeyspace = \"names\"\n";

/// A folder with such a plugin, and a section that says how it is built.
fn sources(build: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let schema = "CREATE TABLE names.names (name text PRIMARY KEY);\n";
    for (name, text) in [
        ("names.wat", NAMES),
        ("pipeline.toml", &*format!("{CONFIG}{build}")),
        ("schema.cql", schema),
        ("samples.jsonl", "{\"name\": \"Ada\"}\n"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn any_commands_build_a_plugin() {
    for build in [
        "commands = []\noutput = \"names.wat\"",
        "commands = [\"cp names.wat 'made/the names.wat'\"]\noutput = \"made/the names.wat\"",
        "commands = [\"FROM=names.wat TO=2.wat sh -c 'cp $FROM $TO'\"]\noutput = \"2.wat\"\n\
         [build.needs]\n\"sh -c true\" = \"a shell\"",
    ] {
        let folder = sources(&format!("[build]\n{build}\n"));
        let said = succeeds(folder.path(), "build");
        assert!(said.contains("names.wasm\nnames 1.0.0"), "{said}");
        let said = succeeds(folder.path(), "test . --update");
        assert!(
            said.contains("`host build` puts it into the plugin"),
            "{said}"
        );
        let names = || {
            let bytes = fs::read(folder.path().join("names.wasm")).unwrap();
            let sections = host::plugin::sections(&bytes, "sluice:").into_iter();
            let sections = sections.map(|(name, inside)| (name, inside.to_vec()));
            sections.collect::<Vec<_>>()
        };
        assert!(names().iter().all(|(name, _)| name != "golden"));
        // Now that there are golden rows, they travel with it.
        succeeds(folder.path(), "build pipeline.toml");
        let sections = names();
        let names: Vec<_> = sections.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["samples", "golden", "schema", "pipeline"]);
        assert_eq!(sections[0].1, b"{\"name\": \"Ada\"}\n");
        // Whoever is in the folder need not say where it is.
        for (verb, words) in [
            ("test", "samples.jsonl gives what"),
            ("inspect", "names 1.0.0"),
        ] {
            let said = succeeds(folder.path(), verb);
            assert!(said.contains(words), "{said}");
        }
    }
}

/// A plugin that is older than its sources is not the one that its author means.
#[test]
fn a_test_of_the_plugin_before_says_so() {
    let folder = sources(
        "[build]\ncommands = [\"cp names.wat made/names.wat\"]\noutput = \"made/names.wat\"\n",
    );
    succeeds(folder.path(), "build");
    succeeds(folder.path(), "test --update");
    fs::write(folder.path().join(".gitignore"), "/tools\n").unwrap();
    for (written, is_source) in [
        ("names.wat", true),
        ("src/deep/names.wat", true),
        ("golden.txt", false),
        ("samples.jsonl", false),
        ("schema.cql", false),
        ("pipeline.toml", false),
        ("made/names.wat", false),
        ("tools/new.js", false),
        (".cache/new.js", false),
    ] {
        let path = folder.path().join(written);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = fs::read(&path).unwrap_or_default();
        fs::write(&path, text).unwrap();
        let later = SystemTime::now() + Duration::from_secs(60);
        fs::File::open(&path).unwrap().set_modified(later).unwrap();
        let said = succeeds(folder.path(), "test");
        let told = format!(
            "./{written} is newer than ./names.wasm, which is tried as it is: `host build`"
        );
        assert_eq!(said.contains(&told), is_source, "{written}: {said}");
        assert_eq!(said.contains("is newer"), is_source, "{written}: {said}");
        let earlier = SystemTime::now() - Duration::from_secs(3_600);
        fs::File::open(&path)
            .unwrap()
            .set_modified(earlier)
            .unwrap();
    }
}

#[test]
fn what_cannot_be_built_says_why_and_what_to_do() {
    for (build, words) in [
        ("", &["pipeline.toml", "[build]", "commands ="][..]),
        (
            "[build]\ncommands = [\"false\"]\noutput = \"a\"",
            &["$ false", "`false` has failed"],
        ),
        (
            "[build]\ncommands = [\"no-such-tool -o a\"]\noutput = \"a\"",
            &["`no-such-tool -o a` cannot be run", "No such file"],
        ),
        (
            "[build]\ncommands = [\"A=1\"]\noutput = \"a\"",
            &["`A=1`", "no command"],
        ),
        (
            "[build]\ncommands = [\"'torn\"]\noutput = \"a\"",
            &["`'torn`", "[build]"],
        ),
        (
            "[build]\ncommands = []\noutput = \"a.wasm\"",
            &["a.wasm", "`output`", "pipeline.toml"],
        ),
        (
            "[build]\ncommands = []\noutput = \"schema.cql\"",
            &["schema.cql", "WebAssembly"],
        ),
        ("[build]\ncommands = []", &["output"]),
        (
            "[build]\ncommands = [\"touch was-run\"]\noutput = \"a\"\n[build.needs]\n\
             \"no-such-tool --version\" = \"apt install it\"\n\
             \"sh -c 'echo too old >&2; false'\" = \"a newer one\"",
            &[
                "`no-such-tool --version`",
                "no such program",
                "apt install it",
                "too old",
                "a newer one",
            ],
        ),
    ] {
        let folder = sources(build);
        fails(folder.path(), "build", words);
        assert!(!folder.path().join("names.wasm").exists(), "{build}");
        assert!(!folder.path().join("was-run").exists(), "{build}");
    }
    let folder = sources("[build]\ncommands = []\noutput = \"a.wasm\"");
    fails(
        folder.path(),
        "test .",
        &["names.wasm", "build ./pipeline.toml` makes it"],
    );
    // What is there is kept where what is made instead does not start.
    let broken = NAMES.replace("(i32.const 96))", "unreachable)");
    assert_ne!(broken, NAMES);
    let folder = sources("[build]\ncommands = []\noutput = \"broken.wat\"");
    fs::write(folder.path().join("broken.wat"), broken).unwrap();
    fs::write(folder.path().join("names.wasm"), "as it was").unwrap();
    fails(folder.path(), "build", &["broken.wat"]);
    let kept = fs::read(folder.path().join("names.wasm")).unwrap();
    assert_eq!(kept, b"as it was");
    let folder = tempfile::tempdir().unwrap();
    fails(folder.path(), "build spotify", &["carried", "./spotify"]);
    fails(folder.path(), "build", &["pipeline.toml"]);
}
