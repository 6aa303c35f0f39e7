//! Tests `renumber`: two branches that both added a migration, merged by a real git.

use std::process::Command;

use crate::support::Fleet;

/// The section of a migration for users, with its reverse block.
fn section(versions: [&str; 2], date: &str, up: &str, down: &str) -> String {
    let [from, to] = versions;
    let subject = up.split(' ').nth(2).unwrap();
    format!(
        "## {from} → {to}\n\n**Date**: {date}\n**Description**: {subject}, new in {to}\n\n```sql\n\
         -- [user:{from}→{to}:start]\n{up}\n-- [user:{from}→{to}:end]\n\
         -- [user:{to}→{from}:start]\n{down}\n-- [user:{to}→{from}:end]\n```\n\n"
    )
}

fn baseline() -> String {
    "# Migrations\n\n## Baseline: 0.3.19\n\n**Date**: 2026-01-01\n**Description**: start\n\n```sql\n\
     -- [system:baseline→0.3.19:start]\nCREATE TABLE accounts (name TEXT PRIMARY KEY);\n-- [system:baseline→0.3.19:end]\n\
     -- [user:baseline→0.3.19:start]\nCREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);\n-- [user:baseline→0.3.19:end]\n```\n\n"
        .to_owned()
}

fn tags() -> String {
    section(
        ["0.3.19", "0.3.20"],
        "2026-02-01",
        "CREATE TABLE tags (name TEXT);",
        "DROP TABLE tags;",
    )
}

fn colours() -> String {
    section(
        ["0.3.19", "0.3.20"],
        "2026-02-02",
        "ALTER TABLE notes ADD COLUMN colour TEXT;",
        "ALTER TABLE notes DROP COLUMN colour;",
    )
}

fn planned(from: &str, to: &str) -> String {
    format!(
        "## {from} → {to} (Planned)\n\n**Description**: later\n\n```sql\n-- [user:{from}→{to}:start]\n\
         -- CREATE TABLE later (x INTEGER);\n-- [user:{from}→{to}:end]\n```\n\n"
    )
}

#[track_caller]
fn git(fleet: &Fleet, arguments: &[&str]) -> bool {
    let identity =
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"];
    let output =
        Command::new("git").args(identity).args(arguments).current_dir(fleet.path("")).output();
    output.unwrap().status.success()
}

/// A repository whose branches `main` and `feature` both added a migration. The databases of ann
/// and bob are at 0.3.20 of `main`, and ann has a note.
fn two_branches() -> Fleet {
    let base = baseline();
    let fleet = Fleet::new().document(&base);
    assert!(git(&fleet, &["init", "-q"]));
    assert!(git(&fleet, &["add", "MIGRATIONS.md"]));
    assert!(git(&fleet, &["commit", "-qm", "base"]));
    assert!(git(&fleet, &["checkout", "-qb", "feature"]));
    let fleet = fleet.document(format!("{base}{}{}", colours(), planned("0.3.20", "0.3.21")));
    assert!(git(&fleet, &["commit", "-qam", "colours"]));
    assert!(git(&fleet, &["checkout", "-q", "main"]));
    let fleet = fleet.document(format!("{base}{}", tags()));
    assert!(git(&fleet, &["commit", "-qam", "tags"]));
    fleet.run(["init", "--user", "ann", "--user", "bob"]).status(0);
    fleet.user("ann", "INSERT INTO notes (body) VALUES ('tea')")
}

fn text(fleet: &Fleet) -> String {
    std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap()
}

#[test]
fn two_branches_are_merged_renumbered_checked_and_applied() {
    let fleet = two_branches();
    assert!(!git(&fleet, &["merge", "-q", "feature"]), "both branches added lines at the end");
    // Conflict markers have to be removed first.
    let conflicted = text(&fleet);
    fleet
        .run_without_changes(["renumber", "0.3.20"])
        .status(2)
        .stderr_contains("error[conflict-marker]: the document holds an unresolved merge conflict")
        .stderr_contains("keep the lines of one side or combine both, and remove the marker lines");
    assert_eq!(text(&fleet), conflicted);
    assert!(git(&fleet, &["merge", "--abort"]));

    std::fs::write(fleet.path(".git/info/attributes"), "MIGRATIONS.md merge=union\n").unwrap();
    assert!(git(&fleet, &["merge", "-q", "feature", "-m", "merge"]));
    fleet.run(["lint"]).status(2).stderr_contains(
        "`tatmig renumber 0.3.20 --after 0.3.20` moves the second behind the first",
    );
    let run = fleet.run(["renumber", "0.3.20"]);
    run.status(0)
        .stderr("")
        .stdout_contains(": 0.3.19 → 0.3.20 is now 0.3.20 → 0.3.21\n")
        .stdout_contains(": 0.3.20 → 0.3.21 is now 0.3.21 → 0.3.22\n")
        .stdout_contains(
            "`0.3.19 → 0.3.20` in line 17 keeps its versions: `ann`, `bob` recorded it",
        )
        .stdout_contains("names 0.3.20; check this text");
    // The lines are those of the new document.
    let merged = text(&fleet);
    let output = run.stdout_text();
    for line in output.lines().filter(|line| line.contains("MIGRATIONS.md:")) {
        let number = line.split("MIGRATIONS.md:").nth(1).unwrap();
        let number: usize = number.split([':', ' ']).next().unwrap().parse().unwrap();
        let shown = merged.lines().nth(number - 1).unwrap();
        assert!(shown.contains("new in 0.3.20") || shown.contains(":start]"), "{line}\n{shown}");
    }
    fleet.run(["lint", "--deny", "fork", "--deny", "duplicate-heading"]).status(0);
    fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stdout("system: 0.3.20 → 0.3.21\n2 users: 2 upgraded to 0.3.21\n");
    assert_eq!(fleet.database("ann").rows("SELECT body, colour FROM notes"), ["tea|NULL"]);
    assert_eq!(fleet.database("ann").tables(), ["notes", "tags"]);
    fleet.run(["verify"]).status(0);
    fleet.run(["downgrade", "--to", "0.3.19", "--all-users", "--no-backup"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT * FROM notes"), ["1|tea"]);
}

#[test]
fn the_migration_that_databases_recorded_keeps_its_versions_wherever_it_is() {
    for sections in [[tags(), colours()], [colours(), tags()]] {
        let fleet = Fleet::new().document(baseline() + &tags());
        fleet.run(["init", "--user", "ann"]).status(0);
        let fleet = fleet.document(baseline() + &sections.concat() + &planned("0.3.20", "0.4.0"));
        let run = fleet.run(["renumber", "0.3.20", "--json"]).status(0).json();
        assert_eq!(run["renumbered"].as_array().unwrap().len(), 2, "{run}");
        assert_eq!(run["renumbered"][0]["to"], "0.3.21");
        assert_eq!(run["renumbered"][1]["old_to"], "0.4.0");
        assert_eq!(run["renumbered"][1]["from"], "0.3.21");
        assert_eq!(run["renumbered"][1]["to"], "0.4.0", "it is high enough");
        assert_eq!(run["fails"], false);
        fleet.run(["upgrade", "--all-users"]).status(0);
        assert_eq!(fleet.database("ann").columns("notes"), ["id", "body", "colour"]);
    }
}

#[test]
fn without_databases_the_caller_decides() {
    let fleet = Fleet::new().document(baseline() + &tags() + &colours());
    fleet
        .run_without_changes(["renumber", "0.3.20"])
        .status(2)
        .stderr_contains("`0.3.19 → 0.3.20` is in lines 17 and 31 of MIGRATIONS.md, and no database recorded either of them")
        .stderr_contains("`tatmig renumber 0.3.20 --after 0.3.20` moves the last one");
    fleet.run(["renumber", "0.3.20", "--after", "0.3.20"]).status(0);
    assert_eq!(
        text(&fleet),
        baseline()
            + &tags()
            + &colours()
                .replace("0.3.20", "0.3.21")
                .replace("0.3.19", "0.3.20")
                .replace("new in 0.3.21", "new in 0.3.20"),
    );
    fleet.run(["lint"]).status(0);
    fleet.run_without_changes(["renumber", "0.3.21"]).status(2).stderr_contains(
        "nothing to renumber: `0.3.20 → 0.3.21` in line 31 of MIGRATIONS.md is the only migration that starts at `0.3.20`",
    );
}

#[test]
fn a_planned_migration_moves_behind_the_released_ones() {
    let more =
        section(["0.3.20", "0.3.21"], "2026-03-01", "CREATE TABLE a (x INTEGER);", "DROP TABLE a;");
    let fleet = Fleet::new().document(baseline() + &planned("0.3.19", "0.3.20") + &tags() + &more);
    fleet
        .run(["renumber", "0.3.20"])
        .status(0)
        .stdout_contains("0.3.19 → 0.3.20 is now 0.3.21 → 0.3.22")
        .stdout_contains("keeps its versions: the other one is planned");
    fleet.run(["lint"]).status(0);
}

#[test]
fn branches_of_several_migrations_keep_their_order() {
    let second =
        |sql: &str, reverse: &str| section(["0.3.20", "0.3.21"], "2026-03-01", sql, reverse);
    let fleet = Fleet::new().document(
        baseline()
            + &tags()
            + &second("CREATE TABLE a (x INTEGER);", "DROP TABLE a;")
            + &colours()
            + &second("CREATE INDEX by_colour ON notes (colour);", "DROP INDEX by_colour;"),
    );
    fleet
        .run(["renumber", "0.3.20", "--after", "0.3.21"])
        .status(0)
        .stdout_contains("0.3.19 → 0.3.20 is now 0.3.21 → 0.3.22")
        .stdout_contains("0.3.20 → 0.3.21 is now 0.3.22 → 0.3.23")
        .stderr("");
    fleet.run(["lint"]).status(0);
    let forked =
        section(["0.3.19", "0.4.0"], "2026-03-01", "CREATE TABLE b (x INTEGER);", "DROP TABLE b;")
            + &section(
                ["0.4.0", "0.4.1"],
                "2026-03-01",
                "CREATE TABLE c (x INTEGER);",
                "DROP TABLE c;",
            );
    let fleet = Fleet::new().document(baseline() + &forked + &tags());
    fleet.run(["lint"]).status(2).stderr_contains(
        "`tatmig renumber 0.3.20 --after 0.4.0` moves `0.3.19 → 0.3.20` behind `0.3.19 → 0.4.0`",
    );
    fleet
        .run(["renumber", "0.4.0"])
        .status(0)
        .stdout_contains("0.3.19 → 0.4.0 is now 0.3.20 → 0.4.0")
        .stdout_lacks("0.4.1");
    fleet.run(["lint"]).status(0);
}

#[test]
fn what_databases_recorded_is_not_renumbered() {
    let more =
        section(["0.3.20", "0.3.21"], "2026-03-01", "CREATE TABLE a (x INTEGER);", "DROP TABLE a;");
    let released = baseline() + &tags() + &more;
    let fleet = Fleet::new().document(&released);
    fleet.run(["init", "--user", "ann"]).status(0);
    let fleet = fleet.document(released + &colours());
    fleet
        .run_without_changes(["renumber", "0.3.20", "--after", "0.3.20"])
        .status(2)
        .stderr_contains("`0.3.20 → 0.3.21` in line 31 is released: `system`, `ann` recorded it; pass `--after 0.3.21` or leave `--after` out");
    fleet.run_without_changes(["renumber", "0.3.20", "--after", "0.3.19"]).status(2).stderr_contains(
        "`--after 0.3.19` is not a version behind which the migration can move; these are: `0.3.20`, `0.3.21`",
    );
    fleet
        .run(["renumber", "0.3.20"])
        .status(0)
        .stdout_contains("0.3.19 → 0.3.20 is now 0.3.21 → 0.3.22");
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("ann: 0.3.21 → 0.3.22");

    let fork =
        section(["0.3.19", "0.4.0"], "2026-03-01", "CREATE TABLE b (x INTEGER);", "DROP TABLE b;");
    let fleet = Fleet::new().document(baseline() + &tags());
    fleet.run(["init", "--user", "ann"]).status(0);
    let fleet = fleet.document(baseline() + &fork + &tags());
    fleet
        .run_without_changes(["renumber", "0.3.20"])
        .status(2)
        .stderr_contains("recorded it; `tatmig renumber 0.4.0` moves the other one");
}

#[test]
fn databases_that_recorded_both_migrations_are_refused() {
    let fleet = Fleet::new().document(baseline() + &tags());
    fleet.run(["init", "--user", "ann"]).status(0);
    let fleet = fleet.document(baseline() + &colours());
    fleet.run(["init", "--user", "bob", "--no-system"]).status(0);
    let fleet = fleet.document(baseline() + &tags() + &colours());
    fleet
        .run_without_changes(["renumber", "0.3.20"])
        .status(2)
        .stderr_contains("databases recorded both migrations `0.3.19 → 0.3.20`: that in line 17 in `ann`, and that in line 31 in `bob`");
}

#[test]
fn sql_that_does_not_run_in_the_new_order_is_reported() {
    let same = section(
        ["0.3.19", "0.3.20"],
        "2026-03-01",
        "CREATE TABLE tags (id INTEGER);",
        "DROP TABLE tags;",
    );
    let fleet = Fleet::new().document(baseline() + &tags() + &same);
    fleet.run(["renumber", "0.3.20", "--after", "0.3.20"]).status(0).stdout_contains(
        "the SQL does not run in this order; run `tatmig lint` and correct it by hand",
    );
    fleet.run(["lint"]).status(2);
}

#[test]
fn a_document_that_cannot_be_renumbered_is_left_unchanged() {
    let in_one_fence = baseline()
        + "## 0.3.19 → 0.3.20\n\n```sql\n-- [user:0.3.19→0.3.20:start]\nCREATE TABLE a (x);\n-- [user:0.3.19→0.3.20:end]\n\
           -- [user:0.3.19→0.3.20:start]\nCREATE TABLE b (x);\n-- [user:0.3.19→0.3.20:end]\n```\n";
    let without_heading = baseline()
        + &tags()
        + "# Other\n\n```sql\n-- [user:0.3.19→0.3.20:start]\nCREATE TABLE a (x);\n-- [user:0.3.19→0.3.20:end]\n```\n";
    for (document, arguments, message) in [
        (
            in_one_fence.as_str(),
            ["0.3.20", "0.3.20"],
            "occurs twice below one heading, in lines 20 and 23",
        ),
        (
            &without_heading,
            ["0.3.20", "0.3.20"],
            "is not below a heading with its versions `0.3.19 → 0.3.20`",
        ),
        (&(baseline() + &tags()), ["0.3.20", "0.3.20"], "nothing to renumber"),
        (
            &(baseline() + &tags()),
            ["0.9.0", "0.3.20"],
            "no migration of MIGRATIONS.md leads to `0.9.0`",
        ),
        (&(baseline() + &tags()), ["x", "0.3.20"], "`x` is not a version"),
        ("# Nothing\n", ["0.3.20", "0.3.20"], "contains no migration"),
    ] {
        let fleet = Fleet::new().document(document);
        let [version, after] = arguments;
        fleet
            .run_without_changes(["renumber", version, "--after", after])
            .status(2)
            .stderr_contains(message);
    }
}
