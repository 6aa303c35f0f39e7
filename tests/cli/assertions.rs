//! Tests `-- tatmig:assert`: a SELECT that returns a row rolls the database back, and the rows are
//! shown.

use snapbox::str;

use crate::support::{Fleet, document};

const BASELINE: (&str, &str) =
    ("user:baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT);");

const ASSERTED: &str = "CREATE TABLE tags (tag TEXT);
-- tatmig:assert no two notes have one title
SELECT title, count(*) AS n FROM notes GROUP BY title HAVING count(*) > 1;
CREATE UNIQUE INDEX notes_title ON notes (title);";

fn fleet() -> Fleet {
    Fleet::from_blocks(&[BASELINE]).user("ann", "").user("bob", "").upgrade_to("1.0.0")
}

fn asserted(sql: &str) -> String {
    document(&[BASELINE, ("user:1.0.0→1.1.0", sql)])
}

#[test]
fn a_row_of_an_assertion_rolls_back_that_database_only() {
    let fleet = fleet()
        .user("ann", "INSERT INTO notes (title) VALUES ('tea'), ('tea'), ('it''s'), ('it''s')")
        .document(asserted(ASSERTED));
    fleet.run(["upgrade", "--all-users"]).status(1).stderr(str![[r#"
error[assert]: `ann` (ann_longterm.db): assertion failed: no two notes have one title: its SELECT must return no row, but returns (title = 'it''s', n = 2), (title = 'tea', n = 2) (in the migration 1.0.0 → 1.1.0)
  --> MIGRATIONS.md:11:1
   |
11 | SELECT title, count(*) AS n FROM notes GROUP BY title HAVING count(*) > 1;
   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: change these rows and run the command again

...
"#]]);
    let ann = fleet.database("ann");
    assert_eq!(ann.version().as_deref(), Some("1.0.0"));
    assert_eq!(ann.rows("SELECT count(*) FROM notes"), ["4"]);
    assert_eq!(ann.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'tags'"), ["0"]);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
    // A rehearsal finds the rows as well.
    fleet.run_without_changes(["upgrade", "--all-users", "--rehearse"]).status(1);
    let fleet = fleet.user("ann", "UPDATE notes SET title = title || id");
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.1.0"));
}

#[test]
fn only_the_first_five_rows_of_an_assertion_are_shown() {
    let fleet = fleet()
        .user("ann", "INSERT INTO notes VALUES (1,1),(2,2),(3,3),(4,4),(5,5),(6,6)")
        .document(asserted("-- tatmig:assert no notes\nSELECT id FROM notes ORDER BY id;"));
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1).stderr_contains("(id = 1), (id = 2), (id = 3), (id = 4), (id = 5) and more (in");
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.0.0"));
}

#[test]
fn an_assertion_that_fails_in_the_replay_refuses_the_document() {
    let sql = "INSERT INTO notes (title) VALUES ('a');\n-- tatmig:assert no notes\nWITH n AS (SELECT * FROM notes) SELECT * FROM n";
    let fleet = fleet().document(asserted(sql));
    let run = fleet.run_without_changes(["upgrade", "--all-users"]);
    run.status(2)
        .stderr_contains("error[assert]: assertion failed on an otherwise empty database: no notes")
        .stderr_contains("(id = 1, title = 'a')")
        .stderr_contains("MIGRATIONS.md:11:1");
}

#[test]
fn an_assertion_that_checks_nothing_is_malformed() {
    for (sql, message) in [
        ("-- tatmig:assert\nSELECT 1 WHERE 0;", "has no reason"),
        ("-- tatmig:assert why", "the statement below this assertion is not a SELECT"),
        ("-- tatmig:assert why\nDELETE FROM notes WHERE 0;", "is not a SELECT"),
        ("-- tatmig:assert why\nWITH x AS (SELECT 1) DELETE FROM notes;", "must be a SELECT"),
        ("-- tatmig:assert why\nPRAGMA user_version;", "is not a SELECT"),
        ("DROP TABLE notes; -- tatmig:assert why\nSELECT 1 WHERE 0;", "on a line of its own"),
        ("CREATE VIEW v AS\n-- tatmig:assert why\nSELECT 1;", "inside a statement"),
        ("-- tatmig:asert why\nSELECT 1 WHERE 0;", "`asert` is not a directive"),
        ("-- TATMIG:ASSERT why\nSELECT 1 WHERE 0;", "`ASSERT` is not a directive"),
    ] {
        let fleet = fleet().document(asserted(sql));
        for command in ["lint", "upgrade"] {
            let run = fleet.run_without_changes([command]);
            run.status(2).stderr_contains("error[malformed-assert]").stderr_contains(message);
        }
    }
}

#[test]
fn a_planned_assertion_is_commented_out_with_its_select() {
    let planned = format!(
        "{}## 1.0.0 → 1.1.0 (Planned)\n\n{}",
        document(&[BASELINE]),
        document(&[(
            "user:1.0.0→1.1.0",
            "-- tatmig:assert no empty titles\n-- SELECT id FROM notes WHERE title = '';"
        )])
    );
    let fleet = Fleet::new().document(planned);
    fleet.run(["lint", "--deny", "malformed-assert"]).status(0);
    fleet.run(["promote", "1.1.0"]).status(0);
    let fleet = fleet.user("ann", "");
    fleet.run(["upgrade", "--user", "ann", "--to", "1.0.0"]).status(0);
    let fleet = fleet.user("ann", "INSERT INTO notes (title) VALUES ('')");
    let run = fleet.run(["upgrade", "--user", "ann"]);
    run.status(1).stderr_contains("assertion failed: no empty titles");
}

#[test]
fn an_assertion_changes_no_checksum_and_holds_for_new_databases() {
    let fleet = Fleet::new().document(asserted(ASSERTED));
    fleet.run(["init", "--user", "ann"]).status(0);
    let without = ASSERTED.replace("-- tatmig:assert no two notes have one title\n", "");
    let fleet = fleet.document(asserted(&without));
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("1.1.0");
    fleet.run(["verify"]).status(0);
}

#[test]
fn an_assertion_holds_on_a_connection_of_an_application() {
    use tatmig::{Changelog, ErrorKind, Scope};
    let mut connection = rusqlite::Connection::open_in_memory().unwrap();
    let baseline = document(&[BASELINE]);
    let changelog = Changelog::parse(&baseline).unwrap();
    changelog.upgrade(&mut connection, Scope::User).unwrap();
    connection.execute_batch("INSERT INTO notes (title) VALUES ('tea'), ('tea')").unwrap();
    let text = asserted(ASSERTED);
    let changelog = Changelog::parse(&text).unwrap();
    let error = changelog.upgrade(&mut connection, Scope::User).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint);
    assert!(error.to_string().starts_with("MIGRATIONS.md:11:1: assertion failed"), "{error}");
    let version = changelog.status(&connection, Scope::User).unwrap().version.unwrap();
    assert_eq!(version, "1.0.0");
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'tags'";
    assert_eq!(connection.query_row(tables, [], |row| row.get(0)), Ok(0));
}
