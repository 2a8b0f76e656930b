//! What an author puts into a plugin's file beside its code.

use wasmparser::{Parser, Payload};

/// The custom sections whose names begin so: the rest of their names, and what is in them. Of text, and of
/// what is no WebAssembly, none.
pub fn sections<'a>(bytes: &'a [u8], prefix: &str) -> Vec<(String, &'a [u8])> {
    let payloads = Parser::new(0).parse_all(bytes).map_while(Result::ok);
    let sections = payloads.filter_map(|payload| {
        let Payload::CustomSection(section) = payload else {
            return None;
        };
        let rest = section.name().strip_prefix(prefix)?;
        Some((rest.to_owned(), section.data()))
    });
    sections.collect()
}
