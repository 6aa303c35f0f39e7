//! Tests `promote`: the next planned migration is released in the document, and nothing else
//! changes.

use std::fs;

use crate::support::Fleet;

const PLANNED_DOCUMENT: &str = "\
## Baseline: 1.0.0

**Date**: 2026-01-01
**Description**: The first one

```sql
-- [user:baseline→1.0.0:start]
CREATE TABLE IF NOT EXISTS a (x TEXT);
-- [user:baseline→1.0.0:end]
```

## 1.0.0 → 1.1.0 (Planned)

**Description**: More

```sql
-- [user:1.0.0→1.1.0:start]
-- Once everybody has it:
-- CREATE TABLE IF NOT EXISTS b (
--     x TEXT
-- );
--CREATE TABLE IF NOT EXISTS c (x TEXT);
-- [user:1.0.0→1.1.0:end]
-- [user:1.1.0→1.0.0:start]
-- DROP TABLE IF EXISTS b;
-- DROP TABLE IF EXISTS c;
-- [user:1.1.0→1.0.0:end]
```

## 1.1.0 → 1.2.0 ( planned ) for later

```sql
-- [user:1.1.0→1.2.0:start]
-- DROP TABLE nowhere;
-- [user:1.1.0→1.2.0:end]
```
";

fn document_text(fleet: &Fleet) -> String {
    fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap()
}

#[test]
fn a_planned_migration_is_released() {
    let fleet = Fleet::new().document(PLANNED_DOCUMENT).user("ann", "");
    fleet.run(["promote", "1.1.0"]).status(0).stdout("MIGRATIONS.md:18: 1.0.0 → 1.1.0 released\n");
    let text = document_text(&fleet);
    let date = text.lines().filter_map(|line| line.strip_prefix("**Date**: ")).nth(1).unwrap();
    let expected = PLANNED_DOCUMENT
        .replace("1.1.0 (Planned)", "1.1.0")
        .replace("**Description**: More", &format!("**Date**: {date}\n**Description**: More"))
        .replace("-- CREATE TABLE IF NOT EXISTS b", "CREATE TABLE IF NOT EXISTS b")
        .replace("--     x TEXT\n-- );\n--CREATE", "    x TEXT\n);\nCREATE")
        .replace("-- DROP TABLE IF EXISTS", "DROP TABLE IF EXISTS");
    assert_eq!(text, expected);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").tables(), ["a", "b", "c"]);
    let run = fleet.run_without_changes(["promote", "1.1.0"]);
    run.status(2).stderr_contains("`1.1.0` is already released; planned: `1.2.0`");
}

#[test]
fn planned_migrations_are_released_in_order() {
    let fleet = Fleet::new().document(PLANNED_DOCUMENT);
    let run = fleet.run_without_changes(["promote", "1.2.0"]);
    run.status(2)
        .stderr("error: `1.1.0` is planned before `1.2.0`; run `tatmig promote 1.1.0` first\n");
    let run = fleet.run_without_changes(["promote", "7.0.0"]);
    run.status(2).stderr_contains("`7.0.0` is not in the document; planned: `1.1.0`, `1.2.0`");
    fleet.run_without_changes(["promote", "next"]).status(2).stderr_contains("is not a version");
}

#[test]
fn a_failing_planned_migration_is_not_released() {
    let fleet = Fleet::new().document(PLANNED_DOCUMENT);
    fleet.run(["promote", "1.1.0"]).status(0);
    let run = fleet.run_without_changes(["promote", "1.2.0"]);
    run.status(2).stderr_contains("no such table: nowhere");
}

#[test]
fn a_heading_with_several_planned_migrations_is_refused() {
    let both = PLANNED_DOCUMENT
        .replace("## 1.0.0 → 1.1.0 (Planned)", "## Ideas (Planned)\n\n### 1.0.0 → 1.1.0")
        .replace("## 1.1.0 → 1.2.0 ( planned )", "### 1.1.0 → 1.2.0");
    let fleet = Fleet::new().document(both);
    let run = fleet.run_without_changes(["promote", "1.1.0"]);
    run.status(2).stderr("error: the heading `Ideas (Planned)` (MIGRATIONS.md:12) also plans `user:1.1.0→1.2.0`; give each planned migration its own heading with `(Planned)`\n");
}

/// A comment of several lines and a last statement without a semicolon are SQL as well: an empty
/// migration would be recorded otherwise.
#[test]
fn sql_in_other_comments_is_released_too() {
    for (planned, released) in [
        ("/*\nCREATE TABLE b (x);\n*/", "\nCREATE TABLE b (x);\n\n"),
        ("-- CREATE TABLE b (x)", "CREATE TABLE b (x)\n"),
    ] {
        let text = PLANNED_DOCUMENT.split("-- Once").next().unwrap_or_default();
        let fleet = Fleet::new()
            .document(format!("{text}{planned}\n-- [user:1.0.0→1.1.0:end]\n```\n"))
            .user("ann", "");
        fleet.run(["promote", "1.1.0"]).status(0);
        let expected = format!("1.1.0:start]\n{released}-- [user:1.0.0→1.1.0:end]");
        assert!(document_text(&fleet).contains(&expected), "{}", document_text(&fleet));
        fleet.run(["upgrade", "--all-users"]).status(0);
        assert_eq!(fleet.database("ann").tables(), ["a", "b"]);
    }
}
