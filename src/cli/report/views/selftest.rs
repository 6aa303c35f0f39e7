//! Shows what `test` found: a line for each scope and range of versions, every regression at its
//! position in the document, and the tables that got no generated rows.

use semver::Version;
use serde::Serialize;
use tatmig::selftest::{CoverageGap, GapKind, Regression, Scenario, SelfTestReport};
use tatmig::{Changelog, Diagnostic, Scope, Source, VersionPoint};

use crate::cli::report::console::Console;
use crate::cli::report::digest::excerpt::clip_message;
use crate::cli::report::digest::{Digest, ScenarioLine};
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::plural;
use crate::cli::report::json::{ProblemEntry, RegressionKeys};
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::View;

/// The result of `test`.
#[derive(Serialize)]
pub(crate) struct SelfTestView<'r> {
    #[serde(skip)]
    file: &'r str,
    /// The databases in memory that were upgraded.
    scenarios: Vec<ScenarioEntry<'r>>,
    #[serde(rename = "gaps")]
    coverage_gaps: Vec<GapEntry<'r>>,
    #[serde(skip)]
    summary: SelfTestCounts,
    #[serde(skip)]
    changelog: &'r Changelog<'r>,
    #[serde(skip)]
    report: &'r SelfTestReport,
}

/// The JSON object of one database that was upgraded with generated rows.
#[derive(Serialize)]
struct ScenarioEntry<'r> {
    scope: Scope,
    version: String,
    baseline: String,
    tables: usize,
    rows: usize,
    down_to: Option<&'r VersionPoint>,
    passed: bool,
    /// Whether every table had rows.
    complete: bool,
}

#[derive(Serialize)]
struct GapEntry<'r> {
    scope: Scope,
    table: &'r str,
    kind: GapKind,
    versions: Vec<String>,
    reason: &'r str,
    /// The line of the statement that the gap is about.
    line: Option<usize>,
}

#[derive(Serialize)]
struct SelfTestCounts {
    /// Of the fleet: none.
    total: usize,
    scenarios: usize,
    passed: usize,
    problems: usize,
    /// How many tables got no rows.
    skipped: usize,
}

impl<'r> SelfTestView<'r> {
    pub(crate) fn new(changelog: &'r Changelog<'r>, report: &'r SelfTestReport) -> Self {
        let source = changelog.source();
        Self {
            file: source.name(),
            scenarios: report.scenarios.iter().map(ScenarioEntry::new).collect(),
            coverage_gaps: report
                .coverage_gaps
                .iter()
                .map(|gap| GapEntry::new(source, gap))
                .collect(),
            summary: SelfTestCounts {
                total: 0,
                scenarios: report.scenarios.len(),
                passed: report.scenarios.iter().filter(|scenario| scenario.passed).count(),
                problems: report.regressions.len(),
                skipped: report.coverage_gaps.iter().filter(|gap| gap.is_untested()).count(),
            },
            changelog,
            report,
        }
    }

    fn verdict(&self) -> StyledLine {
        let SelfTestCounts { scenarios, problems, skipped, .. } = self.summary;
        let problems = (problems > 0)
            .then(|| StyledLine::from_state(State::Failed, plural(problems, "problem")));
        let not_tested = (skipped > 0).then(|| {
            StyledLine::from_state(State::Note, format!("{} not tested", plural(skipped, "table")))
        });
        let results = StyledLine::join(problems.into_iter().chain(not_tested));
        let results = if results.is_empty() {
            StyledLine::from_state(State::Ok, "no data lost")
        } else {
            results
        };
        let databases = plural(scenarios, "database");
        let label = StyledLine::from(format!("{}: {databases} tested, ", self.file));
        label.line(results)
    }
}

impl<'r> ScenarioEntry<'r> {
    fn new(scenario: &'r Scenario) -> Self {
        Self {
            scope: scenario.scope,
            version: scenario.start_version.to_string(),
            baseline: scenario.baseline.to_string(),
            tables: scenario.table_count,
            rows: scenario.row_count,
            down_to: scenario.down_to.as_ref(),
            passed: scenario.passed,
            complete: scenario.is_complete,
        }
    }
}

impl<'r> GapEntry<'r> {
    fn new(source: &Source<'_>, gap: &'r CoverageGap) -> Self {
        Self {
            scope: gap.scope,
            table: &gap.table,
            kind: gap.kind,
            versions: to_strings(&gap.versions),
            reason: &gap.reason,
            line: gap.span.as_ref().map(|span| source.line_number(span.start)),
        }
    }
}

fn to_strings(versions: &[Version]) -> Vec<String> {
    versions.iter().map(ToString::to_string).collect()
}

impl<'r> View for SelfTestView<'r> {
    fn print_text(&self, console: &Console) {
        self.print_errors(console);
        for scenarios in self.report.scenarios.chunk_by(is_same_group) {
            console.line(describe_scenarios(scenarios, self.changelog));
        }
        for gap in &self.report.coverage_gaps {
            console.line(describe_gap(self.changelog.source(), gap));
        }
        console.line(self.verdict());
    }

    fn print_errors(&self, console: &Console) {
        let regressions = self.report.regressions.iter();
        let diagnostics: Vec<Diagnostic> =
            regressions.map(|regression| regression.diagnostic.clone()).collect();
        console.diagnostics(self.changelog.source(), &diagnostics);
    }

    fn exit_status(&self) -> u8 {
        failure_if(!self.report.passed())
    }

    fn digest(&self, digest: &mut Digest) {
        let source = self.changelog.source();
        digest.verdict = self.verdict().to_string();
        for Regression { scope, versions, diagnostic, .. } in &self.report.regressions {
            let databases = format!("{scope} {}", to_strings(versions).join(", "));
            digest.findings.add(source, diagnostic, Some(clip_message(&databases)));
        }
        let groups = self.report.scenarios.chunk_by(is_same_group);
        let scenarios = groups.map(|scenarios| ScenarioLine {
            text: describe_scenarios(scenarios, self.changelog).to_string(),
            passed: scenarios.iter().all(|scenario| scenario.passed),
            databases: scenarios.len(),
        });
        digest.scenarios = scenarios.collect();
        let gaps = self.report.coverage_gaps.iter();
        digest.gaps = gaps.map(|gap| describe_gap(source, gap)).collect();
    }

    fn summary(&self) -> impl Serialize {
        &self.summary
    }

    fn problems(&self) -> Vec<ProblemEntry<'_>> {
        let source = self.changelog.source();
        let problem = |found: &'r Regression| {
            let versions = to_strings(&found.versions);
            let keys = RegressionKeys { scope: found.scope, versions };
            ProblemEntry::new(source, &found.diagnostic).with_regression(keys)
        };
        self.report.regressions.iter().map(problem).collect()
    }
}

/// Whether two databases are described in one line.
fn is_same_group(left: &Scenario, right: &Scenario) -> bool {
    left.scope == right.scope
        && left.baseline == right.baseline
        && left.passed == right.passed
        && left.is_complete == right.is_complete
}

/// `user 1.0.0 to 1.2.0: all rows kept up to 1.2.0 (at most 4 tables, 20 rows)`.
fn describe_scenarios(scenarios: &[Scenario], changelog: &Changelog<'_>) -> StyledLine {
    let (Some(first), Some(last)) = (scenarios.first(), scenarios.last()) else {
        return StyledLine::default();
    };
    let range = if first.start_version == last.start_version {
        first.start_version.to_string()
    } else {
        format!("{} to {}", first.start_version, last.start_version)
    };
    let lowest_baseline = changelog.baselines().first().and_then(|baseline| baseline.to.version());
    let baseline_note = if lowest_baseline == Some(&first.baseline) {
        ""
    } else {
        ", created from its own baseline"
    };
    let lowest_downgrade = scenarios.iter().filter_map(|scenario| scenario.down_to.as_ref()).min();
    let downgrade_note = match lowest_downgrade {
        Some(point) => format!(", down to {point} and up again"),
        None => String::new(),
    };
    let head = changelog.head();
    let outcome = match (first.passed, first.is_complete) {
        (true, true) => StyledLine::from_state(State::Ok, "no data lost")
            .text(format!(" up to {head}{downgrade_note}")),
        (true, false) => StyledLine::from_state(State::Note, "not fully tested")
            .text(format!(" up to {head}{downgrade_note}")),
        (false, _) => {
            StyledLine::from_state(State::Failed, "problems").text(format!(" on the way to {head}"))
        }
    };
    let max_of = |count: fn(&Scenario) -> usize| scenarios.iter().map(count).max().unwrap_or(0);
    let counts = format!(
        " ({}, {})",
        plural(max_of(|scenario| scenario.table_count), "table"),
        plural(max_of(|scenario| scenario.row_count), "row"),
    );
    let label = format!("{} {range}{baseline_note}: ", first.scope);
    StyledLine::from(label).line(outcome).text(counts)
}

fn describe_gap(source: &Source<'_>, gap: &CoverageGap) -> String {
    let versions = match gap.versions.as_slice() {
        [first, .., last] => format!("{first} to {last}"),
        [only] => only.to_string(),
        [] => String::new(),
    };
    let CoverageGap { scope, table, reason, .. } = gap;
    let description = match gap.kind {
        GapKind::NoRows => "is not tested, no generated row satisfies its constraints",
        GapKind::TriggersOff => "is filled with its triggers off, a trigger rejects the rows",
        GapKind::AssertedAway => {
            let start = gap.span.as_ref().map_or(0, |span| span.start);
            let place = format!("{}:{}", source.name(), source.line_number(start));
            return format!(
                "{scope} {versions}: rows that do not meet the assertion in {place} are left out: {reason}"
            );
        }
        GapKind::BrokenTrigger => "is not tested with its triggers, one of them cannot run",
        GapKind::NeedsApplication if table.is_empty() => {
            let start = gap.span.as_ref().map_or(0, |span| span.start);
            let place = format!("{}:{}", source.name(), source.line_number(start));
            return format!(
                "{scope} {versions}: rows for which the statement in {place} needs the application are not tested: {reason}"
            );
        }
        GapKind::NeedsApplication => "is not fully tested, its rows need the application",
    };
    format!("{scope} {versions}: table `{table}` {description}: {reason}")
}
