//! Synth Mind, which was migrated with Alembic: every command that its page shows, by the words
//! that tatmig has for it.

use crate::life::Application;
use crate::support::{Database, Fleet};
use crate::{application, application_of, current};

fn synth_mind() -> Fleet {
    let fleet = application("synth-mind", "state");
    fleet.run(["init"]).status(0).stdout("state/memory.db: made at 1.2.0\n");
    fleet
}

#[track_caller]
fn database(fleet: &Fleet) -> Database {
    Database::open(&fleet.path("state/memory.db"))
}

const TABLES: [&str; 5] =
    ["episodes", "long_term", "semantic_memories", "turns", "uncertainty_log"];

/// What was said, whatever the version.
#[track_caller]
fn assert_remembers(fleet: &Fleet) {
    let made = database(fleet);
    assert_eq!(
        made.rows("SELECT id, speaker, content FROM turns ORDER BY id"),
        ["1|user|What are you called?", "2|assistant|Synth, I suppose."]
    );
    assert_eq!(made.rows("SELECT count(*) FROM episodes"), ["2"]);
    assert_eq!(made.rows("SELECT value FROM long_term WHERE key = 'name'"), ["\"Synth\""]);
}

/// The SQL of the baseline, as the application ran it by itself before it had migrations.
fn baseline(fleet: &Fleet) -> String {
    let text = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    let (_, rest) = text.split_once("-- [system:baseline→1.0.0:start]").unwrap();
    rest.split_once("-- [system:baseline→1.0.0:end]").unwrap().0.to_owned()
}

#[test]
fn every_table_and_index_is_made_where_the_settings_say() {
    let fleet = synth_mind();
    let made = database(&fleet);
    assert_eq!(made.tables(), TABLES);
    assert_eq!(
        made.rows("SELECT name FROM sqlite_schema WHERE name LIKE 'idx%' ORDER BY name"),
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
    assert_eq!(made.rows("PRAGMA journal_mode"), ["wal"]);
    // A variable puts another database in its place.
    let fleet = fleet.env("TATMIG_SYSTEM_DB", "state/other.db");
    fleet.run(["init"]).status(0).stdout("state/other.db: made at 1.2.0\n");
    fleet.run_without_a_trace(["current", "--json"]).stdout_contains("state/other.db");
}

#[test]
fn current_history_one_step_back_a_revision_back_and_to_head_again() {
    let fleet = synth_mind();
    fleet.run(["seed", "first-day"]).status(0).stdout("system: seeded\n");
    assert_eq!(current(&fleet), "1.2.0");
    let history = fleet.run_without_a_trace(["history"]).status(0).out();
    assert!(history.starts_with("baseline → 1.0.0      2026-01-01  The schema as it was"));
    assert_eq!(history.lines().count(), 3);

    fleet.run(["downgrade", "-1"]).status(0).stdout_contains("system: 1.2.0 → 1.1.0\n");
    assert_eq!(current(&fleet), "1.1.0");
    assert!(!database(&fleet).columns("uncertainty_log").contains(&"turn_id".to_owned()));
    assert_remembers(&fleet);

    fleet.run(["downgrade", "--to", "1.0.0"]).status(0);
    assert_eq!(current(&fleet), "1.0.0");
    assert_remembers(&fleet);
    // 1.0.0 lets anybody speak, which 1.1.0 takes care of.
    let made = database(&fleet);
    application_of(&made)
        .execute_batch("INSERT INTO turns VALUES (3, 1767225662.0, 'daemon', 'tick')")
        .unwrap();
    drop(made);

    fleet
        .run_without_a_trace(["upgrade", "--dry-run"])
        .status(0)
        .stdout_contains("CREATE TABLE turns_with_roles");
    fleet.run(["upgrade", "--rehearse"]).status(0);
    assert_eq!(current(&fleet), "1.0.0");
    fleet.run(["upgrade", "--to", "head"]).status(0).stdout("system: 1.0.0 → 1.2.0\n");
    let made = database(&fleet);
    assert_eq!(made.rows("SELECT speaker FROM turns ORDER BY id"), ["user", "assistant", "system"]);
    made.connection().execute_batch("DELETE FROM turns WHERE id = 3").unwrap();
    assert_eq!(
        made.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'idx_turns_timestamp'"),
        ["1"]
    );
    drop(made);
    assert_remembers(&fleet);
    fleet.run_without_a_trace(["verify"]).status(0).stdout("system: like the document\n");
    // What it went through, up and down, stands in its record.
    let record = fleet.run_without_a_trace(["history", "--system"]).status(0).out();
    assert_eq!(record.matches("  downgrade  ").count(), 2, "{record}");
}

#[test]
fn back_to_nothing_and_forward_again() {
    let fleet = synth_mind();
    fleet.run(["seed", "first-day"]).status(0);
    fleet.run(["downgrade", "--to", "baseline"]).status(0);
    assert!(database(&fleet).tables().is_empty());
    assert_eq!(current(&fleet), "baseline");
    fleet.run(["upgrade"]).status(0);
    fleet.run(["seed", "first-day"]).status(0);
    assert_remembers(&fleet);
    // The copies that were made on the way lead back as well.
    fleet.run(["restore", "latest"]).status(0);
    assert_remembers(&fleet);
}

#[test]
fn a_memory_from_before_the_record_is_stamped_or_known_by_its_schema() {
    // Made by the application's own code: tables, rows, and nothing of tatmig's.
    let fleet = application("synth-mind", "state");
    let sql = baseline(&fleet);
    let fleet = fleet.make("state/memory.db", &sql);
    fleet
        .run_without_a_trace(["status"])
        .status(0)
        .stdout_contains("unversioned, its schema is that of 1.");
    // An upgrade knows where it stands without being told.
    fleet.run(["upgrade"]).status(0);
    assert_eq!(current(&fleet), "1.2.0");

    // Who would rather say so, says so.
    let fleet = application("synth-mind", "state").make("state/memory.db", &sql);
    fleet.run(["stamp", "1.0.0"]).status(0);
    assert_eq!(current(&fleet), "1.0.0");
    fleet.run(["upgrade"]).status(0);
    fleet.run_without_a_trace(["verify"]).status(0);

    // The schema is there, the record is not: at head from now on.
    let made = database(&fleet);
    made.connection()
        .execute_batch("DROP TABLE _tatmig_migrations; DROP TABLE IF EXISTS _tatmig_sources;")
        .unwrap();
    drop(made);
    fleet.run(["stamp", "head"]).status(0);
    assert_eq!(current(&fleet), "1.2.0");
    fleet.run_without_a_trace(["status", "--exit-code"]).status(0);
    fleet.run_without_a_trace(["verify"]).status(0);
}

#[test]
fn a_migration_that_meets_bad_rows_leaves_the_memory_as_it_was() {
    let fleet = synth_mind();
    fleet.run(["seed", "first-day"]).status(0);
    let text = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    let more = "\n## 1.2.0 → 1.3.0\n\n```sql\n-- [system:1.2.0→1.3.0:start]\nALTER TABLE turns ADD COLUMN mood TEXT;\nCREATE UNIQUE INDEX one_moment ON episodes (valence > 0);\n-- [system:1.2.0→1.3.0:end]\n```\n";
    let fleet = fleet.document(format!("{text}{more}"));
    let before = database(&fleet).dump();
    fleet.run(["upgrade"]).status(1).stderr_contains("UNIQUE constraint failed");
    assert_eq!(database(&fleet).dump(), before);
    assert_remembers(&fleet);
}

#[test]
fn its_whole_life() {
    Application {
        name: "synth-mind",
        directory: "state",
        users: &[],
        databases: &["state/memory.db"],
        seeds: &["first-day"],
        versions: &["1.0.0", "1.1.0", "1.2.0"],
        counted: ("turns", 2),
        extended: "turns",
        revision: &[],
    }
    .live();
}
