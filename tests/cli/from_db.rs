//! Tests `new --from-db`: generates the SQL between the document and a database, lints it, tests it
//! with rows, and runs it on a real database. Then both schemas are read from SQLite and compared.

use snapbox::str;

use crate::support::{Database, Fleet};

/// Everything that SQLite's pragmas report of a schema, independent of the spelling of its SQL.
fn describe_schema(database: &Database) -> Vec<String> {
    let mut lines = Vec::new();
    let tables = database.rows(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') \
         AND name NOT LIKE 'sqlite$_%' ESCAPE '$' AND name NOT LIKE '$_tatmig%' ESCAPE '$' ORDER BY 1",
    );
    for table in tables {
        let name = table.replace('\'', "''");
        let mut query = |sql: String| {
            let rows = database.rows(&sql);
            lines.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
        };
        query(format!("SELECT * FROM pragma_table_xinfo('{name}')"));
        query(format!(
            "SELECT \"table\", \"from\", \"to\", on_update, on_delete FROM pragma_foreign_key_list('{name}') ORDER BY 1, 2"
        ));
        query(format!("SELECT ncol, wr, strict FROM pragma_table_list WHERE name = '{name}'"));
        query(format!(
            "SELECT iif(origin = 'c', l.name, ''), \"unique\", origin, partial, \
             (SELECT group_concat(x.name || x.\"desc\" || x.coll) FROM pragma_index_xinfo(l.name) x WHERE key) \
             FROM pragma_index_list('{name}') l ORDER BY 1, 5"
        ));
    }
    lines.extend(database.rows(
        "SELECT type || ' ' || name || ' ' || sql FROM sqlite_schema \
         WHERE type <> 'table' AND sql IS NOT NULL ORDER BY 1",
    ));
    lines
}

/// A document with a schema, a user's database with rows, and another database with another schema.
#[track_caller]
fn fleet(before: &str, rows: &str, after: &str) -> Fleet {
    let fleet = Fleet::new().database_file("before.db", before).database_file("after.db", after);
    let first =
        ["new", "1.0.0", "-m", "The beginning", "--scope", "user", "--from-db", "before.db"];
    fleet.run(first).status(0).stderr("");
    fleet.run(["lint", "--deny", "warnings", "--allow", "broken-foreign-key"]).status(0);
    fleet.run(["init", "--user", "ann"]).status(0);
    if !rows.is_empty() {
        fleet.database("ann").connection().execute_batch(rows).unwrap();
    }
    fleet
}

const NEW_FROM_DB: [&str; 7] =
    ["new", "--minor", "-m", "What is new", "--from-db", "after.db", "--reverse"];

/// Generates the migration, runs every check on it, and returns the migrated database.
#[track_caller]
fn assert_migrates(before: &str, rows: &str, after: &str) -> (Fleet, String) {
    let fleet = fleet(before, rows, after);
    let text_before = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    let source = std::fs::read(fleet.path("after.db")).unwrap();
    fleet.run(NEW_FROM_DB).status(0).stderr("");
    assert_eq!(
        std::fs::read(fleet.path("after.db")).unwrap(),
        source,
        "the database was written to"
    );
    let text = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    let added = text.strip_prefix(&text_before).unwrap().to_owned();
    if text.contains("-- tatmig:todo ") {
        // A person decides, and removes the comment.
        for command in ["lint", "upgrade"] {
            let run = fleet.run_without_changes([command, "-q"]);
            assert!(run.has_status(&[1, 2]) && run.stderr_text().contains("[unfinished-block]"));
        }
        let decided = text.replace("-- tatmig:todo ", "-- ");
        std::fs::write(fleet.path("MIGRATIONS.md"), decided).unwrap();
    }
    // What is deleted, a person has to allow.
    let allowed = ["--allow", "broken-foreign-key", "--allow", "destructive"];
    let lint = fleet.run([&["lint", "--deny", "warnings"][..], &allowed].concat());
    assert_eq!(lint.stderr_text(), "", "{added}");
    lint.status(0);
    let tested = fleet.run(["test"]);
    assert_eq!(tested.stderr_text(), "", "{added}");
    tested.status(0).stdout_contains("no data lost").stdout_contains("down to 1.0.0 and up again");
    let run = fleet.run(["upgrade", "--all-users"]);
    assert_eq!(run.stderr_text(), "", "{added}");
    run.status(0);
    let target = Database::open(&fleet.path("after.db"));
    assert_eq!(describe_schema(&fleet.database("ann")), describe_schema(&target), "{added}");
    assert_eq!(fleet.database("ann").version().unwrap(), "1.1.0");
    let second_new = ["new", "--patch", "-m", "Nothing", "--from-db", "after.db"];
    fleet
        .run_without_changes(second_new)
        .status(0)
        .stdout("`after.db` already has the schema of 1.1.0; MIGRATIONS.md was not changed\n");
    (fleet, added)
}

const NOTES: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, mood TEXT);
    CREATE INDEX notes_mood ON notes (mood);";
const ROWS: &str =
    "INSERT INTO notes (id, body, mood) VALUES (1, 'tea', 'calm'), (7, 'rain', NULL)";

#[test]
fn tables_indexes_views_and_triggers_are_added() {
    let after = format!(
        "{NOTES} CREATE TABLE tags (note INTEGER REFERENCES notes (id), tag TEXT NOT NULL, PRIMARY KEY (note, tag)) WITHOUT ROWID;
         CREATE TABLE a_child (id INTEGER PRIMARY KEY, tag TEXT, parent REFERENCES z_parent);
         CREATE TABLE z_parent (id INTEGER PRIMARY KEY, name TEXT UNIQUE CHECK (name <> ''));
         CREATE INDEX by_length ON notes (length(body)) WHERE mood IS NOT NULL;
         CREATE VIEW calm AS SELECT * FROM notes WHERE mood = 'calm';
         CREATE VIEW all_calm AS SELECT count(*) AS n FROM calm;
         CREATE TRIGGER tagged AFTER INSERT ON notes BEGIN INSERT INTO tags VALUES (new.id, 'new;'); END;"
    );
    let (fleet, added) = assert_migrates(NOTES, ROWS, &after);
    assert_eq!(fleet.database("ann").rows("SELECT n FROM all_calm"), ["1"]);
    let position_of = |name: &str| added.find(name).unwrap();
    assert!(position_of("EXISTS z_parent") < position_of("EXISTS a_child"), "{added}");
    assert!(
        position_of("VIEW IF NOT EXISTS calm") < position_of("VIEW IF NOT EXISTS all_calm"),
        "{added}"
    );
}

#[test]
fn columns_are_added_and_dropped_without_a_rebuild() {
    let after = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, pinned INTEGER NOT NULL DEFAULT 0, \"the colour\" TEXT DEFAULT 'red');";
    let (fleet, added) = assert_migrates(NOTES, ROWS, after);
    assert_eq!(fleet.database("ann").rows("SELECT * FROM notes"), ["1|tea|0|red", "7|rain|0|red"]);
    assert!(!added.contains("notes_new"), "{added}");
    assert!(added.contains("RENAME COLUMN mood TO \"the colour\""), "{added}");
    assert!(!added.contains("tatmig:allow destructive"), "{added}");
}

#[test]
fn tables_are_dropped_with_their_dependents() {
    let before = format!(
        "{NOTES} CREATE TABLE keep (a TEXT); CREATE VIEW v AS SELECT * FROM notes;
         CREATE TRIGGER t AFTER INSERT ON keep BEGIN DELETE FROM notes; END;"
    );
    let (fleet, added) = assert_migrates(
        &before,
        ROWS,
        "CREATE TABLE keep (a TEXT); CREATE TABLE memos (id INTEGER PRIMARY KEY, body TEXT, mood TEXT)",
    );
    assert_eq!(fleet.database("ann").tables(), ["keep", "memos"]);
    assert!(added.contains("ALTER TABLE notes RENAME TO memos"), "{added}");
}

#[test]
fn confirmed_renames_keep_rows_and_values() {
    let before = format!(
        "{NOTES} CREATE TABLE old_tags (tag TEXT); CREATE VIEW moods AS SELECT mood FROM notes;"
    );
    let after =
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, feeling TEXT, size INTEGER);
        CREATE INDEX notes_mood ON notes (feeling); CREATE TABLE tags (tag TEXT);
        CREATE VIEW moods AS SELECT feeling FROM notes;";
    let rows = format!("{ROWS}; INSERT INTO old_tags VALUES ('x')");
    let fleet = fleet(&before, &rows, after);
    // The second table name may be repeated.
    let renames = ["--rename", "notes.mood=notes.feeling", "--rename", "old_tags=tags"];
    fleet.run([&NEW_FROM_DB[..], &renames].concat()).status(0);
    fleet.run(["lint", "--deny", "warnings"]).status(0);
    fleet.run(["test"]).status(0);
    fleet.run(["upgrade", "--all-users"]).status(0);
    let ann = fleet.database("ann");
    assert_eq!(
        ann.rows("SELECT * FROM notes ORDER BY id"),
        ["1|tea|calm|NULL", "7|rain|NULL|NULL"]
    );
    assert_eq!(ann.rows("SELECT tag FROM tags"), ["x"]);
    fleet.run(["downgrade", "--to", "1.0.0", "--all-users"]).status(0);
    assert_eq!(ann.rows("SELECT id, mood FROM notes ORDER BY id"), ["1|calm", "7|NULL"]);
}

#[test]
fn a_rename_that_fits_nothing_is_refused() {
    let fleet =
        fleet(NOTES, ROWS, "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, feeling TEXT)");
    let document = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    for (rename, message) in [
        ("notes.moood=feeling", "fits no table and no column"),
        ("notes.mood=body", "fits no table and no column"),
        ("mood", "is not a rename"),
        ("notes.mood=memos.feeling", "is not a rename"),
        ("=x", "is not a rename"),
    ] {
        let run = fleet.run([&NEW_FROM_DB[..], &["--rename", rename]].concat());
        run.status(2).stderr_contains(message);
    }
    assert_eq!(std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap(), document);
}

#[test]
fn a_not_null_column_is_filled_with_its_default_or_a_neutral_value() {
    let after = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL, mood TEXT NOT NULL DEFAULT 'fine',
        kind TEXT NOT NULL CHECK (kind IN ('a', 'b')), size INTEGER NOT NULL);
        CREATE INDEX notes_mood ON notes (mood);";
    let (fleet, added) = assert_migrates(NOTES, ROWS, after);
    assert_eq!(
        fleet.database("ann").rows("SELECT * FROM notes"),
        ["1|tea|calm|a|0", "7|rain|fine|a|0"]
    );
    assert!(added.contains("tatmig:todo check this: `notes.kind` is new and NOT NULL"), "{added}");
}

#[test]
fn types_checks_and_unique_keys_are_changed() {
    let after = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body VARCHAR(20) UNIQUE, mood TEXT COLLATE NOCASE DEFAULT ('x' || 'y') CHECK (mood <> ''));
        CREATE INDEX notes_mood ON notes (mood);";
    let (fleet, added) = assert_migrates(NOTES, ROWS, after);
    assert_eq!(fleet.database("ann").rows("SELECT * FROM notes"), ["1|tea|calm", "7|rain|NULL"]);
    assert!(added.contains("tatmig:allow constraint"), "{added}");
}

#[test]
fn the_order_of_columns_and_the_primary_key_are_changed() {
    let after =
        "CREATE TABLE notes (mood TEXT, id INTEGER NOT NULL, body TEXT, PRIMARY KEY (id, mood));
        CREATE INDEX notes_mood ON notes (mood);";
    let (fleet, _) = assert_migrates(NOTES, ROWS, after);
    assert_eq!(fleet.database("ann").rows("SELECT * FROM notes"), ["calm|1|tea", "NULL|7|rain"]);
}

#[test]
fn a_rebuild_keeps_children_triggers_and_views() {
    let before = "CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT, up INTEGER REFERENCES folders (id) ON DELETE CASCADE);
        CREATE TABLE notes (id INTEGER PRIMARY KEY, folder INTEGER REFERENCES folders (id) ON DELETE CASCADE, body TEXT);
        CREATE TABLE log (what TEXT);
        CREATE INDEX folders_name ON folders (name);
        CREATE VIEW names AS SELECT name FROM folders;
        CREATE VIEW more AS SELECT upper(name) AS n FROM names;
        CREATE TRIGGER named INSTEAD OF INSERT ON names BEGIN INSERT INTO folders (name) VALUES (new.name); END;
        CREATE TRIGGER noted AFTER INSERT ON notes BEGIN INSERT INTO log SELECT name FROM folders; END;
        CREATE TRIGGER logged AFTER UPDATE ON folders BEGIN INSERT INTO log VALUES (new.name); END;";
    let rows = "INSERT INTO folders VALUES (1, 'a', NULL), (2, 'b', 1); INSERT INTO notes VALUES (1, 2, 'x'), (2, 1, 'y'); DELETE FROM log";
    let after = before.replace("name TEXT, up", "name VARCHAR NOT NULL DEFAULT '?', up");
    let (fleet, added) = assert_migrates(before, rows, &after);
    let ann = fleet.database("ann");
    assert_eq!(ann.rows("SELECT * FROM folders"), ["1|a|NULL", "2|b|1"]);
    assert_eq!(ann.rows("SELECT * FROM notes"), ["1|2|x", "2|1|y"]);
    assert_eq!(ann.rows("SELECT * FROM log"), [""; 0]);
    ann.connection()
        .execute_batch(
            "INSERT INTO names (name) VALUES ('c'); UPDATE folders SET name = 'd' WHERE id = 1",
        )
        .unwrap();
    assert_eq!(ann.rows("SELECT n FROM more ORDER BY n"), ["B", "C", "D"]);
    assert_eq!(ann.rows("SELECT * FROM log"), ["d"]);
    assert!(!added.contains("TABLE notes"), "only what changes is touched: {added}");
}

#[test]
fn foreign_keys_are_added_and_changed() {
    let before = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (a INTEGER REFERENCES p (id), b INTEGER);";
    let after = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (a INTEGER REFERENCES p (id) ON DELETE SET NULL, b INTEGER REFERENCES p);";
    let (fleet, _) = assert_migrates(
        before,
        "INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1), (NULL, NULL)",
        after,
    );
    assert_eq!(fleet.database("ann").rows("SELECT * FROM c"), ["1|1", "NULL|NULL"]);
}

#[test]
fn a_new_foreign_key_rejects_orphans() {
    let before = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (a INTEGER);";
    let after =
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (a INTEGER REFERENCES p (id));";
    let fleet = fleet(before, "INSERT INTO c VALUES (5)", after);
    fleet.run(NEW_FROM_DB).status(0);
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("leave 1 row without a parent");
    assert_eq!(fleet.database("ann").rows("SELECT * FROM c"), ["5"]);
    assert_eq!(fleet.database("ann").version().unwrap(), "1.0.0");
}

#[test]
fn options_and_generated_columns_are_changed() {
    let before = "CREATE TABLE t (a INTEGER, b TEXT, c AS (b || 'x')); CREATE TABLE w (k TEXT PRIMARY KEY, v BLOB);";
    let after = "CREATE TABLE t (a INTEGER, b TEXT, c TEXT AS (b || 'y') STORED) STRICT; CREATE TABLE w (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID;";
    let rows = "INSERT INTO t VALUES (1, 'q'); INSERT INTO w VALUES ('k', x'00ff'), ('l', NULL)";
    let (fleet, _) = assert_migrates(before, rows, after);
    assert_eq!(fleet.database("ann").rows("SELECT * FROM t"), ["1|q|qy"]);
    assert_eq!(fleet.database("ann").rows("SELECT * FROM w"), ["k|[00, ff]", "l|NULL"]);
}

#[test]
fn a_strict_table_whose_column_refuses_its_own_default_keeps_its_rows() {
    let before = "CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT;";
    let after = "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB NOT NULL DEFAULT 0, c INTEGER DEFAULT 'x', d TEXT NOT NULL DEFAULT 'y') STRICT;";
    let (fleet, _) = assert_migrates(before, "INSERT INTO t VALUES (1), (2)", after);
    assert_eq!(fleet.database("ann").rows("SELECT * FROM t"), ["1|[]|NULL|y", "2|[]|NULL|y"]);
}

#[test]
fn autoincrement_ids_are_not_reused() {
    let before = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT);";
    let after = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a VARCHAR);";
    let rows = "INSERT INTO t (a) VALUES ('x'), ('y'), ('z'); DELETE FROM t WHERE id > 1";
    let (fleet, _) = assert_migrates(before, rows, after);
    let ann = fleet.database("ann");
    ann.connection().execute_batch("INSERT INTO t (a) VALUES ('new')").unwrap();
    assert_eq!(ann.rows("SELECT id, a FROM t"), ["1|x", "4|new"]);
}

#[test]
fn odd_names_are_kept() {
    let before = "CREATE TABLE \"a \"\"b\" (\"x y\" TEXT, [select] INT, `t``k` INT); CREATE TABLE \"order\" (a); CREATE INDEX \"i \"\"i\" ON \"a \"\"b\" (\"x y\");";
    let after = "CREATE TABLE \"a \"\"b\" (\"x y\" TEXT NOT NULL, [select] INT, `t``k` INT, \"-- new\" TEXT); CREATE TABLE \"order\" (a, \"group\" TEXT); CREATE INDEX \"i \"\"i\" ON \"a \"\"b\" (\"x y\");";
    let (fleet, _) = assert_migrates(before, "INSERT INTO \"a \"\"b\" VALUES ('p', 1, 2)", after);
    assert_eq!(fleet.database("ann").rows("SELECT * FROM \"a \"\"b\""), ["p|1|2|NULL"]);
}

#[test]
fn a_full_text_index_is_created_with_its_rows() {
    let after = format!(
        "{NOTES} CREATE VIRTUAL TABLE found USING fts5 (body, content='notes', content_rowid='id');
         CREATE VIRTUAL TABLE own USING fts5 (a, b);"
    );
    let (fleet, added) = assert_migrates(NOTES, ROWS, &after);
    assert_eq!(
        fleet.database("ann").rows("SELECT rowid FROM found WHERE found MATCH 'rain'"),
        ["7"]
    );
    assert!(!added.contains("found_data"), "{added}");
}

#[test]
fn a_full_text_table_keeps_its_rows_when_it_changes() {
    let before = "CREATE VIRTUAL TABLE own USING fts5 (a, b);";
    let after = "CREATE VIRTUAL TABLE own USING fts5 (a, b, tokenize = 'porter');";
    let (fleet, _) =
        assert_migrates(before, "INSERT INTO own (rowid, a, b) VALUES (5, 'running', 'x')", after);
    assert_eq!(
        fleet.database("ann").rows("SELECT rowid, a FROM own WHERE own MATCH 'run'"),
        ["5|running"]
    );
}

#[test]
fn what_else_is_deleted_beside_a_virtual_table_is_left_for_a_person() {
    let table = "CREATE TABLE z (id INTEGER PRIMARY KEY, n TEXT);";
    let own = "CREATE VIRTUAL TABLE own USING fts5 (a, b);";
    let stemmed = "CREATE VIRTUAL TABLE own USING fts5 (a, b, tokenize = 'porter');";
    for (before, after, lost) in [
        (format!("{table} {own}"), stemmed.to_owned(), "the rows of `z`"),
        (
            format!("{table} {own}"),
            format!("CREATE TABLE z (id INTEGER PRIMARY KEY); {stemmed}"),
            "the values of `z.n`",
        ),
        (
            own.to_owned(),
            "CREATE VIRTUAL TABLE own USING fts5 (a);".to_owned(),
            "the values of `own.b`",
        ),
        (
            "CREATE VIRTUAL TABLE r USING rtree (id, a, b, +note);".to_owned(),
            "CREATE VIRTUAL TABLE r USING rtree (id, a, b);".to_owned(),
            "the values of `r.note`",
        ),
    ] {
        let fleet = fleet(&before, "", &after);
        fleet.run(NEW_FROM_DB).status(0).stdout_contains(lost);
        let text = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
        let (forward, _) = text.split_once("-- [user:1.1.0→1.0.0:start]").unwrap();
        assert!(!forward.contains("tatmig:allow destructive"), "{text}");
        fleet.run(["lint", "--deny", "warnings"]).status(1).stderr_contains("[destructive]");
    }
    let before = "CREATE VIRTUAL TABLE own USING fts5 (a, b);";
    let fleet = fleet(before, "", "CREATE VIRTUAL TABLE own USING fts5 (a, c);");
    fleet.run(NEW_FROM_DB).status(0);
    fleet
        .run_without_changes(["lint"])
        .status(2)
        .stderr_contains("[unfinished-block]")
        .stderr_contains("if `c` is `b` under a new name, add `c` to the columns of the INSERT");
}

#[test]
fn an_unreadable_virtual_table_is_reported() {
    let before = "CREATE VIRTUAL TABLE own USING fts5 (a, content='');";
    let after = "CREATE VIRTUAL TABLE own USING fts5 (a, b, content='');";
    let fleet = fleet(before, "", after);
    fleet.run_without_changes(NEW_FROM_DB).status(2).stderr(str![[r#"
error: `after.db`: the virtual table `own` is declared differently, and its rows cannot be read back from it; write the statements for it by hand

"#]]);
}

#[test]
fn spelling_is_not_a_difference() {
    let before = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (a TEXT PRIMARY KEY, b INT REFERENCES p (id) ON DELETE CASCADE, c UNIQUE);";
    let after = "create table p(\"id\" integer primary key); create table [t] (a text, b int, c, -- three\n unique (C), primary key (a), foreign key (b) references P(ID) on delete cascade);";
    let fleet = fleet(before, "", after);
    fleet
        .run_without_changes(NEW_FROM_DB)
        .status(0)
        .stdout("`after.db` already has the schema of 1.0.0; MIGRATIONS.md was not changed\n");
}

#[test]
fn comments_and_names_of_a_database_are_never_read_as_tags() {
    let after =
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, -- tatmig:allow row-loss because I say so
        body TEXT, /* -- [user:1.1.0→1.2.0:start] */ mood TEXT, \"x
```
# (Planned)\" TEXT);
        CREATE INDEX notes_mood ON notes (mood);
        CREATE TABLE \"a
-- [user:9.0.0→9.1.0:start]\" (b TEXT);";
    let (_, added) = assert_migrates(NOTES, ROWS, after);
    assert!(!added.contains("row-loss"), "{added}");
}

#[test]
fn an_empty_or_missing_file_writes_nothing() {
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", "CREATE TABLE a (x);")])
        .database_file("after.db", "");
    fleet
        .run_without_changes(NEW_FROM_DB)
        .status(2)
        .stderr("error: `after.db` has no table and no view; check the path\n");
    let run = fleet.run_without_changes(["new", "-m", "x", "--from-db", "none.db"]);
    run.status(2).stderr("error: no such file: `none.db`\n");
    let fleet = fleet.file("text.db", "no database");
    fleet.run_without_changes(["new", "-m", "x", "--from-db", "text.db"]).status(2);
}

#[test]
fn the_scope_is_inferred_or_required() {
    let both = [
        ("system:baseline→1.0.0", "CREATE TABLE a (x);"),
        ("user:baseline→1.0.0", "CREATE TABLE b (x);"),
    ];
    let fleet = Fleet::from_blocks(&both)
        .system("CREATE TABLE a (x); CREATE TABLE new_a (x);")
        .user("ann", "CREATE TABLE b (x); CREATE TABLE new_b (x);")
        .database_file("other.db", "CREATE TABLE b (x); CREATE TABLE other (x);");
    let new_arguments = |file| ["new", "-m", "More", "--from-db", file];
    fleet.run_without_changes(new_arguments("other.db")).status(2).stderr(
        "error: cannot decide whether `other.db` is a system or a user database; pass `--scope system` or `--scope user`\n",
    );
    fleet.run(new_arguments("system.db")).status(0);
    fleet.run(new_arguments("ann_longterm.db")).status(0);
    let text = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    assert!(
        text.contains("-- [system:1.0.0→1.0.1:start]\nCREATE TABLE IF NOT EXISTS new_a (x);\n"),
        "{text}"
    );
    assert!(
        text.contains("-- [user:1.0.1→1.0.2:start]\nCREATE TABLE IF NOT EXISTS new_b (x);\n"),
        "{text}"
    );
}
