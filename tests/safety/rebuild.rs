//! Tests table rebuilds: they lose no rows, indexes or triggers of a real database unless the block
//! allows it.

use crate::support::Fleet;

const BASELINE: (&str, &str) = (
    "user:baseline→1.0.0",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);\nCREATE INDEX by_body ON notes (body);",
);

/// Users `ann` and `bob` at 1.0.0 with rows, one of ann's without a body, and a pending rebuild.
fn fleet_with_pending_rebuild(rebuild: &str) -> Fleet {
    let rows = "INSERT INTO notes (body) VALUES ('tea'), ('rain');";
    let fleet = Fleet::from_blocks(&[BASELINE]).user("ann", "").user("bob", "").upgrade_to("1.0.0");
    fleet
        .user("ann", &format!("{rows} INSERT INTO notes (body) VALUES (NULL)"))
        .user("bob", rows)
        .blocks(&[BASELINE, ("user:1.0.0→1.1.0", rebuild)])
}

const LOSSY_REBUILD: &str = "CREATE TABLE fresh (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO fresh SELECT id, body FROM notes WHERE body IS NOT NULL;
DROP TABLE notes;
ALTER TABLE fresh RENAME TO notes;
CREATE INDEX by_body ON notes (body);";

#[test]
fn a_rebuild_that_loses_rows_is_rolled_back() {
    let fleet = fleet_with_pending_rebuild(LOSSY_REBUILD);
    let before = fleet.database("ann").dump();
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains(
        "table `notes` had 3 rows before the migration 1.0.0 → 1.1.0 rebuilt it, and 2 after",
    );
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
}

#[test]
fn a_renamed_and_recreated_table_is_checked_too() {
    let fleet = fleet_with_pending_rebuild(
        "ALTER TABLE notes RENAME TO old;
CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO notes SELECT id, body FROM old WHERE id < 3;
DROP TABLE old;
CREATE INDEX by_body ON notes (body);",
    );
    let before = fleet.database("ann").dump();
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("had 3 rows before");
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn an_allowed_row_loss_is_applied() {
    let fleet = fleet_with_pending_rebuild(&format!(
        "-- tatmig:allow row-loss notes without a body are noise\n{LOSSY_REBUILD}"
    ));
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["tea", "rain"]);
}

#[test]
fn an_allow_directive_needs_a_rule_and_a_reason() {
    for (allow, message) in [
        ("-- tatmig:allow row-loss", "`row-loss` is allowed without a reason"),
        ("-- tatmig:allow rows because", "unknown rule `rows`"),
    ] {
        let fleet = fleet_with_pending_rebuild(&format!("{allow}\n{LOSSY_REBUILD}"));
        let before = fleet.database("ann").dump();
        fleet.run(["upgrade", "--all-users"]).status(2).stderr_contains(message);
        assert_eq!(fleet.database("ann").dump(), before);
    }
}

#[test]
fn a_rebuilt_table_must_have_the_documented_indexes() {
    // Ann's own index of that name belongs to another table, but in the document the rebuilt table
    // has an index of that name, so it is not reported.
    let rebuild = "CREATE TABLE fresh (id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO fresh SELECT id, body FROM notes;
DROP TABLE notes;
ALTER TABLE fresh RENAME TO notes;
CREATE INDEX IF NOT EXISTS by_body ON notes (body);";
    let fleet = fleet_with_pending_rebuild(rebuild);
    fleet.run(["upgrade", "--user", "bob"]).status(0);
    let fleet = fleet
        .user("ann", "DROP INDEX by_body; CREATE TABLE own (x); CREATE INDEX by_body ON own (x)");
    let before = fleet.database("ann").dump();
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("index `by_body` is `CREATE INDEX by_body ON own (x)`");
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn an_allowed_foreign_key_violation_is_applied() {
    let blocks = |allow: &str| {
        [
            (
                "user:baseline→1.0.0".to_owned(),
                "CREATE TABLE a (id INTEGER PRIMARY KEY);\nCREATE TABLE b (a REFERENCES a (id));"
                    .to_owned(),
            ),
            ("user:1.0.0→1.1.0".to_owned(), format!("{allow}DELETE FROM a;")),
        ]
    };
    let fleet_with = |allow: &str| {
        let blocks = blocks(allow);
        let borrowed: Vec<_> = blocks.iter().map(|(tag, sql)| (&**tag, &**sql)).collect();
        let fleet = Fleet::from_blocks(&borrowed[..1]).user("ann", "").upgrade_to("1.0.0");
        fleet.user("ann", "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)").blocks(&borrowed)
    };
    let fleet = fleet_with("");
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("`b` refers to `a` by 1");
    assert_eq!(fleet.database("ann").rows("SELECT * FROM a"), ["1"]);
    let fleet = fleet_with("-- tatmig:allow foreign-keys the parents are imported tomorrow\n");
    fleet
        .run(["upgrade", "--all-users", "-v"])
        .status(0)
        .stdout_contains("1 row refers to missing parents");
    assert!(fleet.database("ann").rows("SELECT * FROM a").is_empty());
}

#[test]
fn a_rebuild_from_an_incomplete_index_is_rolled_back() {
    // The table is so wide that SQLite would count and copy rows through the index.
    let wide = (
        "user:baseline→1.0.0",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, a TEXT, b TEXT, c TEXT);\nCREATE INDEX by_body ON notes (body);",
    );
    let rebuild = "CREATE TABLE fresh (id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO fresh SELECT id, body FROM notes;
DROP TABLE notes;
ALTER TABLE fresh RENAME TO notes;
CREATE INDEX by_body ON notes (body);";
    let rows = "INSERT INTO notes (body) VALUES ('tea'), ('rain'), ('snow');";
    let fleet = Fleet::from_blocks(&[wide]).user("ann", "").user("bob", "").upgrade_to("1.0.0");
    let fleet = fleet.user("ann", rows).user("bob", rows);
    let fleet = fleet.blocks(&[wide, ("user:1.0.0→1.1.0", rebuild)]);
    // The index of a damaged database: it was filled as a partial index, and is declared as a full
    // one.
    let fleet = fleet.user(
        "ann",
        "DROP INDEX by_body; CREATE INDEX by_body ON notes (body) WHERE id = 1;
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE INDEX by_body ON notes (body)' WHERE name = 'by_body';",
    );
    let index_query = "SELECT id FROM notes INDEXED BY by_body ORDER BY body";
    assert_eq!(fleet.database("ann").rows(index_query), ["1"], "the index lacks rows");
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("had 3 rows before");
    let rows = fleet.database("ann").rows("SELECT id FROM notes NOT INDEXED");
    assert_eq!(rows, ["1", "2", "3"]);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
}

const COUNTED: (&str, &str) = (
    "user:baseline→1.0.0",
    "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT);",
);

/// User `ann` at 1.0.0, whose note with the highest id was deleted, user `bob`, whose was not, and a
/// pending rebuild.
fn fleet_with_counters(copy: &str) -> Fleet {
    let rebuild = format!(
        "CREATE TABLE fresh (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);\n{copy}\n\
         DROP TABLE notes;\nALTER TABLE fresh RENAME TO notes;"
    );
    let rows = "INSERT INTO notes (body) VALUES ('tea'), ('rain'), ('sun');";
    let fleet = Fleet::from_blocks(&[COUNTED]).user("ann", "").user("bob", "").upgrade_to("1.0.0");
    fleet
        .user("ann", &format!("{rows} DELETE FROM notes WHERE id = 3"))
        .user("bob", rows)
        .blocks(&[COUNTED, ("user:1.0.0→1.1.0", &rebuild)])
}

const COPY: &str = "INSERT INTO fresh (id, body) SELECT id, body FROM notes;";
const CARRY: &str = "INSERT INTO sqlite_sequence (name, seq) SELECT 'fresh', seq FROM sqlite_sequence WHERE name = 'notes';";

#[test]
fn a_rebuild_that_lowers_an_autoincrement_counter_is_rolled_back() {
    let fleet = fleet_with_counters(COPY);
    let before = fleet.database("ann").dump();
    fleet.run(["lint"]).status(1).stderr_contains("counter-reset").stderr_contains(CARRY);
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains(
        "the AUTOINCREMENT counter of table `notes` was 3 before the migration 1.0.0 → 1.1.0 rebuilt it, and 2 after",
    );
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(fleet.database("ann").rows("SELECT seq FROM sqlite_sequence"), ["3"]);
    // Nothing is lost where the row with the highest id exists.
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
}

#[test]
fn a_rebuild_that_carries_the_counter_over_never_uses_an_id_again() {
    let fleet = fleet_with_counters(&format!("{CARRY}\n{COPY}"));
    fleet.run(["lint"]).stderr_lacks("counter-reset");
    fleet.run(["upgrade", "--all-users"]).status(0);
    let ann = fleet.database("ann");
    ann.connection().execute_batch("INSERT INTO notes (body) VALUES ('snow')").unwrap();
    assert_eq!(ann.rows("SELECT max(id) FROM notes"), ["4"]);
}

#[test]
fn an_allowed_counter_reset_is_applied() {
    let fleet = fleet_with_counters(&format!(
        "-- tatmig:allow counter-reset no one keeps these ids\n{COPY}"
    ));
    fleet.run(["lint"]).stderr_lacks("counter-reset");
    fleet.run(["upgrade", "--all-users"]).status(0);
    let ann = fleet.database("ann");
    assert_eq!(ann.rows("SELECT seq FROM sqlite_sequence"), ["2"]);
}
