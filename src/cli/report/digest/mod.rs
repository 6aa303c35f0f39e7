//! Sums up a run for the files that `--report` and `--metrics` write. Databases with the same state,
//! versions and cause are one entry, so that 100,000 of them need little room.

pub(crate) mod causes;
pub(crate) mod databases;
pub(crate) mod document;
pub(crate) mod durations;
pub(crate) mod excerpt;
pub(crate) mod findings;
pub(crate) mod steps;

use serde::Serialize;
use tatmig::VersionPoint;

use crate::cli::report::digest::causes::Causes;
use crate::cli::report::digest::databases::DatabaseGroups;
use crate::cli::report::digest::document::DocumentDigest;
use crate::cli::report::digest::durations::Durations;
use crate::cli::report::digest::findings::Findings;
use crate::cli::report::digest::steps::StepCounts;

/// What a run did. Each view fills in what its command has.
#[derive(Default)]
pub(crate) struct Digest {
    /// The result in one sentence.
    pub(crate) verdict: String,
    /// The version that the databases were to reach.
    pub(crate) target: Option<VersionPoint>,
    pub(crate) notices: Vec<String>,
    pub(crate) databases: DatabaseGroups,
    /// Why databases failed.
    pub(crate) causes: Causes,
    pub(crate) durations: Durations,
    /// What is wrong with the document.
    pub(crate) findings: Findings,
    /// The steps that ran, or that are pending.
    pub(crate) steps: StepCounts,
    /// Of `test`.
    pub(crate) scenarios: Vec<ScenarioLine>,
    /// Of `test`: what could not be tested.
    pub(crate) gaps: Vec<String>,
    /// The schemas and the SQL, if the document could be read.
    pub(crate) document: DocumentDigest,
}

/// Databases of `test` that had the same result.
#[derive(Serialize)]
pub(crate) struct ScenarioLine {
    pub(crate) text: String,
    pub(crate) passed: bool,
    pub(crate) databases: usize,
}
