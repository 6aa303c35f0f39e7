//! What a fleet's application does with its databases that no document can say: the journal mode
//! that it keeps them in, and whether it holds its foreign keys.

/// How SQLite keeps what is not committed yet. Only these two are written into a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalMode {
    /// A rollback journal that is deleted after each commit: SQLite's own choice.
    #[default]
    Delete,
    /// A write-ahead log: readers and a writer do not wait for each other.
    Wal,
}

/// What it means that a row's parent is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignKeyPolicy {
    /// Migrations that break a key are rolled back.
    #[default]
    Enforce,
    /// The application never turns them on: broken keys are told, and stand in nobody's way.
    Report,
}

/// The practice of a fleet's application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabasePolicy {
    /// The journal mode of the databases that are made; those that are there keep theirs.
    pub journal_mode: JournalMode,
    /// Whether foreign keys hold.
    pub foreign_keys: ForeignKeyPolicy,
}
