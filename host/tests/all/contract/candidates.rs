//! Versions of the misbehaving plugin, for swaps.

use std::ops::RangeInclusive;

use host::plugin::Plugin;

use super::{apply_to, config, module};

/// Another version of it, as `words` say: see `candidate.rs` in its folder. Its digest is its own.
pub(crate) fn candidate(words: &str) -> Vec<u8> {
    const MARK: &[u8] = b"candidate:    ";
    let mut module = module().to_vec();
    let mut marks = module.windows(MARK.len());
    let at = marks.position(|window| window == MARK).unwrap() + "candidate:".len();
    let room = module[at..].iter().take_while(|byte| **byte == b' ');
    assert!(words.len() <= room.count(), "{words} is more than fits in");
    module[at..at + words.len()].copy_from_slice(words.as_bytes());
    module
}

/// What each candidate's words say is what it does: its description, or its rows and letters of 100 messages.
#[test]
fn a_candidate_behaves_as_its_words_say() {
    let begin = |words: &str| Plugin::load("candidate.wasm", &candidate(words), &config());
    let check = |words: &str, rejected: RangeInclusive<usize>, row: &str| {
        let plugin = begin(words).unwrap();
        assert_ne!(plugin.digest(), super::plugin().digest(), "{words}");
        let payloads: Vec<_> = (0..100).map(|number| format!("fact {number}")).collect();
        let transformed = apply_to(&plugin, &payloads);
        let count = transformed.rejected.len();
        assert!(rejected.contains(&count), "{words}: {count} rejected");
        let rows: Vec<_> = transformed
            .rows
            .iter()
            .flat_map(|rows| rows.bytes.clone())
            .collect();
        let rows = String::from_utf8_lossy(&rows);
        assert!(rows.contains(row), "{words}: {rows:?} has no {row:?}");
    };
    check("version=2.0.0", 0..=0, "fact 3\0\0\0\u{4}\0\0\0\u{7}");
    check("add=1", 0..=0, "fact 3\0\0\0\u{4}\0\0\0\u{8}");
    check("layout=b/", 0..=0, "b/fact 3\0\0\0\u{4}\0\0\0\u{7}");
    check("fault=trap share=10", 2..=20, "fact");
    check("fault=reject share=10", 2..=20, "fact");
    check("fault=reject", 100..=100, "");
    check("fault=slow", 0..=0, "fact");
    check("fault=count", 0..=0, "\u{8}");
    for (words, want) in [
        ("fault=init-trap", "init: "),
        ("fault=init-loop", "longer than 500ms to start"),
    ] {
        let told = begin(words).unwrap_err().to_string();
        assert!(told.contains(want), "{words}: {told}");
    }
    let column = begin("fault=column").unwrap();
    let columns = &column.description().targets[0].columns;
    assert_eq!(&*columns[2].name, "missing");
    let newer = begin("version=2.0.0").unwrap();
    assert_eq!(newer.description().version, "2.0.0");
}
