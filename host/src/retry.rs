//! Backoff with jitter.
