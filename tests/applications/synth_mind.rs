//! Tests Synth Mind, which was migrated with Alembic: every command of its documentation, in
//! tatmig's form.

use crate::lifecycle::Application;
use crate::support::{Database, Fleet};
use crate::{application_connection, application_fleet, current_version};

fn initialized_fleet() -> Fleet {
    let fleet = application_fleet("synth-mind", "state");
    fleet.run(["init"]).status(0).stdout("state/memory.db: created at 1.2.0\n");
    fleet
}

#[track_caller]
fn database(fleet: &Fleet) -> Database {
    Database::open(&fleet.path("state/memory.db"))
}

const TABLES: [&str; 5] =
    ["episodes", "long_term", "semantic_memories", "turns", "uncertainty_log"];

/// The messages, in any version.
#[track_caller]
fn assert_rows_kept(fleet: &Fleet) {
    let db = database(fleet);
    assert_eq!(
        db.rows("SELECT id, speaker, content FROM turns ORDER BY id"),
        ["1|user|What are you called?", "2|assistant|Synth, I suppose."]
    );
    assert_eq!(db.rows("SELECT count(*) FROM episodes"), ["2"]);
    assert_eq!(db.rows("SELECT value FROM long_term WHERE key = 'name'"), ["\"Synth\""]);
}

/// The SQL of the baseline, as the application ran it before it had migrations.
fn baseline_sql(fleet: &Fleet) -> String {
    let text = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    let (_, rest) = text.split_once("-- [system:baseline→1.0.0:start]").unwrap();
    rest.split_once("-- [system:baseline→1.0.0:end]").unwrap().0.to_owned()
}

#[test]
fn init_creates_the_database_at_the_configured_path() {
    let fleet = initialized_fleet();
    let db = database(&fleet);
    assert_eq!(db.tables(), TABLES);
    assert_eq!(
        db.rows("SELECT name FROM sqlite_schema WHERE name LIKE 'idx%' ORDER BY name"),
        [
            "idx_episodes_event_type",
            "idx_episodes_timestamp",
            "idx_semantic_category",
            "idx_semantic_importance",
            "idx_turns_timestamp",
            "idx_uncertainty_resolved",
            "idx_uncertainty_turn",
        ]
    );
    assert_eq!(db.rows("PRAGMA journal_mode"), ["wal"]);
    // An environment variable selects another database.
    let fleet = fleet.env("TATMIG_SYSTEM_DB", "state/other.db");
    fleet.run(["init"]).status(0).stdout("state/other.db: created at 1.2.0\n");
    fleet.run_without_changes(["current", "--json"]).stdout_contains("state/other.db");
}

#[test]
fn downgrades_and_upgrades_keep_the_rows() {
    let fleet = initialized_fleet();
    fleet.run(["seed", "first-day"]).status(0).stdout("system: seeded\n");
    assert_eq!(current_version(&fleet), "1.2.0");
    let history = fleet.run_without_changes(["history"]).status(0).stdout_text();
    assert!(history.starts_with("baseline → 1.0.0      2026-01-01  The schema as it was"));
    assert_eq!(history.lines().count(), 3);

    fleet.run(["downgrade", "-1"]).status(0).stdout_contains("system: 1.2.0 → 1.1.0\n");
    assert_eq!(current_version(&fleet), "1.1.0");
    assert!(!database(&fleet).columns("uncertainty_log").contains(&"turn_id".to_owned()));
    assert_rows_kept(&fleet);

    fleet.run(["downgrade", "--to", "1.0.0"]).status(0);
    assert_eq!(current_version(&fleet), "1.0.0");
    assert_rows_kept(&fleet);
    // 1.0.0 accepts any speaker; 1.1.0 handles such rows.
    let db = database(&fleet);
    application_connection(&db)
        .execute_batch("INSERT INTO turns VALUES (3, 1767225662.0, 'daemon', 'tick')")
        .unwrap();
    drop(db);

    fleet
        .run_without_changes(["upgrade", "--dry-run"])
        .status(0)
        .stdout_contains("CREATE TABLE turns_with_roles");
    fleet.run(["upgrade", "--rehearse"]).status(0);
    assert_eq!(current_version(&fleet), "1.0.0");
    fleet.run(["upgrade", "--to", "head"]).status(0).stdout("system: 1.0.0 → 1.2.0\n");
    let db = database(&fleet);
    assert_eq!(db.rows("SELECT speaker FROM turns ORDER BY id"), ["user", "assistant", "system"]);
    db.connection().execute_batch("DELETE FROM turns WHERE id = 3").unwrap();
    assert_eq!(
        db.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'idx_turns_timestamp'"),
        ["1"]
    );
    drop(db);
    assert_rows_kept(&fleet);
    fleet.run_without_changes(["verify"]).status(0).stdout("system: OK, matches MIGRATIONS.md\n");
    // Its history lists the upgrades and downgrades.
    let history_output = fleet.run_without_changes(["history", "--system"]).status(0).stdout_text();
    assert_eq!(history_output.matches("  downgrade  ").count(), 2, "{history_output}");
}

#[test]
fn downgrade_to_baseline_and_upgrade_again() {
    let fleet = initialized_fleet();
    fleet.run(["seed", "first-day"]).status(0);
    fleet.run(["downgrade", "--to", "baseline"]).status(0);
    assert!(database(&fleet).tables().is_empty());
    assert_eq!(current_version(&fleet), "baseline");
    fleet.run(["upgrade"]).status(0);
    fleet.run(["seed", "first-day"]).status(0);
    assert_rows_kept(&fleet);
    // The copies that were made before each change can be restored as well.
    fleet.run(["restore", "latest"]).status(0);
    assert_rows_kept(&fleet);
}

#[test]
fn a_database_without_history_is_detected_or_stamped() {
    // Created by the application's own code: tables and rows, without tatmig's tables.
    let fleet = application_fleet("synth-mind", "state");
    let sql = baseline_sql(&fleet);
    let fleet = fleet.database_file("state/memory.db", &sql);
    fleet
        .run_without_changes(["status"])
        .status(0)
        .stdout_contains("unversioned, its schema is that of 1.");
    // An upgrade detects the version by itself.
    fleet.run(["upgrade"]).status(0);
    assert_eq!(current_version(&fleet), "1.2.0");

    // The version can also be given explicitly.
    let fleet = application_fleet("synth-mind", "state").database_file("state/memory.db", &sql);
    fleet.run(["stamp", "1.0.0"]).status(0);
    assert_eq!(current_version(&fleet), "1.0.0");
    fleet.run(["upgrade"]).status(0);
    fleet.run_without_changes(["verify"]).status(0);

    // The schema exists, the history does not: `stamp` records head.
    let db = database(&fleet);
    db.connection()
        .execute_batch("DROP TABLE _tatmig_migrations; DROP TABLE IF EXISTS _tatmig_sources;")
        .unwrap();
    drop(db);
    fleet.run(["stamp", "head"]).status(0);
    assert_eq!(current_version(&fleet), "1.2.0");
    fleet.run_without_changes(["status", "--exit-code"]).status(0);
    fleet.run_without_changes(["verify"]).status(0);
}

#[test]
fn a_failing_migration_leaves_the_database_unchanged() {
    let fleet = initialized_fleet();
    fleet.run(["seed", "first-day"]).status(0);
    let text = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    let more = "\n## 1.2.0 → 1.3.0\n\n```sql\n-- [system:1.2.0→1.3.0:start]\nALTER TABLE turns ADD COLUMN mood TEXT;\nCREATE UNIQUE INDEX one_moment ON episodes (valence > 0);\n-- [system:1.2.0→1.3.0:end]\n```\n";
    let fleet = fleet.document(format!("{text}{more}"));
    let before = database(&fleet).dump();
    fleet.run(["upgrade"]).status(1).stderr_contains("UNIQUE constraint failed");
    assert_eq!(database(&fleet).dump(), before);
    assert_rows_kept(&fleet);
}

#[test]
fn full_lifecycle() {
    Application {
        name: "synth-mind",
        directory: "state",
        users: &[],
        open_databases: &["state/memory.db"],
        seeds: &["first-day"],
        versions: &["1.0.0", "1.1.0", "1.2.0"],
        counted_table: ("turns", 2),
        extended_table: "turns",
        new_arguments: &[],
    }
    .run_lifecycle();
}
