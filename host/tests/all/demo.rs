//! Every carried pipeline shows itself, and the commands that it shows run as they stand.

use std::process::{Command, Stdio};

use host::query;
use sluice_bundled::PIPELINES;

use crate::support::host;

/// Messages of a demo: enough for some about the one person who is not made up.
const COUNT: usize = 3_000;

#[test]
fn every_pipeline_shows_itself() {
    for pipeline in PIPELINES {
        let name = pipeline.name;
        let folder = tempfile::tempdir().unwrap();
        let mut demo = host();
        demo.current_dir(folder.path()).stdin(Stdio::null());
        // The commands shall begin as the demo itself did, not as this test's cargo.
        demo.env_remove("CARGO_PKG_NAME");
        demo.args(["demo", name, "--rate", "0", "--dir", "a demo"]);
        let shown = demo.args(["--count", &COUNT.to_string()]).output().unwrap();
        let errors = String::from_utf8_lossy(&shown.stderr);
        assert!(shown.status.success(), "{name}: {errors}");
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("first rows after "), "{shown}");
        assert!(shown.contains("\nin 3,000 = written 2,9"), "{shown}");
        assert!(shown.contains(" + pending 0\n"), "{shown}");
        let commands = shown.lines().filter_map(|line| line.strip_prefix("  "));
        let commands: Vec<&str> = commands
            .filter(|line| line.contains(" query ") || line.contains(" dlq "))
            .collect();
        assert_eq!(commands.len(), 4, "{shown}");
        for command in commands {
            let mut shell = Command::new("sh");
            shell.current_dir(folder.path()).args(["-c", command]);
            let answer = shell.stdin(Stdio::null()).output().unwrap();
            let errors = String::from_utf8_lossy(&answer.stderr);
            assert!(answer.status.success(), "{command}: {errors}");
            let answer = String::from_utf8(answer.stdout).unwrap();
            let is_empty = answer.is_empty() || answer == "no rows\n" || answer.contains(" null ");
            let is_list = command.ends_with("--list") || command.contains(" sample ");
            assert!(is_list || !is_empty, "{command}: {answer}");
        }
    }
}

/// The demo shows `sample`, and asks one more query of every carried pipeline.
#[test]
fn every_pipeline_has_something_to_show() {
    for pipeline in PIPELINES {
        let name = pipeline.name;
        let queries = query::parse(pipeline.queries).unwrap();
        let sample = query::find(&queries, "sample").expect(name);
        assert_eq!(sample.parameters, [], "{name}");
        let config: toml::Table = pipeline.config.parse().unwrap();
        assert!(config["demo"]["query"].is_str(), "{name}");
    }
}

/// What a pipeline's folder lacks, and what must be said of it before anything is shown.
#[test]
fn what_cannot_be_shown_is_refused() {
    let spotify = sluice_bundled::pipeline("spotify").unwrap();
    let (config, queries) = (spotify.config, spotify.queries);
    let without_produce = &config[..config.find("[produce]").unwrap()];
    let hour = "--hour {hour}";
    for (config, queries, words) in [
        (
            config.to_owned(),
            queries.replace("sample:", "some:"),
            "there is no query `sample`",
        ),
        (
            config.replace(hour, "--hour {now}"),
            queries.to_owned(),
            "`{now}` is no placeholder",
        ),
        (
            config.replace(hour, ""),
            queries.to_owned(),
            "--hour is missing",
        ),
        (
            config.replace("keyspace = \"spotify\"", "keyspace = \"../other\""),
            queries.to_owned(),
            "../other",
        ),
        (
            without_produce.to_owned(),
            queries.to_owned(),
            "has no [produce]",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        // Wherever it leads in the tree, here these two lie beside it.
        let lines = config.lines().filter(|line| {
            !["schema =", "queries ="]
                .iter()
                .any(|key| line.starts_with(key))
        });
        let config: String = lines.map(|line| format!("{line}\n")).collect();
        for (name, text) in [
            ("pipeline.toml", config.as_str()),
            ("schema.cql", spotify.schema),
            ("queries.cql", &queries),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut demo = host();
        demo.current_dir(folder.path()).args(["demo", "."]);
        let refused = demo.stdin(Stdio::null()).output().unwrap();
        let errors = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(78), "{words}: {errors}");
        assert!(errors.contains(words), "{errors}\ndoes not say {words}");
    }
}
