//! Schemas: what a table must look like, and how it differs.
