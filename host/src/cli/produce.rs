//! The verb `produce`.
