//! What `test` tells: a line for each scope and range of versions, every loss at its place in the
//! document, and the tables that no row could be made for.

use serde_json::{Value, json};
use tatmig::selftest::{CoverageGap, GapKind, Scenario, SelfTestReport};
use tatmig::{Changelog, Diagnostic};

use crate::cli::output::OutputFormat;
use crate::cli::report::{EXIT_FAILURE, EXIT_SUCCESS, Report, diagnostic_json, plural};

impl Report {
    /// Tells what came of the test and returns the exit status.
    pub(crate) fn print_self_test(&self, changelog: &Changelog<'_>, report: &SelfTestReport) -> u8 {
        let source = changelog.source();
        if self.format == OutputFormat::Json {
            Self::print_json(&self_test_json(changelog, report));
        }
        let diagnostics: Vec<Diagnostic> =
            report.regressions.iter().map(|regression| regression.diagnostic.clone()).collect();
        self.print_diagnostics(source, &diagnostics);
        for scenarios in report.scenarios.chunk_by(is_same_group) {
            self.print_line(describe_scenarios(scenarios, changelog));
        }
        for gap in &report.coverage_gaps {
            self.print_line(describe_gap(gap));
        }
        let skipped = match tables_without_rows(report).count() {
            0 => String::new(),
            count => format!(", {} skipped", plural(count, "table")),
        };
        let regressions = match report.regressions.len() {
            0 => "nothing lost".to_owned(),
            count => plural(count, "problem"),
        };
        let databases = plural(report.scenarios.len(), "database");
        self.print_line(format!("{}: {databases} tested, {regressions}{skipped}", source.name()));
        if report.passed() { EXIT_SUCCESS } else { EXIT_FAILURE }
    }
}

/// Whether two databases are told in one line.
fn is_same_group(left: &Scenario, right: &Scenario) -> bool {
    left.scope == right.scope && left.baseline == right.baseline && left.passed == right.passed
}

/// `user 1.0.0 to 1.2.0: kept up to 1.2.0 (at most 4 tables, 20 rows)`.
fn describe_scenarios(scenarios: &[Scenario], changelog: &Changelog<'_>) -> String {
    let (Some(first), Some(last)) = (scenarios.first(), scenarios.last()) else {
        return String::new();
    };
    let range = if first.start_version == last.start_version {
        first.start_version.to_string()
    } else {
        format!("{} to {}", first.start_version, last.start_version)
    };
    let lowest_baseline = changelog.baselines().first().and_then(|baseline| baseline.to.version());
    let baseline_note =
        if lowest_baseline == Some(&first.baseline) { "" } else { ", made from its own baseline" };
    let downgrade_note =
        match scenarios.iter().filter_map(|scenario| scenario.down_to.as_ref()).min() {
            Some(point) => format!(", down to {point} and up again"),
            None => String::new(),
        };
    let outcome = if first.passed {
        format!("kept up to {}{downgrade_note}", changelog.head())
    } else {
        "not all of it is kept".to_owned()
    };
    let max_of = |count: fn(&Scenario) -> usize| scenarios.iter().map(count).max().unwrap_or(0);
    format!(
        "{} {range}{baseline_note}: {outcome} ({}, {})",
        first.scope,
        plural(max_of(|scenario| scenario.table_count), "table"),
        plural(max_of(|scenario| scenario.row_count), "row"),
    )
}

/// The tables that hold no row.
fn tables_without_rows(report: &SelfTestReport) -> impl Iterator<Item = &CoverageGap> {
    report.coverage_gaps.iter().filter(|gap| gap.kind == GapKind::NoRows)
}

fn describe_gap(gap: &CoverageGap) -> String {
    let versions = match gap.versions.as_slice() {
        [first, .., last] => format!("{first} to {last}"),
        [only] => only.to_string(),
        [] => String::new(),
    };
    let CoverageGap { scope, table, reason, .. } = gap;
    let description = match gap.kind {
        GapKind::NoRows => "is skipped, no row satisfies it",
        GapKind::TriggersOff => "takes rows only with its triggers off",
    };
    format!("{scope} {versions}: table `{table}` {description}: {reason}")
}

fn self_test_json(changelog: &Changelog<'_>, report: &SelfTestReport) -> Value {
    let source = changelog.source();
    let scenarios = report.scenarios.iter().map(|scenario| {
        json!({
            "scope": scenario.scope,
            "version": scenario.start_version.to_string(),
            "baseline": scenario.baseline.to_string(),
            "tables": scenario.table_count,
            "rows": scenario.row_count,
            "down_to": scenario.down_to,
            "held": scenario.passed,
        })
    });
    let versions = |versions: &[semver::Version]| -> Vec<String> {
        versions.iter().map(ToString::to_string).collect()
    };
    let diagnostics = report.regressions.iter().map(|regression| {
        let mut diagnostic = diagnostic_json(source, &regression.diagnostic);
        diagnostic["scope"] = json!(regression.scope);
        diagnostic["versions"] = json!(versions(&regression.versions));
        diagnostic
    });
    let gaps = report.coverage_gaps.iter().map(|gap| {
        json!({
            "scope": gap.scope,
            "table": gap.table,
            "shortfall": gap.kind,
            "versions": versions(&gap.versions),
            "reason": gap.reason,
        })
    });
    json!({
        "file": source.name(),
        "head": changelog.head().to_string(),
        "databases": scenarios.collect::<Vec<_>>(),
        "problems": diagnostics.collect::<Vec<_>>(),
        "caveats": gaps.collect::<Vec<_>>(),
        "summary": {
            "databases": report.scenarios.len(),
            "held": report.scenarios.iter().filter(|scenario| scenario.passed).count(),
            "problems": report.regressions.len(),
            "skipped": tables_without_rows(report).count(),
        },
    })
}
