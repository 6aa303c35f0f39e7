//! Serializes the status of a database.

use serde::Serialize;
use tatmig::fleet::TargetDatabase;
use tatmig::migrate::{DatabaseStatus, VersionTableReport};
use tatmig::plan::{MigrateError, PlanError};
use tatmig::{Changelog, DatabaseState};

use crate::cli::report::json::{DatabaseKeys, ErrorEntry};

/// One database and its status. It is turned into a [`StatusEntry`] as it is written.
#[derive(Clone, Copy, Serialize)]
#[serde(into = "StatusEntry<'r>")]
pub(crate) struct StatusOf<'r> {
    pub(crate) database: &'r TargetDatabase,
    pub(crate) status: &'r DatabaseStatus,
    pub(crate) changelog: &'r Changelog<'r>,
}

/// The JSON object of one database.
#[derive(Serialize)]
struct StatusEntry<'r> {
    #[serde(flatten)]
    database: DatabaseKeys,
    version: Option<&'r str>,
    state: DatabaseState,
    pending: Vec<String>,
    detected: Option<DetectionEntry<'r>>,
    error: Option<ErrorEntry<'r>>,
}

/// How the schema of a database without a history compares with the document.
#[derive(Serialize)]
struct DetectionEntry<'r> {
    #[serde(rename = "match")]
    name: &'static str,
    version: Option<String>,
    candidates: Vec<String>,
    there: &'r [String],
    missing: &'r [String],
    sources: Vec<SourceEntry<'r>>,
}

/// The version table of another tool.
#[derive(Serialize)]
struct SourceEntry<'r> {
    tool: &'static str,
    table: &'r str,
    records: &'r str,
    version: String,
    problems: &'r [String],
}

impl<'r> From<&'r VersionTableReport> for SourceEntry<'r> {
    fn from(report: &'r VersionTableReport) -> Self {
        Self {
            tool: report.tool.name(),
            table: &report.table,
            records: &report.records,
            version: report.version.to_string(),
            problems: &report.problems,
        }
    }
}

impl<'r> From<StatusOf<'r>> for StatusEntry<'r> {
    fn from(StatusOf { database, status, changelog }: StatusOf<'r>) -> Self {
        let detected = status.detection.as_ref().map(|detection| {
            // If version table and schema disagree, `error` says so and neither counts.
            let version = detection.version(changelog).filter(|_| !is_refused_by_table(status));
            DetectionEntry {
                name: detection.name(),
                version: version.map(|version| version.to_string()),
                candidates: detection.candidates().iter().map(ToString::to_string).collect(),
                there: detection.there(),
                missing: detection.missing(),
                sources: status.version_tables.iter().map(SourceEntry::from).collect(),
            }
        });
        // Why the schema alone gives no version is in `detected`.
        let error = status
            .error
            .as_ref()
            .filter(|_| status.state != DatabaseState::Unversioned || is_refused_by_table(status));
        Self {
            database: DatabaseKeys::new(database),
            version: status.version.as_deref(),
            state: status.state,
            pending: status.pending.iter().map(ToString::to_string).collect(),
            detected,
            error: error.map(|error| ErrorEntry::new(error, changelog.source())),
        }
    }
}

/// Whether the version table of another tool does not decide the version, or contradicts the schema.
pub(crate) fn is_refused_by_table(status: &DatabaseStatus) -> bool {
    matches!(status.error.as_deref(), Some(MigrateError::Plan(PlanError::VersionTable { .. })))
}
