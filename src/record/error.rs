//! What can go wrong with the record.

use std::{io, path::PathBuf, sync::Arc};

/// Something could not be recorded, or the record could not be read.
///
/// Cloned to everybody whose row was in the transaction that failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The state directory, or a file in it, cannot be used.
    #[error("cannot use {path}")]
    State {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// A key file that does not hold a key.
    #[error("{path} does not hold a key of {expected} bytes; restore it, or remove it to have a new one made")]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// How long a key is.
        expected: usize,
    },
    /// The database cannot be opened.
    #[error("cannot open the journal {path}")]
    Open {
        /// The database.
        path: PathBuf,
        /// Why.
        source: Arc<sqlx::Error>,
    },
    /// The database's tables are not ones that this version knows.
    #[error("cannot use the tables of the journal {path}; was it written by a newer version?")]
    Schema {
        /// The database.
        path: PathBuf,
        /// Why.
        source: Arc<sqlx::migrate::MigrateError>,
    },
    /// The database's content is damaged.
    #[error("the journal {path} is damaged: {finding}")]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        finding: String,
    },
    /// The database cannot be written just now: disk full, read-only, locked.
    #[error("cannot write to the journal {path}")]
    Write {
        /// The database.
        path: PathBuf,
        /// Why.
        source: Arc<sqlx::Error>,
    },
    /// The database file is not the one that was opened: somebody deleted or replaced it.
    #[error("the journal {path} has been deleted or replaced")]
    Replaced {
        /// The database.
        path: PathBuf,
    },
    /// One row was refused; the database is fine.
    #[error("the journal refuses the row")]
    Refused {
        /// Why.
        source: Arc<sqlx::Error>,
    },
    /// An outcome for an intent that is not in the journal.
    #[error("the journal has no intent {id}")]
    NoSuchIntent {
        /// The id.
        id: i64,
    },
    /// The database cannot be read.
    #[error("cannot read the journal {path}")]
    Read {
        /// The database.
        path: PathBuf,
        /// Why.
        source: Arc<sqlx::Error>,
    },
    /// The disk does not answer.
    #[error("the journal {path} did not answer within {seconds} s")]
    TimedOut {
        /// The database.
        path: PathBuf,
        /// The limit.
        seconds: u64,
    },
    /// The record has been closed.
    #[error("the journal is closed")]
    Closed,
}

impl Error {
    /// Whether room on the disk would help. What SQLite wanted to write to the files beside the database is only said to have
    /// failed; that is for want of room where there is none.
    pub(super) fn wants_room(&self, is_scarce: impl FnOnce() -> bool) -> bool {
        match self {
            Self::Open { source, .. } | Self::Write { source, .. } => match primary_code(source) {
                Some(FULL) => true,
                Some(INPUT_OUTPUT) => is_scarce(),
                _ => false,
            },
            Self::State { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// Whether SQLite says that the file's content is damaged, or that it is no database at all.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Open { source, .. } | Self::Write { source, .. } | Self::Read { source, .. } => is_damage(source),
            Self::Schema { source, .. } => match &**source {
                sqlx::migrate::MigrateError::Execute(source) | sqlx::migrate::MigrateError::ExecuteMigration(source, _) => {
                    is_damage(source)
                }
                _ => false,
            },
            Self::State { .. }
            | Self::NotAKey { .. }
            | Self::Replaced { .. }
            | Self::Refused { .. }
            | Self::NoSuchIntent { .. }
            | Self::TimedOut { .. }
            | Self::Closed => false,
        }
    }
}

// SQLite's result codes; what else a code says is above the low byte.
const INPUT_OUTPUT: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CONSTRAINT: i32 = 19;
const NOT_A_DATABASE: i32 = 26;

fn is_damage(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(CORRUPT | NOT_A_DATABASE))
}

/// Whether one row broke a rule, which leaves the transaction and the database as they were.
pub(super) fn is_refusal(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(CONSTRAINT)
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
