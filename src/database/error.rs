//! Declares the errors of one database: what failed, on which table or statement, and why.

use std::ops::Range;
use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::database::assertion::describe_failing_rows;
use crate::database::sqlite_message::sqlite_message_with_hint;
pub(crate) use crate::database::sqlite_message::{is_sql_error, sqlite_message};
use crate::document::diagnostic::Rule;
use crate::document::tag::Scope;
use crate::schema::difference::Difference;
#[cfg(feature = "server")]
use crate::sqld::error::ServerError;

/// Why a database could not be read or changed. The database is unchanged, except after
/// `OutcomeUnknown`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The file does not exist.
    #[error("no such file: `{}`", .path.display())]
    Missing {
        /// The path of the file.
        path: PathBuf,
    },
    /// Another file has taken the place of the one that was listed.
    #[error(
        "another file took its place while the command ran, so it was left unchanged; run the command again"
    )]
    Replaced,
    /// The file is not a SQLite database, or not a complete one.
    #[error("{reason}")]
    NotADatabase {
        /// What is wrong with the file.
        reason: String,
    },
    /// Another process held a lock for longer than the busy timeout.
    #[error("the database is busy{}", lock_holder_suffix(.holder.as_deref()))]
    Busy {
        /// The process that held the lock, if the operating system reports it.
        holder: Option<String>,
    },
    /// Another process has the file open, whether or not it holds a lock.
    #[error("{process} has the database open; stop that process first")]
    InUse {
        /// The process.
        process: String,
    },
    /// The integrity check of a copy failed.
    #[error(
        "the integrity check of the copy failed, so the database is damaged: {check_result}; restore it from an older backup"
    )]
    Corrupt {
        /// The first damage that SQLite found.
        check_result: String,
    },
    /// The run was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// A hot journal exists, which only a writer may roll back.
    #[error(
        "a hot journal from an interrupted write of another program exists; `tatmig upgrade` lets SQLite roll it back"
    )]
    HotJournal,
    /// SQLite did not change the journal mode of the file.
    #[error(
        "SQLite left the journal mode at `{found}` instead of `wal`; file systems without shared memory, such as network file systems, do not support `wal`"
    )]
    JournalMode {
        /// The journal mode of the file.
        found: String,
    },
    /// The content was not replaced, but the database is no longer in WAL mode.
    #[error(
        "{cause}; the content is unchanged, but the journal mode is now `delete` instead of `wal`: {wal_error}; turn it on again with `PRAGMA journal_mode = WAL`"
    )]
    WalModeLost {
        /// Why the content was not replaced.
        cause: Box<DatabaseError>,
        /// Why SQLite could not turn WAL mode on again.
        wal_error: String,
    },
    /// The history table is not one that tatmig created.
    #[error("`_tatmig_migrations` {reason}; tatmig needs this name for its history table")]
    InvalidHistoryTable {
        /// What is wrong with the table.
        reason: String,
    },
    /// Another run migrated the database between reading and locking.
    #[error("another run is migrating this database at the same time")]
    ConcurrentChange,
    /// The application's connection is inside a transaction.
    #[error("the connection is inside a transaction; commit it before an upgrade")]
    InTransaction,
    /// The application's connection has attached databases.
    #[error(
        "the connection has {} `{}`, which names of the document could mean; detach {}, or use another connection", if .names.len() == 1 { "the attached database" } else { "the attached databases" }, .names.join("`, `"), if .names.len() == 1 { "it" } else { "them" }
    )]
    AttachedDatabases {
        /// The names of the databases.
        names: Vec<String>,
    },
    /// The application's connection has temporary objects that hide names of the document.
    #[error(
        "the {} of this connection {} a name of the document; drop {}, or use another connection", .objects.join(", the "), if .objects.len() == 1 { "hides" } else { "hide" }, if .objects.len() == 1 { "it" } else { "them" }
    )]
    HidingObjects {
        /// The objects, such as ``temporary table `notes` ``.
        objects: Vec<String>,
    },
    /// The application's connection has a temporary trigger on a table that a job changes.
    #[error(
        "the temporary trigger `{trigger}` of this connection is on the table `{table}`, which a pending migration changes; drop the trigger before the upgrade"
    )]
    TemporaryTrigger {
        /// The trigger.
        trigger: String,
        /// The table.
        table: String,
    },
    /// SQLite refused a statement of a migration.
    #[error("{message} (in {migration})")]
    Statement {
        /// The migration.
        migration: String,
        /// SQLite's message.
        message: String,
        /// What SQLite reported, by its code.
        cause: StatementCause,
        /// The bytes of the document that the message is about.
        span: Range<usize>,
    },
    /// SQLite refused a statement, and the schema of the database is that of a later version already.
    #[error("{message} (in {migration}); the schema of this database is that of {version} already")]
    AlreadyMigrated {
        /// The migration.
        migration: String,
        /// SQLite's message.
        message: String,
        /// The scope of the database.
        scope: Scope,
        /// The version.
        version: String,
        /// The bytes of the document that the message is about.
        span: Range<usize>,
    },
    /// A statement failed on a constraint, and a query found the rows that it failed on.
    #[error("{message} (in {migration})")]
    ConstraintFailed {
        /// The migration.
        migration: String,
        /// SQLite's message.
        message: String,
        /// The first rows, each as a message shows it.
        rows: Vec<String>,
        /// The bytes of the document that the message is about.
        span: Range<usize>,
    },
    /// A statement ended the transaction, so that everything was rolled back.
    #[error(
        "this statement ended the transaction ({message}), so everything was rolled back (in {migration})"
    )]
    EndedTransaction {
        /// The migration.
        migration: String,
        /// SQLite's message.
        message: String,
        /// What SQLite reported, by its code.
        cause: StatementCause,
        /// The bytes of the document that the message is about.
        span: Range<usize>,
    },
    /// The SELECT of a `-- tatmig:assert` returned rows.
    #[error(
        "assertion failed: {reason}: {} (in {migration})", describe_failing_rows(.rows)
    )]
    AssertionFailed {
        /// The migration.
        migration: String,
        /// The reason that the document gives.
        reason: String,
        /// The first rows that the SELECT returned, each as a message shows it.
        rows: Vec<String>,
        /// The bytes of the document that the message is about.
        span: Range<usize>,
    },
    /// A safety rule refused a statement, since this database differs from the document.
    #[error("{message} (in {migration})")]
    SafetyRule {
        /// The rule.
        rule: Rule,
        /// The migration.
        migration: String,
        /// What the statement would do.
        message: String,
        /// What to do instead of allowing the rule, and when the rule may be allowed.
        advice: String,
        /// The bytes of the document that the message is about.
        span: Range<usize>,
    },
    /// SQLite refused a statement because of a view or trigger that the document does not have.
    #[error(
        "{message}; the {kind} `{name}` of this database is not in the document (in {migration})"
    )]
    UndocumentedObject {
        /// The migration.
        migration: String,
        /// SQLite's message.
        message: String,
        /// `view` or `trigger`.
        kind: String,
        /// The name of the view or trigger.
        name: String,
        /// The bytes of the document that the message is about.
        span: Range<usize>,
    },
    /// A column that a migration adds existed before with another definition.
    #[error(
        "column `{table}.{column}` already exists as `{found}`; {migration} adds it as `{expected}`"
    )]
    ColumnDiffers {
        /// The migration.
        migration: String,
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The definition in the database.
        found: String,
        /// The definition in the document.
        expected: String,
        /// The bytes of the document that the message is about.
        span: Range<usize>,
    },
    /// After the last step, the schema did not have the expected changes.
    #[error("after the last step, the schema does not match the document, so everything was rolled back: {}", .unmet.join("; "))]
    PostconditionFailed {
        /// What is missing or different, each as a message shows it.
        unmet: Vec<String>,
    },
    /// A table that a migration rebuilt lost rows.
    #[error(
        "table `{table}` had {before} {} before {migration} rebuilt it, and {after} after", if *.before == 1 { "row" } else { "rows" }
    )]
    RowLoss {
        /// The migration.
        migration: String,
        /// The table.
        table: String,
        /// The number of rows before.
        before: i64,
        /// The number of rows after.
        after: i64,
        /// The bytes of the document of the statement that drops the old table.
        span: Range<usize>,
    },
    /// A table that a migration rebuilt lost its AUTOINCREMENT counter.
    #[error(
        "the AUTOINCREMENT counter of table `{table}` was {before} before {migration} rebuilt it, and {after} after, so that SQLite would use ids of deleted rows again"
    )]
    CounterReset {
        /// The migration.
        migration: String,
        /// The table.
        table: String,
        /// The counter before.
        before: i64,
        /// The counter after; 0 if the table has none any more.
        after: i64,
        /// The bytes of the document of the statement that drops the old table.
        span: Range<usize>,
    },
    /// After the last step, more rows violate a foreign key than before.
    #[error("these migrations leave {rows} {} without a parent, so everything was rolled back: {}", if *.rows == 1 { "row" } else { "rows" }, .violations.join("; "))]
    ForeignKeyViolations {
        /// The first violations, each as a message shows it.
        violations: Vec<String>,
        /// How many rows violate a key.
        rows: usize,
        /// The last statement that names one of the tables, by its bytes of the document.
        span: Option<Range<usize>>,
    },
    /// A request to a libSQL server failed.
    #[cfg(feature = "server")]
    #[error(transparent)]
    Server(ServerError),
    /// The response to a job was lost, and whether it was committed is unknown.
    #[cfg(feature = "server")]
    #[error("{cause}; whether the server committed the change is unknown. {hint}")]
    OutcomeUnknown {
        /// How the response was lost.
        cause: ServerError,
        /// What to do, and why the history does not show whether the change was committed.
        hint: String,
    },
    /// The response to a job was lost, and the history shows that the job was not committed.
    #[cfg(feature = "server")]
    #[error("{cause}; the history shows that nothing was applied. Run the command again")]
    NotApplied {
        /// How the response was lost.
        cause: ServerError,
    },
    /// A copy was not identical to its source, and was rolled back.
    #[cfg(feature = "server")]
    #[error("the copy is not identical to its source, so it was rolled back: {difference}")]
    CopyMismatch {
        /// The first difference, as a message shows it.
        difference: String,
    },
    /// The server ended the transaction because another client waited for its lock.
    #[cfg(feature = "server")]
    #[error(
        "the server gave the lock to another program that waited for it, and rolled everything back; stop writers and run the command again, or give the namespace a longer `txn_timeout_s`"
    )]
    LockStolen,
    /// Any other error of SQLite.
    #[error("{}", sqlite_message_with_hint(.0))]
    Sqlite(#[source] rusqlite::Error),
    /// A file system operation failed.
    #[error("{context}: {source}")]
    Io {
        /// What tatmig tried to do.
        context: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

/// The kind of SQLite's error for a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatementCause {
    /// A constraint failed.
    Constraint,
    /// Something else; the message explains it.
    Other,
}

impl StatementCause {
    pub(crate) fn from_error(error: &rusqlite::Error) -> Self {
        if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
            Self::Constraint
        } else {
            Self::Other
        }
    }
}

impl DatabaseError {
    /// The error for expected changes that a schema does not have; none if it has all of them.
    pub(crate) fn postcondition(unmet: &[Difference]) -> Option<Self> {
        let unmet: Vec<String> = unmet.iter().map(ToString::to_string).collect();
        (!unmet.is_empty()).then_some(Self::PostconditionFailed { unmet })
    }

    /// The bytes of the document that the error is about, if it is about a statement.
    #[must_use]
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::Statement { span, .. }
            | Self::AlreadyMigrated { span, .. }
            | Self::ConstraintFailed { span, .. }
            | Self::EndedTransaction { span, .. }
            | Self::AssertionFailed { span, .. }
            | Self::SafetyRule { span, .. }
            | Self::UndocumentedObject { span, .. }
            | Self::RowLoss { span, .. }
            | Self::CounterReset { span, .. }
            | Self::ColumnDiffers { span, .. } => Some(span.clone()),
            Self::ForeignKeyViolations { span, .. } => span.clone(),
            _ => None,
        }
    }

    /// Adds the rows that a statement failed on, if there are any.
    pub(crate) fn with_offending_rows(self, rows: Vec<String>) -> Self {
        match self {
            Self::Statement { migration, message, span, .. } if !rows.is_empty() => {
                Self::ConstraintFailed { migration, message, rows, span }
            }
            error => error,
        }
    }

    /// Adds to the error of a statement the version whose schema the database has.
    pub(crate) fn with_present_version(self, scope: Scope, version: String) -> Self {
        match self {
            Self::Statement { migration, message, span, .. } => {
                Self::AlreadyMigrated { migration, message, scope, version, span }
            }
            error => error,
        }
    }

    /// Whether the database does not exist.
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
            // An abandoned request that could have committed something has an error of its own.
            ServerError::Interrupted | ServerError::Abandoned { .. } => Self::Interrupted,
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
                (ErrorCode::NotADatabase, _) => {
                    Self::NotADatabase { reason: "this is not a SQLite database".to_owned() }
                }
                // SQLITE_READONLY_ROLLBACK, SQLITE_READONLY_RECOVERY
                (ErrorCode::ReadOnly, 776 | 264) => Self::HotJournal,
                // SQLITE_READONLY_DBMOVED: SQLite checks this before its first write.
                (ErrorCode::ReadOnly, 1032) => Self::Replaced,
                _ => Self::Sqlite(error),
            },
            None => Self::Sqlite(error),
        }
    }
}

pub(crate) fn lock_holder_suffix(holder: Option<&str>) -> String {
    holder.map_or_else(
        || ": another program holds a lock".to_owned(),
        |holder| format!(": {holder} holds a lock"),
    )
}
