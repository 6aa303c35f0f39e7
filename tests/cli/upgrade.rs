//! Tests `upgrade`: which databases it migrates to which version, what it reports, and what it does
//! not change.

use snapbox::str;

use crate::support::{DUPLICATE_NOTES, Fleet, NOTES, document};

fn fleet() -> Fleet {
    Fleet::from_blocks(NOTES).system("").user("ann", "").user("bob", "")
}

#[test]
fn head_names_the_last_released_version() {
    let fleet = Fleet::from_blocks(NOTES).system("").user("ann", "");
    fleet.run(["upgrade", "--all-users", "--to", "head"]).status(0);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
    fleet.run(["stamp", "1.0.0", "--all-users"]).status(0);
    fleet.run(["stamp", "head", "--all-users"]).status(0);
    fleet.run(["status", "--exit-code"]).status(0);
}

#[test]
fn the_system_and_every_user_are_upgraded_to_head() {
    let fleet = fleet();
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(0).stderr("").stdout(str![[r#"
system: created at 1.2.0
2 users: 2 upgraded to 1.2.0

"#]]);
    assert_eq!(fleet.database("system").tables(), ["accounts"]);
    let ann = fleet.database("ann");
    assert_eq!(ann.columns("notes"), ["id", "body", "pinned"]);
    assert_eq!(ann.history(), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
    // The later migrations have no block for the system database; its history is at head anyway.
    assert_eq!(fleet.database("system").version().as_deref(), Some("1.2.0"));
}

#[test]
fn a_second_run_changes_nothing() {
    let fleet = fleet().upgrade_to("1.2.0");
    fleet.run_without_changes(["upgrade", "--all-users"]).status(0).stdout(str![[r#"
system: already at 1.2.0
2 users: 2 already at 1.2.0

"#]]);
}

#[test]
fn a_document_is_replayed_only_if_something_is_pending() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT);"),
        ("user:1.0.0→1.1.0", "UPDATE notes SET missing = 1;"),
    ]);
    let fleet = fleet.user("ann", "CREATE TABLE notes (body TEXT); INSERT INTO notes VALUES ('x')");
    // `stamp` needs a document that can be replayed.
    let broken = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    let fleet = fleet.document(broken.replace("missing = 1", "body = 'y'"));
    fleet.run(["stamp", "1.1.0", "--user", "ann"]).status(0);
    let fleet = fleet.document(broken);
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(0)
        .stdout("ann: already at 1.1.0\n");
    let fleet = fleet.user("bob", "");
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(2)
        .stderr_contains("no such column: missing");
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["x"]);
}

#[test]
fn unnamed_users_are_counted_and_unchanged() {
    let fleet = fleet();
    fleet.run(["upgrade"]).status(0).stdout(str![[r#"
system: created at 1.2.0
2 user databases were not selected; add `--all-users` or `--user NAME`

"#]]);
    assert!(fleet.database("ann").tables().is_empty());
}

#[test]
fn only_named_users_are_migrated() {
    let fleet = fleet().user("cid", "");
    fleet.run(["upgrade", "--user", "ann", "--user", "cid"]).status(0).stdout(str![[r#"
system: created at 1.2.0
2 users: 2 upgraded to 1.2.0

"#]]);
    assert_eq!(fleet.database("ann").tables(), ["notes"]);
    assert!(fleet.database("bob").tables().is_empty());
    assert_eq!(fleet.database("cid").tables(), ["notes"]);
}

#[test]
fn all_users_and_user_are_mutually_exclusive() {
    let run = fleet();
    run.run_without_changes(["upgrade", "--all-users", "--user", "ann"])
        .status(2)
        .stderr_contains("cannot be used with");
}

#[test]
fn aliases_do_the_same() {
    for name in ["up", "migrate"] {
        let fleet = fleet();
        fleet.run([name, "--all-users"]).status(0);
        assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"), "{name}");
    }
}

#[test]
fn to_stops_at_the_target() {
    let fleet = fleet().upgrade_to("1.1.0");
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.1.0"));
    fleet.run(["upgrade", "--all-users"]).status(0).stdout(str![[r#"
system: 1.1.0 → 1.2.0
2 users: 2 upgraded to 1.2.0

"#]]);
}

#[test]
fn a_user_above_the_target_is_reported_and_unchanged() {
    let fleet = fleet();
    fleet.run(["upgrade", "--to", "1.1.0"]).status(0);
    fleet.run(["upgrade", "--user", "ann", "--to", "1.1.0"]).status(0);
    let fleet = fleet.database_file("ann_longterm.db", "INSERT INTO notes (body) VALUES ('kept')");
    fleet.run(["upgrade", "--user", "ann"]).status(0);
    let before = fleet.database("ann").dump();
    fleet.run(["upgrade", "--all-users", "--to", "1.1.0"]).status(0).stderr("").stdout(str![[r#"
system: at 1.2.0, above the target version; not changed
2 users: 1 upgraded to 1.1.0, 1 above 1.1.0
already above 1.1.0, not changed: `ann`

"#]]);
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
}

#[test]
fn a_failing_user_is_reported_with_its_line() {
    let fleet = fleet().upgrade_to("1.1.0").user("ann", DUPLICATE_NOTES);
    let before = fleet.database("ann").dump();
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stdout(str![[r#"
system: 1.1.0 → 1.2.0
2 users: 1 upgraded to 1.2.0, 1 failed
1 database failed and was not changed. Fix the cause and run the command again; databases at 1.2.0 are left unchanged

"#]])
        .stderr(str![[r#"
error[sql]: `ann` (ann_longterm.db): UNIQUE constraint failed: notes.body (in the migration 1.1.0 → 1.2.0)
  --> MIGRATIONS.md:21:33
   |
21 | CREATE UNIQUE INDEX one_body ON notes (body);
   |                                 ^^^^^
   |
   = help: (body = 'tea', first rowid = 1, last rowid = 2, rows = 2); change these rows and run the command again


"#]]);
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.2.0"));

    let fleet = fleet.user("ann", "DELETE FROM notes WHERE id = 2");
    fleet.run(["upgrade", "--all-users"]).status(0).stdout(str![[r#"
system: already at 1.2.0
2 users: 1 upgraded to 1.2.0, 1 already at 1.2.0

"#]]);
    assert_eq!(fleet.database("ann").rows("SELECT * FROM notes"), ["1|tea|0"]);
}

#[test]
fn equal_errors_are_reported_once() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(8, "").upgrade_to("1.1.0");
    let fleet =
        (0..7).fold(fleet, |fleet, index| fleet.user(&format!("u{index:03}"), DUPLICATE_NOTES));
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1).stderr_contains("error[sql]: 7 databases (`u000`, `u001`, `u002`, `u003`, `u004` and 2 more): UNIQUE constraint failed");
    assert_eq!(run.stderr_text().matches("error[").count(), 1);
}

#[test]
fn no_user_is_changed_if_the_system_database_fails() {
    let fleet = Fleet::from_blocks(&[
        ("system:baseline→1.0.0", "CREATE TABLE accounts (name TEXT PRIMARY KEY);"),
        ("system:1.0.0→1.1.0", "CREATE UNIQUE INDEX one_mail ON accounts (mail);"),
        ("user:1.0.0→1.1.0", "CREATE TABLE notes (body);"),
    ]);
    let document = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    let fleet = fleet
        .document(document.replace("name TEXT PRIMARY KEY", "name TEXT PRIMARY KEY, mail TEXT"))
        .system("")
        .user("ann", "")
        .user("bob", "")
        .upgrade_to("1.0.0");
    let fleet = fleet.system("INSERT INTO accounts VALUES ('a', 'x'), ('b', 'x')");
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("error[sql]: `system` (system.db): UNIQUE constraint failed")
        .stderr_contains("MIGRATIONS.md:9:")
        .stdout_contains("system: failed\n2 users: 2 skipped\n")
        .stdout_contains(
            "2 databases skipped, since the system database failed; run the command again\n",
        );
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.0.0"));
}

#[test]
fn fail_fast_starts_no_further_database() {
    let fleet = Fleet::from_blocks(NOTES)
        .system("")
        .users(5, "")
        .upgrade_to("1.1.0")
        .user("u001", DUPLICATE_NOTES);
    let run = fleet.run(["upgrade", "--all-users", "--fail-fast", "--jobs", "1"]);
    run.status(1)
        .stdout_contains("5 users: 1 upgraded to 1.2.0, 1 failed, 3 skipped\n")
        .stdout_contains("3 databases skipped; run the command again\n");
    assert_eq!(fleet.database("u000").version().as_deref(), Some("1.2.0"));
    assert_eq!(fleet.database("u002").version().as_deref(), Some("1.1.0"));
}

#[test]
fn a_failing_canary_stops_the_rest() {
    let fleet = Fleet::from_blocks(NOTES)
        .system("")
        .users(6, "")
        .upgrade_to("1.1.0")
        .user("u001", DUPLICATE_NOTES);
    fleet
        .run(["upgrade", "--all-users", "--canary", "2"])
        .status(1)
        .stdout_contains("6 users: 1 upgraded to 1.2.0, 1 failed, 4 skipped\n");
    assert_eq!(fleet.database("u005").version().as_deref(), Some("1.1.0"));

    let fleet = fleet.user("u001", "DELETE FROM notes");
    fleet.run(["upgrade", "--all-users", "--canary", "2"]).status(0);
    assert_eq!(fleet.database("u005").version().as_deref(), Some("1.2.0"));
}

#[test]
fn a_failure_after_the_canaries_stops_no_other_database() {
    let fleet = Fleet::from_blocks(NOTES)
        .system("")
        .users(4, "")
        .upgrade_to("1.1.0")
        .user("u003", DUPLICATE_NOTES);
    fleet
        .run(["upgrade", "--all-users", "--canary", "1", "--jobs", "1"])
        .status(1)
        .stdout_contains("4 users: 3 upgraded to 1.2.0, 1 failed\n");
}

#[test]
fn invalid_numbers_are_usage_errors() {
    let fleet = fleet();
    for arguments in [
        ["--jobs", "0"],
        ["--jobs", "many"],
        ["--canary", "0"],
        ["--busy-timeout", "soon"],
        ["--busy-timeout", "nan"],
        ["--busy-timeout=-1", "--dry-run"],
        ["--no-such-flag", "x"],
    ] {
        let run = fleet.run_without_changes(["upgrade", arguments[0], arguments[1]]);
        run.status(2).stderr_contains(arguments[0].trim_end_matches("=-1"));
    }
}

#[test]
fn a_document_without_system_blocks_has_no_system_database() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).user("ann", "");
    fleet.run(["upgrade", "--all-users"]).status(0).stdout("ann: created at 1.2.0\n");
    assert!(!fleet.path("system.db").exists());

    let fleet = fleet.database_file("system.db", "CREATE TABLE own (x)").user("bob", "");
    let before = fleet.database("system").dump();
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("system").dump(), before);
}

#[test]
fn a_document_without_user_blocks_has_no_users() {
    let fleet = Fleet::from_blocks(&NOTES[..1]).system("").user("ann", "");
    fleet.run(["upgrade", "--all-users"]).status(0).stdout("system: created at 1.0.0\n");
    assert!(fleet.database("ann").history().is_empty());
}

#[test]
fn no_user_databases_is_reported_and_not_an_error() {
    let fleet = Fleet::from_blocks(NOTES).system("");
    fleet.run(["upgrade", "--all-users"]).status(0).stdout(str![[r#"
system: created at 1.2.0
no user databases found

"#]]);
}

#[test]
fn a_new_database_takes_the_highest_baseline_for_its_scope() {
    let squashed = &[
        ("user:baseline→1.0.0", "CREATE TABLE a (x);"),
        ("user:1.0.0→1.1.0", "CREATE TABLE b (x);"),
        ("user:baseline→1.1.0", "CREATE TABLE a (x);\nCREATE TABLE b (x);"),
        ("user:1.1.0→1.2.0", "CREATE TABLE c (x);"),
    ];
    let fleet = Fleet::from_blocks(squashed).user("ann", "");
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").history(), ["baseline→1.1.0", "1.1.0→1.2.0"]);
    assert_eq!(fleet.database("ann").tables(), ["a", "b", "c"]);

    // The later baseline cannot be used for a version below its own.
    let fleet = fleet.user("bob", "");
    fleet.run(["upgrade", "--user", "bob", "--to", "1.0.0"]).status(0);
    assert_eq!(fleet.database("bob").history(), ["baseline→1.0.0"]);
    fleet.run(["upgrade", "--user", "bob"]).status(0);
    assert_eq!(fleet.database("bob").history(), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
}

#[test]
fn a_baseline_without_a_block_for_the_scope_is_not_used() {
    let fleet = Fleet::from_blocks(&[
        ("system:baseline→1.0.0", "CREATE TABLE s (x);"),
        ("user:baseline→1.0.0", "CREATE TABLE a (x);"),
        ("user:1.0.0→1.1.0", "CREATE TABLE b (x);"),
        ("system:baseline→1.1.0", "CREATE TABLE s (x);"),
    ]);
    let fleet = fleet.system("").user("ann", "");
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("system").history(), ["baseline→1.1.0"]);
    assert_eq!(fleet.database("ann").history(), ["baseline→1.0.0", "1.0.0→1.1.0"]);
}

#[test]
fn planned_migrations_are_never_applied() {
    let planned = document(&[("user:1.2.0→1.3.0", "CREATE TABLE later (x);")]);
    let markdown = format!("{}## 1.2.0 → 1.3.0 (PLANNED)\n\n{planned}", document(NOTES));
    let fleet = fleet().document(markdown);
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("upgraded to 1.2.0");
    assert_eq!(fleet.database("ann").tables(), ["notes"]);
}

#[test]
fn a_planned_heading_inside_a_stray_fence_still_counts() {
    let markdown = "\
# Migrations

## Format

```markdown
## Migration: [from_version] → [to_version]

```sql
-- [system:from_version→to_version:start]
-- the system part
-- [system:from_version→to_version:end]
```
```

## Baseline: 1.0.0

**Date**: 2026-01-02

```sql
-- [system:baseline→1.0.0:start]
CREATE TABLE accounts (name TEXT PRIMARY KEY);
-- [system:baseline→1.0.0:end]
```

```sql
-- [user:baseline→1.0.0:start]
CREATE TABLE notes (body TEXT);
-- [user:baseline→1.0.0:end]
```

## 1.0.0 → 1.1.0

```sql
-- [user:1.0.0→1.1.0:start]
ALTER TABLE notes ADD COLUMN pinned INTEGER;
-- [user:1.0.0→1.1.0:end]
```
";
    let fleet = Fleet::new().document(markdown).system("").users(5, "");
    fleet.run(["lint"]).status(0).stderr_contains("warning[stray-fence]");
    fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stderr_contains("1 warning in MIGRATIONS.md; run `tatmig lint`")
        .stdout_contains("5 users: 5 upgraded to 1.1.0\n");
    assert_eq!(fleet.database("system").tables(), ["accounts"]);
    fleet.run_without_changes(["upgrade", "--all-users"]).status(0);

    // The same if the swallowed heading marks the migrations as planned.
    let planned = markdown.replace("## 1.0.0 → 1.1.0\n", "```\n## 1.0.0 → 1.1.0 (Planned)\n");
    let fleet = Fleet::new().document(planned).system("").user("new", "");
    fleet.run(["upgrade", "--user", "new"]).stdout_contains("new: created at 1.0.0\n");
    assert_eq!(fleet.database("new").columns("notes"), ["body"]);
}

#[test]
fn reverse_blocks_are_not_run_by_an_upgrade() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE a (x);"),
        ("user:1.0.0→1.1.0", "CREATE TABLE b (x);"),
        ("user:1.1.0→1.0.0", "DROP TABLE b;"),
        ("user:1.0.0→baseline", "DROP TABLE a;"),
    ]);
    let fleet = fleet.user("ann", "");
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").history(), ["baseline→1.0.0", "1.0.0→1.1.0"]);
    assert_eq!(fleet.database("ann").tables(), ["a", "b"]);
}

#[test]
fn a_block_of_only_comments_is_recorded() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE a (x);"),
        ("user:1.0.0→1.1.0", "-- nothing for users this time"),
        ("system:baseline→1.0.0", "CREATE TABLE s (x);"),
        ("system:1.0.0→1.1.0", "CREATE TABLE t (x);"),
    ]);
    let fleet = fleet.system("").user("ann", "");
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").history(), ["baseline→1.0.0", "1.0.0→1.1.0"]);
}

#[test]
fn the_order_in_the_document_is_not_the_order_of_versions() {
    let mut blocks = NOTES.to_vec();
    blocks.reverse();
    let fleet = Fleet::from_blocks(&blocks).system("").user("ann", "");
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").history(), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
}

#[test]
fn verbose_names_every_database_and_quiet_prints_nothing() {
    let fleet = fleet();
    fleet.run(["upgrade", "--all-users", "--quiet", "--to", "1.0.0"]).stdout("").stderr("");
    fleet.run(["upgrade", "--all-users", "--verbose"]).status(0).stdout(str![[r#"
system: 1.0.0 → 1.2.0
ann: 1.0.0 → 1.2.0
bob: 1.0.0 → 1.2.0
2 users: 2 upgraded to 1.2.0

"#]]);
    fleet.run(["upgrade", "-q", "-v"]).status(2);
}

#[test]
fn quiet_still_reports_errors() {
    let fleet = fleet().upgrade_to("1.1.0").user("ann", DUPLICATE_NOTES);
    fleet
        .run(["upgrade", "--all-users", "--quiet"])
        .status(1)
        .stdout("")
        .stderr_contains("UNIQUE constraint failed");
}

#[test]
fn the_applied_sql_is_stored_once_in_the_system_database() {
    let fleet = fleet().upgrade_to("1.2.0");
    let sources = fleet.database("system").rows(
        "SELECT scope, from_version, to_version FROM _tatmig_sources ORDER BY scope, to_version",
    );
    assert_eq!(
        sources,
        ["system|baseline|1.0.0", "user|baseline|1.0.0", "user|1.0.0|1.1.0", "user|1.1.0|1.2.0"]
    );
    let user_tables =
        fleet.database("ann").rows("SELECT name FROM sqlite_schema WHERE name LIKE '%sources'");
    assert!(user_tables.is_empty());
}
