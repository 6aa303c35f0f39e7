//! Tests `init`, the only command that creates databases: at head, and never over an existing one.

use crate::support::{Fleet, NOTES};

#[test]
fn it_creates_the_system_database_and_the_named_users() {
    let fleet = Fleet::from_blocks(NOTES);
    fleet.run(["init"]).status(0).stdout("system.db: created at 1.2.0\n");
    assert_eq!(fleet.database("system").tables(), ["accounts"]);
    fleet.run(["init", "--user", "ann", "--user", "b b"]).status(0).stdout(
        "system.db: already exists, not changed\n\
         ann_longterm.db: created at 1.2.0\n\
         b b_longterm.db: created at 1.2.0\n",
    );
    assert_eq!(fleet.database("b b").history().len(), 3);
    fleet.run(["status"]).status(0).stdout_contains("b b     1.2.0     current\n");
}

#[test]
fn existing_databases_are_left_unchanged() {
    let fleet = Fleet::from_blocks(NOTES)
        .system("CREATE TABLE own (x)")
        .file("ann_longterm.db", "a letter");
    fleet.run_without_changes(["init", "--user", "ann"]).status(0).stdout(
        "system.db: already exists, not changed\nann_longterm.db: already exists, not changed\n",
    );
}

#[test]
fn an_invalid_user_name_is_refused() {
    let fleet = Fleet::from_blocks(NOTES).directory("users");
    for name in ["../eve", "a/b", ""] {
        fleet
            .run_without_changes(["init", "--users-dir", "users", "--user", name])
            .status(2)
            .stderr_contains(&format!("`{name}` is not a valid user name"));
    }
}

#[test]
fn it_creates_no_directory() {
    let fleet = Fleet::from_blocks(NOTES);
    for flags in [["--users-dir", "nowhere"], ["--system-db", "nowhere/system.db"]] {
        fleet
            .run_without_changes(["init", "--user", "ann", flags[0], flags[1]])
            .status(2)
            .stderr_contains("the directory `nowhere` does not exist; create it first");
    }
}

#[test]
fn without_a_system_block_it_creates_no_system_database() {
    let fleet = Fleet::from_blocks(&NOTES[1..]);
    fleet.run_without_changes(["init"]).status(0).stdout_contains("no system block");
    fleet.run(["init", "--user", "ann"]).status(0);
    assert!(!fleet.path("system.db").exists());
    let fleet = Fleet::from_blocks(&NOTES[..1]);
    fleet.run_without_changes(["init", "--user", "ann"]).status(2).stderr_contains("no user block");
}

#[test]
fn a_failing_document_creates_nothing() {
    let fleet = Fleet::from_blocks(&[(
        "user:baseline→1.0.0",
        "CREATE TABLE a (x); INSERT INTO b VALUES (1);",
    )]);
    fleet.run_without_changes(["init", "--user", "ann"]).status(2);
}

#[cfg(unix)]
#[test]
fn what_is_no_database_in_the_place_of_one_is_refused() {
    use std::os::unix::fs::symlink;

    let fleet = Fleet::from_blocks(&NOTES[1..]).directory("dir_longterm.db");
    symlink("nowhere.db", fleet.path("dangling_longterm.db")).unwrap();
    symlink("nowhere.db", fleet.path("system.db")).unwrap();
    let fifo = fleet.path("fifo_longterm.db");
    assert!(std::process::Command::new("mkfifo").arg(fifo).status().unwrap().success());
    for (user, message) in [
        ("dangling", "it is a symbolic link; pass `--follow-symlinks` to open it"),
        ("dir", "it is a directory, so it is not a database"),
        ("fifo", "it is not a regular file, so it is not a database"),
    ] {
        fleet
            .run_without_changes(["init", "--user", user])
            .status(1)
            .stdout("")
            .stderr_contains(&format!("`{user}` ({user}_longterm.db): {message}"));
    }
    fleet
        .run_without_changes(["init", "--user", "dangling", "--follow-symlinks"])
        .status(1)
        .stderr_contains("it is a symbolic link to a missing file");
    let fleet = fleet.blocks(NOTES);
    fleet
        .run_without_changes(["init"])
        .status(1)
        .stderr_contains("`system` (system.db): it is a symbolic link to a missing file");
    std::fs::write(fleet.path("nowhere.db"), "").unwrap();
    fleet
        .run_without_changes(["init", "--user", "dangling", "--follow-symlinks"])
        .status(0)
        .stdout_contains("dangling_longterm.db: already exists, not changed\n");
}
