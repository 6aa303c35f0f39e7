//! Determines with a probe what a job does to namespaces of one schema, and caches the result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::database::already_applied::DifferentColumn;
use crate::database::foreign_keys::ForeignKeySet;
use crate::schema::difference::Difference;

/// A statement of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StatementPosition {
    /// The index of the step in the job.
    pub(crate) step: usize,
    /// The index of the statement in the step's script.
    pub(crate) statement: usize,
}

/// What a job does to namespaces of one schema.
#[derive(Debug, Default)]
pub(crate) struct JobAnalysis {
    /// Statements that are already applied, each with a note.
    pub(crate) already_applied: BTreeMap<StatementPosition, String>,
    /// Statements that drop a table which the document does not have, and which must be empty.
    pub(crate) undocumented_drops: BTreeMap<StatementPosition, String>,
    /// The columns of these statements that exist with another definition. A namespace must accept
    /// each of them as drift.
    pub(crate) different_columns: Vec<DifferentColumn>,
    /// The rebuilt tables, in lower case, that have AUTOINCREMENT before and after the job.
    pub(crate) counted_tables: BTreeSet<String>,
    /// The fingerprint of the schema after the job; none if the job is not expected to make any
    /// change.
    pub(crate) expected_fingerprint: Option<String>,
    /// The expected changes that the schema after the job does not have.
    pub(crate) unmet: Vec<Difference>,
    pub(crate) keys_before: ForeignKeySet,
    pub(crate) keys_after: ForeignKeySet,
    /// Whether a namespace of this schema had violations before the job.
    has_violations: AtomicBool,
}

impl JobAnalysis {
    /// A note about the statements of a step that are already applied.
    pub(crate) fn step_note(&self, step: usize) -> Option<String> {
        let of_step = self.already_applied.iter().filter(|(position, _)| position.step == step);
        let notes: Vec<&str> = of_step.map(|(_, note)| note.as_str()).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    pub(crate) fn has_violations(&self) -> bool {
        self.has_violations.load(Ordering::Relaxed)
    }

    pub(crate) fn set_has_violations(&self) {
        self.has_violations.store(true, Ordering::Relaxed);
    }
}
