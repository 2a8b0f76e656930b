//! The verb `query`.
