//! Names the exit statuses that `tatmig --help` documents.

/// Everything that was asked for is done.
pub(crate) const EXIT_SUCCESS: u8 = 0;
/// At least one database failed or has problems.
pub(crate) const EXIT_FAILURE: u8 = 1;
/// Wrong usage, or a document that cannot be used; no database was changed.
pub(crate) const EXIT_INVALID_INPUT: u8 = 2;
/// Migrations are pending (`status --exit-code`).
pub(crate) const EXIT_PENDING: u8 = 3;

/// [`EXIT_FAILURE`] if anything failed, else [`EXIT_SUCCESS`].
pub(crate) fn failure_if(has_failures: bool) -> u8 {
    if has_failures { EXIT_FAILURE } else { EXIT_SUCCESS }
}
