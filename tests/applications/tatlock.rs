//! Tests Tatlock, for which the format was designed: one database for the system and one for each
//! person of the household, migrated together.

use crate::application_fleet;
use crate::lifecycle::Application;
use crate::support::{Database, Fleet};

const USERS: [&str; 3] = ["ada", "grace", "the children"];

fn initialized_fleet() -> Fleet {
    let fleet = application_fleet("tatlock", "longterm");
    let users = USERS.iter().flat_map(|name| ["--user", name]);
    fleet.run(std::iter::once("init").chain(users).collect::<Vec<_>>()).status(0).stdout(
        "system.db: created at 0.3.20\n\
         longterm/ada_longterm.db: created at 0.3.20\n\
         longterm/grace_longterm.db: created at 0.3.20\n\
         longterm/the children_longterm.db: created at 0.3.20\n",
    );
    fleet
}

#[track_caller]
fn user_database(fleet: &Fleet, name: &str) -> Database {
    Database::open(&fleet.path(format!("longterm/{name}_longterm.db")))
}

/// The messages in the old and in the new schema.
const INSERT_CONVERSATION: &str = "
INSERT INTO memories VALUES ('m1', 'c1', '2025-10-04T08:00:00Z', 'Tea?', 'Naturally.', NULL);
INSERT INTO conversations (conversation_id, title) VALUES ('c1', 'Tea');
INSERT INTO topics (topic_name) VALUES ('tea');
INSERT INTO memory_topics VALUES ('m1', 1);
";

#[track_caller]
fn assert_conversation_kept(fleet: &Fleet, name: &str) {
    let database = user_database(fleet, name);
    assert_eq!(database.rows("SELECT user_prompt, llm_reply FROM memories"), ["Tea?|Naturally."]);
    assert_eq!(
        database.rows("SELECT title FROM conversations WHERE conversation_id = 'c1'"),
        ["Tea"]
    );
    assert_eq!(database.rows("SELECT count(*) FROM memory_topics"), ["1"]);
}

fn insert_conversations(fleet: &Fleet) {
    for name in USERS {
        user_database(fleet, name).connection().execute_batch(INSERT_CONVERSATION).unwrap();
    }
}

#[test]
fn init_creates_every_table_of_both_scopes() {
    let fleet = initialized_fleet();
    let system = fleet.database("system");
    assert_eq!(
        system.tables(),
        [
            "groups",
            "passwords",
            "rise_and_shine",
            "roles",
            "setting_options",
            "system_settings",
            "tool_parameters",
            "tools",
            "user_groups",
            "user_roles",
            "users",
        ]
    );
    let user = user_database(&fleet, "ada");
    assert_eq!(
        user.tables(),
        [
            "conversation_compacts",
            "conversation_messages",
            "conversation_topics",
            "conversations",
            "memories",
            "memory_topics",
            "personal_variables",
            "personal_variables_keys",
            "short_term_storage",
            "topics",
        ]
    );
    assert_eq!(
        user.rows("SELECT name FROM sqlite_schema WHERE name LIKE 'idx%' ORDER BY name"),
        [
            "idx_compacts_conversation",
            "idx_compacts_timestamp",
            "idx_messages_conversation_number",
            "idx_messages_timestamp",
        ]
    );
    for database in [&system, &user] {
        assert_eq!(database.rows("PRAGMA journal_mode"), ["wal"]);
    }
    drop((system, user));
    fleet
        .run_without_changes(["status"])
        .status(0)
        .stdout_contains("head is 0.3.20, 0.3.21 planned, 0.3.22 planned, 0.3.23 planned\n")
        .stdout_contains("the children  0.3.20    current\n");
}

#[test]
fn downgrade_and_upgrade_of_all_users_keep_older_rows() {
    let fleet = initialized_fleet();
    insert_conversations(&fleet);
    fleet.run(["seed", "first-talk", "installation", "--all-users"]).status(0);
    fleet.run(["downgrade", "-1", "--all-users"]).status(0);
    fleet.run(["downgrade", "--to", "0.3.19", "--all-users"]).status(0);
    for name in USERS {
        assert_conversation_kept(&fleet, name);
        let database = user_database(&fleet, name);
        assert_eq!(database.version().as_deref(), Some("0.3.19"));
        assert!(!database.tables().contains(&"conversation_messages".to_owned()));
        assert!(!database.columns("conversations").contains(&"schema_version".to_owned()));
    }
    // A dry run, a rehearsal on the real rows, one person, and then the others.
    fleet
        .run_without_changes(["upgrade", "--all-users", "--dry-run"])
        .status(0)
        .stdout_contains("3 databases, ada, grace, the children");
    fleet.run(["upgrade", "--all-users", "--rehearse"]).status(0);
    assert_eq!(user_database(&fleet, "ada").version().as_deref(), Some("0.3.19"));
    fleet.run(["upgrade", "--user", "the children"]).status(0);
    fleet.run_without_changes(["status", "--exit-code"]).status(3);
    fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stdout("system: already at 0.3.20\n3 users: 2 upgraded to 0.3.20, 1 already at 0.3.20\n");
    for name in USERS {
        assert_conversation_kept(&fleet, name);
        assert_eq!(
            user_database(&fleet, name)
                .rows("SELECT schema_version FROM conversations WHERE conversation_id = 'c1'"),
            ["1"]
        );
    }
    fleet.run_without_changes(["verify"]).status(0);
    let history = fleet.run_without_changes(["history", "--user", "grace"]).status(0).stdout_text();
    assert!(history.contains("downgrade  0.3.20 → 0.3.19"), "{history}");
}

#[test]
fn a_fleet_downgraded_to_baseline_can_be_restored() {
    let fleet = initialized_fleet();
    insert_conversations(&fleet);
    fleet.run(["seed", "installation", "first-talk", "--all-users"]).status(0);
    fleet
        .run(["backup", "--all-users"])
        .status(0)
        .stdout_contains("4 databases copied to backups/");
    let backup = crate::newest_backup(&fleet);
    fleet.run(["downgrade", "--to", "baseline", "--all-users"]).status(0);
    assert!(fleet.database("system").tables().is_empty());
    for name in USERS {
        assert!(user_database(&fleet, name).tables().is_empty());
    }
    fleet.run(["upgrade", "--all-users"]).status(0);
    fleet.run(["seed", "installation", "first-talk", "--all-users"]).status(0);
    assert_eq!(fleet.database("system").rows("SELECT count(*) FROM roles"), ["3"]);
    fleet.run(["restore", &backup]).status(0);
    for name in USERS {
        assert_conversation_kept(&fleet, name);
    }
    fleet.run(["reset", "--user", "ada", "--yes"]).status(0);
    assert_eq!(user_database(&fleet, "ada").rows("SELECT count(*) FROM memories"), ["0"]);
    assert_conversation_kept(&fleet, "grace");
    fleet.run(["restore", &backup, "--user", "ada"]).status(0);
    assert_conversation_kept(&fleet, "ada");
    fleet.run_without_changes(["verify"]).status(0);
}

#[test]
fn seeds_are_idempotent_in_both_scopes() {
    let fleet = initialized_fleet();
    for _ in 0..2 {
        fleet.run(["seed", "installation"]).status(0).stdout("system: seeded\n");
        fleet.run(["seed", "first-talk", "--all-users"]).status(0).stderr("");
        let system = fleet.database("system");
        for (table, rows) in [
            ("roles", "3"),
            ("groups", "2"),
            ("system_settings", "3"),
            ("setting_options", "4"),
            ("tools", "2"),
            ("tool_parameters", "3"),
            ("rise_and_shine", "1"),
        ] {
            assert_eq!(system.rows(&format!("SELECT count(*) FROM {table}")), [rows], "{table}");
        }
        for name in USERS {
            let database = user_database(&fleet, name);
            assert_eq!(database.rows("SELECT count(*) FROM conversation_messages"), ["2"]);
        }
    }
    let json = fleet.run_without_changes(["status", "--stats", "--json"]).status(0).json();
    assert_eq!(json["stats"]["users"]["databases"], 3);
    assert_eq!(json["stats"]["users"]["tables"]["conversation_messages"], 6);
    assert_eq!(json["stats"]["system"]["tables"]["roles"], 3);
    let ada = ["status", "--stats", "--user", "ada"];
    fleet.run_without_changes(ada).status(0).stdout_contains("  conversation_messages    2 rows\n");
}

#[test]
fn databases_without_history_are_adopted() {
    let fleet = initialized_fleet();
    insert_conversations(&fleet);
    fleet.run(["downgrade", "--to", "0.3.19", "--all-users"]).status(0);
    // As the application created them, without history. One already has a column of a later
    // version.
    for name in USERS {
        let database = user_database(&fleet, name);
        database.connection().execute_batch("DROP TABLE _tatmig_migrations").unwrap();
    }
    user_database(&fleet, "grace")
        .connection()
        .execute_batch("ALTER TABLE conversations ADD COLUMN schema_version INTEGER DEFAULT 1")
        .unwrap();
    let run = fleet.run_without_changes(["status"]);
    run.stdout_contains(
        "ada           -         unversioned, its schema is that of 0.3.19, pending 0.3.20",
    );
    run.stdout_contains("unversioned, partial match");
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("grace");
    fleet.run(["adopt", "--user", "grace"]).status(0);
    fleet.run(["upgrade", "--all-users"]).status(0);
    fleet.run_without_changes(["status", "--exit-code"]).status(0);
    for name in USERS {
        assert_conversation_kept(&fleet, name);
    }
}

#[test]
fn planned_migrations_are_listed_and_rehearsed_but_never_applied() {
    let fleet = initialized_fleet();
    insert_conversations(&fleet);
    fleet.run(["upgrade", "--all-users"]).status(0);
    let before = user_database(&fleet, "ada").dump();
    fleet.run_without_changes(["history"]).status(0).stdout_contains("(planned)");
    fleet.run(["upgrade", "--all-users", "--rehearse", "--planned", "0.3.22"]).status(0);
    fleet
        .run_without_changes(["upgrade", "--all-users", "--to", "0.3.21"])
        .status(2)
        .stderr_contains("only planned");
    assert_eq!(user_database(&fleet, "ada").dump(), before);
}

#[test]
fn the_system_database_is_first_and_one_failing_user_stops_no_other() {
    let fleet = initialized_fleet();
    insert_conversations(&fleet);
    fleet.run(["downgrade", "--to", "0.3.19", "--all-users"]).status(0);
    // A different object has the name of the table that the migration creates.
    let database = user_database(&fleet, "grace");
    database.connection().execute_batch("CREATE TABLE conversation_messages (own TEXT)").unwrap();
    let before = database.dump();
    drop(database);
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stdout_contains("system: 0.3.19 → 0.3.20\n")
        .stderr_contains("grace");
    assert_eq!(user_database(&fleet, "grace").dump(), before);
    for name in ["ada", "the children"] {
        assert_eq!(user_database(&fleet, name).version().as_deref(), Some("0.3.20"));
        assert_conversation_kept(&fleet, name);
    }
    // Once that is fixed, the same command migrates the remaining databases.
    user_database(&fleet, "grace")
        .connection()
        .execute_batch("DROP TABLE conversation_messages")
        .unwrap();
    fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stdout("system: already at 0.3.20\n3 users: 1 upgraded to 0.3.20, 2 already at 0.3.20\n");
    assert_conversation_kept(&fleet, "grace");
}

#[test]
fn full_lifecycle() {
    Application {
        name: "tatlock",
        directory: "longterm",
        users: &["ada", "grace"],
        open_databases: &["system.db", "longterm/ada_longterm.db", "longterm/grace_longterm.db"],
        seeds: &["installation", "first-talk"],
        versions: &["0.3.19", "0.3.20"],
        counted_table: ("topics", 1),
        extended_table: "topics",
        new_arguments: &["--scope", "user", "--relink"],
    }
    .run_lifecycle();
}
