//! Tests the keys of `tatmig.toml` that change what `upgrade` covers, what it does first, and which
//! databases it refuses.

use crate::support::{Fleet, NOTES, document};

/// The new release: one version more than [`NOTES`] up to 1.1.0.
const NEW_RELEASE: (&str, &str) = ("system:1.1.0→2.0.0", "CREATE TABLE audit (what TEXT);");

/// The system database and `ann` at 2.0.0 of the new release, `bob` at 1.0.0, and the document of
/// the old release, whose head is 1.1.0.
fn rolling_deployment() -> Fleet {
    let fleet = Fleet::from_blocks(&NOTES[..3]).system("").user("bob", "").upgrade_to("1.0.0");
    let fleet = fleet.blocks(&[&NOTES[..3], &[NEW_RELEASE]].concat()).user("ann", "");
    fleet.run(["upgrade", "--user", "ann"]).status(0);
    fleet.blocks(&NOTES[..3])
}

#[test]
fn a_version_above_head_is_refused_by_default() {
    for config in ["", "ahead = \"refuse\""] {
        let fleet = rolling_deployment().config(config);
        fleet
            .run_without_changes(["upgrade", "--all-users"])
            .status(1)
            .stderr_contains("version `2.0.0`, which is not in the document (head is `1.1.0`)")
            .stdout_contains("2 users: 2 skipped");
        fleet.run_without_changes(["status"]).status(1);
        fleet.run_without_changes(["verify"]).status(1);
    }
}

#[test]
fn a_version_above_head_can_be_allowed() {
    let fleet = rolling_deployment().config("ahead = \"allow\"");
    let before = fleet.database("ann").dump();
    fleet.run_without_changes(["status"]).status(0).stderr("").stdout(
        "MIGRATIONS.md: head is 1.1.0\n\
         system  2.0.0     ahead of head 1.1.0, which is allowed\n\
         ann     2.0.0     ahead of head 1.1.0, which is allowed\n\
         bob     1.0.0     behind, pending 1.1.0\n",
    );
    fleet.run_without_changes(["status", "--exit-code"]).status(3);
    fleet.run_without_changes(["upgrade", "--all-users", "--dry-run"]).status(0).stderr("");
    fleet.run_without_changes(["upgrade", "--all-users", "--rehearse"]).status(0).stderr("");
    fleet.run(["upgrade", "--all-users"]).status(0).stderr("").stdout(
        "system: at 2.0.0, above the target version; not changed\n\
         2 users: 1 upgraded to 1.1.0, 1 above 1.1.0\n\
         already above 1.1.0, not changed: `ann`\n",
    );
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
    assert_eq!(fleet.database("ann").dump(), before);
    fleet.run_without_changes(["status", "--exit-code"]).status(0);
    let verify = fleet.run_without_changes(["verify", "--user", "ann"]);
    verify.status(0).stdout_contains("1 user (`ann`): OK, newer than MIGRATIONS.md\n  note: ");
    let json = fleet.run(["status", "--json"]).status(0).json();
    assert_eq!(json["databases"][0]["state"], "ahead");
    assert!(json["databases"][0]["error"].is_null());
    assert_eq!(json["summary"]["ahead"], 2);
}

#[test]
fn a_planned_version_is_above_head() {
    let planned = "## 1.1.0 → 2.0.0 (Planned)\n\n```sql\n-- [system:1.1.0→2.0.0:start]\n-- SELECT 1;\n-- [system:1.1.0→2.0.0:end]\n```\n";
    let fleet = rolling_deployment().document(document(&NOTES[..3]) + planned);
    fleet.run_without_changes(["upgrade", "--all-users"]).status(1);
    let fleet = fleet.config("ahead = \"allow\"");
    fleet.run(["upgrade", "--all-users"]).status(0).stderr("");
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
}

#[test]
fn what_is_not_above_head_is_refused_even_if_ahead_is_allowed() {
    for version in ["1.0.5", "junk"] {
        let fleet = rolling_deployment().config("ahead = \"allow\"");
        let sql = format!("UPDATE _tatmig_migrations SET to_version = '{version}' WHERE id = 3");
        let fleet = fleet.user("ann", &sql);
        fleet
            .run(["upgrade", "--all-users"])
            .status(1)
            .stderr_contains(&format!("version `{version}`, which is not in the document"));
        fleet.run_without_changes(["status"]).status(1);
    }
    // Downgrades need to know the version.
    let fleet = rolling_deployment().config("ahead = \"allow\"");
    fleet.run_without_changes(["downgrade", "--to", "1.0.0", "--user", "ann"]).status(1);
}

#[test]
fn an_invalid_value_of_ahead_is_an_error() {
    let fleet = rolling_deployment().config("ahead = \"maybe\"");
    fleet
        .run_without_changes(["status"])
        .status(2)
        .stderr_contains("expected one of `refuse`, `allow`");
}

#[test]
fn all_users_makes_upgrade_cover_everything_unless_databases_are_named() {
    let fleet = || {
        let fleet = Fleet::from_blocks(NOTES).system("").user("ann", "").user("bob", "");
        fleet.config("all_users = true")
    };
    let upgraded = |fleet: &Fleet| {
        ["system", "ann", "bob"].map(|name| fleet.database(name).version().is_some())
    };
    for (arguments, expected) in [
        (&["upgrade"] as &[&str], [true, true, true]),
        (&["upgrade", "--canary", "1"], [true, true, true]),
        (&["upgrade", "--no-system"], [false, true, true]),
        (&["upgrade", "--system"], [true, false, false]),
        (&["upgrade", "--user", "ann"], [true, true, false]),
        (&["upgrade", "--user", "ann", "--no-system"], [false, true, false]),
    ] {
        let fleet = fleet();
        fleet.run(arguments).status(0).stdout_lacks("not selected");
        assert_eq!(upgraded(&fleet), expected, "{arguments:?}");
    }
    // Other commands keep their default.
    let fleet = fleet();
    fleet.run(["stamp", "1.0.0"]).status(0).stdout_contains("2 user databases were not selected");
    assert_eq!(upgraded(&fleet), [true, false, false]);
    let fleet = fleet.config("all_users = false");
    fleet.run(["upgrade"]).status(0).stdout_contains("2 user databases were not selected");
}

#[test]
fn backup_makes_upgrade_back_up_first() {
    let fleet = Fleet::from_blocks(NOTES).system("").user("ann", "").upgrade_to("1.0.0");
    let fleet = fleet.config("backup = true");
    fleet.run_without_changes(["upgrade", "--all-users", "--dry-run"]).status(0);
    fleet.run_without_changes(["upgrade", "--all-users", "--rehearse"]).status(0);
    let run = fleet.copy().config("backup = true");
    let run = run.run(["upgrade", "--all-users", "--no-backup"]);
    run.status(0).stdout_lacks("copied to");
    fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stdout_contains("2 databases copied to backups/");
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
    fleet.run(["restore", "latest", "--no-backup"]).status(0);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.0.0"));
    // A database that cannot be copied is not changed.
    let fleet = fleet.copy().config("backup = true").file("backups", "not a directory");
    fleet.run_without_changes(["upgrade", "--all-users"]).status(2);
    fleet.run(["upgrade", "--all-users", "--no-backup"]).status(0);
}

#[test]
fn an_ignored_object_is_ignored_by_every_command() {
    let own = "CREATE TABLE tmp_own (x); CREATE TABLE _litestream_seq (id); INSERT INTO tmp_own VALUES (7)";
    let config = "ignore = [\"tmp_*\"]";
    let new = || Fleet::from_blocks(&NOTES[..3]).system(own).user("ann", own).config(config);
    let fleet = new();
    fleet.run_without_changes(["status"]).status(0).stdout_contains("ann     -         new, ");
    fleet.run_without_changes(["upgrade", "--all-users", "--dry-run"]).status(0).stderr("");
    fleet.run_without_changes(["upgrade", "--all-users", "--rehearse"]).status(0).stderr("");
    fleet.run(["upgrade", "--all-users"]).status(0).stderr("");
    fleet.run_without_changes(["verify"]).status(0).stdout_lacks("tmp_own");
    fleet.run_without_changes(["status", "--exit-code"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT x FROM tmp_own"), ["7"]);
    // Each reads the schema of a database that holds nothing else.
    for command in [
        &["adopt", "--at", "baseline", "--all-users"] as &[&str],
        &["stamp", "baseline", "--all-users"],
    ] {
        let fleet = new();
        fleet.run(command).status(0).stdout_lacks("tmp_own");
        fleet.run(["upgrade", "--all-users"]).status(0).stderr("");
        fleet.run_without_changes(["verify"]).status(0);
    }
    new().run_without_changes(["adopt", "--at", "1.0.0", "--all-users"]).status(1);
}
