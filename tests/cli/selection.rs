//! Tests `--user`, `--all-users`, `--system` and `--no-system`: they mean the same in every command
//! that acts on databases.

use serde_json::Value;

use crate::support::{Fleet, NOTES, document};

const REVERSE: &[(&str, &str)] = &[
    ("system:1.1.0→1.0.0", "DROP TABLE audit;"),
    ("user:1.1.0→1.0.0", "ALTER TABLE notes DROP COLUMN pinned;"),
    ("system:1.0.0→1.1.0", "CREATE TABLE audit (what TEXT);"),
    ("system:seed:sample", "INSERT INTO accounts VALUES ('ann');"),
    ("user:seed:sample", "INSERT INTO notes (body) VALUES ('tea');"),
];

/// A system database and three users at 1.0.0 of 1.1.0.
fn fleet() -> Fleet {
    Fleet::from_blocks(&[&NOTES[..3], REVERSE].concat())
        .system("")
        .user("ann", "")
        .user("bob", "")
        .user("cid", "")
        .upgrade_to("1.0.0")
}

/// The names of the databases in the JSON document.
#[track_caller]
fn names(json: &Value) -> Vec<String> {
    let databases = json["databases"].as_array().unwrap();
    databases.iter().map(|database| database["name"].as_str().unwrap().to_owned()).collect()
}

/// Asserts that the `selected` databases are at the first version, and the others at the second.
#[track_caller]
fn assert_versions(fleet: &Fleet, selected: &[&str], [first, second]: [&str; 2]) {
    for name in ["system", "ann", "bob", "cid"] {
        let version = if selected.contains(&name) { first } else { second };
        assert_eq!(
            fleet.database(name).version().as_deref(),
            Some(version),
            "{name}, {selected:?}"
        );
    }
}

/// The selections, and the databases that they select in every command.
const SELECTIONS: &[(&[&str], &[&str])] = &[
    (&["--user", "ann"], &["ann"]),
    (&["--user", "ann", "--user", "cid"], &["ann", "cid"]),
    (&["--user", "ann", "--no-system"], &["ann"]),
    (&["--system"], &["system"]),
    (&["--system", "--user", "bob"], &["system", "bob"]),
    (&["--all-users"], &["system", "ann", "bob", "cid"]),
    (&["--all-users", "--system"], &["system", "ann", "bob", "cid"]),
    (&["--all-users", "--no-system"], &["ann", "bob", "cid"]),
];

/// Runs a command with every selection on a fleet of its own, and compares the databases that it
/// acts on. `command` changes databases, as far as it changes any, only where it selects them.
#[track_caller]
fn assert_selections(command: &[&str]) {
    for (selection, expected) in SELECTIONS {
        let fleet = fleet();
        let before = fleet.snapshot_databases();
        let arguments = [command, selection, &["--json"]].concat();
        let run = fleet.run(&arguments);
        run.status(0);
        assert_eq!(names(&run.json()), *expected, "{arguments:?}");
        for (name, bytes) in before {
            if !expected.contains(&name.as_str()) {
                assert!(bytes == fleet.database_bytes(&name), "{arguments:?} changed {name}");
            }
        }
    }
}

impl Fleet {
    fn database_bytes(&self, name: &str) -> Vec<u8> {
        let file = match name {
            "system" => "system.db".to_owned(),
            user => format!("{user}_longterm.db"),
        };
        std::fs::read(self.path(file)).unwrap()
    }

    fn snapshot_databases(&self) -> Vec<(String, Vec<u8>)> {
        let names = ["system", "ann", "bob", "cid"];
        names.map(|name| (name.to_owned(), self.database_bytes(name))).into()
    }
}

#[test]
fn reading_commands_read_what_is_selected() {
    for command in [&["status"] as &[&str], &["verify"], &["history"]] {
        assert_selections(command);
    }
}

#[test]
fn stamp_and_adopt_record_where_it_is_selected() {
    assert_selections(&["stamp", "1.1.0"]);
    assert_selections(&["adopt"]);
}

#[test]
fn a_backup_copies_what_is_selected() {
    assert_selections(&["backup"]);
}

#[test]
fn a_reset_replaces_what_is_selected() {
    assert_selections(&["reset", "--yes", "--no-backup"]);
}

#[test]
fn a_seed_runs_where_it_is_selected() {
    assert_selections(&["seed", "sample"]);
}

#[test]
fn a_downgrade_undoes_what_is_selected() {
    for (selection, expected) in SELECTIONS {
        let fleet = fleet().upgrade_to("1.1.0");
        let users_remain = expected.contains(&"system") && expected.len() < 4;
        let arguments = [&["down", "--to", "1.0.0", "--no-backup", "--json"], *selection].concat();
        let run = fleet.run(&arguments);
        if *expected == ["system"] {
            run.status(2);
            continue;
        }
        let expected: Vec<&str> =
            expected.iter().copied().filter(|name| !users_remain || *name != "system").collect();
        run.status(0);
        assert_eq!(names(&run.json()), expected, "{arguments:?}");
        assert_versions(&fleet, &expected, ["1.0.0", "1.1.0"]);
    }
}

#[test]
fn a_restore_replaces_what_is_selected() {
    for (selection, expected) in SELECTIONS {
        let fleet = fleet();
        fleet.run(["backup", "--all-users"]).status(0);
        let fleet = fleet.upgrade_to("1.1.0");
        let arguments = [&["restore", "latest", "--no-backup", "--json"], *selection].concat();
        let run = fleet.run(&arguments);
        run.status(0);
        assert_eq!(names(&run.json()), *expected);
        assert_versions(&fleet, expected, ["1.0.0", "1.1.0"]);
    }
    let fleet = fleet();
    fleet.run(["backup", "--all-users"]).status(0);
    let json = fleet.run(["restore", "latest", "--json"]).status(0).json();
    assert_eq!(names(&json), ["system", "ann", "bob", "cid"]);
    let json = fleet.run(["restore", "latest", "--no-system", "--json"]).status(0).json();
    assert_eq!(names(&json), ["ann", "bob", "cid"]);
    fleet.run(["backup", "--system"]).status(0);
    fleet
        .run_without_changes(["restore", "latest", "--no-system"])
        .status(2)
        .stderr_contains("holds none of the selected databases");
}

#[test]
fn a_restore_of_a_shard_replaces_the_users_of_that_shard() {
    let fleet = fleet();
    fleet.run(["backup", "--all-users"]).status(0);
    let restored = |shard| {
        let arguments =
            ["restore", "latest", "--no-system", "--no-backup", "--json", "--shard", shard];
        names(&fleet.run(arguments).status(0).json())
    };
    let mut both = [restored("1/2"), restored("2/2")].concat();
    both.sort();
    assert_eq!(both, ["ann", "bob", "cid"]);
}

#[test]
fn an_upgrade_migrates_the_system_database_too_unless_it_is_left_out() {
    for (selection, expected) in SELECTIONS {
        let fleet = fleet();
        let mut expected = expected.to_vec();
        if !selection.contains(&"--no-system") && !expected.contains(&"system") {
            expected.insert(0, "system");
        }
        let arguments = [&["upgrade", "--json"], *selection].concat();
        let run = fleet.run(&arguments);
        run.status(0);
        assert_eq!(names(&run.json()), expected, "{arguments:?}");
        assert_versions(&fleet, &expected, ["1.1.0", "1.0.0"]);
    }
}

#[test]
fn without_a_system_database_users_can_be_upgraded_alone() {
    let fleet = fleet();
    std::fs::remove_file(fleet.path("system.db")).unwrap();
    fleet.run_without_changes(["upgrade", "--user", "ann"]).status(2);
    fleet.run(["upgrade", "--user", "ann", "--no-system"]).status(0).stdout("ann: 1.0.0 → 1.1.0\n");
    fleet.run(["upgrade", "--all-users", "--no-system"]).status(0);
    fleet.run_without_changes(["verify", "--no-system"]).status(0);
}

#[test]
fn init_creates_the_users_named_and_the_system_database_unless_it_is_left_out() {
    let fleet = Fleet::from_blocks(NOTES);
    fleet
        .run(["init", "--user", "ann", "--no-system"])
        .status(0)
        .stdout("ann_longterm.db: created at 1.2.0\n");
    assert!(!fleet.path("system.db").exists());
    fleet.run(["init", "--system"]).status(0).stdout("system.db: created at 1.2.0\n");
    fleet
        .run_without_changes(["init", "--no-system"])
        .status(2)
        .stderr("error: `--no-system` leaves no database; add `--all-users` or `--user NAME`\n");
    fleet.run_without_changes(["init", "--all-users"]).status(2).stderr(
        "error: `init` creates the databases of users that are named; replace `--all-users` with `--user NAME`\n",
    );
    let fleet = fleet.blocks(&NOTES[1..]);
    fleet.run_without_changes(["init", "--system"]).status(2).stderr_contains("no system block");
}

#[test]
fn without_a_selection_reading_commands_take_everything_and_others_the_system_database() {
    for command in ["status", "verify"] {
        let json = fleet().run_without_changes([command, "--json"]).status(0).json();
        assert_eq!(names(&json), ["system", "ann", "bob", "cid"], "{command}");
        let json = fleet().run_without_changes([command, "--no-system", "--json"]).status(0).json();
        assert_eq!(names(&json), ["ann", "bob", "cid"], "{command}");
    }
    let left = "3 user databases were not selected; add `--all-users` or `--user NAME`\n";
    for command in [
        &["upgrade"] as &[&str],
        &["stamp", "1.0.0"],
        &["adopt"],
        &["seed", "sample"],
        &["backup"],
        &["reset", "--yes"],
    ] {
        fleet().run(command).status(0).stdout_contains(left);
        // Who selects the system database knows about the users.
        let run = [command, &["--system"]].concat();
        fleet().run(run).status(0).stdout_lacks("not selected");
        let none = [command, &["--no-system"]].concat();
        fleet().run_without_changes(none).status(2).stderr(
            "error: `--no-system` leaves no database; add `--all-users` or `--user NAME`\n",
        );
    }
    fleet().run_without_changes(["history", "--no-system"]).status(2);
}

#[test]
fn options_that_contradict_each_other_are_wrong_usage() {
    let fleet = fleet();
    for command in [
        &["status"] as &[&str],
        &["history"],
        &["verify"],
        &["upgrade"],
        &["downgrade", "-1"],
        &["adopt"],
        &["stamp", "1.0.0"],
        &["seed", "sample"],
        &["backup"],
        &["restore", "latest"],
        &["reset"],
        &["init"],
    ] {
        for (selection, other) in [
            (["--system", "--no-system"], "--no-system"),
            (["--all-users", "--user=ann"], "--user"),
        ] {
            let run = fleet.run_without_changes([command, &selection].concat());
            run.status(2).stderr_contains("cannot be used with").stderr_contains(other);
        }
    }
}

#[test]
fn what_the_document_has_no_blocks_for_cannot_be_selected_by_name() {
    let users_only = Fleet::from_blocks(&NOTES[1..]).user("ann", "");
    let system_only = Fleet::from_blocks(&NOTES[..1]).system("");
    for command in [
        &["status"] as &[&str],
        &["history"],
        &["verify"],
        &["upgrade"],
        &["downgrade", "-1"],
        &["adopt"],
        &["stamp", "1.0.0"],
        &["backup"],
        &["reset"],
    ] {
        users_only
            .run_without_changes([command, &["--system"]].concat())
            .status(2)
            .stderr_contains("the document has no system block, so it has no system database");
        system_only
            .run_without_changes([command, &["--user", "ann"]].concat())
            .status(2)
            .stderr_contains("the document has no user block, so it has no user databases");
    }
    let fleet = Fleet::from_blocks(&[NOTES[0], NOTES[1], REVERSE[4]]).system("").user("ann", "");
    fleet
        .run_without_changes(["seed", "sample", "--system"])
        .status(2)
        .stderr("error: the seed `sample` has no system block; remove `--system`\n");
}

#[test]
fn a_similar_user_is_suggested() {
    let fleet = fleet().user("Charlotte", "");
    for (name, suggestion) in [
        ("charlote", "; did you mean `Charlotte`?\n"),
        ("Ann", "; did you mean `ann`?\n"),
        ("dora", "; `tatmig init --user dora` creates it\n"),
        ("a b", "; `tatmig init --user NAME` creates it\n"),
        ("a/b", "`bob`, `cid`\n"),
    ] {
        let run = fleet.run_without_changes(["status", "--user", name]);
        run.status(2).stderr_contains(&format!("no database of user `{name}` in `/"));
        run.stderr_contains(suggestion);
    }
    let two = fleet.run_without_changes(["upgrade", "--user", "dora", "--user", "eve"]);
    two.status(2).stderr_contains("; `tatmig init --user dora --user eve` creates them\n");
    // `restore` creates databases, so a missing user is one that the backup lacks.
    fleet.run(["backup", "--all-users"]).status(0);
    fleet.run_without_changes(["restore", "latest", "--user", "dora"]).status(2);
}

#[test]
fn a_user_of_another_shard_is_not_offered_for_creation() {
    let fleet = fleet();
    let run = |shard| fleet.run(["status", "--user", "ann", "--shard", shard]).stderr_text();
    let refused: String = [run("1/2"), run("2/2")].concat();
    assert!(refused.contains("; `--shard` leaves `ann` to another run\n"), "{refused}");
    assert!(!refused.contains("tatmig init"), "{refused}");
}

#[test]
fn a_canary_needs_users() {
    let fleet = fleet();
    for arguments in
        [&["upgrade", "--canary", "1"] as &[&str], &["upgrade", "--system", "--canary", "1"]]
    {
        fleet.run_without_changes(arguments).status(2).stderr(
            "error: `--canary` migrates some of the selected users first; add `--all-users`\n",
        );
    }
    for (arguments, reason) in [
        (["upgrade", "--user", "ann", "--canary", "1"], "and 1 is selected; use `--all-users`"),
        (["upgrade", "--user", "ann", "--canary", "7"], "and 1 is selected; use `--all-users`"),
    ] {
        fleet.run_without_changes(arguments).status(2).stderr_contains(reason);
    }
    fleet.run(["upgrade", "--canary", "1", "--all-users"]).status(0);
    fleet.run(["upgrade", "--canary", "1", "--user", "ann", "--user", "bob"]).status(0);
}

#[test]
fn verify_prints_findings_of_what_is_selected_also_with_quiet() {
    let fleet = fleet().user("bob", "CREATE TABLE own (x)");
    fleet.run_without_changes(["verify", "--user", "ann"]).status(0);
    fleet.run_without_changes(["verify", "--system", "-q"]).status(0).stdout("").stderr("");
    let run = fleet.run_without_changes(["verify", "--user", "bob", "-q"]);
    run.status(1).stderr_contains("1 user (`bob`): 1 finding\n").stderr_contains("`own`");
    fleet.run_without_changes(["verify", "-q"]).status(1).stderr_contains("`own`");
}

#[test]
fn adopt_at_a_version_overrules_the_history_only_of_databases_that_are_named() {
    let version = |fleet: &Fleet, name: &str| fleet.database(name).version();
    for selection in [&["--all-users"] as &[&str], &[], &["--all-users", "--system"]] {
        let fleet = fleet();
        fleet.run([&["adopt", "--at", "1.1.0"], selection].concat()).status(0);
        assert_eq!(version(&fleet, "ann").as_deref(), Some("1.0.0"), "{selection:?}");
        assert_eq!(version(&fleet, "system").as_deref(), Some("1.0.0"), "{selection:?}");
    }
    let fleet = fleet();
    fleet.run(["adopt", "--at", "1.1.0", "--system"]).status(0);
    assert_eq!(version(&fleet, "system").as_deref(), Some("1.1.0"));
    fleet.run(["adopt", "--at", "1.1.0", "--user", "ann"]).status(0);
    assert_eq!(version(&fleet, "ann").as_deref(), Some("1.1.0"));
    assert_eq!(version(&fleet, "bob").as_deref(), Some("1.0.0"));
}

#[test]
fn a_wrong_directory_is_reported_by_every_command_on_users() {
    let fleet = Fleet::new().document(document(&[&NOTES[..1], &NOTES[1..]].concat()));
    let fleet =
        fleet.system("").directory("empty").database_file("empty/ann.db", "CREATE TABLE t (a)");
    for command in [
        &["status"] as &[&str],
        &["verify"],
        &["history", "--all-users"],
        &["upgrade", "--all-users", "--dry-run"],
        &["adopt", "--all-users"],
        &["stamp", "1.0.0", "--all-users"],
        &["backup", "--all-users"],
        &["reset", "--all-users", "--yes", "--no-backup"],
    ] {
        let run = fleet.copy().system("").directory("empty");
        let run = run.database_file("empty/ann.db", "CREATE TABLE t (a)");
        let arguments = [command, &["--users-dir", "empty"]].concat();
        let run = run.run(&arguments);
        run.status(1)
            .stderr_contains("error: no user database in `/")
            .stderr_contains("near misses: `ann.db`");
        let missing = [command, &["--users-dir", "nowhere"]].concat();
        fleet.run_without_changes(missing).status(2).stderr_contains("the users directory `/");
    }
    // Who selects the system database alone needs no users directory.
    fleet.run(["upgrade", "--system", "--users-dir", "nowhere"]).status(0).stderr("");
}

#[test]
fn users_without_databases_leave_nothing_to_do() {
    let commands: [&[&str]; 5] = [
        &["backup", "--all-users"],
        &["reset", "--all-users", "--yes"],
        &["downgrade", "-1", "--all-users"],
        &["redo", "--all-users"],
        &["verify", "--all-users"],
    ];
    for command in commands {
        let fleet = Fleet::from_blocks(&NOTES[1..]);
        fleet.run_without_changes(command).status(0).stderr_contains("no user database in");
        // Another database in the directory is a sign of a wrong directory or pattern.
        let fleet = fleet.database_file("ann.db", "CREATE TABLE t (x);");
        fleet.run_without_changes(command).status(1).stderr_contains("near misses: `ann.db`");
        fleet.run_without_changes([command, &["--json"]].concat()).status(1).json();
    }
}
