//! What an author puts into a plugin's file beside its code.

use wasm_encoder::{ComponentSection as _, CustomSection};
use wasmparser::{Parser, Payload};

/// What a section of a pipeline's file may hold, in bytes: a larger one is neither written nor read.
pub const SECTION_BYTES_MAX: usize = 1 << 20;

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

/// Whether a component has a custom section of this name.
pub(super) fn has_section(bytes: &[u8], name: &str) -> bool {
    let found = sections(bytes, name);
    found.iter().any(|(rest, _)| rest.is_empty())
}

/// A component with custom sections behind all that is in it: each a name and what is in it.
pub fn with_sections(component: &[u8], sections: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    for (name, inside) in sections {
        let section = CustomSection {
            name: name.into(),
            data: inside.into(),
        };
        section.append_to_component(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_found_again_and_the_last_goes_for_all() {
        let component = wat::parse_str("(component (core module (@custom \"a:one\" \"inner\")))");
        let component = component.unwrap();
        let put = [("a:one", "outer"), ("a:two", ""), ("b:one", "other")];
        let put = put.map(|(name, inside)| (name.to_owned(), inside.into()));
        let with = with_sections(&component, &put);
        wasmparser::validate(&with).unwrap();
        let found = sections(&with, "a:");
        let found: Vec<_> = found
            .iter()
            .map(|(name, inside)| (&**name, *inside))
            .collect();
        let expected: [(&str, &[u8]); 3] = [("one", b"inner"), ("one", b"outer"), ("two", b"")];
        assert_eq!(found, expected);
        for (name, is_there) in [("a:one", true), ("a:on", false), ("a:two", true)] {
            assert_eq!(has_section(&with, name), is_there, "{name}");
        }
    }
}
