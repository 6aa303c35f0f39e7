//! `EdgeSoul`, whose own script knew three words: make the database, back it up, reset it. Here they
//! are, with what it promised of its database: WAL, foreign keys, and rows that outlive a restart.

use crate::life::Application;
use crate::support::{Database, Fleet};
use crate::{application, application_of, current, newest_backup, refuses};

fn edgesoul() -> Fleet {
    let fleet = application("edgesoul", "data");
    fleet.run(["init"]).status(0).stderr("").stdout("data/edgesoul.db: made at 1.2.0\n");
    fleet
}

#[track_caller]
fn database(fleet: &Fleet) -> Database {
    Database::open(&fleet.path("data/edgesoul.db"))
}

const TABLES: [&str; 4] =
    ["conversation_contexts", "emotional_patterns", "memories", "user_profiles"];

#[test]
fn the_first_start_makes_every_table_index_and_trigger_in_wal_mode() {
    let fleet = edgesoul();
    let made = database(&fleet);
    assert_eq!(made.rows("PRAGMA journal_mode"), ["wal"]);
    assert_eq!(made.tables(), TABLES);
    let named = |kind: &str| {
        made.rows(&format!(
            "SELECT name FROM sqlite_schema WHERE type = '{kind}' AND sql IS NOT NULL ORDER BY name"
        ))
    };
    assert_eq!(
        named("index"),
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
    assert_eq!(named("trigger").len(), 3);
    drop(made);
    assert_eq!(current(&fleet), "1.2.0");
    // A second start finds it and leaves it alone.
    fleet
        .run_without_a_trace(["init"])
        .status(0)
        .stdout("data/edgesoul.db: there already, left alone\n");
    fleet.run(["upgrade"]).status(0).stderr("").stdout("system: already at 1.2.0\n");
    fleet.run_without_a_trace(["status", "--exit-code"]).status(0);
}

#[test]
fn what_cannot_be_is_refused_by_the_database_itself() {
    let fleet = edgesoul();
    fleet.run(["seed", "persistence"]).status(0);
    let made = database(&fleet);
    let memory = |columns: &str, values: &str| {
        format!("INSERT INTO memories (id, {columns}) VALUES ('new', {values})")
    };
    let columns = "user_id, memory_type, content";
    refuses(&made, &memory(columns, "'nobody', 'fact', 'x'"), "FOREIGN KEY constraint failed");
    refuses(&made, &memory(columns, "'test_user', 'dream', 'x'"), "CHECK constraint failed");
    refuses(&made, &memory(columns, "'test_user', 'fact', NULL"), "NOT NULL constraint failed");
    let certain = memory(&format!("{columns}, confidence"), "'test_user', 'fact', 'x', 1.5");
    refuses(&made, &certain, "CHECK constraint failed");
    refuses(
        &made,
        "UPDATE conversation_contexts SET messages = '[1,2,3,4,5,6,7,8,9,10,11]'",
        "CHECK constraint failed",
    );
    refuses(
        &made,
        "INSERT INTO emotional_patterns (user_id, emotion) VALUES ('test_user', 'joy')",
        "UNIQUE constraint failed",
    );
    // A profile takes all that is its own along.
    application_of(&made).execute_batch("DELETE FROM user_profiles").unwrap();
    for table in TABLES {
        assert_eq!(made.rows(&format!("SELECT count(*) FROM {table}")), ["0"], "{table}");
    }
}

/// What the application's own test of persistence reads back after a restart.
#[track_caller]
fn assert_persisted(fleet: &Fleet) {
    let made = database(fleet);
    let profile = "SELECT name, gender_preference, empathy_level, humor_level FROM user_profiles";
    assert_eq!(made.rows(profile), ["Test User|female|95|75"]);
    assert_eq!(
        made.rows("SELECT memory_type FROM memories WHERE content LIKE '% tea %'"),
        ["preference"]
    );
    assert_eq!(
        made.rows(
            "SELECT emotion, frequency, average_intensity FROM emotional_patterns ORDER BY emotion"
        ),
        ["joy|2|0.88", "sadness|1|0.3"]
    );
    assert_eq!(
        made.rows("SELECT session_id, json_array_length(messages) FROM conversation_contexts"),
        ["session-1|1"]
    );
}

#[track_caller]
fn rows(fleet: &Fleet) -> [u64; 4] {
    let json = fleet.run_without_a_trace(["status", "--stats", "--json"]).status(0).json();
    TABLES.map(|table| json["stats"]["system"]["tables"][table].as_u64().unwrap())
}

#[test]
fn rows_outlive_a_restart_and_the_statistics_count_them() {
    let fleet = edgesoul();
    assert_eq!(rows(&fleet), [0; 4]);
    for _ in 0..2 {
        fleet.run(["seed", "persistence"]).status(0).stderr("").stdout("system: seeded\n");
        assert_persisted(&fleet);
        assert_eq!(rows(&fleet), [1, 2, 2, 1]);
    }
    fleet
        .run_without_a_trace(["status", "--stats"])
        .status(0)
        .stdout_contains("  memories               2 rows\n");
}

#[test]
fn a_backup_is_put_back_and_a_reset_leaves_one_behind() {
    let fleet = edgesoul();
    fleet.run(["seed", "persistence"]).status(0);
    fleet.run(["backup"]).status(0).stdout_contains("1 database copied to backups/");
    let first = newest_backup(&fleet);
    assert!(fleet.path("backups").join(&first).join("edgesoul.db").exists());

    // Something goes wrong, and the backup mends it.
    application_of(&database(&fleet)).execute_batch("DELETE FROM user_profiles").unwrap();
    assert_eq!(rows(&fleet), [0; 4]);
    fleet.run(["restore", &first]).status(0);
    assert_persisted(&fleet);

    // A reset is asked about; where nobody can answer it is refused.
    fleet.run_without_a_trace(["reset"]).status(2).stderr_contains("`--yes` says that it is meant");
    assert_persisted(&fleet);
    fleet.run(["reset", "--yes"]).status(0).stdout_contains("system: made anew at 1.2.0");
    assert_eq!(rows(&fleet), [0; 4]);
    assert_eq!(current(&fleet), "1.2.0");
    assert_eq!(database(&fleet).rows("PRAGMA journal_mode"), ["wal"]);
    fleet.run(["verify"]).status(0);

    // Even so nothing was lost: what a reset or a restore replaces is copied first.
    fleet.run(["restore", "latest"]).status(0);
    assert_persisted(&fleet);
    fleet.run(["restore", "latest"]).status(0);
    assert_eq!(rows(&fleet), [0; 4]);
    fleet.run(["restore", &first]).status(0);
    assert_persisted(&fleet);
}

#[test]
fn a_file_that_is_gone_comes_back_from_a_backup_as_it_was() {
    let fleet = edgesoul();
    fleet.run(["seed", "persistence"]).status(0);
    fleet.run(["backup"]).status(0);
    std::fs::remove_file(fleet.path("data/edgesoul.db")).unwrap();
    fleet.run(["status"]).status(2).stderr_contains("there is no system database");
    fleet.run(["restore", "latest"]).status(0);
    assert_persisted(&fleet);
    assert_eq!(database(&fleet).rows("PRAGMA journal_mode"), ["wal"]);
    assert_eq!(current(&fleet), "1.2.0");
}

#[test]
fn one_step_back_keeps_the_rows_and_so_does_the_way_forward() {
    let fleet = edgesoul();
    fleet.run(["seed", "persistence"]).status(0);
    fleet.run(["downgrade", "--to", "1.0.0"]).status(0);
    assert_eq!(current(&fleet), "1.0.0");
    assert!(!database(&fleet).columns("user_profiles").contains(&"voice_speed".to_owned()));
    assert_persisted(&fleet);
    // Each change was copied before it was made.
    fleet.run(["backup", "list"]).status(0).stdout_contains("before a downgrade");
    fleet.run(["upgrade", "--to", "1.1.0"]).status(0).stdout("system: 1.0.0 → 1.1.0\n");
    fleet.run(["upgrade", "--backup"]).status(0).stdout_contains("system: 1.1.0 → 1.2.0\n");
    fleet.run(["backup", "list"]).status(0).stdout_contains("before an upgrade");
    assert_persisted(&fleet);
    let made = database(&fleet);
    assert_eq!(made.rows("SELECT voice_speed, auto_speak FROM user_profiles"), ["1|0"]);
    // The triggers of 1.2.0 are back.
    made.connection()
        .execute_batch(
            "UPDATE user_profiles SET updated_at = '2000-01-01'; UPDATE user_profiles SET name = 'T';",
        )
        .unwrap();
    assert!(made.rows("SELECT 1 FROM user_profiles WHERE updated_at LIKE '2000%'").is_empty());
}

#[test]
fn a_place_that_is_not_there_is_told_before_anything_is_made() {
    let fleet = application("edgesoul", "elsewhere");
    fleet
        .run_without_a_trace(["init"])
        .status(2)
        .stderr_contains("there is no directory `data` to make `data/edgesoul.db` in");
    fleet.run_without_a_trace(["upgrade"]).status(2).stderr_contains("`tatmig init` makes one");
}

#[test]
fn its_whole_life() {
    Application {
        name: "edgesoul",
        directory: "data",
        users: &[],
        databases: &["data/edgesoul.db"],
        seeds: &["persistence"],
        versions: &["1.0.0", "1.1.0", "1.2.0"],
        counted: ("emotional_patterns", 2),
        extended: "memories",
        revision: &[],
    }
    .live();
}
