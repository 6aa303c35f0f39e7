//! Tests transfers between files and namespaces, and copies, restores and resets of namespaces.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::fault_injection::{has_strace, run_with_injections};
use crate::fleet::{ServerFleet, USERS_AND_NOTES, document_with};
use crate::proxy::{Proxy, ProxyFault};
use crate::sqld::Sqld;
use crate::support::Fleet;

fn with_server(sqld: &Sqld, fleet: Fleet) -> Fleet {
    fleet.env("TATMIG_SERVER", sqld.url()).env("TATMIG_ADMIN", sqld.admin_url())
}

/// Runs on the files although a server is configured.
fn run_over_files(fleet: &Fleet, arguments: &[&str]) -> String {
    let output = fleet.command(arguments).env_remove("TATMIG_SERVER").output().unwrap();
    let output_text =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{output_text}");
    output_text
}

pub(crate) fn a_hundred_users_are_pushed_and_pulled() {
    let sqld = Sqld::start();
    let names: Vec<String> = (0..100).map(|index| format!("u{index:03}")).collect();
    let fleet =
        Fleet::from_blocks(&USERS_AND_NOTES[..2]).system("").users(100, "").upgrade_to("1.0.0");
    for name in &names {
        fleet
            .database("system")
            .connection()
            .execute("INSERT INTO users VALUES (?1)", [name])
            .unwrap();
        let database = fleet.database(name);
        database.connection().execute("INSERT INTO notes (body) VALUES (?1)", [name]).unwrap();
        database.connection().execute_batch("INSERT INTO tags (note) VALUES (1), (NULL)").unwrap();
    }
    let before = fleet.snapshot();
    let fleet = with_server(&sqld, fleet);
    fleet
        .run(["push", "--all-users"])
        .status(0)
        .stdout_contains("100 users: 100 copied and compared");
    before.assert_same(&fleet.snapshot());
    fleet
        .run(["push", "--all-users"])
        .status(0)
        .stdout_contains("100 users: 100 already identical");
    let fleet = fleet.document(document_with(4, &[]));
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("100 upgraded to 1.2.0");
    // The files have older contents, which must not be lost by mistake.
    fleet
        .run(["pull", "--all-users"])
        .status(1)
        .stderr_contains("the destination has other content and was not changed");
    let fleet = fleet
        .directory("back")
        .env("TATMIG_USERS_DIR", "back")
        .env("TATMIG_SYSTEM_DB", "back/system.db");
    fleet
        .run(["pull", "--all-users"])
        .status(0)
        .stdout_contains("100 users: 100 copied and compared");
    let output = run_over_files(&fleet, &["verify"]);
    assert!(output.contains("100 users"), "{output}");
    assert!(run_over_files(&fleet, &["status", "--exit-code"]).contains("current"));
    for name in &names {
        let database =
            crate::support::Database::open(&fleet.path(format!("back/{name}_longterm.db")));
        assert_eq!(database.rows("SELECT id, body, pinned FROM notes"), [format!("1|{name}|0")]);
        assert_eq!(database.rows("SELECT id, note FROM tags"), ["1|1", "2|NULL"]);
        assert_eq!(database.history(), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
        assert_eq!(database.rows("SELECT * FROM _tatmig_migrations").len(), 3);
    }
}

pub(crate) fn a_fleet_in_directories_is_pushed_and_pulled() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let sqld = Sqld::start();
    let fleet = Fleet::from_blocks(&USERS_AND_NOTES[..2])
        .directory("users")
        .env("TATMIG_USERS_DIR", "users")
        .env("TATMIG_USER_PATTERN", "{sha256:2}/{username}/store.sqlite");
    let users = [["ann", "49"], ["bob", "81"]];
    fleet.run(["init", "--user", "ann", "--user", "bob"]).status(0);
    let open = |directory: PathBuf, [user, hash]: [&str; 2]| {
        crate::support::Database::open(&directory.join(hash).join(user).join("store.sqlite"))
    };
    for user in users {
        let insert = format!("INSERT INTO users VALUES ('{}')", user[0]);
        fleet.database("system").connection().execute_batch(&insert).unwrap();
        let insert = format!("INSERT INTO notes (body) VALUES ('{}')", user[0]);
        open(fleet.path("users"), user).connection().execute_batch(&insert).unwrap();
    }
    let fleet = with_server(&sqld, fleet);
    fleet.run(["push", "--all-users"]).status(0).stdout_contains("2 users: 2 copied");
    let pull = ["pull", "--all-users", "--users-dir", "back", "--system-db", "back.db"];
    let fleet = fleet.directory("back").directory("outside/ann");
    symlink("../outside", fleet.path("back/49")).unwrap();
    let run = fleet.run(pull);
    run.status(1).stderr_contains("`49` is a symbolic link; pass `--follow-symlinks` to open it");
    run.stdout_contains("1 copied");
    assert_eq!(std::fs::read_dir(fleet.path("outside/ann")).unwrap().count(), 0);
    std::fs::remove_file(fleet.path("back/49")).unwrap();
    fleet.run(pull).status(0).stdout_contains("1 copied and compared, 1 already identical");
    for user in users {
        let database = open(fleet.path("back"), user);
        assert_eq!(database.rows("SELECT body FROM notes"), [user[0]]);
        let directory = fleet.path(format!("back/{}/{}", user[1], user[0]));
        assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}

/// Every kind of value and every kind of table.
const EVERY_KIND_OF_TABLE: &str = "\
CREATE TABLE \"odd \"\"name\"\"; --\" (\"a b\" TEXT, [group] BLOB, c REAL, d, e AS (d + 1) VIRTUAL, f AS (d * 2) STORED);
INSERT INTO \"odd \"\"name\"\"; --\" VALUES ('x', x'00ff', 0.1, 9223372036854775807), ('', x'', 9e999, -9223372036854775808), (char(0) || 'nul', 'text', -9e999, 1e-320), ('日本 ☃', NULL, 3.0, NULL), (CAST(x'ff41' AS TEXT), 1, 1.7976931348623157e308, '7');
DELETE FROM \"odd \"\"name\"\"; --\" WHERE rowid = 4;
CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, x);
INSERT INTO counted VALUES (41, 'a'); DELETE FROM counted;
CREATE TABLE bare (k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO bare VALUES ('b', 1), ('A', 2), ('c', 3);
CREATE TABLE strict (n INTEGER NOT NULL, CHECK (n > 0)) STRICT;
INSERT INTO strict VALUES (1);
CREATE TABLE taken (rowid TEXT, _rowid_ TEXT, oid TEXT);
INSERT INTO taken VALUES ('b', 'x', 1), ('a', 'y', 2);
CREATE VIRTUAL TABLE words USING fts5(body);
INSERT INTO words VALUES ('the quick fox'), ('a slow snail');
CREATE VIRTUAL TABLE boxes USING rtree(id, left, right);
INSERT INTO boxes VALUES (1, 0.5, 2.5);
CREATE TABLE falling (id INTEGER PRIMARY KEY DESC, x);
INSERT INTO falling (rowid, id, x) VALUES (7, 1, 'a'), (3, 2, 'b');
CREATE TABLE log (what TEXT);
CREATE TRIGGER \"on note\" AFTER INSERT ON notes BEGIN INSERT INTO log VALUES ('a;b'); INSERT INTO log VALUES (new.body); END;
CREATE VIEW latest AS SELECT body FROM notes ORDER BY id DESC;
CREATE INDEX partial ON notes (body) WHERE body <> '';
PRAGMA user_version = 77;";

pub(crate) fn every_value_and_kind_of_table_is_transferred() {
    let sqld = Sqld::start();
    let fleet = Fleet::from_blocks(USERS_AND_NOTES)
        .system("")
        .user("ann", "")
        .user("big", "")
        .upgrade_to("1.1.0");
    fleet
        .database("system")
        .connection()
        .execute_batch("INSERT INTO users VALUES ('ann'), ('big')")
        .unwrap();
    fleet.database("ann").connection().execute_batch(EVERY_KIND_OF_TABLE).unwrap();
    fleet
        .database("ann")
        .connection()
        .execute_batch("INSERT INTO notes (body) VALUES ('tea')")
        .unwrap();
    // More data than one response or one request may contain.
    fleet
        .database("big")
        .connection()
        .execute_batch(
            "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 12000) \
             INSERT INTO notes (body) SELECT hex(randomblob(400)) FROM c; \
             CREATE TABLE blobs (b); INSERT INTO blobs VALUES (randomblob(3000000)), (randomblob(3000000)), (randomblob(2000000));",
        )
        .unwrap();
    let fleet = with_server(&sqld, fleet);
    fleet.run(["push", "--all-users"]).status(0).stdout_contains("2 users: 2 copied and compared");
    assert_eq!(
        sqld.rows("ann_longterm", "SELECT body FROM words WHERE words MATCH 'snail'"),
        ["a slow snail"]
    );
    assert_eq!(sqld.rows("ann_longterm", "SELECT id FROM boxes WHERE left < 1"), ["1"]);
    sqld.execute("ann_longterm", &["INSERT INTO counted (x) VALUES ('next')"]);
    assert_eq!(sqld.rows("ann_longterm", "SELECT id FROM counted"), ["42"]);
    sqld.execute(
        "ann_longterm",
        &["DELETE FROM counted", "UPDATE sqlite_sequence SET seq = 41 WHERE name = 'counted'"],
    );
    let fleet = fleet
        .directory("back")
        .env("TATMIG_USERS_DIR", "back")
        .env("TATMIG_SYSTEM_DB", "back/system.db");
    fleet.run(["pull", "--all-users"]).status(0).stdout_contains("2 users: 2 copied and compared");
    let open = |path: &str| crate::support::Database::open(&fleet.path(path));
    let sorted_dump = |path: &str| {
        let mut dump = open(path).dump();
        dump.sort();
        dump
    };
    assert_eq!(sorted_dump("ann_longterm.db"), sorted_dump("back/ann_longterm.db"));
    assert_eq!(sorted_dump("big_longterm.db"), sorted_dump("back/big_longterm.db"));
    let ann = open("back/ann_longterm.db");
    let odd_table_query = "SELECT rowid, hex(\"a b\"), typeof(c), c > 1e308, hex(CAST(\"a b\" AS BLOB)) FROM \"odd \"\"name\"\"; --\" ORDER BY rowid";
    assert_eq!(ann.rows(odd_table_query), open("ann_longterm.db").rows(odd_table_query));
    // INTEGER PRIMARY KEY DESC is not the row's id.
    assert_eq!(ann.rows("SELECT rowid, id, x FROM falling ORDER BY rowid"), ["3|2|b", "7|1|a"]);
    assert_eq!(ann.rows("SELECT body FROM words WHERE words MATCH 'fox'"), ["the quick fox"]);
    assert_eq!(ann.rows("PRAGMA integrity_check"), ["ok"]);
}

/// Adds a row to two tables in each transaction, until the flag is set.
fn pair_rows(is_done: &AtomicBool, mut insert: impl FnMut()) {
    while !is_done.load(Ordering::SeqCst) {
        insert();
    }
}

/// A table that takes a while to copy, between the two tables of [`pair_rows`].
const PAIRED_TABLES: &str = "\
CREATE TABLE a_first (x);
CREATE TABLE m_between (x);
CREATE TABLE z_last (x);
INSERT INTO m_between WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20000) SELECT hex(randomblob(20)) FROM c;";
const ADD_PAIR: &str =
    "BEGIN IMMEDIATE; INSERT INTO a_first VALUES (1); INSERT INTO z_last VALUES (1); COMMIT;";
const PAIR_DIFFERENCE: &str =
    "SELECT (SELECT count(*) FROM a_first) - (SELECT count(*) FROM z_last)";

pub(crate) fn a_push_under_writes_copies_one_state_of_the_database() {
    let sqld = Sqld::start();
    let fleet =
        Fleet::from_blocks(&USERS_AND_NOTES[..2]).system("").user("ann", "").upgrade_to("1.0.0");
    let path = fleet.path("ann_longterm.db");
    let writer = rusqlite::Connection::open(&path).unwrap();
    writer.busy_timeout(Duration::from_secs(20)).unwrap();
    writer.execute_batch(&format!("PRAGMA journal_mode = WAL; {PAIRED_TABLES}")).unwrap();
    let fleet = with_server(&sqld, fleet);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let writer = writer;
            pair_rows(&is_done, || {
                writer.execute_batch(ADD_PAIR).unwrap();
                std::thread::sleep(Duration::from_millis(2));
            });
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for attempt in 0..3 {
                fleet.run(["push", "--user", "ann"]).status(0).stdout_contains("copied");
                let difference = sqld.rows("ann_longterm", PAIR_DIFFERENCE);
                assert_eq!(difference, ["0"], "attempt {attempt}");
                sqld.remove_namespace("ann_longterm");
            }
        }));
        is_done.store(true, Ordering::SeqCst);
        result.unwrap();
    });
}

pub(crate) fn a_pull_under_writes_copies_one_state_of_the_database() {
    let server_fleet = ServerFleet::new(&["ann"]);
    let tables: Vec<&str> = PAIRED_TABLES.split_inclusive(';').collect();
    let server_fleet = server_fleet.execute("ann", &tables);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let statements: Vec<&str> = ADD_PAIR.split_inclusive(';').collect();
            pair_rows(&is_done, || {
                server_fleet.sqld.execute("ann_longterm", &statements);
            });
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for attempt in 0..3 {
                server_fleet.run(["pull", "--user", "ann"]).status(0).stdout_contains("copied");
                let path = server_fleet.fleet.path("ann_longterm.db");
                let difference = crate::support::Database::open(&path).rows(PAIR_DIFFERENCE);
                assert_eq!(difference, ["0"], "attempt {attempt}");
                std::fs::remove_file(path).unwrap();
            }
        }));
        is_done.store(true, Ordering::SeqCst);
        result.unwrap();
    });
}

pub(crate) fn verify_reads_one_state_of_a_namespace() {
    let server_fleet = ServerFleet::new(&["ann"]).document(3, &[]);
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    let namespace = ServerFleet::namespace("ann");
    // The migration and its history entry come and go together.
    let saved =
        "CREATE TABLE _tatmig_saved AS SELECT * FROM _tatmig_migrations WHERE to_version = '1.1.0'";
    server_fleet.sqld.execute(&namespace, &[saved]);
    let downgrade = [
        "BEGIN IMMEDIATE",
        "DELETE FROM _tatmig_migrations WHERE to_version = '1.1.0'",
        "ALTER TABLE notes DROP COLUMN pinned",
        "COMMIT",
    ];
    let upgrade = [
        "BEGIN IMMEDIATE",
        "INSERT INTO _tatmig_migrations SELECT * FROM _tatmig_saved",
        "ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0",
        "COMMIT",
    ];
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pair_rows(&is_done, || {
                server_fleet.sqld.execute(&namespace, &downgrade);
                server_fleet.sqld.execute(&namespace, &upgrade);
            });
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..40 {
                server_fleet.run(["verify"]).status(0);
            }
        }));
        is_done.store(true, Ordering::SeqCst);
        result.unwrap();
    });
}

pub(crate) fn a_push_whose_commit_is_lost_is_reported_as_unknown_and_can_be_repeated() {
    for fault in
        [ProxyFault::LostCommitResponse, ProxyFault::BadGateway, ProxyFault::LostCommitRequest]
    {
        let sqld = Sqld::start();
        let fleet = Fleet::from_blocks(&USERS_AND_NOTES[..2])
            .system("")
            .user("ann", "")
            .upgrade_to("1.0.0");
        let fleet = with_server(&sqld, fleet);
        let proxy = Proxy::new(sqld.address(), fault);
        fleet
            .run(["push", "--user", "ann", "--server", &proxy.url()])
            .status(1)
            .stderr_contains("whether the server committed the change is unknown")
            .stderr_contains("Run the command again");
        assert!(proxy.has_interfered());
        fleet.run(["push", "--user", "ann"]).status(0);
        assert_eq!(sqld.version("ann_longterm").as_deref(), Some("1.0.0"));
    }
}

pub(crate) fn a_transfer_through_a_proxy_that_drops_the_namespace_header_is_refused() {
    let sqld = Sqld::start_with(&[]);
    let server_fleet = ServerFleet::from_server(sqld, &["ann"]);
    let proxy = Proxy::new(server_fleet.sqld.address(), ProxyFault::NoNamespaceHeader);
    let url = format!("http://localhost:{}", proxy.address.port());
    server_fleet
        .run(["pull", "--user", "ann", "--server", &url])
        .has_status(&[1, 2])
        .then_some(())
        .unwrap();
    assert!(!server_fleet.fleet.path("ann_longterm.db").exists());
    let files =
        Fleet::from_blocks(&USERS_AND_NOTES[..2]).system("").user("bob", "").upgrade_to("1.0.0");
    let files = with_server(&server_fleet.sqld, files);
    let run = files.run(["push", "--user", "bob", "--server", &url]);
    run.status(1).stderr_contains("it opened the namespace `default`");
    let default = server_fleet.sqld.rows("default", "SELECT count(*) FROM sqlite_schema");
    assert_eq!(default, ["0"]);
}

pub(crate) fn forks_are_removed_if_their_manifest_cannot_be_written() {
    if !has_strace() {
        return;
    }
    let server_fleet = ServerFleet::new(&["ann", "bob"]);
    let injection = "fsync:error=ENOSPC:when=1+".to_owned();
    let output = run_with_injections(&server_fleet.fleet, &[injection], &["backup", "--all-users"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("manifest.json"), "{stderr}");
    assert_eq!(server_fleet.sqld.namespace_directories("--"), Vec::<String>::new());
    server_fleet.run(["backup", "list"]).status(0);
    server_fleet.run(["backup", "--all-users"]).status(0);
    assert_eq!(server_fleet.sqld.namespace_directories("--").len(), 3);
}

pub(crate) fn pulled_files_use_the_configured_journal_mode() {
    let server_fleet = ServerFleet::new(&["ann"]);
    let server_fleet = ServerFleet {
        fleet: server_fleet.fleet.file("tatmig.toml", "journal_mode = \"wal\"\n"),
        ..server_fleet
    };
    server_fleet.run(["pull", "--all-users"]).status(0);
    for file in ["system.db", "ann_longterm.db"] {
        let database = rusqlite::Connection::open(server_fleet.fleet.path(file)).unwrap();
        let mode = database.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
        assert_eq!(mode.unwrap(), "wal", "{file}");
    }
    run_over_files(&server_fleet.fleet, &["verify"]);
}

pub(crate) fn a_namespace_with_other_contents_is_left_unchanged() {
    let server_fleet = ServerFleet::new(&["ann", "bob"])
        .execute("ann", &["INSERT INTO notes (body) VALUES ('theirs')"]);
    let files = Fleet::from_blocks(&USERS_AND_NOTES[..2])
        .system("")
        .user("ann", "")
        .user("bob", "")
        .user("cid", "")
        .upgrade_to("1.0.0");
    files
        .database("ann")
        .connection()
        .execute_batch("INSERT INTO notes (body) VALUES ('ours')")
        .unwrap();
    let before = (server_fleet.dump("ann"), server_fleet.sqld.dump("system"));
    let files = with_server(&server_fleet.sqld, files);
    let run = files.run(["push", "--all-users"]);
    run.status(1).stdout_contains("3 users: 1 copied and compared, 2 failed").stderr_contains(
        "the destination has other content and was not changed: table `_tatmig_migrations`",
    );
    assert_eq!((server_fleet.dump("ann"), server_fleet.sqld.dump("system")), before);
    assert_eq!(server_fleet.version("cid").as_deref(), Some("1.0.0"));
    files.run(["push", "--user", "cid", "--admin", "http://127.0.0.1:1"]).status(1);
    let without_admin = Fleet::from_blocks(&USERS_AND_NOTES[..2])
        .system("")
        .env("TATMIG_SERVER", server_fleet.sqld.url());
    without_admin.run(["push"]).status(2).stderr_contains("--admin URL");
    let without_server = Fleet::from_blocks(&USERS_AND_NOTES[..2]).system("");
    without_server.run(["push"]).status(2).stderr_contains("--server URL");
}

pub(crate) fn a_second_push_finishes_a_killed_one() {
    let mut sqld = Sqld::start();
    let fleet =
        Fleet::from_blocks(&USERS_AND_NOTES[..2]).system("").users(40, "").upgrade_to("1.0.0");
    for index in 0..40 {
        let database = fleet.database(&format!("u{index:03}"));
        database
            .connection()
            .execute_batch(
                "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) \
                 INSERT INTO notes (body) SELECT 'note ' || i FROM c",
            )
            .unwrap();
    }
    let fleet = with_server(&sqld, fleet);
    let child = fleet.start(["push", "--all-users", "--jobs", "2"]);
    crate::support::wait_until("some are there", || {
        sqld.try_execute("u004_longterm", &["SELECT 1 FROM _tatmig_migrations"])
            .is_ok_and(|rows| rows[0].len() == 1)
    });
    sqld.kill();
    fleet.wait(child).status(1);
    sqld.restart();
    fleet.run(["push", "--all-users"]).status(0).stdout_contains("already identical");
    for index in 0..40 {
        assert_eq!(
            sqld.rows(&format!("u{index:03}_longterm"), "SELECT count(*) FROM notes"),
            ["2000"]
        );
    }
}

/// The namespaces of a backup, by the backup's name.
fn backup_forks(server_fleet: &ServerFleet) -> Vec<(String, Vec<String>)> {
    let listed = server_fleet.run(["backup", "list", "--json"]).status(0).json();
    let file_names = |copies: &serde_json::Value| {
        let copies = copies.as_array().unwrap().iter();
        copies.map(|copy| copy["file"].as_str().unwrap().to_owned()).collect()
    };
    let backups = listed["backups"].as_array().unwrap().iter();
    backups
        .map(|backup| (backup["id"].as_str().unwrap().to_owned(), file_names(&backup["copies"])))
        .collect()
}

pub(crate) fn a_backup_consists_of_forks_named_by_time() {
    let server_fleet = ServerFleet::new(&["ann", "bob"])
        .execute("ann", &["INSERT INTO notes (body) VALUES ('tea')"]);
    let before = server_fleet.dump("ann");
    server_fleet.run(["backup", "--all-users"]).status(0).stdout_contains("3 databases forked");
    let [(id, copies)] = &backup_forks(&server_fleet)[..] else { panic!("one backup") };
    let expected: Vec<String> = ["system", "ann_longterm", "bob_longterm"]
        .iter()
        .map(|name| format!("{name}--{id}"))
        .collect();
    assert_eq!(*copies, expected);
    assert_eq!(server_fleet.sqld.dump(&copies[1]), before);
    // A client that knows the name cannot change the copy.
    let error = server_fleet.sqld.try_execute(&copies[1], &["DELETE FROM notes"]).unwrap_err();
    assert!(error.contains("backup"), "{error}");

    let server_fleet = server_fleet.document(4, &[]);
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    server_fleet.sqld.execute("ann_longterm", &["DROP TABLE notes", "CREATE TABLE wrong (x)"]);
    server_fleet.run(["restore", id, "--user", "ann"]).status(0);
    assert_eq!(server_fleet.dump("ann"), before);
    assert_eq!(server_fleet.version("bob").as_deref(), Some("1.2.0"));
    // A missing namespace is created again.
    server_fleet.sqld.remove_namespace("ann_longterm");
    server_fleet.run(["restore", id, "--user", "ann"]).status(0);
    assert_eq!(server_fleet.dump("ann"), before);
}

pub(crate) fn pruning_removes_forks_and_a_missing_fork_is_reported() {
    let server_fleet = ServerFleet::new(&["ann"]);
    for _ in 0..3 {
        server_fleet.run(["backup", "--all-users"]).status(0);
    }
    let all = backup_forks(&server_fleet);
    assert_eq!(all.len(), 3);
    let last = &all[2].1[1];
    server_fleet
        .run(["backup", "prune", "--keep", "1"])
        .status(0)
        .stdout_contains("2 backups removed");
    for (_, copies) in &all[..2] {
        for copy in copies {
            assert!(!server_fleet.sqld.has_namespace(copy), "{copy} is still there");
        }
    }
    assert_eq!(server_fleet.sqld.version(last).as_deref(), Some("1.0.0"));
    let before = server_fleet.dump("ann");
    server_fleet.sqld.remove_namespace(last);
    server_fleet.run(["restore", "latest"]).status(2).stderr_contains("is missing");
    assert_eq!(server_fleet.dump("ann"), before);
}

pub(crate) fn backups_without_an_admin_url_are_refused_before_any_change() {
    let mut server_fleet = ServerFleet::new(&["ann"]);
    server_fleet.run(["backup"]).status(0);
    server_fleet.fleet = server_fleet.fleet.env("TATMIG_ADMIN", "");
    let server_fleet =
        server_fleet.document(3, &[("user:1.1.0→1.0.0", "ALTER TABLE notes DROP COLUMN pinned;")]);
    server_fleet
        .run(["upgrade", "--all-users", "--backup"])
        .status(2)
        .stderr_contains("`--admin URL`");
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.0.0"));
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    server_fleet
        .run(["downgrade", "--to", "1.0.0", "--all-users"])
        .status(2)
        .stderr_contains("`--no-backup`");
    server_fleet.run(["reset", "--user", "ann", "--yes"]).status(2);
    server_fleet.run(["backup", "prune", "--keep", "0"]).status(0);
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.1.0"));
    server_fleet.run(["downgrade", "--to", "1.0.0", "--all-users", "--no-backup"]).status(0);
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.0.0"));
}

pub(crate) fn file_backups_can_be_restored_into_namespaces() {
    let server_fleet =
        ServerFleet::new(&["ann"]).execute("ann", &["INSERT INTO notes (body) VALUES ('tea')"]);
    let before = server_fleet.dump("ann");
    server_fleet.run(["pull", "--all-users"]).status(0);
    let files = run_over_files(&server_fleet.fleet, &["backup", "--all-users"]);
    assert!(files.contains("2 databases copied"), "{files}");
    server_fleet.sqld.execute("ann_longterm", &["DELETE FROM notes"]);
    server_fleet.run(["restore", "latest", "--user", "ann"]).status(0);
    assert_eq!(server_fleet.dump("ann"), before);
}

pub(crate) fn a_namespace_can_be_reset_and_downgraded() {
    let user_reverse = ("user:1.1.0→1.0.0", "ALTER TABLE notes DROP COLUMN pinned;");
    let system_forward = ("system:1.0.0→1.1.0", "CREATE TABLE extra (x);");
    let system_reverse = ("system:1.1.0→1.0.0", "DROP TABLE extra;");
    let server_fleet = ServerFleet::new(&["ann", "bob"])
        .execute("ann", &["INSERT INTO notes (body) VALUES ('tea')"])
        .document(3, &[system_forward, user_reverse, system_reverse]);
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(server_fleet.rows("ann", "SELECT * FROM notes"), ["1|tea|0"]);
    server_fleet.run(["downgrade", "--to", "1.0.0", "--all-users"]).status(0);
    assert_eq!(server_fleet.rows("ann", "SELECT * FROM notes"), ["1|tea"]);
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.0.0"));
    assert_eq!(server_fleet.sqld.version("system").as_deref(), Some("1.0.0"));
    assert!(server_fleet.fleet.path("backups").is_dir(), "nothing was copied first");
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    server_fleet.run(["reset", "--user", "ann", "--yes"]).status(0);
    assert_eq!(server_fleet.rows("ann", "SELECT * FROM notes"), Vec::<String>::new());
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.1.0"));
    server_fleet.run(["verify"]).status(0);
}
