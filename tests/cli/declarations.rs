//! Tests the functions and collations that `tatmig.toml` declares: SQL that names them compiles, and
//! a statement that has to execute them is refused before anything is written.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::support::Fleet;

const DECLARED: &str =
    "[functions]\ndeclared = [\"slug/1\", \"pick/*\"]\n[collations]\ndeclared = [\"UNICODE_CI\"]";

const BASELINE: (&str, &str) = (
    "user:baseline→1.0.0",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT);\n\
     CREATE TABLE tags (name TEXT COLLATE UNICODE_CI);",
);

/// Every place where SQLite compiles a function without executing it.
const FUNCTIONS: (&str, &str) = (
    "user:1.0.0→1.1.0",
    "CREATE TABLE pages (s TEXT CHECK (slug(s) = s), g TEXT AS (slug(s)), p TEXT AS (pick(s, g, 1)) STORED);\n\
     CREATE INDEX by_slug ON pages (slug(s)) WHERE slug(s) <> '';\n\
     CREATE VIEW slugs AS SELECT slug(title) AS s FROM notes;\n\
     CREATE TRIGGER add_page AFTER INSERT ON notes BEGIN INSERT INTO pages (s) VALUES (slug(new.title)); END;",
);

fn fleet(blocks: &[(&str, &str)]) -> Fleet {
    let fleet =
        Fleet::from_blocks(&[BASELINE]).config(DECLARED).user("ann", "").upgrade_to("1.0.0");
    fleet.blocks(&[&[BASELINE], blocks].concat())
}

/// A connection as the application opens it.
fn application(fleet: &Fleet) -> Connection {
    let connection = Connection::open(fleet.path("ann_longterm.db")).unwrap();
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection
        .create_scalar_function("slug", 1, flags, |arguments| {
            let text: Option<String> = arguments.get(0)?;
            Ok(text.map(|text| text.to_lowercase().replace(' ', "-")))
        })
        .unwrap();
    connection
        .create_scalar_function("pick", -1, flags, |arguments| arguments.get::<Option<String>>(0))
        .unwrap();
    connection
        .create_collation("UNICODE_CI", |left: &str, right: &str| {
            left.to_lowercase().cmp(&right.to_lowercase())
        })
        .unwrap();
    connection
}

fn insert(fleet: &Fleet, sql: &str) {
    application(fleet).execute_batch(sql).unwrap();
}

#[test]
fn sql_with_declared_functions_and_collations_compiles() {
    let fleet = fleet(&[FUNCTIONS]);
    fleet.run(["lint"]).status(0).stderr_lacks("slug");
    fleet.run(["upgrade", "--all-users"]).status(0);
    insert(
        &fleet,
        "INSERT INTO notes (title) VALUES ('Two Words'); INSERT INTO notes (title) VALUES ('b')",
    );
    let found: String = application(&fleet)
        .query_row("SELECT g FROM pages WHERE slug(s) = 'two-words'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, "two-words");
    fleet.run(["schema"]).status(0).stdout_contains("slug(new.title)");
    fleet.run(["status", "--stats"]).status(0);
    fleet.run(["backup", "--all-users"]).status(0);
}

#[test]
fn a_migration_that_must_execute_a_function_is_rolled_back() {
    for (block, place) in [
        ("UPDATE notes SET title = slug(title);", 10),
        ("CREATE TABLE x (y);\nINSERT INTO x SELECT slug(title) FROM notes;", 11),
        ("CREATE TABLE x (y);\nCREATE INDEX by_slug ON notes (slug(title));", 11),
        (
            "CREATE TRIGGER t AFTER UPDATE ON notes BEGIN SELECT slug(new.title); END;\nUPDATE notes SET title = 'x' WHERE id = 1;",
            11,
        ),
        (
            "-- tatmig:assert every title is a slug\nSELECT * FROM notes WHERE slug(title) <> title;",
            11,
        ),
    ] {
        let fleet = fleet(&[("user:1.0.0→1.1.0", block)]);
        insert(&fleet, "INSERT INTO notes (title) VALUES ('Two Words')");
        let before = fleet.database("ann").dump();
        fleet
            .run(["upgrade", "--all-users"])
            .status(1)
            .stderr_contains("`slug` is a function of the application; tatmig cannot execute it (in the migration 1.0.0 → 1.1.0)")
            .stderr_contains(&format!("MIGRATIONS.md:{place}:"))
            .stderr_contains("help: load the extension that has it with `[[extension]]` in tatmig.toml");
        assert_eq!(fleet.database("ann").dump(), before, "{block}");
    }
}

#[test]
fn no_index_is_written_in_an_order_that_is_not_the_applications() {
    let rebuild = "CREATE TABLE new (name TEXT COLLATE UNICODE_CI UNIQUE);\n\
        INSERT INTO new SELECT name FROM tags;\nDROP TABLE tags;\nALTER TABLE new RENAME TO tags;";
    for block in [
        "CREATE INDEX by_name ON tags (name);",
        "CREATE TABLE copy (name TEXT COLLATE UNICODE_CI PRIMARY KEY) WITHOUT ROWID;\nINSERT INTO copy SELECT name FROM tags;",
        "CREATE TABLE sorted AS SELECT name FROM tags ORDER BY name;",
        rebuild,
    ] {
        let fleet = fleet(&[("user:1.0.0→1.1.0", block)]);
        insert(&fleet, "INSERT INTO tags VALUES ('b'), ('A'), ('a')");
        let before = fleet.database("ann").dump();
        fleet
            .run(["upgrade", "--all-users"])
            .status(1)
            .stderr_contains(
                "`UNICODE_CI` is a collation of the application; tatmig cannot compare with it",
            )
            .stderr_contains("[[extension]]");
        assert_eq!(fleet.database("ann").dump(), before, "{block}");
    }
    for rows in [
        "",
        "INSERT INTO tags VALUES ('b')",
        "INSERT INTO tags VALUES (NULL), (x'02'), (NULL), (x'01'), ('b')",
    ] {
        let fleet = fleet(&[("user:1.0.0→1.1.0", rebuild)]);
        insert(&fleet, rows);
        fleet.run(["upgrade", "--all-users"]).status(0);
        let check: String =
            application(&fleet).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok", "{rows}");
    }
}

#[test]
fn statements_that_compare_no_text_run_beside_an_index_of_the_application() {
    let fleet = fleet(&[
        ("user:1.0.0→1.1.0", "CREATE UNIQUE INDEX by_name ON tags (name);"),
        (
            "user:1.1.0→1.2.0",
            "ALTER TABLE tags ADD COLUMN n INTEGER;\nALTER TABLE notes RENAME TO pages;\nUPDATE tags SET n = 1;\nALTER TABLE tags RENAME COLUMN name TO label;",
        ),
        ("user:1.2.0→1.3.0", "INSERT INTO tags (label) VALUES ('c');"),
    ]);
    fleet.run(["upgrade", "--all-users", "--to", "1.1.0"]).status(0);
    insert(&fleet, "INSERT INTO tags VALUES ('b'), ('A')");
    fleet.run(["upgrade", "--all-users", "--to", "1.2.0"]).status(0);
    let before = fleet.database("ann").dump();
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("tatmig cannot compare with it");
    assert_eq!(fleet.database("ann").dump(), before);
    let check: String =
        application(&fleet).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn verify_names_what_only_the_application_can_check() {
    let fleet = fleet(&[FUNCTIONS, ("user:1.1.0→1.2.0", "CREATE INDEX by_name ON tags (name);")]);
    fleet.run(["upgrade", "--all-users"]).status(0);
    insert(
        &fleet,
        "INSERT INTO notes (title) VALUES ('Two Words'); INSERT INTO tags VALUES ('b'), ('A'), ('c')",
    );
    let verify = fleet.run_without_changing(&fleet.path("ann_longterm.db"), ["verify", "-v"]);
    verify
        .status(0)
        .stdout_contains(
            "table `pages` cannot be checked here: `slug` is a function of the application",
        )
        .stdout_contains(
            "table `tags` cannot be checked here: `UNICODE_CI` is a collation of the application",
        )
        .stdout_lacks("`notes`");
    // Damage of another table is still found.
    let connection = application(&fleet);
    connection
        .execute_batch("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL)' WHERE name = 'notes'; INSERT INTO notes (title) VALUES (NULL)")
        .unwrap();
    fleet.run(["verify"]).status(1).stdout_contains("NULL value in notes.title");
}

#[test]
fn the_self_test_names_the_rows_that_need_the_application() {
    let blocks = [
        FUNCTIONS,
        ("user:1.1.0→1.2.0", "CREATE UNIQUE INDEX by_name ON tags (name);"),
        (
            "user:1.2.0→1.3.0",
            "-- tatmig:allow destructive all of them\nUPDATE notes SET title = slug(title);",
        ),
    ];
    let test = fleet(&blocks).run(["test"]).status(0).stdout_text();
    for line in [
        "table `pages` is not fully tested, its rows need the application: `slug` is",
        "table `notes` is not fully tested, its rows need the application: `slug` is",
        "table `tags` is not fully tested, its rows need the application: `UNICODE_CI` is",
        "rows for which the statement in MIGRATIONS.md:26 needs the application are not tested",
        "no data lost",
    ] {
        assert!(test.contains(line), "{line}\n{test}");
    }
}

#[test]
fn what_is_missing_names_the_section_that_adds_it() {
    for (sql, section) in [
        ("CREATE INDEX i ON t (slug(a));", "declare it in `[functions]` there"),
        ("CREATE INDEX i ON t (a COLLATE UNICODE_CI);", "declare it in `[collations]` there"),
        (
            "CREATE VIRTUAL TABLE v USING vec0(e float[4]);",
            "load the extension that has it with `[[extension]]`",
        ),
        (
            "CREATE VIRTUAL TABLE v USING fts5(a, tokenize = 'jieba');",
            "load the extension that has it with `[[extension]]`",
        ),
    ] {
        let sql = format!("CREATE TABLE t (a);\n{sql}");
        let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", &sql)]).user("ann", "");
        for arguments in [&["lint"] as &[&str], &["upgrade", "--all-users"]] {
            fleet.run_without_changes(arguments).status(2).stderr_contains(section);
        }
    }
}

#[test]
fn a_declaration_that_cannot_be_right_is_refused_with_its_line() {
    for (declaration, message) in [
        (
            "[functions]\ndeclared = [\"slug\"]",
            "line 2, `declared = [\"slug\"]`: `slug` is not a function with its number of arguments; write `slug/1`, or `slug/*` for any number",
        ),
        (
            "[functions]\ndeclared = [\n  \"a/1\",\n  \"slug/-1\",\n]",
            "line 4, `\"slug/-1\",`: `slug/-1` is not a function",
        ),
        (
            "[functions]\ndeclared = [\"/1\"]",
            "the function `` cannot be declared: this is not a name",
        ),
        (
            "[functions]\ndeclared = [\"slug/128\"]",
            "the function `slug` cannot be declared: a function has at most 127 arguments",
        ),
        (
            "[functions]\ndeclared = [\"slug/99999999999\"]",
            "is not a function with its number of arguments",
        ),
        (
            "[functions]\ndeclared = [\"Lower/1\"]",
            "the function `Lower` cannot be declared: SQLite has it",
        ),
        ("[functions]\ndeclared = [\"count/2\"]", "SQLite has it"),
        (
            "[collations]\ndeclared = [\"nocase\"]",
            "the collation `nocase` cannot be declared: SQLite has it",
        ),
        (
            "[collations]\ndeclared = [\"\"]",
            "the collation `` cannot be declared: this is not a name",
        ),
        ("[collations]\ndeclared = \"X\"", "must be a list"),
        ("[functions]\nnames = []", "unknown key `names`"),
    ] {
        let fleet = Fleet::from_blocks(&[BASELINE]).config(declaration).user("ann", "");
        fleet.run_without_changes(["status"]).status(2).stderr_contains(message);
    }
}

#[test]
fn a_database_with_a_missing_tokenizer_is_named_with_the_section() {
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", "CREATE TABLE t (a);")])
        .user("ann", "")
        .upgrade_to("1.0.0");
    let connection = Connection::open(fleet.path("ann_longterm.db")).unwrap();
    connection
        .execute_batch("CREATE VIRTUAL TABLE f USING fts5(x); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE f USING fts5(x, tokenize = jieba)' WHERE name = 'f'")
        .unwrap();
    let new = fleet.run(["new", "-m", "Search", "--from-db", "ann_longterm.db"]);
    new.status(0).stdout_contains("table `f` is left out: no such tokenizer: jieba (`[[extension]]` in tatmig.toml can load it)");
}

#[test]
fn a_query_passes_on_no_row_in_an_order_that_is_not_the_applications() {
    let fleet = fleet(&[]);
    insert(&fleet, "INSERT INTO tags VALUES ('b'), ('A')");
    let query = |sql: &str| fleet.run(["query", "--user", "ann", sql]);
    query("SELECT name FROM tags ORDER BY name")
        .status(1)
        .stdout_lacks("A")
        .stderr_contains("`UNICODE_CI` is a collation of the application");
    query("SELECT slug('A')").status(1).stderr_contains("`slug` is a function of the application");
    query("SELECT count(*) AS n FROM tags").status(0).stdout_contains("2");
}

#[test]
fn a_foreign_key_that_only_the_application_can_check_is_named() {
    let tables = (
        "user:1.0.0→1.1.0",
        "CREATE TABLE kinds (name TEXT COLLATE UNICODE_CI PRIMARY KEY);\n\
         CREATE TABLE things (kind TEXT REFERENCES kinds (name), n INTEGER);",
    );
    let update = ("user:1.1.0→1.2.0", "-- tatmig:allow destructive all\nUPDATE things SET n = 1;");
    let fleet = fleet(&[tables, update]);
    fleet.run(["upgrade", "--all-users", "--to", "1.1.0"]).status(0);
    insert(
        &fleet,
        "INSERT INTO kinds VALUES ('b'), ('A'); INSERT INTO things (kind) VALUES ('a'), ('B')",
    );
    let text = "foreign keys of `things` cannot be checked here: `UNICODE_CI` is a collation of the application";
    let upgrade = fleet.run(["upgrade", "--all-users", "-v"]);
    upgrade.status(0);
    assert!(
        (upgrade.stdout_text() + &upgrade.stderr_text()).contains(text),
        "{}",
        upgrade.describe()
    );
    assert_eq!(fleet.database("ann").rows("SELECT n FROM things"), ["1", "1"]);
    fleet.run(["verify", "-v"]).status(0).stdout_contains(text);
}
