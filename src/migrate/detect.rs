//! The version of a database without a record, found from its schema: the effects of each version
//! of the document are looked for in it. Pure: schemas in, a finding out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::Scope;
use crate::migrate::replay::Replay;
use crate::plan::Refusal;
use crate::schema::effects::Effects;
use crate::schema::{Key, Object, Schema, effects};

/// What the schema of a database without a record tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is that of the version at a position of the changelog.
    Match(usize),
    /// It has some of what the document makes, and fits no version.
    Torn {
        /// The highest version whose own effects are all there; none if not even the baseline's.
        best: Option<usize>,
        /// What is there.
        there: Vec<String>,
        /// What is missing of versions that are there in part.
        missing: Vec<String>,
    },
    /// It has tables, and none of the document's.
    Foreign,
}

impl Finding {
    /// In a word: `matched`, `torn` or `foreign`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Match(_) => "matched",
            Self::Torn { .. } => "torn",
            Self::Foreign => "foreign",
        }
    }

    /// The position of the version that fits, or fits best.
    #[must_use]
    pub fn best(&self) -> Option<usize> {
        match self {
            Self::Match(position) => Some(*position),
            Self::Torn { best, .. } => *best,
            Self::Foreign => None,
        }
    }

    /// What is there and what is missing, each in words, where that is not the same for all.
    #[must_use]
    pub fn lists(&self) -> (&[String], &[String]) {
        match self {
            Self::Torn { there, missing, .. } => (there, missing),
            Self::Match(_) | Self::Foreign => (&[], &[]),
        }
    }

    /// The position to go on from, or why nobody but a human may say it.
    pub(crate) fn settled(&self) -> Result<usize, Refusal> {
        match self {
            Self::Match(position) => Ok(*position),
            Self::Torn { there, missing, .. } => {
                Err(Refusal::Torn { there: there.clone(), missing: missing.clone() })
            }
            Self::Foreign => Err(Refusal::Foreign),
        }
    }
}

/// A name that the document ever used: of an object, or of a table's column.
type Name = (Key, Option<String>);

/// Finds the released version whose schema a database has.
pub(crate) fn find(
    (changelog, replay): (&Changelog<'_>, &Replay<'_>),
    scope: Scope,
    actual: &Schema,
) -> Finding {
    let scripts: Vec<_> = std::iter::once(StepId::Baseline(0))
        .chain((0..changelog.head_position()).map(StepId::Forward))
        .map(|id| replay.script(scope, id).map_or(&[][..], |script| &script.changes))
        .collect();
    // Whatever stands in the database under a name of the document's belongs to some version.
    let known: BTreeSet<Name> = scripts
        .iter()
        .flat_map(|changes| changes.iter().filter_map(|(_, object)| object.as_ref()))
        .flat_map(|object| names(object, actual))
        .collect();
    let mut current: BTreeMap<Key, Arc<Object>> = BTreeMap::new();
    let (mut lacking, mut named) = (0, 0);
    let mut matched = None;
    let mut best = None;
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for (position, changes) in scripts.iter().enumerate() {
        let (mut before, mut after) = (Schema::new(), Schema::new());
        for (key, object) in *changes {
            let old = match object {
                Some(object) => current.insert(key.clone(), object.clone()),
                None => current.remove(key),
            };
            if let Some(old) = &old {
                lacking -= lacks(old, actual);
                named -= names(old, actual).len();
                before.insert(key.clone(), old.clone());
            }
            if let Some(object) = object {
                lacking += lacks(object, actual);
                named += names(object, actual).len();
                after.insert(key.clone(), object.clone());
            }
        }
        let effects = Effects::between(&before, &after);
        let (found, absent) = effects.evidence(|key| actual.get(key).map(AsRef::as_ref));
        let version = &changelog.versions()[position];
        match (found.is_empty(), absent.is_empty()) {
            (false, true) => {
                best = Some(position);
                there.push(format!("all of {version}"));
            }
            (false, false) => {
                there.extend(found.iter().map(|what| format!("{what} of {version}")));
                missing.extend(absent);
            }
            // Nothing to be seen of it, either way.
            (true, true) if best.is_some_and(|best| best + 1 == position) => best = Some(position),
            (true, _) => {}
        }
        if lacking == 0 && named == known.len() && !known.is_empty() {
            matched = Some(position);
        }
    }
    match matched {
        Some(position) => Finding::Match(position),
        None if there.is_empty() => Finding::Foreign,
        None => Finding::Torn { best, there, missing },
    }
}

/// In how many ways a database falls short of an object.
fn lacks(object: &Object, actual: &Schema) -> usize {
    let mut words = Vec::new();
    match actual.get(&object.key()) {
        None => return 1 + object.columns().count(),
        Some(is) => object.lacks(is, &mut words),
    }
    words.len()
}

/// The names of an object and its columns that stand in a database.
fn names(object: &Object, actual: &Schema) -> Vec<Name> {
    let key = object.key();
    let Some(is) = actual.get(&key) else { return Vec::new() };
    let columns = object
        .columns()
        .filter(|column| is.has_column(column))
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
