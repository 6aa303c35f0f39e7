//! The document against itself, without a fleet and without a file: for every version a database
//! in memory is filled with rows that satisfy its constraints, goes to head the way that every
//! real one goes, and down and up again where reverse blocks lead. No row of a table that is
//! still there may be gone or changed, outside the columns that a migration on the way touches.

pub(crate) mod attribute;
pub(crate) mod context;
pub(crate) mod fill;
pub(crate) mod insert_select;
pub(crate) mod scenario;
pub(crate) mod snapshot;
pub(crate) mod values;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use semver::Version;

use crate::database::error::DatabaseError;
use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::Diagnostic;
use crate::document::tag::{Scope, VersionPoint};
use crate::migrate::replay::Replay;
use crate::selftest::attribute::Finding;
use crate::selftest::context::SelfTestContext;
use crate::selftest::scenario::ScenarioOutcome;
use crate::selftest::snapshot::Snapshot;

pub use crate::selftest::fill::GapKind;

/// What came of testing a document against itself.
///
/// ````
/// use tatmig::Changelog;
/// use tatmig::migrate::Replay;
/// use tatmig::selftest::SelfTestReport;
///
/// let changelog = Changelog::parse(
///     "
/// ```sql
/// -- [user:baseline→1.0.0:start]
/// CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
/// -- [user:baseline→1.0.0:end]
/// ```
/// ```sql
/// -- [user:1.0.0→1.1.0:start]
/// CREATE TABLE n (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
/// INSERT INTO n SELECT * FROM notes WHERE body > '';
/// DROP TABLE notes;
/// ALTER TABLE n RENAME TO notes;
/// -- [user:1.0.0→1.1.0:end]
/// ```
/// ",
/// )?;
/// let replay = Replay::run(&changelog, &Default::default())?;
/// let report = SelfTestReport::run(&changelog, &replay, &Default::default())?;
/// assert!(!report.passed());
/// assert_eq!(report.regressions[0].diagnostic.rule.name(), "row-loss");
/// assert_eq!(changelog.source().line_number(report.regressions[0].diagnostic.span.start), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ````
#[derive(Clone, Debug, Default)]
pub struct SelfTestReport {
    /// Every database that was sent through the document; the system's first, by version.
    pub scenarios: Vec<Scenario>,
    /// Everything that went wrong, each thing once, in document order.
    pub regressions: Vec<Regression>,
    /// Tables that were not filled as they should be.
    pub coverage_gaps: Vec<CoverageGap>,
}

/// One database on its way through the document.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is a database of.
    pub scope: Scope,
    /// The version at which it was filled.
    pub start_version: Version,
    /// The baseline that it was made from; the lowest one, but for those that are tested at their
    /// own version.
    pub baseline: Version,
    /// How many tables held rows.
    pub table_count: usize,
    /// How many rows they held.
    pub row_count: usize,
    /// How far down it was taken by reverse blocks.
    pub down_to: Option<VersionPoint>,
    /// Whether all of it was there in the end.
    pub passed: bool,
}

/// Something that is lost, or a migration that fails, with rows in the tables.
#[derive(Clone, Debug)]
pub struct Regression {
    /// What the databases were.
    pub scope: Scope,
    /// The versions at which they were filled, ascending.
    pub versions: Vec<Version>,
    /// What, where in the document, and what to do.
    pub diagnostic: Diagnostic,
}

/// A table that was not filled as it should be, so that the test says less of it.
#[derive(Clone, Debug)]
pub struct CoverageGap {
    /// What the databases were.
    pub scope: Scope,
    /// The table.
    pub table: String,
    /// In what it falls short.
    pub kind: GapKind,
    /// What SQLite said.
    pub reason: String,
    /// The versions at which that was so, ascending.
    pub versions: Vec<Version>,
}

impl SelfTestReport {
    /// Tests every version up to head for both scopes. `stop`, once set, ends it.
    ///
    /// A document of N versions costs N databases, each of which is upgraded to head: the square
    /// of N in statements, but only N in transactions and comparisons.
    ///
    /// # Errors
    ///
    /// SQLite's, if no database in memory can be made, or if `stop` was set.
    pub fn run(
        changelog: &Changelog<'_>,
        replay: &Replay<'_>,
        cancel: &Arc<AtomicBool>,
    ) -> Result<Self, DatabaseError> {
        let mut report = Self::default();
        for scope in Scope::BOTH.into_iter().filter(|scope| changelog.has_scope(*scope)) {
            let context = SelfTestContext { changelog, replay, scope, cancel };
            report.add_outcomes(context, run_scenarios(context)?);
        }
        report.regressions.sort_by_key(|loss| loss.diagnostic.span.start);
        Ok(report)
    }

    /// Whether nothing was lost and nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.regressions.is_empty()
    }

    fn add_outcomes(
        &mut self,
        context: SelfTestContext<'_, '_>,
        outcomes: Vec<(StartPoint, ScenarioOutcome)>,
    ) {
        let (changelog, scope) = (context.changelog, context.scope);
        let version_of = |start: StartPoint| &changelog.versions()[start.position];
        let mut coverage_gaps: BTreeMap<(String, GapKind), CoverageGap> = BTreeMap::new();
        for (start, outcome) in outcomes {
            let start_version = version_of(start).clone();
            for (table, kind, reason) in outcome.fill_report.coverage_gaps {
                let versions = Vec::new();
                let entry = coverage_gaps
                    .entry((table.to_lowercase(), kind))
                    .or_insert_with(|| CoverageGap { scope, table, kind, reason, versions });
                entry.versions.push(start_version.clone());
            }
            let baseline = &changelog.baselines()[start.baseline_index];
            self.scenarios.push(Scenario {
                scope,
                baseline: baseline.to.version().unwrap_or(&start_version).clone(),
                table_count: outcome.fill_report.table_count,
                row_count: outcome.fill_report.row_count,
                down_to: outcome.down_to,
                passed: outcome.findings.is_empty(),
                start_version: start_version.clone(),
            });
            for finding in outcome.findings {
                let existing = self.regressions.iter_mut().find(|regression| {
                    regression.scope == scope
                        && regression.diagnostic.rule == finding.diagnostic.rule
                        && regression.diagnostic.span == finding.diagnostic.span
                        && regression.diagnostic.label == finding.subject
                });
                match existing {
                    Some(loss) => {
                        // The nearer the start, the plainer the words.
                        loss.diagnostic.message = finding.diagnostic.message;
                        loss.versions.push(start_version.clone());
                    }
                    None => {
                        let diagnostic = finding.diagnostic.label(finding.subject);
                        self.regressions.push(Regression {
                            scope,
                            versions: vec![start_version.clone()],
                            diagnostic,
                        });
                    }
                }
            }
        }
        for regression in self.regressions.iter_mut().filter(|regression| regression.scope == scope)
        {
            regression.versions.sort();
            regression.versions.dedup();
            regression.diagnostic.label =
                format!("in {scope} databases filled at {}", version_range(&regression.versions));
        }
        for coverage_gap in coverage_gaps.values_mut() {
            coverage_gap.versions.sort();
            coverage_gap.versions.dedup();
        }
        self.coverage_gaps.extend(coverage_gaps.into_values());
    }
}

/// `1.0.0`, or the first and the last of several.
fn version_range(versions: &[Version]) -> String {
    match versions {
        [first, .., last] => format!("{first} to {last}"),
        [single] => single.to_string(),
        [] => String::new(),
    }
}

/// Where a database begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct StartPoint {
    baseline_index: usize,
    position: usize,
}

/// Every database of a scope, sent through the document by as many threads as there are
/// processors.
fn run_scenarios(
    context: SelfTestContext<'_, '_>,
) -> Result<Vec<(StartPoint, ScenarioOutcome)>, DatabaseError> {
    let head_schema = context.replay.schema_at(context.scope, context.changelog.head_position());
    let fixtures = Mutex::new(Fixtures::new(context)?);
    let outcomes = Mutex::new(Ok(Vec::new()));
    let run_next_scenarios = || {
        loop {
            let next = fixtures.lock().unwrap_or_else(PoisonError::into_inner).next_fixture();
            let result = match next {
                Ok(None) => break,
                Ok(Some((start, fixture))) => context
                    .run_scenario(&fixture, start.position, &head_schema)
                    .map(|outcome| (start, outcome)),
                Err(error) => Err(error),
            };
            let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *outcomes, result) {
                (Ok(outcomes), Ok(outcome)) => outcomes.push(outcome),
                (Ok(_), Err(error)) => *outcomes = Err(error),
                (Err(_), _) => {}
            }
            if outcomes.is_err() {
                break;
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 1..threads.min(context.changelog.head_position() + 1) {
            // Where the system gives no more threads, those that run do the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, run_next_scenarios);
        }
        run_next_scenarios();
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    for (start, finding) in fixtures.into_inner().unwrap_or_else(PoisonError::into_inner).findings {
        if let Some((_, outcome)) = outcomes.iter_mut().find(|(other, _)| *other == start) {
            outcome.findings.push(finding);
        }
    }
    outcomes.sort_by_key(|(start, _)| *start);
    Ok(outcomes)
}

/// Makes databases without rows of an application's: one at each version, by one migration from
/// the one before, and then one from each later baseline.
struct Fixtures<'c, 'a> {
    context: SelfTestContext<'c, 'a>,
    chain_database: Connection,
    snapshot: Snapshot,
    next_position: usize,
    next_baseline: usize,
    /// What is lost on the way even without rows: an index, a trigger, a row of the document's.
    findings: Vec<(StartPoint, Finding)>,
}

impl<'c, 'a> Fixtures<'c, 'a> {
    fn new(context: SelfTestContext<'c, 'a>) -> Result<Self, DatabaseError> {
        let chain_database = context.empty_database()?;
        let snapshot = Snapshot::capture(&chain_database)?;
        Ok(Self {
            context,
            chain_database,
            snapshot,
            next_position: 0,
            next_baseline: 1,
            findings: Vec::new(),
        })
    }

    fn next_fixture(&mut self) -> Result<Option<(StartPoint, Connection)>, DatabaseError> {
        let changelog = self.context.changelog;
        let head = changelog.head_position();
        if self.next_position <= head {
            let position = self.next_position;
            self.next_position += 1;
            expect_success(self.context.upgrade(&mut self.chain_database, position)?)?;
            let snapshot = Snapshot::capture(&self.chain_database)?;
            if position > 0 {
                let start = StartPoint { position: position - 1, baseline_index: 0 };
                let step_ids = [StepId::Forward(position - 1)];
                let findings = self.context.differences(&step_ids, (&self.snapshot, &snapshot));
                self.findings.extend(findings.into_iter().map(|(_, finding)| (start, finding)));
            }
            self.snapshot = snapshot;
            let copy = self.context.copy_database(&self.chain_database)?;
            return Ok(Some((StartPoint { position, baseline_index: 0 }, copy)));
        }
        while let Some(migration) = changelog.step(StepId::Baseline(self.next_baseline)) {
            let baseline_index = self.next_baseline;
            self.next_baseline += 1;
            let position = migration.to.version().and_then(|to| changelog.position(to));
            let Some(position) = position.filter(|position| *position <= head) else { continue };
            if changelog.baseline_for(self.context.scope, position) == baseline_index {
                let mut database = self.context.empty_database()?;
                expect_success(self.context.upgrade(&mut database, position)?)?;
                return Ok(Some((StartPoint { baseline_index, position }, database)));
            }
        }
        Ok(None)
    }
}

/// The replay ran these very statements where there was nothing; what fails here is not theirs.
fn expect_success(
    result: Result<(), crate::plan::outcome::MigrateError>,
) -> Result<(), DatabaseError> {
    match result {
        Ok(()) => Ok(()),
        Err(crate::plan::outcome::MigrateError::Database(error)) => Err(error),
        Err(_) => Err(DatabaseError::ConcurrentChange),
    }
}
