//! Progress that is forgotten: a file is read from its start.
