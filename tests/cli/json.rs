//! Tests `--json`: standard output is exactly one JSON document with the keys that programs rely
//! on.

use serde_json::json;

use crate::support::{DUPLICATE_NOTES, Fleet, NOTES, document};

#[test]
fn status_has_the_documented_shape() {
    let planned = document(&[("user:1.2.0→1.3.0", "-- CREATE TABLE later (x);")]);
    let markdown = format!("{}## 1.2.0 → 1.3.0 (Planned)\n\n{planned}", document(NOTES));
    let fleet = Fleet::new().document(markdown).system("").user("ann", "").upgrade_to("1.1.0");
    let fleet =
        fleet.user("new", "").user("old", "CREATE TABLE own (x)").file("bad_longterm.db", "x");
    let run = fleet.run_without_changes(["status", "--json"]);
    assert_eq!(
        run.status(1).stderr("").json(),
        json!({
            "format": 1,
            "command": "status",
            "file": "MIGRATIONS.md",
            "head": "1.2.0",
            "planned": ["1.3.0"],
            "problems": [],
            "error": null,
            "databases": [
                {"name": "system", "scope": "system", "path": "system.db", "version": "1.1.0",
                 "state": "behind", "pending": ["1.2.0"], "detected": null, "error": null},
                {"name": "ann", "scope": "user", "path": "ann_longterm.db", "version": "1.1.0",
                 "state": "behind", "pending": ["1.2.0"], "detected": null, "error": null},
                {"name": "bad", "scope": "user", "path": "bad_longterm.db", "version": null,
                 "state": "error", "pending": [], "detected": null, "error": {
                    "message": "not a SQLite database: it does not start with SQLite's header",
                    "rule": null, "help": null, "file": null, "line": null, "column": null,
                    "end_line": null, "end_column": null, "rows": []}},
                {"name": "new", "scope": "user", "path": "new_longterm.db", "version": null,
                 "state": "new", "pending": ["1.0.0", "1.1.0", "1.2.0"], "detected": null, "error": null},
                {"name": "old", "scope": "user", "path": "old_longterm.db", "version": null,
                 "state": "unversioned", "pending": [], "error": null,
                 "detected": {"match": "unrelated", "candidates": [], "version": null, "there": [], "missing": [], "sources": []}},
            ],
            "summary": {"total": 5, "new": 1, "current": 0, "behind": 2, "unversioned": 1,
                        "ahead": 0, "edited": 0, "error": 1},
        })
    );
}

#[test]
fn an_upgrade_has_the_documented_shape() {
    let fleet =
        Fleet::from_blocks(NOTES).system("").user("ann", "").user("bob", "").upgrade_to("1.1.0");
    let fleet = fleet.user("ann", DUPLICATE_NOTES);
    let mut json = fleet.run(["upgrade", "--all-users", "--json"]).status(1).json();
    for database in json["databases"].as_array_mut().unwrap() {
        assert!(database["duration_ms"].is_u64());
        database["duration_ms"] = json!(0);
    }
    assert_eq!(
        json,
        json!({
            "format": 1,
            "command": "upgrade",
            "file": "MIGRATIONS.md",
            "head": "1.2.0",
            "target": "1.2.0",
            "problems": [],
            "error": null,
            "databases": [
                {"name": "system", "scope": "system", "path": "system.db", "from": "1.1.0",
                 "to": "1.2.0", "steps": ["1.2.0"], "rows_changed": [0], "outcome": "upgraded", "error": null,
                 "notes": [], "duration_ms": 0},
                {"name": "ann", "scope": "user", "path": "ann_longterm.db", "from": "1.1.0",
                 "to": "1.1.0", "steps": [], "outcome": "failed", "error": {
                    "message": "UNIQUE constraint failed: notes.body (in the migration 1.1.0 → 1.2.0)",
                    "rule": "sql", "file": "MIGRATIONS.md", "line": 21, "column": 33,
                    "end_line": 21, "end_column": 38,
                    "rows": ["(body = 'tea', first rowid = 1, last rowid = 2, rows = 2)"],
                    "help": "(body = 'tea', first rowid = 1, last rowid = 2, rows = 2); change these rows and run the command again"},
                 "notes": [], "duration_ms": 0},
                {"name": "bob", "scope": "user", "path": "bob_longterm.db", "from": "1.1.0",
                 "to": "1.2.0", "steps": ["1.2.0"], "rows_changed": [0], "outcome": "upgraded", "error": null,
                 "notes": [], "duration_ms": 0},
            ],
            "summary": {"upgraded": 2, "current": 0, "failed": 1, "busy": 0, "skipped": 0,
                        "rehearsed": 0, "total": 3},
        })
    );
    let json = fleet.run(["upgrade", "--user", "bob", "--json"]).status(0).json();
    assert_eq!(json["databases"][1]["outcome"], "current");
}

#[test]
fn databases_not_started_are_skipped() {
    let fleet = Fleet::from_blocks(NOTES)
        .system("")
        .users(3, "")
        .upgrade_to("1.1.0")
        .user("u000", DUPLICATE_NOTES);
    let flags = ["upgrade", "--all-users", "--json", "--fail-fast", "--jobs", "1"];
    let json = fleet.run(flags).status(1).json();
    assert_eq!(json["summary"]["skipped"], 2);
    assert_eq!(json["databases"][3]["outcome"], "skipped");
}

#[test]
fn a_dry_run_is_one_document() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).user("ann", "").file("bad_longterm.db", "x");
    let run = fleet.run_without_changes(["upgrade", "--all-users", "--dry-run", "--json"]);
    let json = run.status(1).json();
    assert_eq!(json["dry_run"], true);
    assert_eq!(json["target"], "1.2.0");
    assert_eq!(
        json["migrations"][0],
        json!({"scope": "user", "from": "baseline", "to": "1.0.0", "line": 2,
               "databases": ["ann"], "sql": format!("{}\n", NOTES[1].1)})
    );
    let databases = json["databases"].as_array().unwrap();
    let outcomes = databases.iter().map(|database| (&database["name"], &database["outcome"]));
    assert_eq!(
        outcomes.collect::<Vec<_>>(),
        [(&json!("ann"), &json!("planned")), (&json!("bad"), &json!("failed"))]
    );
    assert_eq!(json["summary"], json!({"total": 2, "planned": 1, "current": 0, "failed": 1}));
}

#[test]
fn lint_is_one_document() {
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", "DROP TABLE b;")]);
    let json = fleet.run_without_changes(["lint", "--json"]).status(2).stderr("").json();
    assert_eq!(json["summary"], json!({"errors": 1, "warnings": 2, "notes": 0, "total": 0}));
    let diagnostics = json["problems"].as_array().unwrap();
    let diagnostic =
        diagnostics.iter().find(|diagnostic| diagnostic["severity"] == "error").unwrap();
    assert_eq!(diagnostic["rule"], "sql");
    assert_eq!(diagnostic["severity"], "error");
    assert_eq!(diagnostic["line"], 3);
    assert_eq!(diagnostic["column"], 12);
    assert_eq!(diagnostic["message"], "no such table: b");
}

#[test]
fn an_error_is_one_document_too() {
    let fleet = Fleet::from_blocks(NOTES);
    for arguments in [
        &["upgrade", "--all-users", "--json"] as &[&str],
        &["status", "--json"],
        &["history", "--user", "ann", "--json"],
        &["status", "--json", "--file", "none.md"],
        &["upgrade", "--json", "--to", "9.9.9"],
        &["lint", "--json", "--deny", "nothing"],
    ] {
        let json = fleet.run_without_changes(arguments).status(2).json();
        assert!(json["error"]["message"].is_string(), "{arguments:?}: {json}");
        assert_eq!(json["command"], arguments[0]);
    }
    let fleet = fleet.document("-- [user:baseline→1.0.0:start]\n");
    let json = fleet.run_without_changes(["upgrade", "--json"]).status(2).json();
    assert_eq!(json["problems"][0]["rule"], "tag-outside-code");
}

#[test]
fn an_error_of_usage_is_one_document() {
    let fleet = Fleet::from_blocks(NOTES);
    for (arguments, command) in [
        (&["--json", "upgrade", "--nothing"] as &[&str], json!("upgrade")),
        (&["up", "--json", "--jobs", "0"], json!("upgrade")),
        (&["backup", "prune", "--json"], json!("backup prune")),
        (&["create", "--json"], json!(null)),
        (&["--json"], json!(null)),
    ] {
        let run = fleet.run_without_changes(arguments);
        let json = run.status(2).json();
        assert_eq!(json["command"], command, "{json}");
        assert!(json["error"]["message"].is_string(), "{json}");
        assert!(!run.stderr_text().is_empty(), "people read the error as well");
    }
    fleet.run(["upgrade", "--nothing"]).status(2).stdout("");
    let fleet = fleet.env("TATMIG_JSON", "yes");
    let json = fleet.run(["status", "--nothing"]).status(2).json();
    assert_eq!(json["command"], "status");
}

#[test]
fn every_command_prints_the_envelope() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(2, "").upgrade_to("1.1.0");
    for arguments in [
        &["status"] as &[&str],
        &["status", "--stats"],
        &["history"],
        &["history", "--user", "u000"],
        &["history", "--system"],
        &["lint"],
        &["test"],
        &["verify"],
        &["upgrade", "--dry-run", "--all-users"],
        &["backup", "--all-users"],
        &["upgrade", "--rehearse", "--all-users"],
        &["upgrade", "--all-users", "--backup"],
        &["backup", "list"],
        &["backup", "prune", "--keep", "1"],
        &["restore", "latest"],
        &["reset", "--all-users", "--yes"],
        &["init", "--user", "new"],
        &["stamp", "1.0.0", "--user", "new"],
        &["adopt", "--user", "u001"],
        &["schema"],
        &["schema", "--check"],
        &["schema", "--write"],
        &["new", "--minor", "-m", "More"],
        &["demo"],
    ] {
        let run = fleet.run([arguments, &["--json"]].concat());
        let json = run.json();
        assert_eq!(json["format"], 1, "{arguments:?}: {json}");
        let words = arguments.iter().take_while(|word| !word.starts_with('-'));
        let command = json["command"].as_str().unwrap();
        assert_eq!(command.split(' ').next(), words.clone().next().copied(), "{arguments:?}");
    }
}
