//! Row 31: a plugin's file with a bit flipped or the end cut off. None makes the host panic or hang, and what
//! loads in spite of it is never taken for the file that it was.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use host::plugin::{Config, Error, Limits, Plugin};

use crate::support::{Verdict, measured};

/// How many files: 1,000 where `MUTATED` says so.
fn files() -> u64 {
    let asked = std::env::var("MUTATED").ok();
    asked.map_or(50, |asked| asked.parse().unwrap())
}

/// SplitMix64: the same files each time.
fn random(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Every fourth file is cut off, the others have a bit flipped.
fn mutated(whole: &[u8], number: u64) -> Vec<u8> {
    let at = usize::try_from(random(number) % whole.len() as u64).unwrap();
    let mut file = whole.to_vec();
    if number.is_multiple_of(4) {
        file.truncate(at);
    } else {
        file[at] ^= 1 << (number % 8);
    }
    file
}

#[test]
fn a_file_that_is_not_whole_is_refused_or_is_itself() {
    let whole = sluice_bundled::PIPELINES[0].module;
    let cache = tempfile::tempdir().unwrap();
    let limits = Limits {
        init_max: Duration::from_millis(200),
        ..Limits::default()
    };
    let config = Config {
        limits,
        cache: Some(cache.path().join("compiled")),
        ..Config::default()
    };
    let mut digests: BTreeSet<String> = BTreeSet::new();
    let load = |bytes: &[u8]| Plugin::load("a.wasm", bytes, &config);
    digests.insert(load(whole).unwrap().digest().to_owned());
    let (count, mut refused, mut slowest) = (files(), 0, Duration::ZERO);
    let mut files = BTreeSet::new();
    // Two numbers may make the same file, and one may make the whole one.
    let others = (0..).filter(|number| {
        let file = mutated(whole, *number);
        file != whole && files.insert(file)
    });
    for number in others.take(usize::try_from(count).unwrap()) {
        let began = Instant::now();
        match load(&mutated(whole, number)) {
            Ok(plugin) => {
                let is_new = digests.insert(plugin.digest().to_owned());
                assert!(is_new, "file {number} is taken for another");
                assert!(plugin.card().compile_ms.is_some(), "it is another's code");
            }
            Err(Error::Compile(reason)) if reason.contains("the compiler fails") => {
                panic!("file {number}: {reason}");
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
        slowest = slowest.max(began.elapsed());
    }
    let (loaded, slowest) = (count - refused, slowest.as_millis());
    let found = format!(
        "{refused} of {count} files refused, {loaded} load as themselves, {slowest} ms at most"
    );
    assert!(refused * 4 > count, "{found}");
    let count = usize::try_from(count).unwrap();
    measured(
        31,
        "plugin file cut off or with a bit flipped",
        count,
        Verdict::default(),
        &found,
    );
}
