//! Keeps what the last status and the last rehearsal of the fleet reported, for code lenses and inlay
//! hints. Both come from this program, run as a process in the background.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use semver::Version;
use serde_json::Value;

/// The number of databases in which each version is pending.
pub(crate) type PendingVersions = BTreeMap<Version, usize>;

/// What is known of the fleet of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FleetFacts {
    /// `None` without a fleet.
    pub(crate) pending: Option<PendingVersions>,
    /// The last rehearsal of each version.
    pub(crate) rehearsed: BTreeMap<Version, Rehearsal>,
}

/// What one command reported of the fleet.
#[derive(Debug)]
pub(crate) enum FleetReport {
    Nothing,
    /// `None` without a fleet.
    Status(Option<PendingVersions>),
    Rehearsal(RehearsalReport),
}

/// What a rehearsal reported: it ran every version that was pending up to its target.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RehearsalReport {
    pub(crate) target: Version,
    /// The versions that ran, and the target if a database failed.
    pub(crate) rehearsed: BTreeMap<Version, Rehearsal>,
    /// Each error once, with the first database that failed with it.
    pub(crate) errors: Vec<String>,
}

/// The rehearsal of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rehearsal {
    pub(crate) passed: usize,
    /// A database that failed counts for the version up to which it was to be migrated.
    pub(crate) failed: usize,
    /// The rows that were inserted, updated or deleted; `None` if no database passed, or if one did
    /// not report them.
    pub(crate) rows: Option<u64>,
    pub(crate) milliseconds: u64,
}

impl FleetFacts {
    /// The facts after a command. What it did not report is as before.
    pub(crate) fn with(&self, report: FleetReport) -> Self {
        let mut facts = self.clone();
        match report {
            FleetReport::Nothing => {}
            FleetReport::Status(pending) => facts.pending = pending,
            FleetReport::Rehearsal(report) => {
                // Earlier rehearsals of the versions that this one ran, or would have run.
                facts.rehearsed.retain(|version, _| *version > report.target);
                facts.rehearsed.extend(report.rehearsed);
            }
        }
        facts
    }
}

impl Rehearsal {
    /// `2 databases, 1 failed`.
    pub(crate) fn databases(&self) -> String {
        let databases = databases(self.passed + self.failed);
        match self.failed {
            0 => databases,
            failed => format!("{databases}, {failed} failed"),
        }
    }
}

/// A number of databases in words.
pub(crate) fn databases(count: usize) -> String {
    format!("{count} {}", if count == 1 { "database" } else { "databases" })
}

/// The output of a command.
pub(crate) struct CommandResult {
    pub(crate) is_success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command without input and waits for its end.
pub(crate) fn run_command(mut command: Command) -> CommandResult {
    match command.stdin(Stdio::null()).output() {
        Ok(output) => CommandResult {
            is_success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        },
        Err(error) => CommandResult {
            is_success: false,
            stdout: String::new(),
            stderr: format!("tatmig cannot be started: {error}"),
        },
    }
}

/// Reads the pending versions of each database from the output of `status --json`. `None` if no
/// database was found.
pub(crate) fn read_status(json: &str) -> Option<PendingVersions> {
    let document: Value = serde_json::from_str(json).ok()?;
    let databases = document.get("databases")?.as_array()?;
    if databases.is_empty() {
        return None;
    }
    let mut pending = PendingVersions::new();
    for database in databases {
        for version in database.get("pending").and_then(Value::as_array).into_iter().flatten() {
            *pending.entry(parse_version(version)?).or_insert(0) += 1;
        }
    }
    Some(pending)
}

/// Reads the output of `upgrade --rehearse --json`. `None` if the command could not be run.
pub(crate) fn read_rehearsal(json: &str) -> Option<RehearsalReport> {
    let document: Value = serde_json::from_str(json).ok()?;
    let target = parse_version(document.get("target")?)?;
    let databases = document.get("databases")?.as_array()?;
    let mut report = RehearsalReport { target, rehearsed: BTreeMap::new(), errors: Vec::new() };
    for database in databases {
        match database.get("outcome")?.as_str()? {
            "rehearsed" => report.add_passed(database),
            "failed" | "busy" => report.add_failed(database),
            _ => {}
        }
    }
    Some(report)
}

impl RehearsalReport {
    fn add_passed(&mut self, database: &Value) {
        let milliseconds = database.get("duration_ms").and_then(Value::as_u64).unwrap_or_default();
        let rows = database.get("rows_changed").and_then(Value::as_array);
        let steps = database.get("steps").and_then(Value::as_array).into_iter().flatten();
        for (index, step) in steps.enumerate() {
            let Some(version) = parse_version(step) else { continue };
            let rows = rows.and_then(|rows| rows.get(index)?.as_u64());
            let rehearsal = self.rehearsed.entry(version).or_default();
            rehearsal.rows = match rehearsal.passed {
                0 => rows,
                _ => rehearsal.rows.zip(rows).map(|(sum, rows)| sum + rows),
            };
            rehearsal.passed += 1;
            rehearsal.milliseconds += milliseconds;
        }
    }

    fn add_failed(&mut self, database: &Value) {
        self.rehearsed.entry(self.target.clone()).or_default().failed += 1;
        let message = database.get("error").and_then(|error| error.get("message")?.as_str());
        let message = message.unwrap_or("the database failed");
        if !self.errors.iter().any(|known| known.ends_with(&format!("`: {message}"))) {
            let name = database.get("name").and_then(Value::as_str).unwrap_or_default();
            self.errors.push(format!("`{name}`: {message}"));
        }
    }
}

fn parse_version(value: &Value) -> Option<Version> {
    Version::parse(value.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn pending_versions_are_counted() {
        let json = r#"{"databases":[{"pending":["1.1.0","1.2.0"]},{"pending":["1.2.0"]},{}]}"#;
        let pending = read_status(json).unwrap();
        assert_eq!((pending[&version("1.1.0")], pending[&version("1.2.0")]), (1, 2));
        assert_eq!(read_status(r#"{"databases":[]}"#), None);
        assert_eq!(read_status("error"), None);
    }

    const REHEARSAL: &str = r#"{"target":"1.2.0","databases":[
        {"name":"ann","outcome":"rehearsed","steps":["1.1.0","1.2.0"],"rows_changed":[2,3],"duration_ms":5},
        {"name":"bob","outcome":"failed","steps":[],"duration_ms":0,"error":{"message":"row too old"}},
        {"name":"cat","outcome":"busy","steps":[],"duration_ms":0,"error":{"message":"is locked"}},
        {"name":"dan","outcome":"failed","steps":[],"duration_ms":0,"error":{"message":"row too old"}},
        {"name":"eve","outcome":"rehearsed","steps":["1.2.0"],"rows_changed":[4],"duration_ms":6},
        {"name":"fay","outcome":"current","steps":[],"duration_ms":0},
        {"name":"gus","outcome":"skipped","steps":[],"duration_ms":0}]}"#;

    #[test]
    fn databases_that_fail_count_for_the_target_and_each_error_is_kept_once() {
        let report = read_rehearsal(REHEARSAL).unwrap();
        let expected = |passed, failed, rows, milliseconds| Rehearsal {
            passed,
            failed,
            rows: Some(rows),
            milliseconds,
        };
        assert_eq!(report.rehearsed[&version("1.1.0")], expected(1, 0, 2, 5));
        assert_eq!(report.rehearsed[&version("1.2.0")], expected(2, 3, 7, 11));
        assert_eq!(report.rehearsed[&version("1.2.0")].databases(), "5 databases, 3 failed");
        assert_eq!(report.errors, ["`bob`: row too old", "`cat`: is locked"]);
        for unusable in ["", "{}", r#"{"error":{"message":"x"}}"#] {
            assert_eq!(read_rehearsal(unusable), None);
        }
    }

    #[test]
    fn a_rehearsal_replaces_the_earlier_ones_up_to_its_target_and_nothing_else() {
        let earlier = Rehearsal { passed: 9, ..Rehearsal::default() };
        let rehearsed = ["1.0.0", "1.2.0", "1.10.0"].map(|text| (version(text), earlier.clone()));
        let pending = Some(PendingVersions::from([(version("1.2.0"), 5)]));
        let facts = FleetFacts { pending: pending.clone(), rehearsed: rehearsed.into() };
        let report = read_rehearsal(REHEARSAL).unwrap();
        let after = facts.with(FleetReport::Rehearsal(report));
        assert_eq!(after.pending, pending);
        let passed: Vec<_> =
            after.rehearsed.iter().map(|(at, found)| (at.to_string(), found.passed)).collect();
        assert_eq!(passed, [("1.1.0".into(), 1), ("1.2.0".into(), 2), ("1.10.0".into(), 9)]);
        let later = after.with(FleetReport::Status(None));
        assert_eq!((later.pending, &later.rehearsed), (None, &after.rehearsed));
        assert_eq!(after.with(FleetReport::Nothing), after);
    }
}
