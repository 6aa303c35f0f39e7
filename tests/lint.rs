//! Tests `tatmig lint` through the real program: each rule with a document that violates it and a
//! similar one that does not, the output formats, the lint levels, and the exit statuses.

#![allow(clippy::unwrap_used)] // helpers of tests are not seen as tests

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tatmig::Rule;

/// A document of user blocks, each under a heading with a date and a description. The baseline
/// leads to 1.0.0, and each further block to the next minor version.
fn document(blocks: &[&str]) -> String {
    let mut text = "# Migrations\n".to_owned();
    for (index, sql) in blocks.iter().enumerate() {
        let (from, heading) = match index {
            0 => ("baseline".to_owned(), "Baseline: 1.0.0".to_owned()),
            _ => (format!("1.{}.0", index - 1), format!("1.{}.0 → 1.{index}.0", index - 1)),
        };
        text += &section(&heading, &block(&from, &format!("1.{index}.0"), sql), index + 1);
    }
    text
}

fn section(heading: &str, blocks: &str, day: usize) -> String {
    format!("\n## {heading}\n\n**Date**: 2026-01-{day:02}\n**Description**: What for\n{blocks}")
}

fn block(from: &str, to: &str, sql: &str) -> String {
    format!("\n```sql\n-- [user:{from}→{to}:start]\n{sql}\n-- [user:{from}→{to}:end]\n```\n")
}

fn lint_command(directory: &Path, arguments: &[&str]) -> Command {
    let mut tatmig = Command::new(env!("CARGO_BIN_EXE_tatmig"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TATMIG_") {
            tatmig.env_remove(name);
        }
    }
    tatmig.arg("lint").args(arguments).current_dir(directory);
    tatmig
}

/// Lints a document and returns the output.
fn run_lint(text: &str, arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("MIGRATIONS.md"), text).unwrap();
    lint_command(directory.path(), arguments).output().unwrap()
}

fn diagnostics(text: &str, arguments: &[&str]) -> Vec<Value> {
    let output = run_lint(text, &[arguments, &["--format", "json"]].concat());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    json["problems"].as_array().unwrap().clone()
}

/// The document's text at the beginning of each problem of a rule.
fn reported_text<'t>(text: &'t str, rule: Rule, arguments: &[&str]) -> Vec<&'t str> {
    diagnostics(text, arguments)
        .iter()
        .filter(|diagnostic| diagnostic["rule"] == rule.name())
        .map(|diagnostic| {
            let line = usize::try_from(diagnostic["line"].as_u64().unwrap()).unwrap();
            let column = usize::try_from(diagnostic["column"].as_u64().unwrap()).unwrap();
            let line = text.lines().nth(line - 1).unwrap();
            let (offset, _) = line.char_indices().nth(column - 1).unwrap();
            &line[offset..]
        })
        .collect()
}

/// Asserts that a document violates a rule at these places, each given by the beginning of its
/// text.
#[track_caller]
fn assert_reported(rule: Rule, text: &str, expected: &[&str]) {
    let found = reported_text(text, rule, &[]);
    let fits = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, place)| found.starts_with(place));
    assert!(fits, "`{}`: {found:?} instead of {expected:?} in\n{text}", rule.name());
}

#[track_caller]
fn assert_not_reported(rule: Rule, text: &str) {
    assert_reported(rule, text, &[]);
}

/// Asserts that a document has no problems.
#[track_caller]
fn assert_clean(text: &str) {
    assert_eq!(diagnostics(text, &[]), [Value::Null; 0], "{text}");
}

const NOTES: &str = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT);";

#[test]
fn an_unguarded_change_is_not_rerunnable() {
    let rule = Rule::NotRerunnable;
    assert_reported(rule, &document(&["CREATE TABLE t (a);"]), &["t (a)"]);
    assert_reported(rule, &document(&[NOTES, "DROP TABLE notes;"]), &["notes;"]);
    assert_reported(rule, &document(&[NOTES, "ALTER TABLE notes RENAME TO n;"]), &["notes RENAME"]);
    assert_clean(&document(&[NOTES, "CREATE INDEX IF NOT EXISTS i ON notes (body);"]));
    // It is a note: the exit status stays 0, and standard error shows it only on request.
    let text = document(&["CREATE TABLE t (a);"]);
    assert_eq!(diagnostics(&text, &[])[0]["severity"], "note");
    let output = run_lint(&text, &["--deny", "warnings"]);
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_column_change_and_a_guarded_baseline_are_safe_to_run_twice() {
    assert_clean(&document(&[NOTES, "ALTER TABLE notes ADD COLUMN pinned INT;"]));
    assert_not_reported(
        Rule::NotRerunnable,
        &document(&[NOTES, "ALTER TABLE notes DROP COLUMN body;"]),
    );
    let baseline = format!(
        "{NOTES} CREATE INDEX IF NOT EXISTS notes_body ON notes (body); \
         CREATE VIEW IF NOT EXISTS v AS SELECT * FROM notes; \
         INSERT OR IGNORE INTO notes VALUES (1, 'hello');"
    );
    assert_clean(&document(&[&baseline]));
}

#[test]
fn the_shipped_documents_have_no_warning() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let examples: String = readme
        .split("````markdown\n")
        .skip(1)
        .map(|example| example.split("````").next().unwrap())
        .collect();
    assert!(examples.contains("[user:1.0.0→1.1.0:start]"), "the examples of README.md");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let fixtures = ["edgesoul", "reddit-agent", "synth-mind", "tatlock"];
    let mut texts: Vec<_> =
        fixtures.iter().map(|name| read(&format!("fixtures/{name}/MIGRATIONS.md"))).collect();
    texts.extend([read("src/cli/commands/demo.md"), examples]);
    for text in texts {
        let output = run_lint(&text, &[]);
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn an_unguarded_insert_is_not_rerunnable() {
    let rule = Rule::NotRerunnable;
    let insert = "INSERT INTO notes (body) VALUES ('hello');";
    assert_reported(rule, &document(&[NOTES, insert]), &["INSERT INTO notes"]);
    let keyed = "INSERT INTO notes VALUES (1, 'hello');";
    assert_reported(rule, &document(&[NOTES, keyed]), &["notes VALUES"]);
    assert_clean(&document(&[
        NOTES,
        "INSERT OR IGNORE INTO notes (id, body) VALUES (1, 'hello');",
    ]));
    let guarded = "INSERT INTO notes (body) SELECT 'hello' WHERE NOT EXISTS (SELECT 1 FROM notes);";
    assert_clean(&document(&[NOTES, guarded]));
}

#[test]
fn a_rebuild_is_rerunnable_and_not_destructive() {
    assert_clean(&document(&[
        NOTES,
        "CREATE TABLE new_notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL DEFAULT '');\n\
         INSERT INTO new_notes SELECT id, coalesce(body, '') FROM notes;\n\
         DROP TABLE notes;\n\
         ALTER TABLE new_notes RENAME TO notes;",
    ]));
}

#[test]
fn a_rerun_that_ends_the_transaction_does_not_affect_later_blocks() {
    let rule = Rule::NotRerunnable;
    let text = document(&[
        NOTES,
        "INSERT OR ROLLBACK INTO notes VALUES (1, 'a');",
        "CREATE INDEX i ON notes (body);",
    ]);
    assert_reported(rule, &text, &["notes VALUES", "i ON notes"]);
}

#[test]
fn seeds_and_reverse_blocks_are_checked_for_reruns() {
    let rule = Rule::NotRerunnable;
    let seed = "\n```sql\n-- [user:seed:x:start]\nINSERT INTO notes VALUES (1, 'a');\n-- [user:seed:x:end]\n```\n";
    assert_reported(rule, &(document(&[NOTES]) + seed), &["notes VALUES"]);
    let down = block("1.1.0", "1.0.0", "DROP INDEX i;");
    let text = document(&[NOTES, "CREATE INDEX IF NOT EXISTS i ON notes (body);"]) + &down;
    assert_reported(rule, &text, &["i;"]);
}

#[test]
fn destructive_statements_are_reported() {
    let rule = Rule::Destructive;
    let after = |sql: &str| document(&[NOTES, sql]);
    assert_reported(rule, &after("DROP TABLE IF EXISTS notes;"), &["DROP TABLE IF EXISTS notes"]);
    assert_reported(rule, &after("ALTER TABLE notes DROP COLUMN body;"), &["DROP COLUMN body"]);
    assert_reported(rule, &after("DELETE FROM notes;"), &["DELETE FROM notes"]);
    assert_reported(
        rule,
        &after("WITH x AS (SELECT 1 WHERE 1) DELETE FROM notes;"),
        &["DELETE FROM notes"],
    );
    assert_reported(
        rule,
        &after("UPDATE notes SET body = (SELECT 'x' WHERE 1);"),
        &["UPDATE notes"],
    );
    assert_not_reported(rule, &after("DELETE FROM notes WHERE body IS NULL;"));
    assert_not_reported(rule, &after("UPDATE notes SET body = '' WHERE body IS NULL;"));
    assert_not_reported(rule, &after("DROP TABLE IF EXISTS other;"));
    // The block may use what it has created itself.
    assert_not_reported(
        rule,
        &after("ALTER TABLE notes ADD COLUMN size INT; UPDATE notes SET size = length(body);"),
    );
    assert_not_reported(
        rule,
        &after("CREATE TABLE t (a); DELETE FROM t; UPDATE t SET a = 1; DROP TABLE t;"),
    );
    assert_not_reported(rule, &after("CREATE TEMP TABLE t (a); DELETE FROM t;"));
}

/// A table that is created again has its rows only if a statement before the DROP copied them.
#[test]
fn a_rebuild_without_a_copy_is_destructive() {
    let rule = Rule::Destructive;
    let after = |sql: &str| document(&[NOTES, sql]);
    let table = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, size INT);";
    for sql in [
        format!("DROP TABLE notes; {table}"),
        format!("CREATE TABLE x (a); INSERT INTO x VALUES (1); DROP TABLE notes; {table}"),
        format!("DROP TABLE notes; {table} INSERT INTO notes (id, body) SELECT 1, 'default';"),
        "CREATE TABLE x (id INTEGER PRIMARY KEY); DROP TABLE notes; ALTER TABLE x RENAME TO notes;"
            .to_owned(),
    ] {
        assert_reported(rule, &after(&sql), &["DROP TABLE notes"]);
    }
    for sql in [
        format!(
            "CREATE TEMP TABLE x AS SELECT id, body FROM notes; DROP TABLE notes; {table} INSERT INTO notes (id, body) SELECT id, body FROM x; DROP TABLE x;"
        ),
        format!(
            "ALTER TABLE notes RENAME TO \"Old\"; {table} INSERT INTO notes (id, body) SELECT id, body FROM old; DROP TABLE old;"
        ),
        format!(
            "CREATE VIEW v AS SELECT id, body FROM notes; CREATE TABLE x AS SELECT * FROM v; DROP VIEW v; DROP TABLE notes; {table} INSERT INTO notes (id, body) SELECT id, body FROM x; DROP TABLE x;"
        ),
    ] {
        assert_not_reported(rule, &after(&sql));
    }
}

#[test]
fn a_reverse_block_may_drop_what_its_migration_created() {
    let rule = Rule::Destructive;
    let up = "CREATE TABLE IF NOT EXISTS tags (tag TEXT); ALTER TABLE notes ADD COLUMN pinned INT;";
    let down = |sql| document(&[NOTES, up]) + &block("1.1.0", "1.0.0", sql);
    assert_not_reported(
        rule,
        &down("DROP TABLE IF EXISTS tags; ALTER TABLE notes DROP COLUMN pinned;"),
    );
    assert_reported(rule, &down("DROP TABLE IF EXISTS notes;"), &["DROP TABLE IF EXISTS notes"]);
}

#[test]
fn a_foreign_key_needs_a_unique_parent_key() {
    let rule = Rule::BrokenForeignKey;
    let child = |reference: &str| {
        document(&[NOTES, &format!("CREATE TABLE IF NOT EXISTS c (x INT {reference});")])
    };
    assert_reported(rule, &child("REFERENCES notes (body)"), &["REFERENCES notes (body)"]);
    assert_reported(rule, &child("REFERENCES notes (title)"), &["REFERENCES notes (title)"]);
    assert_reported(rule, &child("REFERENCES nobody (id)"), &["REFERENCES nobody (id)"]);
    assert_clean(&child("REFERENCES notes (id)"));
    assert_clean(&child("REFERENCES notes"));
    // A parent that is created later in the block exists at the commit.
    assert_clean(&document(&[&format!(
        "CREATE TABLE IF NOT EXISTS c (x INT REFERENCES notes (body));\n{NOTES}\n\
         CREATE UNIQUE INDEX IF NOT EXISTS u ON notes (body);"
    )]));
}

#[test]
fn a_foreign_key_broken_later_is_reported_where_it_breaks() {
    let rule = Rule::DanglingReference;
    let child = "CREATE TABLE IF NOT EXISTS c (x TEXT REFERENCES notes (body));";
    let unique = "CREATE UNIQUE INDEX IF NOT EXISTS u ON notes (body);";
    let base = format!("{NOTES}\n{child}\n{unique}");
    assert_not_reported(rule, &document(&[&base]));
    assert_reported(
        rule,
        &document(&[&base, "DROP INDEX IF EXISTS u;"]),
        &["DROP INDEX IF EXISTS u"],
    );
    assert_reported(
        rule,
        &document(&[&base, "SELECT 1; DROP TABLE IF EXISTS notes;"]),
        &["notes;"],
    );
    assert_not_reported(
        rule,
        &document(&[&base, "DROP TABLE IF EXISTS notes; DROP TABLE IF EXISTS c;"]),
    );
    // Reported once, not again by every later block.
    let broken = [&format!("{NOTES}\n{child}"), "CREATE TABLE IF NOT EXISTS d (x);"];
    assert_reported(Rule::BrokenForeignKey, &document(&broken), &["REFERENCES notes (body)"]);
    // Nor when its parent is dropped later: it could not be used before.
    let dropped = [&format!("{NOTES}\n{child}"), "DROP TABLE IF EXISTS notes;"];
    assert_reported(Rule::BrokenForeignKey, &document(&dropped), &["REFERENCES notes (body)"]);
    assert_not_reported(rule, &document(&dropped));
}

const TASKS: &str =
    "CREATE TABLE IF NOT EXISTS tasks (id INTEGER PRIMARY KEY, title TEXT, state TEXT);
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, task INTEGER, title TEXT);
CREATE TRIGGER IF NOT EXISTS task_changed AFTER UPDATE ON tasks BEGIN
  INSERT INTO events (task, title) VALUES (new.id, new.title);
END;
CREATE VIEW IF NOT EXISTS open_tasks AS SELECT id, title FROM tasks WHERE state = 'open';";

#[test]
fn a_safety_rule_fails_lint_with_1_and_a_block_can_allow_it() {
    let drop = "DROP TABLE IF EXISTS events;";
    let text = document(&[TASKS, drop]);
    assert_reported(Rule::DanglingReference, &text, &["events;"]);
    assert_eq!(run_lint(&text, &[]).status.code(), Some(1));
    let allowed = format!("-- tatmig:allow dangling-reference the trigger follows\n{drop}");
    let text = document(&[TASKS, &allowed]);
    assert_not_reported(Rule::DanglingReference, &text);
    assert_eq!(run_lint(&text, &[]).status.code(), Some(0));
    // Only the block can allow it.
    let refused = run_lint(&text, &["--allow", "dangling-reference"]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_trigger_that_follows_a_renamed_table_is_dangling_when_that_is_dropped() {
    // SQLite rewrites the trigger to `events_old`.
    let rebuild = "ALTER TABLE events RENAME TO events_old;
CREATE TABLE events (id INTEGER PRIMARY KEY, task INTEGER, title TEXT NOT NULL);
INSERT INTO events (id, task, title) SELECT id, task, coalesce(title, '') FROM events_old;
DROP TABLE events_old;";
    assert_reported(Rule::DanglingReference, &document(&[TASKS, rebuild]), &["events_old;"]);
    let legacy = format!("PRAGMA legacy_alter_table = ON;\n{rebuild}");
    assert_not_reported(Rule::DanglingReference, &document(&[TASKS, &legacy]));
    let recreated = format!(
        "DROP TRIGGER task_changed;\n{rebuild}\nCREATE TRIGGER task_changed AFTER UPDATE ON tasks BEGIN \
         INSERT INTO events (task, title) VALUES (new.id, new.title); END;"
    );
    assert_not_reported(Rule::DanglingReference, &document(&[TASKS, &recreated]));
}

#[test]
fn a_trigger_with_a_missing_table_or_column_is_reported_at_the_name() {
    let rule = Rule::DanglingReference;
    let trigger = |event: &str, body: &str| {
        document(&[
            TASKS,
            &format!("CREATE TRIGGER IF NOT EXISTS logg {event} ON tasks BEGIN\n  {body};\nEND;"),
        ])
    };
    for (event, body, place) in [
        ("AFTER INSERT", "INSERT INTO logg (task) VALUES (new.id)", "logg (task)"),
        (
            "AFTER INSERT",
            "INSERT INTO events (task, title) VALUES (new.id, new.titel)",
            "new.titel)",
        ),
        ("AFTER DELETE", "INSERT INTO events (job) VALUES (old.id)", "job)"),
        ("AFTER INSERT", "INSERT INTO events VALUES (new.id)", "events VALUES"),
        ("AFTER UPDATE OF titel", "DELETE FROM events WHERE task = new.id", "titel ON"),
        (
            "AFTER UPDATE OF state",
            "UPDATE events SET titel = new.title WHERE task = new.id",
            "titel =",
        ),
    ] {
        let text = trigger(event, body);
        let reported = reported_text(&text, rule, &[]);
        let line = text.lines().find(|line| line.contains(place)).unwrap();
        let expected = &line[line.find(place).unwrap()..];
        assert_eq!(reported, [expected], "{text}");
    }
    let valid = trigger("BEFORE UPDATE OF title", "DELETE FROM events WHERE task = old.id");
    assert_not_reported(rule, &valid);
}

#[test]
fn only_the_trigger_that_is_wrong_is_reported() {
    // Both fire on the same statement, and SQLite compiles both.
    let wrong =
        "CREATE TRIGGER a_wrong AFTER INSERT ON tasks BEGIN INSERT INTO logg (x) VALUES (1); END;";
    let right = "CREATE TRIGGER b_right AFTER INSERT ON tasks BEGIN DELETE FROM events; END;";
    let text = document(&[&format!("{TASKS}\n{wrong}\n{right}")]);
    assert_reported(Rule::DanglingReference, &text, &["logg (x)"]);
    // A later block that touches the same table is not charged for it, and another wrong trigger is
    // found although the first one already fails.
    let other = "CREATE TRIGGER c_wrong AFTER INSERT ON tasks BEGIN DELETE FROM eventz; END;";
    let text = document(&[&format!("{TASKS}\n{wrong}"), "ALTER TABLE tasks ADD COLUMN x;", other]);
    assert_reported(Rule::DanglingReference, &text, &["logg (x)", "eventz;"]);
}

#[test]
fn a_trigger_that_writes_through_a_view_depends_on_the_triggers_of_the_view() {
    let instead = "CREATE TRIGGER IF NOT EXISTS add_open INSTEAD OF INSERT ON open_tasks BEGIN \
                   INSERT INTO tasks (title, state) VALUES (new.title, 'open'); END;";
    let through = "CREATE TABLE IF NOT EXISTS inbox (title TEXT);\n\
                   CREATE TRIGGER IF NOT EXISTS from_inbox AFTER INSERT ON inbox BEGIN \
                   INSERT INTO open_tasks (title) VALUES (new.title); END;";
    let base = format!("{TASKS}\n{instead}\n{through}");
    assert_not_reported(Rule::DanglingReference, &document(&[&base]));
    let text = document(&[&base, "DROP TRIGGER IF EXISTS add_open;"]);
    assert_reported(Rule::DanglingReference, &text, &["add_open;"]);
}

#[test]
fn a_view_that_cannot_be_used_is_reported_where_it_is_created_or_broken() {
    let rule = Rule::DanglingReference;
    let view = "CREATE VIEW IF NOT EXISTS v AS SELECT titel FROM tasks;";
    assert_reported(rule, &document(&[&format!("{TASKS}\n{view}")]), &["titel FROM"]);
    let nested = "CREATE VIEW IF NOT EXISTS first AS SELECT title FROM open_tasks;";
    let base = format!("{TASKS}\n{nested}");
    // A view over a view breaks with it.
    let text = document(&[&base, "DROP VIEW IF EXISTS open_tasks;"]);
    assert_reported(rule, &text, &["open_tasks;"]);
    // A rebuild that loses a column of the view.
    let rebuild = "PRAGMA legacy_alter_table = ON;\n\
                   CREATE TABLE new_tasks (id INTEGER PRIMARY KEY, title TEXT);\n\
                   INSERT INTO new_tasks (id, title) SELECT id, title FROM tasks;\n\
                   DROP TABLE tasks;\nALTER TABLE new_tasks RENAME TO tasks;\n\
                   CREATE TRIGGER task_changed AFTER UPDATE ON tasks BEGIN SELECT 1; END;";
    let text = document(&[TASKS, rebuild]);
    assert_reported(rule, &text, &["tasks;"]);
    // A new column that makes a name of a view ambiguous.
    let joined = "CREATE VIEW IF NOT EXISTS j AS SELECT state, task FROM tasks JOIN events ON task = tasks.id;";
    let text =
        document(&[&format!("{TASKS}\n{joined}"), "ALTER TABLE events ADD COLUMN state TEXT;"]);
    assert_reported(rule, &text, &["state TEXT"]);
}

#[test]
fn a_parent_rebuilt_by_renaming_it_aside_leaves_a_dangling_foreign_key() {
    let base = format!("{NOTES}\nCREATE TABLE IF NOT EXISTS c (x INT REFERENCES notes (id));");
    let aside = "ALTER TABLE notes RENAME TO notes_old;
CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO notes (id, body) SELECT id, coalesce(body, '') FROM notes_old;
DROP TABLE notes_old;";
    assert_reported(Rule::DanglingReference, &document(&[&base, aside]), &["notes_old;"]);
    let renamed = "ALTER TABLE notes RENAME TO pages; ALTER TABLE c RENAME TO d;";
    assert_not_reported(Rule::DanglingReference, &document(&[&base, renamed]));
}

#[test]
fn an_add_column_that_needs_an_empty_table_is_reported() {
    let rule = Rule::NeedsEmptyTable;
    let parent = "CREATE TABLE IF NOT EXISTS lists (id INTEGER PRIMARY KEY);";
    let base = format!("{NOTES}\n{parent}");
    for definition in [
        "x INTEGER NOT NULL",
        "x INTEGER NOT NULL DEFAULT NULL",
        "x TEXT DEFAULT CURRENT_TIMESTAMP",
        "x TEXT DEFAULT ('a' || 'b')",
        "x INTEGER DEFAULT 1 REFERENCES lists (id)",
        "x AS (body) STORED",
        "x INTEGER DEFAULT 0 CHECK (x > 0)",
    ] {
        let text = document(&[&base, &format!("ALTER TABLE main.notes ADD COLUMN {definition};")]);
        assert_reported(rule, &text, &[definition]);
    }
    for definition in [
        "x INTEGER NOT NULL DEFAULT 0",
        "x INTEGER DEFAULT (-1)",
        "x INTEGER REFERENCES lists (id)",
        "x INTEGER REFERENCES lists (id) DEFAULT NULL",
        "x AS (body || '!') VIRTUAL",
        "x AS (body || '!') VIRTUAL NOT NULL",
        "x INTEGER CHECK (x > 0)",
        "x INTEGER NOT NULL DEFAULT 1 CHECK (body IS NOT NULL)",
    ] {
        let text = document(&[&base, &format!("ALTER TABLE notes ADD COLUMN {definition};")]);
        assert_not_reported(rule, &text);
    }
}

#[test]
fn a_strict_table_refuses_a_default_of_another_type_if_it_has_rows() {
    let strict = "CREATE TABLE IF NOT EXISTS s (a TEXT) STRICT;";
    let text = document(&[strict, "ALTER TABLE s ADD COLUMN x INTEGER DEFAULT 'a';"]);
    let problems = diagnostics(&text, &[]);
    assert!(problems.iter().any(|problem| problem["rule"] == "needs-empty-table"), "{problems:?}");
}

#[test]
fn a_table_that_is_empty_everywhere_takes_any_column() {
    let rule = Rule::NeedsEmptyTable;
    let create = "CREATE TABLE fresh (a);";
    let add = "ALTER TABLE fresh ADD COLUMN x INTEGER NOT NULL;";
    assert_not_reported(rule, &document(&[NOTES, &format!("{create}\n{add}")]));
    let filled = format!("{create}\nINSERT INTO fresh (a) SELECT body FROM notes;\n{add}");
    assert_reported(rule, &document(&[NOTES, &filled]), &["x INTEGER"]);
    let emptied = "DELETE FROM notes;\nALTER TABLE notes ADD COLUMN x INTEGER NOT NULL;";
    assert_not_reported(rule, &document(&[NOTES, emptied]));
}

/// A rebuild of `notes` with a copy in it, and statements behind it.
fn rebuild_notes(definition: &str, copy: &str, then: &str) -> String {
    format!(
        "CREATE TABLE new_notes ({definition});\n{copy}\nDROP TABLE notes;\nALTER TABLE new_notes RENAME TO notes;\n{then}"
    )
}

#[test]
fn a_rebuild_that_loses_the_autoincrement_counter_is_reported_with_the_statement_to_add() {
    let rule = Rule::CounterReset;
    let base =
        "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT);";
    let definition = "id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL";
    let copy = "INSERT INTO new_notes (id, body) SELECT id, body FROM notes;";
    let text = document(&[base, &rebuild_notes(definition, copy, "")]);
    assert_reported(rule, &text, &["notes;"]);
    let help = diagnostics(&text, &[])[0]["help"].as_str().unwrap().to_owned();
    let statement = help.split('`').nth(1).unwrap();
    let carried = format!("{statement}\n{copy}");
    assert_not_reported(rule, &document(&[base, &rebuild_notes(definition, &carried, "")]));
    let updated = format!(
        "{copy}\nUPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'notes') WHERE name = 'new_notes';"
    );
    assert_not_reported(rule, &document(&[base, &rebuild_notes(definition, &updated, "")]));
    // A table without AUTOINCREMENT has no counter to lose.
    assert_not_reported(rule, &document(&[NOTES, &rebuild_notes(definition, copy, "")]));
}

#[test]
fn a_rebuild_that_changes_row_ids_under_an_fts_table_is_reported() {
    let rule = Rule::FtsRowIds;
    let base = format!(
        "{NOTES}\nCREATE VIRTUAL TABLE IF NOT EXISTS f USING fts5 (body, content = 'notes', content_rowid = 'id');\n\
         CREATE TABLE IF NOT EXISTS e (body TEXT);\nCREATE VIRTUAL TABLE IF NOT EXISTS g USING fts4 (body, content=\"e\");"
    );
    let definition = "id INTEGER PRIMARY KEY, body TEXT NOT NULL";
    let step = |copy: &str, then: &str| document(&[&base, &rebuild_notes(definition, copy, then)]);
    for copy in [
        "INSERT INTO new_notes (body) SELECT body FROM notes;",
        "INSERT INTO new_notes SELECT row_number() OVER (ORDER BY body), body FROM notes;",
        "INSERT INTO new_notes (id, body) SELECT NULL, body FROM notes;",
    ] {
        assert_reported(rule, &step(copy, ""), &["new_notes"]);
        let again = "INSERT INTO f (f) VALUES ('rebuild');";
        assert_not_reported(rule, &step(copy, again));
    }
    for copy in [
        "INSERT INTO new_notes (id, body) SELECT id, body FROM notes;",
        "INSERT INTO new_notes (body, id) SELECT coalesce(body, ''), rowid FROM notes ORDER BY body;",
        "INSERT INTO new_notes SELECT notes.id, body FROM notes WHERE body IS NOT NULL;",
    ] {
        assert_not_reported(rule, &step(copy, ""));
    }
    let implicit = |copy: &str| {
        let rebuild = format!(
            "CREATE TABLE n (body TEXT NOT NULL);\n{copy}\nDROP TABLE e;\nALTER TABLE n RENAME TO e;"
        );
        document(&[&base, &rebuild])
    };
    assert_reported(rule, &implicit("INSERT INTO n (body) SELECT body FROM e;"), &["n (body)"]);
    assert_not_reported(rule, &implicit("INSERT INTO n (rowid, body) SELECT rowid, body FROM e;"));
}

#[test]
fn a_change_of_rows_that_leaves_a_full_text_table_behind_is_reported() {
    let rule = Rule::FtsRowIds;
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT, state TEXT); CREATE TABLE o (a);";
    let fts = "CREATE VIRTUAL TABLE f USING fts5 (n, state UNINDEXED, content = 't', content_rowid = 'id');";
    let base = format!("{table}\n{fts}");
    for sql in [
        "UPDATE \"T\" SET N = upper(n) WHERE id < 9;",
        "UPDATE t SET (state, n) = ('a', 'b') WHERE id = 1;",
        "UPDATE t SET rowid = rowid + 1 WHERE id > 3;",
        "UPDATE t SET id = -id WHERE id > 3;",
        "DELETE FROM t WHERE n IS NULL;",
        "INSERT INTO t (n) SELECT a FROM o;",
        "WITH x AS (SELECT 1) REPLACE INTO t (id, n) SELECT 1, 'x' FROM x;",
    ] {
        let name = if sql.contains('"') { "\"T\"" } else { "t " };
        assert_reported(rule, &document(&[&base, sql]), &[name]);
        for again in ["INSERT INTO f (f) VALUES ('rebuild');", &format!("DROP TABLE f; {fts}")] {
            assert_not_reported(rule, &document(&[&base, &format!("{sql}\n{again}")]));
        }
        // Rows that the migration before indexed.
        assert_not_reported(rule, &document(&[&format!("{base}\n{sql}")]));
    }
    for sql in ["UPDATE t SET state = 'x' WHERE id = 1;", "UPDATE o SET a = 1 WHERE a = 2;"] {
        assert_not_reported(rule, &document(&[&base, sql]));
    }
    let trigger = "CREATE TRIGGER g AFTER DELETE ON t BEGIN INSERT INTO f (f, rowid, n) VALUES ('delete', old.id, old.n); END;";
    let with_trigger = format!("{base}\n{trigger}");
    assert_not_reported(rule, &document(&[&with_trigger, "DELETE FROM t WHERE n IS NULL;"]));
    let update = document(&[&with_trigger, "UPDATE t SET n = 'x' WHERE id = 1;"]);
    assert_reported(rule, &update, &["t SET"]);
    let cascade = "CREATE TRIGGER g AFTER UPDATE ON o BEGIN DELETE FROM t WHERE id = new.a; END;";
    let update = document(&[&format!("{base}\n{cascade}"), "UPDATE o SET a = 1 WHERE a = 2;"]);
    assert_reported(rule, &update, &["UPDATE o"]);
    let allowed =
        "-- tatmig:allow fts-row-ids the application builds it\nDELETE FROM t WHERE id = 1;";
    assert_not_reported(rule, &document(&[&base, allowed]));
}

#[test]
fn a_rebuild_that_loses_an_index_or_a_trigger_is_reported() {
    let rule = Rule::ObjectLoss;
    let base = format!(
        "{NOTES}\nCREATE INDEX IF NOT EXISTS by_body ON notes (body);\n\
         CREATE TRIGGER IF NOT EXISTS kept AFTER DELETE ON notes BEGIN SELECT old.id; END;"
    );
    let definition = "id INTEGER PRIMARY KEY, body TEXT NOT NULL";
    let copy = "INSERT INTO new_notes (id, body) SELECT id, body FROM notes;";
    let text = document(&[&base, &rebuild_notes(definition, copy, "")]);
    assert_reported(rule, &text, &["notes;", "notes;"]);
    assert_eq!(run_lint(&text, &[]).status.code(), Some(1));
    let index = "CREATE INDEX IF NOT EXISTS notes_by_body ON notes (body);";
    let trigger = "CREATE TRIGGER kept AFTER DELETE ON notes BEGIN SELECT old.id; END;";
    let all = format!("{index}\n{trigger}");
    assert_not_reported(rule, &document(&[&base, &rebuild_notes(definition, copy, &all)]));
    let dropped = format!("DROP INDEX by_body;\nDROP TRIGGER kept;\n{copy}");
    assert_not_reported(rule, &document(&[&base, &rebuild_notes(definition, &dropped, "")]));
    // The index was on a column that the new table does not have.
    let narrow = "INSERT INTO new_notes (id) SELECT id FROM notes;";
    let text = document(&[&base, &rebuild_notes("id INTEGER PRIMARY KEY", narrow, trigger)]);
    assert_not_reported(rule, &text);
    let allowed = format!("-- tatmig:allow object-loss they were never used\n{copy}");
    let text = document(&[&base, &rebuild_notes(definition, &allowed, "")]);
    assert_not_reported(rule, &text);
}

#[test]
fn a_reverse_block_may_allow_itself_to_end_in_another_schema() {
    let reverse = |sql: &str| {
        document(&[NOTES, "ALTER TABLE notes ADD COLUMN pinned INTEGER;"])
            + &block("1.1.0", "1.0.0", sql)
    };
    let text = reverse("SELECT 1;");
    assert_eq!(reported_text(&text, Rule::ReverseDiffers, &[]).len(), 1);
    assert_eq!(run_lint(&text, &[]).status.code(), Some(1));
    let text = reverse("-- tatmig:allow reverse-differs the column stays\nSELECT 1;");
    assert_not_reported(Rule::ReverseDiffers, &text);
    assert_eq!(run_lint(&text, &[]).status.code(), Some(0));
}

#[test]
fn the_usual_rebuilds_of_other_tools_are_clean() {
    let base = "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);
CREATE TABLE IF NOT EXISTS posts (id INTEGER PRIMARY KEY, author INTEGER REFERENCES users (id), title TEXT);
CREATE INDEX IF NOT EXISTS posts_author ON posts (author);
CREATE VIEW IF NOT EXISTS bylines AS SELECT p.id, u.name FROM posts p JOIN users u ON u.id = p.author;
CREATE TRIGGER IF NOT EXISTS user_gone AFTER DELETE ON users BEGIN DELETE FROM posts WHERE author = old.id; END;";
    let view =
        "CREATE VIEW bylines AS SELECT p.id, u.name FROM posts p JOIN users u ON u.id = p.author;";
    let trigger = "CREATE TRIGGER user_gone AFTER DELETE ON users BEGIN DELETE FROM posts WHERE author = old.id; END;";
    let sqlite = format!(
        "DROP VIEW bylines;
CREATE TABLE new_users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT);
INSERT INTO new_users (id, name, email) SELECT id, name, email FROM users;
DROP TABLE users;
ALTER TABLE new_users RENAME TO users;
{view}
{trigger}"
    );
    let alembic = format!(
        "DROP VIEW bylines;
DROP TRIGGER user_gone;
CREATE TABLE _alembic_tmp_posts (id INTEGER NOT NULL, author INTEGER, title TEXT NOT NULL, PRIMARY KEY (id), FOREIGN KEY(author) REFERENCES users (id));
INSERT INTO _alembic_tmp_posts (id, author, title) SELECT posts.id, posts.author, posts.title FROM posts;
DROP TABLE posts;
ALTER TABLE _alembic_tmp_posts RENAME TO posts;
CREATE INDEX posts_author ON posts (author);
{view}
{trigger}"
    );
    let django = format!(
        r#"DROP VIEW bylines;
CREATE TABLE "new__users" ("name" text NULL, "id" integer NOT NULL PRIMARY KEY, "email" varchar(254) NOT NULL);
INSERT INTO "new__users" ("id", "name", "email") SELECT "id", "name", coalesce("email", '') FROM "users";
DROP TABLE "users";
ALTER TABLE "new__users" RENAME TO "users";
{view}
{trigger}"#
    );
    let prisma = format!(
        r#"DROP VIEW bylines;
DROP TRIGGER user_gone;
PRAGMA foreign_keys=OFF;
CREATE TABLE "new_posts" ("id" INTEGER NOT NULL PRIMARY KEY, "author" INTEGER, "title" TEXT NOT NULL DEFAULT '', CONSTRAINT "posts_author_fkey" FOREIGN KEY ("author") REFERENCES "users" ("id") ON DELETE SET NULL);
INSERT INTO "new_posts" ("author", "id", "title") SELECT "author", "id", coalesce("title", '') AS "title" FROM "posts";
DROP TABLE "posts";
ALTER TABLE "new_posts" RENAME TO "posts";
CREATE INDEX "posts_author" ON "posts"("author");
PRAGMA foreign_keys=ON;
{view}
{trigger}"#
    );
    for step in [sqlite, alembic, django, prisma] {
        let text = document(&[base, &step]);
        let output = run_lint(&text, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

const COMMENTS: &str =
    "CREATE TABLE IF NOT EXISTS c (id INTEGER PRIMARY KEY, body TEXT, status TEXT, author TEXT);";

#[test]
fn a_copy_by_position_is_reported_at_the_star_or_the_table() {
    let rule = Rule::PositionalCopy;
    let rebuild = |copy: &str| {
        document(&[
            COMMENTS,
            &format!(
                "CREATE TABLE c_new (id INTEGER PRIMARY KEY, body TEXT NOT NULL, status TEXT, author TEXT);\n\
                 {copy};\nDROP TABLE c;\nALTER TABLE c_new RENAME TO c;"
            ),
        ])
    };
    assert_reported(rule, &rebuild("INSERT INTO c_new SELECT * FROM c"), &["* FROM c"]);
    let listed_target = "INSERT INTO c_new (id, body, status, author) SELECT c.* FROM c";
    assert_reported(rule, &rebuild(listed_target), &["c.* FROM c"]);
    let listed = "INSERT INTO c_new SELECT id, body, status, author FROM c";
    assert_not_reported(rule, &rebuild(listed));
    for (sql, place) in [
        ("CREATE TABLE archive AS SELECT * FROM c;", "* FROM"),
        ("INSERT OR IGNORE INTO c VALUES (1, 'a', 'b', 'c');", "c VALUES"),
        (
            "ALTER TABLE c RENAME TO c_old; CREATE TABLE c (id INTEGER PRIMARY KEY, body TEXT, status TEXT, author TEXT); INSERT INTO c SELECT * FROM c_old; DROP TABLE c_old;",
            "* FROM c_old",
        ),
        (
            "CREATE TRIGGER t AFTER DELETE ON c BEGIN INSERT INTO c VALUES (old.id, 'a', 'b', 'c'); END;",
            "c VALUES",
        ),
        (
            "UPDATE c SET (id, body, status, author) = (SELECT * FROM c q WHERE q.id = c.id) WHERE id = 1;",
            "* FROM c q",
        ),
        ("DELETE FROM c WHERE (id, body, status, author) NOT IN (SELECT * FROM c);", "* FROM c)"),
        ("DELETE FROM c WHERE (id, body, status, author) IN c;", "c;"),
        (
            "UPDATE c SET body = z.b FROM (SELECT 0 AS i, '' AS b, 1, 2 UNION ALL SELECT * FROM c) z WHERE z.i = c.id;",
            "* FROM c) z",
        ),
        ("CREATE VIEW named (p, q, r, s) AS SELECT * FROM c;", "* FROM c;"),
        (
            "CREATE VIEW v AS SELECT * FROM c; CREATE TABLE d (id INTEGER, body TEXT, status TEXT, author TEXT); INSERT INTO d SELECT * FROM v;",
            "INSERT INTO d SELECT * FROM v;",
        ),
    ] {
        assert_reported(rule, &document(&[COMMENTS, sql]), &[place]);
    }
}

#[test]
fn the_help_of_a_lost_counter_satisfies_the_rule_as_it_is() {
    let table = "CREATE TABLE \"Note\" (id INTEGER PRIMARY KEY AUTOINCREMENT, n TEXT);";
    for (first, copy, rest) in [
        (
            "CREATE TABLE \"new_Note\" (id INTEGER PRIMARY KEY AUTOINCREMENT, n TEXT NOT NULL);",
            "INSERT INTO \"new_Note\" (id, n) SELECT id, n FROM note;",
            "DROP TABLE note; ALTER TABLE new_note RENAME TO \"Note\";",
        ),
        (
            "ALTER TABLE note RENAME TO \"Note_Old\"; CREATE TABLE \"Note\" (id INTEGER PRIMARY KEY AUTOINCREMENT, n TEXT NOT NULL);",
            "INSERT INTO note (id, n) SELECT id, n FROM note_old;",
            "DROP TABLE note_old;",
        ),
    ] {
        let lossy = document(&[table, &format!("{first}\n{copy}\n{rest}")]);
        let problems = diagnostics(&lossy, &[]);
        let problem = problems.iter().find(|problem| problem["rule"] == "counter-reset").unwrap();
        let help = problem["help"].as_str().unwrap();
        let line = help.split('`').nth(1).unwrap();
        assert_not_reported(
            Rule::CounterReset,
            &document(&[table, &format!("{first}\n{line}\n{copy}\n{rest}")]),
        );
    }
}

#[test]
fn a_counter_of_a_table_that_was_set_aside_is_reported_at_its_drop() {
    let rule = Rule::CounterReset;
    let create = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, n TEXT);";
    let aside = format!("ALTER TABLE t RENAME TO old;\n{create}");
    let copy = "INSERT INTO t (id, n) SELECT id, n FROM old;";
    let drop = "DROP TABLE old;";
    assert_reported(rule, &document(&[create, &format!("{aside}\n{copy}"), drop]), &["DROP"]);
    let later = document(&[
        create,
        "ALTER TABLE t RENAME TO \"Old\";",
        create,
        "ALTER TABLE old RENAME TO older;",
        "DROP TABLE older;",
    ]);
    assert_reported(rule, &later, &["DROP TABLE older"]);
    let counter = "UPDATE sqlite_sequence SET seq = (SELECT max(seq) FROM sqlite_sequence WHERE lower(name) IN ('old', 't')) WHERE lower(name) = 't';";
    let kept = format!("{copy}\n{counter}\n{drop}");
    assert_not_reported(rule, &document(&[create, &aside, &kept]));
    // The table is replaced by one without a counter, or by none.
    assert_not_reported(rule, &document(&[create, "ALTER TABLE t RENAME TO old;", drop]));
    let plain = "ALTER TABLE t RENAME TO old;\nCREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT);";
    assert_not_reported(rule, &document(&[create, &format!("{plain}\n{copy}"), drop]));
    let allowed = format!("-- tatmig:allow counter-reset ids are not kept\n{drop}");
    assert_not_reported(rule, &document(&[create, &format!("{aside}\n{copy}"), &allowed]));
}

#[test]
fn a_counter_that_two_blocks_lose_is_reported_at_the_second_one() {
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, n TEXT);";
    let rebuild = |key: &str| {
        format!(
            "CREATE TABLE t2 (id INTEGER PRIMARY KEY{key}, n TEXT);\nINSERT INTO t2 (id, n) SELECT id, n FROM t;\nDROP TABLE t;\nALTER TABLE t2 RENAME TO t;"
        )
    };
    let (without, with) = (rebuild(""), rebuild(" AUTOINCREMENT"));
    assert_not_reported(Rule::CounterReset, &document(&[table, &without]));
    let text = document(&[table, &without, "ALTER TABLE t ADD COLUMN x TEXT;", &with]);
    assert_reported(Rule::CounterReset, &text, &["DROP TABLE t;"]);
    let kept = format!(
        "CREATE TABLE counter AS SELECT seq FROM sqlite_sequence WHERE name = 't';\n{without}"
    );
    let restored = format!(
        "{with}\nUPDATE sqlite_sequence SET seq = (SELECT seq FROM counter) WHERE name = 't';\nDROP TABLE counter;"
    );
    assert_not_reported(Rule::CounterReset, &document(&[table, &kept, &restored]));
}

#[test]
fn a_view_or_trigger_with_an_unknown_function_or_collation_is_reported() {
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT);";
    for (sql, place) in [
        ("CREATE VIEW v AS SELECT lowr(n) AS n FROM t;", "lowr"),
        ("CREATE VIEW v AS SELECT n FROM t ORDER BY n COLLATE nocse;", "nocse"),
        ("CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET n = lowr(new.n); END;", "lowr"),
    ] {
        assert_reported(Rule::DanglingReference, &document(&[table, sql]), &[place]);
    }
}

#[test]
fn a_parent_key_with_another_collation_is_no_key() {
    let rule = Rule::DanglingReference;
    let tables = |column: &str, index: &str| {
        format!(
            "CREATE TABLE p (id INTEGER PRIMARY KEY, k TEXT {column}); CREATE UNIQUE INDEX pk ON p (k {index});
             CREATE TABLE c (id INTEGER PRIMARY KEY, k TEXT REFERENCES p (k));"
        )
    };
    let drop = "DROP INDEX pk; CREATE UNIQUE INDEX pk ON p";
    for (column, index, new) in
        [("", "", "(k COLLATE NOCASE)"), ("COLLATE NOCASE", "COLLATE nocase", "(k COLLATE BINARY)")]
    {
        let text = document(&[&tables(column, index), &format!("{drop} {new};")]);
        assert_reported(rule, &text, &["DROP INDEX pk;"]);
    }
    for (column, new) in [("", "(k COLLATE BINARY DESC)"), ("COLLATE NOCASE", "(k COLLATE NOCASE)")]
    {
        let text = document(&[&tables(column, ""), &format!("{drop} {new};")]);
        assert_not_reported(rule, &text);
        assert_not_reported(Rule::BrokenForeignKey, &text);
    }
}

#[test]
fn a_full_text_table_whose_content_is_gone_is_reported() {
    let rule = Rule::DanglingReference;
    let tables = "CREATE TABLE e (id INTEGER PRIMARY KEY, t TEXT, x TEXT); CREATE VIRTUAL TABLE f USING fts5 (t, content = 'e', content_rowid = 'id');";
    for sql in
        ["ALTER TABLE e RENAME TO e9;", "ALTER TABLE e RENAME COLUMN t TO body;", "DROP TABLE e;"]
    {
        let found = diagnostics(&document(&[tables, sql]), &[]);
        let found: Vec<_> = found.iter().filter(|found| found["rule"] == rule.name()).collect();
        assert_eq!(found.len(), 1, "{sql}");
        let message = found[0]["message"].as_str().unwrap();
        assert!(message.contains("the full-text table `f` cannot be used"), "{message}");
    }
    for sql in [
        "ALTER TABLE e RENAME COLUMN x TO y;",
        "DROP TABLE f; DROP TABLE e;",
        "CREATE TABLE e2 (id INTEGER PRIMARY KEY, t TEXT NOT NULL, x TEXT); INSERT INTO e2 (id, t, x) SELECT id, t, x FROM e; DROP TABLE e; ALTER TABLE e2 RENAME TO e;",
    ] {
        assert_not_reported(rule, &document(&[tables, sql]));
    }
}

#[test]
fn row_ids_below_a_view_and_below_fts4_are_checked() {
    let rule = Rule::FtsRowIds;
    let table =
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT); CREATE VIEW v AS SELECT id, n FROM t;";
    let rebuild = |columns: &str| {
        format!(
            "DROP VIEW v; CREATE TABLE t2 (id INTEGER PRIMARY KEY, n TEXT NOT NULL); INSERT INTO t2 ({columns}) SELECT {columns} FROM t; DROP TABLE t; ALTER TABLE t2 RENAME TO t; CREATE VIEW v AS SELECT id, n FROM t;"
        )
    };
    for search in [
        "CREATE VIRTUAL TABLE f USING fts5 (n, content = 'v', content_rowid = 'id');",
        "CREATE VIRTUAL TABLE f USING fts4 (content=\"t\", n);",
        "CREATE VIRTUAL TABLE f USING fts4 (content=t, n);",
    ] {
        let tables = format!("{table} {search}");
        assert_reported(rule, &document(&[&tables, &rebuild("n")]), &["t2 (n)"]);
        let kept = document(&[&tables, &rebuild("id, n")]);
        assert_not_reported(rule, &kept);
        assert_eq!(run_lint(&kept, &[]).status.code(), Some(0));
    }
}

#[test]
fn a_view_or_trigger_of_an_older_block_that_uses_positions_is_reported_where_it_is_used() {
    let rule = Rule::PositionalCopy;
    let older = format!(
        "{COMMENTS} CREATE TABLE arch (a, b, c, d); CREATE VIEW named (p, q, r, s) AS SELECT * FROM c;
         CREATE TRIGGER keep AFTER DELETE ON c BEGIN INSERT INTO arch (a, b, c, d) SELECT * FROM c; END;"
    );
    for sql in [
        "DELETE FROM c WHERE id = 1;",
        "UPDATE c SET body = (SELECT q FROM named LIMIT 1) WHERE id = 1;",
    ] {
        assert_reported(rule, &document(&[&older, sql]), &[sql]);
    }
    for sql in [
        "UPDATE c SET body = 'x' WHERE id IN (SELECT id FROM (SELECT * FROM c UNION SELECT * FROM c));",
        "INSERT INTO c (id, body) VALUES (7, 'x');",
    ] {
        assert_not_reported(rule, &document(&[&older, sql]));
    }
}

#[test]
fn a_table_of_the_same_block_and_a_table_of_one_column_have_a_known_order() {
    let rule = Rule::PositionalCopy;
    let own = "CREATE TABLE IF NOT EXISTS kinds (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO kinds VALUES (1, 'a');";
    assert_not_reported(rule, &document(&[COMMENTS, own]));
    let renamed = "CREATE TABLE k (id INTEGER PRIMARY KEY, name TEXT); ALTER TABLE k RENAME TO kinds; INSERT INTO kinds VALUES (1, 'a');";
    assert_not_reported(rule, &document(&[COMMENTS, renamed]));
    let single = "CREATE TABLE IF NOT EXISTS names (name TEXT UNIQUE);";
    assert_not_reported(rule, &document(&[single, "INSERT OR IGNORE INTO names VALUES ('a');"]));
    let temporary = "CREATE TEMP TABLE w (a, b); INSERT INTO w VALUES (1, 2); INSERT INTO c (id, body) SELECT * FROM w;";
    assert_not_reported(rule, &document(&[COMMENTS, temporary]));
    assert_not_reported(rule, &document(&[COMMENTS, "INSERT INTO c DEFAULT VALUES;"]));
}

#[test]
fn a_planned_migration_is_linted_as_if_released() {
    let base = format!(
        "{NOTES}\nCREATE TABLE IF NOT EXISTS c (x INT REFERENCES notes (id) ON DELETE CASCADE);"
    );
    let plan = block("1.0.0", "1.1.0", "-- The notes go:\n-- DROP TABLE IF EXISTS notes;");
    let text = document(&[&base])
        + &format!("\n## 1.0.0 → 1.1.0 (Planned)\n\n**Description**: No more notes\n{plan}");
    assert_reported(Rule::DanglingReference, &text, &["notes;"]);
    assert_reported(Rule::Destructive, &text, &["DROP TABLE IF EXISTS notes;"]);
    assert_eq!(run_lint(&text, &[]).status.code(), Some(0));
    // Planned SQL that fails is not an error yet.
    let text = text.replace("DROP TABLE IF EXISTS notes", "DROP TABLE nobody");
    let failing: Vec<_> = diagnostics(&text, &[]);
    assert_eq!(failing[0]["rule"], "sql");
    assert_eq!(failing[0]["severity"], "warning");
}

#[test]
fn an_if_not_exists_that_hides_a_difference_is_reported() {
    let rule = Rule::HidingGuard;
    let after = |sql: &str| document(&[NOTES, sql]);
    let other = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, title TEXT);";
    assert_reported(rule, &after(other), &[other.split(" (").next().unwrap()]);
    let checked =
        "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT CHECK (body <> ''));";
    assert_reported(rule, &after(checked), &["CREATE TABLE IF NOT EXISTS notes"]);
    assert_clean(&after(
        "create table if not exists \"notes\" (id integer primary key, body text);",
    ));
    for (first, second) in [
        ("INDEX IF NOT EXISTS i ON notes (body)", "INDEX IF NOT EXISTS i ON notes (id)"),
        ("VIEW IF NOT EXISTS v AS SELECT id FROM notes", "VIEW IF NOT EXISTS v AS SELECT 1"),
        (
            "TRIGGER IF NOT EXISTS r AFTER INSERT ON notes BEGIN SELECT 1; END",
            "TRIGGER IF NOT EXISTS r AFTER INSERT ON notes BEGIN SELECT 2; END",
        ),
    ] {
        let base = format!("{NOTES}\nCREATE {first};");
        assert_reported(rule, &document(&[&base, &format!("CREATE {second};")]), &["CREATE"]);
        assert_clean(&document(&[&base, &format!("CREATE  {first};")]));
    }
    let base = format!("{NOTES}\nCREATE VIEW IF NOT EXISTS v AS SELECT 1 AS a;");
    assert_reported(
        rule,
        &document(&[&base, "CREATE TABLE IF NOT EXISTS v (a);"]),
        &["CREATE TABLE"],
    );
}

#[test]
fn a_pragma_without_effect_is_reported() {
    let rule = Rule::PragmaWithoutEffect;
    let after = |sql: &str| document(&[NOTES, sql]);
    assert_reported(rule, &after("PRAGMA foreign_keys = OFF;"), &["PRAGMA foreign_keys"]);
    assert_reported(rule, &after("PRAGMA main.foreign_keys(0);"), &["PRAGMA main"]);
    assert_reported(rule, &after("PRAGMA table_info(notes);"), &["PRAGMA table_info"]);
    assert_reported(rule, &after("PRAGMA user_version;"), &["PRAGMA user_version"]);
    assert_clean(&after("PRAGMA user_version = 7;"));
    assert_clean(&after("PRAGMA legacy_alter_table = ON;"));
}

#[test]
fn double_quoted_strings_are_reported() {
    let rule = Rule::DoubleQuotedString;
    let after = |sql: &str| document(&[NOTES, sql]);
    assert_reported(
        rule,
        &after("UPDATE notes SET body = \"new\" WHERE body = \"old\";"),
        &["\"new\"", "\"old\""],
    );
    assert_reported(
        rule,
        &after("CREATE TABLE IF NOT EXISTS t (a CHECK (a IN (\"x\", 'y')));"),
        &["\"x\""],
    );
    assert_reported(rule, &after("CREATE VIEW IF NOT EXISTS v AS SELECT \"x\" AS a;"), &["\"x\""]);
    assert_reported(
        rule,
        &after(
            "CREATE TRIGGER IF NOT EXISTS r AFTER UPDATE OF body ON notes BEGIN UPDATE notes SET body = \"it's\" WHERE 0; END;",
        ),
        &["\"it's\""],
    );
    assert_reported(
        rule,
        &after("UPDATE notes SET body = \"a\"\"b\" WHERE body = \"c\";"),
        &["\"a\"\"b\"", "\"c\""],
    );
    assert_clean(&after("UPDATE \"notes\" SET \"body\" = 'new' WHERE \"id\" = 1;"));
    assert_clean(&after("CREATE VIEW IF NOT EXISTS v AS SELECT \"body\" FROM notes;"));
}

#[test]
fn missing_dates_and_descriptions_are_reported() {
    let text = document(&[NOTES, "CREATE INDEX IF NOT EXISTS i ON notes (body);"]);
    assert_clean(&text);
    let undated = text.replace("**Date**: 2026-01-02\n", "");
    assert_reported(Rule::MissingDate, &undated, &["## 1.0.0 → 1.1.0"]);
    let invalid_date = text.replace("2026-01-02", "soon");
    assert_reported(Rule::MissingDate, &invalid_date, &["soon"]);
    let undescribed = text.replacen("**Description**: What for\n", "", 1);
    assert_reported(Rule::MissingDescription, &undescribed, &["## Baseline: 1.0.0"]);
    let out_of_order = text.replace("2026-01-02", "2025-12-31");
    assert_reported(Rule::DatesOutOfOrder, &out_of_order, &["2025-12-31"]);
    assert_not_reported(Rule::DatesOutOfOrder, &text.replace("2026-01-02", "2026-01-01"));
}

#[test]
fn a_planned_migration_needs_no_date() {
    let plan = block("1.0.0", "1.1.0", "-- DROP INDEX IF EXISTS i;");
    let text = document(&[NOTES])
        + &format!("\n## 1.0.0 → 1.1.0 (Planned)\n\n**Description**: Later\n{plan}");
    assert_clean(&text);
}

#[test]
fn a_reverse_block_must_restore_the_schema() {
    let rule = Rule::ReverseDiffers;
    let up =
        "ALTER TABLE notes ADD COLUMN pinned INT; CREATE INDEX IF NOT EXISTS i ON notes (pinned);";
    let down = |sql: &str| document(&[NOTES, up]) + &block("1.1.0", "1.0.0", sql);
    assert_not_reported(
        rule,
        &down("DROP INDEX IF EXISTS i; ALTER TABLE notes DROP COLUMN pinned;"),
    );
    assert_reported(rule, &down("DROP INDEX IF EXISTS i;"), &["-- [user:1.1.0→1.0.0:start]"]);
    let rebuild = |columns: &str| {
        down(&format!(
            "DROP INDEX i; CREATE TABLE n ({columns}); INSERT INTO n SELECT id, body FROM notes; DROP TABLE notes; ALTER TABLE n RENAME TO notes;"
        ))
    };
    assert_not_reported(rule, &rebuild("id INTEGER PRIMARY KEY, body TEXT"));
    assert_reported(
        rule,
        &rebuild("id INTEGER PRIMARY KEY, body TEXT UNIQUE"),
        &["-- [user:1.1.0→1.0.0"],
    );
    let nothing = document(&[NOTES]) + &block("1.0.0", "baseline", "SELECT 1;");
    assert_reported(rule, &nothing, &["-- [user:1.0.0→baseline:start]"]);
    assert_not_reported(rule, &nothing.replace("SELECT 1", "DROP TABLE IF EXISTS notes"));
}

#[test]
fn features_newer_than_min_sqlite_are_reported() {
    let rule = Rule::NeedsNewerSqlite;
    let strict = "CREATE TABLE IF NOT EXISTS t (a TEXT, b TEXT AS (a)) STRICT;";
    let text = document(&[strict]);
    let with = |version: &str| reported_text(&text, rule, &["--min-sqlite", version]);
    assert_eq!(with("3.37.0"), [""; 0]);
    assert_eq!(with("3.35"), ["STRICT;"]);
    assert_eq!(with("3.30.1"), ["AS (a)) STRICT;", "STRICT;"]);
    assert_eq!(reported_text(&text, rule, &[]), [""; 0]);
    // Features that only tatmig's SQLite runs, or that the block removes again, do not concern the
    // application's SQLite.
    let run = "INSERT INTO notes (id) VALUES (1) ON CONFLICT DO NOTHING RETURNING id; ALTER TABLE notes DROP COLUMN body; CREATE TABLE x (a) STRICT; DROP TABLE x;"
        .replace("(a) STRICT", "(a TEXT) STRICT");
    let text = document(&[NOTES, &run]);
    assert_eq!(reported_text(&text, rule, &["--min-sqlite", "3.9.0"]), [""; 0]);
}

#[test]
fn min_sqlite_is_read_from_settings_and_environment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(
        path.join("MIGRATIONS.md"),
        document(&["CREATE TABLE IF NOT EXISTS t (a TEXT) STRICT;"]),
    )
    .unwrap();
    let warns = |arguments: &[&str], variable: Option<&str>| {
        let mut command = lint_command(path, arguments);
        command.envs(variable.map(|version| ("TATMIG_MIN_SQLITE", version)));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stderr).unwrap().contains("needs-newer-sqlite")
    };
    assert!(!warns(&[], None));
    assert!(warns(&[], Some("3.30.0")));
    fs::write(path.join("tatmig.toml"), "min_sqlite = \"3.30.0\"\n").unwrap();
    assert!(warns(&[], None));
    assert!(!warns(&[], Some("3.40.0")));
    assert!(warns(&["--min-sqlite", "3.31.0"], Some("3.40.0")));
    fs::write(path.join("tatmig.toml"), "min_sqlite = \"three\"\n").unwrap();
    let output = lint_command(path, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("`three` is not an SQLite version"));
}

#[test]
fn an_allow_directive_silences_its_rule_in_its_block_only() {
    let rule = Rule::NotRerunnable;
    let allowed =
        "-- tatmig:allow not-rerunnable no other tool runs this\nCREATE INDEX a ON notes (body);";
    let text = document(&[NOTES, allowed, "CREATE INDEX b ON notes (id);"]);
    assert_reported(rule, &text, &["b ON notes"]);
    assert_reported(Rule::MalformedAllow, &text, &[]);
}

#[test]
fn denied_rules_fail_and_allowed_rules_are_not_reported() {
    let text = document(&[NOTES, "ALTER TABLE notes ADD COLUMN a; DELETE FROM notes;"]);
    let status = |arguments: &[&str]| run_lint(&text, arguments).status.code().unwrap();
    assert_eq!(status(&[]), 0);
    assert_eq!(status(&["--deny", "warnings"]), 1);
    assert_eq!(status(&["--deny", "destructive"]), 1);
    assert_eq!(status(&["--deny", "stray-fence"]), 0);
    let both = ["--allow", "destructive", "--allow", "not-rerunnable"];
    assert_eq!(status(&[&both[..], &["--deny", "warnings"]].concat()), 0);
    assert_eq!(diagnostics(&text, &both), [Value::Null; 0]);
    // A denied problem is reported even if only errors are.
    let quiet = run_lint(&text, &["-q", "--deny", "destructive"]);
    let stderr = String::from_utf8(quiet.stderr).unwrap();
    assert!(
        stderr.starts_with("error[destructive]") && !stderr.contains("not-rerunnable"),
        "{stderr}"
    );
    for wrong in [
        &["--deny", "no-such-rule"][..],
        &["--allow", "warnings"],
        &["--allow", "unclosed-block"],
        &["--allow", "destructive", "--deny", "destructive"],
        &["--format", "xml"],
        &["--min-sqlite", "4"],
    ] {
        assert_eq!(status(wrong), 2, "{wrong:?}");
    }
}

#[test]
fn flags_override_the_settings_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("MIGRATIONS.md"), document(&[NOTES, "DELETE FROM notes;"])).unwrap();
    let status = |settings: &str, arguments: &[&str]| {
        fs::write(path.join("tatmig.toml"), settings).unwrap();
        lint_command(path, arguments).output().unwrap().status.code().unwrap()
    };
    assert_eq!(status("[lint]\ndeny = [\"destructive\"]\n", &[]), 1);
    assert_eq!(status("[lint]\ndeny = [\"destructive\"]\n", &["--allow", "destructive"]), 0);
    assert_eq!(status("[lint]\nallow = [\"destructive\"]\n", &["--deny", "destructive"]), 1);
    assert_eq!(status("[lint]\nallow = [\"destructive\"]\n", &["--deny", "warnings"]), 0);
    assert_eq!(status("[lint]\ndeny = [\"nothing\"]\n", &[]), 2);
    assert_eq!(status("[lint]\nforbid = []\n", &[]), 2);
}

#[test]
fn the_exit_status_predicts_the_upgrade() {
    let status = |text: &str| run_lint(text, &[]).status.code().unwrap();
    assert_eq!(status(&document(&[NOTES])), 0);
    assert_eq!(status(&document(&["CREATE TABLE ;"])), 2);
    assert_eq!(status("nothing"), 2);
    // Live SQL that fails beyond head prevents no upgrade.
    let plan = block("1.0.0", "1.1.0", "DROP TABLE nobody;");
    let text = document(&[NOTES])
        + &format!("\n## 1.0.0 → 1.1.0 (Planned)\n\n**Description**: Later\n{plan}");
    assert_eq!(status(&text), 1);
}

#[test]
fn a_rebuild_that_removes_autoincrement_resets_no_counter() {
    let text = document(&[
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT);",
        "CREATE TABLE t_new (id INTEGER PRIMARY KEY); INSERT INTO t_new (id) SELECT id FROM t; DROP TABLE t; ALTER TABLE t_new RENAME TO t;",
    ]);
    assert_not_reported(Rule::CounterReset, &text);
    let kept = text
        .replace("t_new (id INTEGER PRIMARY KEY)", "t_new (id INTEGER PRIMARY KEY AUTOINCREMENT)");
    assert_eq!(reported_text(&kept, Rule::CounterReset, &[]).len(), 1);
}

#[test]
fn a_run_does_not_report_lint_rules() {
    let directory = tempfile::tempdir().unwrap();
    let text = document(&[NOTES, "ALTER TABLE notes ADD COLUMN a; DELETE FROM notes;"]);
    fs::write(directory.path().join("MIGRATIONS.md"), text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tatmig"))
        .args(["init", "--user", "ann"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn json_is_one_document_for_both_flags() {
    let text = document(&[NOTES, "DELETE FROM notes;"]);
    let one = run_lint(&text, &["--format", "json"]);
    assert_eq!(one.stdout, run_lint(&text, &["--json"]).stdout);
    let json: Value = serde_json::from_slice(&one.stdout).unwrap();
    assert_eq!(json["summary"]["warnings"], 1);
    // So are errors that prevent linting.
    let directory = tempfile::tempdir().unwrap();
    let output = lint_command(directory.path(), &["--format", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["error"]["message"].as_str().unwrap().contains("MIGRATIONS.md"));
}

#[test]
fn github_format_prints_workflow_commands() {
    let directory = tempfile::tempdir().unwrap();
    let text = document(&[
        NOTES,
        "UPDATE notes SET body = \"50%, a:b\" WHERE id = 1;\nDELETE FROM notes;",
    ]);
    fs::write(directory.path().join("a,b:c%.md"), text).unwrap();
    let arguments = ["-f", "a,b:c%.md", "--format", "github", "--deny", "destructive"];
    let output = lint_command(directory.path(), &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "::warning file=a%2Cb%3Ac%25.md,line=21,col=25,endLine=21,endColumn=35,title=double-quoted-string::\
         no column has the name `\"50%25, a:b\"`, so SQLite reads it as a string%0A\
         write '50%25, a:b': double quotes are for names, and some builds of SQLite refuse such a string\n\
         ::error file=a%2Cb%3Ac%25.md,line=22,col=1,endLine=22,endColumn=18,title=destructive::\
         without `WHERE` this deletes every row of `notes`%0A\
         if this is intended, say why in the block: `-- tatmig:allow destructive because …`\n"
    );
}

#[test]
fn sarif_has_the_fields_its_schema_requires() {
    let directory = tempfile::tempdir().unwrap();
    let text = document(&[
        NOTES,
        "CREATE TABLE IF NOT EXISTS c (é INT, x INT REFERENCES notes (body)); DELETE FROM notes;",
        "CREATE TABLE IF NOT EXISTS notes (id);",
    ]);
    fs::write(directory.path().join("ä b.md"), text).unwrap();
    let output =
        lint_command(directory.path(), &["-f", "ä b.md", "--format", "sarif"]).output().unwrap();
    let sarif: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sarif["$schema"], "https://json.schemastore.org/sarif-2.1.0.json");
    assert_eq!(sarif["version"], "2.1.0");
    let [run] = sarif["runs"].as_array().unwrap().as_slice() else { panic!("one run") };
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "tatmig");
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let rules = driver["rules"].as_array().unwrap();
    let names: Vec<_> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(names, Rule::ALL.iter().map(|rule| rule.name()).collect::<Vec<_>>());
    for rule in rules {
        assert!(!rule["shortDescription"]["text"].as_str().unwrap().is_empty());
        let anchor = format!("/blob/main/docs/lints.md#{}", rule["id"].as_str().unwrap());
        let repository = env!("CARGO_PKG_REPOSITORY");
        assert_eq!(rule["helpUri"], repository.to_owned() + &anchor);
        check_level(&rule["defaultConfiguration"]["level"]);
    }
    let results = run["results"].as_array().unwrap();
    let found: Vec<_> = results.iter().map(|result| result["ruleId"].as_str().unwrap()).collect();
    assert_eq!(found, ["broken-foreign-key", "destructive", "hiding-guard"]);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(names[index], result["ruleId"]);
        check_level(&result["level"]);
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let locations = result["locations"].as_array().unwrap();
        assert_eq!(locations.len(), 1);
        check_location(&locations[0]["physicalLocation"]);
        for related in result["relatedLocations"].as_array().into_iter().flatten() {
            check_location(&related["physicalLocation"]);
            assert!(!related["message"]["text"].as_str().unwrap().is_empty());
        }
    }
    // Columns are counted in characters, from one.
    assert_eq!(results[0]["locations"][0]["physicalLocation"]["region"]["startColumn"], 44);
    assert!(results[2]["relatedLocations"][0].is_object());
}

fn check_level(level: &Value) {
    assert!(["none", "note", "warning", "error"].contains(&level.as_str().unwrap()), "{level}");
}

fn check_location(location: &Value) {
    assert_eq!(location["artifactLocation"]["uri"], "%C3%A4%20b.md");
    let number = |name: &str| location["region"][name].as_u64().unwrap();
    assert!(number("startLine") >= 1 && number("startColumn") >= 1);
    assert!(number("endLine") >= number("startLine"));
    assert!(number("endColumn") >= 1);
}

#[test]
fn the_projects_own_documents_have_known_risks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, stray) in [("MIGRATIONS.md", 0), ("fixtures/stray-fence.md", 1)] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        assert_not_reported(Rule::NotRerunnable, &text);
        // It could never be used, so that the DROP of its parent is not charged for it.
        assert_reported(
            Rule::BrokenForeignKey,
            &text,
            &["REFERENCES memories (conversation_id) ON"],
        );
        assert_reported(
            Rule::Destructive,
            &text,
            &[
                "DROP COLUMN full_conversation_history",
                "DROP TABLE IF EXISTS conversation_compacts",
                "DROP TABLE IF EXISTS memories;",
                "DROP TABLE IF EXISTS memory_topics;",
            ],
        );
        assert_eq!(diagnostics(&text, &[]).len(), 5 + stray, "{file}");
        assert_eq!(reported_text(&text, Rule::StrayFence, &[]).len(), stray);
        assert_eq!(run_lint(&text, &[]).status.code(), Some(0));
    }
}

#[cfg(feature = "server")]
/// No connection is made: nothing listens at this address.
const SERVER_ARGUMENTS: &[&str] = &["--server", "http://127.0.0.1:9"];

#[cfg(feature = "server")]
#[test]
fn sql_that_libsql_refuses_is_reported_at_its_location() {
    let rule = Rule::ServerRefuses;
    for (sql, expected) in [
        ("ANALYZE notes;", "ANALYZE"),
        ("CREATE TEMP TABLE IF NOT EXISTS t (x);", "CREATE TEMP"),
        ("CREATE TABLE IF NOT EXISTS temp.t (x);", "temp"),
        ("PRAGMA optimize;", "PRAGMA optimize"),
        ("PRAGMA application_id = 7;", "PRAGMA application_id"),
        ("UPDATE notes SET id = 1_000 WHERE id = 1;", "1_000"),
    ] {
        let text = document(&[NOTES, sql]);
        let reported = reported_text(&text, rule, SERVER_ARGUMENTS);
        assert!(
            matches!(reported.as_slice(), [told] if told.starts_with(expected)),
            "{sql}: {reported:?}"
        );
        assert_eq!(reported_text(&text, rule, &[]), [""; 0], "{sql}: files take it");
        assert_eq!(run_lint(&text, SERVER_ARGUMENTS).status.code(), Some(0));
        let denied = run_lint(&text, &[SERVER_ARGUMENTS, &["--deny", rule.name()]].concat());
        assert_eq!(denied.status.code(), Some(1), "{sql}");
    }
    let valid_document = document(&[
        NOTES,
        "CREATE TABLE IF NOT EXISTS temperatures (temp INTEGER); PRAGMA user_version = 4;",
    ]);
    assert_eq!(reported_text(&valid_document, rule, SERVER_ARGUMENTS), [""; 0]);
}

#[test]
fn every_rule_is_documented() {
    let documentation = include_str!("../docs/lints.md");
    let sections: Vec<_> =
        documentation.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    for rule in Rule::ALL {
        let heading = format!("`{}`", rule.name());
        assert!(sections.contains(&heading.as_str()), "{heading} has no section in docs/lints.md");
    }
}
