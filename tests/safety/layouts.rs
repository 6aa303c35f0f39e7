//! Tests databases in directories below the users directory: no link leads out of it at any level,
//! whenever it is put there, and hostile names and directories stop no other database.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use rusqlite::Connection;

use crate::faults::command_bound_by_permissions;
use crate::replaced_files::while_exchanging;
use crate::support::{Database, FileSnapshot, Fleet, NOTES, wait_until};

const PATTERN: &str = "{username:1}/{username}/store.sqlite";

/// The paths of zoe's database and of the directories above it, from top to bottom.
const LEVELS: [&str; 3] = ["users/z", "users/z/zoe", "users/z/zoe/store.sqlite"];

/// zoe's database at 1.0.0, and a tree outside the users directory with one at the same path.
fn fleet(blocks: &[(&str, &str)]) -> Fleet {
    let fleet = Fleet::from_blocks(blocks)
        .config(&format!("users_dir = \"users\"\nuser_pattern = '{PATTERN}'\n"))
        .directory("users/z/zoe")
        .directory("users/a/ann")
        .directory("outside/z/zoe")
        .database_file("users/a/ann/store.sqlite", "")
        .database_file("users/z/zoe/store.sqlite", "");
    if blocks[0].0.starts_with("system") {
        fleet.run(["init"]).status(0);
    }
    let fleet = fleet.upgrade_to("1.0.0");
    fs::copy(fleet.path(LEVELS[2]), fleet.path("outside/z/zoe/store.sqlite")).unwrap();
    fleet
}

/// The path outside that corresponds to one of [`LEVELS`].
fn outside(level: &str) -> String {
    level.replacen("users", "outside", 1)
}

/// What is outside of the users directory: names and bytes.
fn snapshot_outside(fleet: &Fleet) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut directories = vec![fleet.path("outside")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path.clone());
                found.push((path, Vec::new()));
            } else {
                let bytes = fs::read(&path).unwrap();
                found.push((path, bytes));
            }
        }
    }
    found.sort();
    found
}

/// Puts an absolute link to a path outside in the place of a path; the original is kept beside the
/// users directory.
fn replace_by_link(fleet: &Fleet, level: &str) {
    fs::rename(fleet.path(level), fleet.path("original")).unwrap();
    symlink(fleet.path(outside(level)), fleet.path(level)).unwrap();
}

fn put_back(fleet: &Fleet, level: &str) {
    fs::remove_file(fleet.path(level)).unwrap();
    fs::rename(fleet.path("original"), fleet.path(level)).unwrap();
}

#[test]
fn a_link_at_any_level_is_refused_by_name() {
    for level in LEVELS {
        let fleet = fleet(&NOTES[1..]);
        fleet.run(["backup", "--all-users"]).status(0);
        replace_by_link(&fleet, level);
        let before = snapshot_outside(&fleet);
        let shown = if level == LEVELS[0] { "`z`" } else { "zoe" };
        for arguments in [
            &["status"] as &[&str],
            &["verify"],
            &["upgrade", "--all-users"],
            &["reset", "--all-users", "--yes", "--no-backup"],
            &["restore", "latest", "--no-backup"],
            &["adopt", "--at", "1.0.0", "--all-users"],
            &["stamp", "1.0.0", "--user", "zoe"],
            &["backup", "--all-users"],
        ] {
            let run = fleet.run(arguments);
            assert!(run.has_status(&[1, 2]), "{arguments:?} {level} {}", run.describe());
            let output = run.stdout_text() + &run.stderr_text();
            assert!(output.contains("symbolic link"), "{arguments:?} {}", run.describe());
            assert!(output.contains(shown), "{arguments:?} {}", run.describe());
            assert_eq!(snapshot_outside(&fleet), before, "{arguments:?} {level}");
        }
        let run = fleet.run(["init", "--user", "zoe"]);
        run.status(1).stderr_contains("symbolic link");
        assert_eq!(snapshot_outside(&fleet), before, "{level}");
        // The other user is not affected.
        let ann = Database::open(&fleet.path("users/a/ann/store.sqlite"));
        assert_eq!(ann.rows("PRAGMA integrity_check"), ["ok"]);
        drop(ann);
        put_back(&fleet, level);
        let zoe = Database::open(&fleet.path(LEVELS[2]));
        assert_eq!(zoe.version().as_deref(), Some("1.0.0"), "{level}");
    }
}

#[test]
fn a_link_at_any_level_is_followed_if_that_is_permitted() {
    for level in LEVELS {
        let fleet = fleet(&NOTES[1..]);
        replace_by_link(&fleet, level);
        let run = fleet.run(["upgrade", "--all-users", "--follow-symlinks"]);
        run.status(0).stdout_contains("2 users: 2 upgraded");
        let zoe = Database::open(&fleet.path("outside/z/zoe/store.sqlite"));
        assert_eq!(zoe.version().as_deref(), Some("1.2.0"), "{level}");
        drop(zoe);
        fleet.run(["status", "--follow-symlinks"]).status(0);
        fleet.run(["init", "--user", "zed", "--follow-symlinks"]).status(0);
    }
}

#[test]
fn a_farm_of_links_is_refused_and_named() {
    let fleet = fleet(&NOTES[1..]);
    let link = |target: &str, path: &str| symlink(target, fleet.path(path)).unwrap();
    // To the inside, to the outside, to itself, to nothing, at each level.
    link("z", "users/y");
    link("../outside/z", "users/x");
    link("w", "users/w");
    link("/nowhere", "users/v");
    link("zoe", "users/z/zed");
    link("../../outside/z/zoe", "users/z/zac");
    link("zip", "users/z/zip");
    fs::create_dir(fleet.path("users/z/zen")).unwrap();
    link("../zoe/store.sqlite", "users/z/zen/store.sqlite");
    fs::create_dir(fleet.path("users/z/zak")).unwrap();
    link("../../../outside/z/zoe/store.sqlite", "users/z/zak/store.sqlite");
    // What can lead to no database is no concern of tatmig.
    link("../MIGRATIONS.md", "users/m");
    let before = snapshot_outside(&fleet);
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1);
    for directory in ["y", "x", "w", "v"] {
        run.stderr_contains(&format!(
            "the directory `{directory}` was skipped with every database in it: it is a symbolic link"
        ));
    }
    for user in ["zed", "zac", "zip"] {
        run.stderr_contains(&format!(
            "`{user}` (users/z/{user}/store.sqlite): its directory `z/{user}` was not opened: it is \
             a symbolic link; pass `--follow-symlinks` to open it"
        ));
    }
    run.stderr_contains(
        "2 databases (`zak`, `zen`): it is a symbolic link; pass `--follow-symlinks`",
    );
    run.stderr_lacks("`m`");
    assert_eq!(snapshot_outside(&fleet), before);
    for path in ["users/z/zoe/store.sqlite", "users/a/ann/store.sqlite"] {
        assert_eq!(Database::open(&fleet.path(path)).version().as_deref(), Some("1.2.0"));
    }
}

#[test]
fn a_link_put_in_place_between_listing_and_opening_is_refused() {
    for level in LEVELS {
        let fleet = fleet(NOTES);
        let before = snapshot_outside(&fleet);
        // The run lists the users and then waits for the system database.
        let system = Connection::open(fleet.path("system.db")).unwrap();
        system.execute_batch("DELETE FROM _tatmig_migrations; BEGIN EXCLUSIVE").unwrap();
        let child = fleet.start(["upgrade", "--all-users"]);
        let descriptors = PathBuf::from(format!("/proc/{}/fd", child.id()));
        let system_db = fleet.path("system.db").canonicalize().unwrap();
        wait_until("the run opens the system database", || {
            let descriptors = fs::read_dir(&descriptors).into_iter().flatten().flatten();
            descriptors
                .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
                .any(|target| target == system_db)
        });
        replace_by_link(&fleet, level);
        system.execute_batch("ROLLBACK").unwrap();
        let run = fleet.wait(child);
        run.status(1).stderr_contains("is a symbolic link; pass `--follow-symlinks` to open it");
        run.stderr_lacks("was not opened")
            .stdout_contains("2 users: 1 upgraded to 1.2.0, 1 failed");
        assert_eq!(snapshot_outside(&fleet), before, "{level}");
        put_back(&fleet, level);
        let zoe = Database::open(&fleet.path(LEVELS[2]));
        assert_eq!(zoe.version().as_deref(), Some("1.0.0"), "{level}");
    }
}

#[test]
fn a_database_behind_a_link_that_comes_and_goes_is_never_read() {
    for level in LEVELS {
        let fleet = fleet(&NOTES[1..]);
        let other = Database::open(&fleet.path("outside/z/zoe/store.sqlite"));
        let update = "UPDATE _tatmig_migrations SET to_version = '0.0.7'";
        other.connection().execute_batch(update).unwrap();
        drop(other);
        let before = snapshot_outside(&fleet);
        let link = fleet.path("link");
        symlink(fleet.path(outside(level)), &link).unwrap();
        while_exchanging(&fleet.path(level), &link, || {
            for command in ["status", "verify"] {
                for _ in 0..20 {
                    let run = fleet.run([command, "--json"]);
                    assert!(run.has_status(&[0, 1]), "{}", run.describe());
                    run.stdout_lacks("0.0.7");
                }
            }
            for _ in 0..10 {
                let run = fleet.run(["backup", "--user", "zoe"]);
                assert!(run.has_status(&[0, 1, 2]), "{}", run.describe());
            }
        });
        assert_eq!(snapshot_outside(&fleet), before, "{level}");
        for backup in fs::read_dir(fleet.path("backups")).into_iter().flatten().flatten() {
            let copy = backup.path().join("z/zoe/store.sqlite");
            assert_eq!(Database::open(&copy).version().as_deref(), Some("1.0.0"), "{level}");
        }
    }
}

#[test]
fn the_system_database_is_not_downgraded_while_users_are_skipped() {
    let blocks = [
        NOTES,
        &[
            ("system:1.0.0→1.1.0", "CREATE TABLE later (x);"),
            ("system:1.1.0→1.0.0", "DROP TABLE later;"),
            ("user:1.1.0→1.0.0", "ALTER TABLE notes DROP COLUMN pinned;"),
        ],
    ]
    .concat();
    let blocks: Vec<_> = blocks.into_iter().filter(|(tag, _)| !tag.contains("1.2.0")).collect();
    let fleet = fleet(&blocks);
    fleet.run(["upgrade", "--all-users"]).status(0);
    replace_by_link(&fleet, LEVELS[0]);
    for arguments in
        [&["downgrade", "--to", "1.0.0", "--system"] as &[&str], &["down", "-1", "--all-users"]]
    {
        let run = fleet.run_without_changes(arguments);
        run.status(2).stderr_contains("may end below user databases that were skipped: ");
        run.stderr_contains("the directory `z` was skipped");
    }
    put_back(&fleet, LEVELS[0]);
    fleet.run(["downgrade", "--to", "1.0.0", "--all-users", "--no-backup"]).status(0);
    assert_eq!(fleet.database("system").version().as_deref(), Some("1.0.0"));
}

#[test]
fn a_link_in_a_backup_is_not_followed() {
    let fleet = fleet(&NOTES[1..]);
    fleet.run(["backup", "--all-users"]).status(0);
    let backup = fs::read_dir(fleet.path("backups")).unwrap().next().unwrap().unwrap().path();
    let copy = backup.join("z/zoe");
    fs::rename(&copy, fleet.path("zoe")).unwrap();
    symlink(fleet.path("zoe"), &copy).unwrap();
    let run = fleet.run_without_changes(["restore", "latest"]);
    run.status(2).stderr_contains("is damaged, so nothing was restored");
    run.stderr_contains("`zoe` is a symbolic link");
    fs::remove_file(&copy).unwrap();
    fs::rename(fleet.path("zoe"), &copy).unwrap();
    fleet.run(["restore", "latest"]).status(0);
}

#[test]
fn names_of_any_bytes_work_in_directories() {
    let names: [&[u8]; 12] = [
        b" ",
        b"new\nline",
        b"\x1b[2J\x1b[31mred",
        b"latin-\xe9",
        b"\xff\xfe",
        b"*",
        b"{username}",
        b"-rf",
        b".hidden.",
        b"file:x?mode=memory",
        "日本語".as_bytes(),
        b"x-journal",
    ];
    for pattern in [
        "{username}/store.sqlite",
        "{username:2}/{username}",
        "{sha256:2}/{md5:3}-{username}/{username}.db",
    ] {
        let fleet = Fleet::from_blocks(&NOTES[1..])
            .directory("users")
            .env("TATMIG_USERS_DIR", "users")
            .env("TATMIG_USER_PATTERN", pattern);
        for name in names {
            let flag = [b"--user=", name].concat();
            let run = fleet.run([OsStr::new("init"), OsStr::from_bytes(&flag)]);
            run.status(0);
            assert!(!run.stdout_text().contains('\x1b'));
            fleet.run([OsStr::new("verify"), OsStr::from_bytes(&flag)]).status(0);
        }
        let json = fleet.run_without_changes(["status", "--json"]).status(0).json();
        let shown: BTreeSet<String> = json["databases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|database| database["path"].to_string())
            .collect();
        assert_eq!(shown.len(), names.len(), "{pattern}");
        fleet.run(["backup", "--all-users"]).status(0);
        fs::remove_dir_all(fleet.path("users")).unwrap();
        fs::create_dir(fleet.path("users")).unwrap();
        fleet.run(["restore", "latest", "--no-backup"]).status(0);
        assert_eq!(
            fleet.run(["status", "--json"]).status(0).json()["databases"],
            json["databases"]
        );
    }
}

#[test]
fn a_name_that_would_leave_its_directory_is_refused() {
    for pattern in [PATTERN, "{username}/store.sqlite", "{username:2}/{username}.db"] {
        let fleet = Fleet::from_blocks(&NOTES[1..])
            .directory("users")
            .env("TATMIG_USERS_DIR", "users")
            .env("TATMIG_USER_PATTERN", pattern);
        for name in ["..", ".", "../x", "a/b", "/etc", ""] {
            let run = fleet.run_without_changes(["init", &format!("--user={name}")]);
            run.status(2).stderr_contains("is not a valid user name: its path would be");
        }
    }
}

#[test]
fn what_is_no_file_in_the_place_of_a_database_is_refused_by_name() {
    let fleet = fleet(&NOTES[1..]).directory("users/d/dir/store.sqlite").directory("users/f/fifo");
    let fifo = fleet.path("users/f/fifo/store.sqlite");
    let status = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(status.success());
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1)
        .stderr_contains("(users/d/dir/store.sqlite): it is a directory, so it is not a database")
        .stderr_contains("(users/f/fifo/store.sqlite): it is not a regular file")
        .stdout_contains("4 users: 2 upgraded to 1.2.0, 2 failed");
}

#[test]
fn a_directory_that_cannot_be_read_is_reported_and_the_others_are_upgraded() {
    let fleet = fleet(&NOTES[1..]).directory("users/b/bob").directory("users/c");
    let fleet = fleet.database_file("users/b/bob/store.sqlite", "");
    let chmod = |path: &str, mode: u32| {
        fs::set_permissions(fleet.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    // `b` cannot be listed, `z` cannot be searched, and of `zoe` it is known whose it is.
    for (path, message) in [
        ("users/b", "the directory `b` was skipped with every database in it: cannot open it"),
        ("users/z/zoe", "`zoe` (users/z/zoe/store.sqlite): cannot read its metadata: Permission"),
    ] {
        chmod(path, 0);
        let arguments =
            ["upgrade", "--all-users", "--users-dir", "users", "--user-pattern", PATTERN];
        let Some(mut upgrade) = command_bound_by_permissions(&fleet, &arguments) else {
            return chmod(path, 0o755);
        };
        let output = upgrade.output().unwrap();
        chmod(path, 0o755);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(message), "{stderr}");
    }
    let version = |path: &str| Database::open(&fleet.path(path)).version();
    assert_eq!(version("users/a/ann/store.sqlite").as_deref(), Some("1.2.0"));
    // Each of these was upgraded by the run in which the other could not be read.
    assert_eq!(version("users/z/zoe/store.sqlite").as_deref(), Some("1.2.0"));
    assert_eq!(version("users/b/bob/store.sqlite").as_deref(), Some("1.2.0"));
}

#[test]
fn a_second_name_of_a_database_in_another_directory_is_listed_once() {
    let fleet = fleet(&NOTES[1..]).directory("users/z/zzz");
    let second = fleet.path("users/z/zzz/store.sqlite");
    fs::hard_link(fleet.path(LEVELS[2]), &second).unwrap();
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(0).stdout_contains("2 users: 2 upgraded").stderr_contains(
        "`z/zzz/store.sqlite` is a second name of the file of user `zoe`; the database is listed once",
    );
    // A journal beside the second name is not applied by a program that uses the first.
    fs::write(fleet.path("users/z/zzz/store.sqlite-journal"), "a journal").unwrap();
    let before: FileSnapshot = fleet.snapshot();
    let run = fleet.run(["status"]);
    run.status(1).stdout_contains(
        "error: `z/zzz/store.sqlite` is a second name of this file and has a journal",
    );
    before.assert_same(&fleet.snapshot());
}
