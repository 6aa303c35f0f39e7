//! Tests `new`: the section of the next migration is inserted at the right place in the document's
//! own style, and no other byte changes.

use std::fs;

use crate::support::{Fleet, NOTES, document, wait_until};

const STYLED_DOCUMENT: &str = "\
# The schema

Read me first.

---

### Migration: 1.0.0 -> 1.1.0

* **Date:** 2026-02-01
* **Description:** A second column

#### For everybody

```sql
-- [user:1.0.0->1.1.0:start]
ALTER TABLE a ADD COLUMN y TEXT;
-- [user:1.0.0->1.1.0:end]
```

---

### Baseline: 1.0.0

* **Date:** 2026-01-01
* **Description:** The first one

```sql
-- [user:baseline->1.0.0:start]
CREATE TABLE IF NOT EXISTS a (x TEXT);
-- [user:baseline->1.0.0:end]
```
";

const DOCUMENT_WITH_PLAN: &str = "\
# Changes

## 1.0.0 → 1.1.0

**Date**: 2026-02-01
**Description**: A column

```sql
-- [user:1.0.0→1.1.0:start]
ALTER TABLE a ADD COLUMN y TEXT;
-- [user:1.0.0→1.1.0:end]
```

## Plans

### 1.1.0 → 2.0.0 (Planned)

**Description**: Away with it, see 2.0.0

```sql
-- [user:1.1.0→2.0.0:start]
-- DROP TABLE IF EXISTS a;
-- [user:1.1.0→2.0.0:end]
-- [user:2.0.0→1.1.0:start]
-- CREATE TABLE a (x TEXT, y TEXT);
-- [user:2.0.0→1.1.0:end]
```

## Baseline: 1.0.0

**Date**: 2026-01-01
**Description**: The first one

```sql
-- [user:baseline→1.0.0:start]
CREATE TABLE IF NOT EXISTS a (x TEXT);
-- [user:baseline→1.0.0:end]
```";

/// The section for a user database, in the style of the README.
fn section(from: &str, to: &str, description: &str) -> String {
    format!(
        "## {from} → {to}\n\n**Date**: {}\n**Description**: {description}\n\n```sql\n-- [user:{from}→{to}:start]\n\
         -- tatmig:todo write the statements for each user database\n-- [user:{from}→{to}:end]\n```\n",
        today()
    )
}

fn today() -> String {
    let database = rusqlite::Connection::open_in_memory().unwrap();
    database.query_row("SELECT date()", [], |row| row.get(0)).unwrap()
}

fn document_text(fleet: &Fleet) -> String {
    fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap()
}

#[test]
fn an_unfinished_migration_is_reported_once() {
    let fleet = Fleet::new();
    fleet.run(["new", "1.0.0", "-m", "First"]).status(0);
    fleet
        .run(["lint"])
        .status(2)
        .stdout("MIGRATIONS.md: 2 errors, 0 warnings\n")
        .stderr_lacks("released-without-sql");
}

#[test]
fn a_new_section_follows_the_style_and_order_of_the_document() {
    let fleet = Fleet::new().document(STYLED_DOCUMENT);
    fleet
        .run(["new", "--minor", "-m", "A third"])
        .status(0)
        .stderr("")
        .stdout("MIGRATIONS.md:15: 1.1.0 → 1.2.0 added\n  write its SQL before the next upgrade, then run `tatmig lint`\n");
    let added = format!(
        "### Migration: 1.1.0 -> 1.2.0\n\n* **Date:** {}\n* **Description:** A third\n\n#### For everybody\n\n```sql\n\
         -- [user:1.1.0->1.2.0:start]\n-- tatmig:todo write the statements for each user database\n-- [user:1.1.0->1.2.0:end]\n```\n\n---\n\n",
        today()
    );
    assert_eq!(
        document_text(&fleet),
        STYLED_DOCUMENT.replace("### Migration: 1.0.0", &format!("{added}### Migration: 1.0.0"))
    );
}

#[test]
fn planned_migrations_are_relinked_on_request() {
    let oldest_first = DOCUMENT_WITH_PLAN.replace("## Plans", "## Ideas");
    let (first, rest) = oldest_first.split_once("## 1.0.0").unwrap();
    let (released, planned) = rest.split_once("## Ideas").unwrap();
    let (planned, baseline) = planned.split_once("## Baseline").unwrap();
    let text_before =
        format!("{first}## Baseline{baseline}\n\n## 1.0.0{released}## Ideas{planned}");
    let fleet = Fleet::new().document(&text_before);
    let message = "error: the planned migration `1.1.0 → 2.0.0` (MIGRATIONS.md:32) also starts at head, which is 1.1.0; pass `--relink` to make it start at `1.2.0`, in its heading and its tags\n";
    fleet.run_without_changes(["new", "1.2.0", "-m", "Between"]).status(2).stderr(message);
    fleet
        .run(["new", "1.2.0", "-m", "Between", "--relink"])
        .status(0)
        .stdout_contains("  the planned migration `1.1.0 → 2.0.0` is now `1.2.0 → 2.0.0`\n");
    let relinked = planned
        .replace("1.1.0 → 2.0.0", "1.2.0 → 2.0.0")
        .replace("1.1.0→2.0.0", "1.2.0→2.0.0")
        .replace("2.0.0→1.1.0", "2.0.0→1.2.0");
    let expected = format!(
        "{first}## Baseline{baseline}\n\n## 1.0.0{released}{}\n## Ideas{relinked}",
        section("1.1.0", "1.2.0", "Between")
    );
    assert_eq!(document_text(&fleet), expected);
}

#[test]
fn conflicting_planned_versions_are_reported_and_renumbered_on_request() {
    let fleet = Fleet::new().document(DOCUMENT_WITH_PLAN);
    let run = fleet.run_without_changes(["new", "2.0.0", "-m", "x"]);
    run.status(2).stderr("error: `2.0.0` is already planned (MIGRATIONS.md:21 and below); run `tatmig promote 2.0.0` to release the next planned migration, or pass `--relink` to insert the new migration before the planned ones: `2.0.0` becomes `2.0.1`\n");
    let run = fleet.run_without_changes(["new", "2.1.0", "-m", "x"]);
    run.status(2)
        .stderr_contains("`2.1.0` is above `2.0.0`, which is planned and must be released first");
    fleet.run(["new", "2.1.0", "-m", "x", "--relink"]).status(0);
    let text = document_text(&fleet);
    assert!(text.contains("### 2.1.0 → 2.1.1 (Planned)"), "{text}");
    assert!(text.contains("-- [user:2.1.1→2.1.0:end]"), "{text}");
    assert!(text.contains("Away with it, see 2.0.0"), "prose is nobody's business: {text}");
    assert!(text.find("1.1.0 → 2.1.0").unwrap() < text.find("1.0.0 → 1.1.0").unwrap(), "{text}");
    let fleet = fleet.document(text.replace("-- tatmig:todo", "--"));
    fleet.run(["lint"]).status(0);
}

#[test]
fn line_endings_and_the_byte_order_mark_are_kept() {
    let markdown = format!("\u{feff}{}", STYLED_DOCUMENT.replace('\n', "\r\n"));
    let fleet = Fleet::new().document(&markdown);
    fleet.run(["new", "-m", "A third", "--reverse"]).status(0);
    let text = document_text(&fleet);
    assert!(text.starts_with("\u{feff}# The schema\r\n"));
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    assert!(text.contains("-- [user:1.1.1->1.1.0:start]\r\n"), "{text}");
    assert_eq!(text.replace("\r\n", "\n").matches("\n\n\n").count(), 0);
}

#[test]
fn a_document_without_headings_gets_the_section_at_its_end() {
    let markdown = document(&NOTES[1..]).trim_end().to_owned();
    let fleet = Fleet::new().document(&markdown);
    fleet.run(["new", "--major", "-m", "All new"]).status(0);
    assert_eq!(
        document_text(&fleet),
        format!("{markdown}\n\n{}", section("1.2.0", "2.0.0", "All new"))
    );
}

#[test]
fn the_scope_flag_selects_the_blocks() {
    let fleet = Fleet::from_blocks(NOTES);
    fleet.run(["new", "-m", "Both"]).status(0);
    fleet.run(["new", "-m", "One", "--scope", "system"]).status(0);
    let text = document_text(&fleet);
    assert!(
        text.contains("[system:1.2.0→1.2.1:start]") && text.contains("[user:1.2.0→1.2.1:start]")
    );
    assert!(
        text.contains("[system:1.2.1→1.2.2:start]") && !text.contains("[user:1.2.1→1.2.2:start]")
    );
}

#[test]
fn a_description_is_never_read_as_markdown() {
    for message in [
        "## 9.0.0 → 9.1.0 (Planned)\n\n```sql\n-- [user:1.2.0→9.0.0:start]\n",
        "```",
        "<!-- hidden",
        "-- [user:1.2.0→9.0.0:start]",
        "`a` *b* **Date**: 1999-01-01 \\ <b> & \u{202e}",
        "===\n---\n> x",
        "a\r\nb\u{0}c\u{1b}[31m",
    ] {
        let fleet = Fleet::from_blocks(&NOTES[1..]);
        // Program arguments cannot contain NUL.
        let message = message.replace('\u{0}', " ");
        fleet.run(["new", "-m", message.as_str()]).status(0).stderr("");
        let history_run = fleet.run(["history", "--json"]);
        let history = history_run.status(0).json();
        let description =
            history["migrations"].as_array().unwrap().last().unwrap()["description"].clone();
        let plain: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(description.as_str().unwrap(), plain);
    }
    let fleet = Fleet::from_blocks(&NOTES[1..]);
    let run = fleet.run_without_changes(["new", "-m", " \n "]);
    run.status(2).stderr("error: a migration needs a description; pass `-m \"what it is for\"`\n");
}

#[test]
fn invalid_new_versions_are_refused() {
    let fleet = Fleet::from_blocks(&NOTES[1..]);
    for (version, message) in [
        (
            "1.2.0",
            "`1.2.0` is not above head, which is 1.2.0; use a higher version, such as `1.2.1`, `1.3.0`, `2.0.0`",
        ),
        ("0.9.0", "`0.9.0` is not above head"),
        ("1.3.0+build", "has build metadata"),
        ("1.3", "`1.3` is not a version"),
        ("baseline", "`baseline` is not a version"),
    ] {
        fleet.run_without_changes(["new", version, "-m", "x"]).status(2).stderr_contains(message);
    }
    fleet.run_without_changes(["new", "1.3.0", "--minor", "-m", "x"]).status(2);
    fleet.run_without_changes(["new"]).status(2);
}

#[test]
fn the_first_baseline_creates_the_document() {
    let fleet = Fleet::new();
    let run = fleet.run_without_changes(["new", "--minor", "-m", "x"]);
    run.status(2).stderr_contains("`MIGRATIONS.md` does not exist, so it has no next version; name the version of its first baseline: `tatmig new 1.0.0 -m …` creates the file");
    fleet.run(["new", "1.0.0", "-m", "The first", "--scope", "user"]).status(0);
    let expected =
        section("baseline", "1.0.0", "The first").replace("## baseline → ", "## Baseline: ");
    assert_eq!(document_text(&fleet), format!("# Migrations\n\n{expected}"));
    let fleet = Fleet::new().document("Only prose.\n\n```sql\nSELECT 1;\n```\n");
    fleet.run(["new", "0.1.0", "-m", "The first"]).status(0);
    assert!(
        document_text(&fleet)
            .starts_with("Only prose.\n\n```sql\nSELECT 1;\n```\n\n## Baseline: 0.1.0\n")
    );
}

#[test]
fn an_invalid_document_is_left_unchanged() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE a (x);"),
        ("user:1.2.0→1.3.0", "SELECT 1;"),
    ]);
    fleet.run_without_changes(["new", "-m", "x"]).status(2).stderr_contains("error[gap]");
}

#[cfg(unix)]
#[test]
fn symlinks_and_permissions_are_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let fleet = Fleet::new().file("docs/real.md", document(&NOTES[1..]));
    symlink("docs/real.md", fleet.path("MIGRATIONS.md")).unwrap();
    fs::set_permissions(fleet.path("docs/real.md"), fs::Permissions::from_mode(0o640)).unwrap();
    fleet.run(["new", "-m", "x"]).status(0);
    assert_eq!(
        fs::read_link(fleet.path("MIGRATIONS.md")).unwrap(),
        fleet.path("docs/real.md").strip_prefix(fleet.path("")).unwrap()
    );
    let real = fleet.path("docs/real.md");
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::read_to_string(&real).unwrap().contains("1.2.0→1.2.1"));
    assert_eq!(fs::read_dir(fleet.path("docs")).unwrap().count(), 1, "nothing else is left");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o440)).unwrap();
    fleet.run_without_changes(["new", "-m", "x"]).status(2).stderr_contains("is read-only");
}

#[test]
fn a_concurrent_edit_is_not_overwritten() {
    let fleet = Fleet::from_blocks(&NOTES[1..])
        .database_file("after.db", "CREATE TABLE notes (id INTEGER PRIMARY KEY)");
    let lock = rusqlite::Connection::open(fleet.path("after.db")).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let child = fleet.start(["-v", "new", "-m", "x", "--from-db", "after.db", "--scope", "user"]);
    // Once the run waits for the database, it has read the document.
    #[cfg(target_os = "linux")]
    wait_until("the database is open", || {
        let open = fs::read_dir(format!("/proc/{}/fd", child.id())).into_iter().flatten().flatten();
        open.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|path| path.ends_with("after.db"))
    });
    let concurrent_edit = format!("{}\nA line of theirs.\n", document(&NOTES[1..]));
    fs::write(fleet.path("MIGRATIONS.md"), &concurrent_edit).unwrap();
    drop(lock);
    let run = fleet.wait(child);
    run.status(2).stderr_contains("was changed by another program meanwhile");
    assert_eq!(document_text(&fleet), concurrent_edit);
}

#[test]
fn json_describes_the_new_section() {
    let fleet = Fleet::from_blocks(&NOTES[1..]);
    let run = fleet.run(["new", "-m", "x", "--json"]);
    let json = run.status(0).json();
    assert_eq!(json["from"], "1.2.0");
    assert_eq!(json["to"], "1.2.1");
    assert_eq!(json["scopes"], serde_json::json!(["user"]));
    assert_eq!(json["line"], 25);
}

/// A fleet at 1.2.0 whose document has a new migration without SQL.
fn unfinished_fleet() -> Fleet {
    let fleet = Fleet::from_blocks(&NOTES[1..]).user("ann", "").upgrade_to("1.2.0");
    fleet.run(["new", "1.3.0", "-m", "Soon"]).status(0);
    fleet
}

#[test]
fn a_new_migration_is_never_recorded_before_its_sql_is_written() {
    let fleet = unfinished_fleet();
    for arguments in [
        &["upgrade", "--all-users"][..],
        &["upgrade", "--all-users", "--rehearse"],
        &["upgrade", "--all-users", "--dry-run"],
        &["init", "--user", "bob"],
        &["reset", "--user", "ann", "--yes"],
        &["stamp", "1.3.0", "--user", "ann"],
        &["adopt", "--user", "ann"],
        &["test"],
        &["lint"],
    ] {
        let run = fleet.run_without_changes(arguments);
        run.status(2)
            .stderr_contains("error[unfinished-block]: this block is not finished")
            .stderr_contains("MIGRATIONS.md:26:1")
            .stderr_contains("write the SQL and remove this comment");
    }
    // What neither runs nor records it still works.
    for arguments in [
        &["status"][..],
        &["verify"],
        &["history"],
        &["schema"],
        &["upgrade", "--all-users", "--to", "1.2.0"],
        &["stamp", "1.2.0", "--user", "ann"],
    ] {
        fleet.run(arguments).status(0);
    }
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
    let written = document_text(&fleet).replace(
        "-- tatmig:todo write the statements for each user database",
        "ALTER TABLE notes ADD COLUMN mood TEXT;",
    );
    let fleet = fleet.document(written);
    fleet.run(["upgrade", "--all-users"]).status(0);
    let columns = "SELECT count(*) FROM pragma_table_info('notes') WHERE name = 'mood'";
    assert_eq!(fleet.database("ann").rows(columns), ["1"]);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.3.0"));
}

#[test]
fn a_migration_without_sql_is_recorded_once_its_placeholder_is_removed() {
    let fleet = unfinished_fleet();
    // The next migration can be added meanwhile.
    fleet.run(["new", "-m", "Later"]).status(0);
    let text = document_text(&fleet).replace("-- tatmig:todo write the", "-- the");
    let fleet = fleet.document(text);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.3.1"));
}

#[test]
fn a_planned_migration_may_be_unfinished_until_it_is_promoted() {
    let planned = "## 1.2.0 → 1.3.0 (Planned)\n\n```sql\n-- [user:1.2.0→1.3.0:start]\n-- tatmig:todo which colours\n-- [user:1.2.0→1.3.0:end]\n```\n";
    let fleet = Fleet::new().document(document(&NOTES[1..]) + planned).user("ann", "");
    fleet.run(["lint", "--deny", "unfinished-block"]).status(0);
    fleet.run(["upgrade", "--all-users"]).status(0);
    let run = fleet.run_without_changes(["promote", "1.3.0"]);
    run.status(2).stderr_contains("this block is not finished: which colours");
}
