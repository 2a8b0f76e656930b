//! The whole binary against the real servers.
