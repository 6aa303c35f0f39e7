//! Declares the settings of a fleet that the document does not contain: the journal mode of new
//! databases, whether the application enforces foreign keys, and whether databases may be newer than
//! the document.

/// A journal mode of SQLite. Only these two are stored in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalMode {
    /// A rollback journal that is deleted after each commit: SQLite's default.
    #[default]
    Delete,
    /// A write-ahead log: readers and a writer do not wait for each other.
    Wal,
}

/// What happens if a row violates a foreign key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignKeyPolicy {
    /// Migrations that cause a violation are rolled back.
    #[default]
    Enforce,
    /// The application never enforces foreign keys: violations are reported and do not fail a
    /// migration.
    Report,
}

/// What a run up means for a database whose version is above head, the last released version of the
/// document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AheadPolicy {
    /// The database is refused.
    #[default]
    Refuse,
    /// The database is left unchanged, which is no failure: the old release of an application runs
    /// on databases that the new one has migrated.
    Allow,
}

/// How the application of a fleet uses its databases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabasePolicy {
    /// The journal mode of new databases. Existing databases keep theirs.
    pub journal_mode: JournalMode,
    /// What happens if a row violates a foreign key.
    pub foreign_keys: ForeignKeyPolicy,
    /// What a version above head means.
    pub ahead: AheadPolicy,
}
