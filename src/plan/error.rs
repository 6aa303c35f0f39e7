//! Declares the errors of planning: why a database is refused, and why a target version is.

use semver::{BuildMetadata, Version};

use crate::document::tag::VersionPoint;

/// Why a run refuses a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The database is at a version that is not in the document.
    #[error(
        "the database is at version `{version}`, which is not in the document (head is `{head}`); use a document that has this version"
    )]
    UnknownVersion {
        /// The last version in the history.
        version: String,
        /// The head of the document.
        head: Version,
    },
    /// The database is at a version that is planned in the document and not released.
    #[error(
        "the database is at version `{version}`, which is only planned in the document (head is `{head}`)"
    )]
    AboveHead {
        /// The last version in the history.
        version: String,
        /// The head of the document.
        head: Version,
    },
    /// The database has no history, and its schema is that of no version.
    #[error("the database has no history, and its schema matches no version: it has {}; {}. `tatmig adopt` records the best match and accepts the differences", .found.join(", "), missing_text(.missing))]
    PartialMatch {
        /// The changes of the document that exist in the database.
        found: Vec<String>,
        /// The changes that are missing.
        missing: Vec<String>,
    },
    /// The database has no history, and none of its objects is in the document.
    #[error(
        "the database has no history, and none of its tables is as the document defines it; if it belongs to this fleet, record its version with `tatmig adopt --at VERSION`, or `--at baseline` if it has no migration"
    )]
    UnrelatedSchema,
    /// An edited migration cannot be accepted, since the schema does not have what it creates.
    #[error("the schema does not have what the edited migration creates: {}; restore the original SQL, and change the schema in a new migration", .unmet.join("; "))]
    SchemaMismatch {
        /// What is missing.
        unmet: Vec<String>,
    },
    /// Steps down have no reverse block.
    #[error("the way down needs reverse blocks that the document does not have: {}", quote_tags(.missing_tags))]
    NoReverse {
        /// The start tags of the missing blocks, in the order in which they would run.
        missing_tags: Vec<String>,
    },
    /// The database is empty.
    #[error("the database is empty; run `tatmig upgrade` first")]
    EmptyDatabase,
    /// Migrations were edited in the document after the database applied them.
    #[error("{}: {}", edited_text(.changed_migrations), list_changed(.changed_migrations))]
    ChecksumMismatch {
        /// The edited migrations.
        changed_migrations: Vec<ChangedMigration>,
    },
}

fn quote_tags(missing_tags: &[String]) -> String {
    let quoted_tags: Vec<String> = missing_tags.iter().map(|tag| format!("`-- {tag}`")).collect();
    quoted_tags.join(", ")
}

/// The text for what is missing. If nothing is, objects of several versions exist side by side.
fn missing_text(missing: &[String]) -> String {
    if missing.is_empty() {
        "no version has all of that at once".to_owned()
    } else {
        missing.join(", ")
    }
}

fn edited_text(changed_migrations: &[ChangedMigration]) -> &'static str {
    match changed_migrations {
        [_] => "a migration was edited after this database applied it",
        _ => "migrations were edited after this database applied them",
    }
}

fn list_changed(changed_migrations: &[ChangedMigration]) -> String {
    let quoted: Vec<String> = changed_migrations
        .iter()
        .map(|migration| format!("`{} → {}`", migration.from, migration.to))
        .collect();
    quoted.join(", ")
}

/// A migration whose statements in the document are not those that ran on a database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedMigration {
    /// The version before the migration.
    pub from: VersionPoint,
    /// The version after the migration.
    pub to: VersionPoint,
    /// The checksum of the statements that ran.
    pub applied_checksum: String,
    /// The byte range of the start tag in the document.
    pub span: std::ops::Range<usize>,
}

/// Why a target version (`--to`) is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The text is not a semantic version.
    #[error("`{text}` is not a version; versions have the form `{head}`")]
    NotAVersion {
        /// The text.
        text: String,
        /// The head of the document.
        head: Version,
    },
    /// The version has build metadata.
    #[error(
        "build-metadata: version `{version}` has build metadata, which does not count when versions are compared; write `{}`",
        without_build_metadata(.version)
    )]
    BuildMetadata {
        /// The version.
        version: Version,
    },
    /// The document does not have the version.
    #[error("version `{version}` is not in {document}; it has {nearby_versions}")]
    UnknownVersion {
        /// The version.
        version: Version,
        /// The name of the document.
        document: String,
        /// The nearest versions of the document, as text.
        nearby_versions: String,
    },
    /// The version is planned, not released.
    #[error("version `{version}` is only planned in {document}; head is `{head}`")]
    PlannedVersion {
        /// The version.
        version: Version,
        /// The name of the document.
        document: String,
        /// The head of the document.
        head: Version,
    },
}

/// The version that counts as equal and has no build metadata.
fn without_build_metadata(version: &Version) -> Version {
    Version { build: BuildMetadata::EMPTY, ..version.clone() }
}
