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
    let json = &json["databases"][0];
    assert_eq!(json["name"], "ann");
    assert_eq!(json["scope"], "user");
    assert_eq!(json["history"][1]["event"], "upgrade");
    assert_eq!(json["history"][1]["from"], "1.0.0");
    assert_eq!(json["history"][1]["to"], "1.1.0");
}

#[test]
fn a_database_without_history_is_reported() {
    let fleet =
        Fleet::from_blocks(NOTES).system("").user("ann", "CREATE TABLE own (x)").user("bob", "");
    for name in ["ann", "bob"] {
        let run = fleet.run_without_changes(["history", "--user", name]);
        run.status(0).stdout(format!("`{name}` has no history\n"));
    }
    fleet.run(["history", "--user", "ann", "--system"]).status(2);
}

#[test]
fn the_history_of_a_database_needs_no_document() {
    let fleet = Fleet::from_blocks(NOTES).system("").user("ann", "").upgrade_to("1.0.0");
    std::fs::remove_file(fleet.path("MIGRATIONS.md")).unwrap();
    fleet.run_without_changes(["history", "--user", "ann"]).status(0).stdout_contains("1.0.0");
}
