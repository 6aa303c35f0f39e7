//! Tests what a person misreads in a document: headings that are nearly planned or nearly versions,
//! merge conflicts, SQL without tags, and characters that look like others.

use serde_json::Value;

use crate::support::{Fleet, document};

const BASELINE: &str = "## Baseline: 1.0.0\n\n**Date**: 2026-01-01\n**Description**: Notes\n\n```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT);\n-- [user:baseline→1.0.0:end]\n```\n\n";

/// A migration 1.0.0 → 1.1.0 that would destroy the notes of every user.
fn destroying(heading: &str) -> String {
    format!("{heading}\n\n{}", document(&[("user:1.0.0→1.1.0", "DROP TABLE notes;")]))
}

/// A fleet at 1.0.0 with a note, and then with the document `BASELINE` and more.
fn fleet(rest: &str) -> Fleet {
    let fleet = Fleet::new().document(BASELINE).user("ann", "").upgrade_to("1.0.0");
    fleet
        .user("ann", "INSERT INTO notes (body) VALUES ('tea')")
        .document(format!("{BASELINE}{rest}"))
}

/// The rules of all errors and warnings, the risks of the SQL aside, each with its line.
fn problems(fleet: &Fleet) -> Vec<(String, u64)> {
    let arguments = [
        "lint",
        "--json",
        "--allow",
        "destructive",
        "--allow",
        "missing-date",
        "--allow",
        "missing-description",
        "--allow",
        "not-rerunnable",
    ];
    let json: Value = serde_json::from_str(&fleet.run(arguments).stdout_text()).unwrap();
    let problems = json["problems"].as_array().unwrap().iter();
    problems
        .map(|problem| {
            (problem["rule"].as_str().unwrap().to_owned(), problem["line"].as_u64().unwrap())
        })
        .collect()
}

/// Asserts that `lint` finds one error and nothing else, and that `upgrade` refuses the document
/// and changes nothing.
#[track_caller]
fn assert_refused(rule: &str, line: u64, rest: &str) {
    let fleet = fleet(rest);
    assert_eq!(problems(&fleet), [(rule.to_owned(), line)], "{rest}");
    let run = fleet.run_without_changes(["upgrade", "--all-users"]);
    run.status(2).stderr_contains(&format!("error[{rule}]"));
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["tea"]);
}

/// Asserts that `lint` finds one warning and nothing else.
#[track_caller]
fn assert_warning(rule: &str, line: u64, rest: &str) {
    let fleet = fleet(rest);
    assert_eq!(problems(&fleet), [(rule.to_owned(), line)], "{rest}");
    fleet.run(["lint"]).status(0);
}

#[track_caller]
fn assert_clean(rest: &str) {
    assert_eq!(problems(&fleet(rest)), [], "{rest}");
}

/// The line of the first heading behind `BASELINE`.
const LINE: u64 = 12;

#[test]
fn a_heading_that_is_nearly_planned_is_never_applied() {
    for suffix in [
        "(Planed)",
        "(Plan)",
        "(Draft)",
        "(WIP)",
        "(todo)",
        "(Unreleased)",
        "(pending)",
        "(Future)",
        "[Planned]",
        "[draft]",
        "— Planned",
        "– Planned",
        "- Planned",
        "-- draft",
        "(Planned",
        ": Planned",
        "(Planned: June)",
        "(planned) soon (Planed)",
    ] {
        let heading = format!("## 1.0.0 → 1.1.0 {suffix}");
        if suffix.contains("(planned)") {
            let fleet = fleet(&destroying(&heading));
            fleet.run(["upgrade", "--all-users"]).status(0);
            assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["tea"]);
        } else {
            assert_refused("malformed-planned", LINE, &destroying(&heading));
        }
    }
    for heading in [
        "## (Planed) 1.0.0 → 1.1.0",
        "## Planned: 1.0.0 → 1.1.0",
        "> ## 1.0.0 → 1.1.0 (Planed)",
        "- ## 1.0.0 → 1.1.0 [Planned]",
        "1.0.0 → 1.1.0 (Planed)\n----------------------",
        "## Later (Planed)\n\n### 1.0.0 → 1.1.0",
    ] {
        let text = destroying(heading);
        let found = problems(&fleet(&text));
        assert!(found.contains(&("malformed-planned".to_owned(), LINE)), "{heading}: {found:?}");
        fleet(&text).run_without_changes(["upgrade", "--all-users"]).status(2);
    }
}

#[test]
fn an_unknown_suffix_is_a_warning_and_a_description_is_none() {
    let add = |heading: &str| {
        let sql = "ALTER TABLE notes ADD COLUMN pinned INTEGER;";
        format!("## {heading}\n\n{}", document(&[("user:1.0.0→1.1.0", sql)]))
    };
    for heading in ["1.0.0 → 1.1.0 (Q3)", "1.0.0 → 1.1.0 [#12]", "1.0.0 → 1.1.0: pins (#12)"]
    {
        assert_warning("unknown-heading-suffix", LINE, &add(heading));
    }
    for heading in [
        "1.0.0 → 1.1.0",
        "1.0.0 → 1.1.0 — drafts of notes",
        "1.0.0 → 1.1.0: pins - and more",
        "Migration [1.0.0 → 1.1.0]",
        "Migration (1.0.0 → 1.1.0)",
    ] {
        assert_clean(&add(heading));
    }
    assert_clean("## Notes (draft)\n\nOf this document.\n\n## Version 1.2 notes\n\nSoon.\n");
}

#[test]
fn two_headings_of_one_migration_are_an_error() {
    let user = destroying("## 1.0.0 → 1.1.0");
    let system = document(&[("system:1.0.0→1.1.0", "CREATE TABLE accounts (name TEXT);")]);
    let line = LINE + 8;
    assert_refused("duplicate-heading", line, &format!("{user}## 1.0.0 → 1.1.0\n\n{system}"));
    assert_refused(
        "duplicate-heading",
        line,
        &format!("{user}## Migration 1.0.0 -> 1.1.0: accounts\n\n{system}"),
    );
    // Inside the other's section it only repeats the versions.
    assert_clean(&format!("{user}### 1.0.0 → 1.1.0 of the system\n\n{system}"));
}

#[test]
fn a_merge_conflict_is_one_error() {
    let conflict = |first: &str, second: &str| {
        format!("<<<<<<< HEAD\n{first}=======\n{second}>>>>>>> other\n")
    };
    let with_ancestor = conflict("a\n||||||| base\nb\n", "c\n");
    let section = |heading: &str| destroying(heading);
    for (line, text) in [
        // In prose, also with the ancestor that git's diff3 style adds.
        (LINE, conflict("Ours.\n", "Theirs.\n")),
        (LINE, with_ancestor.clone()),
        (LINE, with_ancestor.replace('\n', "\r\n")),
        // Around headings and whole sections: without the markers two migrations would be one.
        (LINE, conflict(&section("## 1.0.0 → 1.1.0"), &section("## 1.0.0 → 1.1.0"))),
        // Through the middle of fences.
        (
            LINE,
            conflict("## 1.0.0 → 1.1.0\n```sql\n", "## 1.0.0 → 1.2.0\n```sqlite\n")
                + "-- [user:1.0.0→1.1.0:start]\nSELECT 1;\n-- [user:1.0.0→1.1.0:end]\n```\n",
        ),
        // In a block.
        (
            LINE + 4,
            destroying("## 1.0.0 → 1.1.0")
                .replace("DROP TABLE notes;\n", &conflict("SELECT 1;\n", "SELECT '2;\n")),
        ),
        // One end is missing.
        (LINE, "<<<<<<< HEAD\nOurs.\n=======\n".to_owned()),
        (LINE + 1, "Ours.\n>>>>>>> other\n".to_owned()),
    ] {
        let text = if text.contains("1.1.0") { text } else { text + "\n" };
        let fleet = fleet(&text);
        let found: Vec<_> = problems(&fleet);
        assert_eq!(found, [("conflict-marker".to_owned(), line)], "{text}");
        fleet.run_without_changes(["upgrade", "--all-users"]).status(2);
    }
    let two = conflict("a\n", "b\n") + &conflict("c\n", "d\n");
    assert_eq!(problems(&fleet(&two)).len(), 2);
    // A setext heading, and a conflict that is quoted, are no conflict.
    assert_clean("Title\n=======\n\n    <<<<<<< HEAD\n    =======\n    >>>>>>> other\n");
}

#[test]
fn characters_of_word_processors_are_named_with_their_place() {
    let add = |sql: &str| format!("## 1.0.0 → 1.1.0\n\n{}", document(&[("user:1.0.0→1.1.0", sql)]));
    for (sql, code, column) in [
        ("ALTER TABLE notes ADD COLUMN\u{a0}pinned INT;", "U+00A0", 29),
        ("ALTER TABLE notes ADD COLUMN \u{200b}pinned INT;", "U+200B", 30),
        ("ALTER TABLE notes ADD COLUMN p TEXT DEFAULT ‘no’;", "U+2018", 45),
        ("ALTER TABLE notes ADD COLUMN p TEXT DEFAULT '‘no’';", "U+2018", 46),
        ("ALTER TABLE notes ADD COLUMN p INT DEFAULT –1;", "U+2013", 44),
        ("CREATE TRIGGER t AFTER INSERT ON notes BEGIN SELECT\u{a0}1; END;", "U+00A0", 52),
        ("CREATE VIEW v AS SELECT “body” FROM notes;", "U+201C", 25),
    ] {
        assert_refused("invisible-character", LINE + 4, &add(sql));
        let crlf = add(sql).replace('\n', "\r\n");
        assert_refused("invisible-character", LINE + 4, &crlf);
        fleet(&add(sql))
            .run(["lint"])
            .stderr_contains(code)
            .stderr_contains(&format!("MIGRATIONS.md:{}:{column}", LINE + 4));
    }
    assert_clean(&add("UPDATE notes SET body = 'it’s\u{a0}– ‘tea’' WHERE body = 'x'; -- –\u{a0}‘"));
    assert_clean(&add("CREATE TABLE IF NOT EXISTS größe (\"a\u{a0}b\" TEXT);"));
}

#[test]
fn a_heading_that_nearly_holds_versions_shows_the_correct_spelling() {
    for heading in [
        "1.0.0 → 1.1",
        "1.0.0 => 1.1.0",
        "v1.0.0 to v1.1.0",
        "1.0 → 1.1",
        "1.0.0 – 1.1.0",
        "1.0.0 ⇒ 1.1.0",
        "1.0.0 > 1.1.0",
        "[1.0.0] → [1.1.0]",
        "Migration from 1.0.0 to 1.1.0: pins",
    ] {
        let text = destroying(&format!("## {heading}"));
        assert_refused("malformed-heading", LINE, &text);
        fleet(&text).run(["lint"]).stderr_contains("help: write `1.0.0 → 1.1.0`");
    }
    assert_refused("malformed-heading", LINE, &destroying("##1.0.0 → 1.1.0"));
    assert_refused(
        "malformed-heading",
        LINE,
        &destroying("<h2>1.0.0 → 1.1.0</h2>").replace("</h2>\n", "</h2>\n\n---\n"),
    );
    for heading in [
        "## Version 1.2 notes",
        "## Upgrading from 1.0 to 1.1 of Foo",
        "## Upgrading from 1.0.0 to 1.1.0 of Foo",
        "## 2025 – 2026",
        "## [1.1.0] - 2026-01-31",
        "## Steps 1 to 3",
    ] {
        assert_clean(&format!("{heading}\n\nText.\n"));
    }
}

#[test]
fn untagged_sql_below_a_version_heading_is_a_warning() {
    let migration = format!(
        "## 1.0.0 → 1.1.0\n\n{}",
        document(&[("user:1.0.0→1.1.0", "ALTER TABLE notes ADD COLUMN pinned INTEGER;")])
    );
    let index = "CREATE INDEX notes_body ON notes (body);\n";
    let line = LINE + 8;
    for fence in [
        format!("```sql\n{index}```\n"),
        format!("~~~~ SQLite\n{index}~~~~\n"),
        format!("### Details\n```sql\n{index}```\n").replacen("### Details\n", "", 1),
    ] {
        assert_warning("untagged-sql", line, &format!("{migration}{fence}"));
    }
    assert_warning("untagged-sql", line + 1, &format!("{migration}### More\n```sql\n{index}```\n"));
    for fence in [
        format!("```\n{index}```\n"),
        format!("```text\n{index}```\n"),
        format!("## Queries\n\n```sql\n{index}```\n"),
        "```sql\n```\n".to_owned(),
        "```sql\n-- [user:from→to:start]\n-- [user:from→to:end]\n```\n".to_owned(),
    ] {
        assert_clean(&format!("{migration}{fence}"));
    }
}

#[test]
fn lists_quotes_and_setext_headings_are_checked_as_well() {
    let drop = document(&[("user:1.0.0→1.1.0", "DROP TABLE\u{a0}notes;")]);
    let inside = |prefix: &str, heading: &str, sql: &str| {
        let text = format!("{heading}\n\n{}", document(&[("user:1.0.0→1.1.0", sql)]));
        let lines: Vec<_> = text.lines().map(|line| format!("{prefix}{line}")).collect();
        lines.join("\n") + "\n"
    };
    let add = "ALTER TABLE notes ADD COLUMN pinned INTEGER;";
    let quoted = |heading, sql| inside("> ", heading, sql);
    let listed = |heading, sql| inside("  ", heading, sql).replacen("  ", "- ", 1);
    assert_refused("malformed-heading", LINE, &quoted("## 1.0.0 => 1.1.0", add));
    assert_refused("malformed-heading", LINE, &listed("## 1.0 → 1.1", add));
    assert_refused("malformed-heading", LINE, &quoted("1.0.0 to 1.1.0\n--------------", add));
    assert_refused(
        "malformed-heading",
        LINE,
        &format!("## 1.0.0 →\u{200b} 1.1.0\n\n{}", document(&[("user:1.0.0→1.1.0", add)])),
    );
    assert_refused("malformed-planned", LINE, &listed("## 1.0.0 → 1.1.0 (Draft)", add));
    assert_refused(
        "invisible-character",
        LINE + 4,
        &quoted("## 1.0.0 → 1.1.0", "DROP TABLE\u{a0}notes;"),
    );
    assert_refused("invisible-character", LINE + 4, &format!("## 1.0.0 → 1.1.0\n\n{drop}"));
    assert_warning(
        "untagged-sql",
        LINE + 10,
        &format!(
            "## 1.0.0 → 1.1.0\n\n{}- then\n\n  ```sql\n  SELECT 1;\n  ```\n",
            document(&[("user:1.0.0→1.1.0", add)])
        ),
    );
    let second = document(&[("system:1.0.0→1.1.0", "CREATE TABLE accounts (name TEXT);")]);
    let setext = "1.0.0 → 1.1.0\n-------------\n\n";
    let first = format!("{setext}{}", document(&[("user:1.0.0→1.1.0", add)]));
    assert_refused("duplicate-heading", LINE + 9, &format!("{first}{setext}{second}"));
}
