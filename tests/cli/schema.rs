//! Tests `schema`: the document's schema as SQL and as a diagram, printed and between markers.

use std::fs;

use snapbox::str;

use crate::support::{Fleet, NOTES, document};

const FOREIGN_KEY_BLOCKS: &[(&str, &str)] = &[
    ("user:baseline→1.0.0", "CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL UNIQUE);
CREATE TABLE \"a desk\" (owner INTEGER PRIMARY KEY REFERENCES people (id), size DECIMAL(10, 2));
CREATE TABLE calls (id INTEGER PRIMARY KEY, \"from\" INTEGER NOT NULL REFERENCES people, \"to whom\" REFERENCES people);"),
    ("user:1.0.0→1.1.0", "CREATE UNIQUE INDEX one_call ON calls (\"to whom\"); CREATE VIEW v AS SELECT 1;"),
];

#[test]
fn the_schema_is_printed_at_any_version() {
    let fleet = Fleet::from_blocks(NOTES);
    fleet.run_without_changes(["schema"]).status(0).stderr("").stdout(str![[r#"
-- system 1.2.0

CREATE TABLE accounts (name TEXT PRIMARY KEY);

-- user 1.2.0

CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL, pinned INTEGER NOT NULL DEFAULT 0);

CREATE UNIQUE INDEX one_body ON notes (body);

"#]]);
    fleet
        .run_without_changes(["schema", "--at", "1.0.0", "--scope", "user"])
        .status(0)
        .stdout("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);\n");
    let run = fleet.run_without_changes(["schema", "--at", "1.5.0"]);
    run.status(2).stderr(
        "error: version `1.5.0` is not in MIGRATIONS.md; it has `1.0.0`, `1.1.0`, `1.2.0`\n",
    );
    let at_head = fleet.run_without_changes(["schema", "--at", "head"]).status(0).stdout_text();
    assert_eq!(at_head, fleet.run_without_changes(["schema"]).status(0).stdout_text());
    fleet
        .run_without_changes(["schema", "--at", "heads"])
        .status(2)
        .stderr_contains("`heads` is not a version");
}

#[test]
fn an_empty_schema_is_named() {
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", "CREATE TABLE t (a);")]);
    fleet
        .run_without_changes(["schema", "--scope", "system"])
        .status(0)
        .stdout("")
        .stderr("note: the system schema of 1.0.0 is empty\n");
}

#[test]
fn the_printed_sql_recreates_the_schema() {
    let fleet = Fleet::from_blocks(FOREIGN_KEY_BLOCKS).user("ann", "");
    let sql = fleet.run(["schema"]).status(0).stdout_text();
    let fleet = fleet.database_file("made.db", &sql);
    fleet
        .run(["new", "-m", "x", "--from-db", "made.db"])
        .status(0)
        .stdout_contains("already has the schema of 1.1.0");
}

#[test]
fn a_planned_version_has_a_schema_too() {
    let planned = document(&[("user:1.2.0→1.3.0", "-- CREATE TABLE later (x);")]);
    let markdown = format!("{}## 1.2.0 → 1.3.0 (Planned)\n\n{planned}", document(&NOTES[1..]));
    let fleet = Fleet::new().document(markdown);
    fleet.run_without_changes(["schema"]).status(0).stdout_lacks("later");
    let run = fleet.run_without_changes(["schema", "--at", "1.3.0"]);
    run.status(0).stdout_contains("CREATE TABLE later (x);\n");
}

#[test]
fn a_diagram_shows_columns_keys_and_references() {
    let fleet = Fleet::from_blocks(FOREIGN_KEY_BLOCKS);
    fleet.run_without_changes(["schema", "--format", "mermaid"]).status(0).stdout(str![[r#"
erDiagram
    people {
        INTEGER id PK
        VARCHAR(20) name UK "NOT NULL"
    }
    "a desk" {
        INTEGER owner PK, FK
        DECIMAL(10_2) size
    }
    calls {
        INTEGER id PK
        INTEGER from FK "NOT NULL"
        any to_whom FK, UK "to whom"
    }
    people ||--o| "a desk" : "owner"
    people ||--o{ calls : "from"
    people |o--o| calls : "to whom"
    v["v (view)"]

"#]]);
}

fn document_with_markers(options: &str) -> String {
    format!(
        "# Notes\n\n<!-- tatmig:schema:start{options} -->\nwhat was there\n<!-- tatmig:schema:end -->\n\n\
         ````markdown\n<!-- tatmig:schema:start -->\n<!-- tatmig:schema:end -->\n````\n\n{}The end.\n",
        document(NOTES)
    )
}

#[test]
fn the_schema_between_markers_is_kept_up_to_date() {
    for (options, expected) in [
        ("", "\nThe system database:\n\n```mermaid\nerDiagram\n    accounts {\n"),
        (" format=sql scope=user", "\n```sql\nCREATE TABLE notes (id"),
        (
            " scope=user at=1.0.0",
            "\n```mermaid\nerDiagram\n    notes {\n        INTEGER id PK\n        TEXT body \"NOT NULL\"\n    }\n```\n\n<!--",
        ),
    ] {
        let markdown = document_with_markers(options);
        let fleet = Fleet::new().document(&markdown);
        fleet
            .run_without_changes(["schema", "--check"])
            .status(1)
            .stdout("")
            .stderr("error: MIGRATIONS.md:3: this schema is stale; run `tatmig schema --write`\n");
        fleet
            .run(["schema", "--write"])
            .status(0)
            .stdout("MIGRATIONS.md: 1 schema section updated\n");
        let text = fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
        let (before, after) = markdown.split_once("what was there\n").unwrap();
        let inside = text.strip_prefix(before).unwrap().strip_suffix(after).unwrap();
        assert!(format!("{inside}<!--").contains(expected), "{inside}");
        fleet
            .run_without_changes(["schema", "--check"])
            .status(0)
            .stdout("MIGRATIONS.md: the schema is up to date\n");
        fleet.run_without_changes(["schema", "--write"]).status(0);
        let rules = ["not-rerunnable", "missing-date", "missing-description"];
        let allowed = rules.into_iter().flat_map(|rule| ["--allow", rule]);
        let lint: Vec<&str> = ["lint", "--deny", "warnings"].into_iter().chain(allowed).collect();
        fleet.run(lint).status(0).stderr("");
    }
}

#[test]
fn a_new_migration_is_inserted_before_the_schema_and_makes_it_stale() {
    let body = format!(
        "## 1.0.0 → 1.1.0\n\n{}",
        document(&[("user:1.0.0→1.1.0", "ALTER TABLE a ADD COLUMN y")])
    );
    let markdown = format!(
        "{}{body}<!-- tatmig:schema:start -->\r\n<!-- tatmig:schema:end -->\n",
        document(&[("user:baseline→1.0.0", "CREATE TABLE a (x);")])
    );
    let fleet =
        Fleet::new().document(markdown).database_file("a.db", "CREATE TABLE a (x, y, z TEXT)");
    fleet.run(["schema", "--write"]).status(0);
    fleet.run(["schema", "--check"]).status(0);
    fleet.run(["new", "-m", "More", "--from-db", "a.db"]).status(0);
    let text = fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    assert!(
        text.find("1.1.0 → 1.1.1").unwrap() < text.find("tatmig:schema:start").unwrap(),
        "{text}"
    );
    fleet.run(["schema", "--check"]).status(1);
    fleet.run(["schema", "--write"]).status(0);
    fleet.run(["schema", "--check"]).status(0);
}

#[test]
fn line_endings_follow_the_document() {
    let fleet = Fleet::new().document(document_with_markers("").replace('\n', "\r\n"));
    fleet.run(["schema", "--write"]).status(0);
    let text = fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    fleet.run_without_changes(["schema", "--check"]).status(0);
}

#[test]
fn invalid_markers_are_reported() {
    for (markers, message) in [
        (
            "",
            "`MIGRATIONS.md` has no schema section; add the lines `<!-- tatmig:schema:start -->` and",
        ),
        (
            "<!-- tatmig:schema:start -->",
            "MIGRATIONS.md:1: no `<!-- tatmig:schema:end -->` after this marker",
        ),
        (
            "<!-- tatmig:schema:end -->",
            "MIGRATIONS.md:1: no `<!-- tatmig:schema:start -->` before this marker",
        ),
        ("<!-- tatmig:schema:start colour=red -->", "MIGRATIONS.md:1: unknown option `colour=red`"),
        ("<!-- tatmig:schema:start format=pdf -->", "MIGRATIONS.md:1: unknown schema format `pdf`"),
        (
            "<!-- tatmig:schema:start at=1.9.0 -->\n<!-- tatmig:schema:end -->",
            "version `1.9.0` is not in MIGRATIONS.md",
        ),
    ] {
        let fleet = Fleet::new().document(format!("{markers}\n\n{}", document(NOTES)));
        for flag in ["--write", "--check"] {
            fleet.run_without_changes(["schema", flag]).status(2).stderr_contains(message);
        }
    }
}

#[test]
fn a_diagram_shows_what_is_required_indexed_and_read_by_views() {
    let blocks = [(
        "user:baseline→1.0.0",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL, day TEXT, \"made by\" TEXT NOT NULL);
CREATE INDEX by_day ON notes (day DESC, body);
CREATE UNIQUE INDEX once ON notes (\"made by\", day) WHERE day > '2025';
CREATE VIEW recent AS SELECT body FROM notes;
CREATE VIEW \"last one\" AS SELECT body FROM recent;",
    )];
    let fleet = Fleet::from_blocks(&blocks);
    fleet.run_without_changes(["schema", "--format", "mermaid"]).status(0).stdout(str![[r#"
erDiagram
    notes {
        INTEGER id PK
        TEXT body "NOT NULL, index by_day"
        TEXT day "index by_day, unique index once"
        TEXT made_by "made by, NOT NULL, unique index once"
    }
    recent["recent (view)"]
    "last one"["last one (view)"]
    notes ||..o{ recent : "read by"
    recent ||..o{ "last one" : "read by"

"#]]);
}

#[test]
fn a_column_that_was_added_later_has_a_line_of_its_own() {
    let baseline = "CREATE TABLE t (\n  id INTEGER PRIMARY KEY,\n  n TEXT -- the name\n);";
    let added =
        "ALTER TABLE t ADD COLUMN seen TEXT;\nALTER TABLE t ADD COLUMN m CHECK (m IN (1, 2));";
    let markers =
        "<!-- tatmig:schema:start scope=user format=sql -->\n<!-- tatmig:schema:end -->\n\n";
    let blocks = document(&[("user:baseline→1.0.0", baseline), ("user:1.0.0→1.1.0", added)]);
    let fleet = Fleet::new().document(format!("{markers}{blocks}")).user("ann", "");
    let tidy = "CREATE TABLE t (\n  id INTEGER PRIMARY KEY,\n  n TEXT, -- the name\n  seen TEXT,\n  m CHECK (m IN (1, 2))\n);\n";
    fleet.run_without_changes(["schema"]).status(0).stdout(tidy);
    fleet.run(["schema", "--write"]).status(0);
    let text = fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    assert!(text.contains(tidy), "{text}");
    fleet.run_without_changes(["schema", "--check"]).status(0);
    // What SQLite stores stays as SQLite wrote it, and the two are the same schema.
    fleet.run(["upgrade", "--user", "ann"]).status(0);
    let stored = fleet.database("ann").rows("SELECT sql FROM sqlite_schema WHERE name = 't'");
    assert!(stored[0].contains("\n, seen TEXT, m CHECK"), "{stored:?}");
    fleet.run_without_changes(["verify"]).status(0);
    let fleet = fleet.database_file("tidy.db", tidy);
    fleet
        .run(["new", "-m", "x", "--from-db", "tidy.db"])
        .status(0)
        .stdout_contains("already has the schema of 1.1.0");
}
