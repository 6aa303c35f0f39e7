//! Tests a document against itself, without a fleet and without files. A database in memory is filled
//! with rows that satisfy its constraints and upgraded from version to version by the same code as
//! any real database. At each version the tables that changed get further rows, and reverse blocks are
//! run and undone. No row of a table that still exists may be lost or changed, except in columns that
//! a migration writes.

pub(crate) mod attribute;
pub(crate) mod attribute_trigger;
pub(crate) mod carry;
pub(crate) mod changed_tables;
pub(crate) mod check_constraint;
pub(crate) mod column_writes;
pub(crate) mod context;
pub(crate) mod examples;
pub(crate) mod fill;
pub(crate) mod insert_row;
pub(crate) mod orphans;
pub(crate) mod row_choices;
pub(crate) mod row_comparison;
pub(crate) mod scope_report;
pub(crate) mod snapshot;
pub(crate) mod state_check;
pub(crate) mod step;
pub(crate) mod table_spec;
pub(crate) mod values;

use std::collections::BTreeMap;
use std::ops::Range;

use semver::Version;

use crate::database::connection::ConnectionSetup;
use crate::database::error::DatabaseError;
use crate::database::policy::DatabasePolicy;
use crate::document::changelog::Changelog;
use crate::document::diagnostic::Diagnostic;
use crate::document::tag::{Scope, VersionPoint};
use crate::migrate::replay::Replay;
use crate::selftest::attribute::Finding;
use crate::selftest::context::SelfTestContext;
use crate::selftest::fill::FillGap;
use crate::selftest::scope_report::ScopeReport;

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
/// let report = SelfTestReport::run(
///     &changelog,
///     &replay,
///     Default::default(),
///     &Default::default(),
/// )?;
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
    /// Whether every table had rows, at this version and at all later ones.
    pub is_complete: bool,
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
    /// The bytes of the document that the gap is about, if it is about a statement.
    pub span: Option<Range<usize>>,
    /// The versions at which this happened, ascending.
    pub versions: Vec<Version>,
}

/// The gaps of a scope, by table in lower case, kind, and where the statement begins that they are
/// about.
type GapsByTable = BTreeMap<(String, GapKind, Option<usize>), CoverageGap>;

impl SelfTestReport {
    /// Tests every version up to head for both scopes, as `policy` treats foreign keys. A
    /// cancellation ends the test.
    ///
    /// Rows are inserted once and carried along, so the cost is a few steps for each migration.
    ///
    /// # Errors
    ///
    /// SQLite's, if a database in memory cannot be created, or if the run was cancelled.
    pub fn run(
        changelog: &Changelog<'_>,
        replay: &Replay<'_>,
        policy: DatabasePolicy,
        setup: &ConnectionSetup,
    ) -> Result<Self, DatabaseError> {
        let mut report = Self::default();
        for scope in Scope::BOTH.into_iter().filter(|scope| changelog.has_scope(*scope)) {
            report.test_scope(SelfTestContext { changelog, replay, scope, policy, setup })?;
        }
        report.regressions.sort_by_key(|regression| regression.diagnostic.span.start);
        Ok(report)
    }

    /// Whether nothing was lost, nothing failed, and every table had rows.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.regressions.is_empty() && !self.coverage_gaps.iter().any(CoverageGap::is_untested)
    }

    fn test_scope(&mut self, context: SelfTestContext<'_, '_>) -> Result<(), DatabaseError> {
        let (changelog, scope) = (context.changelog, context.scope);
        let ScopeReport { stops, findings } = carry::test_scope(context)?;
        let mut gaps = GapsByTable::new();
        // Rows are carried through all later versions, and so are not fully tested if one of those
        // has a table without rows.
        let last_gap = stops
            .iter()
            .filter(|stop| stop.gaps.iter().any(|gap| gap.kind.is_untested()))
            .map(|stop| stop.position)
            .max();
        for stop in stops {
            let start_version = &changelog.versions()[stop.position];
            let baseline = changelog.baselines()[stop.baseline_index].to.version();
            self.scenarios.push(Scenario {
                scope,
                baseline: baseline.unwrap_or(start_version).clone(),
                table_count: stop.table_count,
                row_count: stop.row_count,
                down_to: stop.down_to,
                passed: !findings.iter().any(|found| {
                    found.baseline_index == stop.baseline_index
                        && (found.first_position..=found.last_position).contains(&stop.position)
                }),
                is_complete: last_gap.is_none_or(|position| position < stop.position),
                start_version: start_version.clone(),
            });
            for gap in stop.gaps {
                add_gap(&mut gaps, scope, start_version, gap);
            }
        }
        let first_regression = self.regressions.len();
        for found in findings {
            let versions = &changelog.versions()[found.first_position..=found.last_position];
            self.add_finding(scope, versions, found.finding);
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

    /// Adds a finding, or its versions to the regression that already reports the same. Until the
    /// scope is complete, the label of the diagnostic holds the finding's subject.
    fn add_finding(&mut self, scope: Scope, versions: &[Version], finding: Finding) {
        let existing = self.regressions.iter_mut().find(|regression| {
            regression.scope == scope
                && regression.diagnostic.rule == finding.diagnostic.rule
                && regression.diagnostic.span == finding.diagnostic.span
                && regression.diagnostic.label == finding.subject
        });
        if let Some(regression) = existing {
            regression.versions.extend_from_slice(versions);
        } else {
            self.regressions.push(Regression {
                scope,
                versions: versions.to_vec(),
                diagnostic: finding.diagnostic.label(finding.subject),
            });
        }
    }
}

impl CoverageGap {
    /// Whether the table was tested without rows.
    #[must_use]
    pub fn is_untested(&self) -> bool {
        self.kind.is_untested()
    }
}

impl GapKind {
    /// Whether a table was tested without rows.
    fn is_untested(self) -> bool {
        matches!(self, Self::NoRows | Self::BrokenTrigger)
    }
}

fn add_gap(gaps: &mut GapsByTable, scope: Scope, version: &Version, gap: FillGap) {
    let FillGap { table, kind, reason, span } = gap;
    let start = span.as_ref().map(|span| span.start);
    let entry = gaps.entry((table.to_lowercase(), kind, start)).or_insert_with(|| CoverageGap {
        scope,
        table,
        kind,
        reason,
        span,
        versions: Vec::new(),
    });
    entry.versions.push(version.clone());
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
