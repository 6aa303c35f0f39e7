//! Keeps what the last status and the last rehearsal of the fleet reported, for code lenses and inlay
//! hints. Both come from this program, run as a process in the background.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What is known of the fleet of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FleetFacts {
    /// The number of databases in which a version is pending; `None` without a fleet.
    pub(crate) pending: Option<BTreeMap<String, usize>>,
    /// How the last rehearsal of each version went.
    pub(crate) rehearsed: BTreeMap<String, Rehearsal>,
}

/// The last rehearsal of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rehearsal {
    pub(crate) databases: usize,
    pub(crate) failed: usize,
    /// The rows that were inserted, updated or deleted; `None` if a database did not report them.
    pub(crate) rows: Option<u64>,
    pub(crate) milliseconds: u64,
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
pub(crate) fn read_status(json: &str) -> Option<BTreeMap<String, usize>> {
    let document: Value = serde_json::from_str(json).ok()?;
    let databases = document.get("databases")?.as_array()?;
    if databases.is_empty() {
        return None;
    }
    let mut pending = BTreeMap::new();
    for database in databases {
        for version in database.get("pending").and_then(Value::as_array).into_iter().flatten() {
            *pending.entry(version.as_str()?.to_owned()).or_insert(0) += 1;
        }
    }
    Some(pending)
}

/// Reads the steps of each database from the output of `upgrade --rehearse --json`.
pub(crate) fn read_rehearsal(json: &str) -> BTreeMap<String, Rehearsal> {
    let document: Value = serde_json::from_str(json).unwrap_or_default();
    let databases = document.get("databases").and_then(Value::as_array);
    let mut rehearsed: BTreeMap<String, Rehearsal> = BTreeMap::new();
    for database in databases.into_iter().flatten() {
        let outcome = database.get("outcome").and_then(Value::as_str).unwrap_or_default();
        let milliseconds = database.get("duration_ms").and_then(Value::as_f64).unwrap_or_default();
        let rows = database.get("rows_changed").and_then(Value::as_array);
        let steps = database.get("steps").and_then(Value::as_array).into_iter().flatten();
        for (index, step) in steps.enumerate() {
            let version = step.as_str().or_else(|| step.get("to").and_then(Value::as_str));
            let Some(version) = version else { continue };
            let rehearsal = rehearsed
                .entry(version.to_owned())
                .or_insert_with(|| Rehearsal { rows: Some(0), ..Rehearsal::default() });
            let of_step = rows.and_then(|rows| rows.get(index)?.as_u64());
            rehearsal.rows = rehearsal.rows.zip(of_step).map(|(sum, rows)| sum + rows);
            rehearsal.databases += 1;
            rehearsal.failed += usize::from(outcome == "failed");
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let milliseconds = milliseconds.max(0.0) as u64;
            rehearsal.milliseconds += milliseconds;
        }
    }
    rehearsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pending_versions_are_counted() {
        let json = r#"{"databases":[{"pending":["1.1.0","1.2.0"]},{"pending":["1.2.0"]},{}]}"#;
        let pending = read_status(json).unwrap();
        assert_eq!((pending["1.1.0"], pending["1.2.0"]), (1, 2));
        assert_eq!(read_status(r#"{"databases":[]}"#), None);
        assert_eq!(read_status("error"), None);
    }
}
