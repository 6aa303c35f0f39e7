//! Detects the version of a database without a history by comparing its schema with the schema
//! that the document describes at each version. Pure: schemas in, a detection out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use semver::Version;

use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::Scope;
use crate::document::version_index::VersionIndex;
use crate::migrate::replay::Replay;
use crate::plan::error::PlanError;
use crate::schema::changes::ObjectChange;
use crate::schema::effects::ExpectedChanges;
use crate::schema::{Object, ObjectKey, Schema, effects};

/// The result of comparing the schema of a database without a history with the document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Detection {
    /// The schema is that of one version of the document.
    Match(VersionIndex),
    /// Some objects of the document exist, and the schema is that of no version.
    Partial {
        /// The highest version all of whose own changes are present; `None` if not even the
        /// changes of the baseline are.
        best_version: Option<VersionIndex>,
        /// What exists: `all of 1.0.0`, or a single change with its version.
        found: Vec<String>,
        /// What is missing from versions whose changes are present in part.
        missing: Vec<String>,
    },
    /// The database has objects, and none of them is in the document.
    Unrelated,
}

impl Detection {
    /// The name of the result for programs: `matched`, `torn` or `foreign`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Match(_) => "matched",
            Self::Partial { .. } => "torn",
            Self::Unrelated => "foreign",
        }
    }

    /// The version that matches, or the highest one all of whose changes are present.
    #[must_use]
    pub fn best_version(&self) -> Option<VersionIndex> {
        match self {
            Self::Match(index) => Some(*index),
            Self::Partial { best_version, .. } => *best_version,
            Self::Unrelated => None,
        }
    }

    /// What exists; empty unless the result is [`Partial`](Self::Partial).
    #[must_use]
    pub fn found(&self) -> &[String] {
        match self {
            Self::Partial { found, .. } => found,
            Self::Match(_) | Self::Unrelated => &[],
        }
    }

    /// What is missing; empty unless the result is [`Partial`](Self::Partial).
    #[must_use]
    pub fn missing(&self) -> &[String] {
        match self {
            Self::Partial { missing, .. } => missing,
            Self::Match(_) | Self::Unrelated => &[],
        }
    }

    /// The position of the version that matches; otherwise the reason why only a person can decide
    /// which version the database has.
    pub(crate) fn resolve(&self) -> Result<usize, PlanError> {
        match self {
            Self::Match(index) => Ok(index.get()),
            Self::Partial { found, missing, .. } => {
                Err(PlanError::PartialMatch { found: found.clone(), missing: missing.clone() })
            }
            Self::Unrelated => Err(PlanError::UnrelatedSchema),
        }
    }
}

/// The name of an object, or of a column of a table.
type ObjectOrColumn = (ObjectKey, Option<String>);

/// Finds the released version whose schema a database has.
pub(crate) fn detect_version(
    changelog: &Changelog<'_>,
    replay: &Replay<'_>,
    scope: Scope,
    actual_schema: &Schema,
) -> Detection {
    let changes_by_version: Vec<&[ObjectChange]> = std::iter::once(StepId::Baseline(0))
        .chain((0..changelog.head_position()).map(StepId::Forward))
        .map(|id| replay.script(scope, id).map_or(&[][..], |script| &script.object_changes))
        .collect();
    let mut comparison = SchemaComparison::new(&changes_by_version, actual_schema);
    for (position, changes) in changes_by_version.iter().enumerate() {
        comparison.add_version(position, &changelog.versions()[position], changes);
    }
    comparison.into_detection()
}

/// Compares a database's schema with the schema of one version after the other. Only the objects
/// that a version changes are compared, so the cost is linear in the length of the changelog.
struct SchemaComparison<'s> {
    actual: &'s Schema,
    /// The names in the database that the document uses at any version.
    known_names: BTreeSet<ObjectOrColumn>,
    /// The document's objects at the version that was added last.
    current: BTreeMap<ObjectKey, Arc<Object>>,
    /// The number of differences between `current` and the database.
    mismatch_count: usize,
    /// The number of names of `current` that exist in the database.
    present_count: usize,
    exact_match: Option<usize>,
    best_version: Option<usize>,
    found: Vec<String>,
    missing: Vec<String>,
}

impl<'s> SchemaComparison<'s> {
    fn new(changes_by_version: &[&[ObjectChange]], actual: &'s Schema) -> Self {
        // A name of the document that exists in the database must belong to the version that
        // matches.
        let known_names = changes_by_version
            .iter()
            .flat_map(|changes| changes.iter().filter_map(|(_, object)| object.as_ref()))
            .flat_map(|object| names_present(object, actual))
            .collect();
        Self {
            actual,
            known_names,
            current: BTreeMap::new(),
            mismatch_count: 0,
            present_count: 0,
            exact_match: None,
            best_version: None,
            found: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Applies the changes of the next version and compares the result with the database.
    fn add_version(&mut self, position: usize, version: &Version, changes: &[ObjectChange]) {
        let own_changes = self.apply_changes(changes);
        let (met, unmet) = own_changes.match_report(|key| self.actual.get(key).map(AsRef::as_ref));
        match (met.is_empty(), unmet.is_empty()) {
            (false, true) => {
                self.best_version = Some(position);
                self.found.push(format!("all of {version}"));
            }
            (false, false) => {
                self.found.extend(met.iter().map(|change| format!("{change} of {version}")));
                self.missing.extend(unmet);
            }
            // The version leaves no trace in the schema: it counts as present if the version
            // before it does.
            (true, true) if self.best_version.is_some_and(|best| best + 1 == position) => {
                self.best_version = Some(position);
            }
            (true, _) => {}
        }
        if self.mismatch_count == 0
            && self.present_count == self.known_names.len()
            && !self.known_names.is_empty()
        {
            self.exact_match = Some(position);
        }
    }

    /// Updates `current` and its counts; returns what the changes create, drop and alter.
    fn apply_changes(&mut self, changes: &[ObjectChange]) -> ExpectedChanges {
        let (mut before, mut after) = (Schema::new(), Schema::new());
        for (key, object) in changes {
            let previous_object = match object {
                Some(object) => self.current.insert(key.clone(), object.clone()),
                None => self.current.remove(key),
            };
            if let Some(previous_object) = previous_object {
                self.mismatch_count -= count_mismatches(&previous_object, self.actual);
                self.present_count -= names_present(&previous_object, self.actual).len();
                before.insert(key.clone(), previous_object);
            }
            if let Some(object) = object {
                self.mismatch_count += count_mismatches(object, self.actual);
                self.present_count += names_present(object, self.actual).len();
                after.insert(key.clone(), object.clone());
            }
        }
        ExpectedChanges::between(&before, &after)
    }

    fn into_detection(self) -> Detection {
        match self.exact_match {
            Some(position) => Detection::Match(VersionIndex::new(position)),
            None if self.found.is_empty() => Detection::Unrelated,
            None => Detection::Partial {
                best_version: self.best_version.map(VersionIndex::new),
                found: self.found,
                missing: self.missing,
            },
        }
    }
}

/// The number of differences between an object of the document and the same object of a database;
/// for an object that the database does not have, one more than the number of its columns.
fn count_mismatches(object: &Object, actual: &Schema) -> usize {
    let mut mismatches = Vec::new();
    match actual.get(&object.key()) {
        None => return 1 + object.columns().count(),
        Some(actual_object) => object.append_mismatches(actual_object, &mut mismatches),
    }
    mismatches.len()
}

/// The names of an object and of its columns that exist in a database.
fn names_present(object: &Object, actual: &Schema) -> Vec<ObjectOrColumn> {
    let key = object.key();
    let Some(actual_object) = actual.get(&key) else { return Vec::new() };
    let columns = object
        .columns()
        .filter(|column| actual_object.has_column(column))
        .map(|column| (key.clone(), Some(column.to_ascii_lowercase())));
    std::iter::once((key.clone(), None)).chain(columns).collect()
}

/// The differences between a database's schema and the document's schema at a position of the
/// chain, each as text. A database below the lowest baseline has no position; its schema is
/// compared with that of the lowest baseline.
pub(crate) fn drift(
    replay: &Replay<'_>,
    scope: Scope,
    position: Option<usize>,
    actual_schema: &Schema,
) -> Vec<String> {
    effects::differences(&replay.schema_at(scope, position.unwrap_or(0)), actual_schema)
}
