//! Each pipeline's samples through the real component, held to `plugins/<pipeline>/golden.txt`.
//! `UPDATE_EXPECT=1` writes the files anew, as `host test --update` does.

use std::path::Path;
use std::sync::Arc;

use host::config::{File, Verdict};
use host::lookup::{Lookup, Options};
use host::plugin::{Config, Plugin};
use host::samples::Trial;
use sluice_bundled::{PIPELINES, Pipeline};

#[test]
fn every_pipeline_makes_its_golden_rows() {
    assert!(!PIPELINES.is_empty());
    for pipeline in PIPELINES {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let golden = root.join("plugins").join(pipeline.name).join("golden.txt");
        expect_test::expect_file![golden].assert_eq(&run(pipeline));
    }
}

fn run(pipeline: &Pipeline) -> String {
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
    let trial = Trial {
        plugin: &plugin,
        lookups: lookups.collect(),
        schema: pipeline.schema,
        samples: pipeline.samples,
    };
    trial.run().unwrap()
}
