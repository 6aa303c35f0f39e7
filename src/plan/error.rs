//! Declares the errors of planning: why a database is refused, and why a target version is.

use semver::{BuildMetadata, Version};

use crate::document::tag::{Scope, VersionPoint};

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
    /// The database has no history, and its schema is that of several versions.
    #[error("the database has no history, and its schema is that of {}: {}. Whether these statements ran does not show in the schema; {}", join_versions(.versions), list_statements(.statements), adopt_one_of(*.scope, .versions))]
    AmbiguousMatch {
        /// Which database it is.
        scope: Scope,
        /// The versions that match, lowest first.
        versions: Vec<VersionPoint>,
        /// The statements between the lowest and the highest of them, with their places.
        statements: Vec<String>,
    },
    /// The database has no history, and its schema is that of no version.
    #[error("the database has no history, and its schema is that of no version: it has {}; {}. {}", .found.join(", "), missing_text(.proposal.as_ref(), .missing), proposal_text(*.scope, .proposal.as_ref(), .failure.as_deref()))]
    PartialMatch {
        /// Which database it is.
        scope: Scope,
        /// The tables of the document that exist in the database.
        found: Vec<String>,
        /// What is missing or different at the proposed version.
        missing: Vec<String>,
        /// The version that `adopt` would record; none if the rest of the document fails from
        /// every version.
        proposal: Option<VersionPoint>,
        /// Why the rest of the document fails.
        failure: Option<String>,
    },
    /// The database has no history, and none of its tables is in the document.
    #[error(
        "the database has no history, and none of the document's tables exists in it; if it belongs to this fleet, run `{} --at baseline`",
        adopt_command(*.scope)
    )]
    UnrelatedSchema {
        /// Which database it is.
        scope: Scope,
    },
    /// The database has no history, and the version table of another tool does not decide its
    /// version, or contradicts its schema.
    #[error("the database has no history, and {}", version_table_text(.tables, .schema, &adopt_one_of(*.scope, .versions)))]
    VersionTable {
        /// Which database it is.
        scope: Scope,
        /// What the tables record, or why they cannot decide.
        tables: Vec<String>,
        /// What the schema matches.
        schema: String,
        /// The versions among which a person can choose.
        versions: Vec<VersionPoint>,
    },
    /// A version was to be recorded in a new database.
    #[error(
        "the database is new, so it has nothing of {version}; run `{}`, which creates its tables",
        upgrade_command(*.scope)
    )]
    NewDatabase {
        /// Which database it is.
        scope: Scope,
        /// The version that was to be recorded.
        version: VersionPoint,
    },
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
    #[error("the database is empty; run `{}` first", upgrade_command(*.scope))]
    EmptyDatabase {
        /// Which database it is.
        scope: Scope,
    },
    /// Migrations were edited in the document after the database applied them.
    #[error("{}: {}", edited_text(.changed_migrations), list_changed(.changed_migrations))]
    ChecksumMismatch {
        /// The edited migrations.
        changed_migrations: Vec<ChangedMigration>,
    },
}

impl PlanError {
    /// The version of a database that is above head: planned, or higher than head and not in the
    /// document. `None` for any other error.
    pub(crate) fn version_above_head(&self) -> Option<VersionPoint> {
        let (version, head, is_planned) = match self {
            Self::AboveHead { version, head } => (version, head, true),
            Self::UnknownVersion { version, head } => (version, head, false),
            _ => return None,
        };
        let version = VersionPoint::parse(version)?;
        let is_above = is_planned || version.version().is_some_and(|version| version > head);
        is_above.then_some(version)
    }
}

fn quote_tags(missing_tags: &[String]) -> String {
    let quoted_tags: Vec<String> = missing_tags.iter().map(|tag| format!("`-- {tag}`")).collect();
    quoted_tags.join(", ")
}

fn join_versions(versions: &[VersionPoint]) -> String {
    let texts: Vec<String> = versions.iter().map(ToString::to_string).collect();
    match texts.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => texts.join(""),
    }
}

fn list_statements(statements: &[String]) -> String {
    format!("they differ by {}", statements.join(", "))
}

/// The command that adopts a database of this scope. Without a selection it would adopt the system
/// database alone.
pub(crate) fn adopt_command(scope: Scope) -> &'static str {
    match scope {
        Scope::System => "tatmig adopt",
        Scope::User => "tatmig adopt --user NAME",
    }
}

fn upgrade_command(scope: Scope) -> &'static str {
    match scope {
        Scope::System => "tatmig upgrade",
        Scope::User => "tatmig upgrade --user NAME",
    }
}

fn adopt_one_of(scope: Scope, versions: &[VersionPoint]) -> String {
    let command = adopt_command(scope);
    if versions.is_empty() {
        return format!("decide with `{command} --at VERSION`");
    }
    let commands: Vec<String> =
        versions.iter().map(|version| format!("`{command} --at {version}`")).collect();
    format!("run {}", commands.join(" or "))
}

/// The text for what a database lacks or has otherwise at the proposed version.
fn missing_text(proposal: Option<&VersionPoint>, missing: &[String]) -> String {
    let differences = match missing {
        [] => "nothing of it is missing or different".to_owned(),
        missing => missing.join(", "),
    };
    match proposal {
        Some(VersionPoint::Version(version)) => format!("compared with {version}, {differences}"),
        Some(VersionPoint::Baseline) | None => {
            format!("compared with the lowest baseline, {differences}")
        }
    }
}

fn proposal_text(scope: Scope, proposal: Option<&VersionPoint>, failure: Option<&str>) -> String {
    let adopt = adopt_command(scope);
    match (proposal, failure) {
        (Some(proposal), _) => {
            format!("`{adopt}` records {proposal} and accepts these differences")
        }
        (None, Some(failure)) => format!(
            "From no version does the rest of the document run on it ({failure}); change the database or the document, or decide with `{adopt} --at VERSION`"
        ),
        (None, None) => format!("Decide with `{adopt} --at VERSION`"),
    }
}

fn version_table_text(tables: &[String], schema: &str, choice: &str) -> String {
    format!("{}; {schema}. Find out which version it has, and {choice}", tables.join("; "))
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
    #[error("`{text}` is not a version; {hint}")]
    NotAVersion {
        /// The text.
        text: String,
        /// The version that was probably meant, or the form of versions, as the end of the message.
        hint: String,
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
