//! N workers.
