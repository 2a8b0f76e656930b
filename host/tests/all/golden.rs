//! Each pipeline's samples through the real component, held to `plugins/<pipeline>/golden.txt`.
//! `UPDATE_EXPECT=1` writes the files anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use host::lookup::{Lookup, Options};
use host::message::{Batch, Message};
use host::plugin::{Config, Plugin};
use host::row::Transformed;
use host::sink::Sink;
use host::sink::memory::Memory;
use sluice_bundled::{PIPELINES, Pipeline};

/// The time of the samples: noon of a day, in milliseconds, one more for each line.
const NOON: i64 = 1_767_225_600_000;

#[test]
fn every_pipeline_makes_its_golden_rows() {
    assert!(!PIPELINES.is_empty());
    for pipeline in PIPELINES {
        let lines = pipeline.samples.split(|byte| *byte == b'\n').count() - 1;
        let whole = run(pipeline, lines);
        // A plugin is a function of each message: how they are split must not matter.
        for size in [1, 7] {
            assert_eq!(
                run(pipeline, size),
                whole,
                "{} in batches of {size}",
                pipeline.name
            );
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let golden = root.join("plugins").join(pipeline.name).join("golden.txt");
        expect_test::expect_file![golden].assert_eq(&whole);
    }
}

/// What becomes of the samples, as text: rows, then rejected and filtered messages.
fn run(pipeline: &Pipeline, size: usize) -> String {
    let config = config(pipeline);
    let plugin = Plugin::load("golden.wasm", pipeline.module, &config).unwrap();
    let description = plugin.description();
    let mut memory = Memory::open(pipeline.schema).unwrap();
    let keys = memory.prepare(&description.targets).unwrap();
    let lookups = description.lookups.iter().map(|declared| {
        let (name, csv) = pipeline
            .lookups
            .iter()
            .find(|(name, _)| *name == declared.name)
            .unwrap();
        Arc::new(Lookup::read(name, csv, declared, &Options::default()).unwrap())
    });
    let mut instance = plugin.instance(keys, lookups.collect()).unwrap();
    let (mut rejected, mut filtered) = (String::new(), BTreeMap::new());
    for batch in batches(pipeline, size) {
        let transformed = Arc::new(instance.apply(batch).unwrap());
        memory.start(&transformed);
        tell_rejected(&transformed, &mut rejected);
        for left_out in &transformed.filtered {
            *filtered.entry(left_out.code.clone()).or_insert(0) += left_out.messages;
        }
    }
    let filtered = filtered
        .iter()
        .map(|(code, messages)| format!("filtered {code}: {messages}\n"));
    format!("{memory}{rejected}{}", filtered.collect::<String>())
}

/// The codes that the pipeline's configuration lets count as filtered.
fn config(pipeline: &Pipeline) -> Config {
    let table: toml::Table = pipeline.config.parse().unwrap();
    let codes = table
        .get("rejections")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flatten();
    let filtered = codes.filter(|(_, verdict)| verdict.as_str() == Some("filter"));
    Config {
        filter_codes: filtered.map(|(code, _)| code.clone()).collect(),
        ..Config::default()
    }
}

fn batches(pipeline: &Pipeline, size: usize) -> Vec<Batch> {
    let samples = pipeline.samples.strip_suffix(b"\n").unwrap();
    let lines: Vec<_> = samples.split(|byte| *byte == b'\n').collect();
    let batch = |(index, lines): (usize, &[&[u8]])| {
        let mut batch = Batch::new("samples".into());
        for (line, offset) in lines.iter().zip(index * size..) {
            let offset = i64::try_from(offset).unwrap();
            let (timestamp, value) = (NOON + offset, Some(*line));
            batch.push(&Message {
                partition: 0,
                offset,
                timestamp,
                key: None,
                value,
                headers: b"",
            });
        }
        batch.stamp(|_, timestamp| Some(timestamp * 1_000));
        batch
    };
    lines.chunks(size).enumerate().map(batch).collect()
}

fn tell_rejected(transformed: &Transformed, text: &mut String) {
    for rejected in &transformed.rejected {
        let offset = transformed.batch.message(rejected.message).offset;
        let (stage, code, reason) = (rejected.stage.name(), &rejected.code, &rejected.reason);
        writeln!(
            text,
            "line {} rejected by {stage}: {code}: {reason}",
            offset + 1
        )
        .unwrap();
    }
}
