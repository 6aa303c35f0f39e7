//! Tests the Reddit agent: its documented procedure for testing migrations, its three seed scripts,
//! and the constraints and cascades of each table.

use crate::lifecycle::Application;
use crate::support::{Database, Fleet};
use crate::{application_connection, application_fleet, assert_rejected, current_version};

fn initialized_fleet() -> Fleet {
    let fleet = application_fleet("reddit-agent", "data");
    fleet.run(["init"]).status(0).stdout("data/reddit_agent.db: created at 0.3.0\n");
    fleet
}

#[track_caller]
fn database(fleet: &Fleet) -> Database {
    Database::open(&fleet.path("data/reddit_agent.db"))
}

#[track_caller]
fn count_rows(db: &Database, table: &str) -> String {
    db.rows(&format!("SELECT count(*) FROM {table}")).join("")
}

const TABLES: [&str; 10] = [
    "admins",
    "agent_config",
    "belief_edges",
    "belief_nodes",
    "belief_updates",
    "evidence_links",
    "interactions",
    "pending_posts",
    "personas",
    "stance_versions",
];

/// The tables whose rows are deleted with a persona.
const PERSONA_TABLES: [&str; 8] = [
    "agent_config",
    "belief_edges",
    "belief_nodes",
    "belief_updates",
    "evidence_links",
    "interactions",
    "pending_posts",
    "stance_versions",
];

/// One row in each table that the seeds leave empty.
const ROWS: &str = "
INSERT INTO belief_updates (id, persona_id, belief_id, new_value, reason, trigger_type)
SELECT 'u', persona_id, id, '{}', 'read more', 'evidence' FROM belief_nodes LIMIT 1;
INSERT INTO evidence_links (id, persona_id, belief_id, source_type, source_ref)
SELECT 'e', persona_id, id, 'note', 'a notebook' FROM belief_nodes LIMIT 1;
INSERT INTO interactions (id, persona_id, content, interaction_type, reddit_id, subreddit, embedding)
SELECT 'i', id, 'Hello', 'comment', 't1_abc', 'test', x'00ff' FROM personas LIMIT 1;
INSERT INTO pending_posts (id, persona_id, content) SELECT 'p', id, 'A draft' FROM personas LIMIT 1;
";

#[track_caller]
fn seed_all(fleet: &Fleet) {
    let run = fleet.run(["seed", "admin", "default-config", "demo"]);
    run.status(0).stderr("").stdout("system: seeded\n");
}

#[test]
fn every_table_has_its_columns_and_every_foreign_key_its_index() {
    let fleet = initialized_fleet();
    let db = database(&fleet);
    assert_eq!(db.tables(), TABLES);
    for table in TABLES {
        let columns = db.columns(table);
        assert_eq!(columns.first().map(String::as_str), Some("id"), "{table}");
        assert!(columns.ends_with(&["created_at".to_owned(), "updated_at".to_owned()]), "{table}");
    }
    for table in PERSONA_TABLES {
        let keys = db.rows(&format!(
            "SELECT \"from\", on_delete FROM pragma_foreign_key_list('{table}') ORDER BY \"from\""
        ));
        assert!(keys.contains(&"persona_id|CASCADE".to_owned()), "{table}: {keys:?}");
        for key in keys {
            let (column, _) = key.split_once('|').unwrap();
            let leading = db.rows(&format!(
                "SELECT 1 FROM pragma_index_list('{table}') AS list \
                 JOIN pragma_index_info(list.name) AS info WHERE info.seqno = 0 AND info.name = '{column}'"
            ));
            assert!(!leading.is_empty(), "no index finds `{table}.{column}`");
        }
    }
    assert_eq!(db.rows("PRAGMA journal_mode"), ["wal"]);
}

#[test]
fn the_documented_migration_procedure_works() {
    let fleet = initialized_fleet();
    // From nothing to head.
    fleet.run(["downgrade", "--to", "baseline"]).status(0);
    assert_eq!(current_version(&fleet), "baseline");
    fleet.run(["upgrade"]).status(0).stdout("system: baseline → 0.3.0\n");
    assert_eq!(current_version(&fleet), "0.3.0");
    fleet.run(["seed", "demo"]).status(0);
    assert_eq!(count_rows(&database(&fleet), "belief_nodes"), "8");
    // With rows, down to nothing: every table is dropped, the history stays.
    fleet.run(["downgrade", "--to", "baseline"]).status(0);
    assert_eq!(
        database(&fleet)
            .rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"),
        ["_tatmig_migrations", "_tatmig_sources"]
    );
    // Up again, with the rows.
    fleet.run(["upgrade"]).status(0);
    fleet.run(["seed", "demo"]).status(0);
    let db = database(&fleet);
    assert_eq!(count_rows(&db, "belief_nodes"), "8");
    assert_eq!(count_rows(&db, "belief_edges"), "7");
    drop(db);
    fleet.run_without_changes(["verify"]).status(0).stdout("system: OK, matches MIGRATIONS.md\n");
    // `test` gives the same result without a database.
    fleet.run_without_changes(["test"]).status(0).stdout_contains("(10 tables, 120 rows)");
}

#[test]
fn downgrades_drop_only_what_each_migration_added() {
    let fleet = initialized_fleet();
    seed_all(&fleet);
    fleet.run(["downgrade", "-1"]).status(0).stdout_contains("system: 0.3.0 → 0.2.0\n");
    assert!(!database(&fleet).tables().contains(&"admins".to_owned()));
    fleet.run(["downgrade", "--to", "0.1.0"]).status(0);
    assert_eq!(current_version(&fleet), "0.1.0");
    let db = database(&fleet);
    assert_eq!(db.tables().len(), 6);
    assert_eq!(count_rows(&db, "belief_nodes"), "8", "what 0.1.0 knows is kept");
    drop(db);
    let history = fleet.run_without_changes(["history"]).status(0).stdout_text();
    assert_eq!(history.lines().count(), 3);
    fleet.run(["upgrade", "--to", "0.2.0"]).status(0).stdout("system: 0.1.0 → 0.2.0\n");
    fleet.run(["upgrade"]).status(0).stdout("system: 0.2.0 → 0.3.0\n");
    // The seed inserts the rows again whose table this version did not have.
    seed_all(&fleet);
    assert_eq!(count_rows(&database(&fleet), "admins"), "1");
}

#[test]
fn seeds_insert_their_rows_and_are_idempotent() {
    let fleet = initialized_fleet();
    for _ in 0..2 {
        seed_all(&fleet);
        let db = database(&fleet);
        assert_eq!(db.rows("SELECT username FROM admins"), ["admin"]);
        assert_eq!(db.rows("SELECT reddit_username FROM personas"), ["demo_agent"]);
        assert_eq!(count_rows(&db, "agent_config"), "4");
        assert_eq!(count_rows(&db, "belief_nodes"), "8");
        assert_eq!(count_rows(&db, "stance_versions"), "8");
    }
    // A changed password stays changed.
    let db = database(&fleet);
    db.connection().execute_batch("UPDATE admins SET hashed_password = 'mine'").unwrap();
    drop(db);
    fleet.run(["seed", "admin"]).status(0);
    assert_eq!(database(&fleet).rows("SELECT hashed_password FROM admins"), ["mine"]);
    // The demonstration creates its persona itself.
    let demo_only_fleet = initialized_fleet();
    demo_only_fleet.run(["seed", "demo"]).status(0);
    assert_eq!(count_rows(&database(&demo_only_fleet), "belief_nodes"), "8");
    assert_eq!(count_rows(&database(&demo_only_fleet), "agent_config"), "0");
}

#[test]
fn constraints_reject_invalid_rows_and_deletes_cascade() {
    let fleet = initialized_fleet();
    seed_all(&fleet);
    let db = database(&fleet);
    application_connection(&db).execute_batch(ROWS).unwrap();
    let check = "CHECK constraint failed";
    assert_rejected(&db, "UPDATE belief_nodes SET current_confidence = 1.01", check);
    assert_rejected(&db, "UPDATE belief_nodes SET title = printf('%.501c', 'x')", check);
    assert_rejected(&db, "UPDATE belief_edges SET relation = 'likes'", check);
    assert_rejected(&db, "UPDATE belief_edges SET weight = -0.1", check);
    assert_rejected(&db, "UPDATE stance_versions SET confidence = 2", check);
    assert_rejected(&db, "UPDATE stance_versions SET status = 'old'", check);
    assert_rejected(&db, "UPDATE evidence_links SET strength = 'overwhelming'", check);
    assert_rejected(&db, "UPDATE evidence_links SET source_type = 'rumour'", check);
    assert_rejected(&db, "UPDATE interactions SET interaction_type = 'shout'", check);
    assert_rejected(&db, "UPDATE belief_updates SET trigger_type = 'whim'", check);
    assert_rejected(&db, "UPDATE pending_posts SET status = 'lost'", check);
    assert_rejected(&db, "UPDATE personas SET config = 'no JSON'", check);
    let unique = "UNIQUE constraint failed";
    assert_rejected(
        &db,
        "INSERT INTO interactions SELECT 'j', persona_id, content, interaction_type, reddit_id, \
         subreddit, parent_id, metadata, embedding, created_at, updated_at FROM interactions",
        unique,
    );
    assert_rejected(
        &db,
        "INSERT INTO agent_config (id, persona_id, config_key, config_value) \
         SELECT 'again', persona_id, config_key, config_value FROM agent_config",
        unique,
    );
    assert_rejected(
        &db,
        "INSERT INTO personas (id, reddit_username) VALUES ('other', 'demo_agent')",
        unique,
    );
    assert_rejected(
        &db,
        "INSERT INTO admins (id, username, hashed_password) VALUES ('other', 'admin', 'x')",
        unique,
    );
    assert_rejected(
        &db,
        "UPDATE belief_edges SET target_id = 'nothing'",
        "FOREIGN KEY constraint failed",
    );

    // Deleting a belief deletes its dependent rows, deleting a persona deletes all of its rows.
    let application = application_connection(&db);
    application.execute_batch("DELETE FROM belief_nodes WHERE id = 'demo-belief-3'").unwrap();
    assert_eq!(count_rows(&db, "belief_edges"), "5");
    assert_eq!(count_rows(&db, "stance_versions"), "7");
    application.execute_batch("DELETE FROM personas").unwrap();
    for table in PERSONA_TABLES {
        assert_eq!(count_rows(&db, table), "0", "{table}");
    }
    assert_eq!(count_rows(&db, "admins"), "1");
}

#[test]
fn verify_finds_drift() {
    let fleet = initialized_fleet();
    fleet.run_without_changes(["verify"]).status(0);
    let db = database(&fleet);
    db.connection()
        .execute_batch(
            "ALTER TABLE personas ADD COLUMN mood TEXT; DROP INDEX ix_interactions_subreddit;",
        )
        .unwrap();
    drop(db);
    let run = fleet.run_without_changes(["verify"]);
    run.status(1).stdout_contains("mood").stdout_contains("ix_interactions_subreddit");
    // Still nothing is pending.
    fleet.run_without_changes(["status", "--exit-code"]).status(0);
}

#[test]
fn an_edited_release_is_refused() {
    let fleet = initialized_fleet();
    let text = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    let fleet =
        fleet.document(text.replace("username        TEXT NOT NULL UNIQUE", "username TEXT"));
    let run = fleet.run_without_changes(["status"]);
    run.status(1).stdout_contains("edited");
    fleet.run(["upgrade"]).status(1).stderr_contains("0.2.0 → 0.3.0");
    let fleet = fleet.document(text);
    fleet.run_without_changes(["status"]).status(0);
}

#[test]
fn full_lifecycle() {
    Application {
        name: "reddit-agent",
        directory: "data",
        users: &[],
        open_databases: &["data/reddit_agent.db"],
        seeds: &["admin", "default-config", "demo"],
        versions: &["0.1.0", "0.2.0", "0.3.0"],
        counted_table: ("belief_nodes", 8),
        extended_table: "personas",
        new_arguments: &[],
    }
    .run_lifecycle();
}
