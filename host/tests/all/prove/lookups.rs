//! Other reference data for the same plugin.

use std::sync::Arc;

use host::archive::Part;
use host::config::File;
use host::lookup::{Declared, Lookup, Options};
use host::message::{Batch, Message};
use host::plugin::{Config, Plugin};
use host::recent::Recent;
use host::sink::Sink as _;
use host::sink::memory::Memory;
use host::swap::prove::{Context, Proven, prove};
use host::swap::{Refusal, What};
use host::version::Version;
use sluice_bundled::Pipeline;

/// A pipeline with one lookup, its column that rows take, and its header's setting.
struct Case {
    pipeline: &'static Pipeline,
    header: bool,
}

impl Case {
    fn new(name: &str) -> Self {
        let pipeline = sluice_bundled::pipeline(name).unwrap();
        let file = File::parse(name, pipeline.config).unwrap();
        let header = file.lookups.values().next().unwrap().header;
        Self { pipeline, header }
    }

    fn read(&self, declared: &Declared, name: &str, bytes: &[u8]) -> Result<Lookup, Refusal> {
        let options = Options {
            header: self.header,
        };
        Lookup::read(name, bytes, declared, &options).map_err(|error| Refusal::from(&error))
    }

    fn version(&self) -> Version {
        let plugin = Plugin::load("a.wasm", self.pipeline.module, &Config::default()).unwrap();
        let declared = &plugin.description().lookups[0];
        let (name, csv) = self.pipeline.lookups[0];
        let lookup = self.read(declared, name, csv).unwrap();
        let lookups = vec![(declared.name.clone(), Arc::new(lookup))];
        Version { plugin, lookups }
    }

    /// Offers another file for a lookup, after the pipeline's samples have come.
    fn offer(&self, lookup: &str, bytes: &[u8]) -> Result<Proven, Refusal> {
        let current = self.version();
        let schema = self.pipeline.schema;
        let prepare = |targets: &[_]| Memory::open(schema)?.prepare(targets);
        let keys = prepare(&current.plugin.description().targets).unwrap();
        let mut batch = Batch::new("samples".into());
        let lines = self.pipeline.samples.split(|byte| *byte == b'\n');
        for (offset, line) in (0..).zip(lines) {
            batch.push(&Message {
                partition: 0,
                offset,
                timestamp: offset,
                key: None,
                value: Some(line),
                headers: b"",
            });
        }
        batch.stamp(|_, timestamp| Some(timestamp));
        let recent = Recent::default();
        let made = current.instance(keys).unwrap().apply(batch).unwrap();
        recent.keep(&Arc::new(made));
        let (file, csv) = self.pipeline.lookups[0];
        let parts = [("a.wasm", self.pipeline.module), (file, csv)].map(|(name, bytes)| Part {
            name: name.to_owned(),
            bytes: bytes.to_vec(),
        });
        let header = self.header;
        let read = move |declared: &Declared, name: &str, bytes: &[u8]| {
            let read = Lookup::read(name, bytes, declared, &Options { header });
            read.map_err(|error| Refusal::from(&error))
        };
        let context = Context {
            current: &current,
            parts: &parts,
            load: &|_, _| panic!("a lookup is no plugin"),
            read_lookup: &read,
            beside: &|_| None,
            prepare: &prepare,
            schema: Some(schema),
            recent: &recent,
            is_withdrawn: &|| false,
        };
        let (lookup, name, bytes) = (lookup.to_owned(), "new.csv".to_owned(), bytes.to_vec());
        let what = What::Lookup {
            lookup,
            name,
            bytes,
        };
        prove(&what, &context, &mut |_, _| {})
    }
}

#[test]
fn a_lookup_is_proved_as_a_plugin_is() {
    let case = Case::new("spotify");
    let (lookup, csv) = case.pipeline.lookups[0];
    let text = String::from_utf8(csv.to_vec()).unwrap();
    let header = text.lines().next().unwrap();
    let proven = case.offer(lookup, format!("{text}\n").as_bytes()).unwrap();
    assert!(proven.proposal.diff.is_same(), "{}", proven.proposal);
    assert_ne!(proven.version.code(), case.version().code());
    let code = proven.version.code();
    let digests = proven.parts.iter().map(Part::digest);
    assert!(digests.eq([code.plugin, code.lookups[lookup].clone()]));
    let emptied = case.offer(lookup, header.as_bytes()).unwrap().proposal;
    assert!(!emptied.diff.is_same(), "{emptied}");
    for (lookup, bytes, code) in [
        (lookup, csv, "same_version"),
        ("nothing", csv, "wrong_lookups"),
        (lookup, b"a,b\n1,2\n", "wrong_lookup"),
        (lookup, b"", "wrong_lookup"),
        (lookup, b"\xff\xfe", "wrong_lookup"),
    ] {
        let refused = case.offer(lookup, bytes).map(drop).unwrap_err();
        assert_eq!(refused.code, code, "{refused}");
    }
}
