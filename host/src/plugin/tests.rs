use proptest::prelude::*;

use super::*;

proptest! {
    /// Whatever bytes are given, loading ends with an answer.
    #[test]
    fn random_bytes_are_refused(kind in 0..3_u8, tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let head: &[u8] = match kind {
            0 => b"",
            1 => b"\0asm\x01\0\0\0",
            _ => b"\0asm\x0d\0\x01\0",
        };
        let bytes = [head, &tail].concat();
        prop_assert!(Plugin::load("random.wasm", &bytes, &Config::default()).is_err());
    }
}
