//! Tests user names with every byte that Linux allows in a file name: each database is found,
//! migrated with its rows, printed without control characters, and never mistaken for a path, a
//! flag or a URI.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::support::{Database, Fleet, NOTES};

const HOSTILE_NAMES: &[&[u8]] = &[
    b" ",
    b"  two  words ",
    b"tab\there",
    b"new\nline",
    b"\n",
    b"carriage\rreturn",
    b"bell\x07",
    b"back\x08space",
    b"\x1b[2J\x1b[31mred",
    b"\x1b]0;title\x07",
    b"\xc2\x9b31m",
    b"delete\x7f",
    b"o'brien",
    b"'; DROP TABLE notes; --",
    b"the \"boss\"",
    b"`back`",
    b"$(reboot)",
    b"back\\slash",
    b"50%41",
    b"%2e%2e%2f",
    b"%s%n%d",
    b"-rf",
    b"--help",
    b"-",
    b"--",
    b"file:x?mode=memory",
    b"file:x?vfs=none&mode=rwc#y%00",
    b":memory:",
    b"?",
    b"#",
    b"*",
    b"[a-z]",
    b"{username}",
    b"~",
    b".",
    b"..",
    b".hidden",
    "caf\u{e9}".as_bytes(),
    "cafe\u{301}".as_bytes(),
    "日本語".as_bytes(),
    "\u{202e}gpj.exe".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{feff}bom".as_bytes(),
    "😀".as_bytes(),
    b"latin-\xe9",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"CON",
    b"ANN",
    b"ann",
    b"system",
    b"x_longterm.db",
    b"x-journal",
];

/// A file name of `length` bytes in total.
fn name_for_length(length: usize) -> Vec<u8> {
    vec![b'l'; length - b"_longterm.db".len()]
}

fn file_name(name: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&[name, b"_longterm.db"].concat()))
}

/// Asserts that a text has no control characters, and that each line is UTF-8.
#[track_caller]
fn assert_no_control_characters(text: &str) {
    let is_control = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}');
    let found: BTreeSet<char> = text.chars().filter(|c| is_control(*c)).collect();
    assert!(found.is_empty(), "{found:?} in {text}");
}

/// Asserts that users with these names are upgraded to head with their rows, and that every command
/// prints them.
#[track_caller]
fn assert_all_names_work(names: &[Vec<u8>], mode: &str) {
    let template =
        Fleet::from_blocks(&NOTES[1..]).user("ann", &format!("PRAGMA journal_mode = {mode}"));
    let template =
        template.upgrade_to("1.0.0").user("ann", "INSERT INTO notes (body) VALUES ('kept')");
    let fleet = Fleet::from_blocks(&NOTES[1..]).directory("users").env("TATMIG_USERS_DIR", "users");
    let bytes = std::fs::read(template.path("ann_longterm.db")).unwrap();
    for name in names {
        std::fs::write(fleet.path("users").join(file_name(name)), &bytes).unwrap();
    }
    let run = fleet.run_without_changes(["status", "-v"]);
    run.status(0).stdout_contains(" 1.0.0     behind, pending 1.1.0, 1.2.0\n");
    assert_no_control_characters(&run.stdout_text());
    assert_eq!(run.stdout_text().lines().count(), names.len() + 1, "{}", run.stdout_text());
    let json = fleet.run(["status", "--json"]).status(0).json();
    assert_eq!(json["summary"]["behind"], names.len());
    let shown: BTreeSet<_> = json["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["name"].to_string())
        .collect();
    assert_eq!(shown.len(), names.len(), "no two are shown alike");
    let run = fleet.run_without_changes(["upgrade", "--all-users", "--dry-run"]);
    assert_no_control_characters(&run.status(0).stdout_text());
    // Each user by flag, unless there are hundreds.
    for name in names.iter().step_by(1 + names.len() / 100) {
        let flag = [b"--user=", &name[..]].concat();
        let run = fleet.run([OsStr::new("history"), OsStr::from_bytes(&flag)]);
        run.status(0).stdout_contains("baseline → 1.0.0");
        assert_no_control_characters(&run.stdout_text());
    }
    let run = fleet.run(["upgrade", "--all-users", "-v"]);
    run.status(0).stderr("");
    assert_no_control_characters(&run.stdout_text());
    for name in names {
        let database = Database::open(&fleet.path("users").join(file_name(name)));
        let context = name.escape_ascii();
        assert_eq!(database.version().as_deref(), Some("1.2.0"), "{context}");
        assert_eq!(database.rows("SELECT body, pinned FROM notes"), ["kept|0"], "{context}");
    }
    assert_eq!(std::fs::read_dir(fleet.path("users")).unwrap().count(), names.len());
    assert_eq!(std::fs::read_dir(fleet.path("")).unwrap().count(), 2);
}

#[test]
fn every_byte_that_a_file_name_can_hold_works() {
    let bytes = (1..=255).filter(|byte| *byte != b'/');
    let alone = bytes.clone().map(|byte| vec![byte]);
    let within = bytes.map(|byte| vec![b'a', byte, b'b']);
    let names: Vec<_> = alone.chain(within).collect();
    assert_eq!(names.len(), 2 * 254);
    assert_all_names_work(&names, "DELETE");
}

#[test]
fn hostile_names_work_in_every_journal_mode() {
    let mut names: Vec<_> = HOSTILE_NAMES.iter().map(|name| name.to_vec()).collect();
    // SQLite's journal has a longer name than its database, and a file name has at most 255 bytes.
    names.extend([name_for_length(200), name_for_length(247)]);
    assert!(names.len() >= 36);
    for mode in ["DELETE", "WAL"] {
        assert_all_names_work(&names, mode);
    }
}

#[test]
fn a_name_too_long_for_a_journal_stops_no_other_user() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).user("ann", "");
    std::fs::write(fleet.path(file_name(&name_for_length(255))), "").unwrap();
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1).stderr_contains("lll_longterm.db): ");
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
    assert_eq!(std::fs::read(fleet.path(file_name(&name_for_length(255)))).unwrap(), b"");
}

#[test]
fn errors_print_no_control_characters_from_names() {
    let fleet = HOSTILE_NAMES.iter().fold(Fleet::from_blocks(&NOTES[1..]), |fleet, name| {
        fleet.file(file_name(name), "no database, and long enough to be told from an empty one")
    });
    for arguments in [&["upgrade", "--all-users"] as &[&str], &["status", "-v"], &["verify"]] {
        let run = fleet.run_without_changes(arguments);
        run.status(1);
        assert_no_control_characters(&run.stdout_text());
        assert_no_control_characters(&run.stderr_text());
    }
    for name in HOSTILE_NAMES {
        let flag = [b"--user=", *name].concat();
        let run = fleet.run_without_changes([OsStr::new("upgrade"), OsStr::from_bytes(&flag)]);
        assert_no_control_characters(&run.status(1).stderr_text());
        let flag = [b"--user=no such ", *name].concat();
        let run = fleet.run_without_changes([OsStr::new("upgrade"), OsStr::from_bytes(&flag)]);
        assert_no_control_characters(&run.status(2).stderr_text());
    }
}

#[test]
fn output_prints_no_control_characters_from_databases() {
    let escape = "' || char(27) || '[2J' || char(7) || char(10) || '";
    let fleet = Fleet::from_blocks(&[
        (
            "user:baseline→1.0.0",
            "CREATE TABLE a (k TEXT PRIMARY KEY);\nCREATE TABLE b (a REFERENCES a (k));",
        ),
        ("user:1.0.0→1.1.0", "DELETE FROM a;"),
    ]);
    let fleet = fleet.user("ann", "").user("own", "").user("odd", "").upgrade_to("1.0.0");
    let fleet = fleet
        .user("ann", &format!("INSERT INTO a VALUES ('x{escape}'); INSERT INTO b SELECT k FROM a"))
        .user("own", "CREATE TABLE \"t\u{1b}[2J\u{7}\" (x); CREATE TRIGGER \"g\u{1b}\" BEFORE DELETE ON a BEGIN SELECT RAISE(ABORT, 'no\u{1b}[2J'); END; INSERT INTO a VALUES (1)")
        .user("odd", &format!("UPDATE _tatmig_migrations SET note = 'n{escape}', to_version = 'v{escape}'"));
    for arguments in [
        &["upgrade", "--all-users"] as &[&str],
        &["status", "-v"],
        &["verify"],
        &["history", "--user", "odd"],
        &["adopt", "--user", "own"],
    ] {
        let run = fleet.run(arguments);
        assert_no_control_characters(&run.stdout_text());
        assert_no_control_characters(&run.stderr_text());
    }
    assert_eq!(fleet.database("ann").rows("SELECT count(*) FROM b"), ["1"]);
}

#[test]
fn errors_print_no_control_characters_from_settings() {
    let fleet = Fleet::from_blocks(NOTES).system("");
    for arguments in [
        &["--system-db", "\u{1b}[2J.db", "upgrade"] as &[&str],
        &["--users-dir", "\u{1b}[2J", "upgrade", "--all-users"],
        &["--user-pattern", "\u{1b}[2J", "upgrade"],
        &["--file", "\u{1b}[2J.md", "upgrade"],
        &["--config", "\u{1b}[2J.toml", "upgrade"],
        &["upgrade", "--to", "\u{1b}[2J"],
        &["seed", "\u{1b}[2J"],
    ] {
        let run = fleet.run_without_changes(arguments);
        assert_no_control_characters(&run.status(2).stderr_text());
    }
}
