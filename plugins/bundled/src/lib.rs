//! The pipelines that the host carries.
