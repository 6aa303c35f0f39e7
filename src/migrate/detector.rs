//! Detects the versions of databases without a history. Databases of one schema share the work: each
//! distinct schema is compared once a run, and each of its candidate versions is tried once.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest, Sha256};

use crate::database::error::DatabaseError;
use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::{Scope, VersionPoint};
use crate::document::version_index::VersionIndex;
use crate::migrate::detect::{Ambiguity, Detection, PartialMatch, VersionComparison, distance};
use crate::migrate::replay::Replay;
use crate::migrate::trial::{TrialDocument, TrialError};
use crate::schema::difference::Difference;
use crate::schema::ignored::IgnoredObjects;
use crate::schema::{ObjectKey, Schema, compare};
use crate::source::first_line_span;
use crate::sql::tokens::one_line;

/// How many versions are tried for a schema that matches none, `baseline` included.
const MAX_TRIALS: usize = 8;

/// How many statements a message lists.
const MAX_STATEMENTS: usize = 10;

/// The length of a statement in a message, in characters.
const MAX_STATEMENT_LENGTH: usize = 100;

/// What detection leaves out, and what ends it.
#[derive(Clone, Debug, Default)]
pub struct DetectionOptions {
    /// The objects that the document does not manage.
    pub ignored: IgnoredObjects,
    /// Setting it ends a trial that is running.
    pub cancel: Arc<AtomicBool>,
}

/// What a database without a history is.
#[derive(Clone, Debug)]
pub(crate) enum Detected {
    /// All of its objects are ignored, so it is new.
    New,
    Existing(Arc<Detection>),
}

/// What a database would be like after the upgrade from one version.
#[derive(Debug)]
pub(crate) struct Trial {
    /// The differences from the document's schema at that version.
    pub(crate) drift: Vec<Difference>,
    /// The differences from head's schema after the upgrade, or why the upgrade fails.
    pub(crate) drift_at_head: Result<Vec<Difference>, String>,
}

/// A checksum of the SQL of all objects of a schema.
type SchemaId = [u8; 32];

/// Values that several threads compute once for each key. A value is `None` if the run was
/// cancelled meanwhile.
type Cache<K, V> = Mutex<HashMap<K, Arc<OnceLock<Option<V>>>>>;

/// Detects the versions of databases without a history.
#[derive(Debug)]
pub struct Detector<'c, 'a> {
    changelog: &'c Changelog<'a>,
    replay: &'c Replay<'a>,
    options: DetectionOptions,
    /// The objects that the document creates at any version, by scope.
    documented: [OnceLock<BTreeSet<ObjectKey>>; 2],
    detections: Cache<(Scope, SchemaId), Detected>,
    trials: Cache<(Scope, SchemaId, Option<usize>), Arc<Trial>>,
}

impl<'c, 'a> Detector<'c, 'a> {
    /// `replay` must be that of `changelog`.
    #[must_use]
    pub fn new(
        changelog: &'c Changelog<'a>,
        replay: &'c Replay<'a>,
        options: DetectionOptions,
    ) -> Self {
        let (detections, trials) = (Cache::default(), Cache::default());
        Self { changelog, replay, options, documented: Default::default(), detections, trials }
    }

    /// Detects what a database without a history is.
    ///
    /// # Errors
    ///
    /// `Interrupted` if the run was cancelled.
    pub(crate) fn detect(&self, scope: Scope, schema: Schema) -> Result<Detected, DatabaseError> {
        let schema = self.without_ignored(scope, schema);
        if schema.is_empty() {
            return Ok(Detected::New);
        }
        let id = schema_id(&schema);
        once(&self.detections, (scope, id), || {
            let detection = self.detection(scope, &schema).ok()?;
            Some(Detected::Existing(Arc::new(detection)))
        })
    }

    /// Tries the upgrade from a position (none: `baseline`) on an empty copy of a schema.
    ///
    /// # Errors
    ///
    /// `Interrupted` if the run was cancelled.
    pub(crate) fn trial(
        &self,
        scope: Scope,
        schema: Schema,
        start: Option<usize>,
    ) -> Result<Arc<Trial>, DatabaseError> {
        self.cached_trial(scope, &self.without_ignored(scope, schema), start)
    }

    /// The differences between a schema and the document's schema at a position. Below the lowest
    /// baseline nothing is applied: what the baseline creates may be missing, and what exists of
    /// it is compared with it.
    pub(crate) fn drift(
        &self,
        scope: Scope,
        position: Option<usize>,
        schema: Schema,
    ) -> Vec<Difference> {
        self.drift_of(scope, position, &self.without_ignored(scope, schema))
    }

    /// Whether the document creates an object of that name at any version.
    fn is_documented(&self, scope: Scope, key: &ObjectKey) -> bool {
        let documented = self.documented[scope as usize]
            .get_or_init(|| self.replay.created_objects(self.changelog, scope));
        documented.contains(key)
    }

    fn without_ignored(&self, scope: Scope, mut schema: Schema) -> Schema {
        self.options.ignored.remove_from(&mut schema, |key| self.is_documented(scope, key));
        schema
    }

    fn drift_of(&self, scope: Scope, position: Option<usize>, schema: &Schema) -> Vec<Difference> {
        let expected = self.replay.schema_at(scope, position.unwrap_or(0));
        let mut differences = compare::differences(&expected, schema);
        if position.is_none() {
            differences.retain(|difference| !matches!(difference, Difference::Missing { .. }));
        }
        differences
    }

    fn cached_trial(
        &self,
        scope: Scope,
        schema: &Schema,
        start: Option<usize>,
    ) -> Result<Arc<Trial>, DatabaseError> {
        once(&self.trials, (scope, schema_id(schema), start), || {
            self.run_trial(scope, schema, start).map(Arc::new)
        })
    }

    fn run_trial(&self, scope: Scope, schema: &Schema, start: Option<usize>) -> Option<Trial> {
        let drift = self.drift_of(scope, start, schema);
        let head = Some(self.changelog.head_position());
        let document = TrialDocument {
            changelog: self.changelog,
            replay: self.replay,
            is_documented: &|key| self.is_documented(scope, key),
            cancel: &self.options.cancel,
        };
        let drift_at_head = match document.run(scope, schema, start, &drift) {
            Ok(schema) => Ok(self.drift_of(scope, head, &schema)),
            Err(TrialError::Failed(reason)) => Err(reason),
            Err(TrialError::Interrupted) => return None,
        };
        let is_cancelled = self.options.cancel.load(Ordering::Relaxed);
        (!is_cancelled).then_some(Trial { drift, drift_at_head })
    }

    fn detection(&self, scope: Scope, schema: &Schema) -> Result<Detection, DatabaseError> {
        let comparison = VersionComparison::new(self.changelog, self.replay, scope, schema);
        if comparison.tables.is_empty() {
            return Ok(Detection::Unrelated);
        }
        let (Some(&lowest), Some(&highest)) =
            (comparison.matches.first(), comparison.matches.last())
        else {
            return self.partial_match(scope, schema, comparison);
        };
        Ok(match self.ambiguity(scope, lowest, highest) {
            None => Detection::Match(VersionIndex::new(highest)),
            Some((statements, span)) => {
                let versions = comparison.matches.into_iter().map(|position| self.point(position));
                Detection::Ambiguous(Ambiguity { versions: versions.collect(), statements, span })
            }
        })
    }

    /// The statements between two positions, with their places, and the place of the first; none
    /// without a statement.
    fn ambiguity(
        &self,
        scope: Scope,
        lowest: usize,
        highest: usize,
    ) -> Option<(Vec<String>, std::ops::Range<usize>)> {
        let scripts =
            (lowest..highest).filter_map(|at| self.replay.script(scope, StepId::Forward(at)));
        let statements: Vec<_> = scripts.flat_map(|script| &script.statements).collect();
        let span = first_line_span(&statements.first()?.sql);
        let source = self.changelog.source();
        let listed = statements.iter().take(MAX_STATEMENTS).map(|statement| {
            let line = source.line_number(first_line_span(&statement.sql).start);
            let mut text = one_line(statement.sql.text());
            if let Some((end, _)) = text.char_indices().nth(MAX_STATEMENT_LENGTH) {
                text.truncate(end);
                text.push('…');
            }
            format!("`{}` ({}:{line})", text.trim_end_matches([';', ' ']), source.name())
        });
        let mut listed: Vec<String> = listed.collect();
        if statements.len() > MAX_STATEMENTS {
            listed.push(format!("and {} more", statements.len() - MAX_STATEMENTS));
        }
        Some((listed, span))
    }

    /// Proposes the version from which the rest of the document leads nearest to head.
    fn partial_match(
        &self,
        scope: Scope,
        schema: &Schema,
        comparison: VersionComparison,
    ) -> Result<Detection, DatabaseError> {
        let mut nearest: Vec<usize> = (0..comparison.name_distances.len()).collect();
        nearest.sort_by_key(|position| (comparison.name_distances[*position], *position));
        nearest.truncate(MAX_TRIALS - 1);
        let (mut reached, mut failure) = (Vec::new(), None);
        for start in nearest.iter().copied().map(Some).chain([None]) {
            let trial = self.cached_trial(scope, schema, start)?;
            match &trial.drift_at_head {
                Ok(differences) => reached.push((distance(differences), start)),
                Err(reason) => {
                    failure.get_or_insert_with(|| {
                        format!("from {}: {reason}", self.start_point(start))
                    });
                }
            }
        }
        reached.sort_unstable();
        let candidates: Vec<VersionPoint> =
            reached.iter().map(|(_, start)| self.start_point(*start)).collect();
        let compared_with = match reached.first() {
            Some((_, start)) => *start,
            None => nearest.first().copied(),
        };
        // A database of which nothing is applied is compared with what the baseline creates.
        let expected = self.replay.schema_at(scope, compared_with.unwrap_or(0));
        let mut missing = compare::differences(&expected, schema);
        missing.retain(Difference::is_significant);
        Ok(Detection::Partial(PartialMatch {
            proposal: candidates.first().cloned(),
            failure: failure.filter(|_| candidates.is_empty()),
            candidates,
            there: comparison.tables,
            missing: missing.iter().map(ToString::to_string).collect(),
        }))
    }

    fn point(&self, position: usize) -> VersionPoint {
        self.start_point(Some(position))
    }

    fn start_point(&self, start: Option<usize>) -> VersionPoint {
        let version = start.and_then(|position| self.changelog.versions().get(position));
        version.map_or(VersionPoint::Baseline, |version| VersionPoint::Version(version.clone()))
    }
}

/// The value of a key, which is computed by the first caller; the others wait for it.
fn once<K: Eq + Hash, V: Clone>(
    cache: &Cache<K, V>,
    key: K,
    compute: impl FnOnce() -> Option<V>,
) -> Result<V, DatabaseError> {
    let cell = match cache.lock().unwrap_or_else(PoisonError::into_inner).entry(key) {
        Entry::Occupied(entry) => entry.get().clone(),
        Entry::Vacant(entry) => entry.insert(Arc::default()).clone(),
    };
    cell.get_or_init(compute).clone().ok_or(DatabaseError::Interrupted)
}

fn schema_id(schema: &Schema) -> SchemaId {
    let mut hasher = Sha256::new();
    for object in schema.values() {
        for text in [&object.kind.to_string(), &object.name, &object.table, &object.sql] {
            hasher.update(text.len().to_le_bytes());
            hasher.update(text);
        }
    }
    hasher.finalize().into()
}
