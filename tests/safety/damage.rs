//! Files that are damaged, half there, not what they seem, or that SQLite itself would hesitate to
//! open: none hangs or crashes a run, none changes where it is refused, and their neighbours go on.

use std::fs;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use crate::support::{Database, Fleet, NOTES};

const ROWS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150) \
                    INSERT INTO notes (body) SELECT i || ' é ' || hex(zeroblob(30)) FROM n";

/// `ann` is whole and at 1.1.0; `bad` is to be made bad.
fn fleet() -> Fleet {
    Fleet::of(&NOTES[1..])
        .user("ann", "")
        .user("bad", "")
        .at("1.1.0")
        .user("ann", "INSERT INTO notes (body) VALUES ('kept')")
        .user("bad", ROWS)
}

/// `ann` went to head with her rows.
#[track_caller]
fn ann_is_done(fleet: &Fleet, what: &str) {
    let ann = fleet.database("ann");
    assert_eq!(ann.version().as_deref(), Some("1.2.0"), "{what}");
    assert_eq!(ann.rows("SELECT body, pinned FROM notes"), ["kept|0"], "{what}");
}

/// Puts bytes in the place of `bad`, and runs all that looks at it; it is refused, with every byte
/// as it was, or it goes to head. Returns what it is then.
#[track_caller]
fn tried(fleet: &Fleet, bytes: &[u8], what: &str) -> Option<Database> {
    let fleet = fleet.twin();
    let path = fleet.path("bad_longterm.db");
    fs::write(&path, bytes).unwrap();
    let reader = fleet.run_without_a_trace(["status"]);
    assert!(reader.has_status(&[0, 1]), "{what}: {}", reader.told());
    let reader = fleet.run_without_a_trace(["history", "--user", "bad"]);
    assert!(reader.has_status(&[0, 1]), "{what}: {}", reader.told());
    let run = fleet.run(["upgrade", "--all-users"]);
    assert!(run.has_status(&[0, 1]), "{what}: {}", run.told());
    assert!(!run.err().contains("panicked"), "{what}: {}", run.told());
    ann_is_done(&fleet, what);
    if run.succeeded() {
        let bad = Database::open(&path);
        assert_eq!(bad.version().as_deref(), Some("1.2.0"), "{what}");
        return Some(bad);
    }
    assert!(run.err().contains("`bad` (bad_longterm.db): "), "{what}: {}", run.told());
    assert!(fs::read(&path).unwrap() == bytes, "{what}: it was refused and changed");
    assert!(!fleet.path("bad_longterm.db-journal").exists(), "{what}");
    None
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }
}

fn rounds(some: usize) -> usize {
    if std::env::var_os("TATMIG_FIRE").is_some_and(|value| value == "all") {
        some * 50
    } else {
        some
    }
}

#[test]
fn random_and_empty_bytes_are_refused_or_made_anew() {
    let fleet = fleet();
    let mut dice = Dice(0x5eed);
    for length in [1, 2, 15, 16, 17, 99, 100, 101, 512, 4096, 8192, 70_001] {
        let mut bytes: Vec<u8> = (0..length).map(|_| dice.roll(256).to_le_bytes()[0]).collect();
        assert!(tried(&fleet, &bytes, &format!("{length} random bytes")).is_none());
        // Behind SQLite's own first words.
        let header = b"SQLite format 3\0";
        let lead = header.len().min(length);
        bytes[..lead].copy_from_slice(&header[..lead]);
        assert!(tried(&fleet, &bytes, &format!("a header and {length} random bytes")).is_none());
        assert!(tried(&fleet, &vec![0; length], &format!("{length} times zero")).is_none());
    }
    let made = tried(&fleet, b"", "zero bytes").expect("an empty file is a new database");
    assert!(made.rows("SELECT * FROM notes").is_empty());
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let fleet = fleet();
    let bytes = fs::read(fleet.path("bad_longterm.db")).unwrap();
    let mut dice = Dice(0xc07);
    for _ in 0..rounds(25) {
        let length = 1 + dice.roll(bytes.len() - 1);
        assert!(tried(&fleet, &bytes[..length], &format!("cut off at {length}")).is_none());
    }
}

#[test]
fn flipped_bytes_crash_nothing_and_what_is_refused_is_not_changed() {
    let fleet = fleet();
    let bytes = fs::read(fleet.path("bad_longterm.db")).unwrap();
    let mut dice = Dice(0xf11b);
    // The header and the first pages hold most of what can be wrong.
    let places = |dice: &mut Dice, round: usize| match round % 3 {
        0 => dice.roll(100),
        1 => dice.roll(4096.min(bytes.len())),
        _ => dice.roll(bytes.len()),
    };
    for round in 0..rounds(40) {
        let mut damaged = bytes.clone();
        let count = 1 + dice.roll(3);
        let mut told = Vec::new();
        for _ in 0..count {
            let at = places(&mut dice, round);
            damaged[at] ^= 1 + dice.roll(255).to_le_bytes()[0] % 255;
            told.push((at, damaged[at]));
        }
        tried(&fleet, &damaged, &format!("flipped {told:?}"));
    }
}

#[test]
fn pages_of_zeros_or_of_another_place_crash_nothing() {
    let fleet = fleet();
    let bytes = fs::read(fleet.path("bad_longterm.db")).unwrap();
    let pages = bytes.len() / 4096;
    for page in 0..pages {
        let range = page * 4096..(page + 1) * 4096;
        let mut damaged = bytes.clone();
        damaged[range.clone()].fill(0);
        tried(&fleet, &damaged, &format!("page {page} is zero"));
        let other = (page + 1) % pages;
        damaged[range].copy_from_slice(&bytes[other * 4096..(other + 1) * 4096]);
        tried(&fleet, &damaged, &format!("page {page} is page {other}"));
    }
}

#[test]
fn a_schema_that_sqlite_cannot_read_is_refused() {
    for damage in [
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE notes (' WHERE name = 'notes'",
        "UPDATE sqlite_schema SET sql = 'DELETE FROM notes' WHERE name = 'notes'",
        "UPDATE sqlite_schema SET rootpage = 9999 WHERE name = 'notes'",
        "UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'notes'",
        "UPDATE sqlite_schema SET type = 'index' WHERE name = 'notes'",
        "UPDATE sqlite_schema SET sql = x'ff00fe' WHERE name = 'notes'",
        "INSERT INTO sqlite_schema SELECT * FROM sqlite_schema WHERE name = 'notes'",
    ] {
        let fleet = fleet();
        let path = fleet.path("bad_longterm.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!("PRAGMA writable_schema = ON; {damage}"))
            .unwrap_or_else(|error| panic!("{damage}: {error}"));
        drop(connection);
        let bytes = fs::read(&path).unwrap();
        assert!(tried(&fleet, &bytes, damage).is_none(), "{damage}");
    }
}

#[test]
fn a_directory_a_fifo_a_socket_and_links_never_hang_a_run() {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    let fleet = fleet();
    let at = |name: &str| fleet.path(format!("{name}_longterm.db"));
    fs::create_dir(at("a-directory")).unwrap();
    assert!(Command::new("mkfifo").arg(at("a-fifo")).status().unwrap().success());
    let _socket = UnixListener::bind(at("a-socket")).unwrap();
    symlink("bad_longterm.db", at("a-link")).unwrap();
    symlink("a-loop_longterm.db", at("a-loop")).unwrap();
    symlink("/dev/zero", at("a-device")).unwrap();
    symlink("nowhere", at("a-dangling")).unwrap();
    for more in [&[] as &[&str], &["--follow-symlinks"]] {
        let run = fleet.run([&["upgrade", "--all-users"], more].concat());
        run.status(1);
        for name in ["directory", "fifo", "socket", "loop", "device", "dangling"] {
            run.stderr_contains(&format!("`a-{name}`"));
        }
        ann_is_done(&fleet, "among files that are none");
        let run = fleet.run([&["status"], more].concat());
        run.status(1).stdout_contains("a-fifo       -         error: it is no regular file");
    }
    assert_eq!(fleet.database("bad").rows("SELECT count(*) FROM notes"), ["150"]);
    // Side files that are none hang nothing either.
    let fleet = self::fleet();
    for suffix in ["-journal", "-wal", "-shm"] {
        if suffix == "-shm" {
            // Beside any other database SQLite does not open one.
            let bad = Connection::open(fleet.path("bad_longterm.db")).unwrap();
            bad.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        }
        let before = fs::read(fleet.path("bad_longterm.db")).unwrap();
        let side = fleet.path(format!("bad_longterm.db{suffix}"));
        for make in ["mkdir", "mkfifo"] {
            assert!(Command::new(make).arg(&side).status().unwrap().success());
            let run = fleet.run(["upgrade", "--all-users"]);
            let what = format!("{make} {suffix}");
            run.status(1).stderr_contains(&format!("its `{suffix}` file is no regular file"));
            ann_is_done(&fleet, &what);
            fleet.run(["status"]).status(1);
            if make == "mkdir" { fs::remove_dir(&side) } else { fs::remove_file(&side) }.unwrap();
            let bad = fleet.database("bad");
            assert_eq!(bad.rows("SELECT count(*) FROM notes"), ["150"], "{what}");
            assert_eq!(bad.version().as_deref(), Some("1.1.0"), "{what}");
            drop(bad);
            assert!(fs::read(fleet.path("bad_longterm.db")).unwrap() == before, "{what}");
        }
    }
}

/// A WAL database whose last rows stand in its WAL alone, as a killed program leaves it.
fn left_with_a_wal(fleet: &Fleet) {
    let path = fleet.path("bad_longterm.db");
    let writer = Connection::open(&path).unwrap();
    writer
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
             INSERT INTO notes (body) VALUES ('in the WAL');",
        )
        .unwrap();
    let copies: Vec<_> = ["", "-wal"]
        .iter()
        .map(|suffix| {
            let name = format!("bad_longterm.db{suffix}");
            let bytes = fs::read(fleet.path(&name)).unwrap();
            (name, bytes)
        })
        .collect();
    drop(writer);
    for (name, bytes) in copies {
        fs::write(fleet.path(name), bytes).unwrap();
    }
}

#[test]
fn rows_that_stand_in_a_left_wal_alone_are_kept() {
    let fleet = fleet();
    left_with_a_wal(&fleet);
    assert!(fleet.path("bad_longterm.db-wal").exists());
    fleet.run_without_a_trace(["status"]).status(0).stdout_contains("bad  1.1.0     behind");
    fleet.run(["upgrade", "--all-users"]).status(0);
    let bad = fleet.database("bad");
    assert_eq!(bad.rows("SELECT count(*) FROM notes"), ["151"]);
    assert_eq!(bad.rows("SELECT body, pinned FROM notes WHERE id = 151"), ["in the WAL|0"]);
    assert_eq!(bad.rows("PRAGMA journal_mode"), ["wal"]);
}

#[test]
fn a_wal_that_is_torn_stale_or_of_another_database_loses_no_committed_row() {
    let template = fleet();
    left_with_a_wal(&template);
    let wal = fs::read(template.path("bad_longterm.db-wal")).unwrap();
    let half = wal.len() - 4096 / 2;
    let mut flipped = wal.clone();
    flipped[40] ^= 0xff;
    let mut dice = Dice(0x3a1);
    let noise: Vec<u8> = (0..9000).map(|_| dice.roll(256).to_le_bytes()[0]).collect();
    for (what, bytes) in [
        ("empty", &[] as &[u8]),
        ("a header alone", &wal[..32]),
        ("half a header", &wal[..17]),
        ("a torn last frame", &wal[..half]),
        ("flipped", &flipped),
        ("noise", &noise),
        ("zeros", &[0; 9000]),
    ] {
        let fleet = template.twin();
        fs::write(fleet.path("bad_longterm.db-wal"), bytes).unwrap();
        fleet.run_without_a_trace(["status"]).status(0);
        fleet.run(["upgrade", "--all-users"]).status(0);
        let bad = fleet.database("bad");
        // What was in the WAL is gone with the WAL; what the main file holds is all there.
        assert_eq!(
            bad.rows("SELECT count(*) FROM notes WHERE body LIKE '% é %'"),
            ["150"],
            "{what}"
        );
        assert_eq!(bad.version().as_deref(), Some("1.2.0"), "{what}");
        assert_eq!(bad.rows("PRAGMA integrity_check"), ["ok"], "{what}");
    }
    // Where the WAL went into the main file long ago, it brings nothing old back.
    let fleet = template.twin();
    let path = fleet.path("bad_longterm.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("UPDATE notes SET body = body || ' new'")
        .unwrap();
    fs::write(fleet.path("bad_longterm.db-wal"), &wal[..32]).unwrap();
    fleet.run(["upgrade", "--all-users"]).status(0);
    let bad = fleet.database("bad");
    assert_eq!(bad.rows("SELECT count(*) FROM notes WHERE body LIKE '% new'"), ["151"]);
}

#[test]
fn journals_that_are_torn_or_noise_lose_no_committed_row() {
    let template = fleet();
    let mut dice = Dice(0x10);
    let noise: Vec<u8> = (0..9000).map(|_| dice.roll(256).to_le_bytes()[0]).collect();
    for (what, bytes) in [("empty", &[] as &[u8]), ("noise", &noise), ("zeros", &[0; 9000])] {
        let fleet = template.twin();
        let before = fleet.database("bad").dump();
        fs::write(fleet.path("bad_longterm.db-journal"), bytes).unwrap();
        fleet.run_without_a_trace(["status"]);
        fleet.run(["upgrade", "--all-users", "--to", "1.1.0"]);
        assert_eq!(fleet.database("bad").dump(), before, "{what}");
        fleet.run(["upgrade", "--all-users"]).status(0);
        assert_eq!(fleet.database("bad").rows("SELECT count(*) FROM notes"), ["150"], "{what}");
    }
}

#[test]
fn every_page_size_encoding_and_vacuum_mode_is_migrated_with_its_rows() {
    let sizes = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];
    let encodings = ["UTF-8", "UTF-16le", "UTF-16be"];
    let mut kinds = Vec::new();
    for size in sizes {
        for encoding in encodings {
            for vacuum in ["NONE", "FULL", "INCREMENTAL"] {
                for journal in ["DELETE", "WAL"] {
                    kinds.push((size, encoding, vacuum, journal));
                }
            }
        }
    }
    let name = |at: usize| format!("u{at:03}");
    let fleet = kinds.iter().enumerate().fold(
        Fleet::of(&NOTES[1..]),
        |fleet, (at, (size, encoding, vacuum, journal))| {
            let sql = format!(
                "PRAGMA page_size = {size}; PRAGMA encoding = '{encoding}'; \
                 PRAGMA auto_vacuum = {vacuum}; PRAGMA journal_mode = {journal}; \
                 CREATE TABLE seen (x); DROP TABLE seen;"
            );
            fleet.user(&name(at), &sql)
        },
    );
    let fleet = fleet.at("1.0.0");
    let fleet = (0..kinds.len()).fold(fleet, |fleet, at| fleet.user(&name(at), ROWS));
    fleet.run(["upgrade", "--all-users"]).status(0).stderr("");
    for (at, (size, encoding, vacuum, journal)) in kinds.iter().enumerate() {
        let user = fleet.database(&name(at));
        let tell = |what: &str| user.rows(&format!("PRAGMA {what}")).concat();
        let what = format!("{size} {encoding} {vacuum} {journal}");
        let vacuum =
            ["NONE", "FULL", "INCREMENTAL"].iter().position(|kind| kind == vacuum).unwrap();
        let expected = [&size.to_string(), *encoding, &vacuum.to_string(), &journal.to_lowercase()];
        assert_eq!(["page_size", "encoding", "auto_vacuum", "journal_mode"].map(tell), expected);
        assert_eq!(user.version().as_deref(), Some("1.2.0"), "{what}");
        assert_eq!(user.rows("SELECT count(*), sum(pinned) FROM notes"), ["150|0"], "{what}");
        assert_eq!(
            user.rows("SELECT body FROM notes WHERE id = 7").concat(),
            format!("7 é {}", "0".repeat(60))
        );
        assert_eq!(user.rows("PRAGMA integrity_check"), ["ok"], "{what}");
    }
}

#[test]
fn a_record_that_tatmig_did_not_write_is_refused_and_nothing_of_it_changes() {
    for (sql, words) in [
        (
            "DROP TABLE _tatmig_migrations; CREATE VIEW _tatmig_migrations AS SELECT 1 AS id",
            "is a view",
        ),
        ("DROP TABLE _tatmig_migrations; CREATE TABLE _tatmig_migrations (x)", "is another table"),
        (
            "DROP TABLE _tatmig_migrations; CREATE VIRTUAL TABLE _tatmig_migrations USING fts5 (x)",
            "is another table",
        ),
        ("UPDATE _tatmig_migrations SET event = 'other'", "holds a row that tatmig did not write"),
        (
            "UPDATE _tatmig_migrations SET to_version = x'ff'",
            "holds a row that tatmig did not write",
        ),
        ("UPDATE _tatmig_migrations SET to_version = '9.9.9'", "its version is `9.9.9`"),
        ("UPDATE _tatmig_migrations SET to_version = '1.1.0-rc.1'", "its version is `1.1.0-rc.1`"),
        ("UPDATE _tatmig_migrations SET to_version = '1.1'", "its version is `1.1`"),
        ("UPDATE _tatmig_migrations SET to_version = ''", "its version is ``"),
        (
            "UPDATE _tatmig_migrations SET to_version = 'x' || char(27) || '[2J'",
            "its version is `x",
        ),
        (
            "UPDATE _tatmig_migrations SET id = 9223372036854775807 WHERE to_version = '1.1.0'",
            "holds row 9223372036854775807, which tatmig did not write",
        ),
    ] {
        let fleet = fleet().user("bad", sql);
        let before = fleet.database("bad").dump();
        let run = fleet.run(["upgrade", "--all-users"]);
        run.status(1).stderr_contains("`bad` (bad_longterm.db): ").stderr_contains(words);
        assert_eq!(fleet.database("bad").dump(), before, "{sql}");
        assert!(!run.err().contains('\u{1b}'), "{sql}");
        ann_is_done(&fleet, sql);
        let status = fleet.run(["status"]);
        status.stdout_lacks("\u{1b}");
    }
}

#[test]
fn a_trigger_on_the_record_changes_no_row_of_it_and_no_other() {
    for action in [
        "BEFORE INSERT ON _tatmig_migrations BEGIN SELECT RAISE(IGNORE); END",
        "AFTER INSERT ON _tatmig_migrations BEGIN DELETE FROM _tatmig_migrations; END",
        "AFTER INSERT ON _tatmig_migrations BEGIN UPDATE _tatmig_migrations SET to_version = '7'; END",
        "AFTER INSERT ON _tatmig_migrations BEGIN DELETE FROM notes; END",
    ] {
        let fleet = fleet().user("bad", &format!("CREATE TRIGGER own {action}"));
        fleet.run(["upgrade", "--all-users"]).status(0);
        let bad = fleet.database("bad");
        assert_eq!(bad.record(), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"], "{action}");
        assert_eq!(bad.rows("SELECT count(*) FROM notes"), ["150"], "{action}");
    }
}

#[test]
fn a_wal_that_may_not_be_written_is_told_and_its_rows_are_kept() {
    use std::os::unix::fs::PermissionsExt;

    let fleet = fleet();
    left_with_a_wal(&fleet);
    let wal = fleet.path("bad_longterm.db-wal");
    let chmod = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(&wal, 0o444);
    let Some(mut upgrade) = crate::faults::bound(&fleet, &["upgrade", "--all-users"]) else {
        return;
    };
    let output = upgrade.output().unwrap();
    chmod(&wal, 0o644);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{err}");
    assert!(!err.contains("in the migration"), "no statement is to blame: {err}");
    ann_is_done(&fleet, "beside a read-only WAL");
    let bad = fleet.database("bad");
    let expected = if output.status.success() { "1.2.0" } else { "1.1.0" };
    assert_eq!(bad.version().as_deref(), Some(expected), "{err}");
    assert_eq!(bad.rows("SELECT body FROM notes WHERE id = 151"), ["in the WAL"]);
    drop(bad);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("bad").rows("SELECT count(*) FROM notes"), ["151"]);
}

#[test]
fn a_schema_that_sqlite_cannot_read_is_found_by_verify_and_changes_nothing() {
    let fleet = self::fleet().at("1.2.0");
    let path = fleet.path("bad_longterm.db");
    let mut bytes = fs::read(&path).unwrap();
    let sql = b"CREATE TABLE notes";
    let at = bytes.windows(sql.len()).position(|window| window == sql).unwrap();
    bytes[at + 7..at + 12].copy_from_slice(b"TABBB");
    fs::write(&path, &bytes).unwrap();
    // The record is as it was, and nothing is pending.
    fleet.run(["status"]).status(0).stdout_contains("bad  1.2.0     current");
    fleet.run(["upgrade", "--all-users"]).status(0);
    fleet.run(["verify"]).status(1).stdout_contains("malformed database schema");
    assert!(fs::read(&path).unwrap() == bytes);
}
