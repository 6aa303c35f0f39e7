//! `.tatmig-index`: what an upgrade saw of files that have not changed is believed by the next
//! one, and of anything else nothing is.

use std::fs;
use std::hash::Hasher;
use std::time::Duration;

use snapbox::str;

use crate::support::{Fleet, NOTES};

const INDEX: &str = ".tatmig-index";

/// Two users at 1.0.0, changed longer ago than any clock tick.
fn settled() -> Fleet {
    let fleet = Fleet::of(NOTES).system("").user("ann", "").user("bob", "").at("1.0.0");
    assert!(!fleet.path(INDEX).exists(), "nothing is noted of files that have just been changed");
    std::thread::sleep(Duration::from_millis(2_200));
    fleet
}

/// The same with an index that knows both.
fn indexed() -> Fleet {
    let fleet = settled().at("1.0.0");
    let text = fs::read_to_string(fleet.path(INDEX)).unwrap();
    assert!(text.contains("ann_longterm.db") && text.contains("bob_longterm.db"), "{text}");
    fleet
}

/// Writes an index with its checksum made right.
fn write(fleet: &Fleet, text: &str) {
    let (body, _) = text.split_once("sum ").unwrap();
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(body.as_bytes());
    fs::write(fleet.path(INDEX), format!("{body}sum {:016x}\n", hasher.finish())).unwrap();
}

/// An index that says of bob, who stands at 1.0.0, that he is at head.
fn lie(fleet: &Fleet) {
    fleet.run(["upgrade", "--user", "ann"]).status(0);
    let earlier = fs::read_to_string(fleet.path(INDEX)).unwrap();
    std::thread::sleep(Duration::from_millis(2_200));
    fleet.run(["upgrade", "--user", "ann"]).status(0);
    let text = fs::read_to_string(fleet.path(INDEX)).unwrap();
    let bob = earlier.lines().find(|line| line.ends_with("bob_longterm.db")).unwrap();
    let (_, stamp) = bob.split_once(' ').unwrap();
    let ann = text.lines().find(|line| line.ends_with("ann_longterm.db")).unwrap();
    let (head, _) = ann.split_once(' ').unwrap();
    let lines = text.lines().filter(|line| !line.ends_with("bob_longterm.db"));
    let mut lied: Vec<String> = lines.map(str::to_owned).collect();
    let sum = lied.len() - 1;
    lied.insert(sum, format!("{head} {stamp}"));
    write(fleet, &(lied.join("\n") + "\n"));
}

#[test]
fn a_file_that_did_not_change_is_not_opened_again_and_one_that_did_is() {
    let fleet = indexed();
    lie(&fleet);
    // That the lie is believed shows that the file is not opened.
    let args = ["upgrade", "--all-users"];
    fleet.run(args).status(0).stdout_contains("2 users: 2 already there");
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.0.0"));
    // The same bytes and the same time of change, as a backup is put back with `cp -p`.
    let bob = fleet.path("bob_longterm.db");
    let modified = fs::metadata(&bob).unwrap().modified().unwrap();
    fs::copy(&bob, fleet.path("copy")).unwrap();
    fs::write(&bob, fs::read(fleet.path("copy")).unwrap()).unwrap();
    fs::File::options().write(true).open(&bob).unwrap().set_modified(modified).unwrap();
    fleet.run(args).status(0).stdout_contains("2 users: 1 upgraded to 1.2.0, 1 already there");
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.2.0"));
}

#[test]
fn a_file_beside_which_a_journal_or_a_wal_stands_is_opened() {
    for beside in ["bob_longterm.db-wal", "bob_longterm.db-journal"] {
        let fleet = indexed();
        lie(&fleet);
        fs::write(fleet.path(beside), []).unwrap();
        let run = fleet.run(["upgrade", "--all-users"]);
        run.status(0).stdout_contains("2 users: 1 upgraded to 1.2.0, 1 already there");
    }
}

#[test]
fn another_boot_a_damaged_index_or_another_file_is_not_believed() {
    let fleet = indexed();
    lie(&fleet);
    let text = fs::read_to_string(fleet.path(INDEX)).unwrap();
    let boot = text.lines().nth(1).unwrap();
    write(&fleet, &text.replace(boot, "boot 00000000-0000-0000-0000-000000000000"));
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(0).stdout_contains("2 users: 1 upgraded to 1.2.0, 1 already there");

    for damage in [&b"junk"[..], b"", &[0xff; 5000], &text.as_bytes()[..text.len() / 2]] {
        fs::write(fleet.path(INDEX), damage).unwrap();
        let run = fleet.run(["upgrade", "--all-users"]);
        run.status(0).stdout_contains("2 users: 2 already there");
    }
    // What cannot be written only costs time.
    fs::remove_file(fleet.path(INDEX)).unwrap();
    fs::create_dir(fleet.path(INDEX)).unwrap();
    fleet.run(["upgrade", "--all-users"]).status(0).stderr("").stdout(str![[r#"
system: already at 1.2.0
2 users: 2 already there

"#]]);
}

#[test]
fn an_edited_migration_is_seen_in_files_that_did_not_change() {
    let fleet = indexed();
    let text = fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    let edited = text.replace("CREATE TABLE notes (", "CREATE TABLE notes (extra INTEGER, ");
    assert_ne!(text, edited);
    let fleet = fleet.document(edited);
    let run = fleet.run(["upgrade", "--all-users", "--to", "1.0.0"]);
    run.status(1).stderr_contains("ann").stderr_contains("bob");
}

#[test]
fn only_upgrade_writes_the_index() {
    let fleet = settled();
    for arguments in [
        &["status"][..],
        &["verify"],
        &["history", "--user", "ann"],
        &["upgrade", "--all-users", "--to", "1.0.0", "--dry-run"],
        &["upgrade", "--all-users", "--to", "1.0.0", "--rehearse"],
        &["adopt", "--all-users"],
    ] {
        fleet.run(arguments);
        assert!(!fleet.path(INDEX).exists(), "{arguments:?}");
    }
    let fleet = fleet.at("1.0.0");
    assert!(fleet.path(INDEX).exists());
}
