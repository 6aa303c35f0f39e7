//! Tests `downgrade`: reverse blocks, users first, and the system database never below a user.

use snapbox::str;

use crate::support::{Fleet, document};

/// Three versions with a reverse block each, and data on which a reverse block may fail.
const REVERSIBLE_BLOCKS: &[(&str, &str)] = &[
    ("system:baseline→1.0.0", "CREATE TABLE accounts (name TEXT PRIMARY KEY);"),
    ("user:baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);"),
    ("user:1.0.0→1.1.0", "ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;"),
    ("user:1.1.0→1.0.0", "ALTER TABLE notes DROP COLUMN pinned;"),
    ("system:1.1.0→1.2.0", "CREATE TABLE audit (what TEXT);"),
    ("system:1.2.0→1.1.0", "DROP TABLE audit;"),
    ("user:1.1.0→1.2.0", "CREATE INDEX by_body ON notes (body);"),
    (
        "user:1.2.0→1.1.0",
        "DROP INDEX by_body;\nCREATE UNIQUE INDEX tmp ON notes (body);\nDROP INDEX tmp;",
    ),
];

const BASELINE_REVERSE_BLOCKS: &[(&str, &str)] = &[
    ("system:1.0.0→baseline", "DROP TABLE accounts;"),
    ("user:1.0.0→baseline", "DROP TABLE notes;"),
];

const DUPLICATE_NOTES: &str = "INSERT INTO notes (body) VALUES ('tea'), ('tea')";

fn fleet() -> Fleet {
    Fleet::from_blocks(REVERSIBLE_BLOCKS)
        .system("")
        .user("ann", "")
        .user("bob", "")
        .upgrade_to("1.2.0")
}

fn indexes(fleet: &Fleet, user: &str) -> Vec<String> {
    fleet.database(user).rows("SELECT name FROM sqlite_schema WHERE type = 'index'")
}

#[test]
fn downgrade_and_upgrade_keep_the_rows() {
    let fleet = fleet().user("ann", "INSERT INTO notes (body, pinned) VALUES ('kept', 1)");
    let before = fleet.database("bob").dump().len();
    fleet
        .run(["downgrade", "--to", "1.0.0", "--all-users", "--no-backup"])
        .status(0)
        .stderr("")
        .stdout("system: 1.2.0 → 1.0.0\n2 users: 2 downgraded to 1.0.0\n");
    assert_eq!(fleet.database("ann").columns("notes"), ["id", "body"]);
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["kept"]);
    assert_eq!(fleet.database("system").tables(), ["accounts"]);
    assert!(indexes(&fleet, "ann").is_empty());
    fleet.run(["verify"]).status(0);

    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("2 upgraded to 1.2.0");
    assert_eq!(fleet.database("ann").rows("SELECT body, pinned FROM notes"), ["kept|0"]);
    assert_eq!(indexes(&fleet, "ann"), ["by_body"]);
    assert_eq!(fleet.database("bob").dump().len(), before + 4, "two events down and two up");
    fleet.run(["verify"]).status(0);
}

#[test]
fn each_step_is_a_history_entry() {
    let fleet = fleet();
    fleet.run(["down", "--to", "1.0.0", "--all-users"]).status(0);
    for name in ["system", "ann"] {
        assert_eq!(
            fleet
                .database(name)
                .rows("SELECT event, from_version, to_version FROM _tatmig_migrations ORDER BY id")
                [3..],
            ["downgrade|1.2.0|1.1.0", "downgrade|1.1.0|1.0.0"]
        );
        let chain = |id: &str| {
            let sql = format!("SELECT chain FROM _tatmig_migrations WHERE id = {id}");
            fleet.database(name).rows(&sql)
        };
        assert_eq!(chain("1"), chain("5"), "the chain is that of 1.0.0 again");
    }
}

#[test]
fn a_number_counts_steps_from_the_highest_version() {
    let fleet = fleet();
    fleet.run(["rollback", "-1", "--user", "ann"]).status(0);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.1.0"));
    fleet.run(["down", "-1", "--all-users"]).status(0).stdout_contains(
        "system: 1.2.0 → 1.1.0\n2 users: 1 downgraded to 1.1.0, 1 already at 1.1.0\n",
    );
    fleet.run(["down", "--steps", "1", "--all-users"]).status(0);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.0.0"));
    fleet
        .run_without_changes(["down", "-2", "--all-users"])
        .status(2)
        .stderr_contains("cannot undo 2 migrations: databases at 1.0.0 have only 1 to undo");
    for wrong in ["1", "-0", "-x", "1.0.0"] {
        fleet.run_without_changes(["down", wrong, "--all-users"]).status(2);
    }
    fleet.run_without_changes(["down", "--all-users"]).status(2).stderr_contains("--to <VERSION>");
    fleet.run_without_changes(["down", "-1", "--to", "1.0.0", "--all-users"]).status(2);
}

#[test]
fn every_missing_reverse_block_is_reported_before_any_change() {
    let blocks: Vec<_> =
        REVERSIBLE_BLOCKS.iter().filter(|(tag, _)| *tag != "user:1.2.0→1.1.0").copied().collect();
    let fleet = fleet().blocks(&blocks);
    fleet.run_without_changes(["down", "--to", "baseline", "--all-users"]).status(2).stderr(str![
        [r#"
error: MIGRATIONS.md has no reverse blocks for some steps down to baseline:
  -- [system:1.0.0→baseline:start]
  -- [user:1.2.0→1.1.0:start]
  -- [user:1.0.0→baseline:start]
no database was changed; add the reverse blocks, or restore a backup (`tatmig backup list`)

"#]
    ]);
    fleet.run_without_changes(["down", "--to", "1.0.0", "--all-users", "--dry-run"]).status(2);
    // A migration without a block for a scope needs no reverse block.
    let fleet = Fleet::from_blocks(&REVERSIBLE_BLOCKS[..3]).system("").upgrade_to("1.1.0");
    fleet.run(["down", "--to", "1.0.0"]).status(0).stdout_contains("system: 1.1.0 → 1.0.0\n");
}

#[test]
fn a_planned_reverse_block_does_not_count() {
    let planned: Vec<_> =
        REVERSIBLE_BLOCKS.iter().filter(|(tag, _)| *tag == "user:1.2.0→1.1.0").collect();
    let rest: Vec<_> =
        REVERSIBLE_BLOCKS.iter().filter(|(tag, _)| *tag != "user:1.2.0→1.1.0").copied().collect();
    let later = document(&[*planned[0]]);
    let markdown = format!("{}## 1.2.0 → 1.1.0 (Planned)\n\n{later}", document(&rest));
    let fleet = fleet().document(markdown);
    fleet
        .run_without_changes(["down", "--to", "1.1.0", "--all-users"])
        .status(2)
        .stderr_contains("-- [user:1.2.0→1.1.0:start]");
}

#[test]
fn downgrade_to_baseline_drops_everything_and_upgrade_recreates_it() {
    let fleet = fleet().blocks(&[REVERSIBLE_BLOCKS, BASELINE_REVERSE_BLOCKS].concat());
    fleet
        .run(["down", "--to", "baseline", "--all-users", "--no-backup"])
        .status(0)
        .stdout("system: 1.2.0 → baseline\n2 users: 2 downgraded to baseline\n");
    assert!(fleet.database("ann").tables().is_empty());
    assert_eq!(fleet.database("ann").version().as_deref(), Some("baseline"));
    fleet
        .run(["down", "--to", "baseline", "--all-users"])
        .status(0)
        .stdout("system: already at baseline\n2 users: 2 already at baseline\n");
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
    fleet.run(["verify"]).status(0);
}

#[test]
fn a_later_baseline_has_its_own_reverse_block() {
    let blocks = [
        ("user:baseline→1.0.0", "CREATE TABLE a (x);"),
        ("user:1.0.0→2.0.0", "CREATE TABLE b (x);"),
        ("user:baseline→2.0.0", "CREATE TABLE a (x);\nCREATE TABLE b (x);"),
        ("user:2.0.0→baseline", "DROP TABLE b;\nDROP TABLE a;"),
    ];
    let fleet = Fleet::from_blocks(&blocks)
        .user("ann", "")
        .upgrade_to("1.0.0")
        .upgrade_to("2.0.0")
        .user("bob", "");
    let fleet = fleet.upgrade_to("2.0.0");
    fleet.run(["down", "--to", "baseline", "--all-users"]).status(0);
    for user in ["ann", "bob"] {
        assert!(fleet.database(user).tables().is_empty());
    }
    fleet.run(["up", "--all-users"]).status(0).stderr("").stdout("2 users: 2 upgraded to 2.0.0\n");
}

#[test]
fn the_system_database_is_never_below_a_user() {
    let fleet = fleet();
    fleet.run_without_changes(["down", "--to", "1.1.0"]).status(2).stderr_contains(
        "the system database would be below 2 users that stay above 1.1.0 (`ann`, `bob`); pass `--all-users`",
    );
    fleet.run(["down", "--to", "1.1.0", "--system", "--user", "ann", "--no-backup"]).status(0).stdout(
        "system: not downgraded, because it would be below 1 user that stays above 1.1.0 (`bob`)\nann: 1.2.0 → 1.1.0\n",
    );
    let json = fleet
        .run(["down", "--to", "1.0.0", "--system", "--user", "ann", "--json"])
        .status(0)
        .json();
    assert!(json["system_skip_reason"].as_str().unwrap().contains("`bob`"));
    assert_eq!(json["databases"].as_array().unwrap().len(), 1);
    assert_eq!(json["databases"][0]["outcome"], "downgraded");
    assert_eq!(json["summary"]["downgraded"], 1);
    assert_eq!(fleet.database("system").version().as_deref(), Some("1.2.0"));
    fleet.run_without_changes(["down", "--to", "1.1.0", "--system"]).status(2).stderr_contains(
        "the system database would be below 1 user that stays above 1.1.0 (`bob`)",
    );
    // Users of another shard count as well.
    for shard in ["1/2", "2/2"] {
        let arguments = ["down", "--to", "1.1.0", "--system", "--shard", shard];
        fleet.run_without_changes(arguments).status(2).stderr_contains("(`bob`)");
    }
    // Once every user is at the version, the system database can be downgraded alone.
    fleet
        .run(["down", "--to", "1.1.0", "--user", "bob", "--no-backup"])
        .status(0)
        .stdout("bob: 1.2.0 → 1.1.0\n");
    assert_eq!(fleet.database("system").version().as_deref(), Some("1.2.0"));
    fleet
        .run(["down", "--to", "1.1.0", "--system", "--no-backup"])
        .status(0)
        .stdout("system: 1.2.0 → 1.1.0\n");
    fleet
        .run(["down", "--to", "1.1.0"])
        .status(0)
        .stdout("system: already at 1.1.0\n2 user databases were not selected; add `--all-users` or `--user NAME`\n");
}

#[test]
fn a_failing_user_keeps_the_system_database_at_its_version() {
    let fleet = fleet().user("ann", DUPLICATE_NOTES);
    let before = fleet.database("ann").dump();
    fleet
        .run(["down", "--to", "1.1.0", "--all-users"])
        .status(1)
        .stdout_contains("system: skipped\n2 users: 1 downgraded to 1.1.0, 1 failed\n")
        .stdout_contains("`ann` was copied to backups/")
        .stdout_contains("--user ann` restores it\n")
        .stderr_contains("UNIQUE constraint failed: notes.body")
        .stderr_contains("MIGRATIONS.md:46:");
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(fleet.database("system").version().as_deref(), Some("1.2.0"));
    let fleet = fleet.user("ann", "DELETE FROM notes");
    fleet.run(["down", "--to", "1.1.0", "--all-users"]).status(0);
    assert_eq!(fleet.database("system").version().as_deref(), Some("1.1.0"));
}

#[test]
fn no_user_is_changed_if_the_system_downgrade_fails() {
    let blocks: Vec<_> = REVERSIBLE_BLOCKS
        .iter()
        .map(|(tag, sql)| match *tag {
            "system:1.2.0→1.1.0" => {
                (*tag, "CREATE UNIQUE INDEX u ON audit (what);\nDROP TABLE audit;")
            }
            _ => (*tag, *sql),
        })
        .collect();
    let fleet = fleet().blocks(&blocks).system("INSERT INTO audit VALUES (1), (1)");
    let before = fleet.database("ann").dump();
    fleet
        .run(["down", "-1", "--all-users"])
        .status(1)
        .stdout_contains("system: failed\n2 users: 2 skipped\n");
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn a_rehearsal_and_a_dry_run_change_no_byte() {
    let fleet = fleet().user("ann", DUPLICATE_NOTES);
    fleet
        .run_without_changes(["down", "--to", "1.0.0", "--all-users", "--rehearse"])
        .status(1)
        .stdout_contains("2 users: 1 rehearsed down to 1.0.0 and rolled back, 1 failed\n");
    let dry = fleet.run_without_changes(["down", "--to", "1.0.0", "--all-users", "--dry-run"]);
    dry.status(0).stderr("").stdout(str![[r#"
-- user 1.2.0 → 1.1.0 (MIGRATIONS.md:44): 2 databases, ann, bob
DROP INDEX by_body;
CREATE UNIQUE INDEX tmp ON notes (body);
DROP INDEX tmp;

-- user 1.1.0 → 1.0.0 (MIGRATIONS.md:20): 2 databases, ann, bob
ALTER TABLE notes DROP COLUMN pinned;

-- system 1.2.0 → 1.1.0 (MIGRATIONS.md:32): 1 database, system
DROP TABLE audit;

-- system 1.1.0 → 1.0.0 (MIGRATIONS.md:20): 1 database, system
-- no block for this scope: recorded in the history only


"#]]);
    let json = fleet.run_without_changes(["down", "-1", "--all-users", "--dry-run", "--json"]);
    assert_eq!(json.status(0).json()["migrations"][0]["to"], "1.1.0");
}

#[test]
fn a_database_below_the_target_is_reported_and_unchanged() {
    let fleet = fleet();
    fleet.run(["down", "--to", "1.0.0", "--user", "ann"]).status(0);
    fleet
        .run(["down", "--to", "1.1.0", "--all-users", "--no-backup"])
        .status(0)
        .stdout("system: 1.2.0 → 1.1.0\n2 users: 1 downgraded to 1.1.0, 1 below 1.1.0\nalready below 1.1.0, not changed: `ann`\n");
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.0.0"));
}

#[test]
fn changed_databases_are_backed_up_first() {
    let fleet = fleet().user("ann", "INSERT INTO notes (body, pinned) VALUES ('kept', 1)");
    let id = {
        let json = fleet.run(["down", "--to", "1.0.0", "--all-users", "--json"]).status(0).json();
        assert_eq!(json["backup"]["databases"], 3);
        json["backup"]["id"].as_str().unwrap().to_owned()
    };
    fleet.run(["restore", &id]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT body, pinned FROM notes"), ["kept|1"]);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
    fleet.run(["status", "--exit-code"]).status(0);
}

#[test]
fn a_reverse_block_that_fails_in_the_replay_is_reported_with_its_line() {
    let blocks: Vec<_> =
        REVERSIBLE_BLOCKS
            .iter()
            .map(|(tag, sql)| {
                if *tag == "user:1.2.0→1.1.0" {
                    (*tag, "DROP INDEX absent;")
                } else {
                    (*tag, *sql)
                }
            })
            .collect();
    let fleet = fleet().blocks(&blocks);
    fleet
        .run_without_changes(["down", "--to", "1.1.0", "--all-users"])
        .status(2)
        .stderr_contains("no such index: absent")
        .stderr_contains("MIGRATIONS.md:45:");
    // It prevents no upgrade.
    fleet.run(["up", "--all-users"]).status(0);
}

#[test]
fn a_downgrade_runs_the_checks_of_an_upgrade() {
    // On a table with other columns the reverse block has another result than in the replay.
    let blocks = [
        ("user:baseline→1.0.0", "CREATE TABLE a (x);"),
        ("user:1.0.0→1.1.0", "DROP TABLE a;"),
        ("user:1.1.0→1.0.0", "CREATE TABLE IF NOT EXISTS a (x);"),
    ];
    let fleet = Fleet::from_blocks(&blocks)
        .user("ann", "")
        .upgrade_to("1.1.0")
        .user("ann", "CREATE TABLE a (y)");
    let before = fleet.database("ann").dump();
    fleet.run(["down", "-1", "--all-users"]).status(1).stderr_contains("column `a.x` is missing");
    assert_eq!(fleet.database("ann").dump(), before);
    fleet
        .run_without_changes(["down", "--to", "9.0.0", "--all-users"])
        .status(2)
        .stderr_contains("version `9.0.0` is not in MIGRATIONS.md");
}

#[test]
fn a_database_with_ignored_objects_only_is_new_in_a_downgrade_too() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE a (id INTEGER PRIMARY KEY);"),
        ("user:1.0.0→1.1.0", "CREATE TABLE b (x);"),
        ("user:1.1.0→1.0.0", "DROP TABLE b;"),
    ]);
    let fleet = fleet
        .user("ann", "")
        .upgrade_to("1.1.0")
        .user("bob", "CREATE TABLE app_cache (x); INSERT INTO app_cache VALUES (1)")
        .file("tatmig.toml", "ignore = [\"app_*\"]\n");
    fleet.run(["downgrade", "--to", "1.0.0", "--all-users"]).status(0).stderr("");
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.0.0"));
    assert_eq!(fleet.database("bob").rows("SELECT x FROM app_cache"), ["1"]);
    assert_eq!(fleet.database("bob").version(), None);
}
