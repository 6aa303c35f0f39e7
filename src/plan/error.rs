//! Errors of planning: why a database is refused, and why a target version is.

use semver::Version;

use crate::document::tag::VersionPoint;

/// Why a database is left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Its version is none of the document's.
    #[error(
        "its version is `{version}`, which the document does not know (head is `{head}`); use the document that brought it there"
    )]
    UnknownVersion {
        /// The version in its record.
        version: String,
        /// The document's head.
        head: Version,
    },
    /// Its version is one that the document plans and has not released.
    #[error("its version is `{version}`, which is only planned in the document (head is `{head}`)")]
    AboveHead {
        /// The version in its record.
        version: String,
        /// The document's head.
        head: Version,
    },
    /// It has no record, and its schema fits no version of the document.
    #[error("it has tables and no record, and its schema fits no version: there is {}; but {}. `tatmig adopt` accepts it as it is", .found.join(", "), missing_or_out_of_order(.missing))]
    PartialMatch {
        /// What of the document's is there.
        found: Vec<String>,
        /// What is missing.
        missing: Vec<String>,
    },
    /// It has no record, and nothing of the document's.
    #[error(
        "it has tables and no record, and none of the tables are the document's; if it is this fleet's all the same, `tatmig adopt --at baseline` says so"
    )]
    UnrelatedSchema,
    /// An edited migration cannot be accepted: the schema does not have what it makes.
    #[error("it does not have what the edited migration makes: {}", .unmet.join("; "))]
    SchemaMismatch {
        /// What is missing.
        unmet: Vec<String>,
    },
    /// No reverse block leads down from where it stands.
    #[error("no reverse block leads down from where it stands: the document has no {}", quote_tags(.missing_tags))]
    NoReverse {
        /// The tags of the blocks that are missing, the first to be run first.
        missing_tags: Vec<String>,
    },
    /// It holds nothing yet.
    #[error("it holds nothing yet; `tatmig upgrade` makes its tables")]
    EmptyDatabase,
    /// A migration that it went through was changed in the document since.
    #[error("{} changed in the document after this database went through {}: {}", if .changed_migrations.len() == 1 { "a migration was" } else { "migrations were" }, if .changed_migrations.len() == 1 { "it" } else { "them" }, .changed_migrations.iter().map(|edit| format!("`{} → {}`", edit.from, edit.to)).collect::<Vec<_>>().join(", "))]
    ChecksumMismatch {
        /// Each of them.
        changed_migrations: Vec<ChangedMigration>,
    },
}

/// Tags as they stand in the document.
fn quote_tags(missing_tags: &[String]) -> String {
    let quoted_tags: Vec<String> = missing_tags.iter().map(|tag| format!("`-- {tag}`")).collect();
    quoted_tags.join(", ")
}

/// What is missing; where nothing is, too much is there.
fn missing_or_out_of_order(missing: &[String]) -> String {
    if missing.is_empty() { "in no order of the document's".to_owned() } else { missing.join(", ") }
}

/// A migration whose statements are not those that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedMigration {
    /// Where the migration starts.
    pub from: VersionPoint,
    /// Where it ends.
    pub to: VersionPoint,
    /// The checksum of what ran.
    pub applied_checksum: String,
    /// The bytes of the part's start tag in the document.
    pub span: std::ops::Range<usize>,
}

/// A `--to` that no run can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Not a semantic version.
    #[error("`{text}` is not a version; versions read like `{head}`")]
    NotAVersion {
        /// What was given.
        text: String,
        /// The document's head.
        head: Version,
    },
    /// A version that no migration leads to.
    #[error("version `{version}` is not in {document}; it has {nearby_versions}")]
    UnknownVersion {
        /// What was given.
        version: Version,
        /// The document's name.
        document: String,
        /// The nearest versions that there are.
        nearby_versions: String,
    },
    /// A version that is not released.
    #[error("version `{version}` is only planned in {document}; head is `{head}`")]
    PlannedVersion {
        /// What was given.
        version: Version,
        /// The document's name.
        document: String,
        /// The document's head.
        head: Version,
    },
}
