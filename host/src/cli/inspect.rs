//! The verb `inspect`.
