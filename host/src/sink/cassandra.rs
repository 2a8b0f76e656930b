//! Rows into Cassandra.
