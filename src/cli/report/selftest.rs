//! What `test` tells: a line for each scope and range of versions, every loss at its place in the
//! document, and the tables that no row could be made for.

use serde_json::{Value, json};
use tatmig::{Caveat, Changelog, Course, Problem, SelfTest, Shortfall};

use crate::cli::report::{DONE, FAILED, Report, plural, problem_json};
use crate::cli::settings::Format;

impl Report {
    /// Tells what came of the test and returns the exit status.
    pub(crate) fn tested(&self, changelog: &Changelog<'_>, test: &SelfTest) -> u8 {
        let source = changelog.source();
        if self.format == Format::Json {
            Self::json(&test_json(changelog, test));
        }
        let problems: Vec<Problem> = test.losses.iter().map(|loss| loss.problem.clone()).collect();
        self.problems(source, &problems);
        for courses in test.courses.chunk_by(alike) {
            self.line(words(courses, changelog));
        }
        for caveat in &test.caveats {
            self.line(told(caveat));
        }
        let skipped = match skipped(test).count() {
            0 => String::new(),
            count => format!(", {} skipped", plural(count, "table")),
        };
        let losses = match test.losses.len() {
            0 => "nothing lost".to_owned(),
            count => plural(count, "problem"),
        };
        let databases = plural(test.courses.len(), "database");
        self.line(format!("{}: {databases} tested, {losses}{skipped}", source.name()));
        if test.held() { DONE } else { FAILED }
    }
}

/// Whether two databases are told in one line.
fn alike(left: &Course, right: &Course) -> bool {
    left.scope == right.scope && left.baseline == right.baseline && left.held == right.held
}

/// `user 1.0.0 to 1.2.0: kept up to 1.2.0 (at most 4 tables, 20 rows)`.
fn words(courses: &[Course], changelog: &Changelog<'_>) -> String {
    let (Some(first), Some(last)) = (courses.first(), courses.last()) else {
        return String::new();
    };
    let range = if first.at == last.at {
        first.at.to_string()
    } else {
        format!("{} to {}", first.at, last.at)
    };
    let lowest = changelog.baselines().first().and_then(|baseline| baseline.to.version());
    let own = if lowest == Some(&first.baseline) { "" } else { ", made from its own baseline" };
    let down = match courses.iter().filter_map(|course| course.down_to.as_ref()).min() {
        Some(point) => format!(", down to {point} and up again"),
        None => String::new(),
    };
    let outcome = if first.held {
        format!("kept up to {}{down}", changelog.head())
    } else {
        "not all of it is kept".to_owned()
    };
    let most = |count: fn(&Course) -> usize| courses.iter().map(count).max().unwrap_or(0);
    format!(
        "{} {range}{own}: {outcome} ({}, {})",
        first.scope,
        plural(most(|course| course.tables), "table"),
        plural(most(|course| course.rows), "row"),
    )
}

/// The tables that hold no row.
fn skipped(test: &SelfTest) -> impl Iterator<Item = &Caveat> {
    test.caveats.iter().filter(|caveat| caveat.shortfall == Shortfall::NoRows)
}

fn told(caveat: &Caveat) -> String {
    let versions = match caveat.versions.as_slice() {
        [first, .., last] => format!("{first} to {last}"),
        [only] => only.to_string(),
        [] => String::new(),
    };
    let Caveat { scope, table, reason, .. } = caveat;
    let what = match caveat.shortfall {
        Shortfall::NoRows => "is skipped, no row satisfies it",
        Shortfall::TriggersOff => "takes rows only with its triggers off",
    };
    format!("{scope} {versions}: table `{table}` {what}: {reason}")
}

fn test_json(changelog: &Changelog<'_>, test: &SelfTest) -> Value {
    let source = changelog.source();
    let courses = test.courses.iter().map(|course| {
        json!({
            "scope": course.scope,
            "version": course.at.to_string(),
            "baseline": course.baseline.to_string(),
            "tables": course.tables,
            "rows": course.rows,
            "down_to": course.down_to,
            "held": course.held,
        })
    });
    let versions = |versions: &[semver::Version]| -> Vec<String> {
        versions.iter().map(ToString::to_string).collect()
    };
    let problems = test.losses.iter().map(|loss| {
        let mut problem = problem_json(source, &loss.problem);
        problem["scope"] = json!(loss.scope);
        problem["versions"] = json!(versions(&loss.versions));
        problem
    });
    let caveats = test.caveats.iter().map(|caveat| {
        json!({
            "scope": caveat.scope,
            "table": caveat.table,
            "shortfall": caveat.shortfall,
            "versions": versions(&caveat.versions),
            "reason": caveat.reason,
        })
    });
    json!({
        "file": source.name(),
        "head": changelog.head().to_string(),
        "databases": courses.collect::<Vec<_>>(),
        "problems": problems.collect::<Vec<_>>(),
        "caveats": caveats.collect::<Vec<_>>(),
        "summary": {
            "databases": test.courses.len(),
            "held": test.courses.iter().filter(|course| course.held).count(),
            "problems": test.losses.len(),
            "skipped": skipped(test).count(),
        },
    })
}
