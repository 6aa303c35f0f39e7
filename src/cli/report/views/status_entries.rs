//! Serializes the status of a database.

use serde::Serialize;
use tatmig::fleet::TargetDatabase;
use tatmig::migrate::DatabaseStatus;
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
}

impl<'r> From<StatusOf<'r>> for StatusEntry<'r> {
    fn from(StatusOf { database, status, changelog }: StatusOf<'r>) -> Self {
        let detected = status.detection.as_ref().map(|detection| {
            let version = detection.version(changelog);
            DetectionEntry {
                name: detection.name(),
                version: version.map(|version| version.to_string()),
                candidates: detection.candidates().iter().map(ToString::to_string).collect(),
                there: detection.there(),
                missing: detection.missing(),
            }
        });
        // Why no version was detected is in `detected`.
        let error = status.error.as_ref().filter(|_| status.state != DatabaseState::Unversioned);
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
