//! Words the messages of SQLite's errors.

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_WRITE;

/// SQLite's message, with what to do about it if its code shows that.
pub(crate) fn sqlite_message_with_hint(error: &rusqlite::Error) -> String {
    let code = error.sqlite_error_code();
    let hint = match code {
        Some(ErrorCode::ReadOnly) => {
            "; check whether the file, its directory or its file system is read-only"
        }
        Some(ErrorCode::DiskFull) => "; free some space and run the command again",
        Some(ErrorCode::SystemIoFailure)
            if error.sqlite_extended_error_code() == Some(SQLITE_IOERR_WRITE) =>
        {
            "; check the limit of file sizes (`ulimit -f`), the quota and the disk"
        }
        Some(ErrorCode::CannotOpen) => {
            "; check whether this user may read and write the file and its directory"
        }
        Some(ErrorCode::DatabaseCorrupt) => "; the file is damaged, restore it from a backup",
        _ => "",
    };
    let message = sqlite_message(error);
    // SQLite has no code of its own for a header with a wrong number.
    let hint = match message.as_str() {
        "unsupported file format" => "; the file is damaged, restore it from a backup",
        _ => hint,
    };
    format!("{message}{hint}")
}

/// SQLite's message without the SQL that rusqlite adds to it.
pub(crate) fn sqlite_message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        error => error.to_string(),
    }
}

/// Whether SQLite refuses what a statement says, such as a table that does not exist, rather than the
/// state of the file.
pub(crate) fn is_sql_error(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqlInputError { .. })
        || error.sqlite_error_code() == Some(ErrorCode::Unknown)
}
