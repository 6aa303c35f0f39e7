//! Tests damaged, truncated and unusual files: none of them blocks or crashes a run, a refused file
//! is not changed, and the other databases are migrated.

use std::fs;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use crate::support::{Database, Fleet, NOTES};

const ROWS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150) \
                    INSERT INTO notes (body) SELECT i || ' é ' || hex(zeroblob(30)) FROM n";

/// `ann` is intact and at 1.1.0; the test damages `bad`.
fn fleet() -> Fleet {
    Fleet::from_blocks(&NOTES[1..])
        .user("ann", "")
        .user("bad", "")
        .upgrade_to("1.1.0")
        .user("ann", "INSERT INTO notes (body) VALUES ('kept')")
        .user("bad", ROWS)
}

/// Asserts that `ann` was upgraded to head with all rows.
#[track_caller]
fn assert_ann_upgraded(fleet: &Fleet, context: &str) {
    let ann = fleet.database("ann");
    assert_eq!(ann.version().as_deref(), Some("1.2.0"), "{context}");
    assert_eq!(ann.rows("SELECT body, pinned FROM notes"), ["kept|0"], "{context}");
}

/// Replaces the file of `bad`, and runs every command that reads it. The file is refused and not
/// changed, or upgraded to head. Returns which.
#[track_caller]
fn try_damaged_bytes(fleet: &Fleet, bytes: &[u8], context: &str) -> Option<Database> {
    let fleet = fleet.copy();
    let path = fleet.path("bad_longterm.db");
    fs::write(&path, bytes).unwrap();
    let reader = fleet.run_without_changes(["status"]);
    assert!(reader.has_status(&[0, 1]), "{context}: {}", reader.describe());
    let reader = fleet.run_without_changes(["history", "--user", "bad"]);
    assert!(reader.has_status(&[0, 1]), "{context}: {}", reader.describe());
    let run = fleet.run(["upgrade", "--all-users"]);
    assert!(run.has_status(&[0, 1]), "{context}: {}", run.describe());
    assert!(!run.stderr_text().contains("panicked"), "{context}: {}", run.describe());
    assert_ann_upgraded(&fleet, context);
    if run.is_success() {
        let bad = Database::open(&path);
        assert_eq!(bad.version().as_deref(), Some("1.2.0"), "{context}");
        return Some(bad);
    }
    assert!(
        run.stderr_text().contains("`bad` (bad_longterm.db): "),
        "{context}: {}",
        run.describe()
    );
    assert!(fs::read(&path).unwrap() == bytes, "{context}: it was refused and changed");
    assert!(!fleet.path("bad_longterm.db-journal").exists(), "{context}");
    None
}

/// A generator of the same numbers in every run.
struct TestRng(u64);

impl TestRng {
    fn next_below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

fn rounds(count: usize) -> usize {
    if std::env::var_os("TATMIG_FIRE").is_some_and(|value| value == "all") {
        count * 50
    } else {
        count
    }
}

#[test]
fn random_bytes_are_refused_and_an_empty_file_is_a_new_database() {
    let fleet = fleet();
    let mut dice = TestRng(0x5eed);
    for length in [1, 2, 15, 16, 17, 99, 100, 101, 512, 4096, 8192, 70_001] {
        let mut bytes: Vec<u8> =
            (0..length).map(|_| dice.next_below(256).to_le_bytes()[0]).collect();
        assert!(try_damaged_bytes(&fleet, &bytes, &format!("{length} random bytes")).is_none());
        // After SQLite's magic string.
        let header = b"SQLite format 3\0";
        let header_len = header.len().min(length);
        bytes[..header_len].copy_from_slice(&header[..header_len]);
        assert!(
            try_damaged_bytes(&fleet, &bytes, &format!("a header and {length} random bytes"))
                .is_none()
        );
        assert!(
            try_damaged_bytes(&fleet, &vec![0; length], &format!("{length} times zero")).is_none()
        );
    }
    let database =
        try_damaged_bytes(&fleet, b"", "zero bytes").expect("an empty file is a new database");
    assert!(database.rows("SELECT * FROM notes").is_empty());
}

#[test]
fn a_truncated_file_is_refused() {
    let fleet = fleet();
    let bytes = fs::read(fleet.path("bad_longterm.db")).unwrap();
    let mut dice = TestRng(0xc07);
    for _ in 0..rounds(25) {
        let length = 1 + dice.next_below(bytes.len() - 1);
        assert!(
            try_damaged_bytes(&fleet, &bytes[..length], &format!("cut off at {length}")).is_none()
        );
    }
}

#[test]
fn flipped_bytes_never_crash_and_refused_files_are_unchanged() {
    let fleet = fleet();
    let bytes = fs::read(fleet.path("bad_longterm.db")).unwrap();
    let mut dice = TestRng(0xf11b);
    // Most damage that matters is in the header and the first pages.
    let random_offset = |dice: &mut TestRng, round: usize| match round % 3 {
        0 => dice.next_below(100),
        1 => dice.next_below(4096.min(bytes.len())),
        _ => dice.next_below(bytes.len()),
    };
    for round in 0..rounds(40) {
        let mut damaged = bytes.clone();
        let count = 1 + dice.next_below(3);
        let mut flips = Vec::new();
        for _ in 0..count {
            let offset = random_offset(&mut dice, round);
            damaged[offset] ^= 1 + dice.next_below(255).to_le_bytes()[0] % 255;
            flips.push((offset, damaged[offset]));
        }
        try_damaged_bytes(&fleet, &damaged, &format!("flipped {flips:?}"));
    }
}

#[test]
fn zeroed_or_misplaced_pages_never_crash() {
    let fleet = fleet();
    let bytes = fs::read(fleet.path("bad_longterm.db")).unwrap();
    let pages = bytes.len() / 4096;
    for page in 0..pages {
        let range = page * 4096..(page + 1) * 4096;
        let mut damaged = bytes.clone();
        damaged[range.clone()].fill(0);
        try_damaged_bytes(&fleet, &damaged, &format!("page {page} is zero"));
        let other = (page + 1) % pages;
        damaged[range].copy_from_slice(&bytes[other * 4096..(other + 1) * 4096]);
        try_damaged_bytes(&fleet, &damaged, &format!("page {page} is page {other}"));
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
        assert!(try_damaged_bytes(&fleet, &bytes, damage).is_none(), "{damage}");
    }
}

#[test]
fn special_files_and_links_never_hang_a_run() {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    let fleet = fleet();
    let database_path = |name: &str| fleet.path(format!("{name}_longterm.db"));
    fs::create_dir(database_path("a-directory")).unwrap();
    assert!(Command::new("mkfifo").arg(database_path("a-fifo")).status().unwrap().success());
    let _socket = UnixListener::bind(database_path("a-socket")).unwrap();
    symlink("bad_longterm.db", database_path("a-link")).unwrap();
    symlink("a-loop_longterm.db", database_path("a-loop")).unwrap();
    symlink("/dev/zero", database_path("a-device")).unwrap();
    symlink("nowhere", database_path("a-dangling")).unwrap();
    for extra_arguments in [&[] as &[&str], &["--follow-symlinks"]] {
        let run = fleet.run([&["upgrade", "--all-users"], extra_arguments].concat());
        run.status(1);
        for name in ["directory", "fifo", "socket", "loop", "device", "dangling"] {
            run.stderr_contains(&format!("`a-{name}`"));
        }
        assert_ann_upgraded(&fleet, "among files that are none");
        let run = fleet.run([&["status"], extra_arguments].concat());
        run.status(1).stdout_contains("a-fifo       -         error: it is not a regular file");
    }
    assert_eq!(fleet.database("bad").rows("SELECT count(*) FROM notes"), ["150"]);
    // Side files that are not regular files do not block a run either.
    let fleet = self::fleet();
    for suffix in ["-journal", "-wal", "-shm"] {
        if suffix == "-shm" {
            // SQLite does not open such a file of a database in another journal mode.
            let bad = Connection::open(fleet.path("bad_longterm.db")).unwrap();
            bad.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        }
        let before = fs::read(fleet.path("bad_longterm.db")).unwrap();
        let side = fleet.path(format!("bad_longterm.db{suffix}"));
        for program in ["mkdir", "mkfifo"] {
            assert!(Command::new(program).arg(&side).status().unwrap().success());
            let run = fleet.run(["upgrade", "--all-users"]);
            let context = format!("{program} {suffix}");
            run.status(1).stderr_contains(&format!("its `{suffix}` file is not a regular file"));
            assert_ann_upgraded(&fleet, &context);
            fleet.run(["status"]).status(1);
            if program == "mkdir" { fs::remove_dir(&side) } else { fs::remove_file(&side) }
                .unwrap();
            let bad = fleet.database("bad");
            assert_eq!(bad.rows("SELECT count(*) FROM notes"), ["150"], "{context}");
            assert_eq!(bad.version().as_deref(), Some("1.1.0"), "{context}");
            drop(bad);
            assert!(fs::read(fleet.path("bad_longterm.db")).unwrap() == before, "{context}");
        }
    }
}

/// A WAL database whose last rows are only in its WAL, as a killed program leaves it.
fn leave_wal_behind(fleet: &Fleet) {
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
fn rows_only_in_a_leftover_wal_are_kept() {
    let fleet = fleet();
    leave_wal_behind(&fleet);
    assert!(fleet.path("bad_longterm.db-wal").exists());
    fleet.run_without_changes(["status"]).status(0).stdout_contains("bad  1.1.0     behind");
    fleet.run(["upgrade", "--all-users"]).status(0);
    let bad = fleet.database("bad");
    assert_eq!(bad.rows("SELECT count(*) FROM notes"), ["151"]);
    assert_eq!(bad.rows("SELECT body, pinned FROM notes WHERE id = 151"), ["in the WAL|0"]);
    assert_eq!(bad.rows("PRAGMA journal_mode"), ["wal"]);
}

#[test]
fn a_damaged_or_stale_wal_loses_no_committed_row() {
    let template = fleet();
    leave_wal_behind(&template);
    let wal = fs::read(template.path("bad_longterm.db-wal")).unwrap();
    let half = wal.len() - 4096 / 2;
    let mut flipped = wal.clone();
    flipped[40] ^= 0xff;
    let mut dice = TestRng(0x3a1);
    let noise: Vec<u8> = (0..9000).map(|_| dice.next_below(256).to_le_bytes()[0]).collect();
    for (context, bytes) in [
        ("empty", &[] as &[u8]),
        ("a header alone", &wal[..32]),
        ("half a header", &wal[..17]),
        ("a torn last frame", &wal[..half]),
        ("flipped", &flipped),
        ("noise", &noise),
        ("zeros", &[0; 9000]),
    ] {
        let fleet = template.copy();
        fs::write(fleet.path("bad_longterm.db-wal"), bytes).unwrap();
        fleet.run_without_changes(["status"]).status(0);
        fleet.run(["upgrade", "--all-users"]).status(0);
        let bad = fleet.database("bad");
        // The rows in the WAL are lost with the WAL; all rows in the main file exist.
        assert_eq!(
            bad.rows("SELECT count(*) FROM notes WHERE body LIKE '% é %'"),
            ["150"],
            "{context}"
        );
        assert_eq!(bad.version().as_deref(), Some("1.2.0"), "{context}");
        assert_eq!(bad.rows("PRAGMA integrity_check"), ["ok"], "{context}");
    }
    // A WAL that was checkpointed long ago restores no old rows.
    let fleet = template.copy();
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
fn damaged_journals_lose_no_committed_row() {
    let template = fleet();
    let mut dice = TestRng(0x10);
    let noise: Vec<u8> = (0..9000).map(|_| dice.next_below(256).to_le_bytes()[0]).collect();
    for (context, bytes) in [("empty", &[] as &[u8]), ("noise", &noise), ("zeros", &[0; 9000])] {
        let fleet = template.copy();
        let before = fleet.database("bad").dump();
        fs::write(fleet.path("bad_longterm.db-journal"), bytes).unwrap();
        fleet.run_without_changes(["status"]);
        fleet.run(["upgrade", "--all-users", "--to", "1.1.0"]);
        assert_eq!(fleet.database("bad").dump(), before, "{context}");
        fleet.run(["upgrade", "--all-users"]).status(0);
        assert_eq!(fleet.database("bad").rows("SELECT count(*) FROM notes"), ["150"], "{context}");
    }
}

#[test]
fn every_page_size_encoding_and_vacuum_mode_is_migrated_with_its_rows() {
    let sizes = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];
    let encodings = ["UTF-8", "UTF-16le", "UTF-16be"];
    let mut settings = Vec::new();
    for size in sizes {
        for encoding in encodings {
            for vacuum in ["NONE", "FULL", "INCREMENTAL"] {
                for journal in ["DELETE", "WAL"] {
                    settings.push((size, encoding, vacuum, journal));
                }
            }
        }
    }
    let name = |index: usize| format!("u{index:03}");
    let fleet = settings.iter().enumerate().fold(
        Fleet::from_blocks(&NOTES[1..]),
        |fleet, (at, (size, encoding, vacuum, journal))| {
            let sql = format!(
                "PRAGMA page_size = {size}; PRAGMA encoding = '{encoding}'; \
                 PRAGMA auto_vacuum = {vacuum}; PRAGMA journal_mode = {journal}; \
                 CREATE TABLE seen (x); DROP TABLE seen;"
            );
            fleet.user(&name(at), &sql)
        },
    );
    let fleet = fleet.upgrade_to("1.0.0");
    let fleet = (0..settings.len()).fold(fleet, |fleet, at| fleet.user(&name(at), ROWS));
    fleet.run(["upgrade", "--all-users"]).status(0).stderr("");
    for (index, (size, encoding, vacuum, journal)) in settings.iter().enumerate() {
        let user = fleet.database(&name(index));
        let read_pragma = |context: &str| user.rows(&format!("PRAGMA {context}")).concat();
        let context = format!("{size} {encoding} {vacuum} {journal}");
        let vacuum =
            ["NONE", "FULL", "INCREMENTAL"].iter().position(|kind| kind == vacuum).unwrap();
        let expected = [&size.to_string(), *encoding, &vacuum.to_string(), &journal.to_lowercase()];
        assert_eq!(
            ["page_size", "encoding", "auto_vacuum", "journal_mode"].map(read_pragma),
            expected
        );
        assert_eq!(user.version().as_deref(), Some("1.2.0"), "{context}");
        assert_eq!(user.rows("SELECT count(*), sum(pinned) FROM notes"), ["150|0"], "{context}");
        assert_eq!(
            user.rows("SELECT body FROM notes WHERE id = 7").concat(),
            format!("7 é {}", "0".repeat(60))
        );
        assert_eq!(user.rows("PRAGMA integrity_check"), ["ok"], "{context}");
    }
}

#[test]
fn an_invalid_history_table_is_refused_and_unchanged() {
    for (sql, message) in [
        (
            "DROP TABLE _tatmig_migrations; CREATE VIEW _tatmig_migrations AS SELECT 1 AS id",
            "is a view",
        ),
        ("DROP TABLE _tatmig_migrations; CREATE TABLE _tatmig_migrations (x)", "is another table"),
        (
            "DROP TABLE _tatmig_migrations; CREATE VIRTUAL TABLE _tatmig_migrations USING fts5 (x)",
            "is another table",
        ),
        ("UPDATE _tatmig_migrations SET event = 'other'", "has a row that tatmig did not write"),
        ("UPDATE _tatmig_migrations SET to_version = x'ff'", "has a row that tatmig did not write"),
        (
            "UPDATE _tatmig_migrations SET to_version = '9.9.9'",
            "the database is at version `9.9.9`",
        ),
        (
            "UPDATE _tatmig_migrations SET to_version = '1.1.0-rc.1'",
            "the database is at version `1.1.0-rc.1`",
        ),
        ("UPDATE _tatmig_migrations SET to_version = '1.1'", "the database is at version `1.1`"),
        ("UPDATE _tatmig_migrations SET to_version = ''", "the database is at version ``"),
        (
            "UPDATE _tatmig_migrations SET to_version = 'x' || char(27) || '[2J'",
            "the database is at version `x",
        ),
        (
            "UPDATE _tatmig_migrations SET id = 9223372036854775807 WHERE to_version = '1.1.0'",
            "has row 9223372036854775807, which tatmig did not write",
        ),
    ] {
        let fleet = fleet().user("bad", sql);
        let before = fleet.database("bad").dump();
        let run = fleet.run(["upgrade", "--all-users"]);
        run.status(1).stderr_contains("`bad` (bad_longterm.db): ").stderr_contains(message);
        assert_eq!(fleet.database("bad").dump(), before, "{sql}");
        assert!(!run.stderr_text().contains('\u{1b}'), "{sql}");
        assert_ann_upgraded(&fleet, sql);
        let status = fleet.run(["status"]);
        status.stdout_lacks("\u{1b}");
    }
}

#[test]
fn triggers_on_the_history_table_do_not_fire() {
    for action in [
        "BEFORE INSERT ON _tatmig_migrations BEGIN SELECT RAISE(IGNORE); END",
        "AFTER INSERT ON _tatmig_migrations BEGIN DELETE FROM _tatmig_migrations; END",
        "AFTER INSERT ON _tatmig_migrations BEGIN UPDATE _tatmig_migrations SET to_version = '7'; END",
        "AFTER INSERT ON _tatmig_migrations BEGIN DELETE FROM notes; END",
    ] {
        let fleet = fleet().user("bad", &format!("CREATE TRIGGER own {action}"));
        fleet.run(["upgrade", "--all-users"]).status(0);
        let bad = fleet.database("bad");
        assert_eq!(bad.history(), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"], "{action}");
        assert_eq!(bad.rows("SELECT count(*) FROM notes"), ["150"], "{action}");
    }
}

#[test]
fn a_read_only_wal_is_reported_and_its_rows_are_kept() {
    use std::os::unix::fs::PermissionsExt;

    let fleet = fleet();
    leave_wal_behind(&fleet);
    let wal = fleet.path("bad_longterm.db-wal");
    let chmod = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(&wal, 0o444);
    let Some(mut upgrade) =
        crate::faults::command_bound_by_permissions(&fleet, &["upgrade", "--all-users"])
    else {
        return;
    };
    let output = upgrade.output().unwrap();
    chmod(&wal, 0o644);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{err}");
    assert!(!err.contains("in the migration"), "no statement is to blame: {err}");
    assert_ann_upgraded(&fleet, "beside a read-only WAL");
    let bad = fleet.database("bad");
    let expected = if output.status.success() { "1.2.0" } else { "1.1.0" };
    assert_eq!(bad.version().as_deref(), Some(expected), "{err}");
    assert_eq!(bad.rows("SELECT body FROM notes WHERE id = 151"), ["in the WAL"]);
    drop(bad);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("bad").rows("SELECT count(*) FROM notes"), ["151"]);
}

#[test]
fn verify_reports_an_unreadable_schema_and_changes_nothing() {
    let fleet = self::fleet().upgrade_to("1.2.0");
    let path = fleet.path("bad_longterm.db");
    let mut bytes = fs::read(&path).unwrap();
    let sql = b"CREATE TABLE notes";
    let offset = bytes.windows(sql.len()).position(|window| window == sql).unwrap();
    bytes[offset + 7..offset + 12].copy_from_slice(b"TABBB");
    fs::write(&path, &bytes).unwrap();
    // The history is unchanged, and nothing is pending.
    fleet.run(["status"]).status(0).stdout_contains("bad  1.2.0     current");
    fleet.run(["upgrade", "--all-users"]).status(0);
    fleet.run(["verify"]).status(1).stdout_contains("malformed database schema");
    assert!(fs::read(&path).unwrap() == bytes);
}
