//! Tests a fleet like that of a Bluesky server: a store for each of 1,000 accounts, in directories that
//! the hash of the account's name chooses, in WAL mode, created by an ORM and migrated by Kysely up to
//! different versions. The fleet is adopted, upgraded and verified, and every old row is still there.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::application_fleet;
use crate::support::{Database, Fleet, sha256};

const ACCOUNTS: usize = 1_000;

/// The stores from this account on have applied the first migration of Kysely only, from the second
/// one on all three. The others have applied two.
const FIRST_AT_ONE: usize = 600;
const FIRST_AT_THREE: usize = 900;

/// As Kysely writes statements: in lower case, with every name in quotes.
const STORE: &str = r#"
create table "kysely_migration" ("name" varchar(255) not null primary key, "timestamp" varchar(255) not null);
create table "kysely_migration_lock" ("id" varchar(255) not null primary key, "is_locked" integer default 0 not null);
insert into "kysely_migration_lock" values ('migration_lock', 0);
create table "repo_root" ("did" varchar primary key, "cid" varchar not null, "rev" varchar not null, "indexedAt" varchar not null);
create table "repo_block" ("cid" varchar primary key, "repoRev" varchar not null, "size" integer not null, "content" blob not null);
create index "repo_block_repo_rev_idx" on "repo_block" ("repoRev", "cid");
create table "record" ("uri" varchar primary key, "cid" varchar not null, "collection" varchar not null, "rkey" varchar not null, "repoRev" varchar not null, "indexedAt" varchar not null);
create index "record_cid_idx" on "record" ("cid");
create index "record_collection_idx" on "record" ("collection");
create table "blob" ("cid" varchar primary key, "mimeType" varchar not null, "size" integer not null, "tempKey" varchar, "createdAt" varchar not null);
create index "blob_tempkey_idx" on "blob" ("tempKey");
create table "record_blob" ("blobCid" varchar not null, "recordUri" varchar not null, constraint "record_blob_pkey" primary key ("blobCid", "recordUri"));
create table "account_pref" ("id" integer primary key autoincrement, "name" varchar not null, "valueJson" text not null);
insert into "repo_block" values ('bafyblock', 'rev1', 3, x'0a0b0c');
insert into "blob" values ('bafyblob', 'image/JPEG', 7, null, 'then');
insert into "record_blob" values ('bafyblob', 'at://post');
insert into "account_pref" ("name", "valueJson") values ('feed', '{"tags":["tea"]}');
"#;

const SECOND: &str = r#"
update "blob" set "mimeType" = lower("mimeType");
update "account_pref" set "valueJson" = json_set("valueJson", '$.version', 1);
"#;

const THIRD: &str = r#"
alter table "record" add column "takedownRef" varchar;
alter table "blob" add column "takedownRef" varchar;
"#;

const ACCOUNT_DATABASE: &str = r#"
pragma journal_mode = wal;
create table "kysely_migration" ("name" varchar(255) not null primary key, "timestamp" varchar(255) not null);
create table "kysely_migration_lock" ("id" varchar(255) not null primary key, "is_locked" integer default 0 not null);
insert into "kysely_migration" values ('001', '2024-01-15T00:00:00.000Z'), ('002', '2024-03-02T00:00:00.000Z');
create table "actor" ("did" varchar primary key, "handle" varchar, "createdAt" varchar not null, "takedownRef" varchar, "deactivatedAt" varchar, "deleteAfter" varchar);
create unique index "actor_handle_lower_idx" on "actor" (lower("handle"));
create table "account" ("did" varchar primary key, "email" varchar not null, "passwordScrypt" varchar not null, "emailConfirmedAt" varchar);
create unique index "account_email_lower_idx" on "account" (lower("email"));
create table "refresh_token" ("id" varchar primary key, "did" varchar not null, "expiresAt" varchar not null, "nextId" varchar);
create index "refresh_token_did_idx" on "refresh_token" ("did");
"#;

/// The name of an account: `did:plc:` and 24 letters and digits of base 32.
fn did(account: usize) -> String {
    let hash = sha256(format!("account {account}").as_bytes());
    let letters = hash.bytes().take(24).map(|digit| match digit {
        b'0' | b'1' | b'8' | b'9' => char::from(digit - b'0' + b'k'),
        digit => char::from(digit),
    });
    format!("did:plc:{}", letters.collect::<String>())
}

fn store_path(fleet: &Fleet, account: usize) -> PathBuf {
    let did = did(account);
    let directory = format!("actors/{}/{did}", &sha256(did.as_bytes())[..2]);
    fleet.path(directory).join("store.sqlite")
}

/// The number of Kysely's migrations that an account's store has.
fn applied_count(account: usize) -> usize {
    match account {
        FIRST_AT_THREE.. => 3,
        FIRST_AT_ONE.. => 1,
        _ => 2,
    }
}

/// Creates the databases as the server left them, each store with rows of its own.
fn create_fleet() -> Fleet {
    let fleet = application_fleet("bluesky-pds", "actors");
    let template = fleet.path("template.sqlite");
    let mut templates = Vec::new();
    let first = format!("pragma journal_mode = wal; {STORE}");
    for (count, sql) in (1..).zip([first.as_str(), SECOND, THIRD]) {
        let connection = Connection::open(&template).unwrap();
        connection.execute_batch(sql).unwrap();
        let name = format!("insert into \"kysely_migration\" values ('00{count}', 'then')");
        connection.execute_batch(&name).unwrap();
        drop(connection);
        templates.push(fs::read(&template).unwrap());
    }
    fs::remove_file(template).unwrap();
    let fleet = fleet.database_file("account.sqlite", ACCOUNT_DATABASE);
    let accounts = Database::open(&fleet.path("account.sqlite"));
    accounts.connection().execute_batch("begin").unwrap();
    for account in 0..ACCOUNTS {
        let (did, path) = (did(account), store_path(&fleet, account));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &templates[applied_count(account) - 1]).unwrap();
        // The server keeps the key of the account beside its store.
        fs::write(path.with_file_name("key"), [7; 32]).unwrap();
        let store = Connection::open(&path).unwrap();
        store.execute_batch("pragma synchronous = off; begin").unwrap();
        store
            .execute("insert into repo_root values (?1, 'bafyroot', 'rev1', 'then')", [&did])
            .unwrap();
        store
            .execute(
                "insert into record (uri, cid, collection, rkey, repoRev, indexedAt)
                 values ('at://' || ?1 || '/post/1', 'bafyrecord', 'app.feed.post', '1', 'rev1', 'then')",
                [&did],
            )
            .unwrap();
        store.execute_batch("commit").unwrap();
        accounts
            .connection()
            .execute("insert into actor (did, handle, createdAt) values (?1, ?1, 'then')", [&did])
            .unwrap();
    }
    accounts.connection().execute_batch("commit").unwrap();
    fleet
}

/// Changes one store by hand.
fn change_store(fleet: &Fleet, account: usize, sql: &str) {
    Connection::open(store_path(fleet, account)).unwrap().execute_batch(sql).unwrap();
}

/// Asserts that a store has all rows that it had, and what the migrations make of them.
#[track_caller]
fn assert_store(fleet: &Fleet, account: usize) {
    let did = did(account);
    let store = Database::open(&store_path(fleet, account));
    assert_eq!(store.version().as_deref(), Some("1.3.0"), "{did}");
    assert_eq!(store.rows("SELECT * FROM repo_root"), [format!("{did}|bafyroot|rev1|then")]);
    let record = format!("at://{did}/post/1|bafyrecord|app.feed.post|1|rev1|then|NULL");
    assert_eq!(store.rows("SELECT * FROM record"), [record]);
    assert_eq!(store.rows("SELECT * FROM repo_block"), ["bafyblock|rev1|3|[0a, 0b, 0c]"]);
    assert_eq!(store.rows("SELECT * FROM blob"), ["bafyblob|image/jpeg|7|NULL|then|NULL"]);
    assert_eq!(store.rows("SELECT * FROM record_blob"), ["bafyblob|at://post"]);
    // The second migration ran once, whether Kysely or tatmig ran it.
    let preference = r#"1|feed|{"tags":["tea"],"version":1}"#;
    assert_eq!(store.rows("SELECT * FROM account_pref"), [preference], "{did}");
    assert_eq!(store.rows("PRAGMA journal_mode"), ["wal"]);
}

#[test]
fn a_fleet_of_a_thousand_stores_is_adopted_upgraded_and_verified() {
    let fleet = create_fleet();
    // One store has a migration that the document does not have; of another one, the table is wrong.
    let (newer, wrong) = (3, 5);
    change_store(&fleet, newer, "insert into kysely_migration values ('004', 'then')");
    change_store(&fleet, wrong, "insert into kysely_migration values ('003', 'then')");

    let status = fleet.run_without_changes(["status", "--json"]).status(0).json();
    assert_eq!(status["summary"]["total"], ACCOUNTS + 1);
    assert_eq!(status["summary"]["unversioned"], ACCOUNTS + 1);
    let detected = |version: &str| {
        let databases = status["databases"].as_array().unwrap().iter();
        databases.filter(|database| database["detected"]["version"] == version).count()
    };
    // The database of accounts is at 1.2.0, which has no statement for it.
    assert_eq!((detected("1.0.0"), detected("1.2.0")), (300, 100 + 1));
    // Two stores are refused.
    assert_eq!(detected("1.1.0"), FIRST_AT_ONE - 2);

    let adopt = fleet.run(["adopt", "--all-users"]);
    adopt
        .status(1)
        .stdout_contains("300 users (")
        .stdout_contains("  note: `kysely_migration` records 1 migration and the schema matches 1.0.0\n")
        .stdout_contains("598 users (")
        .stdout_contains("  note: `kysely_migration` records 2 migrations and the schema matches 1.1.0\n")
        .stdout_contains("100 users (")
        .stdout_contains("  note: `kysely_migration` records 3 migrations and the schema matches 1.2.0\n")
        .stderr_contains(&format!("`{}` (", did(newer)))
        .stderr_contains("`kysely_migration` records `004`, which MIGRATIONS.md does not have")
        .stderr_contains(&format!("`{}` (", did(wrong)))
        .stderr_contains("`kysely_migration` records 3 migrations, up to 1.2.0; the schema matches 1.0.0 and 1.1.0");
    for account in [newer, wrong] {
        let store = Database::open(&store_path(&fleet, account));
        assert_eq!(store.history(), Vec::<String>::new());
        fleet.run(["adopt", "--at", "1.1.0", "--user", &did(account)]).status(0);
    }

    fleet.run(["upgrade", "--all-users"]).status(0);
    fleet
        .run_without_changes(["verify"])
        .status(0)
        .stdout_contains("system: OK, matches MIGRATIONS.md")
        .stdout_contains("1000 users (");
    for account in 0..ACCOUNTS {
        assert_store(&fleet, account);
    }
    let accounts = Database::open(&fleet.path("account.sqlite"));
    assert_eq!(accounts.version().as_deref(), Some("1.3.0"));
    assert_eq!(accounts.rows("SELECT count(*) FROM actor WHERE handle = did"), ["1000"]);
    let kysely = Database::open(&store_path(&fleet, 0)).rows("SELECT name FROM kysely_migration");
    assert_eq!(kysely, ["001", "002"]);
    // A second run has nothing to do, and a new account gets a store in its directory.
    fleet.run_without_changes(["upgrade", "--all-users"]).status(0);
    fleet.run(["init", "--user", &did(ACCOUNTS)]).status(0);
    let new = Database::open(&store_path(&fleet, ACCOUNTS));
    assert_eq!(new.version().as_deref(), Some("1.3.0"));
    assert_eq!(new.rows("PRAGMA journal_mode"), ["wal"]);
}
