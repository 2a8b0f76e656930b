//! Rows into memory, for tests.
