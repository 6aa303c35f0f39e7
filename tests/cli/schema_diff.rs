//! Tests `schema --diff`: two versions, a database, another document, a user's database.

use crate::support::{Fleet, document};

const BLOCKS: &[(&str, &str)] = &[
    ("system:baseline→1.0.0", "CREATE TABLE accounts (name TEXT PRIMARY KEY);"),
    ("user:baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);"),
    ("user:1.0.0→1.1.0", "ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;"),
    (
        "user:1.1.0→1.2.0",
        "CREATE INDEX by_body ON notes (body);\nCREATE TABLE tags (name TEXT PRIMARY KEY);",
    ),
];

fn fleet() -> Fleet {
    Fleet::from_blocks(BLOCKS).system("").user("ann", "").user("bob", "").upgrade_to("1.2.0")
}

#[test]
fn the_warnings_of_the_document_are_counted_once() {
    let fleet = Fleet::new().document(
        "```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE a (b);\n-- [user:baseline→1.0.0:end]\n\
         -- [user:1.0.0→1.1.0:start]\n-- [user:1.0.0→1.1.0:end]\n```\n",
    );
    let run = fleet.run_without_changes(["schema", "--diff", "1.0.0..1.1.0"]);
    let errors = run.status(0).stderr_text();
    assert_eq!(errors.matches("; run `tatmig lint`").count(), 1, "{errors}");
}

#[test]
fn two_versions_are_compared_as_a_table_and_as_sql() {
    let fleet = fleet();
    fleet.run_without_changes(["schema", "--diff", "1.0.0..head"]).status(0).stderr("").stdout(
        "-- user: from MIGRATIONS.md at 1.0.0 to MIGRATIONS.md at 1.2.0\n\
         --   added  index by_body\n\
         --   added  column notes.pinned  INTEGER NOT NULL DEFAULT 0\n\
         --   added  table tags\n\
         \n\
         CREATE TABLE IF NOT EXISTS tags (name TEXT PRIMARY KEY);\n\
         \n\
         ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;\n\
         \n\
         CREATE INDEX IF NOT EXISTS by_body ON notes (body);\n\
         \n",
    );
    fleet
        .run_without_changes(["schema", "--diff", "1.2.0..1.1.0"])
        .status(0)
        .stdout_contains("--   removed  table tags")
        .stdout_contains("DROP TABLE IF EXISTS tags;");
    fleet
        .run_without_changes(["schema", "--diff", "baseline..1.0.0", "--scope", "system"])
        .status(0)
        .stdout_contains("--   added  table accounts")
        .stdout_lacks("notes");
    fleet
        .run_without_changes(["schema", "--diff", "1.2.0..head"])
        .status(0)
        .stdout("-- MIGRATIONS.md at 1.2.0 and MIGRATIONS.md at 1.2.0 have the same schema\n");
}

#[test]
fn the_sql_leads_from_one_schema_to_the_other() {
    let fleet = fleet();
    let sql = fleet.run(["schema", "--diff", "1.0.0..1.2.0", "--scope", "user"]).stdout_text();
    let fleet = fleet
        .user("old", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
        .user("old", "INSERT INTO notes (body) VALUES ('tea')")
        .user("old", &sql);
    fleet.run(["schema", "--diff-user", "old", "--check"]).status(0);
    assert_eq!(fleet.database("old").rows("SELECT body, pinned FROM notes"), ["tea|0"]);
}

#[test]
fn databases_are_compared_with_the_document() {
    let fleet = fleet().user("ann", "ALTER TABLE notes ADD COLUMN mood TEXT; DROP TABLE tags;");
    for arguments in [["schema", "--diff-user", "ann"], ["schema", "--diff", "ann_longterm.db"]] {
        fleet
            .run_without_changes(arguments)
            .status(0)
            .stderr("")
            .stdout_contains("-- user: from MIGRATIONS.md at 1.2.0 to ann_longterm.db\n")
            .stdout_contains("--   added    column notes.mood  TEXT\n")
            .stdout_contains("--   removed  table tags\n")
            .stdout_contains("ALTER TABLE notes ADD COLUMN mood TEXT;")
            .stdout_contains("DROP TABLE IF EXISTS tags;");
    }
    fleet.run_without_changes(["schema", "--diff-user", "ann", "--check"]).status(1);
    fleet.run_without_changes(["schema", "--diff-user", "bob", "--check"]).status(0);
    fleet
        .run_without_changes(["schema", "--diff", "system.db", "--check"])
        .status(0)
        .stdout("-- MIGRATIONS.md at 1.2.0 and system.db have the same schema\n");
    fleet
        .run_without_changes(["schema", "--diff-user", "bob", "--at", "1.1.0"])
        .status(0)
        .stdout_contains("from MIGRATIONS.md at 1.1.0 to bob_longterm.db")
        .stdout_contains("added  table tags");
    let json = fleet.run(["schema", "--diff-user", "ann", "--json"]).status(0).json();
    assert_eq!(json["new_schema"], "ann_longterm.db");
    assert_eq!(json["diffs"][0]["changes"][0]["name"], "notes.mood");
    assert_eq!(json["diffs"][0]["changes"][0]["after"], "TEXT");
    assert!(json["diffs"][0]["sql"].as_str().unwrap().contains("DROP TABLE IF EXISTS tags;"));
}

#[test]
fn a_second_document_is_recognized_by_its_content() {
    let mut blocks = BLOCKS[..3].to_vec();
    blocks.push(("system:1.1.0→1.2.0", "CREATE TABLE audit (what TEXT);"));
    let fleet = fleet().file("other.db", document(&blocks));
    fleet
        .run_without_changes(["schema", "--diff", "other.db"])
        .status(0)
        .stdout_contains("-- system: from MIGRATIONS.md at 1.2.0 to other.db at 1.2.0\n--   added  table audit\n")
        .stdout_contains("--   removed  table tags\n");
    let fleet = fleet.file("other.db", document(&[("user:1.0.0→1.1.0", "SELECT 1;")]));
    fleet
        .run_without_changes(["schema", "--diff", "other.db"])
        .status(2)
        .stderr_contains("error[no-baseline]")
        .stderr_contains("other.db:");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let fleet = fleet().file("noise", [0xff, 0xfe, 0x00]).file("empty.db", "").directory("dir");
    for (arguments, message) in [
        (vec!["--diff", "1.0.0..9.9.9"], "version `9.9.9` is not in MIGRATIONS.md"),
        (vec!["--diff", "1.0..1.1.0"], "`1.0` is not a version"),
        (vec!["--diff", "missing.db"], "`missing.db` does not exist; write `--diff V1..V2`"),
        (vec!["--diff", "noise"], "`noise` is neither a SQLite database nor a document"),
        (vec!["--diff", "dir"], "`dir` cannot be read"),
        (vec!["--diff-user", "zoe"], "zoe"),
        (
            vec!["--diff-user", "ann", "--scope", "system"],
            "`--diff-user` compares a user database, which `--scope system` leaves out",
        ),
        (vec!["--diff", "1.0.0..1.1.0", "--at", "1.0.0"], "`--at` names one side"),
        (vec!["--diff", "1.0.0..1.1.0", "--write"], "cannot be used with"),
        (vec!["--diff", "empty.db"], "pass `--scope system` or `--scope user`"),
        (
            vec!["--check", "--at", "1.0.0"],
            "`--check` cannot be used with `--at`: the markers in the document say which schema they hold",
        ),
    ] {
        let arguments: Vec<&str> = std::iter::once("schema").chain(arguments).collect();
        fleet.run_without_changes(&arguments).status(2).stderr_contains(message);
    }
    fleet
        .run_without_changes(["schema", "--diff", "empty.db", "--scope", "user"])
        .status(0)
        .stdout_contains("removed  table notes");
}
