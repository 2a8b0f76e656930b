//! Sample messages from a description.
