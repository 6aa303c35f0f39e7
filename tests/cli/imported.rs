//! Tests `**Imported**: TOOL KEY`, the line that names the migration of another tool which a migration
//! came from: it is read, checked, and kept by every edit of the document.

use std::fs;

use crate::support::{Fleet, document};

/// A squashed baseline, a migration whose blocks are below deeper headings, and two planned ones.
const DOCUMENT: &str = "\
# Migrations

## Baseline: 1.0.0

**Imported**: goose 00001
**Description**: The first two
**Imported**: goose 2

```sql
-- [user:baseline→1.0.0:start]
CREATE TABLE notes (body TEXT);
-- [user:baseline→1.0.0:end]
```

## 1.0.0 → 1.1.0

- **Imported:** knex `__init__ 3.js`
- **Date**: 2026-01-02

### For the system

**Imported**: alembic 1b2c3d

```sql
-- [system:1.0.0→1.1.0:start]
CREATE TABLE accounts (name TEXT);
-- [system:1.0.0→1.1.0:end]
```

### For users

**Imported**: dbmate 20240102030405

```sql
-- [user:1.0.0→1.1.0:start]
ALTER TABLE notes ADD COLUMN pinned INTEGER;
-- [user:1.0.0→1.1.0:end]
-- [user:1.1.0→1.0.0:start]
ALTER TABLE notes DROP COLUMN pinned;
-- [user:1.1.0→1.0.0:end]
```

## 1.1.0 → 1.2.0 (Planned)

**Imported**: goose 4

```sql
-- [user:1.1.0→1.2.0:start]
-- ALTER TABLE notes ADD COLUMN color TEXT;
-- [user:1.1.0→1.2.0:end]
```

## 1.2.0 → 1.3.0 (Planned)

**Imported**: goose 5

```sql
-- [user:1.2.0→1.3.0:start]
-- ALTER TABLE notes ADD COLUMN size INTEGER;
-- [user:1.2.0→1.3.0:end]
```
";

/// The keys of each migration, by the version that it leads to.
#[track_caller]
fn imported(fleet: &Fleet) -> Vec<String> {
    let json = fleet.run(["history", "--json"]).status(0).json();
    let migrations = json["migrations"].as_array().unwrap().iter();
    let line = |migration: &serde_json::Value| {
        let keys = migration["imported"].as_array().unwrap().iter();
        let keys: Vec<_> = keys.map(|key| key.as_str().unwrap()).collect();
        format!("{} {}", migration["to"].as_str().unwrap(), keys.join(", "))
    };
    migrations.map(line).collect()
}

#[test]
fn each_migration_has_the_lines_below_its_headings() {
    let fleet = Fleet::new().document(DOCUMENT);
    let expected = [
        "1.0.0 goose 00001, goose 2",
        "1.1.0 knex __init__ 3.js, alembic 1b2c3d, dbmate 20240102030405",
        "1.2.0 goose 4",
        "1.3.0 goose 5",
    ];
    assert_eq!(imported(&fleet), expected);
    let crlf = Fleet::new().document(DOCUMENT.replace('\n', "\r\n"));
    assert_eq!(imported(&crlf), expected);
    // A line ends the description, and is no part of it.
    let json = fleet.run(["history", "--json"]).status(0).json();
    assert_eq!(json["migrations"][0]["description"], "The first two");
}

#[test]
fn edits_keep_the_lines() {
    let fleet = Fleet::new().document(DOCUMENT);
    fleet.run(["promote", "1.2.0"]).status(0);
    fleet.run(["new", "1.2.1", "-m", "Between", "--relink", "--scope", "user"]).status(0);
    let expected = [
        "1.0.0 goose 00001, goose 2",
        "1.1.0 knex __init__ 3.js, alembic 1b2c3d, dbmate 20240102030405",
        "1.2.0 goose 4",
        "1.2.1 ",
        "1.3.0 goose 5",
    ];
    assert_eq!(imported(&fleet), expected);
    let text = fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    for line in DOCUMENT.lines().filter(|line| line.contains("Imported")) {
        assert!(text.contains(line), "{line}");
    }
}

#[test]
fn two_scopes_may_have_the_same_keys() {
    let migrations = document(&[("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT);")])
        + "## 1.0.0 → 1.1.0\n\n**Imported**: goose 1\n\n"
        + &document(&[("system:1.0.0→1.1.0", "CREATE TABLE accounts (name TEXT);")])
        + "## 1.1.0 → 1.2.0\n\n**Imported**: goose 1\n\n"
        + &document(&[("user:1.1.0→1.2.0", "CREATE TABLE tags (name TEXT);")]);
    let fleet = Fleet::new().document(migrations);
    assert_eq!(imported(&fleet), ["1.0.0 ", "1.1.0 goose 1", "1.2.0 goose 1"]);
    fleet.run(["lint", "--allow", "missing-date"]).status(0).stderr_lacks("imported]");
}

#[test]
fn a_line_is_for_the_scopes_of_the_blocks_below_its_heading() {
    let text = format!(
        "## Baseline: 1.0.0\n\n### System\n\n**Imported**: kysely 001\n\n{}### Users\n\n**Imported**: kysely 001\n**Imported**: kysely 002\n\n{}",
        document(&[("system:baseline→1.0.0", "CREATE TABLE accounts (name TEXT);")]),
        document(&[("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT);")]),
    );
    let migrations = |sql: &str, count: usize| {
        let rows = ["('001', 'now')", "('002', 'now')"][..count].join(", ");
        format!(
            "{sql}; CREATE TABLE kysely_migration (name TEXT PRIMARY KEY, timestamp TEXT); INSERT INTO kysely_migration VALUES {rows}"
        )
    };
    let notes = "CREATE TABLE notes (body TEXT)";
    let fleet = Fleet::new()
        .document(&text)
        .system(&migrations("CREATE TABLE accounts (name TEXT)", 1))
        .user("ann", &migrations(notes, 2))
        .user("bob", &migrations(notes, 1));
    assert_eq!(imported(&fleet), ["1.0.0 kysely 001, kysely 002"]);
    fleet
        .run(["upgrade", "--all-users", "-v"])
        .status(1)
        .stdout_contains("system: at 1.0.0 (adopted at 1.0.0: `kysely_migration` records 1 migration and the schema matches 1.0.0)")
        .stdout_contains("ann: at 1.0.0 (adopted at 1.0.0: `kysely_migration` records 2 migrations and the schema matches 1.0.0)")
        .stderr_contains("`bob` (bob_longterm.db): the database has no history, and `kysely_migration` records `001` and not `002`, and 1.0.0 contains all of them");
    // The same line twice for one scope is an error.
    let twice = text.replace("kysely 002", "kysely 001");
    let lint = Fleet::new().document(twice);
    lint.run(["lint"])
        .status(2)
        .stderr_contains("`kysely 001` is imported twice in `baseline → 1.0.0`");
}

#[test]
fn prose_without_a_migration_is_not_checked() {
    let text = format!("# Old\n\n**Imported**: by Ann, in 2019\n\n**Import**: later\n\n{DOCUMENT}");
    let fleet = Fleet::new().document(text);
    fleet.run(["lint", "-v"]).stderr_lacks("malformed-imported");
    let unknown = DOCUMENT.replace("alembic 1b2c3d", "Alembics 1b2c3d");
    let lint = Fleet::new().document(unknown);
    let lint = lint.run(["lint", "-v"]);
    lint.stderr_contains("warning[malformed-imported]: `Alembics` is not a migration tool")
        .stderr_contains("= help: did you mean `alembic`?");
}
