//! Checks the changes that remove findings: each one, applied, removes its finding, adds none, and
//! leaves the released migrations as they are.
#![allow(clippy::unwrap_used, reason = "clippy exempts test functions only")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tatmig::database::ConnectionSetup;
use tatmig::edit::{Fix, FixSafety, apply_fixes, find_fixes};
use tatmig::{Changelog, Diagnostic, Rule, Scope, Source};

const TODAY: &str = "2026-05-04";

fn lint(text: &str) -> Vec<Diagnostic> {
    tatmig::lint::lint(Source::new("m.md", text), &ConnectionSetup::default()).diagnostics
}

fn fixes(text: &str) -> Vec<Fix> {
    let source = Source::new("m.md", text);
    find_fixes(&source, &lint(text), TODAY, &ConnectionSetup::default())
}

/// The checksums of all released migrations but the last.
fn checksums(text: &str) -> Option<BTreeMap<String, String>> {
    let changelog = Changelog::parse(text).ok()?;
    let migrations: Vec<_> =
        changelog.forward_migrations().filter(|migration| !migration.planned).collect();
    let settled = &migrations[..migrations.len().saturating_sub(1)];
    let checksum = |migration: &&tatmig::document::Migration<'_>| {
        let sums = Scope::BOTH.map(|scope| migration.checksum(scope).to_string());
        (migration.to_string(), sums.concat())
    };
    Some(settled.iter().map(checksum).collect())
}

/// Applies a change and checks its promises.
#[track_caller]
fn assert_removes_its_finding(name: &str, text: &str, fix: &Fix) -> String {
    let edited = fix.apply(text);
    let (before, after) = (lint(text), lint(&edited));
    let count = |findings: &[Diagnostic]| {
        findings.iter().filter(|finding| finding.rule == fix.rule).count()
    };
    let show = |findings: &[Diagnostic]| {
        let lines: Vec<_> = findings
            .iter()
            .map(|found| format!("{}: {}", found.rule.name(), found.message))
            .collect();
        lines.join("\n")
    };
    assert!(
        count(&after) < count(&before),
        "{name}: `{}` keeps its finding\n{edited}\n{}",
        fix.title,
        show(&after)
    );
    // Once a document can be read, lint finds more in it.
    let was_readable = Changelog::parse(text).is_ok();
    if was_readable {
        // A change that needs a person may leave a question in the block.
        let is_question = |found: &&Diagnostic| {
            found.rule == Rule::UnfinishedBlock && fix.safety == FixSafety::NeedsPerson
        };
        assert!(
            after.iter().filter(|found| !is_question(found)).count() < before.len(),
            "{name}: `{}` adds findings\n{edited}\nbefore:\n{}\nafter:\n{}",
            fix.title,
            show(&before),
            show(&after)
        );
        assert_eq!(checksums(text), checksums(&edited), "{name}: `{}`", fix.title);
    }
    edited
}

/// A document with a migration `1.0.0 → 1.1.0`, planned or released, of this SQL.
fn document(mark: &str, sql: &str) -> String {
    format!(
        "# Migrations\n\n## Baseline: 1.0.0\n\n**Date**: 2026-01-01\n**Description**: tables\n\n\
         ```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE IF NOT EXISTS t (a, \"b c\");\n\
         -- [user:baseline→1.0.0:end]\n```\n\n\
         ## 1.0.0 → 1.1.0{mark}\n\n**Date**: 2026-02-01\n**Description**: more\n\n\
         ```sql\n-- [user:1.0.0→1.1.0:start]\n{sql}\n-- [user:1.0.0→1.1.0:end]\n```\n"
    )
}

#[track_caller]
fn fix_for(text: &str, rule: Rule, title: &str) -> Fix {
    let found = fixes(text);
    let titles: Vec<_> = found.iter().map(|fix| format!("{:?} {}", fix.rule, fix.title)).collect();
    found
        .into_iter()
        .find(|fix| fix.rule == rule && fix.title.contains(title))
        .unwrap_or_else(|| panic!("no such change among {titles:#?}\n{:#?}", lint(text)))
}

#[test]
fn every_change_for_the_faults_removes_its_finding() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/faults");
    let mut titles = BTreeMap::new();
    let mut paths: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|found| found == "md")) {
        let Ok(text) = fs::read_to_string(path) else { continue };
        let name = path.file_name().unwrap().to_str().unwrap();
        for fix in fixes(&text) {
            assert_removes_its_finding(name, &text, &fix);
            let (kind, _) = fix.title.split_once('`').unwrap_or((&fix.title, ""));
            *titles.entry(kind.to_owned()).or_insert(0) += 1;
        }
    }
    assert!(titles.len() >= 5, "{titles:#?}");
}

#[test]
fn a_malformed_tag_is_written_as_suggested() {
    let text = document("", "SELECT 1;").replace("1.0.0→1.1.0:start", "1.0.0 -> 1.1:strat");
    let fix = fix_for(&text, Rule::MalformedTag, "write the tag");
    assert_eq!(fix.safety, FixSafety::Safe);
    let edited = assert_removes_its_finding("tag", &text, &fix);
    assert!(edited.contains("-- [user:1.0.0->1.1.0:start]\nSELECT 1;"), "{edited}");
}

#[test]
fn the_versions_of_a_heading_are_written_as_suggested() {
    for (heading, expected) in [
        ("## 1.0.0 => 1.1", "## 1.0.0 → 1.1.0"),
        ("## v1.0.0 to v1.1.0 (two tables)", "## 1.0.0 → 1.1.0 (two tables)"),
        ("## **1.0.0** ⇒ **1.1.0**", "## **1.0.0 → 1.1.0**"),
        ("## From 1.1.0 ← 1.0.0: notes", "## From 1.0.0 → 1.1.0: notes"),
    ] {
        let text = document("", "SELECT 1;").replace("## 1.0.0 → 1.1.0", heading);
        let fix = fix_for(&text, Rule::MalformedHeading, "write the versions");
        assert_eq!(fix.safety, FixSafety::Safe);
        let edited = assert_removes_its_finding("heading", &text, &fix);
        assert!(edited.contains(&format!("\n{expected}\n")), "{edited}");
    }
    let text = document("", "SELECT 1;").replace("Baseline: 1.0.0", "Baseline: 1.0");
    let fix = fix_for(&text, Rule::MalformedHeading, "write the versions");
    let edited = assert_removes_its_finding("heading", &text, &fix);
    assert!(edited.contains("\n## Baseline: 1.0.0\n"), "{edited}");
}

#[test]
fn a_word_that_was_meant_to_be_planned_is_corrected_only_by_a_person() {
    for word in ["(Plannd)", "[planned]", "(WIP)", "（draft）"] {
        let text = document(&format!(" {word}"), "");
        let fix = fix_for(&text, Rule::MalformedPlanned, "(Planned)");
        assert_eq!(fix.safety, FixSafety::NeedsPerson, "{word}");
        let edited = assert_removes_its_finding("planned", &text, &fix);
        assert!(edited.contains("\n## 1.0.0 → 1.1.0 (Planned)\n"), "{edited}");
    }
    let text = document(" - planned", "");
    let found = fixes(&text);
    assert!(!found.iter().any(|fix| fix.rule == Rule::MalformedPlanned), "{found:?}");
}

#[test]
fn text_behind_a_tag_moves_to_the_next_line() {
    let text = document("", "SELECT 1;")
        .replace("[user:1.0.0→1.1.0:start]\n", "[user:1.0.0→1.1.0:start] SELECT 2;\n");
    let fix = fix_for(&text, Rule::MalformedTag, "write the tag");
    let edited = assert_removes_its_finding("tag", &text, &fix);
    assert!(edited.contains("-- [user:1.0.0→1.1.0:start]\nSELECT 2;\nSELECT 1;"), "{edited}");
}

#[test]
fn a_label_of_another_dialect_is_a_slip_and_that_of_another_language_is_not() {
    for (label, safety) in [("postgresql", FixSafety::Safe), ("python", FixSafety::NeedsPerson)] {
        let text = document("", "SELECT 1;").replace("```sql", &format!("```{label} x"));
        let fix = fix_for(&text, Rule::WrongFenceLabel, "label");
        assert_eq!(fix.safety, safety, "{label}");
        assert!(fix.apply(&text).contains("\n```sql x\n"));
    }
}

#[test]
fn a_template_with_fences_gets_longer_ones() {
    let text = format!(
        "```\n## FROM → TO\n\n```sql\n-- [user:FROM→TO:start]\n-- [user:FROM→TO:end]\n```\n```\n\n{}",
        document("", "SELECT 1;")
    );
    let fix = fix_for(&text, Rule::StrayFence, "lengthen");
    let edited = assert_removes_its_finding("template", &text, &fix);
    assert!(edited.starts_with("````\n## FROM"), "{edited}");
    assert!(edited.contains("```\n````\n\n# Migrations"), "{edited}");
}

#[test]
fn a_guard_is_safe_in_a_planned_migration_only() {
    for (mark, safety) in [(" (Planned)", FixSafety::Safe), ("", FixSafety::NeedsPerson)] {
        let sql = "CREATE UNIQUE INDEX i ON t (a);";
        let text =
            document(mark, &if mark.is_empty() { sql.to_owned() } else { format!("-- {sql}") });
        let fix = fix_for(&text, Rule::NotRerunnable, "IF NOT EXISTS");
        assert_eq!(fix.safety, safety);
        let edited = assert_removes_its_finding("guard", &text, &fix);
        assert!(edited.contains("CREATE UNIQUE INDEX IF NOT EXISTS i ON t (a);"), "{edited}");
    }
}

#[test]
fn a_settled_migration_keeps_its_sql() {
    let text = document("", "CREATE TABLE u (a);")
        + "\n## 1.1.0 → 1.2.0\n\n**Date**: 2026-03-01\n**Description**: last\n\n```sql\n\
           -- [user:1.1.0→1.2.0:start]\nINSERT INTO u SELECT a FROM t;\n-- [user:1.1.0→1.2.0:end]\n```\n";
    let titles: Vec<_> = fixes(&text).into_iter().map(|fix| fix.title).collect();
    assert!(!titles.iter().any(|title| title.contains("IF NOT EXISTS")), "{titles:?}");
}

#[test]
fn the_columns_of_a_positional_copy_are_named() {
    let text = document(
        "",
        "CREATE TABLE IF NOT EXISTS u AS SELECT t.* FROM t;\nINSERT OR IGNORE INTO t SELECT * FROM u;",
    );
    let fix = fix_for(&text, Rule::PositionalCopy, "name the columns");
    let edited = assert_removes_its_finding("columns", &text, &fix);
    assert!(edited.contains("SELECT t.a, t.\"b c\" FROM t;"), "{edited}");
    let fix = fix_for(&edited, Rule::PositionalCopy, "name the columns");
    let edited = assert_removes_its_finding("columns", &edited, &fix);
    assert!(
        edited.contains("INSERT OR IGNORE INTO t (a, \"b c\") SELECT a, \"b c\" FROM u;"),
        "{edited}"
    );
}

#[test]
fn an_alter_table_in_a_trigger_is_not_rewritten() {
    let alteration = "ALTER TABLE t ALTER COLUMN a TYPE TEXT;";
    let text = document("", &format!("SELECT 1;\n{alteration}"));
    fix_for(&text, Rule::Sql, "rebuild the table `t`");
    let trigger =
        format!("CREATE TRIGGER g AFTER INSERT ON t BEGIN\nDELETE FROM t;\n{alteration}\nEND;");
    let text = document("", &trigger);
    assert!(lint(&text).iter().any(|found| found.rule == Rule::Sql));
    let titles: Vec<_> = fixes(&text).into_iter().map(|fix| fix.title).collect();
    assert!(!titles.iter().any(|title| title.contains("rebuild")), "{titles:?}");
}

#[test]
fn a_rebuild_changes_the_column_that_is_named_and_no_other() {
    // `a TEXT` is also the end of `data TEXT`.
    for (sql, expected) in [
        ("t ALTER COLUMN a TYPE INTEGER;", "(data TEXT, a INTEGER, n REAL DEFAULT -1.5, d TEXT)"),
        ("t MODIFY a BLOB;", "(data TEXT, a BLOB, n REAL DEFAULT -1.5, d TEXT)"),
        ("t ALTER COLUMN n SET DEFAULT 2;", "(data TEXT, a TEXT, n REAL DEFAULT 2, d TEXT)"),
        ("t ALTER COLUMN n DROP DEFAULT;", "(data TEXT, a TEXT, n REAL, d TEXT)"),
        (
            "t ALTER COLUMN d SET DEFAULT (1);",
            "(data TEXT, a TEXT, n REAL DEFAULT -1.5, d TEXT DEFAULT (1))",
        ),
    ] {
        let table = "(data TEXT, a TEXT, n REAL DEFAULT -1.5, d TEXT)";
        let text = document("", &format!("ALTER TABLE {sql}")).replace("(a, \"b c\")", table);
        assert!(text.contains(table), "{text}");
        let fix = fix_for(&text, Rule::Sql, "rebuild the table `t`");
        let edited = assert_removes_its_finding("rebuild", &text, &fix);
        assert!(edited.contains(&format!("CREATE TABLE t_new {expected};")), "{edited}");
    }
}

#[test]
fn a_column_that_is_named_like_a_keyword_is_quoted() {
    let sql = "CREATE TABLE IF NOT EXISTS u AS SELECT * FROM t;";
    let text = document("", sql).replace("\"b c\"", "\"order\", \"cast\", key");
    let fix = fix_for(&text, Rule::PositionalCopy, "name the columns");
    let edited = assert_removes_its_finding("columns", &text, &fix);
    assert!(edited.contains("SELECT a, \"order\", \"cast\", key FROM t;"), "{edited}");
}

#[test]
fn a_rule_is_allowed_in_the_block_that_breaks_it() {
    let text = document("", "DELETE FROM t;")
        .replace("```sql\n-- [user:1.0.0→", "> ```sql\n> -- [user:1.0.0→");
    let text = text.replace(
        "\nDELETE FROM t;\n-- [user:1.0.0→1.1.0:end]\n```",
        "\n> DELETE FROM t;\n> -- [user:1.0.0→1.1.0:end]\n> ```",
    );
    let fix = fix_for(&text, Rule::Destructive, "allow `destructive`");
    let edited = assert_removes_its_finding("allow", &text, &fix);
    assert!(
        edited.contains(":start]\n> -- tatmig:allow destructive because …\n> DELETE"),
        "{edited}"
    );
}

#[test]
fn a_missing_date_and_description_are_added_in_the_style_of_the_document() {
    let text = document("", "SELECT 1;")
        .replace("**Date**: 2026-02-01\n**Description**: more\n\n", "")
        .replace("**Date**", "- **Date**");
    let fix = fix_for(&text, Rule::MissingDate, TODAY);
    let edited = assert_removes_its_finding("date", &text, &fix);
    assert!(edited.contains("1.1.0\n\n- **Date**: 2026-05-04\n\n```sql"), "{edited}");
    let fix = fix_for(&edited, Rule::MissingDescription, "description");
    let edited = assert_removes_its_finding("description", &edited, &fix);
    assert!(
        edited.contains("- **Date**: 2026-05-04\n**Description**: what it is for\n"),
        "{edited}"
    );
}

#[test]
fn changes_that_overlap_are_not_applied_together() {
    let text = document("", "DELETE FROM t;\nUPDATE t SET a = 1;");
    let allows: Vec<Fix> =
        fixes(&text).into_iter().filter(|fix| fix.title.starts_with("allow")).collect();
    assert_eq!(allows.len(), 2);
    let applied = apply_fixes(&text, &allows);
    assert_eq!(applied.indexes, [0]);
    assert_eq!(applied.text.matches("tatmig:allow").count(), 1);
}
