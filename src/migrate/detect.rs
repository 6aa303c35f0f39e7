//! The version of a database without a record, found from its schema: the effects of each version
//! of the document are looked for in it. Pure: schemas in, a finding out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::Scope;
use crate::migrate::replay::Replay;
use crate::plan::PlanError;
use crate::schema::effects::ExpectedChanges;
use crate::schema::{Object, ObjectKey, Schema, effects};

/// What the schema of a database without a record tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detection {
    /// It is that of the version at a position of the changelog.
    Match(usize),
    /// It has some of what the document makes, and fits no version.
    Partial {
        /// The highest version whose own effects are all there; none if not even the baseline's.
        best_version: Option<usize>,
        /// What is there.
        found: Vec<String>,
        /// What is missing of versions that are there in part.
        missing: Vec<String>,
    },
    /// It has tables, and none of the document's.
    Unrelated,
}

impl Detection {
    /// In a word: `matched`, `torn` or `foreign`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Match(_) => "matched",
            Self::Partial { .. } => "torn",
            Self::Unrelated => "foreign",
        }
    }

    /// The position of the version that fits, or fits best.
    #[must_use]
    pub fn best_version(&self) -> Option<usize> {
        match self {
            Self::Match(position) => Some(*position),
            Self::Partial { best_version, .. } => *best_version,
            Self::Unrelated => None,
        }
    }

    /// What is there and what is missing, each in words, where that is not the same for all.
    #[must_use]
    pub fn details(&self) -> (&[String], &[String]) {
        match self {
            Self::Partial { found, missing, .. } => (found, missing),
            Self::Match(_) | Self::Unrelated => (&[], &[]),
        }
    }

    /// The position to go on from, or why nobody but a human may say it.
    pub(crate) fn resolve(&self) -> Result<usize, PlanError> {
        match self {
            Self::Match(position) => Ok(*position),
            Self::Partial { found, missing, .. } => {
                Err(PlanError::PartialMatch { found: found.clone(), missing: missing.clone() })
            }
            Self::Unrelated => Err(PlanError::UnrelatedSchema),
        }
    }
}

/// A name that the document ever used: of an object, or of a table's column.
type ObjectOrColumn = (ObjectKey, Option<String>);

/// Finds the released version whose schema a database has.
pub(crate) fn detect_version(
    (changelog, replay): (&Changelog<'_>, &Replay<'_>),
    scope: Scope,
    actual_schema: &Schema,
) -> Detection {
    let scripts: Vec<_> = std::iter::once(StepId::Baseline(0))
        .chain((0..changelog.head_position()).map(StepId::Forward))
        .map(|id| replay.script(scope, id).map_or(&[][..], |script| &script.object_changes))
        .collect();
    // Whatever stands in the database under a name of the document's belongs to some version.
    let known_names: BTreeSet<ObjectOrColumn> = scripts
        .iter()
        .flat_map(|changes| changes.iter().filter_map(|(_, object)| object.as_ref()))
        .flat_map(|object| names_present(object, actual_schema))
        .collect();
    let mut current: BTreeMap<ObjectKey, Arc<Object>> = BTreeMap::new();
    let (mut mismatch_count, mut present_count) = (0, 0);
    let mut exact_match = None;
    let mut best_version = None;
    let (mut found_changes, mut missing) = (Vec::new(), Vec::new());
    for (position, changes) in scripts.iter().enumerate() {
        let (mut before, mut after) = (Schema::new(), Schema::new());
        for (key, object) in *changes {
            let previous_object = match object {
                Some(object) => current.insert(key.clone(), object.clone()),
                None => current.remove(key),
            };
            if let Some(old) = &previous_object {
                mismatch_count -= count_mismatches(old, actual_schema);
                present_count -= names_present(old, actual_schema).len();
                before.insert(key.clone(), old.clone());
            }
            if let Some(object) = object {
                mismatch_count += count_mismatches(object, actual_schema);
                present_count += names_present(object, actual_schema).len();
                after.insert(key.clone(), object.clone());
            }
        }
        let effects = ExpectedChanges::between(&before, &after);
        let (met, unmet) = effects.match_report(|key| actual_schema.get(key).map(AsRef::as_ref));
        let version = &changelog.versions()[position];
        match (met.is_empty(), unmet.is_empty()) {
            (false, true) => {
                best_version = Some(position);
                found_changes.push(format!("all of {version}"));
            }
            (false, false) => {
                found_changes.extend(met.iter().map(|change| format!("{change} of {version}")));
                missing.extend(unmet);
            }
            // Nothing to be seen of it, either way.
            (true, true)
                if best_version.is_some_and(|best_version| best_version + 1 == position) =>
            {
                best_version = Some(position);
            }
            (true, _) => {}
        }
        if mismatch_count == 0 && present_count == known_names.len() && !known_names.is_empty() {
            exact_match = Some(position);
        }
    }
    match exact_match {
        Some(position) => Detection::Match(position),
        None if found_changes.is_empty() => Detection::Unrelated,
        None => Detection::Partial { best_version, found: found_changes, missing },
    }
}

/// In how many ways a database falls short of an object.
fn count_mismatches(object: &Object, actual: &Schema) -> usize {
    let mut mismatches = Vec::new();
    match actual.get(&object.key()) {
        None => return 1 + object.columns().count(),
        Some(actual_object) => object.append_mismatches(actual_object, &mut mismatches),
    }
    mismatches.len()
}

/// The names of an object and its columns that stand in a database.
fn names_present(object: &Object, actual: &Schema) -> Vec<ObjectOrColumn> {
    let key = object.key();
    let Some(actual_object) = actual.get(&key) else { return Vec::new() };
    let columns = object
        .columns()
        .filter(|column| actual_object.has_column(column))
        .map(|column| (key.clone(), Some(column.to_ascii_lowercase())));
    std::iter::once((key.clone(), None)).chain(columns).collect()
}

/// In what a database differs from the document at a position, each in words; from the lowest
/// baseline where it stands below.
pub(crate) fn drift(
    replay: &Replay<'_>,
    scope: Scope,
    (position, actual): (Option<usize>, &Schema),
) -> Vec<String> {
    effects::differences(&replay.schema_at(scope, position.unwrap_or(0)), actual)
}
