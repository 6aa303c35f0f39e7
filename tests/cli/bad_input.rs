//! Tests invalid input of every kind: a message that names what was expected, where, and what to
//! do; the exit status; and no changed byte.

use std::process::Command;

use crate::support::{Fleet, NOTES, document};

fn fleet() -> Fleet {
    Fleet::from_blocks(NOTES).system("").user("ann", "").upgrade_to("1.1.0")
}

/// Runs every command that reads the document.
#[track_caller]
fn assert_every_reader_refuses(fleet: &Fleet, message: &str) {
    for arguments in [
        &["upgrade", "--all-users"] as &[&str],
        &["upgrade", "--all-users", "--dry-run"],
        &["status"],
        &["history"],
        &["lint"],
        &["init"],
        &["init", "--user", "new"],
        &["seed", "any", "--all-users"],
    ] {
        let run = fleet.run_without_changes(arguments);
        run.status(2).stdout("").stderr_contains(message);
    }
}

#[test]
fn no_document() {
    let fleet = Fleet::new().system("").user("ann", "");
    assert_every_reader_refuses(
        &fleet,
        "error: the document `MIGRATIONS.md` does not exist (searched from `",
    );
    fleet
        .run(["status"])
        .stderr_contains("`tatmig new 1.0.0 -m TEXT` creates it; name another with `--file`");
    fleet.run(["status", "-f", "docs/m.md"]).status(2).stderr_contains("`docs/m.md`");
}

#[test]
fn a_named_file_that_is_not_a_regular_file_is_refused_and_never_waited_for() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).user("ann", "");
    let made = Command::new("mkfifo").arg(fleet.path("fifo")).status().unwrap();
    assert!(made.success());
    let fleet = fleet.directory("users");
    for (path, reason) in [
        ("/dev/zero", "this is not a regular file"),
        ("fifo", "this is not a regular file"),
        ("users", "this is a directory"),
    ] {
        fleet
            .run_without_changes(["status", "-f", path])
            .status(2)
            .stderr_contains(&format!("the document `{path}` cannot be read: {reason}"));
        fleet
            .run_without_changes(["status", "--config", path])
            .status(2)
            .stderr_contains(&format!("the settings file `{path}` cannot be read: {reason}"));
        for flags in [["--users-on", path], ["--users-from", &format!("file:{path}")]] {
            fleet
                .run_without_changes([
                    "status",
                    "--server",
                    "http://127.0.0.1:1",
                    flags[0],
                    flags[1],
                ])
                .status(2)
                .stderr_contains(&format!("cannot read the file `{path}`: {reason}"));
        }
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_a_document_is_followed() {
    let fleet = Fleet::from_blocks(NOTES).system("").user("ann", "");
    std::os::unix::fs::symlink("MIGRATIONS.md", fleet.path("link.md")).unwrap();
    fleet.run_without_changes(["status", "-f", "link.md"]).status(0);
}

#[test]
fn a_document_that_is_a_directory() {
    let fleet = Fleet::new().directory("MIGRATIONS.md").system("");
    assert_every_reader_refuses(&fleet, "the document `MIGRATIONS.md` cannot be read");
}

#[test]
fn a_document_that_is_not_utf_8() {
    let fleet = Fleet::new().file("MIGRATIONS.md", b"# One\n\nna\xefve\n").system("");
    assert_every_reader_refuses(&fleet, "is not UTF-8: the first invalid byte is in line 3");
}

#[test]
fn no_system_database() {
    let fleet = Fleet::from_blocks(NOTES).user("ann", "");
    for arguments in [
        &["upgrade", "--all-users"] as &[&str],
        &["upgrade"],
        &["upgrade", "--dry-run"],
        &["status"],
        &["history", "--system"],
    ] {
        fleet.run_without_changes(arguments).status(2).stderr(
            "error: the system database `system.db` does not exist; \
             create it with `tatmig init`, or restore it with `tatmig restore`; \
             `--system-db PATH` names another file, and `--no-system` leaves it out\n",
        );
    }
}

#[test]
fn no_users_directory() {
    let fleet = fleet();
    for arguments in [
        &["upgrade", "--all-users", "--users-dir", "nowhere"] as &[&str],
        &["upgrade", "--user", "ann", "--users-dir", "nowhere"],
        &["status", "--users-dir", "nowhere"],
        &["history", "--user", "ann", "--users-dir", "nowhere"],
    ] {
        fleet.run_without_changes(arguments).status(2).stderr(format!(
            "error: the users directory `{}/nowhere` does not exist; pass `--users-dir PATH`\n",
            fleet.path("").canonicalize().unwrap().display()
        ));
    }
    let run = fleet.run_without_changes(["status", "--users-dir", "MIGRATIONS.md"]);
    run.status(2).stderr_contains("cannot read the users directory `/");
    run.stderr_contains("/MIGRATIONS.md`: ");
}

#[test]
fn a_user_that_does_not_exist() {
    let fleet = fleet();
    for arguments in [
        &["upgrade", "--user", "ann", "--user", "nobody"] as &[&str],
        &["upgrade", "--user", "nobody", "--dry-run"],
        &["history", "--user", "nobody"],
    ] {
        fleet.run_without_changes(arguments).status(2).stderr(format!(
            "error: no database of user `nobody` in `{}`, where files are named \
             `{{username}}_longterm.db`; existing users: `ann`; \
             `tatmig init --user nobody` creates it\n",
            fleet.path("").canonicalize().unwrap().display()
        ));
    }
}

#[test]
fn a_user_is_looked_up_and_never_joined_to_a_path() {
    let fleet =
        fleet().user("eve", "").directory("users").database_file("users/bob_longterm.db", "");
    for name in ["../eve", "./ann", "", "..", "bob_longterm.db", "b%b"] {
        fleet
            .run_without_changes(["upgrade", "--users-dir", "users", "--user", name])
            .status(2)
            .stderr_contains(&format!("no database of user `{name}`"));
    }
}

#[test]
fn an_invalid_user_pattern() {
    let fleet = fleet();
    for (pattern, message) in [
        (
            "user.db",
            "the user pattern `user.db` cannot be used: it must contain `{username}`, as in",
        ),
        ("", "empty component"),
        ("/srv/{username}.db", "it is an absolute path; pass the directory with `--users-dir`"),
        ("../{username}.db", "it contains the component `..`"),
        ("{usernmae}.db", "unknown placeholder `{usernmae}`; did you mean `{username}`?"),
        ("{sha256:65}/{username}.db", "the number of `{sha256:65}` must be from 1 to 64"),
        ("{username", "`{username` has no closing brace"),
        ("x*/{username}.db", "`*` must be a whole component"),
    ] {
        for command in ["upgrade", "status", "history", "lint", "init"] {
            let run = fleet.run_without_changes([command, "--user-pattern", pattern]);
            run.status(2).stdout("").stderr_contains(message);
        }
    }
}

#[test]
fn an_unknown_key_in_the_settings() {
    let fleet = fleet().config("users_dir = \".\"\nuser_dir = \"x\"\n");
    for command in ["upgrade", "status", "history", "lint", "init", "demo"] {
        fleet
            .run_without_changes([command])
            .status(2)
            .stdout("")
            .stderr_contains("in the settings file `tatmig.toml`")
            .stderr_contains("unknown key `user_dir`")
            .stderr_contains("line 2");
    }
}

#[test]
fn settings_that_cannot_be_read() {
    let fleet = fleet().config("users_dir = [\n");
    fleet.run_without_changes(["status"]).status(2).stderr_contains("`tatmig.toml`");
    let fleet = fleet.config("users_dir = 3\n");
    fleet.run_without_changes(["status"]).status(2).stderr_contains("users_dir");
    let count = "must be a whole number of 1 or more";
    let seconds = "must be a number of seconds of 0 or more";
    for (key, message) in [
        ("jobs = 0", count),
        ("jobs = \"many\"", count),
        ("busy_timeout = -1", seconds),
        ("busy_timeout = nan", seconds),
        ("color = \"pink\"", "unknown value `pink`; expected one of `auto`, `always`, `never`"),
        ("shard = \"3/2\"", "`3/2`"),
        ("min_sqlite = \"new\"", "`new`"),
    ] {
        let fleet = Fleet::new().config(&format!("quiet = true\n{key}\n"));
        let message = format!("line 2, `{key}`: {message}");
        fleet.run_without_changes(["upgrade"]).status(2).stderr_contains(&message);
    }
    let run = fleet.run_without_changes(["status", "--config", "other.toml"]);
    run.status(2).stderr_contains("the settings file `other.toml` cannot be read");
}

#[test]
fn an_invalid_target_version() {
    let planned = document(&[("user:1.2.0→1.3.0", "-- CREATE TABLE later (x);")]);
    let markdown = format!("{}## 1.2.0 → 1.3.0 (Planned)\n\n{planned}", document(NOTES));
    let fleet = fleet().document(markdown);
    for (target, message) in [
        ("9.9.9", "version `9.9.9` is not in MIGRATIONS.md; it has `1.0.0`, `1.1.0`, `1.2.0`"),
        ("1.3.0", "version `1.3.0` is only planned in MIGRATIONS.md; head is `1.2.0`"),
        ("1.2", "`1.2` is not a version; did you mean `1.2.0`?"),
        ("hed", "`hed` is not a version; did you mean `head`?"),
        ("x", "`x` is not a version; versions have the form `1.2.0`"),
        ("v1.2.0", "`v1.2.0` is not a version"),
        ("baseline", "`baseline` is not a version"),
        ("", "`` is not a version"),
    ] {
        for flag in ["--all-users", "--dry-run"] {
            let run = fleet.run_without_changes(["upgrade", "--to", target, flag]);
            run.status(2).stdout("").stderr_contains(message);
        }
    }
}

#[test]
fn all_errors_of_a_document_are_reported_in_one_run() {
    let markdown = "\
```sql
-- [user:baseline→1.0.0:start]
CREATE TABLE notes (body TEXT);
-- [user:baseline→1.0.0:end]
-- [usr:1.0.0→1.1.0:start]
-- [user:1.0.0→1.1.0:end]
```

-- [user:1.0.0→1.2.0:start]

```sql
-- [user:1.0.0→1.1.0:start]
ALTER TABLE notes ADD COLUMN a;
```
";
    let fleet = fleet().document(markdown);
    let run = fleet.run_without_changes(["upgrade", "--all-users"]);
    run.status(2)
        .stdout("")
        .stderr_contains("MIGRATIONS.md:5:5")
        .stderr_contains("write `-- [user:1.0.0→1.1.0:start]`")
        .stderr_contains("MIGRATIONS.md:9:1")
        .stderr_contains("a tag outside any code block")
        .stderr_contains("MIGRATIONS.md:12:1")
        .stderr_contains("cannot be used (3 errors, 0 warnings); no database was changed");
    for arguments in [&["status"] as &[&str], &["history"], &["init", "--user", "new"]] {
        fleet.run_without_changes(arguments).status(2).stdout("").stderr_contains("(3 errors");
    }
    fleet.run_without_changes(["lint"]).status(2).stdout("MIGRATIONS.md: 3 errors, 0 warnings\n");
}

#[test]
fn invalid_sql_is_reported_at_its_token() {
    let mut blocks = NOTES.to_vec();
    blocks[3].1 = "CREATE INDEX a ON notes (body);\nCREATE INDEX b ON notes (bdy);";
    let fleet = fleet().blocks(&blocks);
    let run = fleet.run_without_changes(["upgrade", "--all-users"]);
    run.status(2).stderr_contains("no such column: bdy").stderr_contains("MIGRATIONS.md:22:26");

    blocks[3].1 = "CREATE INDEX a ON notes (body);\nCREAT INDEX b ON notes (body);";
    let fleet = fleet.blocks(&blocks);
    let run = fleet.run_without_changes(["upgrade", "--all-users"]);
    run.status(2).stderr_contains("syntax error").stderr_contains("MIGRATIONS.md:22:1");
}

#[test]
fn a_failure_beyond_the_target_is_only_a_warning() {
    let mut blocks = NOTES.to_vec();
    blocks[3].1 = "CREATE INDEX b ON notes (bdy);";
    let fleet = fleet().blocks(&blocks).user("bob", "");
    fleet.run_without_changes(["lint"]).status(2);
    fleet
        .run(["upgrade", "--all-users", "--to", "1.1.0"])
        .status(0)
        .stderr_contains("1 warning in MIGRATIONS.md; run `tatmig lint`");
}

#[test]
fn a_document_without_any_block() {
    let fleet = fleet().document("# Migrations\n\nNothing yet.\n");
    for command in ["upgrade", "status", "history", "lint"] {
        fleet.run_without_changes([command]).status(2).stdout_lacks("panicked");
    }
}

#[test]
fn a_file_that_is_not_a_database() {
    let fleet = fleet().file("bad_longterm.db", "this is a letter, not a database\n".repeat(99));
    let message = "`bad` (bad_longterm.db): not a SQLite database: \
                   it does not start with SQLite's header";
    assert_only_bad_is_refused(&fleet, message);
}

#[test]
fn a_truncated_database() {
    let fleet = fleet().user("bad", "CREATE TABLE own (x); CREATE INDEX i ON own (x);");
    let path = fleet.path("bad_longterm.db");
    let bytes = std::fs::read(&path).unwrap();
    for (length, message) in [
        (bytes.len() - 4096, "the file is truncated: it has 8192 bytes, its header says 12288"),
        (bytes.len() - 1, "the file is truncated: it has 12287 bytes"),
        (50, "not a complete SQLite database: its header is truncated"),
        (7, "not a SQLite database"),
    ] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert_only_bad_is_refused(&fleet, &format!("`bad` (bad_longterm.db): {message}"));
    }
}

/// Asserts that the user `bad` is refused with a message and not changed, and that `ann` is
/// migrated. Then restores `ann` for the next call.
#[track_caller]
fn assert_only_bad_is_refused(fleet: &Fleet, message: &str) {
    let read = |name: &str| std::fs::read(fleet.path(name)).unwrap();
    let (bad, ann) = (read("bad_longterm.db"), read("ann_longterm.db"));
    fleet.run_without_changes(["status"]).status(1).stdout_contains("bad     -         error: ");
    let run = fleet.run_without_changes(["upgrade", "--all-users", "--dry-run"]);
    run.status(1).stderr_contains(message).stdout_contains("1 database, ann\n");
    fleet.run_without_changes(["history", "--user", "bad"]).status(1).stderr_contains(message);
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1).stderr_contains(message).stdout_contains("1 upgraded to 1.2.0, 1 failed");
    assert!(read("bad_longterm.db") == bad, "the refused file changed");
    assert!(!fleet.path("bad_longterm.db-journal").exists());
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
    std::fs::write(fleet.path("ann_longterm.db"), ann).unwrap();
}

#[test]
fn a_version_that_is_not_in_the_document() {
    let mut blocks = NOTES.to_vec();
    blocks.push(("user:1.2.0→2.0.0", "CREATE TABLE own (x);"));
    let fleet = fleet().user("bad", "").blocks(&blocks);
    fleet.run(["upgrade", "--all-users"]).status(0);
    // The users are at a newer version; the system database is at a version of the older document.
    let fleet = fleet.blocks(NOTES);
    std::fs::remove_file(fleet.path("system.db")).unwrap();
    std::fs::remove_file(fleet.path("ann_longterm.db")).unwrap();
    let fleet = fleet.system("").user("ann", "");
    fleet.run(["upgrade", "--to", "1.1.0"]).status(0);
    fleet.run(["upgrade", "--user", "ann", "--to", "1.1.0"]).status(0);
    let message = "`bad` (bad_longterm.db): the database is at version `2.0.0`, which is not in \
                   the document (head is `1.2.0`); use a document that has this version";
    let before = fleet.database("bad").dump();
    fleet.run_without_changes(["status"]).status(1).stdout_contains("bad     2.0.0     ahead: ");
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains(message);
    assert_eq!(fleet.database("bad").dump(), before);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
}

#[test]
fn a_document_older_than_the_system_database_touches_no_user() {
    let mut blocks = NOTES.to_vec();
    blocks.push(("system:1.2.0→2.0.0", "CREATE TABLE own (x);"));
    let fleet = fleet().blocks(&blocks);
    fleet.run(["upgrade"]).status(0);
    let fleet = fleet.blocks(NOTES);
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("`system` (system.db): the database is at version `2.0.0`")
        .stdout_contains("skipped");
}

#[test]
fn a_version_that_is_only_planned() {
    let fleet = fleet().upgrade_to("1.2.0");
    let tail = document(&NOTES[3..]);
    let markdown = format!("{}## 1.1.0 → 1.2.0 (Planned)\n\n{tail}", document(&NOTES[..3]));
    let fleet = fleet.document(markdown);
    fleet.run_without_changes(["upgrade", "--all-users"]).status(1).stderr_contains(
        "the database is at version `1.2.0`, which is only planned in the document",
    );
}

#[test]
fn an_unknown_history_table_is_refused() {
    for sql in [
        "CREATE VIEW _tatmig_migrations AS SELECT 1 AS id",
        "CREATE TABLE _tatmig_migrations (version INTEGER)",
    ] {
        let fleet = fleet().user("bad", sql);
        let before = fleet.database("bad").dump();
        fleet
            .run(["upgrade", "--all-users"])
            .status(1)
            .stderr_contains("`bad` (bad_longterm.db): `_tatmig_migrations` ");
        assert_eq!(fleet.database("bad").dump(), before);
        assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
    }
}

#[test]
fn missing_and_unknown_commands_are_usage_errors() {
    let fleet = fleet();
    fleet.run_without_changes::<&str>([]).status(2).stderr_contains("Usage: tatmig");
    fleet.run_without_changes(["upgrad"]).status(2).stderr_contains("upgrade");
    fleet.run_without_changes(["--color", "pink", "status"]).status(2).stderr_contains("pink");
    for flag in ["--jobs", "--busy-timeout", "--shard"] {
        let run = fleet.run_without_changes(["status", &format!("{flag}=-1")]);
        run.status(2).stderr_contains("-1").stderr_lacks("non-zero").stderr_lacks("Duration");
    }
}

#[test]
fn a_version_with_build_metadata_is_wrong_usage() {
    let fleet = Fleet::from_blocks(NOTES).system("").user("ann", "");
    for arguments in [
        &["upgrade", "--all-users", "--to", "1.0.0+build"][..],
        &["upgrade", "--all-users", "--to", "9.9.9+build"],
        &["downgrade", "--to", "1.0.0+build"],
        &["stamp", "1.0.0+build"],
        &["adopt", "--at", "1.0.0+build"],
        &["schema", "--at", "1.0.0+build"],
        &["new", "1.3.0+build", "-m", "x"],
    ] {
        let run = fleet.run_without_changes(arguments);
        run.status(2).stderr_contains("build-metadata").stderr_contains("has build metadata");
    }
}

#[test]
fn control_characters_of_the_document_never_reach_the_terminal() {
    let controls = "\u{9b}31m\u{1b}]0;x\u{7}\u{85}\u{202e}\u{7f}";
    for markdown in [
        format!("## 1.0.0 → 1.1 {controls}\n\nText {controls}\n"),
        document(&[(
            "user:baseline→1.0.0",
            &format!("CREATE TABLE t (x); SELECT '{controls}' FROM nowhere;"),
        )]),
        document(&[(
            "user:baseline→1.0.0",
            &format!("CREATE TABLE t (x); SELECT nothing_{controls};"),
        )]),
        document(&[(&format!("user:baseline→1.0{controls}"), "SELECT 1;")]),
        format!(
            "## Baseline 1.0.0 (Pl{controls}anned)\n\n{}",
            document(&[("user:baseline→1.0.0", "SELECT 1;")])
        ),
    ] {
        let fleet = Fleet::new().document(&markdown).user("ann", "");
        for arguments in
            [&["lint"][..], &["upgrade", "--all-users"], &["lint", "--format", "github"]]
        {
            let run = fleet.run(arguments);
            let output = run.stdout_text() + &run.stderr_text();
            let is_raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!output.contains(is_raw), "{}", run.describe());
            assert!(!output.is_empty());
        }
        // The place of the character is shown.
        let run = fleet.run(["lint"]);
        let shown = run.stderr_text();
        assert!(shown.contains('\u{fffd}') || shown.contains("\\u{9b}"), "{}", run.describe());
    }
}
