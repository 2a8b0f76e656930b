//! `host bench`: what a plugin costs.

use std::fs;

use super::{fails, sources, succeeds};

/// What is measured of a plugin is there for programs, and adds up; where there are no messages it says so.
#[test]
fn what_a_plugin_costs_is_told() {
    let folder = sources("[build]\ncommands = []\noutput = \"names.wat\"\n");
    succeeds(folder.path(), "build");
    let said = succeeds(folder.path(), "bench names.wasm --beside reviews --json");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["plugin"]["name"], "names");
    assert_eq!(said["plugin"]["written"], said["messages"]);
    assert_eq!(said["beside"]["name"], "reviews");
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let costs = said["plugin"]["costs"].as_array().unwrap();
    for (index, cost) in costs.iter().enumerate() {
        let (calls, all) = (
            number(&cost["calls"]["median_ns"]),
            number(&cost["all"]["median_ns"]),
        );
        assert!(0.0 < calls && calls < all, "{cost}");
        let beside = number(&said["beside"]["costs"][index]["calls"]["median_ns"]);
        let ratio = &said["ratios"][index];
        assert_eq!(ratio["batch"], cost["batch"]);
        assert!(
            (number(&ratio["calls"]) - calls / beside).abs() < 1e-9,
            "{ratio}"
        );
    }
    for (plugin, key) in [
        ("plugin", "memory_bytes"),
        ("beside", "compile_ms"),
        ("plugin", "start_ms"),
    ] {
        assert!(number(&said[plugin][key]) > 0.0, "{plugin} {key}");
    }
    fs::write(folder.path().join("samples.jsonl"), "").unwrap();
    fails(
        folder.path(),
        "bench names.wasm",
        &["samples.jsonl", "no messages"],
    );
    fs::remove_file(folder.path().join("samples.jsonl")).unwrap();
    fails(
        folder.path(),
        "bench names.wasm",
        &["samples.jsonl", "[produce]"],
    );
    fails(
        folder.path(),
        "bench nothing.wasm",
        &["nothing.wasm", "carries"],
    );
}

/// What has a carried pipeline's name is measured with the messages of that one.
#[test]
fn both_get_the_same_messages() {
    let folder = sources("");
    let carried = sluice_bundled::pipeline("netflix").unwrap();
    let (lookup, csv) = carried.lookups[0];
    let config = format!(
        "name = \"netflix\"\ntopic = \"other\"\n[plugin]\npath = \"n.wasm\"\n[lookups.{lookup}]\n\
         path = \"lookup.csv\"\n[cassandra]\nkeyspace = \"netflix\"\n"
    );
    for (name, bytes) in [
        ("n.wasm", carried.module),
        ("lookup.csv", csv),
        ("schema.cql", carried.schema.as_bytes()),
        ("pipeline.toml", config.as_bytes()),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let said = succeeds(folder.path(), "bench --beside netflix");
    let made = "as [produce] makes them: 16384 written, 0 rejected, 0 filtered";
    assert_eq!(said.matches(made).count(), 2, "{said}");
}
