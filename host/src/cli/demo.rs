//! The verb `demo`.
