//! Tests `status --stats`: rows and sizes of one database or of all together, read without changing
//! a file.

use rusqlite::Connection;
use snapbox::str;

use crate::support::{Fleet, NOTES};

const TWO_NOTES: &str = "INSERT INTO notes (body) VALUES ('tea'), ('milk');";

fn fleet() -> Fleet {
    let fleet =
        Fleet::from_blocks(NOTES).system("").user("ann", "").user("bob", "").upgrade_to("1.2.0");
    fleet.user("ann", TWO_NOTES).user("bob", "INSERT INTO notes (body) VALUES ('rum');")
}

#[test]
fn rows_and_sizes_are_summed_over_the_users() {
    fleet().run_without_changes(["status", "--stats"]).status(0).stderr("").stdout(str![[r#"
MIGRATIONS.md: head is 1.2.0
system  1.2.0     current
ann     1.2.0     current
bob     1.2.0     current

system: 20.5 kB in 5 pages
  accounts  0 rows

2 users: 32.8 kB in 8 pages
  notes  3 rows

"#]]);
}

#[test]
fn verbose_lists_each_database() {
    let fleet = fleet();
    fleet
        .run_without_changes(["status", "--stats", "-v"])
        .status(0)
        .stdout_contains("  ann: 2 rows, 16.4 kB in 4 pages\n  bob: 1 row, 16.4 kB in 4 pages\n");
}

#[test]
fn one_database_can_be_selected() {
    let fleet = fleet();
    let ann = ["status", "--stats", "--user", "ann"];
    fleet.run_without_changes(ann).status(0).stdout(str![[r#"
MIGRATIONS.md: head is 1.2.0
ann  1.2.0     current

ann: 16.4 kB in 4 pages
  notes  2 rows

"#]]);
    fleet.run_without_changes(["status", "--stats", "--system"]).status(0).stdout(str![[r#"
MIGRATIONS.md: head is 1.2.0
system  1.2.0     current

system: 20.5 kB in 5 pages
  accounts  0 rows

"#]]);
    // The flag selects databases without `--stats` as well.
    fleet
        .run_without_changes(["status", "--user", "bob"])
        .status(0)
        .stdout("MIGRATIONS.md: head is 1.2.0\nbob  1.2.0     current\n");
    fleet
        .run_without_changes(["status", "--stats", "--user", "eve"])
        .status(2)
        .stderr_contains("no database of user `eve`");
    fleet.run_without_changes(["status", "--user", "ann", "--system"]).status(0).stdout(
        "MIGRATIONS.md: head is 1.2.0\nsystem  1.2.0     current\nann     1.2.0     current\n",
    );
}

#[test]
fn a_scope_without_blocks_is_a_usage_error() {
    let fleet = Fleet::from_blocks(&NOTES[..1]).system("");
    fleet
        .run_without_changes(["status", "--user", "ann"])
        .status(2)
        .stderr_contains("the document has no user block");
    let fleet = Fleet::from_blocks(&NOTES[1..]);
    fleet
        .run_without_changes(["status", "--system"])
        .status(2)
        .stderr_contains("the document has no system block");
}

#[test]
fn json_has_totals_and_each_database() {
    let json = fleet().run_without_changes(["status", "--stats", "--json"]).status(0).json();
    assert_eq!(json["summary"]["current"], 3);
    let users = &json["stats"]["users"];
    assert_eq!(users["databases"], 2);
    assert_eq!(users["tables"]["notes"], 3);
    assert_eq!(users["pages"], 8);
    assert_eq!(users["file_bytes"], 8 * 4096);
    assert_eq!(json["stats"]["system"]["tables"]["accounts"], 0);
    let databases = json["stats"]["databases"].as_array().unwrap();
    let names: Vec<_> =
        databases.iter().map(|database| database["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["system", "ann", "bob"]);
    assert_eq!(databases[1]["stats"]["tables"]["notes"], 2);
    // Without `--stats` no statistics are printed.
    assert!(fleet().run(["status", "--json"]).json().get("stats").is_none());
}

#[test]
fn an_unreadable_database_is_reported_and_hides_no_other() {
    let fleet = fleet().file("bad_longterm.db", "no database");
    fleet
        .run_without_changes(["status", "--stats"])
        .status(1)
        .stdout_contains("\n2 of 3 users: 32.8 kB in 8 pages\n  notes  3 rows\n")
        .stderr_contains("the rows of `bad` could not be counted: not a SQLite database");
    let json = fleet.run_without_changes(["status", "--stats", "--json"]).status(1).json();
    let bad = &json["stats"]["databases"][2];
    assert_eq!((bad["name"].as_str(), &bad["stats"]), (Some("bad"), &serde_json::Value::Null));
    assert!(bad["error"]["message"].as_str().unwrap().contains("not a SQLite database"));
}

#[test]
fn wal_size_and_free_pages_are_reported() {
    let fleet = fleet();
    let open = Connection::open(fleet.path("ann_longterm.db")).unwrap();
    open.execute_batch(
        "PRAGMA journal_mode = WAL; CREATE TABLE own (x); INSERT INTO own VALUES (zeroblob(20000)); \
         DELETE FROM own;",
    )
    .unwrap();
    let run = fleet.run(["status", "--stats", "--user", "ann"]);
    run.status(0).stdout_contains("of them free (").stdout_contains(" and a WAL of ");
    run.stdout_contains("  own    0 rows\n");
    let json = fleet.run(["status", "--stats", "--user", "ann", "--json"]).json();
    let stats = &json["stats"]["users"];
    let wal = std::fs::metadata(fleet.path("ann_longterm.db-wal")).unwrap().len();
    assert_eq!(stats["wal_bytes"], wal);
    let number = |sql: &str| open.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(stats["free_pages"], number("PRAGMA freelist_count"));
    assert_eq!(stats["pages"], number("PRAGMA page_count"));
}

#[test]
fn virtual_tables_are_counted_once_and_unknown_modules_reported() {
    let fleet = fleet().user("ann", "CREATE VIRTUAL TABLE search USING fts5 (body)");
    fleet
        .run_without_changes(["status", "--stats", "--user", "ann"])
        .status(0)
        .stdout_contains("  notes   2 rows\n  search  0 rows\n")
        .stdout_lacks("search_data");
    // The same as for a module that only the application has.
    let fleet = fleet.user(
        "ann",
        "PRAGMA writable_schema = ON; \
         UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE search USING own (body)' \
         WHERE name = 'search';",
    );
    fleet
        .run_without_changes(["status", "--stats", "--user", "ann"])
        .stdout_contains("  search          cannot be counted: it needs a module or collation that is not available here\n");
    let json = fleet.run(["status", "--stats", "--user", "ann", "--json"]).json();
    assert_eq!(json["stats"]["users"]["tables"]["search"], serde_json::Value::Null);
    assert_eq!(json["stats"]["users"]["tables"]["notes"], 2);
}
