//! Detects the versions of databases without a history. Databases of one schema share the work: each
//! distinct schema is compared once a run, and each of its candidate versions is tried once.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use crate::database::connection::ConnectionSetup;
use crate::database::error::DatabaseError;
use crate::database::job::Statement;
use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::{Scope, VersionPoint};
use crate::document::version_index::VersionIndex;
use crate::migrate::detect::{Ambiguity, Detection, PartialMatch, VersionComparison, distance};
use crate::migrate::imported_versions::{ImportedVersions, version_at};
use crate::migrate::once::{Cache, once};
use crate::migrate::replay::Replay;
use crate::migrate::trial::{SafetyRules, TrialDocument, TrialError};
use crate::plan::error::adopt_command;
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

/// The result of detection for one schema.
#[derive(Debug)]
pub(crate) struct SchemaMatch {
    pub(crate) detection: Arc<Detection>,
    /// The positions of the versions at which every object of the document is as in the schema. Of a
    /// schema without the document's tables, they prove nothing.
    pub(crate) matches: Vec<usize>,
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

/// Detects the versions of databases without a history.
#[derive(Debug)]
pub struct Detector<'c, 'a> {
    changelog: &'c Changelog<'a>,
    replay: &'c Replay<'a>,
    options: DetectionOptions,
    /// The objects that the document creates at any version, by scope.
    documented: [OnceLock<BTreeSet<ObjectKey>>; 2],
    /// What the document imported from other tools, by scope.
    imported: [OnceLock<ImportedVersions>; 2],
    detections: Cache<(Scope, SchemaId), Arc<SchemaMatch>>,
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
        let (documented, imported) = Default::default();
        Self { changelog, replay, options, documented, imported, detections, trials }
    }

    pub(crate) fn changelog(&self) -> &'c Changelog<'a> {
        self.changelog
    }

    pub(crate) fn replay(&self) -> &'c Replay<'a> {
        self.replay
    }

    /// What the document imported from other tools.
    pub(crate) fn imported_versions(&self, scope: Scope) -> &ImportedVersions {
        self.imported[scope as usize].get_or_init(|| ImportedVersions::new(self.changelog, scope))
    }

    /// Compares a schema without its ignored objects with the document.
    ///
    /// # Errors
    ///
    /// `Interrupted` if the run was cancelled.
    pub(crate) fn detect(
        &self,
        scope: Scope,
        schema: &Schema,
    ) -> Result<Arc<SchemaMatch>, DatabaseError> {
        once(&self.detections, (scope, schema_id(schema)), || {
            self.detection(scope, schema).ok().map(Arc::new)
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

    pub(crate) fn without_ignored(&self, scope: Scope, mut schema: Schema) -> Schema {
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

    pub(crate) fn cached_trial(
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

    fn detection(&self, scope: Scope, schema: &Schema) -> Result<SchemaMatch, DatabaseError> {
        let comparison = VersionComparison::new(self.changelog, self.replay, scope, schema);
        let matches = comparison.matches.clone();
        let detection = match (matches.first(), matches.last()) {
            _ if comparison.tables.is_empty() => Detection::Unrelated,
            (Some(&lowest), Some(&highest)) => match self.ambiguity(scope, lowest, highest) {
                None => Detection::Match(VersionIndex::new(highest)),
                Some(statements) => {
                    let versions = matches.iter().map(|position| self.point(*position));
                    Detection::Ambiguous(Ambiguity { versions: versions.collect(), statements })
                }
            },
            _ => self.partial_match(scope, schema, comparison)?,
        };
        Ok(SchemaMatch { detection: Arc::new(detection), matches })
    }

    /// The statements between two positions, with their places; none without a statement.
    pub(crate) fn ambiguity(
        &self,
        scope: Scope,
        lowest: usize,
        highest: usize,
    ) -> Option<Vec<String>> {
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
                let adopt = adopt_command(scope);
                remarks.push(format!(
                    "{highest} fits equally well, and the next upgrade runs {}; if that ran already, run `{adopt} --at {highest}`",
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
        version_at(self.changelog, start)
    }
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
                            let schema = detector.without_ignored(Scope::User, schema(&sql));
                            let found = detector.detect(Scope::User, &schema).unwrap();
                            assert_eq!(found.detection.name(), "partial");
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
        let found = detector.detect(Scope::User, &schema(&format!("{tables} CREATE TABLE a (y)")));
        let detection = &found.unwrap().detection;
        assert_eq!(detector.trials.lock().unwrap().len(), MAX_TRIALS);
        // The nearest by names is 1.10.0, which is as near to head's schema as what comes before.
        assert!(detection.candidates().iter().any(|version| version.to_string() == "1.10.0"));
        assert_eq!(detection.version(&changelog), Some(VersionPoint::Baseline));
    }
}
