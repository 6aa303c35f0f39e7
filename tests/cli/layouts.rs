//! Tests the layouts of user databases that a pattern can describe: each through every command that
//! creates, changes, copies or reads databases, and the names that a layout cannot have.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Database, Fleet, NOTES};

/// Two users with their paths below the users directory.
type Paths = [[&'static str; 2]; 2];

fn fleet(pattern: &str) -> Fleet {
    Fleet::from_blocks(NOTES)
        .directory("users")
        .config(&format!("users_dir = \"users\"\nuser_pattern = '{pattern}'\n"))
}

/// A fleet without a system database.
fn users_fleet(pattern: &str) -> Fleet {
    fleet(pattern).blocks(&NOTES[1..])
}

/// The files below a directory, relative to it, without directories.
fn files_below(directory: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(relative) = directories.pop() {
        for entry in fs::read_dir(directory.join(&relative)).unwrap() {
            let entry = entry.unwrap();
            let path = relative.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                directories.push(path);
            } else {
                files.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Creates the databases of two users; a second time nothing changes.
#[track_caller]
fn create_users(fleet: &Fleet, pattern: &str, paths: Paths) {
    let has_wildcard = pattern.contains('*');

    for [user, path] in paths {
        let mut arguments = vec!["init", "--user", user];
        arguments.extend(has_wildcard.then_some(["--path", path]).iter().flatten());
        let run = fleet.run(&arguments);
        run.status(0).stdout_contains(&format!("users/{path}: created at 1.2.0\n"));
        fleet.run_without_changes(&arguments).status(0).stdout_contains("already exists");
    }
}

/// Takes two users through the life of a database, at these paths and at no others.
#[track_caller]
fn assert_layout_works(pattern: &str, paths: Paths) {
    let fleet = fleet(pattern);
    let file = |path: &str| fleet.path("users").join(path);
    let mut expected: Vec<&str> = paths.iter().map(|[_, path]| *path).collect();
    expected.sort_unstable();
    create_users(&fleet, pattern, paths);
    assert_eq!(files_below(&fleet.path("users")), expected);

    // The databases of an older release, with rows.
    for [user, path] in paths {
        fs::remove_file(file(path)).unwrap();
        fs::write(file(path), "").unwrap();
        fleet.run(["upgrade", "--user", user, "--to", "1.0.0"]).status(0);
        let insert = format!("INSERT INTO notes (body) VALUES ('{user}')");
        Database::open(&file(path)).connection().execute_batch(&insert).unwrap();
    }
    let json = fleet.run_without_changes(["status", "--json"]).status(0).json();
    for (database, path) in json["databases"].as_array().unwrap()[1..].iter().zip(&expected) {
        assert_eq!(database["path"], format!("users/{path}"));
        let user = paths.iter().find(|[_, other]| other == path).unwrap()[0];
        assert_eq!(database["name"], user);
        assert_eq!(database["state"], "behind");
    }
    let plan = fleet.run_without_changes(["upgrade", "--all-users", "--dry-run"]);
    plan.status(0).stdout_contains("2 databases");

    fleet.run(["backup", "--all-users"]).status(0);
    let backups: Vec<_> = fs::read_dir(fleet.path("backups")).unwrap().collect();
    let backup_dir = backups[0].as_ref().unwrap().path();
    let mut copies = files_below(&backup_dir);
    copies.retain(|copy| !["manifest.json", "system.db"].contains(&copy.as_str()));
    assert_eq!(copies, expected, "a backup keeps the paths");

    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("2 users: 2 upgraded");
    fleet.run_without_changes(["verify"]).status(0);
    for [user, path] in paths {
        let database = Database::open(&file(path));
        assert_eq!(database.version().as_deref(), Some("1.2.0"));
        assert_eq!(database.rows("SELECT body, pinned FROM notes"), [format!("{user}|0")]);
    }

    // One database is replaced, the other is created with its directories.
    let [[_, kept], [_, lost]] = paths;
    fs::remove_file(file(lost)).unwrap();
    let empty = Path::new(lost).ancestors().skip(1).filter(|path| path.components().count() > 0);
    for directory in empty {
        let _ = fs::remove_dir(file(directory.to_str().unwrap()));
    }
    fleet.run(["restore", "latest", "--no-backup"]).status(0);
    for [user, path] in paths {
        let database = Database::open(&file(path));
        assert_eq!(database.version().as_deref(), Some("1.0.0"), "{path}");
        assert_eq!(database.rows("SELECT body FROM notes"), [user]);
    }
    assert_eq!(files_below(&fleet.path("users")), expected);

    let user = paths.iter().find(|[_, path]| *path == kept).unwrap()[0];
    fleet.run(["reset", "--user", user, "--yes"]).status(0);
    assert!(Database::open(&file(kept)).rows("SELECT body FROM notes").is_empty());
    assert_eq!(Database::open(&file(lost)).version().as_deref(), Some("1.0.0"));
    assert_eq!(files_below(&fleet.path("users")), expected);
}

#[test]
fn a_file_per_user_works() {
    assert_layout_works("{username}", [["ann", "ann"], ["did:plc:x", "did:plc:x"]]);
}

#[test]
fn a_file_with_prefix_and_suffix_works() {
    assert_layout_works(
        "db-{username}_longterm.db",
        [["ann", "db-ann_longterm.db"], ["did:plc:x", "db-did:plc:x_longterm.db"]],
    );
}

#[test]
fn a_directory_per_user_works() {
    assert_layout_works(
        "{username}/store.sqlite",
        [["ann", "ann/store.sqlite"], ["did:plc:x", "did:plc:x/store.sqlite"]],
    );
}

#[test]
fn hash_directories_of_a_bluesky_pds_work() {
    assert_layout_works(
        "{sha256:2}/{username}/store.sqlite",
        [["ann", "49/ann/store.sqlite"], ["did:plc:x", "38/did:plc:x/store.sqlite"]],
    );
}

#[test]
fn two_levels_of_hash_directories_work() {
    assert_layout_works(
        "{sha256:2}/{md5:4}/{sha1:1}-{username}.db",
        [["ann", "49/7e0d/7-ann.db"], ["did:plc:x", "38/65ed/f-did:plc:x.db"]],
    );
}

#[test]
fn a_fixed_directory_before_the_user_works() {
    assert_layout_works(
        "storage/{username}/main.sqlite3",
        [["ann", "storage/ann/main.sqlite3"], ["did:plc:x", "storage/did:plc:x/main.sqlite3"]],
    );
}

#[test]
fn a_repeated_name_works() {
    assert_layout_works(
        "{username:1}/{username}/{username}.db",
        [["ann", "a/ann/ann.db"], ["did:plc:x", "d/did:plc:x/did:plc:x.db"]],
    );
}

#[test]
fn a_wildcard_works() {
    assert_layout_works(
        "*/{username}.db",
        [["ann", "eu 1/ann.db"], ["did:plc:x", "us/did:plc:x.db"]],
    );
}

#[cfg(unix)]
#[test]
fn directories_of_a_new_database_belong_to_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let fleet = fleet("{sha256:2}/{username}/store.sqlite");
    fleet.run(["init", "--user", "ann"]).status(0);
    let assert_private = || {
        for directory in ["users/49", "users/49/ann"] {
            let mode = fs::metadata(fleet.path(directory)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{directory}");
        }
    };
    assert_private();
    fleet.run(["backup", "--all-users"]).status(0);
    fs::remove_dir_all(fleet.path("users/49")).unwrap();
    fleet.run(["restore", "latest", "--no-backup"]).status(0);
    assert_private();
}

#[test]
fn a_failed_init_leaves_no_directory() {
    let fleet = fleet("{sha256:2}/{username}/store.sqlite").directory("users/38");
    let fleet = fleet.file("users/49/bob", "not a directory");
    let failing = [
        NOTES[0],
        ("user:baseline→1.0.0", "CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1);"),
        ("user:1.0.0→1.1.0", "CREATE UNIQUE INDEX i ON t (x); INSERT INTO t SELECT x FROM t;"),
    ];
    let fleet = fleet.blocks(&failing);
    for user in ["ann", "did:plc:x"] {
        fleet.run(["init", "--user", user, "--no-system"]);
    }
    assert_eq!(files_below(&fleet.path("users")), ["49/bob"]);
    assert!(fs::read_dir(fleet.path("users/38")).unwrap().next().is_none());
    assert!(!fleet.path("users/49/ann").exists());
}

#[test]
fn init_takes_a_path_only_for_one_user_and_only_if_it_belongs_to_the_user() {
    let fleet = fleet("*/{username}.db");
    for (arguments, message) in [
        (&["--user", "ann"] as &[&str], "tatmig init --user NAME --path PATH"),
        (&["--user", "ann", "--path", "../x/ann.db"], "does not match the user pattern"),
        (&["--user", "ann", "--path", "x/../x/ann.db"], "does not match the user pattern"),
        (&["--user", "ann", "--path", "/x/ann.db"], "must be relative to the users directory"),
        (&["--user", "ann", "--path", "x/bob.db"], "it belongs to user `bob`"),
        (&["--user", "ann", "--path", "ann.db"], "does not match the user pattern"),
        (&["--path", "x/ann.db"], "pass exactly one `--user NAME`"),
        (&["--user", "ann", "--user", "bob", "--path", "x/ann.db"], "exactly one `--user NAME`"),
    ] {
        let arguments = [&["init"], arguments].concat();
        fleet.run_without_changes(&arguments).status(2).stderr_contains(message);
    }
    fleet.run(["init", "--user", "ann", "--path", "x/ann.db"]).status(0);
    fleet
        .run_without_changes(["init", "--user", "ann", "--path", "y/ann.db"])
        .status(2)
        .stderr_contains("user `ann` has a database at another path: `x/ann.db`");
    // With a pattern that determines the path, the path has to be that one.
    let fleet = fleet.config("users_dir = \"users\"\nuser_pattern = '{md5:2}/{username}'\n");
    fleet
        .run_without_changes(["init", "--user", "ann", "--path", "aa/ann"])
        .status(2)
        .stderr_contains("the path of user `ann` is `7e/ann`");
    fleet.run(["init", "--user", "ann", "--path", "7e/ann"]).status(0);
}

#[test]
fn a_name_that_is_too_long_is_an_error_of_usage() {
    for (pattern, length, message) in [
        ("{username}.db", 253, "a component of 256 bytes"),
        ("{username}.db", 252, "the journal of its database would have a file name of 263 bytes"),
        ("{username}/store.sqlite", 256, "a component of 256 bytes"),
        ("{username}/{username}/{username}", 240, "SQLite opens paths of at most 512"),
    ] {
        let fleet = fleet(pattern);
        let name = "x".repeat(length);
        let run = fleet.run_without_changes(["init", "--user", &name]);
        run.status(2).stderr_contains("is too long: ").stderr_contains(message);
    }
}

#[test]
fn a_database_in_the_wrong_place_is_reported_and_not_migrated() {
    let fleet = users_fleet("{sha256:2}/{username}/store.sqlite");
    for path in ["aa/ann", "49/ann", "AB/did:plc:x"] {
        fs::create_dir_all(fleet.path("users").join(path)).unwrap();
        fs::write(fleet.path("users").join(path).join("store.sqlite"), "").unwrap();
    }
    let expected = "error: `AB/did:plc:x/store.sqlite` does not belong to `did:plc:x`: its path \
                    would be `38/did:plc:x/store.sqlite`; it was skipped.";
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1).stderr_contains(expected);
    run.stderr_contains(
        "`aa/ann/store.sqlite` does not belong to `ann`: its path would be `49/ann",
    );
    for path in ["aa/ann", "AB/did:plc:x"] {
        assert!(fs::read(fleet.path("users").join(path).join("store.sqlite")).unwrap().is_empty());
    }
    let database = Database::open(&fleet.path("users/49/ann/store.sqlite"));
    assert_eq!(database.version().as_deref(), Some("1.2.0"));
    for arguments in [&["status"] as &[&str], &["verify"], &["upgrade", "--all-users", "--dry-run"]]
    {
        fleet.run_without_changes(arguments).status(1).stderr_contains(expected);
    }
    // The named user has a database in the right place, the other has none.
    fleet.run_without_changes(["status", "--user", "ann"]).status(0).stderr("");
    fleet
        .run_without_changes(["status", "--user", "did:plc:x"])
        .status(2)
        .stderr_contains("no database of user `did:plc:x`")
        .stderr_contains("its path would be `38/did:plc:x/store.sqlite`")
        .stderr_lacks("tatmig init");
    // The document decides whether users are meant at all.
    fleet.run_without_changes(["upgrade"]).status(0);
    let json = fleet.run(["status", "--json"]).status(1).json();
    assert_eq!(json["problems"].as_array().unwrap().len(), 2);
}

#[test]
fn a_wrong_hash_is_reported_once_for_many_files() {
    let fleet = users_fleet("{sha1:2}/{username}.db");
    for index in 0..30 {
        let directory = fleet.path(format!("users/{index:02}"));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("no one.db"), "").unwrap();
    }
    let run = fleet.run_without_changes(["status"]);
    run.status(1).stderr_contains(" more files do not belong to the user in their path");
    assert_eq!(run.stderr_text().matches("does not belong to").count(), 10);
}

#[test]
fn a_database_in_a_directory_of_no_user_is_reported_and_not_migrated() {
    for (pattern, path, message) in [
        (
            "{sha256:2}/{username}/store.sqlite",
            "abc/ann/store.sqlite",
            "would be `49/ann/store.sqlite`",
        ),
        (
            "{sha256:2}/{username}/store.sqlite",
            "zz/ann/store.sqlite",
            "would be `49/ann/store.sqlite`",
        ),
        ("{sha256:2}/{md5:2}/{username}.db", "49/7/ann.db", "would be `49/7e/ann.db`"),
        ("{username:2}/{username}.db", "ann/ann.db", "would be `an/ann.db`"),
        ("{username:2}/{username}.db", "a\u{e9}x/a\u{e9}x.db", "would be `a\\xc3/a\u{e9}x.db`"),
        ("u-{username}/store.sqlite", "ann/store.sqlite", "does not fit the user pattern"),
        (
            "u-{username}/data/store.sqlite",
            "ann/data/store.sqlite",
            "does not fit the user pattern",
        ),
    ] {
        let fleet = users_fleet(pattern).file(format!("users/{path}"), "");
        for arguments in [&["upgrade", "--all-users"] as &[&str], &["status"], &["verify"]] {
            let run = fleet.run_without_changes(arguments);
            run.status(1).stderr_contains(&format!("`{path}`")).stderr_contains(message);
            run.stderr_contains("it was skipped");
        }
        fleet.run_without_changes(["status", "--json"]).status(1);
    }
    // What has another name or another depth, is hidden or is a link is no database of a user.
    let fleet = users_fleet("{sha256:2}/{username}/store.sqlite")
        .file("users/49/ann/store.sqlite", "")
        .file("users/logs/ann/today.log", "")
        .file("users/logs/store.sqlite", "")
        .file("users/.git/ann/store.sqlite", "")
        .file("outside/bob/store.sqlite", "");
    #[cfg(unix)]
    std::os::unix::fs::symlink(fleet.path("outside"), fleet.path("users/linked")).unwrap();
    fleet.run(["upgrade", "--all-users"]).status(0).stderr_lacks("was skipped");
    fleet.run_without_changes(["status", "--shard", "1/1"]).status(0);
}

#[test]
fn a_search_for_databases_in_the_wrong_place_is_limited() {
    let fleet = users_fleet("{sha256:2}/{username}/store.sqlite");
    for directory in 0..11 {
        let directory = fleet.path(format!("users/cache-{directory:02}"));
        fs::create_dir(&directory).unwrap();
        for file in 0..1_000 {
            fs::write(directory.join(format!("{file}.txt")), "").unwrap();
        }
    }
    fleet
        .run_without_changes(["status"])
        .status(0)
        .stderr_contains("only 10000 names in them were searched for databases in the wrong place");
}

#[test]
fn a_user_whose_database_would_be_in_the_backups_directory_is_refused() {
    let fleet =
        Fleet::from_blocks(&NOTES[1..]).config("user_pattern = '{username}/store.sqlite'\n");
    fleet
        .run_without_changes(["init", "--user", "backups"])
        .status(2)
        .stderr_contains("user `backups` would be in the backups directory")
        .stderr_contains("--backups-dir");
    let fleet = fleet.file("backups/store.sqlite", "").file("ann/store.sqlite", "");
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stdout_contains("ann: created")
        .stderr_contains("`backups/store.sqlite` is in the backups directory");
    assert!(fs::read(fleet.path("backups/store.sqlite")).unwrap().is_empty());
    fleet.run(["backup", "--all-users"]).status(1);
    fleet.run(["init", "--user", "backups", "--backups-dir", "copies"]).status(0);
}

#[test]
fn a_repeated_name_that_differs_is_reported() {
    let fleet = users_fleet("{username}/{username}.db")
        .file("users/ann/bob.db", "")
        .file("users/cid/cid.db", "");
    fleet
        .run_without_changes(["status"])
        .status(1)
        .stderr_contains("`ann/bob.db` does not belong to `ann`: its path would be `ann/ann.db`");
}

#[test]
fn two_files_of_one_user_name_are_both_refused() {
    let fleet = users_fleet("*/{username}.db")
        .file("users/a/ann.db", "")
        .file("users/b/ann.db", "")
        .file("users/b/bob.db", "");
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1)
        .stderr_contains("`ann` (users/a/ann.db): its user also has `b/ann.db`; rename or remove")
        .stderr_contains("`ann` (users/b/ann.db): its user also has `a/ann.db`; rename or remove");
    assert!(fs::read(fleet.path("users/a/ann.db")).unwrap().is_empty());
    assert!(fs::read(fleet.path("users/b/ann.db")).unwrap().is_empty());
    assert!(!fs::read(fleet.path("users/b/bob.db")).unwrap().is_empty());
    fleet.run_without_changes(["upgrade", "--user", "ann"]).status(1);
    fleet.run_without_changes(["reset", "--user", "ann", "--yes"]).status(1);
}

#[test]
fn an_empty_name_is_reported() {
    let fleet = users_fleet("db-{username}/main.sqlite3")
        .file("users/db-/main.sqlite3", "")
        .file("users/db-ann/main.sqlite3", "");
    fleet.run_without_changes(["status"]).status(0).stderr_contains(
        "`db-/main.sqlite3` matches the user pattern without a user name; it was skipped",
    );
}

#[test]
fn the_backups_directory_and_the_system_database_hold_no_user_databases() {
    let fleet = Fleet::from_blocks(NOTES)
        .config("user_pattern = '*/{username}.db'\nsystem_db = \"main/system.db\"\n")
        .directory("main")
        .database_file("main/system.db", "")
        .file("main/ann.db", "");
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("ann: created");
    fleet.run(["backup", "--all-users"]).status(0);
    // A backup would match if the directory were entered.
    fs::write(fleet.path("backups/eve.db"), "").unwrap();
    let json = fleet.run_without_changes(["status", "--json"]).status(0).json();
    let names: Vec<&str> = json["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|database| database["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["system", "ann"]);
}

#[test]
fn a_backup_of_another_layout_restores() {
    let flat = users_fleet("{username}.db");
    flat.run(["init", "--user", "ann"]).status(0);
    let insert = "INSERT INTO notes (body) VALUES ('kept')";
    Database::open(&flat.path("users/ann.db")).connection().execute_batch(insert).unwrap();
    flat.run(["backup", "--all-users"]).status(0);
    fs::remove_file(flat.path("users/ann.db")).unwrap();
    let nested = flat.config("users_dir = \"users\"\nuser_pattern = '{md5:2}/{username}.db'\n");
    nested.run(["restore", "latest", "--no-backup"]).status(0);
    let database = Database::open(&nested.path("users/7e/ann.db"));
    assert_eq!(database.rows("SELECT body FROM notes"), ["kept"]);
}

#[test]
fn near_misses_are_found_at_every_level_of_the_pattern() {
    let sql = "CREATE TABLE own (x)";
    let fleet = fleet("{sha256:2}/{username}/store.sqlite")
        .directory("users/ann")
        .directory("users/49/ann/old")
        .database_file("users/49/ann/store.db", sql)
        .database_file("users/ann/store.sqlite", sql)
        .database_file("users/flat.db", sql)
        .file("users/49/ann/letter.txt", "a letter");
    let run = fleet.run_without_changes(["status", "--no-system"]);
    run.status(1).stderr_contains(
        "where files are named `{sha256:2}/{username}/store.sqlite`; near misses: \
         `ann/store.sqlite`, `49/ann/store.db`, `flat.db`; check `--users-dir` and",
    );
    // The users directory is one level higher than it should be.
    let fleet = Fleet::from_blocks(&NOTES[1..])
        .config("user_pattern = '{md5:2}/{username}.db'")
        .directory("users/7e")
        .database_file("users/7e/ann.db", sql);
    let run = fleet.run_without_changes(["status"]);
    run.status(0).stderr_contains("near misses: `users/7e/ann.db`; check `--users-dir`");
}
