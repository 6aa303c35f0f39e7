//! Detects the version of a database without a history by comparing its schema with the schema
//! that the document describes at each version. Pure: schemas in, a detection out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::Scope;
use crate::document::version_index::VersionIndex;
use crate::migrate::replay::Replay;
use crate::plan::error::PlanError;
use crate::schema::changes::ObjectChange;
use crate::schema::compare::{Extent, missing, object_differences};
use crate::schema::difference::Difference;
use crate::schema::{Object, ObjectKey, ObjectKind, Schema, compare};

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
        comparison.add_version(position, changes);
    }
    comparison.into_detection()
}

/// Compares a database's schema with the schema of one version after the other. Only the objects
/// that a version changes are compared, so the cost is linear in the length of the changelog.
struct SchemaComparison<'s> {
    actual: &'s Schema,
    /// The objects in the database whose names the document uses at any version.
    known_objects: BTreeSet<ObjectKey>,
    /// The document's objects at the version that was added last.
    current: BTreeMap<ObjectKey, Arc<Object>>,
    /// The number of differences between `current` and the database.
    difference_count: usize,
    /// How many of the known objects are in `current`.
    known_count: usize,
    exact_match: Option<usize>,
    /// The version with the fewest differences, and their number.
    nearest: Option<(usize, usize)>,
}

impl<'s> SchemaComparison<'s> {
    fn new(changes_by_version: &[&[ObjectChange]], actual: &'s Schema) -> Self {
        let known_objects = changes_by_version
            .iter()
            .flat_map(|changes| changes.iter().filter(|(_, object)| object.is_some()))
            .map(|(key, _)| key)
            .filter(|key| actual.contains_key(key))
            .cloned()
            .collect();
        Self {
            actual,
            known_objects,
            current: BTreeMap::new(),
            difference_count: 0,
            known_count: 0,
            exact_match: None,
            nearest: None,
        }
    }

    /// Applies the changes of the next version and compares the result with the database.
    fn add_version(&mut self, position: usize, changes: &[ObjectChange]) {
        for (key, object) in changes {
            let previous_object = match object {
                Some(object) => self.current.insert(key.clone(), object.clone()),
                None => self.current.remove(key),
            };
            let is_known = self.known_objects.contains(key);
            if let Some(previous_object) = previous_object {
                self.difference_count -= self.differences_of(&previous_object).len();
                self.known_count -= usize::from(is_known);
            }
            if let Some(object) = object {
                self.difference_count += self.differences_of(object).len();
                self.known_count += usize::from(is_known);
            }
        }
        let superfluous = self.known_objects.len() - self.known_count;
        let distance = self.difference_count + superfluous;
        if distance == 0 && !self.known_objects.is_empty() {
            self.exact_match = Some(position);
        }
        if self.nearest.is_none_or(|(_, least)| distance < least) {
            self.nearest = Some((position, distance));
        }
    }

    /// The differences between an object of the document and the same object of the database.
    fn differences_of(&self, object: &Object) -> Vec<Difference> {
        let mut differences = match self.actual.get(&object.key()) {
            None => vec![missing(object)],
            Some(actual) => object_differences(object, actual, Extent::Complete),
        };
        differences.retain(Difference::is_significant);
        differences
    }

    fn into_detection(self) -> Detection {
        if let Some(position) = self.exact_match {
            return Detection::Match(VersionIndex::new(position));
        }
        let known_objects = self.known_objects.iter().filter_map(|key| self.actual.get(key));
        let found: Vec<String> = known_objects
            .filter(|object| object.kind == ObjectKind::Table)
            .map(|object| format!("table `{}`", object.name))
            .collect();
        if found.is_empty() {
            return Detection::Unrelated;
        }
        let differences = self.current.values().flat_map(|object| self.differences_of(object));
        Detection::Partial {
            best_version: self.nearest.map(|(position, _)| VersionIndex::new(position)),
            found,
            missing: differences.map(|difference| difference.to_string()).collect(),
        }
    }
}

/// The differences between a database's schema and the document's schema at a position of the
/// chain. A database below the lowest baseline has no position; its schema is
/// compared with that of the lowest baseline.
pub(crate) fn drift(
    replay: &Replay<'_>,
    scope: Scope,
    position: Option<usize>,
    actual_schema: &Schema,
) -> Vec<Difference> {
    compare::differences(&replay.schema_at(scope, position.unwrap_or(0)), actual_schema)
}
