//! Compares the schema of a database without a history with the document's schema at every
//! version. Pure: schemas in, values out. `detector` decides what follows from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::{Scope, VersionPoint};
use crate::document::version_index::VersionIndex;
use crate::migrate::replay::Replay;
use crate::plan::error::PlanError;
use crate::schema::changes::ObjectChange;
use crate::schema::compare::{Extent, object_differences};
use crate::schema::difference::Difference;
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};

/// The result of comparing the schema of a database without a history with the document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Detection {
    /// The schema is that of one version of the document.
    Match(VersionIndex),
    /// The schema is that of several versions, and statements exist between them.
    Ambiguous(Ambiguity),
    /// Some tables of the document exist, and the schema is that of no version.
    Partial(PartialMatch),
    /// The database has objects, and none of the document's tables.
    Unrelated,
}

/// Several versions with the schema of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ambiguity {
    /// The versions that match, lowest first.
    pub versions: Vec<VersionPoint>,
    /// The statements between the lowest and the highest of them, with their places.
    pub statements: Vec<String>,
}

/// What a database without a history has of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartialMatch {
    /// The version from which the rest of the document leads nearest to head's schema. `baseline`:
    /// nothing is applied. None if the rest of the document fails from every version.
    pub proposal: Option<VersionPoint>,
    /// The versions from which the rest of the document leads to head, nearest first.
    pub candidates: Vec<VersionPoint>,
    /// The tables of the document that exist.
    pub there: Vec<String>,
    /// What is missing or different at the proposed version.
    pub missing: Vec<String>,
    /// Why the rest of the document fails, if it fails from every version.
    pub failure: Option<String>,
    /// What a person should know about the proposal: the versions that fit equally well, and those
    /// below it from which the rest of the document fails.
    pub remarks: Vec<String>,
}

impl Detection {
    /// The name of the result for programs: `matched`, `ambiguous`, `partial` or `unrelated`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Match(_) => "matched",
            Self::Ambiguous(_) => "ambiguous",
            Self::Partial(_) => "partial",
            Self::Unrelated => "unrelated",
        }
    }

    /// The version that matches, or that is proposed.
    #[must_use]
    pub fn version(&self, changelog: &Changelog<'_>) -> Option<VersionPoint> {
        match self {
            Self::Match(index) => Some(VersionPoint::Version(changelog.version(*index).clone())),
            Self::Partial(partial) => partial.proposal.clone(),
            Self::Ambiguous(_) | Self::Unrelated => None,
        }
    }

    /// The versions among which a person can choose.
    #[must_use]
    pub fn candidates(&self) -> &[VersionPoint] {
        match self {
            Self::Ambiguous(ambiguity) => &ambiguity.versions,
            Self::Partial(partial) => &partial.candidates,
            Self::Match(_) | Self::Unrelated => &[],
        }
    }

    /// The tables of the document that exist; empty unless the match is
    /// [`Partial`](Self::Partial).
    #[must_use]
    pub fn there(&self) -> &[String] {
        match self {
            Self::Partial(partial) => &partial.there,
            _ => &[],
        }
    }

    /// What a person should know about a proposed version.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        match self {
            Self::Partial(partial) => &partial.remarks,
            _ => &[],
        }
    }

    /// What is missing or different; empty unless the match is [`Partial`](Self::Partial).
    #[must_use]
    pub fn missing(&self) -> &[String] {
        match self {
            Self::Partial(partial) => &partial.missing,
            _ => &[],
        }
    }

    /// The position of the version that matches; otherwise the reason why only a person can decide
    /// which version the database has.
    pub(crate) fn resolve(&self, scope: Scope) -> Result<usize, PlanError> {
        match self {
            Self::Match(index) => Ok(index.get()),
            Self::Ambiguous(Ambiguity { versions, statements }) => Err(PlanError::AmbiguousMatch {
                scope,
                versions: versions.clone(),
                statements: statements.clone(),
            }),
            Self::Partial(partial) => Err(PlanError::PartialMatch {
                scope,
                found: partial.there.clone(),
                missing: partial.missing.clone(),
                proposal: partial.proposal.clone(),
                failure: partial.failure.clone(),
            }),
            Self::Unrelated => Err(PlanError::UnrelatedSchema { scope }),
        }
    }
}

/// How a schema compares with the document's schema at every released version.
pub(crate) struct VersionComparison {
    /// The positions at which every object that the document names is as there, or absent as there.
    pub(crate) matches: Vec<usize>,
    /// For each position, the number of objects and columns that are missing or superfluous.
    pub(crate) name_distances: Vec<usize>,
    /// The tables of the document that exist by name.
    pub(crate) tables: Vec<String>,
}

impl VersionComparison {
    /// Compares a schema with that of one version after the other. Only the objects that a version
    /// changes are compared, so the cost is linear in the length of the changelog.
    pub(crate) fn new(
        changelog: &Changelog<'_>,
        replay: &Replay<'_>,
        scope: Scope,
        actual: &Schema,
    ) -> Self {
        let changes_by_version: Vec<&[ObjectChange]> = std::iter::once(StepId::Baseline(0))
            .chain((0..changelog.head_position()).map(StepId::Forward))
            .map(|id| replay.script(scope, id).map_or(&[][..], |script| &script.object_changes))
            .collect();
        let (mut known, mut document_tables) = (BTreeSet::new(), BTreeSet::new());
        for (key, object) in changes_by_version.iter().copied().flatten() {
            let Some(object) = object else { continue };
            if object.kind == ObjectKind::Table {
                document_tables.insert(key);
            }
            if actual.contains_key(key) {
                known.insert(key.clone());
            }
        }
        let tables = known.iter().filter(|key| document_tables.contains(key));
        let tables = tables.filter_map(|key| actual.get(key));
        let tables = tables.map(|object| format!("{} `{}`", object.kind, object.name)).collect();
        let mut walk = VersionWalk::new(actual, known);
        let mut comparison = Self { matches: Vec::new(), name_distances: Vec::new(), tables };
        for (position, changes) in changes_by_version.iter().enumerate() {
            walk.apply(changes);
            if walk.different == 0 && walk.superfluous == 0 {
                comparison.matches.push(position);
            }
            comparison.name_distances.push(walk.name_distance + walk.superfluous);
        }
        comparison
    }
}

/// Compares a schema with the document's schema at one version, and then at the next.
struct VersionWalk<'s> {
    actual: &'s Schema,
    /// The objects in the database whose names the document uses at any version.
    known: BTreeSet<ObjectKey>,
    /// The document's objects at the version that was applied last.
    current: BTreeMap<ObjectKey, Arc<Object>>,
    /// How many objects of `current` are missing or different in the database.
    different: usize,
    /// How many known objects are not in `current`.
    superfluous: usize,
    /// How many objects of `current` are missing, and how many columns are missing or superfluous.
    name_distance: usize,
}

impl<'s> VersionWalk<'s> {
    /// Starts before the first version: every known object is superfluous.
    fn new(actual: &'s Schema, known: BTreeSet<ObjectKey>) -> Self {
        let (current, superfluous) = (BTreeMap::new(), known.len());
        Self { actual, known, current, different: 0, superfluous, name_distance: 0 }
    }

    fn apply(&mut self, changes: &[ObjectChange]) {
        for (key, object) in changes {
            let previous = match object {
                Some(object) => self.current.insert(key.clone(), object.clone()),
                None => self.current.remove(key),
            };
            let known = usize::from(self.known.contains(key));
            if let Some(previous) = previous {
                let (is_different, names) = self.compare(&previous);
                self.different -= usize::from(is_different);
                self.name_distance -= names;
                self.superfluous += known;
            }
            if let Some(object) = object {
                let (is_different, names) = self.compare(object);
                self.different += usize::from(is_different);
                self.name_distance += names;
                self.superfluous -= known;
            }
        }
    }

    /// Whether an object of the document is missing or different in the database, and how many
    /// names are missing or superfluous there.
    fn compare(&self, expected: &Object) -> (bool, usize) {
        let Some(actual) = self.actual.get(&expected.key()) else { return (true, 1) };
        let is_different = object_differences(expected, actual, Extent::Complete)
            .iter()
            .any(Difference::is_significant);
        let absent = |left: &Object, right: &Object| {
            left.columns().filter(|column| !right.has_column(column)).count()
        };
        let names =
            if is_different { absent(expected, actual) + absent(actual, expected) } else { 0 };
        (is_different, names)
    }
}

/// The number of objects and columns that some differences are about.
pub(crate) fn distance(differences: &[Difference]) -> usize {
    let significant = differences.iter().filter(|difference| difference.is_significant());
    let places = significant.map(|difference| {
        (difference.object().to_ascii_lowercase(), difference.column().map(str::to_ascii_lowercase))
    });
    places.collect::<BTreeSet<_>>().len()
}
