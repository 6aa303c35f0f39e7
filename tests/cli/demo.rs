//! Tests `demo`: its fleet, and the three commands that it prints, which must work as printed.

use std::process::Command;

use crate::support::{Database, Fleet};

#[test]
fn it_creates_a_fleet_with_one_failing_user() {
    let fleet = Fleet::new();
    fleet
        .run(["demo"])
        .status(0)
        .stdout_contains("24 user databases at 1.0.0")
        .stdout_contains("24 users: 23 upgraded to 1.2.0, 1 failed\n")
        .stderr_contains("`grace`")
        .stderr_contains("UNIQUE constraint failed")
        .stderr_contains("MIGRATIONS.md:62:");
    let grace = Database::open(&fleet.path("tatmig-demo/users/grace.db"));
    assert_eq!(grace.version().as_deref(), Some("1.0.0"));
    assert_eq!(grace.columns("notes"), ["id", "title", "body"]);
    let ada = Database::open(&fleet.path("tatmig-demo/users/ada.db"));
    assert_eq!(ada.version().as_deref(), Some("1.2.0"));
    assert_eq!(ada.rows("SELECT count(*) FROM notes"), ["3"]);
    let system = Database::open(&fleet.path("tatmig-demo/system.db"));
    assert_eq!(system.rows("SELECT count(*) FROM accounts"), ["24"]);
}

#[test]
fn the_suggested_commands_work_verbatim() {
    let fleet = Fleet::new();
    let out = fleet.run(["demo", "fleet"]).status(0).stdout_text();
    let (_, after) = out.split_once("Try next:\n").unwrap();
    let commands: Vec<&str> = after.lines().take_while(|line| line.starts_with("  ")).collect();
    assert_eq!(commands.len(), 4, "cd, and three to try");
    let script = format!("set -e\n{}", commands.join("\n"));
    let shell = Command::new("sh").arg("-c").arg(script).current_dir(fleet.path("")).output();
    let shell = shell.unwrap();
    let stdout = String::from_utf8(shell.stdout).unwrap();
    assert!(shell.status.success(), "{stdout}");
    assert!(stdout.contains("grace      1.0.0     behind, pending 1.1.0, 1.2.0\n"), "{stdout}");
    assert!(
        stdout.contains("-- user 1.1.0 → 1.2.0 (MIGRATIONS.md:61): 1 database, grace\n"),
        "{stdout}"
    );
    assert!(stdout.ends_with("24 users: 1 upgraded to 1.2.0, 23 already at 1.2.0\n"), "{stdout}");
    fleet
        .run(["lint", "-f", "fleet/MIGRATIONS.md"])
        .status(0)
        .stdout_contains("fleet/MIGRATIONS.md: 0 errors, ");
}

#[test]
fn a_second_demo_takes_the_next_free_name() {
    let fleet = Fleet::new();
    fleet.run(["demo", "--quiet"]).status(0).stdout("");
    let first = std::fs::read(fleet.path("tatmig-demo/system.db")).unwrap();
    fleet.run(["demo"]).status(0).stdout_contains("cd tatmig-demo-2\n");
    assert!(std::fs::read(fleet.path("tatmig-demo/system.db")).unwrap() == first);
    assert!(fleet.path("tatmig-demo-2/MIGRATIONS.md").exists());
}

#[test]
fn a_non_empty_directory_is_left_unchanged() {
    let fleet = Fleet::new().file("mine/letter.txt", "dear");
    let run = fleet.run_without_changes(["demo", "mine"]);
    run.status(2).stderr_contains("`mine` is not empty");
    let run = fleet.run_without_changes(["demo", "mine/letter.txt"]);
    run.status(2).stderr_contains("`mine/letter.txt` cannot be used");
    let fleet = fleet.directory("empty");
    fleet.run(["demo", "empty"]).status(0);
}
