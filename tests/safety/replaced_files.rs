//! Tests files that are replaced while a command runs: the database that is changed is the one that
//! was listed, and nothing outside the users directory is ever opened.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::support::{Fleet, NOTES, SetOnDrop};

/// A user below head, and a database of the same name outside the users directory.
fn fleet() -> Fleet {
    Fleet::from_blocks(&NOTES[1..])
        .directory("users")
        .directory("outside")
        .database_file("users/zoe_longterm.db", "")
        .database_file("outside/zoe_longterm.db", "")
        .env("TATMIG_USERS_DIR", "users")
        .upgrade_to("1.0.0")
}

/// Runs `work` while another program exchanges two paths again and again.
pub(crate) fn while_exchanging(left: &Path, right: &Path, work: impl FnOnce()) {
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                renameat_with(CWD, left, CWD, right, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let _done = SetOnDrop(&is_done);
        work();
    });
}

#[test]
fn a_database_that_is_swapped_for_a_link_is_not_opened() {
    let fleet = fleet();
    let outside = fleet.path("outside/zoe_longterm.db");
    let before = fs::read(&outside).unwrap();
    symlink("../outside/zoe_longterm.db", fleet.path("link")).unwrap();
    // The link resolves from both places.
    fs::create_dir(fleet.path("links")).unwrap();
    let link = fleet.path("links/link");
    fs::rename(fleet.path("link"), &link).unwrap();
    let user = fleet.path("users/zoe_longterm.db");
    while_exchanging(&user, &link, || {
        for arguments in [
            &["upgrade", "--all-users", "--to", "1.1.0"] as &[&str],
            &["reset", "--all-users", "--yes", "--no-backup"],
        ] {
            for _ in 0..40 {
                let run = fleet.run(arguments);
                assert!(run.has_status(&[0, 1]), "{}", run.describe());
            }
        }
    });
    assert!(fs::read(&outside).unwrap() == before, "a database outside the directory changed");
    let zoe = if user.is_symlink() { link } else { user };
    assert_eq!(crate::support::Database::open(&zoe).rows("PRAGMA integrity_check"), ["ok"]);
}

#[test]
fn a_database_that_is_swapped_for_another_file_is_not_changed_in_its_place() {
    let fleet = fleet();
    // The name of the other file does not match, so only the first is ever listed as zoe's.
    let (user, other) = (fleet.path("users/zoe_longterm.db"), fleet.path("users/other"));
    fs::copy(fleet.path("outside/zoe_longterm.db"), &other).unwrap();
    let inode = |path: &Path| {
        use std::os::unix::fs::MetadataExt as _;
        fs::symlink_metadata(path).unwrap().ino()
    };
    let listed = inode(&user);
    // Only a run that sees the first file by chance may migrate it, and no run may report success
    // for a file that it did not change.
    let mut upgraded = 0;
    while_exchanging(&user, &other, || {
        for _ in 0..60 {
            let json = fleet.run(["upgrade", "--all-users", "--to", "1.1.0", "--json"]).json();
            let outcome = json["databases"][0]["outcome"].as_str().unwrap().to_owned();
            let error = json["databases"][0]["error"].to_string();
            assert!(
                outcome != "failed" || error.contains("another file took its place"),
                "{outcome} {error}"
            );
            upgraded += usize::from(outcome == "upgraded");
        }
    });
    let (first, second) = if inode(&user) == listed { (user, other) } else { (other, user) };
    let migrated = [first, second]
        .iter()
        .filter(|path| crate::support::Database::open(path).version().as_deref() == Some("1.1.0"))
        .count();
    assert_eq!(migrated, upgraded, "each success is one file, and no other file changed");
}

#[test]
fn a_restore_beside_paths_that_change_ends_without_a_panic() {
    let fleet = fleet();
    fleet.run(["backup", "--all-users"]).status(0);
    let (user, other) = (fleet.path("users/zoe_longterm.db"), fleet.path("users/other"));
    fs::copy(fleet.path("outside/zoe_longterm.db"), &other).unwrap();
    while_exchanging(&user, &other, || {
        for _ in 0..40 {
            let run = fleet.run(["restore", "latest", "--no-backup"]);
            assert!(run.has_status(&[0, 1]), "{}", run.describe());
            run.stderr_lacks("panicked");
        }
    });
}
