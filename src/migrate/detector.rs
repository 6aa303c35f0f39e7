//! Detects the versions of databases without a history. Databases of one schema share the work: each
//! distinct schema is compared once a run, and each of its candidate versions is tried once.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest, Sha256};

use crate::database::connection::ConnectionSetup;
use crate::database::error::DatabaseError;
use crate::database::job::Statement;
use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::{Scope, VersionPoint};
use crate::document::version_index::VersionIndex;
use crate::migrate::detect::{Ambiguity, Detection, PartialMatch, VersionComparison, distance};
use crate::migrate::replay::Replay;
use crate::migrate::trial::{SafetyRules, TrialDocument, TrialError};
use crate::schema::difference::Difference;
use crate::schema::ignored::IgnoredObjects;
use crate::schema::{ObjectKey, Schema, compare};
use crate::source::first_line_span;
use crate::sql::tokens::{Tokens, one_line};
use crate::sqlite::template::is_pure_ddl;

/// How many versions are tried for a schema that matches none, `baseline` included.
const MAX_TRIALS: usize = 8;

/// How many statements a message lists.
const MAX_STATEMENTS: usize = 10;

/// The length of a statement in a message, in characters.
const MAX_STATEMENT_LENGTH: usize = 100;

/// What detection leaves out, and how it opens databases in memory.
#[derive(Clone, Debug, Default)]
pub struct DetectionOptions {
    /// The objects that the document does not manage.
    pub ignored: IgnoredObjects,
    /// The setup of its connections; a cancellation ends a trial that is running.
    pub setup: ConnectionSetup,
}

impl DetectionOptions {
    /// Leaves nothing out, with what the application adds to SQLite.
    pub(crate) fn for_changelog(changelog: &Changelog<'_>) -> Self {
        let extensions = changelog.extensions().clone();
        let setup = ConnectionSetup { extensions, ..ConnectionSetup::default() };
        Self { setup, ..Self::default() }
    }
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
    /// The differences from head's schema after the upgrade, or why a statement of it fails.
    pub(crate) drift_at_head: Result<Vec<Difference>, String>,
    /// Why a safety rule refuses the upgrade. Then the differences are those of an upgrade whose
    /// blocks allow the rule.
    pub(crate) refusal: Option<String>,
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

    /// Whether the replay is that of a changelog.
    pub(crate) fn is_of(&self, changelog: &Changelog<'_>) -> bool {
        self.replay.is_of(changelog)
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
            setup: &self.options.setup,
        };
        let mut result = document.run(scope, schema, start, &drift, SafetyRules::Apply);
        let mut refusal = None;
        if let Err(TrialError::Refused(reason)) = result {
            refusal = Some(reason);
            result = document.run(scope, schema, start, &drift, SafetyRules::Allow);
        }
        let drift_at_head = match result {
            Ok(schema) => Ok(self.drift_of(scope, head, &schema)),
            Err(TrialError::Failed(reason) | TrialError::Refused(reason)) => Err(reason),
            Err(TrialError::Interrupted) => return None,
        };
        let is_cancelled = self.options.setup.is_cancelled();
        (!is_cancelled).then_some(Trial { drift, drift_at_head, refusal })
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
            Some(statements) => {
                let versions = comparison.matches.into_iter().map(|position| self.point(position));
                Detection::Ambiguous(Ambiguity { versions: versions.collect(), statements })
            }
        })
    }

    /// The statements between two positions, with their places; none without a statement.
    fn ambiguity(&self, scope: Scope, lowest: usize, highest: usize) -> Option<Vec<String>> {
        let steps = (lowest..highest).map(StepId::Forward);
        let scripts = steps.filter_map(|id| self.replay.script(scope, id));
        let statements: Vec<_> = scripts.flat_map(|script| &script.statements).collect();
        (!statements.is_empty()).then(|| self.list_statements(&statements))
    }

    /// Statements with their places, of which the first ones are shown.
    fn list_statements(&self, statements: &[&Statement<'_>]) -> Vec<String> {
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
        listed
    }

    /// Proposes the version from which the rest of the document leads nearest to head.
    fn partial_match(
        &self,
        scope: Scope,
        schema: &Schema,
        comparison: VersionComparison,
    ) -> Result<Detection, DatabaseError> {
        let VersionComparison { name_distances, tables, .. } = comparison;
        let mut nearest: Vec<usize> = (0..name_distances.len()).collect();
        nearest.sort_by_key(|position| (name_distances[*position], *position));
        nearest.truncate(MAX_TRIALS - 1);
        let (mut reached, mut failures) = (Vec::new(), Vec::new());
        for start in nearest.iter().copied().map(Some).chain([None]) {
            let trial = self.cached_trial(scope, schema, start)?;
            match &trial.drift_at_head {
                Ok(differences) => reached.push((distance(differences), start)),
                Err(reason) => {
                    let text = format!("from {}: {reason}", self.start_point(start));
                    failures.push((start, text));
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
            remarks: self.remarks(scope, &reached, &failures),
            failure: failures
                .into_iter()
                .next()
                .map(|(_, text)| text)
                .filter(|_| candidates.is_empty()),
            candidates,
            there: tables,
            missing: missing.iter().map(ToString::to_string).collect(),
        }))
    }

    /// What a person should know about the nearest start: the statements that it runs and that
    /// change rows, if a higher start fits equally well, and why a lower start fails.
    fn remarks(
        &self,
        scope: Scope,
        reached: &[(usize, Option<usize>)],
        failures: &[(Option<usize>, String)],
    ) -> Vec<String> {
        let Some((distance, proposal)) = reached.first() else { return Vec::new() };
        let mut remarks = Vec::new();
        let mut equal = reached.iter().filter(|(other, _)| other == distance);
        if let Some((_, Some(highest))) = equal.next_back() {
            let baseline = proposal.is_none().then_some(StepId::Baseline(0));
            let steps = (proposal.unwrap_or(0)..*highest).map(StepId::Forward);
            let scripts = baseline.into_iter().chain(steps);
            let scripts = scripts.filter_map(|id| self.replay.script(scope, id));
            let statements = scripts.flat_map(|script| &script.statements);
            let statements: Vec<_> =
                statements.filter(|statement| changes_rows(statement.sql.text())).collect();
            if !statements.is_empty() {
                let highest = self.point(*highest);
                remarks.push(format!(
                    "{highest} fits equally well, and the next upgrade runs {}; if that ran already, run `tatmig adopt --at {highest} --user NAME`",
                    self.list_statements(&statements).join(", ")
                ));
            }
        }
        let lower = failures.iter().filter(|(start, _)| start < proposal);
        remarks.extend(lower.map(|(_, text)| format!("the rest of the document fails {text}")));
        remarks
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

fn changes_rows(statement: &str) -> bool {
    !is_pure_ddl(statement) && !Tokens::new(statement).text(0).eq_ignore_ascii_case("select")
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

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::database::ReadDatabase;

    const DOCUMENT: &str = "
```sql
-- [user:baseline→1.0.0:start]
CREATE TABLE IF NOT EXISTS a (x);
CREATE TABLE IF NOT EXISTS b (x);
-- [user:baseline→1.0.0:end]
-- [user:1.0.0→1.1.0:start]
ALTER TABLE a ADD COLUMN y;
-- [user:1.0.0→1.1.0:end]
```
";

    fn schema(sql: &str) -> Schema {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        connection.schema().unwrap()
    }

    #[test]
    fn each_distinct_schema_is_tried_once_whatever_the_number_of_databases() {
        let changelog = Changelog::parse(DOCUMENT).unwrap();
        let replay = Replay::run(&changelog, &ConnectionSetup::default()).unwrap();
        let detector = Detector::new(&changelog, &replay, DetectionOptions::default());
        let shapes =
            ["CREATE TABLE a (x, own)", "CREATE TABLE a (x, y, own)", "CREATE TABLE b (z)"];
        // An ignored table makes no other schema.
        let ignored = "; CREATE TABLE alembic_version (version_num)";
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    for shape in shapes.iter().cycle().take(60) {
                        for sql in [(*shape).to_owned(), format!("{shape}{ignored}")] {
                            let detected = detector.detect(Scope::User, schema(&sql)).unwrap();
                            let Detected::Existing(detection) = detected else { panic!() };
                            assert_eq!(detection.name(), "partial");
                        }
                    }
                });
            }
        });
        assert_eq!(detector.detections.lock().unwrap().len(), shapes.len());
        // From `baseline`, 1.0.0 and 1.1.0.
        assert_eq!(detector.trials.lock().unwrap().len(), 3 * shapes.len());
    }

    #[test]
    fn at_most_eight_versions_are_tried() {
        let blocks = (0..20).map(|minor| {
            let (from, to) = (format!("1.{minor}.0"), format!("1.{}.0", minor + 1));
            format!(
                "-- [user:{from}→{to}:start]\nCREATE TABLE IF NOT EXISTS t{minor} (x);\n-- [user:{from}→{to}:end]\n"
            )
        });
        let text = format!(
            "```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE IF NOT EXISTS a (x);\n-- [user:baseline→1.0.0:end]\n{}```\n",
            blocks.collect::<String>()
        );
        let changelog = Changelog::parse(&text).unwrap();
        let replay = Replay::run(&changelog, &ConnectionSetup::default()).unwrap();
        let detector = Detector::new(&changelog, &replay, DetectionOptions::default());
        let tables = (0..10).map(|minor| format!("CREATE TABLE t{minor} (x);"));
        let tables = tables.collect::<Vec<_>>().join(" ");
        let detected =
            detector.detect(Scope::User, schema(&format!("{tables} CREATE TABLE a (y)")));
        let Ok(Detected::Existing(detection)) = detected else { panic!() };
        assert_eq!(detector.trials.lock().unwrap().len(), MAX_TRIALS);
        // The nearest by names is 1.10.0, which is as near to head's schema as what comes before.
        assert!(detection.candidates().iter().any(|version| version.to_string() == "1.10.0"));
        assert_eq!(detection.version(&changelog), Some(VersionPoint::Baseline));
    }
}
