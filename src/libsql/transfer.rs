//! Copies whole databases between files and namespaces, in both directions, value by value. What was
//! written is read back and compared before it is committed. The source is read in one transaction.
//! The target is written in one transaction, in which each statement runs only if the one before
//! succeeded and the transaction is still open. So if the server gives the lock to another client,
//! nothing is written.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::database::connection::{ConnectionSetup, UnpreparedConnection};
use crate::database::error::DatabaseError;
use crate::database::policy::JournalMode;
use crate::database::session::{Query, read_transaction};
use crate::libsql::contents::read_contents;
use crate::libsql::copy::{copy_contents, find_difference};
use crate::libsql::endpoint::{NamespaceTransaction, TransferEndpoint};
use crate::libsql::namespace::Namespace;
use crate::sql::lexer;
use crate::sqld::server::RequestKind;
use crate::sqlite::database_file::{Access, DatabaseFile};
use crate::sqlite::file_status::FileIdentity;
use crate::sqlite::new_directories::{MissingBase, NewFileParent};
use crate::sqlite::open_directory::entry::Users;
use crate::sqlite::paths::plain_name;
use crate::sqlite::pinned_file::PinnedFile;

/// The result of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TransferResult {
    /// The database was copied.
    Copied,
    /// The target had the same contents before.
    AlreadyIdentical,
    /// The target has other contents and was not changed.
    TargetDiffers(String),
}

/// A transfer to a namespace that was compared and is not committed yet.
pub(crate) struct PreparedImport<'n> {
    transaction: NamespaceTransaction<'n>,
    result: TransferResult,
}

impl PreparedImport<'_> {
    /// Commits the copy, if there is one.
    pub(crate) fn finish(self) -> Result<TransferResult, DatabaseError> {
        if self.result == TransferResult::Copied {
            self.transaction.commit()?;
        }
        Ok(self.result)
    }
}

impl Namespace {
    /// Copies a database to this namespace, which has to be empty or identical. The copy is not
    /// committed, so that the caller can check first whether the source could be read unchanged.
    /// The source is read in one transaction.
    pub(crate) fn prepare_import(
        &self,
        mut source: &Connection,
    ) -> Result<PreparedImport<'_>, DatabaseError> {
        let read_transaction = read_transaction(source)?;
        let mut transaction = NamespaceTransaction::begin(self, RequestKind::Write)?;
        let result = if read_contents(&mut transaction)?.objects.is_empty() {
            copy_contents(&mut source, &mut transaction)?;
            require_identical(find_difference(&mut source, &mut transaction)?)?
        } else {
            find_difference(&mut source, &mut transaction)?
                .map_or(TransferResult::AlreadyIdentical, TransferResult::TargetDiffers)
        };
        drop(read_transaction);
        Ok(PreparedImport { transaction, result })
    }

    /// Replaces the contents of this namespace with those of a database, in one transaction. The
    /// source is read in one transaction.
    pub(crate) fn replace_with(&self, mut source: &Connection) -> Result<(), DatabaseError> {
        let _read_transaction = read_transaction(source)?;
        self.replace_contents(&mut source)
    }

    /// Replaces the contents of this namespace with those of a file, in one transaction.
    pub(crate) fn replace_with_file(&self, file: &DatabaseFile) -> Result<(), DatabaseError> {
        let pin = PinnedFile::open(file, Access::Read)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let path = plain_name(&pin.path);
        let source = pin.open_with_sqlite(|| UnpreparedConnection::open(&path, flags, None))?;
        let source = source.prepare(&self.options.setup)?;
        self.replace_with(&source)
    }

    /// Replaces the contents of this namespace with those of another, in one transaction.
    pub(crate) fn replace_with_fork(&self, fork: &Self) -> Result<(), DatabaseError> {
        let mut source = NamespaceTransaction::begin(fork, RequestKind::Read)?;
        self.replace_contents(&mut source)
    }

    fn replace_contents(&self, source: &mut dyn TransferEndpoint) -> Result<(), DatabaseError> {
        let mut transaction = NamespaceTransaction::begin(self, RequestKind::Write)?;
        let existing = read_contents(&mut transaction)?;
        let objects_of =
            |kind: &'static str| existing.objects.iter().filter(move |object| object.kind == kind);
        let tables = objects_of("table").filter(|object| !existing.is_shadow(object));
        let dropped_objects = objects_of("trigger").chain(objects_of("view")).chain(tables);
        let drop_statements = dropped_objects.map(|object| {
            Query::new(format!("DROP {} {}", object.kind, lexer::quote_identifier(&object.name)))
        });
        transaction.execute_all(drop_statements.collect())?;
        copy_contents(source, &mut transaction)?;
        require_identical(find_difference(source, &mut transaction)?)?;
        transaction.commit()
    }

    /// Copies this namespace to a file, which has to be missing, empty or identical. A missing file
    /// is created in `journal_mode`, in directories that are created if they are missing.
    pub(crate) fn export_to(
        &self,
        file: &DatabaseFile,
        journal_mode: JournalMode,
    ) -> Result<TransferResult, DatabaseError> {
        let mut transaction = NamespaceTransaction::begin(self, RequestKind::Read)?;
        if file.status()?.is_some() {
            return export_to_file(&mut transaction, file, None, &self.options.setup);
        }
        let parent = NewFileParent::create(file, MissingBase::Refuse)?;
        let created = parent.directory.create_file(file.file_name(), Users::Default);
        let cannot_create = |source| DatabaseError::Io {
            context: "the database cannot be created".to_owned(),
            source,
        };
        let result = created.and_then(|created| created.metadata()).map_err(cannot_create);
        let result = result.and_then(|metadata| {
            let identity = FileIdentity::from_metadata(&metadata);
            let new_file = DatabaseFile { identity, ..file.clone() };
            let mode = Some(journal_mode);
            let result = export_to_file(&mut transaction, &new_file, mode, &self.options.setup);
            if !matches!(result, Ok(TransferResult::Copied)) {
                // Nothing was committed, and no other program knows the file.
                let _ = parent.directory.remove_file(file.file_name());
            }
            result
        });
        if !matches!(result, Ok(TransferResult::Copied)) {
            parent.created.remove();
        }
        result
    }
}

fn export_to_file(
    transaction: &mut NamespaceTransaction<'_>,
    file: &DatabaseFile,
    new_file_mode: Option<JournalMode>,
    setup: &ConnectionSetup,
) -> Result<TransferResult, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Dropped after the connection, which may hold locks on the file.
    let pin = PinnedFile::open(file, Access::Write)?;
    let path = plain_name(&pin.path);
    let connection = pin.open_with_sqlite(|| UnpreparedConnection::open(&path, flags, None))?;
    let connection = connection.prepare(setup)?;
    // The rows of a full-text index are copied through its shadow tables.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
    if new_file_mode == Some(JournalMode::Wal) {
        let found: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if found != "wal" {
            return Err(DatabaseError::JournalMode { found });
        }
    }
    connection
        .execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = FULL; BEGIN IMMEDIATE")?;
    let mut endpoint = &connection;
    if !read_contents(&mut endpoint)?.objects.is_empty() {
        let found = find_difference(transaction, &mut endpoint)?;
        return Ok(found.map_or(TransferResult::AlreadyIdentical, TransferResult::TargetDiffers));
    }
    copy_contents(transaction, &mut endpoint)?;
    let result = require_identical(find_difference(transaction, &mut endpoint)?)?;
    connection.execute_batch("COMMIT")?;
    Ok(result)
}

/// Fails if the copy differs from its source.
fn require_identical(difference: Option<String>) -> Result<TransferResult, DatabaseError> {
    match difference {
        None => Ok(TransferResult::Copied),
        Some(difference) => Err(DatabaseError::CopyMismatch { difference }),
    }
}
