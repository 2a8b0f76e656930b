//! Rows into SQLite.
