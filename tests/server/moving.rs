//! From files to namespaces and back, and whole databases copied, put back and made anew.

use crate::sqld::Sqld;
use crate::support::Fleet;
use crate::town::{TOWN, Town, town_and};

fn beside(sqld: &Sqld, fleet: Fleet) -> Fleet {
    fleet.env("TATMIG_SERVER", sqld.url()).env("TATMIG_ADMIN", sqld.admin_url())
}

/// Runs over the files, though a server is named.
fn over_files(fleet: &Fleet, arguments: &[&str]) -> String {
    let output = fleet.command(arguments).env_remove("TATMIG_SERVER").output().unwrap();
    let told =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    told
}

pub(crate) fn a_hundred_users_go_there_and_back() {
    let sqld = Sqld::start();
    let names: Vec<String> = (0..100).map(|at| format!("u{at:03}")).collect();
    let fleet = Fleet::of(&TOWN[..2]).system("").users(100, "").at("1.0.0");
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
    let before = fleet.files();
    let fleet = beside(&sqld, fleet);
    fleet
        .run(["push", "--all-users"])
        .status(0)
        .stdout_contains("100 users: 100 copied and compared");
    before.assert_same(&fleet.files());
    fleet
        .run(["push", "--all-users"])
        .status(0)
        .stdout_contains("100 users: 100 there already, the same");
    let fleet = fleet.document(town_and(4, &[]));
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("100 upgraded to 1.2.0");
    // What is in the files is older: nothing of it is lost by a slip.
    fleet
        .run(["pull", "--all-users"])
        .status(1)
        .stderr_contains("something else is there already, which was left alone");
    let fleet = fleet
        .directory("back")
        .env("TATMIG_USERS_DIR", "back")
        .env("TATMIG_SYSTEM_DB", "back/system.db");
    fleet
        .run(["pull", "--all-users"])
        .status(0)
        .stdout_contains("100 users: 100 copied and compared");
    let told = over_files(&fleet, &["verify"]);
    assert!(told.contains("100 users"), "{told}");
    assert!(over_files(&fleet, &["status", "--exit-code"]).contains("current"));
    for name in &names {
        let database =
            crate::support::Database::open(&fleet.path(format!("back/{name}_longterm.db")));
        assert_eq!(database.rows("SELECT id, body, pinned FROM notes"), [format!("1|{name}|0")]);
        assert_eq!(database.rows("SELECT id, note FROM tags"), ["1|1", "2|NULL"]);
        assert_eq!(database.record(), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
        assert_eq!(database.rows("SELECT * FROM _tatmig_migrations").len(), 3);
    }
}

/// Everything that a row may hold, and every kind of table.
const NASTY: &str = "\
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
CREATE TABLE log (what TEXT);
CREATE TRIGGER \"on note\" AFTER INSERT ON notes BEGIN INSERT INTO log VALUES ('a;b'); INSERT INTO log VALUES (new.body); END;
CREATE VIEW latest AS SELECT body FROM notes ORDER BY id DESC;
CREATE INDEX partial ON notes (body) WHERE body <> '';
PRAGMA user_version = 77;";

pub(crate) fn every_value_and_every_kind_of_table_arrives() {
    let sqld = Sqld::start();
    let fleet = Fleet::of(TOWN).system("").user("ann", "").user("big", "").at("1.1.0");
    fleet
        .database("system")
        .connection()
        .execute_batch("INSERT INTO users VALUES ('ann'), ('big')")
        .unwrap();
    fleet.database("ann").connection().execute_batch(NASTY).unwrap();
    fleet
        .database("ann")
        .connection()
        .execute_batch("INSERT INTO notes (body) VALUES ('tea')")
        .unwrap();
    // More than one answer and one request hold.
    fleet
        .database("big")
        .connection()
        .execute_batch(
            "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 12000) \
             INSERT INTO notes (body) SELECT hex(randomblob(400)) FROM c; \
             CREATE TABLE blobs (b); INSERT INTO blobs VALUES (randomblob(3000000)), (randomblob(3000000)), (randomblob(2000000));",
        )
        .unwrap();
    let fleet = beside(&sqld, fleet);
    fleet.run(["push", "--all-users"]).status(0).stdout_contains("2 users: 2 copied and compared");
    assert_eq!(
        sqld.rows("ann_longterm", "SELECT body FROM words WHERE words MATCH 'snail'"),
        ["a slow snail"]
    );
    assert_eq!(sqld.rows("ann_longterm", "SELECT id FROM boxes WHERE left < 1"), ["1"]);
    sqld.run_in("ann_longterm", &["INSERT INTO counted (x) VALUES ('next')"]);
    assert_eq!(sqld.rows("ann_longterm", "SELECT id FROM counted"), ["42"]);
    sqld.run_in(
        "ann_longterm",
        &["DELETE FROM counted", "UPDATE sqlite_sequence SET seq = 41 WHERE name = 'counted'"],
    );
    let fleet = fleet
        .directory("back")
        .env("TATMIG_USERS_DIR", "back")
        .env("TATMIG_SYSTEM_DB", "back/system.db");
    fleet.run(["pull", "--all-users"]).status(0).stdout_contains("2 users: 2 copied and compared");
    let open = |path: &str| crate::support::Database::open(&fleet.path(path));
    let sorted = |path: &str| {
        let mut dump = open(path).dump();
        dump.sort();
        dump
    };
    assert_eq!(sorted("ann_longterm.db"), sorted("back/ann_longterm.db"));
    assert_eq!(sorted("big_longterm.db"), sorted("back/big_longterm.db"));
    let ann = open("back/ann_longterm.db");
    let odd = "SELECT rowid, hex(\"a b\"), typeof(c), c > 1e308, hex(CAST(\"a b\" AS BLOB)) FROM \"odd \"\"name\"\"; --\" ORDER BY rowid";
    assert_eq!(ann.rows(odd), open("ann_longterm.db").rows(odd));
    assert_eq!(ann.rows("SELECT body FROM words WHERE words MATCH 'fox'"), ["the quick fox"]);
    assert_eq!(ann.rows("PRAGMA integrity_check"), ["ok"]);
}

pub(crate) fn files_that_come_back_are_in_the_journal_mode_of_the_application() {
    let town = Town::of(&["ann"]);
    let town = Town { fleet: town.fleet.file("tatmig.toml", "journal_mode = \"wal\"\n"), ..town };
    town.run(["pull", "--all-users"]).status(0);
    for file in ["system.db", "ann_longterm.db"] {
        let database = rusqlite::Connection::open(town.fleet.path(file)).unwrap();
        let mode = database.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
        assert_eq!(mode.unwrap(), "wal", "{file}");
    }
    over_files(&town.fleet, &["verify"]);
}

pub(crate) fn a_namespace_that_holds_something_else_is_left_alone() {
    let town =
        Town::of(&["ann", "bob"]).put("ann", &["INSERT INTO notes (body) VALUES ('theirs')"]);
    let files = Fleet::of(&TOWN[..2])
        .system("")
        .user("ann", "")
        .user("bob", "")
        .user("cid", "")
        .at("1.0.0");
    files
        .database("ann")
        .connection()
        .execute_batch("INSERT INTO notes (body) VALUES ('ours')")
        .unwrap();
    let before = (town.dump("ann"), town.sqld.dump("system"));
    let files = beside(&town.sqld, files);
    let run = files.run(["push", "--all-users"]);
    run.status(1).stdout_contains("3 users: 1 copied and compared, 2 failed").stderr_contains(
        "something else is there already, which was left alone: table `_tatmig_migrations`",
    );
    assert_eq!((town.dump("ann"), town.sqld.dump("system")), before);
    assert_eq!(town.version("cid").as_deref(), Some("1.0.0"));
    files.run(["push", "--user", "cid", "--admin", "http://127.0.0.1:1"]).status(1);
    let without = Fleet::of(&TOWN[..2]).system("").env("TATMIG_SERVER", town.sqld.url());
    without.run(["push"]).status(2).stderr_contains("--admin URL");
    let nowhere = Fleet::of(&TOWN[..2]).system("");
    nowhere.run(["push"]).status(2).stderr_contains("--server URL");
}

pub(crate) fn a_push_that_was_killed_is_finished_by_the_second() {
    let mut sqld = Sqld::start();
    let fleet = Fleet::of(&TOWN[..2]).system("").users(40, "").at("1.0.0");
    for at in 0..40 {
        let database = fleet.database(&format!("u{at:03}"));
        database
            .connection()
            .execute_batch(
                "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) \
                 INSERT INTO notes (body) SELECT 'note ' || i FROM c",
            )
            .unwrap();
    }
    let fleet = beside(&sqld, fleet);
    let child = fleet.start(["push", "--all-users", "--jobs", "2"]);
    crate::support::until("some are there", || {
        sqld.try_run("u004_longterm", &["SELECT 1 FROM _tatmig_migrations"])
            .is_ok_and(|rows| rows[0].len() == 1)
    });
    sqld.kill();
    fleet.ended(child).status(1);
    sqld.restart();
    fleet.run(["push", "--all-users"]).status(0).stdout_contains("there already, the same");
    for at in 0..40 {
        assert_eq!(
            sqld.rows(&format!("u{at:03}_longterm"), "SELECT count(*) FROM notes"),
            ["2000"]
        );
    }
}

/// The namespaces that a backup holds, by the backup's name.
fn forks(town: &Town) -> Vec<(String, Vec<String>)> {
    let listed = town.run(["backup", "list", "--json"]).status(0).json();
    let texts = |copies: &serde_json::Value| {
        let copies = copies.as_array().unwrap().iter();
        copies.map(|copy| copy["file"].as_str().unwrap().to_owned()).collect()
    };
    let backups = listed["backups"].as_array().unwrap().iter();
    backups
        .map(|backup| (backup["id"].as_str().unwrap().to_owned(), texts(&backup["copies"])))
        .collect()
}

pub(crate) fn a_backup_is_forks_whose_names_sort_by_time() {
    let town = Town::of(&["ann", "bob"]).put("ann", &["INSERT INTO notes (body) VALUES ('tea')"]);
    let before = town.dump("ann");
    town.run(["backup", "--all-users"]).status(0).stdout_contains("3 databases forked");
    let [(id, copies)] = &forks(&town)[..] else { panic!("one backup") };
    let wanted: Vec<String> = ["system", "ann_longterm", "bob_longterm"]
        .iter()
        .map(|name| format!("{name}--{id}"))
        .collect();
    assert_eq!(*copies, wanted);
    assert_eq!(town.sqld.dump(&copies[1]), before);
    // Whoever has the name cannot change what it holds.
    let refused = town.sqld.try_run(&copies[1], &["DELETE FROM notes"]).unwrap_err();
    assert!(refused.contains("backup"), "{refused}");

    let town = town.document(4, &[]);
    town.run(["upgrade", "--all-users"]).status(0);
    town.sqld.run_in("ann_longterm", &["DROP TABLE notes", "CREATE TABLE wrong (x)"]);
    town.run(["restore", id, "--user", "ann"]).status(0);
    assert_eq!(town.dump("ann"), before);
    assert_eq!(town.version("bob").as_deref(), Some("1.2.0"));
    // One that is gone is made again.
    town.sqld.remove("ann_longterm");
    town.run(["restore", id, "--user", "ann"]).status(0);
    assert_eq!(town.dump("ann"), before);
}

pub(crate) fn old_backups_go_with_their_forks_and_a_missing_fork_is_told() {
    let town = Town::of(&["ann"]);
    for _ in 0..3 {
        town.run(["backup", "--all-users"]).status(0);
    }
    let all = forks(&town);
    assert_eq!(all.len(), 3);
    let last = &all[2].1[1];
    town.run(["backup", "prune", "--keep", "1"]).status(0).stdout_contains("2 backups removed");
    for (_, copies) in &all[..2] {
        for copy in copies {
            assert!(!town.sqld.has(copy), "{copy} is still there");
        }
    }
    assert_eq!(town.sqld.version(last).as_deref(), Some("1.0.0"));
    let before = town.dump("ann");
    town.sqld.remove(last);
    town.run(["restore", "latest"]).status(2).stderr_contains("is missing");
    assert_eq!(town.dump("ann"), before);
}

pub(crate) fn copies_without_an_admin_address_are_refused_before_anything_is_touched() {
    let mut town = Town::of(&["ann"]);
    town.run(["backup"]).status(0);
    town.fleet = town.fleet.env("TATMIG_ADMIN", "");
    let town = town.document(3, &[("user:1.1.0→1.0.0", "ALTER TABLE notes DROP COLUMN pinned;")]);
    town.run(["upgrade", "--all-users", "--backup"]).status(2).stderr_contains("`--admin URL`");
    assert_eq!(town.version("ann").as_deref(), Some("1.0.0"));
    town.run(["upgrade", "--all-users"]).status(0);
    town.run(["downgrade", "--to", "1.0.0", "--all-users"])
        .status(2)
        .stderr_contains("`--no-backup`");
    town.run(["reset", "--user", "ann", "--yes"]).status(2);
    town.run(["backup", "prune", "--keep", "0"]).status(0);
    assert_eq!(town.version("ann").as_deref(), Some("1.1.0"));
    town.run(["downgrade", "--to", "1.0.0", "--all-users", "--no-backup"]).status(0);
    assert_eq!(town.version("ann").as_deref(), Some("1.0.0"));
}

pub(crate) fn copies_in_files_are_put_into_namespaces() {
    let town = Town::of(&["ann"]).put("ann", &["INSERT INTO notes (body) VALUES ('tea')"]);
    let before = town.dump("ann");
    town.run(["pull", "--all-users"]).status(0);
    let files = over_files(&town.fleet, &["backup", "--all-users"]);
    assert!(files.contains("2 databases copied"), "{files}");
    town.sqld.run_in("ann_longterm", &["DELETE FROM notes"]);
    town.run(["restore", "latest", "--user", "ann"]).status(0);
    assert_eq!(town.dump("ann"), before);
}

pub(crate) fn a_namespace_is_reset_and_goes_down() {
    let back = ("user:1.1.0→1.0.0", "ALTER TABLE notes DROP COLUMN pinned;");
    let system = ("system:1.0.0→1.1.0", "CREATE TABLE extra (x);");
    let down = ("system:1.1.0→1.0.0", "DROP TABLE extra;");
    let town = Town::of(&["ann", "bob"])
        .put("ann", &["INSERT INTO notes (body) VALUES ('tea')"])
        .document(3, &[system, back, down]);
    town.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(town.rows("ann", "SELECT * FROM notes"), ["1|tea|0"]);
    town.run(["downgrade", "--to", "1.0.0", "--all-users"]).status(0);
    assert_eq!(town.rows("ann", "SELECT * FROM notes"), ["1|tea"]);
    assert_eq!(town.version("ann").as_deref(), Some("1.0.0"));
    assert_eq!(town.sqld.version("system").as_deref(), Some("1.0.0"));
    assert!(town.fleet.path("backups").is_dir(), "nothing was copied first");
    town.run(["upgrade", "--all-users"]).status(0);
    town.run(["reset", "--user", "ann", "--yes"]).status(0);
    assert_eq!(town.rows("ann", "SELECT * FROM notes"), Vec::<String>::new());
    assert_eq!(town.version("ann").as_deref(), Some("1.1.0"));
    town.run(["verify"]).status(0);
}
