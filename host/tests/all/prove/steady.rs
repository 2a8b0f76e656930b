//! Row 29: a plugin that is no function of each message alone is found by being asked twice.

use host::swap::Consent;

use super::offer;
use crate::contract::candidates::candidate;
use crate::support::{Verdict, measured};

/// What each adds to a number: what it counts, or where the message stands.
const VARIANTS: [&str; 10] = [
    "count", "calls", "first", "every", "previous", "sum", "place", "size", "last", "address",
];

#[test]
fn what_is_no_function_of_its_message_is_found() {
    for variant in VARIANTS {
        let file = candidate(&format!("fault={variant} version=2.0.1"));
        let refused = offer("a.wasm", file, Consent::Asked).map(drop).unwrap_err();
        assert_eq!(refused.code, "not_deterministic", "{variant}: {refused}");
        assert!(refused.reason.contains("number: "), "{variant}: {refused}");
    }
    let found = format!("{0} of {0} variants found", VARIANTS.len());
    measured(
        29,
        "non-deterministic plugin",
        VARIANTS.len(),
        Verdict::default(),
        &found,
    );
}
