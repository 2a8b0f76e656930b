//! Why reference data cannot be used.

use crate::row::CqlType;

use super::BLOB_BYTES_MAX;

/// Why a file is no reference data. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not a CSV file as RFC 4180 has it.
    #[error("{file}, line {line}: {reason}")]
    Malformed {
        /// Which file.
        file: String,
        /// The line in which the fault lies.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A declared column is not in it.
    #[error("{file} has no column `{column}`{hint}")]
    NoColumn {
        /// Which file.
        file: String,
        /// The column that the plugin declares.
        column: String,
        /// A column that may be meant, as the end of a sentence, or nothing.
        hint: String,
    },
    /// A cell is not of the declared type.
    #[error("{file}, line {line}, column `{column}`: {cell:?} is not of type {}", kind.name())]
    Cell {
        /// Which file.
        file: String,
        /// The line in which the row begins.
        line: usize,
        /// Which column.
        column: String,
        /// The declared type.
        kind: CqlType,
        /// What stands there, cut short.
        cell: String,
    },
    /// It is larger than what the index can address.
    #[error("{file} takes more than {} GiB", BLOB_BYTES_MAX >> 30)]
    TooLarge {
        /// Which file.
        file: String,
    },
}

impl Error {
    /// Waiting mends no file.
    pub fn is_transient(&self) -> bool {
        false
    }
}
