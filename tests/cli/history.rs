//! Tests `history`: the document's migrations, and those applied to one database.

use snapbox::str;

use crate::support::{Fleet, NOTES, document};

#[test]
fn migrations_are_listed_in_version_order() {
    let planned = document(&[("user:1.1.0→1.2.0", "-- CREATE TABLE later (x);")]);
    let released = document(&[
        ("user:1.0.0→1.1.0", "CREATE TABLE b (x);"),
        ("user:baseline→1.0.0", "CREATE TABLE a (x);"),
    ]);
    let markdown = format!(
        "# One\n\n{released}## 1.1.0 → 1.2.0 (Planned)\n\n\
         **Date**: 2026-05-06\n**Description**: Search,\nin all notes\n\n{planned}"
    );
    let fleet = Fleet::new().document(markdown);
    fleet.run_without_changes(["history"]).status(0).stdout(str![[r#"
baseline → 1.0.0      -           One  (MIGRATIONS.md:10)
1.0.0 → 1.1.0         -           One  (MIGRATIONS.md:4)
1.1.0 → 1.2.0         2026-05-06  (planned)  Search, in all notes  (MIGRATIONS.md:22)

"#]]);
    let json = fleet.run(["history", "--json"]).status(0).json();
    assert_eq!(json["head"], "1.1.0");
    assert_eq!(json["migrations"][2]["planned"], true);
    assert_eq!(json["migrations"][2]["date"], "2026-05-06");
    assert_eq!(json["migrations"][0]["from"], "baseline");
    assert_eq!(json["migrations"][0]["user"], true);
    assert_eq!(json["migrations"][0]["system"], false);
}

#[test]
fn the_history_of_a_database_is_listed() {
    let fleet = Fleet::from_blocks(NOTES)
        .system("")
        .user("ann", "")
        .upgrade_to("1.0.0")
        .upgrade_to("1.1.0");
    let events = str![[r#"
[..]T[..]Z  upgrade    baseline → 1.0.0  [..] ms  tatmig [..]
[..]T[..]Z  upgrade    1.0.0 → 1.1.0  [..] ms  tatmig [..]

"#]];
    fleet.run_without_changes(["history", "--user", "ann"]).status(0).stdout(events.clone());
    fleet.run_without_changes(["history", "--system"]).status(0).stdout(events);
    let json = fleet.run_without_changes(["history", "--user", "ann", "--json"]).status(0).json();
    let ann = &json["databases"][0];
    assert_eq!(ann["name"], "ann");
    assert_eq!(ann["scope"], "user");
    assert_eq!(ann["history"][1]["event"], "upgrade");
    assert_eq!(ann["history"][1]["from"], "1.0.0");
    assert_eq!(ann["history"][1]["to"], "1.1.0");
    assert!(ann["error"].is_null());
}

#[test]
fn the_histories_of_several_databases_are_listed_by_name() {
    let fleet = Fleet::from_blocks(NOTES)
        .system("")
        .user("ann", "")
        .upgrade_to("1.0.0")
        .user("bob", "")
        .file("odd_longterm.db", "a letter");
    let run = fleet.run_without_changes(["history", "--all-users"]);
    run.status(1).stderr_contains("`odd` (odd_longterm.db): ").stdout(str![[r#"
system:
  [..]T[..]Z  upgrade    baseline → 1.0.0  [..] ms  tatmig [..]
ann:
  [..]T[..]Z  upgrade    baseline → 1.0.0  [..] ms  tatmig [..]
`bob` has no history

"#]]);
    let json = fleet.run_without_changes(["history", "--all-users", "--no-system", "--json"]);
    let json = json.status(1).json();
    assert_eq!(json["summary"], serde_json::json!({"total": 3, "without": 1, "failed": 1}));
    assert_eq!(json["databases"][1]["history"], serde_json::json!([]));
    assert!(json["databases"][2]["error"]["message"].is_string());
}

#[test]
fn a_database_without_history_is_reported() {
    let fleet =
        Fleet::from_blocks(NOTES).system("").user("ann", "CREATE TABLE own (x)").user("bob", "");
    for name in ["ann", "bob"] {
        let run = fleet.run_without_changes(["history", "--user", name]);
        run.status(0).stdout(format!("`{name}` has no history\n"));
    }
    fleet
        .run_without_changes(["history", "--user", "ann", "--system"])
        .status(0)
        .stdout("`system` has no history\n`ann` has no history\n");
}

#[test]
fn the_history_of_a_database_needs_no_document() {
    let fleet = Fleet::from_blocks(NOTES).system("").user("ann", "").upgrade_to("1.0.0");
    std::fs::remove_file(fleet.path("MIGRATIONS.md")).unwrap();
    fleet.run_without_changes(["history", "--user", "ann"]).status(0).stdout_contains("1.0.0");
}
