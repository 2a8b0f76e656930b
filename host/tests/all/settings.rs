//! What a pipeline's settings change, through the carried components: each pipeline's samples under
//! the environment that stands over its `pipeline.toml`.

use std::process::Output;

use crate::support::host;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins");

/// A variable and its value.
type Setting = (&'static str, &'static str);

const KNOWN_ONLY: Setting = ("SLUICE_PLUGIN__CONFIG__KNOWN_TITLES_ONLY", "true");
const UNKNOWN_KEPT: Setting = ("SLUICE_REJECTIONS__UNKNOWN_TITLE", "dead-letter");

/// A pipeline, its settings, and how its samples are told at the end.
#[rustfmt::skip]
const CASES: &[(&str, &[Setting], &str)] = &[
    ("netflix", &[], "in 77 = written 42 + filtered 4 + dead letters 31 + pending 0"),
    ("netflix", &[UNKNOWN_KEPT], "in 77 = written 42 + filtered 0 + dead letters 35 + pending 0"),
    ("reviews", &[], "in 77 = written 47 + filtered 0 + dead letters 30 + pending 0"),
    // Its list of titles has no header, and lacks two that the catalogue has.
    ("reviews", &[KNOWN_ONLY], "in 77 = written 41 + filtered 6 + dead letters 30 + pending 0"),
    ("reviews", &[KNOWN_ONLY, UNKNOWN_KEPT], "in 77 = written 41 + filtered 0 + dead letters 36 + pending 0"),
];

fn run(pipeline: &str, settings: &[Setting]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut host = host();
    host.current_dir(folder.path())
        .envs(settings.iter().copied());
    host.args(["--plugin", &format!("{pipeline}.wasm")]);
    host.args(["--source", &format!("{SAMPLES}/{pipeline}/samples.jsonl")]);
    host.args(["--sink", "sqlite:out"]).output().unwrap()
}

#[test]
fn settings_change_what_becomes_of_the_samples() {
    for (pipeline, settings, expected) in CASES {
        let output = run(pipeline, settings);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(expected), "{pipeline} {settings:?}: {said}");
    }
}

#[test]
fn what_is_no_setting_is_refused_by_its_name() {
    for (pipeline, setting, named) in [
        (
            "netflix",
            ("SLUICE_PLUGIN__CONFIG__X", "1"),
            "takes no configuration",
        ),
        (
            "reviews",
            ("SLUICE_PLUGIN__CONFIG__KNOWN_TITLE_ONLY", "true"),
            "known_title_only",
        ),
        (
            "reviews",
            ("SLUICE_PLUGIN__CONFIG__KNOWN_TITLES_ONLY", "1"),
            "expected a boolean",
        ),
    ] {
        let output = run(pipeline, &[setting]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{setting:?}: {said}");
        assert!(said.contains(named), "{setting:?}: {said}");
    }
}
