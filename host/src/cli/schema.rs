//! The verb `schema`.
