//! Tests `doctor`: it changes nothing, and finds what an upgrade would fail at.

use crate::support::{Fleet, NOTES};

#[test]
fn a_healthy_fleet_passes_and_is_not_changed() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(3, "").upgrade_to("1.1.0");
    let run = fleet.run_without_changes(["doctor"]);
    run.status(0)
        .stderr("")
        .stdout_contains("file             MIGRATIONS.md")
        .stdout_contains("ok      document: MIGRATIONS.md runs in memory up to 1.2.0")
        .stdout_contains("ok      databases: the system database and 3 user databases")
        .stdout_contains("ok      versions: 4 databases below 1.2.0")
        .stdout_contains("ok      journal modes: 0 in WAL mode, 4 with a rollback journal")
        .stdout_contains("an upgrade can run");
}

#[test]
fn each_setting_names_where_it_is_from() {
    let fleet = Fleet::from_blocks(NOTES).system("").upgrade_to("1.2.0");
    let fleet = fleet.file("tatmig.toml", "busy_timeout = 5\n").env("TATMIG_JOBS", "3");
    let json = fleet.run(["doctor", "--backups-dir", "copies", "--json"]).status(0).json();
    let origin = |name: &str| {
        let settings = json["settings"].as_array().unwrap();
        settings.iter().find(|setting| setting["name"] == name).unwrap()["origin"].clone()
    };
    assert_eq!(origin("busy_timeout"), "tatmig.toml");
    assert_eq!(origin("jobs"), "TATMIG_JOBS");
    assert_eq!(origin("backups_dir"), "--backups-dir");
    assert_eq!(origin("users_dir"), "default");
}

#[test]
fn what_an_upgrade_would_fail_at_is_named() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(1, "").upgrade_to("1.1.0");
    let fleet = fleet.file("bad_longterm.db", "x");
    let run = fleet.run_without_changes(["doctor"]);
    run.status(1)
        .stdout_contains("failed  versions: `bad`: not a SQLite database")
        .stdout_contains("1 check failed; an upgrade would not succeed");
    fleet.run(["doctor", "-q"]).status(1).stderr_contains("failed  versions: `bad`");

    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", "CREATE TABLE;")]);
    fleet.run_without_changes(["doctor"]).status(1).stdout_contains("failed  document: 1 error");
    let fleet = Fleet::from_blocks(NOTES);
    fleet.run_without_changes(["doctor"]).status(1).stdout_contains("failed  databases: ");
    let fleet = Fleet::new();
    fleet.run_without_changes(["doctor"]).status(1).stdout_contains("failed  document: ");
}

#[test]
fn a_database_without_a_history_passes_only_if_an_upgrade_accepts_it() {
    let fleet = Fleet::from_blocks(NOTES).system("").upgrade_to("1.2.0");
    let fleet = fleet.user("ann", "CREATE TABLE notes (own)").user("bob", "CREATE TABLE other (a)");
    fleet.run_without_changes(["upgrade", "--all-users"]).status(1);
    fleet
        .run_without_changes(["doctor"])
        .status(1)
        .stdout_contains("failed  versions: `ann`: the database has no history")
        .stdout_contains("failed  versions: `bob`: the database has no history")
        .stdout_lacks("nothing is pending")
        .stdout_contains("2 checks failed; an upgrade would not succeed");
    let matching = Fleet::from_blocks(&[("user:baseline→1.0.0", "CREATE TABLE notes (a);")]);
    let matching = matching.user("ann", "CREATE TABLE notes (a)");
    matching
        .run_without_changes(["doctor"])
        .status(0)
        .stdout_contains("note    versions: without a history: `ann`");
    matching.run(["upgrade", "--all-users"]).status(0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_database_that_another_process_has_open_is_named() {
    let fleet = Fleet::from_blocks(NOTES).system("").user("ann", "").upgrade_to("1.2.0");
    let open = rusqlite::Connection::open(fleet.path("ann_longterm.db")).unwrap();
    open.query_row("SELECT count(*) FROM notes", [], |row| row.get::<_, i64>(0)).unwrap();
    let pid = std::process::id();
    let run = fleet.run(["doctor"]);
    run.status(0)
        .stdout_contains("note    in use: ann by `")
        .stdout_contains(&format!("(process {pid})"));
}
