//! Tests `EdgeSoul`, whose own script had three commands: create the database, back it up, reset
//! it. Tests them with tatmig, together with what the application needs: WAL mode, foreign keys,
//! and rows that survive a restart.

use crate::lifecycle::Application;
use crate::support::{Database, Fleet};
use crate::{
    application_connection, application_fleet, assert_rejected, current_version, newest_backup,
};

fn initialized_fleet() -> Fleet {
    let fleet = application_fleet("edgesoul", "data");
    fleet.run(["init"]).status(0).stderr("").stdout("data/edgesoul.db: created at 1.2.0\n");
    fleet
}

#[track_caller]
fn database(fleet: &Fleet) -> Database {
    Database::open(&fleet.path("data/edgesoul.db"))
}

const TABLES: [&str; 4] =
    ["conversation_contexts", "emotional_patterns", "memories", "user_profiles"];

#[test]
fn init_creates_every_table_index_and_trigger_in_wal_mode() {
    let fleet = initialized_fleet();
    let db = database(&fleet);
    assert_eq!(db.rows("PRAGMA journal_mode"), ["wal"]);
    assert_eq!(db.tables(), TABLES);
    let object_names = |kind: &str| {
        db.rows(&format!(
            "SELECT name FROM sqlite_schema WHERE type = '{kind}' AND sql IS NOT NULL ORDER BY name"
        ))
    };
    assert_eq!(
        object_names("index"),
        [
            "ix_contexts_created",
            "ix_emotions_created",
            "ix_emotions_user",
            "ix_emotions_user_emotion",
            "ix_memories_created",
            "ix_memories_user",
            "ix_memories_user_type",
        ]
    );
    assert_eq!(object_names("trigger").len(), 3);
    drop(db);
    assert_eq!(current_version(&fleet), "1.2.0");
    // A second start finds the database and does not change it.
    fleet
        .run_without_changes(["init"])
        .status(0)
        .stdout("data/edgesoul.db: already exists, not changed\n");
    fleet.run(["upgrade"]).status(0).stderr("").stdout("system: already at 1.2.0\n");
    fleet.run_without_changes(["status", "--exit-code"]).status(0);
}

#[test]
fn constraints_reject_invalid_rows() {
    let fleet = initialized_fleet();
    fleet.run(["seed", "persistence"]).status(0);
    let db = database(&fleet);
    let insert_memory = |columns: &str, values: &str| {
        format!("INSERT INTO memories (id, {columns}) VALUES ('new', {values})")
    };
    let columns = "user_id, memory_type, content";
    assert_rejected(
        &db,
        &insert_memory(columns, "'nobody', 'fact', 'x'"),
        "FOREIGN KEY constraint failed",
    );
    assert_rejected(
        &db,
        &insert_memory(columns, "'test_user', 'dream', 'x'"),
        "CHECK constraint failed",
    );
    assert_rejected(
        &db,
        &insert_memory(columns, "'test_user', 'fact', NULL"),
        "NOT NULL constraint failed",
    );
    let invalid_confidence =
        insert_memory(&format!("{columns}, confidence"), "'test_user', 'fact', 'x', 1.5");
    assert_rejected(&db, &invalid_confidence, "CHECK constraint failed");
    assert_rejected(
        &db,
        "UPDATE conversation_contexts SET messages = '[1,2,3,4,5,6,7,8,9,10,11]'",
        "CHECK constraint failed",
    );
    assert_rejected(
        &db,
        "INSERT INTO emotional_patterns (user_id, emotion) VALUES ('test_user', 'joy')",
        "UNIQUE constraint failed",
    );
    // Deleting a profile deletes all of its rows.
    application_connection(&db).execute_batch("DELETE FROM user_profiles").unwrap();
    for table in TABLES {
        assert_eq!(db.rows(&format!("SELECT count(*) FROM {table}")), ["0"], "{table}");
    }
}

/// What the application's own test of persistence reads back after a restart.
#[track_caller]
fn assert_persisted(fleet: &Fleet) {
    let db = database(fleet);
    let profile = "SELECT name, gender_preference, empathy_level, humor_level FROM user_profiles";
    assert_eq!(db.rows(profile), ["Test User|female|95|75"]);
    assert_eq!(
        db.rows("SELECT memory_type FROM memories WHERE content LIKE '% tea %'"),
        ["preference"]
    );
    assert_eq!(
        db.rows(
            "SELECT emotion, frequency, average_intensity FROM emotional_patterns ORDER BY emotion"
        ),
        ["joy|2|0.88", "sadness|1|0.3"]
    );
    assert_eq!(
        db.rows("SELECT session_id, json_array_length(messages) FROM conversation_contexts"),
        ["session-1|1"]
    );
}

#[track_caller]
fn row_counts(fleet: &Fleet) -> [u64; 4] {
    let json = fleet.run_without_changes(["status", "--stats", "--json"]).status(0).json();
    TABLES.map(|table| json["stats"]["system"]["tables"][table].as_u64().unwrap())
}

#[test]
fn seeded_rows_persist_and_statistics_count_them() {
    let fleet = initialized_fleet();
    assert_eq!(row_counts(&fleet), [0; 4]);
    for _ in 0..2 {
        fleet.run(["seed", "persistence"]).status(0).stderr("").stdout("system: seeded\n");
        assert_persisted(&fleet);
        assert_eq!(row_counts(&fleet), [1, 2, 2, 1]);
    }
    fleet
        .run_without_changes(["status", "--stats"])
        .status(0)
        .stdout_contains("  memories               2 rows\n");
}

#[test]
fn a_backup_can_be_restored_and_a_reset_backs_up_first() {
    let fleet = initialized_fleet();
    fleet.run(["seed", "persistence"]).status(0);
    fleet.run(["backup"]).status(0).stdout_contains("1 database copied to backups/");
    let first = newest_backup(&fleet);
    assert!(fleet.path("backups").join(&first).join("edgesoul.db").exists());

    // Data is lost, and the backup restores it.
    application_connection(&database(&fleet)).execute_batch("DELETE FROM user_profiles").unwrap();
    assert_eq!(row_counts(&fleet), [0; 4]);
    fleet.run(["restore", &first]).status(0);
    assert_persisted(&fleet);

    // A reset asks for confirmation; without a terminal it is refused.
    fleet
        .run_without_changes(["reset"])
        .status(2)
        .stderr_contains("cannot ask for confirmation here; pass `--yes`");
    assert_persisted(&fleet);
    fleet.run(["reset", "--yes"]).status(0).stdout_contains("system: reset, empty at 1.2.0");
    assert_eq!(row_counts(&fleet), [0; 4]);
    assert_eq!(current_version(&fleet), "1.2.0");
    assert_eq!(database(&fleet).rows("PRAGMA journal_mode"), ["wal"]);
    fleet.run(["verify"]).status(0);

    // Nothing was lost: a reset or a restore copies what it replaces first.
    fleet.run(["restore", "latest"]).status(0);
    assert_persisted(&fleet);
    fleet.run(["restore", "latest"]).status(0);
    assert_eq!(row_counts(&fleet), [0; 4]);
    fleet.run(["restore", &first]).status(0);
    assert_persisted(&fleet);
}

#[test]
fn a_missing_database_is_restored_from_a_backup() {
    let fleet = initialized_fleet();
    fleet.run(["seed", "persistence"]).status(0);
    fleet.run(["backup"]).status(0);
    std::fs::remove_file(fleet.path("data/edgesoul.db")).unwrap();
    fleet
        .run(["status"])
        .status(2)
        .stderr_contains("the system database `data/edgesoul.db` does not exist");
    fleet.run(["restore", "latest"]).status(0);
    assert_persisted(&fleet);
    assert_eq!(database(&fleet).rows("PRAGMA journal_mode"), ["wal"]);
    assert_eq!(current_version(&fleet), "1.2.0");
}

#[test]
fn downgrade_and_upgrade_keep_the_rows() {
    let fleet = initialized_fleet();
    fleet.run(["seed", "persistence"]).status(0);
    fleet.run(["downgrade", "--to", "1.0.0"]).status(0);
    assert_eq!(current_version(&fleet), "1.0.0");
    assert!(!database(&fleet).columns("user_profiles").contains(&"voice_speed".to_owned()));
    assert_persisted(&fleet);
    // A copy was made before each change.
    fleet.run(["backup", "list"]).status(0).stdout_contains("before a downgrade");
    fleet.run(["upgrade", "--to", "1.1.0"]).status(0).stdout("system: 1.0.0 → 1.1.0\n");
    fleet.run(["upgrade", "--backup"]).status(0).stdout_contains("system: 1.1.0 → 1.2.0\n");
    fleet.run(["backup", "list"]).status(0).stdout_contains("before an upgrade");
    assert_persisted(&fleet);
    let db = database(&fleet);
    assert_eq!(db.rows("SELECT voice_speed, auto_speak FROM user_profiles"), ["1|0"]);
    // The triggers of 1.2.0 exist again.
    db.connection()
        .execute_batch(
            "UPDATE user_profiles SET updated_at = '2000-01-01'; UPDATE user_profiles SET name = 'T';",
        )
        .unwrap();
    assert!(db.rows("SELECT 1 FROM user_profiles WHERE updated_at LIKE '2000%'").is_empty());
}

#[test]
fn a_missing_directory_is_made_by_init_alone() {
    let fleet = application_fleet("edgesoul", "elsewhere");
    fleet
        .run_without_changes(["upgrade"])
        .status(2)
        .stderr_contains("create it with `tatmig init`");
    assert!(!fleet.path("data").exists());
    fleet.run(["init"]).status(0).stdout_contains("data/edgesoul.db: created");
    fleet.run_without_changes(["verify"]).status(0);
}

#[test]
fn full_lifecycle() {
    Application {
        name: "edgesoul",
        directory: "data",
        users: &[],
        open_databases: &["data/edgesoul.db"],
        seeds: &["persistence"],
        versions: &["1.0.0", "1.1.0", "1.2.0"],
        counted_table: ("emotional_patterns", 2),
        extended_table: "memories",
        new_arguments: &[],
    }
    .run_lifecycle();
}
