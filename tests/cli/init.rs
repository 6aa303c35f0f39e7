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

#[cfg(unix)]
#[test]
fn it_creates_missing_directories_that_only_their_owner_can_use() {
    use std::os::unix::fs::PermissionsExt;
    let fleet = Fleet::from_blocks(NOTES);
    let flags = ["--system-db", "data/sys/system.db", "--users-dir", "deep/er/users"];
    fleet.run([&["init", "--user", "ann"], flags.as_slice()].concat()).status(0);
    for directory in ["data", "data/sys", "deep", "deep/er", "deep/er/users"] {
        let mode = fleet.path(directory).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{directory}");
    }
    assert!(fleet.path("deep/er/users/ann_longterm.db").is_file());
    fleet.run([&["status", "--exit-code"], flags.as_slice()].concat()).status(0);
    // With `*` in the pattern, the users directory is searched for other databases of the user.
    let pattern = ["--user-pattern", "*/{username}.db", "--users-dir", "new", "--no-system"];
    fleet
        .run([&["init", "--user", "bob", "--path", "x/bob.db"], pattern.as_slice()].concat())
        .status(0);
    assert!(fleet.path("new/x/bob.db").is_file());
}

#[cfg(unix)]
#[test]
fn what_is_in_the_way_of_a_directory_is_named() {
    let fleet = Fleet::from_blocks(NOTES).file("plain", "text");
    std::os::unix::fs::symlink("nothing", fleet.path("dangling")).unwrap();
    for (directory, reason) in [
        ("plain", "`plain` is not a directory; move it away"),
        ("plain/below", "`plain` is not a directory; move it away"),
        ("dangling", "`dangling` is a symbolic link to nothing; remove it"),
        ("dangling/below", "`dangling` is a symbolic link to nothing; remove it"),
        ("nowhere/../users", "the directory `nowhere/../users` does not exist; create it first"),
    ] {
        let system = format!("{directory}/system.db");
        for flags in [["--users-dir", directory], ["--system-db", &system]] {
            fleet
                .run_without_changes(["init", "--user", "ann", flags[0], flags[1]])
                .status(2)
                .stderr_contains(reason);
        }
    }
}

#[test]
fn directories_that_it_created_are_removed_after_a_failure() {
    // A block that writes rows runs on the database itself, where the file may not grow so large.
    let grow = "CREATE TABLE a (x);\nINSERT INTO a VALUES (zeroblob(2000000));";
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", grow)]);
    let before = fleet.snapshot();
    let arguments = ["init", "--user", "ann", "--users-dir", "deep/users"];
    let program = fleet.command(arguments);
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg("ulimit -f 100; exec \"$0\" \"$@\"")
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(fleet.path(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    before.assert_same(&fleet.snapshot());
    fleet.run(arguments).status(0);
    assert!(fleet.path("deep/users/ann_longterm.db").is_file());
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
