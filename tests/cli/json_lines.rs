//! Tests `upgrade --json-lines`: a line for each database as it ends, then the summary.

use std::io::{BufRead as _, BufReader};

use serde_json::{Value, json};

use crate::support::{DUPLICATE_NOTES, Fleet, NOTES};

fn fleet() -> Fleet {
    Fleet::from_blocks(NOTES)
        .system("")
        .users(4, "")
        .upgrade_to("1.1.0")
        .user("u002", DUPLICATE_NOTES)
}

/// The names and outcomes of the databases, sorted; the summary is left out.
fn outcomes(lines: &[Value]) -> Vec<String> {
    let databases = &lines[..lines.len() - 1];
    let mut texts: Vec<String> = databases
        .iter()
        .map(|line| {
            format!("{} {}", line["name"].as_str().unwrap(), line["outcome"].as_str().unwrap())
        })
        .collect();
    texts.sort();
    texts
}

#[test]
fn each_database_has_a_line_and_the_summary_is_last() {
    let fleet = fleet();
    let run = fleet.run(["upgrade", "--all-users", "--json-lines"]);
    let lines = run.status(1).json_lines();
    assert_eq!(
        outcomes(&lines),
        ["system upgraded", "u000 upgraded", "u001 upgraded", "u002 failed", "u003 upgraded"]
    );
    let failed = lines.iter().find(|line| line["outcome"] == "failed").unwrap();
    assert_eq!(failed["event"], "database");
    assert_eq!(failed["path"], "u002_longterm.db");
    assert_eq!(failed["error"]["line"], 21);
    assert_eq!(
        lines.last().unwrap(),
        &json!({
            "event": "summary", "format": 1, "command": "upgrade", "file": "MIGRATIONS.md",
            "head": "1.2.0", "target": "1.2.0", "problems": [], "error": null,
            "summary": {"total": 5, "upgraded": 4, "current": 0, "failed": 1, "busy": 0,
                        "skipped": 0, "rehearsed": 0}
        })
    );
    // The errors are printed as text too.
    run.stderr_contains("UNIQUE constraint failed");
    assert_eq!(fleet.database("u002").rows("SELECT body FROM notes"), ["tea", "tea"]);
}

#[test]
fn databases_that_are_at_the_target_have_a_line_too() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(2, "").upgrade_to("1.2.0");
    let lines = fleet.run(["upgrade", "--all-users", "--json-lines"]).status(0).json_lines();
    assert_eq!(outcomes(&lines), ["system current", "u000 current", "u001 current"]);
}

#[test]
fn databases_that_did_not_start_follow_the_others() {
    let fleet = fleet().user("u000", DUPLICATE_NOTES);
    let run = fleet.run(["upgrade", "--all-users", "--canary", "1", "--json-lines"]);
    let lines = run.status(1).json_lines();
    let in_order: Vec<_> = lines.iter().map(|line| &line["outcome"]).collect();
    assert_eq!(in_order[..5], ["upgraded", "failed", "skipped", "skipped", "skipped"]);
    assert_eq!(lines[5]["summary"]["skipped"], 3);
}

#[test]
fn a_rehearsal_before_the_upgrade_has_lines_of_its_own() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(1, "").upgrade_to("1.1.0");
    let run = fleet.run(["upgrade", "--all-users", "--all-or-nothing", "--json-lines"]);
    let lines = run.status(0).json_lines();
    assert_eq!(
        outcomes(&lines),
        ["system rehearsed", "system upgraded", "u000 rehearsed", "u000 upgraded"]
    );
}

#[test]
fn an_error_before_the_run_is_the_only_line() {
    let fleet = fleet().document("# nothing\n");
    let lines = fleet.run(["upgrade", "--all-users", "--json-lines"]).status(2).json_lines();
    let [summary] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(summary["problems"][0]["rule"], "no-migrations");
    for arguments in [
        &["upgrade", "--json-lines", "--to", "9.9.9"] as &[&str],
        &["upgrade", "--json-lines", "--jobs", "many"],
        &["upgrade", "--json-lines", "--config", "missing.toml"],
    ] {
        let fleet = Fleet::from_blocks(NOTES).system("");
        let lines = fleet.run(arguments).status(2).json_lines();
        assert_eq!(lines.len(), 1, "{arguments:?}");
        assert!(lines[0]["error"]["message"].is_string(), "{arguments:?}");
    }
}

#[test]
fn json_and_a_dry_run_contradict_lines_of_json() {
    let fleet = fleet();
    for flag in ["--json", "--dry-run"] {
        let run = fleet.run(["upgrade", "--json-lines", flag]);
        run.status(2).stderr_contains("cannot be used with");
        assert_eq!(run.json_lines().len(), 1);
    }
    // The variable only chooses a default.
    let fleet = fleet.env("TATMIG_JSON", "1");
    assert_eq!(fleet.run(["upgrade", "--json-lines"]).status(0).json_lines().len(), 2);
}

#[test]
fn a_reader_that_ends_early_changes_no_result() {
    let fleet = fleet();
    let mut child = fleet.start(["upgrade", "--all-users", "--json-lines"]);
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    drop(reader);
    assert!(line.contains("\"system\""), "{line}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(fleet.database("u003").version().as_deref(), Some("1.2.0"));
    assert_eq!(fleet.database("u002").version().as_deref(), Some("1.1.0"));
}
