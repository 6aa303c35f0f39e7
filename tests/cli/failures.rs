//! Tests how failures of databases are shown: once for each cause, at the statement of the document,
//! with what to do.

use crate::support::{Fleet, NOTES};

const TABLE: (&str, &str) =
    ("user:baseline→1.0.0", "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, n TEXT);");

/// A rebuild of the table; its statements are in lines 9 to 12.
fn rebuild(copy: &str) -> String {
    format!(
        "CREATE TABLE t_new (id INTEGER PRIMARY KEY AUTOINCREMENT, n TEXT);\n{copy}\nDROP TABLE t;\nALTER TABLE t_new RENAME TO t;"
    )
}

fn fleet(copy: &str, rows: &str) -> Fleet {
    let sql = rebuild(copy);
    let fleet =
        Fleet::from_blocks(&[TABLE, ("user:1.0.0→1.1.0", &sql)]).user("ann", "").user("bob", "");
    fleet.upgrade_to("1.0.0").user("ann", rows).user("bob", rows)
}

#[test]
fn the_loss_of_rows_is_reported_once_at_the_statement_that_drops_the_table() {
    let fleet = fleet(
        "INSERT INTO t_new SELECT id, n FROM t WHERE n IS NOT NULL;",
        "INSERT INTO t (n) VALUES (NULL), ('x')",
    );
    let before = fleet.database("ann").dump();
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1)
        .stderr_contains("error[row-loss]: 2 databases (`ann`, `bob`): table `t` had 2 rows")
        .stderr_contains("--> MIGRATIONS.md:11:1\n")
        .stderr_contains("11 | DROP TABLE t;");
    assert_eq!(run.stderr_text().matches("error[").count(), 1, "{}", run.describe());
    assert_eq!(fleet.database("ann").dump(), before);
    let json = fleet.run(["upgrade", "--all-users", "--json"]).status(1).json();
    let error = &json["databases"][0]["error"];
    assert_eq!((&error["rule"], &error["line"]), (&"row-loss".into(), &11.into()), "{json}");
}

#[test]
fn a_lowered_counter_is_reported_at_the_statement_that_drops_the_table() {
    let fleet = fleet(
        "INSERT INTO t_new SELECT id, n FROM t;",
        "INSERT INTO t (n) VALUES ('x'), ('y'); DELETE FROM t WHERE id = 2",
    );
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1)
        .stderr_contains("error[counter-reset]: 2 databases (`ann`, `bob`)")
        .stderr_contains("--> MIGRATIONS.md:11:1\n");
    assert_eq!(fleet.database("bob").rows("SELECT n FROM t"), ["x"]);
}

#[test]
fn a_dry_run_shows_each_cause_once_with_the_statements_as_the_upgrade_does() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(3, "").upgrade_to("1.1.0");
    let edited = "ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 1;";
    let mut blocks = NOTES.to_vec();
    blocks[2].1 = edited;
    let fleet = fleet.blocks(&blocks);
    for arguments in
        [&["upgrade", "--all-users", "--dry-run"] as &[&str], &["upgrade", "--all-users"]]
    {
        let copy = fleet.copy();
        let run = copy.run(arguments);
        run.status(1).stderr_contains("error[edited]: 3 databases (`u000`, `u001`, `u002`): ");
        let stderr = run.stderr_text();
        assert_eq!(stderr.matches("error[").count(), 1, "{stderr}");
        assert_eq!(stderr.contains("now: "), stderr.contains("as applied: "), "{stderr}");
        assert!(!arguments.contains(&"--dry-run") || stderr.contains("1.0.0 → 1.1.0"), "{stderr}");
    }
    let shown = |arguments: &[&str]| {
        let copy = fleet.copy();
        let run = copy.run(arguments);
        let text = run.stderr_text();
        text.lines().filter(|line| line.contains("now: ") || line.contains("as applied: ")).count()
    };
    assert_eq!(shown(&["upgrade", "--all-users", "--dry-run"]), shown(&["upgrade", "--all-users"]));
}

#[test]
fn prune_says_how_the_only_backup_at_a_version_is_removed() {
    let fleet = Fleet::from_blocks(NOTES).system("").user("ann", "").upgrade_to("1.0.0");
    fleet.run(["backup", "--all-users"]).status(0);
    fleet
        .run_without_changes(["backup", "prune", "--keep", "0"])
        .status(0)
        .stdout_contains("0 backups removed (0 B), 1 kept\n")
        .stdout_contains("each the only backup of a database at that version: ")
        .stdout_contains("to remove one all the same, delete its directory in `backups`\n");
}

#[test]
fn a_database_that_was_changed_by_hand_names_the_version_to_record() {
    let baseline = ("user:baseline→1.0.0", "CREATE TABLE t (a);");
    let rename = ("user:1.0.0→1.1.0", "ALTER TABLE t RENAME COLUMN a TO b;");
    let later = ("user:1.1.0→1.2.0", "CREATE TABLE w (y);");
    let fleet = Fleet::from_blocks(&[baseline]).user("ann", "").user("bob", "").upgrade_to("1.0.0");
    let by_hand = "INSERT INTO t VALUES (7); ALTER TABLE t RENAME COLUMN a TO b";
    let fleet = fleet.user("ann", by_hand).blocks(&[baseline, rename, later]);
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1).stderr_contains("the schema of this database is that of 1.1.0 already");
    run.stderr_contains("record the version with `tatmig stamp 1.1.0 --user NAME`");
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.2.0"));
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.0.0"));
    fleet.run(["stamp", "1.1.0", "--user", "ann"]).status(0);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT b FROM t"), ["7"]);
}

#[test]
fn a_failed_change_of_rows_names_no_other_version() {
    let baseline = ("system:baseline→1.0.0", "CREATE TABLE t (a UNIQUE);");
    let rows = ("system:1.0.0→1.1.0", "UPDATE t SET a = json(a);");
    let fleet = Fleet::from_blocks(&[baseline]).system("").upgrade_to("1.0.0");
    let fleet = fleet.system("INSERT INTO t VALUES ('no json')").blocks(&[baseline, rows]);
    let run = fleet.run(["upgrade"]);
    run.status(1).stderr_contains("malformed JSON").stderr_lacks("already").stderr_lacks("stamp");
    let added = ("system:1.0.0→1.1.0", "CREATE TABLE u (b);");
    let fleet = fleet.system("CREATE TABLE u (b)").blocks(&[baseline, added]);
    let run = fleet.run(["upgrade"]);
    run.status(1)
        .stderr_contains("is that of 1.1.0 already")
        .stderr_contains("`tatmig stamp 1.1.0`");
}
