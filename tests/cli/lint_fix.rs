//! Tests `lint --fix` and `lint --watch`.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Fleet, wait_until};

/// A document with a fence that has the wrong label, a tag in wrong case, and a migration without a date.
const FIXABLE: &str = "# Migrations

## Baseline: 1.0.0

**Date**: 2026-01-01
**Description**: start

```postgresql
-- [user:baseline→1.0.0:start]
CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
-- [user:baseline→1.0.0:end]
```

## 1.0.0 → 1.1.0

**Description**: tags

```sql
-- [User:1.0.0→1.1.0:start]
CREATE TABLE tags (name TEXT);
-- [user:1.0.0→1.1.0:end]
```
";

/// The document after the changes.
fn clean() -> String {
    FIXABLE.replace("postgresql", "sql").replace("User", "user")
}

fn text(fleet: &Fleet) -> String {
    fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap()
}

#[test]
fn mechanical_changes_are_applied_until_nothing_changes() {
    let fleet = Fleet::new().document(FIXABLE);
    let plan = fleet.run_without_changes(["lint", "--fix", "--dry-run"]);
    plan.status(2)
        .stdout_contains("--- a/MIGRATIONS.md\n+++ b/MIGRATIONS.md\n")
        .stdout_contains("-```postgresql\n+```sql\n")
        .stdout_contains("--- [User:1.0.0→1.1.0:start]\n+-- [user:1.0.0→1.1.0:start]\n")
        .stderr_contains("MIGRATIONS.md:9: label the fence `sql` (wrong-fence-label)");
    let json = fleet.run_without_changes(["lint", "--fix", "--dry-run", "--json"]).status(2).json();
    assert!(json["diff"].as_str().unwrap().contains("+```sql\n"));
    assert_eq!(json["fixes"][0]["rule"], "wrong-fence-label");

    fleet
        .run(["lint", "--fix"])
        .status(0)
        .stdout_contains("MIGRATIONS.md:9: label the fence `sql` (wrong-fence-label)\n")
        .stdout_contains("(malformed-tag)\n")
        .stdout_contains("MIGRATIONS.md: 0 errors, 1 warning");
    // A date is a guess, which takes a person.
    assert_eq!(text(&fleet), clean(), "nothing else changed");
    let json = fleet.run_without_changes(["lint", "--fix", "--json"]).status(0).json();
    assert_eq!(json["fixes"].as_array().unwrap().len(), 0);
    fleet.run_without_changes(["lint", "--fix", "--dry-run"]).status(0).stdout("");
}

#[test]
fn the_patch_of_a_dry_run_is_what_fix_writes() {
    let fleet = Fleet::new().document(FIXABLE);
    let diff = fleet.run(["lint", "--fix", "--dry-run"]).stdout_text();
    let fleet = fleet.file("fix.patch", diff);
    let applied = Command::new("git")
        .args(["apply", "fix.patch"])
        .current_dir(fleet.path(""))
        .output()
        .expect("git is installed");
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let patched = text(&fleet);
    let fleet = fleet.document(FIXABLE);
    fleet.run(["lint", "--fix"]).status(0);
    assert_eq!(text(&fleet), patched);
}

#[test]
fn the_patch_names_a_file_as_git_does() {
    let fleet = Fleet::new().file("a/b \"c\".md", FIXABLE).file("other/x", "");
    let absolute = fleet.path("a/b \"c\".md").display().to_string();
    for file in ["a/b \"c\".md", "./a/b \"c\".md", "other/../a/b \"c\".md", &absolute] {
        let diff = fleet.run(["--file", file, "lint", "--fix", "--dry-run"]).stdout_text();
        let expected = r#"--- "a/a/b \"c\".md"
+++ "b/a/b \"c\".md"
"#;
        assert!(diff.starts_with(expected), "{file}: {diff}");
        fs::write(fleet.path("fix.patch"), &diff).unwrap();
        let applied = Command::new("git")
            .args(["apply", "--check", "fix.patch"])
            .current_dir(fleet.path(""))
            .output()
            .expect("git is installed");
        assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    }
}

#[test]
fn allowed_rules_and_released_migrations_are_left_alone() {
    let planned = clean()
        + "
## 1.1.0 → 1.2.0 (Planned)

**Date**: 2026-03-01
**Description**: an index

```sql
-- [user:1.1.0→1.2.0:start]
-- CREATE INDEX tags_by_name ON tags (name);
-- [user:1.1.0→1.2.0:end]
```
";
    let fleet = Fleet::new().document(&planned);
    fleet.run(["init", "--user", "ann"]).status(0);
    fleet.run_without_changes(["lint", "--fix", "--allow", "not-rerunnable"]).status(0);
    // A guard in a released migration would change its checksum.
    fleet
        .run(["lint", "--fix"])
        .status(0)
        .stdout_contains("MIGRATIONS.md:31: add `IF NOT EXISTS` (not-rerunnable)\n");
    assert_eq!(
        text(&fleet),
        planned.replace("CREATE INDEX tags", "CREATE INDEX IF NOT EXISTS tags")
    );
    fleet.run(["status"]).status(0).stdout_contains("current").stdout_lacks("edited");
}

#[test]
fn what_cannot_be_fixed_is_reported_and_nothing_is_written() {
    for document in ["", "# Nothing\n", "```sql\n-- [user:baseline→1.0.0:start]\nx\n"] {
        let fleet = Fleet::new().document(document);
        fleet.run_without_changes(["lint", "--fix"]).status(2);
    }
    let fleet = Fleet::new();
    fleet.run(["lint", "--fix"]).status(2).stderr_contains("does not exist");
    let fleet = Fleet::new().document(FIXABLE);
    fleet.run_without_changes(["lint", "--dry-run"]).status(2).stderr_contains("--fix");
    fleet
        .run_without_changes(["lint", "--fix", "--watch"])
        .status(2)
        .stderr_contains("`--watch` prints what it finds for a person, and writes nothing");
    fleet
        .run_without_changes(["lint", "--fix", "--dry-run", "--format", "sarif"])
        .status(2)
        .stderr_contains("`--dry-run` prints a diff; leave `--format` out");
    fleet.run_without_changes(["lint", "--watch", "--format", "github"]).status(2);
    fleet.run_without_changes(["lint", "--watch", "--json"]).status(2);
}

#[test]
#[cfg(unix)]
fn a_read_only_document_is_not_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let fleet = Fleet::new().document(FIXABLE);
    fs::set_permissions(fleet.path("MIGRATIONS.md"), fs::Permissions::from_mode(0o444)).unwrap();
    fleet
        .run_without_changes(["lint", "--fix"])
        .status(2)
        .stderr_contains("the document `MIGRATIONS.md` is read-only, so it was not written");
}

/// Starts `lint --watch`, whose output is written to files.
fn watch(fleet: &Fleet) -> Child {
    let file = |name: &str| Stdio::from(fs::File::create(fleet.path(name)).unwrap());
    Command::new(env!("CARGO_BIN_EXE_tatmig"))
        .args(["lint", "--watch"])
        .current_dir(fleet.path(""))
        .stdin(Stdio::null())
        .stdout(file("out"))
        .stderr(file("err"))
        .spawn()
        .unwrap()
}

fn output(fleet: &Fleet) -> String {
    fs::read_to_string(fleet.path("out")).unwrap()
}

fn errors(fleet: &Fleet) -> String {
    fs::read_to_string(fleet.path("err")).unwrap()
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
}

#[test]
#[cfg(unix)]
fn watch_checks_after_each_save_and_ends_with_the_last_result() {
    let clean = clean();
    let fleet = Fleet::new().document(FIXABLE);
    let mut child = watch(&fleet);
    wait_until("the first check", || output(&fleet).contains("2 errors"));
    // Written in place.
    let fleet = fleet.document(&clean);
    wait_until("the check after a save", || output(&fleet).contains("0 errors, 1 warning"));
    // Replaced by a rename, as many editors do.
    fs::write(fleet.path("new"), clean.replace("TEXT NOT NULL", "TEXT NUT NULL;;(")).unwrap();
    fs::rename(fleet.path("new"), fleet.path("MIGRATIONS.md")).unwrap();
    wait_until("the check after a rename", || {
        output(&fleet).matches("MIGRATIONS.md:").count() == 3
    });
    // Saved without a change: nothing is printed.
    let before = output(&fleet);
    let same = text(&fleet);
    let fleet = fleet.document(&same);
    std::thread::sleep(Duration::from_millis(900));
    assert_eq!(output(&fleet), before);
    // Settings that are not used are reported, once.
    let fleet = fleet.file("tatmig.toml", "[lint]\nallow = [\"sql\"]\n");
    wait_until("the note about the settings", || {
        errors(&fleet).contains("the settings file changed; run `tatmig lint --watch` again")
    });
    let fleet = fleet.file("tatmig.toml", "");
    std::thread::sleep(Duration::from_millis(900));
    assert_eq!(errors(&fleet).matches("settings file changed").count(), 1);
    fs::remove_file(fleet.path("tatmig.toml")).unwrap();
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(1), "the last check found errors");

    let fleet = fleet.document(&clean);
    let mut child = watch(&fleet);
    wait_until("the first check", || output(&fleet).contains("0 errors, 1 warning"));
    // An editor may delete the file and write it again.
    fs::remove_file(fleet.path("MIGRATIONS.md")).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let fleet = fleet.document(FIXABLE);
    wait_until("the check of the new file", || output(&fleet).contains("2 errors"));
    let fleet = fleet.document(&clean);
    wait_until("the last check", || output(&fleet).matches("0 errors").count() == 2);
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0), "the last check found no error");
}
