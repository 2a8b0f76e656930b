//! Sinks and queries against the real Cassandra.
