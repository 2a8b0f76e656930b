//! Each pipeline's samples through the real component, held to `plugins/<pipeline>/golden.txt`.
//! `UPDATE_EXPECT=1` writes the files anew, as `host test --update` does.

use std::path::Path;
use std::sync::Arc;

use host::config::{File, Verdict};
use host::lookup::{Lookup, Options};
use host::plugin::{Config, Plugin};
use host::samples::Trial;
use host::sink::Sink;
use sluice_bundled::{PIPELINES, Pipeline};

use crate::stores;

#[test]
fn every_pipeline_makes_its_golden_rows() {
    assert!(!PIPELINES.is_empty());
    for pipeline in PIPELINES {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let golden = root.join("plugins").join(pipeline.name).join("golden.txt");
        let whole = try_samples(pipeline, |trial| trial.run().unwrap());
        expect_test::expect_file![golden].assert_eq(&whole);
    }
}

/// Has a sink write what becomes of the samples.
pub(crate) fn write_samples(pipeline: &Pipeline, sink: &mut dyn Sink) {
    try_samples(pipeline, |trial| {
        let keys = sink.prepare(&trial.plugin.description().targets).unwrap();
        for transformed in trial.at_once(keys).unwrap() {
            assert_eq!(stores::write(sink, &transformed).unwrap(), []);
        }
    });
}

fn try_samples<T>(pipeline: &Pipeline, with: impl FnOnce(&Trial<'_>) -> T) -> T {
    let file = File::parse(pipeline.name, pipeline.config).unwrap();
    let filtered = (file.rejections.iter()).filter(|(_, verdict)| **verdict == Verdict::Filter);
    let config = Config {
        filter_codes: filtered.map(|(code, _)| code.clone()).collect(),
        config: serde_json::to_string(&file.plugin.config).unwrap(),
        ..Config::default()
    };
    let plugin = Plugin::load("golden.wasm", pipeline.module, &config).unwrap();
    let lookups = plugin.description().lookups.iter().map(|declared| {
        let named = |(name, _): &&(&str, &[u8])| *name == declared.name;
        let (name, csv) = pipeline.lookups.iter().find(named).unwrap();
        let header = file.lookups[*name].header;
        Arc::new(Lookup::read(name, csv, declared, &Options { header }).unwrap())
    });
    with(&Trial {
        plugin: &plugin,
        lookups: lookups.collect(),
        schema: pipeline.schema,
        samples: pipeline.samples,
        go_on: &|| true,
    })
}
