//! Tests `upgrade --create`: it creates and migrates the databases of the named users that do not
//! exist, and upgrades those that do.

use crate::support::{DUPLICATE_NOTES, Fleet, NOTES};

/// Ann and bob are at 1.1.0.
fn fleet() -> Fleet {
    Fleet::from_blocks(NOTES).system("").user("ann", "").user("bob", "").upgrade_to("1.1.0")
}

#[test]
fn it_creates_and_migrates_a_missing_database_and_upgrades_an_existing_one() {
    let fleet = fleet();
    fleet
        .run(["upgrade", "--create", "dora", "--create", "ann", "--create", "dora"])
        .status(0)
        .stderr("")
        .stdout_contains("2 users: 2 upgraded to 1.2.0\n");
    for (user, version) in [("dora", "1.2.0"), ("ann", "1.2.0"), ("bob", "1.1.0")] {
        assert_eq!(fleet.database(user).version().as_deref(), Some(version), "{user}");
    }
    fleet.run(["upgrade", "--create", "eve"]).status(0).stdout_contains("eve: created at 1.2.0\n");
    // The second time there is nothing to do.
    fleet
        .run_without_changes(["upgrade", "--create", "dora"])
        .status(0)
        .stdout_contains("dora: already at 1.2.0\n");
    fleet.run(["upgrade", "--create", "fay", "--user", "bob"]).status(0);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.2.0"));
}

#[test]
fn the_system_database_is_migrated_first_unless_it_is_left_out() {
    let blocks: Vec<_> =
        NOTES.iter().copied().chain([("system:1.0.0→1.1.0", "CREATE TABLE more (x);")]).collect();
    let fleet = Fleet::from_blocks(NOTES).system("").upgrade_to("1.0.0").blocks(&blocks);
    fleet.run(["upgrade", "--create", "ann", "--no-system"]).status(0);
    assert_eq!(fleet.database("system").version().as_deref(), Some("1.0.0"));
    fleet.run(["upgrade", "--create", "bob"]).status(0);
    assert!(fleet.database("system").tables().contains(&"more".to_owned()));
    // If it fails, no user's database is created.
    let failing = [("system:1.0.0→1.1.0", "INSERT INTO accounts VALUES ('x');")];
    let blocks: Vec<_> = NOTES.iter().copied().chain(failing).collect();
    let fleet = Fleet::from_blocks(NOTES).system("").upgrade_to("1.0.0");
    let fleet = fleet.system("INSERT INTO accounts VALUES ('x')").blocks(&blocks);
    fleet
        .run(["upgrade", "--create", "ann"])
        .status(1)
        .stderr_contains("UNIQUE constraint failed: accounts.name")
        .stdout_contains("system: failed\nann: skipped\n");
    assert_eq!(fleet.database("system").version().as_deref(), Some("1.0.0"));
    assert!(!fleet.path("ann_longterm.db").exists());
}

#[test]
fn a_version_below_head_and_a_failure_leave_what_was_asked_for() {
    let fleet = fleet();
    fleet.run(["upgrade", "--create", "dora", "--to", "1.0.0"]).status(0);
    assert_eq!(fleet.database("dora").version().as_deref(), Some("1.0.0"));
    let fleet = fleet.user("ann", DUPLICATE_NOTES);
    let run = fleet.run(["upgrade", "--create", "ann", "--create", "eve"]);
    run.status(1).stdout_contains("2 users: 1 upgraded to 1.2.0, 1 failed\n");
    assert_eq!(fleet.database("eve").version().as_deref(), Some("1.2.0"));
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.1.0"));
    let run = fleet.run(["upgrade", "--create", "ann", "--create", "fay", "--fail-fast"]);
    run.status(1).stdout_contains("1 failed, 1 skipped");
    assert!(!fleet.path("fay_longterm.db").exists());
}

#[test]
fn a_dry_run_says_what_it_would_create_and_creates_nothing() {
    let fleet = fleet();
    let run = fleet.run_without_changes(["upgrade", "--create", "dora", "--dry-run"]);
    run.status(0)
        .stderr_contains("`dora` has no database; the run would create `dora_longterm.db`\n")
        .stdout_contains("CREATE TABLE notes");
    let json = fleet
        .run_without_changes(["upgrade", "--create", "dora", "--dry-run", "--json"])
        .status(0)
        .json();
    let dora = json["databases"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(dora["name"], "dora");
    assert_eq!(dora["outcome"], "planned");
}

#[test]
fn json_names_a_created_database_like_any_other() {
    let fleet = fleet();
    let json = fleet.run(["upgrade", "--create", "dora", "--json"]).status(0).json();
    let dora = json["databases"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(dora["name"], "dora");
    assert_eq!(dora["outcome"], "upgraded");
    assert_eq!(dora["from"], "baseline");
    // The no-op of the system database is recorded too.
    assert_eq!(json["summary"]["upgraded"], 2);
    let lines = fleet.run(["upgrade", "--create", "eve", "--json-lines"]).status(0).stdout_text();
    assert!(lines.contains("\"name\":\"eve\""), "{lines}");
}

#[test]
fn a_path_template_and_missing_directories_are_used() {
    let fleet = Fleet::from_blocks(NOTES).system("");
    let fleet = fleet
        .config("users_dir = \"users\"\nuser_pattern = \"{sha256:2}/{username}/store.sqlite\"");
    fleet.run(["upgrade", "--create", "ann"]).status(0);
    assert!(fleet.path("users/49/ann/store.sqlite").is_file());
    fleet.run(["status", "--exit-code"]).status(0).stdout_contains("ann");
    let wildcard = fleet.config("users_dir = \"users\"\nuser_pattern = \"*/{username}.db\"");
    wildcard
        .run_without_changes(["upgrade", "--create", "bob"])
        .status(2)
        .stderr_contains("--path");
}

#[test]
fn only_what_exists_is_backed_up_first() {
    let fleet = fleet().config("backup = true");
    let json =
        fleet.run(["upgrade", "--create", "dora", "--create", "ann", "--json"]).status(0).json();
    let copies: Vec<bool> = json["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|database| database["copy"].is_string())
        .collect();
    let names: Vec<&str> = json["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|database| database["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["system", "ann", "dora"]);
    assert!(copies[1] && !copies[2], "{json}");
}

#[test]
fn names_and_combinations_that_cannot_be_are_refused() {
    let fleet = fleet();
    for name in ["../eve", "a/b", ""] {
        fleet
            .run_without_changes(["upgrade", "--create", name])
            .status(2)
            .stderr_contains("is not a valid user name");
    }
    for (flag, reason) in [
        ("--all-users", "`--create` cannot be used with `--all-users`"),
        ("--rehearse", "`--create` cannot be used with `--rehearse`"),
        ("--all-or-nothing", "`--create` cannot be used with `--all-or-nothing`"),
    ] {
        fleet
            .run_without_changes(["upgrade", "--create", "dora", flag])
            .status(2)
            .stderr_contains(reason);
    }
    let no_users = Fleet::from_blocks(&NOTES[..1]).system("");
    no_users
        .run_without_changes(["upgrade", "--create", "ann"])
        .status(2)
        .stderr_contains("no user block");
}

#[cfg(unix)]
#[test]
fn what_is_no_database_in_the_place_of_one_is_refused() {
    let fleet = fleet().directory("dora_longterm.db");
    std::os::unix::fs::symlink("ann_longterm.db", fleet.path("eve_longterm.db")).unwrap();
    for name in ["dora", "eve"] {
        let run = fleet.run(["upgrade", "--create", name]);
        assert!(run.has_status(&[1, 2]), "{name}: {}", run.describe());
        assert_eq!(fleet.database("ann").version().as_deref(), Some("1.1.0"), "{name}");
    }
}
