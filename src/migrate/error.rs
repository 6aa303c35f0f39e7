//! Defines the one error of the functions that an application embeds.

use std::fmt;
use std::ops::Range;

use crate::database::error::{DatabaseError, StatementCause};
use crate::document::diagnostic::{Diagnostic, DocumentError};
use crate::plan::error::{PlanError, TargetError};
use crate::plan::outcome::MigrateError;
#[cfg(feature = "server")]
use crate::sqld::error::ServerError;

/// Any error of this crate.
///
/// [`kind`](Self::kind) is for programs, `Display` is the message for people, and
/// [`source`](std::error::Error::source) is the cause, if it is an error of its own. An error with
/// a place in the document names it: the message begins with `MIGRATIONS.md:224:5: `, and
/// [`span`](Self::span) is the byte range. The errors of a document that cannot be used are its
/// [`diagnostics`](Self::diagnostics).
///
/// ```
/// use tatmig::{Changelog, ErrorKind};
///
/// let error = Changelog::parse("-- [user:baseline→1.0.0:start]\n").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Document);
/// assert_eq!(error.diagnostics()[0].rule.name(), "tag-outside-code");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    /// `MIGRATIONS.md:224:5: `, or empty.
    location: String,
    span: Option<Range<usize>>,
    diagnostics: Vec<Diagnostic>,
    cause: Box<dyn std::error::Error + Send + Sync>,
}

/// What an [`Error`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The document cannot be used: it has errors, or its SQL fails when it runs in memory.
    Document,
    /// Another connection held a lock for longer than the busy timeout, or another run kept
    /// migrating the same database. Try again later.
    Busy,
    /// The connection cannot be used as it is: it is inside a transaction, has attached databases,
    /// or has temporary objects that hide names of the document.
    Connection,
    /// The database has objects and no history, and its version cannot be detected.
    Unversioned,
    /// The database is at a version that is planned or not in the document. The document is older
    /// than the database.
    Ahead,
    /// A migration that the database applied was edited in the document afterwards.
    Edited,
    /// The schema of the database differs from what a migration expects or must create.
    Drift,
    /// A constraint failed: UNIQUE, NOT NULL, CHECK, PRIMARY KEY, a foreign key, or a
    /// `-- tatmig:assert` of the document.
    Constraint,
    /// SQLite or tatmig refused a statement of a migration for another reason.
    Statement,
    /// A rebuilt table lost rows or its AUTOINCREMENT counter, and its block does not allow that.
    RowLoss,
    /// A step down has no reverse block.
    NoReverse,
    /// The database does not exist, or is empty where it must not be.
    Missing,
    /// The file is not a database, is damaged, or its history table is not tatmig's.
    Corrupt,
    /// The operating system or SQLite could not read or write a file.
    Io,
    /// The run was interrupted before the commit.
    Interrupted,
    /// A libSQL server failed, refused the request or cannot be reached.
    Server,
    /// A response of a libSQL server was lost, and it is unknown whether the transaction was
    /// committed. The history of the database shows it once the server can be reached.
    Indeterminate,
    /// An argument is not valid, for example a version that the document does not have.
    Argument,
    /// SQLite reported another error.
    Sqlite,
    /// Another reason; the message explains it.
    Other,
}

impl Error {
    /// An error of a kind with its cause, without a place in the document.
    pub(crate) fn new(
        kind: ErrorKind,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            location: String::new(),
            span: None,
            diagnostics: Vec::new(),
            cause: cause.into(),
        }))
    }

    /// The same error with its place in the document.
    pub(crate) fn at(mut self, location: String, span: Range<usize>) -> Self {
        self.0.location = location;
        self.0.span = Some(span);
        self
    }

    /// What the error is about.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The diagnostics of a document that cannot be used, warnings included, in document order.
    /// Empty for every other kind of error.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.0.diagnostics
    }

    /// The byte range of the document that the error is about, if it has one.
    #[must_use]
    pub fn span(&self) -> Option<Range<usize>> {
        self.0.span.clone()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.location, self.0.cause)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &format_args!("{self}"))
            .field("cause", &self.0.cause)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    /// The cause below the message: the message of this error is already that of its own cause.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.source()
    }
}

impl From<DocumentError> for Error {
    fn from(mut error: DocumentError) -> Self {
        let diagnostics = std::mem::take(&mut error.diagnostics);
        let span = diagnostics.first().map(|diagnostic| diagnostic.span.clone());
        let mut error = Self::new(ErrorKind::Document, error);
        error.0.diagnostics = diagnostics;
        error.0.span = span;
        error
    }
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        let span = error.span();
        let mut error = Self::new(migrate_kind(&error), error);
        error.0.span = span;
        error
    }
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        MigrateError::from(error).into()
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        MigrateError::from(error).into()
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        DatabaseError::from(error).into()
    }
}

/// Errors whose cause is a text that the caller gave.
macro_rules! from_argument_errors {
    ($($(#[$attribute:meta])* $error:path;)*) => {
        $(
            $(#[$attribute])*
            impl From<$error> for Error {
                fn from(error: $error) -> Self {
                    Self::new(ErrorKind::Argument, error)
                }
            }
        )*
    };
}

from_argument_errors! {
    TargetError;
    #[cfg(feature = "fleet")]
    crate::target::pattern_error::PathTemplateError;
    #[cfg(feature = "fleet")]
    crate::target::shard::ShardError;
    #[cfg(feature = "server")]
    crate::target::user_source::UserSourceError;
    #[cfg(feature = "server")]
    crate::sqld::namespace_name::NamespaceNameError;
    #[cfg(feature = "server")]
    crate::sqld::error::UrlError;
}

#[cfg(feature = "server")]
impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        DatabaseError::from(error).into()
    }
}

#[cfg(feature = "server")]
impl From<crate::target::server_error::ServerSetError> for Error {
    fn from(error: crate::target::server_error::ServerSetError) -> Self {
        Self::new(ErrorKind::Server, error)
    }
}

fn migrate_kind(error: &MigrateError) -> ErrorKind {
    match error {
        MigrateError::Database(error) => database_kind(error),
        MigrateError::StoredReverse { error, .. } => database_kind(error),
        MigrateError::Plan(error) => plan_kind(error),
        MigrateError::ForeignReplay => ErrorKind::Argument,
        MigrateError::CannotOpen(_) | MigrateError::Panicked { .. } => ErrorKind::Other,
    }
}

fn plan_kind(error: &PlanError) -> ErrorKind {
    match error {
        PlanError::UnknownVersion { .. } | PlanError::AboveHead { .. } => ErrorKind::Ahead,
        PlanError::AmbiguousMatch { .. }
        | PlanError::PartialMatch { .. }
        | PlanError::VersionTable { .. }
        | PlanError::UnrelatedSchema { .. } => ErrorKind::Unversioned,
        PlanError::SchemaMismatch { .. } => ErrorKind::Drift,
        PlanError::NoReverse { .. } => ErrorKind::NoReverse,
        PlanError::EmptyDatabase { .. } | PlanError::NewDatabase { .. } => ErrorKind::Missing,
        PlanError::ChecksumMismatch { .. } => ErrorKind::Edited,
    }
}

fn database_kind(error: &DatabaseError) -> ErrorKind {
    match error {
        DatabaseError::Missing { .. } => ErrorKind::Missing,
        DatabaseError::Busy { .. }
        | DatabaseError::InUse { .. }
        | DatabaseError::Replaced
        | DatabaseError::ConcurrentChange => ErrorKind::Busy,
        DatabaseError::NotADatabase { .. }
        | DatabaseError::Corrupt { .. }
        | DatabaseError::InvalidHistoryTable { .. } => ErrorKind::Corrupt,
        DatabaseError::Interrupted => ErrorKind::Interrupted,
        DatabaseError::InTransaction
        | DatabaseError::AttachedDatabases { .. }
        | DatabaseError::HidingObjects { .. }
        | DatabaseError::TemporaryTrigger { .. } => ErrorKind::Connection,
        DatabaseError::Statement { cause, .. } | DatabaseError::EndedTransaction { cause, .. } => {
            match cause {
                StatementCause::Constraint => ErrorKind::Constraint,
                StatementCause::Other => ErrorKind::Statement,
            }
        }
        DatabaseError::ConstraintFailed { .. }
        | DatabaseError::ForeignKeyViolations { .. }
        | DatabaseError::AssertionFailed { .. } => ErrorKind::Constraint,
        DatabaseError::AlreadyMigrated { .. }
        | DatabaseError::ColumnDiffers { .. }
        | DatabaseError::UndocumentedObject { .. }
        | DatabaseError::SafetyRule { .. }
        | DatabaseError::PostconditionFailed { .. } => ErrorKind::Drift,
        DatabaseError::RowLoss { .. } | DatabaseError::CounterReset { .. } => ErrorKind::RowLoss,
        DatabaseError::WalModeLost { cause, .. } => database_kind(cause),
        DatabaseError::HotJournal
        | DatabaseError::JournalMode { .. }
        | DatabaseError::Io { .. } => ErrorKind::Io,
        DatabaseError::Sqlite(error) => sqlite_kind(error),
        #[cfg(feature = "server")]
        DatabaseError::Server(ServerError::NoNamespace { .. }) => ErrorKind::Missing,
        #[cfg(feature = "server")]
        DatabaseError::Server(_)
        | DatabaseError::NotApplied { .. }
        | DatabaseError::CopyMismatch { .. }
        | DatabaseError::LockStolen => ErrorKind::Server,
        #[cfg(feature = "server")]
        DatabaseError::OutcomeUnknown { .. } => ErrorKind::Indeterminate,
    }
}

fn sqlite_kind(error: &rusqlite::Error) -> ErrorKind {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => ErrorKind::Constraint,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied,
        ) => ErrorKind::Io,
        _ => ErrorKind::Sqlite,
    }
}
