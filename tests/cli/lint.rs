//! Tests `lint`: what it reports without a database, and its exit status.

use snapbox::str;

use crate::support::{Fleet, NOTES, document};

/// `lint` without the rules that every short test document violates.
fn lint_arguments<'a>(extra_arguments: &[&'a str]) -> Vec<&'a str> {
    let rules = ["missing-date", "missing-description", "not-rerunnable"];
    let allowed = rules.into_iter().flat_map(|rule| ["--allow", rule]);
    ["lint"].into_iter().chain(allowed).chain(extra_arguments.iter().copied()).collect()
}

#[test]
fn the_option_that_shows_notes_is_named() {
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", "CREATE TABLE notes (a);")]);
    let run = fleet.run(["lint"]).status(0).stdout_text();
    assert!(run.ends_with(", 1 note (`-v` shows it)\n"), "{run}");
    let run = fleet.run(["lint", "-v"]).status(0).stdout_text();
    assert!(run.ends_with(", 1 note\n"), "{run}");
}

#[test]
fn a_good_document_needs_no_database() {
    let fleet = Fleet::from_blocks(NOTES);
    fleet
        .run_without_changes(lint_arguments(&[]))
        .status(0)
        .stderr("")
        .stdout("MIGRATIONS.md: 0 errors, 0 warnings\n");
}

#[test]
fn an_error_points_at_its_token() {
    let fleet =
        Fleet::from_blocks(&[("user:baseline→1.0.0", "CREATE TABLE a (x);\nDROP TABLE b;")]);
    fleet.run_without_changes(lint_arguments(&[])).status(2).stderr(str![[r#"
error[sql]: no such table: b
 --> MIGRATIONS.md:4:12
  |
4 | DROP TABLE b;
  |            ^
  |
  = help: no earlier statement of the document creates it

`tatmig lint --explain sql` describes this rule

"#]]);
}

#[test]
fn a_warning_fails_only_if_denied() {
    let markdown = format!("{}## 1.2.0 → 1.3.0\n\nSoon.\n", document(NOTES));
    let fleet = Fleet::new().document(markdown);
    let run = fleet.run_without_changes(lint_arguments(&[]));
    run.status(0).stderr_contains("warning[").stdout("MIGRATIONS.md: 0 errors, 1 warning\n");
    let err = run.stderr_text();
    let rule = err.split_once('[').unwrap().1.split_once(']').unwrap().0;
    fleet.run(lint_arguments(&["--deny", "warnings"])).status(1);
    fleet.run(lint_arguments(&["--deny", rule])).status(1);
    fleet.run(lint_arguments(&["--deny", "stray-fence"])).status(0);
    let run = fleet.run_without_changes(["lint", "--deny", "sttray-fence"]);
    run.status(2).stderr_contains("unknown rule `sttray-fence`");
}

#[test]
fn an_error_is_allowed_by_its_block_or_not_at_all() {
    let fleet = Fleet::from_blocks(NOTES);
    for (rule, reason) in [
        ("object-loss", "only a block can allow it"),
        ("row-loss", "only a block can allow it"),
        ("foreign-keys", "only a block can allow it"),
        ("sql", "it is an error"),
        ("assert", "it is an error"),
    ] {
        let run = fleet.run_without_changes(["lint", "--allow", rule]);
        run.status(2).stderr_contains(&format!("`{rule}` cannot be allowed: {reason}"));
    }
}

#[test]
fn an_error_in_a_planned_version_is_reported_and_blocks_no_upgrade() {
    let planned = document(&[("user:1.2.0→1.3.0", "CREATE TABLE notes (x);")]);
    let markdown = format!("{}## 1.2.0 → 1.3.0 (Planned)\n\n{planned}", document(NOTES));
    let fleet = Fleet::new().document(markdown).system("").user("ann", "");
    let run = fleet.run_without_changes(["lint"]);
    run.status(1).stderr_contains("table notes already exists");
    fleet.run(["upgrade", "--all-users"]).status(0);
}

#[test]
fn invalid_chains_are_errors() {
    for (blocks, message) in [
        (&["1.0.0→1.1.0", "1.0.0→1.2.0"] as &[&str], "1.0.0"),
        (&["1.1.0→1.2.0"], "1.1.0"),
        (&["1.0.0→1.1.0", "1.0.0→1.1.0"], "1.0.0→1.1.0"),
        (&["1.0.0→1.0.0"], "1.0.0"),
        (&["1.0.0→1.2.0", "1.1.0→1.2.0"], "1.2.0"),
    ] {
        let tags: Vec<String> = blocks.iter().map(|pair| format!("user:{pair}")).collect();
        let mut all = vec![("user:baseline→1.0.0", "CREATE TABLE a (x);")];
        all.extend(tags.iter().map(|tag| (tag.as_str(), "SELECT 1;")));
        let fleet = Fleet::from_blocks(&all).user("ann", "");
        let run = fleet.run_without_changes(["lint"]);
        run.status(2).stderr_contains("error[").stderr_contains(message);
        fleet.run_without_changes(["upgrade", "--all-users"]).status(2);
    }
}

#[test]
fn two_baselines_that_disagree_are_an_error() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE a (x);"),
        ("user:1.0.0→1.1.0", "ALTER TABLE a ADD COLUMN y TEXT;"),
        ("user:baseline→1.1.0", "CREATE TABLE a (x, y INTEGER);"),
    ]);
    let run = fleet.run_without_changes(["lint"]);
    run.stderr_contains("column `a.y` is");
    assert!(!run.stderr_text().contains("0 errors, 0 warnings"));
}
