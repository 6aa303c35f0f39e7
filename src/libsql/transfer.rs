//! Copies whole databases between files and namespaces, in both directions, value by value. What was
//! written is read back and compared before it is committed. The source is read in one transaction.
//! The target is written in one transaction, in which each statement runs only if the one before
//! succeeded and the transaction is still open. So if the server gives the lock to another client,
//! nothing is written.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::database::error::DatabaseError;
use crate::database::policy::JournalMode;
use crate::database::session::Query;
use crate::libsql::contents::read_contents;
use crate::libsql::copy::{copy_contents, find_difference};
use crate::libsql::endpoint::{NamespaceTransaction, TransferEndpoint};
use crate::libsql::namespace::Namespace;
use crate::sql::lexer;
use crate::sqld::server::RequestKind;

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

impl Namespace {
    /// Copies a database to this namespace, which has to be empty or identical.
    pub(crate) fn import(&self, source: &Connection) -> Result<TransferResult, DatabaseError> {
        let mut transaction = NamespaceTransaction::begin(self, RequestKind::Write)?;
        let result = (|| {
            if !read_contents(&mut transaction)?.objects.is_empty() {
                let mismatch = find_difference(&mut &*source, &mut transaction)?;
                return Ok(mismatch
                    .map_or(TransferResult::AlreadyIdentical, TransferResult::TargetDiffers));
            }
            copy_contents(&mut &*source, &mut transaction)?;
            require_identical(find_difference(&mut &*source, &mut transaction)?)
        })();
        finish_transfer(transaction, result)
    }

    /// Replaces the contents of this namespace with those of a database, in one transaction.
    pub(crate) fn replace_with(&self, mut source: &Connection) -> Result<(), DatabaseError> {
        self.replace_contents(&mut source)
    }

    /// Replaces the contents of this namespace with those of a file, in one transaction.
    pub(crate) fn replace_with_file(&self, file: &Path) -> Result<(), DatabaseError> {
        let source = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        self.replace_with(&source)
    }

    /// Replaces the contents of this namespace with those of another, in one transaction.
    pub(crate) fn replace_with_fork(&self, fork: &Self) -> Result<(), DatabaseError> {
        let mut source = NamespaceTransaction::begin(fork, RequestKind::Read)?;
        let result = self.replace_contents(&mut source);
        let _ = source.end("ROLLBACK");
        result
    }

    fn replace_contents(&self, source: &mut dyn TransferEndpoint) -> Result<(), DatabaseError> {
        let mut transaction = NamespaceTransaction::begin(self, RequestKind::Write)?;
        let result = (|| {
            let existing = read_contents(&mut transaction)?;
            let mut drop_statements = Vec::new();
            for kind in ["trigger", "view"] {
                drop_statements
                    .extend(existing.objects.iter().filter(|object| object.kind == kind));
            }
            drop_statements.extend(
                existing
                    .objects
                    .iter()
                    .filter(|object| object.kind == "table" && !existing.is_shadow(object)),
            );
            let drop_statements = drop_statements.into_iter().map(|object| {
                Query::new(format!(
                    "DROP {} {}",
                    object.kind,
                    lexer::quote_identifier(&object.name)
                ))
            });
            transaction.execute_all(drop_statements.collect())?;
            copy_contents(source, &mut transaction)?;
            require_identical(find_difference(source, &mut transaction)?)
        })();
        finish_transfer(transaction, result).map(drop)
    }

    /// Copies this namespace to a file, which has to be missing, empty or identical. A missing file
    /// is created in `journal_mode`.
    pub(crate) fn export_to(
        &self,
        file: &Path,
        journal_mode: JournalMode,
    ) -> Result<TransferResult, DatabaseError> {
        let mut transaction = NamespaceTransaction::begin(self, RequestKind::Read)?;
        let file_exists = file.symlink_metadata().is_ok();
        let new_file_mode = (!file_exists).then_some(journal_mode);
        let result = export_to_file(&mut transaction, file, new_file_mode);
        if !file_exists && !matches!(result, Ok(TransferResult::Copied)) {
            // Nothing was committed, and no other program knows the file.
            let _ = std::fs::remove_file(file);
        }
        transaction.end("ROLLBACK")?;
        result
    }
}

fn export_to_file(
    transaction: &mut NamespaceTransaction<'_>,
    file: &Path,
    new_file_mode: Option<JournalMode>,
) -> Result<TransferResult, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
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

fn finish_transfer(
    transaction: NamespaceTransaction<'_>,
    result: Result<TransferResult, DatabaseError>,
) -> Result<TransferResult, DatabaseError> {
    match result {
        Ok(TransferResult::Copied) => transaction.end("COMMIT").map(|()| TransferResult::Copied),
        Ok(other) => {
            let _ = transaction.end("ROLLBACK");
            Ok(other)
        }
        Err(error) => {
            // If this request fails, the server rolls the stream back after a timeout.
            let _ = transaction.end("ROLLBACK");
            Err(error)
        }
    }
}
