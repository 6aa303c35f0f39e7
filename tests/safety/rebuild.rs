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

/// Users `ann`, with a row without a body, and `bob` at 1.0.0; the blocks lead to 1.1.0 and 1.2.0.
fn fleet_with_two_blocks(first: &str, second: &str) -> Fleet {
    let rows = "INSERT INTO notes (body) VALUES ('tea'), ('rain');";
    let fleet = Fleet::from_blocks(&[BASELINE]).user("ann", "").user("bob", "").upgrade_to("1.0.0");
    fleet
        .user("ann", &format!("{rows} INSERT INTO notes (body) VALUES (NULL)"))
        .user("bob", rows)
        .blocks(&[BASELINE, ("user:1.0.0→1.1.0", first), ("user:1.1.0→1.2.0", second)])
}

const SET_ASIDE: &str = "ALTER TABLE notes RENAME TO notes_old;
CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO notes (id, body) SELECT id, body FROM notes_old WHERE body IS NOT NULL;";

#[test]
fn a_rebuild_over_two_migrations_loses_no_rows_either() {
    for (first, second) in [
        (SET_ASIDE.to_owned(), "DROP TABLE notes_old;".to_owned()),
        (
            "ALTER TABLE notes RENAME TO notes_old;\nCREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);".to_owned(),
            "INSERT INTO notes (id, body) SELECT id, body FROM notes_old WHERE body IS NOT NULL;\nDROP TABLE notes_old;".to_owned(),
        ),
    ] {
        let fleet = fleet_with_two_blocks(&first, &second);
        let before = fleet.database("ann").dump();
        fleet
            .run(["upgrade", "--all-users"])
            .status(1)
            .stderr_contains("error[row-loss]")
            .stderr_contains("`notes` had 3 rows before the migration 1.1.0 → 1.2.0 rebuilt it, and 2 after")
            .stderr_contains("MIGRATIONS.md:");
        assert_eq!(fleet.database("ann").dump(), before);
        assert_eq!(fleet.database("ann").rows("SELECT count(*) FROM notes"), ["3"]);
        assert_eq!(fleet.database("bob").version().as_deref(), Some("1.2.0"));
        let output = fleet.run(["test"]);
        assert!(output.status(1).describe().contains("row-loss"));
    }
}

#[test]
fn rows_that_leave_a_rebuilt_table_on_purpose_are_no_loss() {
    let copy_all = SET_ASIDE.replace(" NOT NULL)", ")").replace(" WHERE body IS NOT NULL", "");
    for (first, second) in [
        // The table is gone altogether.
        ("ALTER TABLE notes RENAME TO notes_old;".to_owned(), "DROP TABLE notes_old;".to_owned()),
        (
            format!("-- tatmig:allow row-loss notes without a body are noise\n{SET_ASIDE}"),
            "DROP TABLE notes_old;".to_owned(),
        ),
    ] {
        fleet_with_two_blocks(&first, &second).run(["upgrade", "--all-users"]).status(0);
    }
    // A later migration deletes rows.
    let fleet = fleet_with_two_blocks(&copy_all, "DELETE FROM notes WHERE id = 2;");
    let last = ("user:1.2.0→1.3.0", "DROP TABLE notes_old;");
    let blocks = [
        BASELINE,
        ("user:1.0.0→1.1.0", copy_all.as_str()),
        ("user:1.1.0→1.2.0", "DELETE FROM notes WHERE id = 2;"),
        last,
    ];
    fleet.blocks(&blocks).run(["upgrade", "--all-users"]).status(0);
    // A database that stopped between the two migrations: its application has deleted a note.
    let fleet = fleet_with_two_blocks(&copy_all, "DROP TABLE notes_old;");
    fleet.run(["upgrade", "--all-users", "--to", "1.1.0"]).status(0);
    let fleet = fleet.user("ann", "DELETE FROM notes WHERE id = 1");
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT count(*) FROM notes"), ["2"]);
}

#[test]
fn a_counter_that_two_rebuilds_lose_is_refused() {
    let baseline = (
        "user:baseline→1.0.0",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT);",
    );
    let rebuild = |key: &str| {
        format!(
            "CREATE TABLE fresh (id INTEGER PRIMARY KEY{key}, body TEXT);
INSERT INTO fresh (id, body) SELECT id, body FROM notes;
DROP TABLE notes;
ALTER TABLE fresh RENAME TO notes;"
        )
    };
    let (without, with) = (rebuild(""), rebuild(" AUTOINCREMENT"));
    let fleet = Fleet::from_blocks(&[baseline]).user("ann", "").user("bob", "").upgrade_to("1.0.0");
    let fleet = fleet
        .user("ann", "INSERT INTO notes VALUES (1, 'a'), (9, 'z'); DELETE FROM notes WHERE id = 9")
        .user("bob", "INSERT INTO notes VALUES (1, 'a')")
        .blocks(&[baseline, ("user:1.0.0→1.1.0", &without), ("user:1.1.0→1.2.0", &with)]);
    let before = fleet.database("ann").dump();
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("error[counter-reset]")
        .stderr_contains("was 9 before the migration 1.1.0 → 1.2.0 rebuilt it, and 1 after")
        .stderr_contains("MIGRATIONS.md:");
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(fleet.database("ann").rows("SELECT seq FROM sqlite_sequence"), ["9"]);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.2.0"));
}

const SEARCH: (&str, &str) = (
    "user:baseline→1.0.0",
    "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT);
CREATE VIEW v AS SELECT id, n FROM t;
CREATE VIRTUAL TABLE f USING fts5 (n, content = 't', content_rowid = 'id');
CREATE VIRTUAL TABLE g USING fts5 (n, content = 'v', content_rowid = 'id');
CREATE VIRTUAL TABLE h USING fts4 (content=\"t\", n);",
);

#[test]
fn a_rebuild_that_renumbers_rows_below_a_search_index_is_refused_where_it_breaks_searches() {
    for search in ["f", "g", "h"] {
        let baseline = SEARCH
            .1
            .lines()
            .filter(|line| !line.contains("VIRTUAL") || line.contains(&format!("TABLE {search} ")));
        let baseline = ("user:baseline→1.0.0", baseline.collect::<Vec<_>>().join("\n"));
        let baseline = (baseline.0, baseline.1.as_str());
        let rebuild = "DROP VIEW v;
CREATE TABLE t2 (id INTEGER PRIMARY KEY, n TEXT NOT NULL);
INSERT INTO t2 (n) SELECT n FROM t;
DROP TABLE t;
ALTER TABLE t2 RENAME TO t;
CREATE VIEW v AS SELECT id, n FROM t;";
        let key = if search == "h" { "docid" } else { "rowid" };
        let rows = |ids: [i32; 2]| {
            format!(
                "INSERT INTO t VALUES ({}, 'hello'), ({}, 'world'); INSERT INTO {search} ({key}, n) SELECT id, n FROM t",
                ids[0], ids[1]
            )
        };
        let fleet = Fleet::from_blocks(&[baseline]).user("ann", "").user("bob", "");
        let fleet = fleet
            .upgrade_to("1.0.0")
            .user("ann", &rows([5, 7]))
            .user("bob", &rows([1, 2]))
            .blocks(&[baseline, ("user:1.0.0→1.1.0", rebuild)]);
        let before = fleet.database("ann").rows("SELECT id, n FROM t");
        fleet
            .run(["upgrade", "--all-users"])
            .status(1)
            .stderr_contains("error[fts-row-ids]")
            .stderr_contains(&format!(
                "the full-text table `{search}` no longer matches the rows of `t`"
            ));
        assert_eq!(fleet.database("ann").rows("SELECT id, n FROM t"), before);
        assert_eq!(fleet.database("ann").version().as_deref(), Some("1.0.0"));
        // The ids of bob stay the same.
        assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
        let repaired = format!("{rebuild}\nINSERT INTO {search} ({search}) VALUES ('rebuild');");
        let fleet = fleet.blocks(&[baseline, ("user:1.0.0→1.1.0", &repaired)]);
        fleet.run(["upgrade", "--user", "ann"]).status(0);
        let query = format!("SELECT n FROM {search} WHERE {search} MATCH 'hello'");
        assert_eq!(fleet.database("ann").rows(&query), ["hello"]);
    }
}

#[test]
fn a_change_of_rows_that_a_search_index_does_not_follow_is_refused() {
    let tables = "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT);
CREATE VIRTUAL TABLE f USING fts5 (n, content = 't', content_rowid = 'id');";
    let baseline = ("user:baseline→1.0.0", tables);
    let rows =
        "INSERT INTO t VALUES (1, 'hello'), (2, 'world'); INSERT INTO f (f) VALUES ('rebuild')";
    let search = "SELECT rowid FROM f WHERE f MATCH 'hello'";
    for change in [
        "UPDATE t SET rowid = id + 10 WHERE id = 1;",
        "UPDATE t SET n = 'bye' WHERE n = 'hello';",
        "DELETE FROM t WHERE n = 'hello';",
        "INSERT INTO t (n) VALUES ('hello');",
    ] {
        let fleet = Fleet::from_blocks(&[baseline]).user("ann", "").user("bob", "");
        let fleet = fleet.upgrade_to("1.0.0").user("ann", rows);
        let fleet = fleet.blocks(&[baseline, ("user:1.0.0→1.1.0", change)]);
        let before = fleet.database("ann").dump();
        fleet
            .run(["upgrade", "--user", "ann"])
            .status(1)
            .stderr_contains("error[fts-row-ids]")
            .stderr_contains(
                "after this, the full-text table `f` no longer matches the rows of `t`",
            )
            .stderr_contains(change);
        assert_eq!(fleet.database("ann").dump(), before);
        assert_eq!(fleet.database("ann").rows(search), ["1"]);
        let followed = format!("{change}\nINSERT INTO f (f) VALUES ('rebuild');");
        let fleet = fleet.blocks(&[baseline, ("user:1.0.0→1.1.0", &followed)]);
        fleet.run(["upgrade", "--all-users"]).status(0);
        // An index that did not match before is not charged to the step.
        let fleet = fleet.blocks(&[
            baseline,
            ("user:1.0.0→1.1.0", &followed),
            ("user:1.1.0→1.2.0", "UPDATE t SET n = 'a' WHERE id = 2;"),
        ]);
        let fleet = fleet.user("ann", "INSERT INTO t (n) VALUES ('later')");
        fleet.run(["upgrade", "--user", "ann"]).status(0);
    }
}

#[test]
fn an_undocumented_view_that_stops_a_rebuild_is_named() {
    let fleet = fleet_with_pending_rebuild(
        "CREATE TABLE fresh (id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO fresh (id, body) SELECT id, body FROM notes;
DROP TABLE notes;
ALTER TABLE fresh RENAME TO notes;
CREATE INDEX by_body ON notes (body);",
    );
    let fleet = fleet.user("ann", "CREATE VIEW mine AS SELECT body FROM notes");
    let before = fleet.database("ann").dump();
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("the view `mine` of this database is not in the document")
        .stderr_contains(
            "drop the view `mine` in this database and create it again after the upgrade",
        );
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
}
