//! `demo`: a newcomer's fleet, and the three commands that it ends with, which must work as they
//! stand there.

use std::process::Command;

use crate::support::{Database, Fleet};

#[test]
fn it_makes_a_fleet_whose_one_conflict_stays_alone() {
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
fn the_commands_that_it_ends_with_work_as_they_stand() {
    let fleet = Fleet::new();
    let out = fleet.run(["demo", "fleet"]).status(0).out();
    let (_, after) = out.split_once("Try next:\n").unwrap();
    let commands: Vec<&str> = after.lines().take_while(|line| line.starts_with("  ")).collect();
    assert_eq!(commands.len(), 4, "cd, and three to try");
    let script = format!("set -e\n{}", commands.join("\n"));
    let shell = Command::new("sh").arg("-c").arg(script).current_dir(fleet.path("")).output();
    let shell = shell.unwrap();
    let told = String::from_utf8(shell.stdout).unwrap();
    assert!(shell.status.success(), "{told}");
    assert!(told.contains("grace      1.0.0     behind, pending 1.1.0, 1.2.0\n"), "{told}");
    assert!(
        told.contains("-- user 1.1.0 → 1.2.0 (MIGRATIONS.md:61): 1 database, grace\n"),
        "{told}"
    );
    assert!(told.ends_with("24 users: 1 upgraded to 1.2.0, 23 already there\n"), "{told}");
    fleet
        .run(["lint", "-f", "fleet/MIGRATIONS.md"])
        .status(0)
        .stdout_contains("fleet/MIGRATIONS.md: 0 errors, ");
}

#[test]
fn a_second_one_takes_the_next_free_name() {
    let fleet = Fleet::new();
    fleet.run(["demo", "--quiet"]).status(0).stdout("");
    let first = std::fs::read(fleet.path("tatmig-demo/system.db")).unwrap();
    fleet.run(["demo"]).status(0).stdout_contains("cd tatmig-demo-2\n");
    assert!(std::fs::read(fleet.path("tatmig-demo/system.db")).unwrap() == first);
    assert!(fleet.path("tatmig-demo-2/MIGRATIONS.md").exists());
}

#[test]
fn a_directory_with_something_in_it_is_left_alone() {
    let fleet = Fleet::new().file("mine/letter.txt", "dear");
    let run = fleet.run_without_a_trace(["demo", "mine"]);
    run.status(2).stderr_contains("`mine` is not empty");
    let run = fleet.run_without_a_trace(["demo", "mine/letter.txt"]);
    run.status(2).stderr_contains("`mine/letter.txt` cannot be used");
    let fleet = fleet.directory("empty");
    fleet.run(["demo", "empty"]).status(0);
}
