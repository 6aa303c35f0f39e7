//! `init`: the one command that makes databases, at head, and never one over another.

use crate::support::{Fleet, NOTES};

#[test]
fn it_makes_the_system_database_and_the_users_named() {
    let fleet = Fleet::of(NOTES);
    fleet.run(["init"]).status(0).stdout("system.db: made at 1.2.0\n");
    assert_eq!(fleet.database("system").tables(), ["accounts"]);
    fleet.run(["init", "--user", "ann", "--user", "b b"]).status(0).stdout(
        "system.db: there already, left alone\n\
         ann_longterm.db: made at 1.2.0\n\
         b b_longterm.db: made at 1.2.0\n",
    );
    assert_eq!(fleet.database("b b").record().len(), 3);
    fleet.run(["status"]).status(0).stdout_contains("b b     1.2.0     current\n");
}

#[test]
fn what_is_there_is_left_alone() {
    let fleet = Fleet::of(NOTES).system("CREATE TABLE own (x)").file("ann_longterm.db", "a letter");
    fleet.run_without_a_trace(["init", "--user", "ann"]).status(0).stdout(
        "system.db: there already, left alone\nann_longterm.db: there already, left alone\n",
    );
}

#[test]
fn a_name_that_is_no_file_name_is_refused() {
    let fleet = Fleet::of(NOTES).directory("users");
    for name in ["../eve", "a/b", ""] {
        fleet
            .run_without_a_trace(["init", "--users-dir", "users", "--user", name])
            .status(2)
            .stderr_contains(&format!("`{name}` cannot be a user's name"));
    }
}

#[test]
fn no_directory_is_made_for_it() {
    let fleet = Fleet::of(NOTES);
    for flags in [["--users-dir", "nowhere"], ["--system-db", "nowhere/system.db"]] {
        fleet
            .run_without_a_trace(["init", "--user", "ann", flags[0], flags[1]])
            .status(2)
            .stderr_contains("there is no directory `nowhere`");
    }
}

#[test]
fn without_a_system_block_it_makes_no_system_database() {
    let fleet = Fleet::of(&NOTES[1..]);
    fleet.run_without_a_trace(["init"]).status(0).stdout_contains("no system block");
    fleet.run(["init", "--user", "ann"]).status(0);
    assert!(!fleet.path("system.db").exists());
    let fleet = Fleet::of(&NOTES[..1]);
    fleet.run_without_a_trace(["init", "--user", "ann"]).status(2).stderr_contains("no user block");
}

#[test]
fn a_document_that_fails_makes_nothing() {
    let fleet =
        Fleet::of(&[("user:baseline→1.0.0", "CREATE TABLE a (x); INSERT INTO b VALUES (1);")]);
    fleet.run_without_a_trace(["init", "--user", "ann"]).status(2);
}
