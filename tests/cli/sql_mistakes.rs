//! Tests the help for frequent mistakes in SQL, and that statements which a block cannot run are
//! refused by the right rule, wherever they are.

use crate::support::{Fleet, document};

const TABLES: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT, m INTEGER);
CREATE TABLE p (id INTEGER PRIMARY KEY);";

/// A fleet whose second migration is this SQL, from the first column of line 12 on.
fn fleet(sql: &str) -> Fleet {
    let header = "# Notes\n\n";
    let blocks = document(&[("user:baseline→1.0.0", TABLES), ("user:1.0.0→1.1.0", sql)]);
    Fleet::new().document(format!("{header}{blocks}"))
}

#[track_caller]
fn assert_help(sql: &str, position: &str, help: &str) {
    let fleet = fleet(sql);
    fleet
        .run(["lint"])
        .status(2)
        .stderr_contains("error[sql]: ")
        .stderr_contains(&format!("--> MIGRATIONS.md:{position}\n"))
        .stderr_contains(help);
}

#[test]
fn a_missing_semicolon_is_named() {
    let help = "help: end the statement above with `;`";
    for (sql, position) in [
        ("CREATE TABLE a (x)\nCREATE TABLE b (y);", "13:1"),
        ("ALTER TABLE t ADD COLUMN a TEXT\nALTER TABLE t ADD COLUMN b TEXT;", "13:1"),
        ("UPDATE t SET n = 1 WHERE id = 2\nUPDATE t SET n = 2 WHERE id = 1;", "13:1"),
        ("UPDATE t SET n = 1 WHERE id = 2\nREPLACE INTO t VALUES (1, 2, 3);", "13:1"),
        ("INSERT INTO t (n) VALUES (1) -- one\n\n  DELETE FROM t WHERE id = 1;", "14:3"),
        ("CREATE TABLE a (x) CREATE TABLE b (y);", "12:20"),
    ] {
        assert_help(sql, position, help);
    }
    let body = "CREATE TRIGGER tr AFTER INSERT ON t BEGIN\n  INSERT INTO p VALUES (1)\n  INSERT INTO p VALUES (2);\nEND;";
    assert_help(body, "14:3", help);
    // A word that begins no statement gets no such help.
    let fleet = fleet("CREATE TABLE a (x)\nNONSENSE;");
    fleet.run(["lint"]).status(2).stderr_lacks("end the statement above");
}

#[test]
fn brackets_and_commas_are_named() {
    for (sql, position, help) in [
        ("CREATE TABLE b (x TEXT, y TEXT,);", "12:32", "help: remove the comma before `)`"),
        ("CREATE TABLE b (\n  x TEXT,\n);", "14:1", "help: remove the comma before `)`"),
        ("INSERT INTO p SELECT id, FROM t;", "12:26", "help: remove the comma before `FROM`"),
        ("CREATE TABLE b (x TEXT;", "12:23", "help: a bracket `(` is not closed"),
        (
            "CREATE TABLE b (x TEXT\nCREATE TABLE c (y);",
            "13:1",
            "help: a bracket `(` is not closed",
        ),
        ("CREATE TABLE b (x TEXT));", "12:24", "help: no bracket `(` is open here; remove `)`"),
    ] {
        assert_help(sql, position, help);
    }
}

#[test]
fn what_is_not_sql_is_named() {
    for (sql, position, help) in [
        (".mode csv", "12:1", "help: `.mode` is a command of the sqlite3 shell"),
        (".tables\nCREATE TABLE b (y);", "12:1", "`.tables` is a command of the sqlite3 shell"),
        (
            "# why\nCREATE TABLE b (y);",
            "12:1",
            "help: `#` begins no comment in SQL; write `-- comment`",
        ),
        ("CREATE TABLE b (y); # why", "12:21", "help: `#` begins no comment in SQL"),
        (
            "// why\nCREATE TABLE b (y);",
            "12:1",
            "help: `//` begins no comment in SQL; write `-- comment`",
        ),
        ("CREATE TABLE #tmp (x);", "12:14", "help: write `CREATE TEMP TABLE tmp`"),
        ("SHOW TABLES;", "12:1", "help: a migration changes a database and shows nothing"),
        ("DESCRIBE t;", "12:1", "help: a migration changes a database and shows nothing"),
        ("DELIMITER //", "12:1", "help: `DELIMITER` belongs to the MySQL client"),
        ("USE notes;", "12:1", "help: a migration runs in the one database"),
    ] {
        assert_help(sql, position, help);
    }
}

#[test]
fn each_change_of_a_table_that_sqlite_does_not_have_is_answered_with_the_text_to_write() {
    let rebuild = "help: SQLite cannot change a column in place; create a new table";
    let key = "help: SQLite cannot add this to an existing table; create a new table";
    for (sql, position, help) in [
        ("ALTER TABLE t ADD UNIQUE (n);", "12:19", "`CREATE UNIQUE INDEX t_unique ON t (n);`"),
        (
            "ALTER TABLE main.t ADD UNIQUE (n, m);",
            "12:24",
            "`CREATE UNIQUE INDEX t_unique ON t (n, m);`",
        ),
        (
            "ALTER TABLE t ADD CONSTRAINT u UNIQUE (n);",
            "12:32",
            "`CREATE UNIQUE INDEX u ON t (n);`",
        ),
        ("ALTER TABLE t ADD INDEX i (n);", "12:19", "`CREATE INDEX i ON t (n);`"),
        ("ALTER TABLE t ADD PRIMARY KEY (n);", "12:19", key),
        ("ALTER TABLE t ADD FOREIGN KEY (m) REFERENCES p (id);", "12:19", key),
        ("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (m) REFERENCES p (id);", "12:32", key),
        ("ALTER TABLE t MODIFY n VARCHAR(10);", "12:15", rebuild),
        ("ALTER TABLE t MODIFY COLUMN n VARCHAR(10);", "12:15", rebuild),
        ("ALTER TABLE t CHANGE n o TEXT;", "12:15", rebuild),
        ("ALTER TABLE t ALTER COLUMN n TYPE INTEGER;", "12:30", rebuild),
        ("ALTER TABLE t ALTER COLUMN n SET DEFAULT 3;", "12:34", rebuild),
        (
            "ALTER TABLE t ADD COLUMN a TEXT, ADD COLUMN b TEXT;",
            "12:32",
            "`ALTER TABLE t ADD COLUMN …;`",
        ),
        ("ALTER TABLE t ADD (a TEXT, b TEXT);", "12:19", "`ALTER TABLE t ADD COLUMN …;`"),
        (
            "ALTER TABLE t ADD COLUMN IF NOT EXISTS a TEXT;",
            "12:33",
            "without `IF NOT EXISTS`; tatmig skips it",
        ),
        ("ALTER TABLE t DROP COLUMN IF EXISTS a;", "12:30", "without `IF EXISTS`; tatmig skips it"),
        (
            "ALTER TABLE t ADD COLUMN d TEXT UNIQUE;",
            "12:33",
            "then write `CREATE UNIQUE INDEX … ON …;`",
        ),
        ("ALTER TABLE t ADD COLUMN d INTEGER PRIMARY KEY;", "12:36", key),
        ("RENAME TABLE t TO u;", "12:1", "`ALTER TABLE t RENAME TO u;`"),
        ("TRUNCATE TABLE t;", "12:1", "`DELETE FROM t;`"),
        ("TRUNCATE t;", "12:1", "`DELETE FROM t;`"),
        ("DROP INDEX i ON t;", "12:14", "`DROP INDEX i;`"),
        ("DROP TABLE t CASCADE;", "12:14", "SQLite has no `CASCADE` here"),
    ] {
        assert_help(sql, position, help);
    }
}

#[test]
fn definitions_of_other_databases_are_answered_with_those_of_sqlite() {
    let number = "help: write `INTEGER PRIMARY KEY`, which numbers rows by itself";
    for (sql, position, help) in [
        ("CREATE TABLE b (id INTEGER PRIMARY KEY AUTO_INCREMENT);", "12:40", number),
        ("CREATE TABLE b (id BIGINT GENERATED ALWAYS AS IDENTITY);", "12:47", number),
        (
            "CREATE TABLE b (id SERIAL PRIMARY KEY AUTOINCREMENT);",
            "12:39",
            "help: write exactly `INTEGER PRIMARY KEY AUTOINCREMENT`",
        ),
        (
            "CREATE TABLE b (id INTEGER) ENGINE=InnoDB;",
            "12:35",
            "help: SQLite has no storage engines",
        ),
        (
            "CREATE TABLE b (id INTEGER) DEFAULT CHARSET=utf8;",
            "12:29",
            "help: SQLite has no such option of a table",
        ),
        ("CREATE TABLE b (x ENUM('a', 'b'));", "12:24", "`x TEXT CHECK (x IN ('a', 'b'))`"),
        ("CREATE TABLE b (x DEFAULT now());", "12:30", "help: write `DEFAULT CURRENT_TIMESTAMP`"),
        ("CREATE TABLE b (x DEFAULT datetime('now'));", "12:35", "`DEFAULT (datetime('now'))`"),
        ("CREATE TABLE b (x TEXT, INDEX i (x));", "12:25", "`CREATE INDEX i ON … (x);`"),
        ("CREATE TABLE b (x TEXT, UNIQUE KEY i (x));", "12:32", "help: write `UNIQUE (x)`"),
        ("CREATE OR REPLACE VIEW v AS SELECT 1 AS a;", "12:8", "`DROP VIEW IF EXISTS v;`"),
        ("CREATE TYPE mood AS ENUM ('a');", "12:8", "help: SQLite has no types of its own"),
        ("CREATE INDEX CONCURRENTLY i ON t (n);", "12:27", "without `CONCURRENTLY`"),
        ("CREATE INDEX ON t (n);", "12:14", "help: an index needs a name"),
        ("COMMENT ON TABLE t IS 'x';", "12:1", "help: SQLite has no comments on objects"),
        ("CREATE TABLE b (group TEXT);", "12:17", "in double quotes: `\"group\"`"),
        ("CREATE TABLE order (x);", "12:14", "in double quotes: `\"order\"`"),
        ("CREATE TABLE 1b (x);", "12:14", "in double quotes: `\"1b\"`"),
        (
            "CREATE TRIGGER tr AFTER INSERT ON t BEGIN VACUUM; END;",
            "12:43",
            "help: the body of a trigger holds only",
        ),
    ] {
        assert_help(sql, position, help);
    }
}

#[test]
fn expressions_of_other_databases_are_answered_with_those_of_sqlite() {
    for (sql, position, help) in [
        ("UPDATE t SET n = now();", "12:18", "help: SQLite has `CURRENT_TIMESTAMP`"),
        ("UPDATE t SET n = uuid();", "12:18", "help: SQLite has no UUID function"),
        ("UPDATE t SET n = left(n, 3);", "12:18", "help: write `substr(text, 1, count)`"),
        ("UPDATE t SET m = 1 WHERE n ILIKE 'a';", "12:28", "help: write `LIKE`"),
        ("UPDATE t SET n = m::text;", "12:19", "help: write `CAST(… AS …)` in place of `::`"),
        ("INSERT IGNORE INTO t (n) VALUES (1);", "12:8", "`INSERT OR IGNORE INTO …`"),
        (
            "INSERT INTO t (n) VALUES (1) ON DUPLICATE KEY UPDATE n = 2;",
            "12:33",
            "`ON CONFLICT (…) DO UPDATE SET …`",
        ),
        ("UPDATE t SET n = 1 LIMIT 5;", "12:20", "`WHERE rowid IN (SELECT rowid FROM … LIMIT …)`"),
        (
            "UPDATE t SET n = 'it\\'s', m = 'that\\'s';",
            "12:23",
            "help: a backslash escapes nothing in SQLite",
        ),
    ] {
        assert_help(sql, position, help);
    }
    let fleet = fleet("UPDATE t SET n = 'it\\'s';");
    let run = fleet.run(["lint"]);
    run.status(2).stderr_contains("error[unclosed-block]").stderr_contains("a backslash escapes");
}

#[test]
fn what_sqlite_accepts_gets_no_error() {
    let sql = "CREATE TABLE b (x BOOLEAN DEFAULT true, y TEXT CHECK (y IN ('a', 'b')));
INSERT INTO b VALUES (false, 'a') RETURNING x;
UPDATE t SET n = 'now()' WHERE n LIKE '%;%';";
    fleet(sql).run(["lint"]).status(0);
}

#[test]
fn an_unknown_module_is_answered_with_those_that_exist() {
    let fleet_with = |module: &str| fleet(&format!("CREATE VIRTUAL TABLE f USING {module}(a);"));
    fleet_with("fts6")
        .run(["lint"])
        .status(2)
        .stderr_contains("error[sql]: no such module: fts6\n  --> MIGRATIONS.md:12:30\n")
        .stderr_contains("did you mean `fts5`?")
        .stderr_contains("`fts4`, `fts4aux`, `fts5`, `fts5vocab`, `rtree`");
    let run = fleet_with("vec0");
    let run = run.run(["lint"]);
    run.status(2)
        .stderr_contains("does not have it, but the modules `")
        .stderr_lacks("did you mean");
}

#[test]
fn a_statement_that_no_block_may_hold_is_refused_by_its_rule_in_every_position() {
    for (statement, reason) in [
        ("VACUUM", "`VACUUM` is not allowed inside a block"),
        ("vacuum main", "`VACUUM` is not allowed inside a block"),
        ("VACUUM INTO 'copy.db'", "`VACUUM` is not allowed inside a block"),
        ("ATTACH 'x.db' AS x", "`ATTACH` is not allowed inside a block"),
        ("DETACH x", "`DETACH` is not allowed inside a block"),
        ("BEGIN IMMEDIATE", "`BEGIN` is not allowed inside a block"),
        ("COMMIT", "`COMMIT` is not allowed inside a block"),
        ("END TRANSACTION", "`COMMIT` is not allowed inside a block"),
        ("ROLLBACK", "`ROLLBACK` is not allowed inside a block"),
        ("SAVEPOINT s", "`SAVEPOINT` is not allowed inside a block"),
        ("RELEASE s", "`RELEASE` is not allowed inside a block"),
        ("ROLLBACK TO s", "`ROLLBACK TO` is not allowed inside a block"),
        ("PRAGMA journal_mode = WAL", "`PRAGMA journal_mode` is not allowed inside a block"),
        (
            "PRAGMA main.writable_schema(1)",
            "`PRAGMA writable_schema` is not allowed inside a block",
        ),
        ("SELECT load_extension('x')", "`load_extension` is not allowed inside a block"),
    ] {
        let first = format!("-- why\n/* how */ {statement};\nUPDATE t SET n = 1 WHERE id = 1;");
        let last = format!("UPDATE t SET n = 1 WHERE id = 1;\n\n{statement}");
        for (sql, position) in [(first, "13:11"), (last, "14:1")] {
            let fleet = fleet(&sql).user("ann", "");
            for command in [&["lint"] as &[&str], &["test"], &["upgrade", "--all-users"]] {
                let run = fleet.run_without_changes(command);
                run.status(2)
                    .stderr_contains(&format!("error[refused-statement]: {reason}"))
                    .stderr_contains(&format!("--> MIGRATIONS.md:{position}\n"))
                    .stderr_lacks("error[sql]");
            }
        }
    }
}

#[test]
fn a_misspelled_pragma_is_answered_with_the_one_that_was_meant() {
    let fleet = fleet("PRAGMA foreign_key = ON;");
    fleet.run(["lint"]).status(2).stderr_contains("help: did you mean `PRAGMA foreign_keys`?");
}
