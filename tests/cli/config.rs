//! Tests the precedence of settings: flag, environment variable, `tatmig.toml`, default.

use crate::support::{Fleet, document};

/// A document whose head is `version`, so that the head shows which document was read.
fn document_up_to(version: &str) -> String {
    document(&[(&format!("user:baseline→{version}"), "CREATE TABLE notes (body TEXT);")])
}

fn fleet() -> Fleet {
    Fleet::new()
        .document(document_up_to("1.0.0"))
        .file("by-file.md", document_up_to("2.0.0"))
        .file("by-variable.md", document_up_to("3.0.0"))
        .file("by-flag.md", document_up_to("4.0.0"))
        .user("ann", "")
}

#[track_caller]
fn assert_head(fleet: &Fleet, flags: &[&str], expected: &str) {
    let arguments = [&["status", "--json"], flags].concat();
    assert_eq!(fleet.run(arguments).status(0).json()["head"], expected);
}

#[test]
fn the_document_path() {
    let flag = &["--file", "by-flag.md"];
    let fleet = fleet();
    assert_head(&fleet, &[], "1.0.0");
    let fleet = fleet.config("file = \"by-file.md\"");
    assert_head(&fleet, &[], "2.0.0");
    assert_head(&fleet, flag, "4.0.0");
    let fleet = fleet.env("TATMIG_FILE", "by-variable.md");
    assert_head(&fleet, &[], "3.0.0");
    assert_head(&fleet, flag, "4.0.0");
    assert_head(&fleet, &["-f", "by-flag.md"], "4.0.0");
}

#[test]
fn the_users_directory_and_the_pattern() {
    let names = |fleet: &Fleet, flags: &[&str]| -> Vec<String> {
        let json = fleet.run([&["status", "--json"], flags].concat()).status(0).json();
        let databases = json["databases"].as_array().unwrap().clone();
        databases.iter().map(|database| database["name"].as_str().unwrap().to_owned()).collect()
    };
    let flags = &["--users-dir", "c", "--user-pattern", "user-{username}"];
    let fleet = fleet()
        .file("a/al.db", "")
        .file("b/bea.sqlite", "")
        .file("b/ben.db", "")
        .file("c/user-cid", "");
    assert_eq!(names(&fleet, &[]), ["ann"]);
    let fleet = fleet.config("users_dir = \"a\"\nuser_pattern = \"{username}.db\"");
    assert_eq!(names(&fleet, &[]), ["al"]);
    let fleet = fleet.env("TATMIG_USERS_DIR", "b");
    assert_eq!(names(&fleet, &[]), ["ben"]);
    let fleet = fleet.env("TATMIG_USER_PATTERN", "{username}.sqlite");
    assert_eq!(names(&fleet, &[]), ["bea"]);
    assert_eq!(names(&fleet, flags), ["cid"]);
}

#[test]
fn the_system_database_path() {
    let fleet = Fleet::from_blocks(&[("system:baseline→1.0.0", "CREATE TABLE s (x);")]);
    let fleet = ["system.db", "file.db", "variable.db", "flag.db"]
        .into_iter()
        .fold(fleet, |fleet, name| fleet.database_file(name, ""));
    let path = |fleet: &Fleet, flags: &[&str]| {
        let json = fleet.run([&["status", "--json"], flags].concat()).status(0).json();
        json["databases"][0]["path"].as_str().unwrap().to_owned()
    };
    assert_eq!(path(&fleet, &[]), "system.db");
    let fleet = fleet.config("system_db = \"file.db\"");
    assert_eq!(path(&fleet, &[]), "file.db");
    let fleet = fleet.env("TATMIG_SYSTEM_DB", "variable.db");
    assert_eq!(path(&fleet, &[]), "variable.db");
    assert_eq!(path(&fleet, &["--system-db", "flag.db"]), "flag.db");
}

#[test]
fn the_settings_file_path() {
    let fleet = fleet().config("file = \"by-file.md\"").file("other.toml", "file = \"by-flag.md\"");
    let fleet = fleet.file("another.toml", "file = \"by-variable.md\"");
    assert_head(&fleet, &[], "2.0.0");
    assert_head(&fleet, &["--config", "other.toml"], "4.0.0");
    let fleet = fleet.env("TATMIG_CONFIG", "another.toml");
    assert_head(&fleet, &[], "3.0.0");
    assert_head(&fleet, &["--config", "other.toml"], "4.0.0");
}

#[test]
fn paths_in_the_settings_file_are_relative_to_it() {
    let both = [("user:baseline→1.0.0", "CREATE TABLE n (x);"), ("system:baseline→1.0.0", "")];
    let toml = "file = \"docs/m.md\"\nsystem_db = \"data/s.db\"\nusers_dir = \"data/users\"\n\
                user_pattern = \"{username}.db\"\n";
    let fleet = Fleet::new()
        .file("deep/down/tatmig.toml", toml)
        .file("deep/down/docs/m.md", document(&both))
        .file("deep/down/data/s.db", "")
        .file("deep/down/data/users/ann.db", "");
    let run = fleet.run(["upgrade", "--all-users", "--json", "--config", "deep/down/tatmig.toml"]);
    let json = run.status(0).json();
    assert_eq!(json["file"], "deep/down/docs/m.md");
    assert_eq!(json["databases"][0]["path"], "deep/down/data/s.db");
    assert_eq!(json["databases"][1]["path"], "deep/down/data/users/ann.db");
    // A path of a flag is relative to the current directory.
    let run = fleet.run(["status", "--config", "deep/down/tatmig.toml", "--file", "docs/m.md"]);
    run.status(2).stderr_contains("the document `docs/m.md` does not exist");
}

#[test]
fn an_absolute_path_stays_absolute() {
    let fleet = fleet();
    let toml = format!("file = {:?}", fleet.path("by-flag.md"));
    let fleet = fleet.file("elsewhere/tatmig.toml", toml);
    assert_head(&fleet, &["--config", "elsewhere/tatmig.toml"], "4.0.0");
}

#[test]
fn quiet_verbose_and_json() {
    let fleet = fleet().config("json = true");
    fleet.run(["status"]).status(0).json();
    let fleet = fleet.env("TATMIG_JSON", "false");
    fleet.run(["status"]).status(0).stdout_contains("head is 1.0.0");
    fleet.run(["status", "--json"]).status(0).json();
    let fleet = fleet.config("quiet = true");
    fleet.run(["status"]).status(0).stdout("");
    fleet.run(["status", "-v"]).status(0).stdout_contains("ann");
    let fleet = fleet.config("").env("TATMIG_JSON", "true");
    fleet.run(["status"]).status(0).json();
    let fleet = fleet.env("TATMIG_JSON", "false").env("TATMIG_QUIET", "1");
    fleet.run(["status"]).status(0).stdout("");
}

#[test]
fn color_is_used_when_requested() {
    let fleet = Fleet::new();
    let escape_sequence = "\u{1b}[";
    fleet.run(["status"]).status(2).stderr_lacks(escape_sequence);
    fleet.run(["status", "--color", "always"]).status(2).stderr_contains(escape_sequence);
    let fleet = fleet.config("color = \"always\"");
    fleet.run(["status"]).stderr_contains(escape_sequence);
    fleet.run(["status", "--color", "never"]).stderr_lacks(escape_sequence);
    let fleet = fleet.env("TATMIG_COLOR", "never");
    fleet.run(["status"]).stderr_lacks(escape_sequence);
}

#[test]
fn jobs_and_busy_timeout_are_read_from_the_settings_file() {
    let fleet = fleet().config("jobs = 1\nbusy_timeout = 0.05\n");
    let lock = rusqlite::Connection::open(fleet.path("ann_longterm.db")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The lock is held until the end of the test. With the default of ten seconds, the test would
    // take that long.
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("busy");
    let fleet = fleet.env("TATMIG_BUSY_TIMEOUT", "0.01").config("busy_timeout = 3600\n");
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("busy");
    let fleet = fleet.env("TATMIG_BUSY_TIMEOUT", "3600");
    fleet.run(["upgrade", "--all-users", "--busy-timeout", "0"]).status(1).stderr_contains("busy");
}

#[cfg(unix)]
#[test]
fn follow_symlinks_takes_the_most_specific_setting() {
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT);")]);
    let fleet = fleet.database_file("elsewhere.db", "");
    std::os::unix::fs::symlink("elsewhere.db", fleet.path("ann_longterm.db")).unwrap();
    fleet.run(["status"]).status(1);
    let fleet = fleet.config("follow_symlinks = true");
    fleet.run(["status"]).status(0);
    let fleet = fleet.env("TATMIG_FOLLOW_SYMLINKS", "no");
    fleet.run(["status"]).status(1);
    fleet.run(["status", "--follow-symlinks"]).status(0);
}
