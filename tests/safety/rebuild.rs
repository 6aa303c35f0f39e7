//! The row guard and what hangs on a rebuilt table: making a table anew, SQLite's way of changing
//! one, loses nothing of a real database unless its block says so.

use crate::support::Fleet;

const BASELINE: (&str, &str) = (
    "user:baseline→1.0.0",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);\nCREATE INDEX by_body ON notes (body);",
);

/// Users `ann` and `bob` at 1.0.0 with rows, one of ann's without a body, and a rebuild pending.
fn pending(rebuild: &str) -> Fleet {
    let rows = "INSERT INTO notes (body) VALUES ('tea'), ('rain');";
    let fleet = Fleet::of(&[BASELINE]).user("ann", "").user("bob", "").at("1.0.0");
    fleet
        .user("ann", &format!("{rows} INSERT INTO notes (body) VALUES (NULL)"))
        .user("bob", rows)
        .blocks(&[BASELINE, ("user:1.0.0→1.1.0", rebuild)])
}

const LOSSY: &str = "CREATE TABLE fresh (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO fresh SELECT id, body FROM notes WHERE body IS NOT NULL;
DROP TABLE notes;
ALTER TABLE fresh RENAME TO notes;
CREATE INDEX by_body ON notes (body);";

#[test]
fn a_rebuild_that_loses_rows_is_rolled_back_where_it_would() {
    let fleet = pending(LOSSY);
    let before = fleet.database("ann").dump();
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains(
        "table `notes` held 3 rows before the migration 1.0.0 → 1.1.0 made it anew, and 2 after",
    );
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
}

#[test]
fn a_table_moved_out_of_the_way_is_guarded_as_well() {
    let fleet = pending(
        "ALTER TABLE notes RENAME TO old;
CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO notes SELECT id, body FROM old WHERE id < 3;
DROP TABLE old;
CREATE INDEX by_body ON notes (body);",
    );
    let before = fleet.database("ann").dump();
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("held 3 rows before");
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn a_block_that_says_why_may_lose_rows() {
    let fleet =
        pending(&format!("-- tatmig:allow row-loss notes without a body are noise\n{LOSSY}"));
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["tea", "rain"]);
}

#[test]
fn an_allowance_needs_a_reason_and_a_rule() {
    for (allow, message) in [
        ("-- tatmig:allow row-loss", "`row-loss` is allowed here without a reason"),
        ("-- tatmig:allow rows because", "there is no rule `rows` to allow"),
    ] {
        let fleet = pending(&format!("{allow}\n{LOSSY}"));
        let before = fleet.database("ann").dump();
        fleet.run(["upgrade", "--all-users"]).status(2).stderr_contains(message);
        assert_eq!(fleet.database("ann").dump(), before);
    }
}

#[test]
fn a_rebuilt_table_keeps_its_indexes_as_the_document_has_them() {
    // The guard passes over ann's own index of that name, which stands on another table: in the
    // document the rebuilt table has one.
    let rebuild = "CREATE TABLE fresh (id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO fresh SELECT id, body FROM notes;
DROP TABLE notes;
ALTER TABLE fresh RENAME TO notes;
CREATE INDEX IF NOT EXISTS by_body ON notes (body);";
    let fleet = pending(rebuild);
    fleet.run(["upgrade", "--user", "bob"]).status(0);
    let fleet = fleet
        .user("ann", "DROP INDEX by_body; CREATE TABLE own (x); CREATE INDEX by_body ON own (x)");
    let before = fleet.database("ann").dump();
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("index `by_body` is different");
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn a_block_that_says_why_may_break_foreign_keys() {
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
    let of = |allow: &str| {
        let blocks = blocks(allow);
        let borrowed: Vec<_> = blocks.iter().map(|(tag, sql)| (&**tag, &**sql)).collect();
        let fleet = Fleet::of(&borrowed[..1]).user("ann", "").at("1.0.0");
        fleet.user("ann", "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)").blocks(&borrowed)
    };
    let fleet = of("");
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("`b` refers to `a` by 1");
    assert_eq!(fleet.database("ann").rows("SELECT * FROM a"), ["1"]);
    let fleet = of("-- tatmig:allow foreign-keys the parents are imported tomorrow\n");
    fleet
        .run(["upgrade", "--all-users", "-v"])
        .status(0)
        .stdout_contains("1 row refers to parents");
    assert!(fleet.database("ann").rows("SELECT * FROM a").is_empty());
}

#[test]
fn a_rebuild_through_an_index_that_lacks_rows_is_rolled_back() {
    // So wide a table that SQLite would rather count, and copy, through the index.
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
    let fleet = Fleet::of(&[wide]).user("ann", "").user("bob", "").at("1.0.0");
    let fleet = fleet.user("ann", rows).user("bob", rows);
    let fleet = fleet.blocks(&[wide, ("user:1.0.0→1.1.0", rebuild)]);
    // The index of a damaged database: it was filled as a partial one, and is one no more.
    let fleet = fleet.user(
        "ann",
        "DROP INDEX by_body; CREATE INDEX by_body ON notes (body) WHERE id = 1;
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE INDEX by_body ON notes (body)' WHERE name = 'by_body';",
    );
    let through = "SELECT id FROM notes INDEXED BY by_body ORDER BY body";
    assert_eq!(fleet.database("ann").rows(through), ["1"], "the index lacks rows");
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("held 3 rows before");
    let rows = fleet.database("ann").rows("SELECT id FROM notes NOT INDEXED");
    assert_eq!(rows, ["1", "2", "3"]);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
}
