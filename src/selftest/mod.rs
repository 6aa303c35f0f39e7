//! Tests a document against itself, without a fleet and without files. For every version, a database
//! in memory is filled with rows that satisfy its constraints, upgraded to head by the same code as
//! any real database, and downgraded and upgraded again as far as reverse blocks exist. No row of a
//! table that still exists may be lost or changed, except in columns that a migration writes.

pub(crate) mod attribute;
pub(crate) mod context;
pub(crate) mod fill;
pub(crate) mod fixtures;
pub(crate) mod insert_row;
pub(crate) mod insert_select;
pub(crate) mod orphans;
pub(crate) mod row_choices;
pub(crate) mod row_comparison;
pub(crate) mod scenario;
pub(crate) mod snapshot;
pub(crate) mod table_spec;
pub(crate) mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use semver::Version;

use crate::database::error::DatabaseError;
use crate::document::changelog::Changelog;
use crate::document::diagnostic::Diagnostic;
use crate::document::tag::{Scope, VersionPoint};
use crate::migrate::replay::Replay;
use crate::selftest::attribute::Finding;
use crate::selftest::context::SelfTestContext;
use crate::selftest::fill::FillGap;
use crate::selftest::fixtures::{StartPoint, run_scenarios};

pub use crate::selftest::fill::GapKind;

/// The result of testing a document against itself.
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
#[non_exhaustive]
pub struct SelfTestReport {
    /// Every database that was tested: those of the system scope first, each scope by version.
    pub scenarios: Vec<Scenario>,
    /// Every loss and failure once, in document order.
    pub regressions: Vec<Regression>,
    /// Tables that were not filled as intended.
    pub coverage_gaps: Vec<CoverageGap>,
}

/// One tested database.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// The scope of the database.
    pub scope: Scope,
    /// The version at which the database was filled.
    pub start_version: Version,
    /// The baseline that created the database. This is the lowest baseline, except for databases
    /// that test a later baseline at its own version.
    pub baseline: Version,
    /// How many tables had rows.
    pub table_count: usize,
    /// How many rows the tables had.
    pub row_count: usize,
    /// The lowest point that was reached through reverse blocks.
    pub down_to: Option<VersionPoint>,
    /// Whether nothing was lost and nothing failed.
    pub passed: bool,
}

/// Data that is lost, or a migration that fails, when the tables have rows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Regression {
    /// The scope of the databases.
    pub scope: Scope,
    /// The versions at which the databases were filled, ascending.
    pub versions: Vec<Version>,
    /// What is lost or fails, where in the document, and how to fix it.
    pub diagnostic: Diagnostic,
}

/// A table that was not filled as intended, so that the test covers less of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CoverageGap {
    /// The scope of the databases.
    pub scope: Scope,
    /// The table.
    pub table: String,
    /// How the table was filled with less than intended.
    pub kind: GapKind,
    /// SQLite's message.
    pub reason: String,
    /// The versions at which this happened, ascending.
    pub versions: Vec<Version>,
}

/// The gaps of a scope, by table in lower case and kind.
type GapsByTable = BTreeMap<(String, GapKind), CoverageGap>;

impl SelfTestReport {
    /// Tests every version up to head for both scopes. Setting `cancel` ends the test.
    ///
    /// A document of N versions costs N databases, each of which is upgraded to head: the square
    /// of N in statements, but only N in transactions and comparisons.
    ///
    /// # Errors
    ///
    /// SQLite's, if a database in memory cannot be created, or if `cancel` was set.
    pub fn run(
        changelog: &Changelog<'_>,
        replay: &Replay<'_>,
        cancel: &Arc<AtomicBool>,
    ) -> Result<Self, DatabaseError> {
        let mut report = Self::default();
        for scope in Scope::BOTH.into_iter().filter(|scope| changelog.has_scope(*scope)) {
            report.test_scope(SelfTestContext { changelog, replay, scope, cancel })?;
        }
        report.regressions.sort_by_key(|regression| regression.diagnostic.span.start);
        Ok(report)
    }

    /// Whether nothing was lost and nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.regressions.is_empty()
    }

    fn test_scope(&mut self, context: SelfTestContext<'_, '_>) -> Result<(), DatabaseError> {
        let (changelog, scope) = (context.changelog, context.scope);
        let mut gaps = GapsByTable::new();
        let first_regression = self.regressions.len();
        for (start, outcome) in run_scenarios(context)? {
            let start_version = &changelog.versions()[start.position];
            for gap in outcome.fill_report.gaps {
                add_gap(&mut gaps, scope, start_version, gap);
            }
            self.scenarios.push(Scenario {
                scope,
                baseline: baseline_version(changelog, start).unwrap_or(start_version).clone(),
                table_count: outcome.fill_report.table_count,
                row_count: outcome.fill_report.row_count,
                down_to: outcome.down_to,
                passed: outcome.findings.is_empty(),
                start_version: start_version.clone(),
            });
            for finding in outcome.findings {
                self.add_finding(scope, start_version, finding);
            }
        }
        for regression in &mut self.regressions[first_regression..] {
            sort_versions(&mut regression.versions);
            regression.diagnostic.label =
                format!("in {scope} databases filled at {}", version_range(&regression.versions));
        }
        for gap in gaps.values_mut() {
            sort_versions(&mut gap.versions);
        }
        self.coverage_gaps.extend(gaps.into_values());
        Ok(())
    }

    /// Adds a finding, or its version to the regression that already reports the same. Until the
    /// scope is complete, the label of the diagnostic holds the finding's subject.
    fn add_finding(&mut self, scope: Scope, version: &Version, finding: Finding) {
        let existing = self.regressions.iter_mut().find(|regression| {
            regression.scope == scope
                && regression.diagnostic.rule == finding.diagnostic.rule
                && regression.diagnostic.span == finding.diagnostic.span
                && regression.diagnostic.label == finding.subject
        });
        if let Some(regression) = existing {
            // The database that was filled nearest to the faulty step gives the plainest message.
            regression.diagnostic.message = finding.diagnostic.message;
            regression.versions.push(version.clone());
        } else {
            self.regressions.push(Regression {
                scope,
                versions: vec![version.clone()],
                diagnostic: finding.diagnostic.label(finding.subject),
            });
        }
    }
}

fn add_gap(gaps: &mut GapsByTable, scope: Scope, version: &Version, gap: FillGap) {
    let FillGap { table, kind, reason } = gap;
    let entry = gaps.entry((table.to_lowercase(), kind)).or_insert_with(|| CoverageGap {
        scope,
        table,
        kind,
        reason,
        versions: Vec::new(),
    });
    entry.versions.push(version.clone());
}

fn baseline_version<'c>(changelog: &'c Changelog<'_>, start: StartPoint) -> Option<&'c Version> {
    changelog.baselines()[start.baseline_index].to.version()
}

fn sort_versions(versions: &mut Vec<Version>) {
    versions.sort();
    versions.dedup();
}

/// `1.0.0`, or `1.0.0 to 1.2.0` for several versions.
fn version_range(versions: &[Version]) -> String {
    match versions {
        [first, .., last] => format!("{first} to {last}"),
        [single] => single.to_string(),
        [] => String::new(),
    }
}
