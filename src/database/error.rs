//! Errors of one database: what failed, on which table or statement, and why.

use std::ops::Range;
use std::path::PathBuf;

use rusqlite::ErrorCode;

#[cfg(feature = "server")]
use crate::sqld::error::ServerError;

/// Why a database could not be read, or was left as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// No file of that name.
    #[error("there is no file `{}`", .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Not a file that SQLite wrote, or not all of it.
    #[error("{reason}")]
    NotADatabase {
        /// What is wrong with it.
        reason: String,
    },
    /// Another process held a lock for longer than the busy timeout.
    #[error("the database is busy{}", lock_holder_suffix(.holder.as_deref()))]
    Busy {
        /// The process that held the lock, where the system tells.
        holder: Option<String>,
    },
    /// Another process has the file open, whether or not it holds a lock.
    #[error("{process} has it open; end that first")]
    InUse {
        /// The process.
        process: String,
    },
    /// The pages of a copy do not hang together.
    #[error(
        "the copy is not whole, because the database is not: {check_result}; restore it from an older backup"
    )]
    Corrupt {
        /// What SQLite's check found.
        check_result: String,
    },
    /// tatmig was told to stop.
    #[error("interrupted")]
    Interrupted,
    /// An interrupted write stands beside the file; only a writer may undo it.
    #[error(
        "an interrupted write of another program stands beside it (a hot journal); the next `upgrade` lets SQLite undo it"
    )]
    HotJournal,
    /// A journal mode that the file could not be given.
    #[error(
        "SQLite keeps it in the journal mode `{found}` and not in `wal`; a file system without shared memory, such as a network's, cannot have that"
    )]
    JournalMode {
        /// The mode that it has.
        found: String,
    },
    /// The record's table is not tatmig's.
    #[error("`_tatmig_migrations` {reason}; tatmig keeps its record under that name")]
    InvalidHistoryTable {
        /// What it is instead.
        reason: String,
    },
    /// Another run migrated the database between reading and locking.
    #[error("another run is migrating this database at the same time")]
    ConcurrentChange,
    /// The connection that the application lent is inside a transaction.
    #[error("the connection is inside a transaction; commit it before an upgrade")]
    InTransaction,
    /// SQLite refused a statement of a migration.
    #[error("{message} (in {migration})")]
    Statement {
        /// The migration.
        migration: String,
        /// SQLite's words.
        message: String,
        /// The bytes of the document that the message is about.
        span: Range<usize>,
    },
    /// A statement ended the transaction, which rolled everything back.
    #[error(
        "this statement ended the transaction ({message}), so all of it was rolled back (in {migration})"
    )]
    EndedTransaction {
        /// The migration.
        migration: String,
        /// SQLite's words.
        message: String,
        /// The bytes of the document that the message is about.
        span: Range<usize>,
    },
    /// A column that a migration adds was there before, with another definition.
    #[error(
        "column `{table}.{column}` is already there as `{found}`; {migration} adds it as `{expected}`"
    )]
    ColumnDiffers {
        /// The migration.
        migration: String,
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its definition in the database.
        found: String,
        /// Its definition in the document.
        expected: String,
        /// The bytes of the document that the message is about.
        span: Range<usize>,
    },
    /// After the last step the schema was not what the steps were to make.
    #[error("after the last step the database is not what the document describes, so it was rolled back: {}", .unmet.join("; "))]
    PostconditionFailed {
        /// What is missing or different, each in words.
        unmet: Vec<String>,
    },
    /// A table that a migration dropped and made again lost rows on the way.
    #[error(
        "table `{table}` held {before} rows before {migration} made it anew, and {after} after; if that is meant, the block says `-- tatmig:allow row-loss` and why"
    )]
    RowLoss {
        /// The migration.
        migration: String,
        /// The table.
        table: String,
        /// Its rows before.
        before: i64,
        /// Its rows after.
        after: i64,
    },
    /// After the last step rows refer to parents that are not there.
    #[error("{rows} {} broken by these migrations, so they were rolled back: {}", if *.rows == 1 { "foreign key was" } else { "foreign keys were" }, .violations.join("; "))]
    ForeignKeyViolations {
        /// The first of them, each in words.
        violations: Vec<String>,
        /// How many rows.
        rows: usize,
    },
    /// A libSQL server did not do what was asked.
    #[cfg(feature = "server")]
    #[error(transparent)]
    Server(ServerError),
    /// The answer to a whole run was lost, and what came of it is not known.
    #[cfg(feature = "server")]
    #[error(
        "{cause}; whether it was committed is not known: {history_error}. `tatmig status` tells"
    )]
    OutcomeUnknown {
        /// How the answer was lost.
        cause: ServerError,
        /// Why its record does not tell either.
        history_error: String,
    },
    /// The answer to a whole run was lost, and nothing of it is there.
    #[cfg(feature = "server")]
    #[error("{cause}; its record shows that nothing was applied. Run it again")]
    NotApplied {
        /// How the answer was lost.
        cause: ServerError,
    },
    /// What arrived elsewhere is not what was sent; it was rolled back.
    #[cfg(feature = "server")]
    #[error("what arrived is not what was sent, so it was rolled back: {difference}")]
    CopyMismatch {
        /// The first difference, in words.
        difference: String,
    },
    /// Another program waited for the lock, and the server took it away.
    #[cfg(feature = "server")]
    #[error(
        "the server gave its lock to another program that waited for it, and rolled everything back; run it again while nobody writes, or give the namespace a longer `txn_timeout_s`"
    )]
    LockStolen,
    /// Anything else that SQLite says.
    #[error("{}", sqlite_message_with_hint(.0))]
    Sqlite(#[source] rusqlite::Error),
    /// The file system's refusal.
    #[error("{context}: {source}")]
    Io {
        /// What was tried.
        context: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl DatabaseError {
    /// The bytes of the document that the error is about.
    #[must_use]
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::Statement { span, .. }
            | Self::EndedTransaction { span, .. }
            | Self::ColumnDiffers { span, .. } => Some(span.clone()),
            _ => None,
        }
    }

    /// Whether there is no database where it was looked for.
    pub(crate) fn is_missing(&self) -> bool {
        match self {
            Self::Missing { .. } => true,
            #[cfg(feature = "server")]
            Self::Server(ServerError::NoNamespace { .. }) => true,
            _ => false,
        }
    }
}

#[cfg(feature = "server")]
impl From<ServerError> for DatabaseError {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Interrupted => Self::Interrupted,
            error => Self::Server(error),
        }
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error() {
            Some(sqlite_error) => match (sqlite_error.code, sqlite_error.extended_code) {
                (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
                    Self::Busy { holder: None }
                }
                (ErrorCode::OperationInterrupted, _) => Self::Interrupted,
                (ErrorCode::NotADatabase, _) => Self::NotADatabase {
                    reason: "SQLite says that this is not a database".to_owned(),
                },
                // SQLITE_READONLY_ROLLBACK, SQLITE_READONLY_RECOVERY
                (ErrorCode::ReadOnly, 776 | 264) => Self::HotJournal,
                _ => Self::Sqlite(error),
            },
            None => Self::Sqlite(error),
        }
    }
}

pub(crate) fn lock_holder_suffix(holder: Option<&str>) -> String {
    holder.map_or_else(
        || ": another program holds its lock".to_owned(),
        |holder| format!(": {holder} holds its lock"),
    )
}

pub(crate) fn sqlite_message_with_hint(error: &rusqlite::Error) -> String {
    let code = error.sqlite_error_code();
    let hint = match code {
        Some(ErrorCode::ReadOnly) => "; is the file, its directory or its file system read-only?",
        Some(ErrorCode::DiskFull) => "; the disk is full",
        Some(ErrorCode::CannotOpen) => "; may this user read and write the file and its directory?",
        Some(ErrorCode::DatabaseCorrupt) => "; the file is damaged, restore it from a backup",
        _ => "",
    };
    format!("{}{hint}", sqlite_message(error))
}

/// Whether SQLite refuses what a statement says, rather than the state of a file.
pub(crate) fn is_sql_error(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqlInputError { .. })
        || error.sqlite_error_code() == Some(ErrorCode::Unknown)
}

/// SQLite's message without the SQL that rusqlite adds to it.
pub(crate) fn sqlite_message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        error => error.to_string(),
    }
}
