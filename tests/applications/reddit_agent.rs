//! The Reddit agent: its page's whole procedure for testing migrations, its three scripts of rows,
//! and the constraints and cascades that it tells of each table.

use crate::life::Application;
use crate::support::{Database, Fleet};
use crate::{application, application_of, current, refuses};

fn agent() -> Fleet {
    let fleet = application("reddit-agent", "data");
    fleet.run(["init"]).status(0).stdout("data/reddit_agent.db: made at 0.3.0\n");
    fleet
}

#[track_caller]
fn database(fleet: &Fleet) -> Database {
    Database::open(&fleet.path("data/reddit_agent.db"))
}

#[track_caller]
fn count(made: &Database, table: &str) -> String {
    made.rows(&format!("SELECT count(*) FROM {table}")).join("")
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

/// What hangs on a persona, by a cascade.
const OWNED: [&str; 8] = [
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
    let fleet = agent();
    let made = database(&fleet);
    assert_eq!(made.tables(), TABLES);
    for table in TABLES {
        let columns = made.columns(table);
        assert_eq!(columns.first().map(String::as_str), Some("id"), "{table}");
        assert!(columns.ends_with(&["created_at".to_owned(), "updated_at".to_owned()]), "{table}");
    }
    for table in OWNED {
        let keys = made.rows(&format!(
            "SELECT \"from\", on_delete FROM pragma_foreign_key_list('{table}') ORDER BY \"from\""
        ));
        assert!(keys.contains(&"persona_id|CASCADE".to_owned()), "{table}: {keys:?}");
        for key in keys {
            let (column, _) = key.split_once('|').unwrap();
            let leading = made.rows(&format!(
                "SELECT 1 FROM pragma_index_list('{table}') AS list \
                 JOIN pragma_index_info(list.name) AS info WHERE info.seqno = 0 AND info.name = '{column}'"
            ));
            assert!(!leading.is_empty(), "no index finds `{table}.{column}`");
        }
    }
    assert_eq!(made.rows("PRAGMA journal_mode"), ["wal"]);
}

#[test]
fn the_whole_procedure_of_its_page() {
    let fleet = agent();
    // From nothing to head.
    fleet.run(["downgrade", "--to", "baseline"]).status(0);
    assert_eq!(current(&fleet), "baseline");
    fleet.run(["upgrade"]).status(0).stdout("system: made at 0.3.0\n");
    assert_eq!(current(&fleet), "0.3.0");
    fleet.run(["seed", "demo"]).status(0);
    assert_eq!(count(&database(&fleet), "belief_nodes"), "8");
    // With rows in it back to nothing: every table is gone, the record stays.
    fleet.run(["downgrade", "--to", "baseline"]).status(0);
    assert_eq!(
        database(&fleet)
            .rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"),
        ["_tatmig_migrations", "_tatmig_sources"]
    );
    // And forward again, with the rows.
    fleet.run(["upgrade"]).status(0);
    fleet.run(["seed", "demo"]).status(0);
    let made = database(&fleet);
    assert_eq!(count(&made, "belief_nodes"), "8");
    assert_eq!(count(&made, "belief_edges"), "7");
    drop(made);
    fleet.run_without_a_trace(["verify"]).status(0).stdout("system: like the document\n");
    // The document by itself says the same without a database.
    fleet.run_without_a_trace(["test"]).status(0).stdout_contains("(10 tables, 60 rows)");
}

#[test]
fn one_migration_back_a_revision_back_and_what_each_takes_along() {
    let fleet = agent();
    seed_all(&fleet);
    fleet.run(["downgrade", "-1"]).status(0).stdout_contains("system: 0.3.0 → 0.2.0\n");
    assert!(!database(&fleet).tables().contains(&"admins".to_owned()));
    fleet.run(["downgrade", "--to", "0.1.0"]).status(0);
    assert_eq!(current(&fleet), "0.1.0");
    let made = database(&fleet);
    assert_eq!(made.tables().len(), 6);
    assert_eq!(count(&made, "belief_nodes"), "8", "what 0.1.0 knows is kept");
    drop(made);
    let history = fleet.run_without_a_trace(["history"]).status(0).out();
    assert_eq!(history.lines().count(), 3);
    fleet.run(["upgrade", "--to", "0.2.0"]).status(0).stdout("system: 0.1.0 → 0.2.0\n");
    fleet.run(["upgrade"]).status(0).stdout("system: 0.2.0 → 0.3.0\n");
    // A row that this version has no table for is put in again by its seed.
    seed_all(&fleet);
    assert_eq!(count(&database(&fleet), "admins"), "1");
}

#[test]
fn the_seeds_put_in_what_their_scripts_did_and_may_be_run_again() {
    let fleet = agent();
    for _ in 0..2 {
        seed_all(&fleet);
        let made = database(&fleet);
        assert_eq!(made.rows("SELECT username FROM admins"), ["admin"]);
        assert_eq!(made.rows("SELECT reddit_username FROM personas"), ["demo_agent"]);
        assert_eq!(count(&made, "agent_config"), "4");
        assert_eq!(count(&made, "belief_nodes"), "8");
        assert_eq!(count(&made, "stance_versions"), "8");
    }
    // A password that somebody has changed stays changed.
    let made = database(&fleet);
    made.connection().execute_batch("UPDATE admins SET hashed_password = 'mine'").unwrap();
    drop(made);
    fleet.run(["seed", "admin"]).status(0);
    assert_eq!(database(&fleet).rows("SELECT hashed_password FROM admins"), ["mine"]);
    // The demonstration makes its persona itself.
    let alone = agent();
    alone.run(["seed", "demo"]).status(0);
    assert_eq!(count(&database(&alone), "belief_nodes"), "8");
    assert_eq!(count(&database(&alone), "agent_config"), "0");
}

#[test]
fn what_the_page_forbids_is_refused_by_the_database() {
    let fleet = agent();
    seed_all(&fleet);
    let made = database(&fleet);
    application_of(&made).execute_batch(ROWS).unwrap();
    let check = "CHECK constraint failed";
    refuses(&made, "UPDATE belief_nodes SET current_confidence = 1.01", check);
    refuses(&made, "UPDATE belief_nodes SET title = printf('%.501c', 'x')", check);
    refuses(&made, "UPDATE belief_edges SET relation = 'likes'", check);
    refuses(&made, "UPDATE belief_edges SET weight = -0.1", check);
    refuses(&made, "UPDATE stance_versions SET confidence = 2", check);
    refuses(&made, "UPDATE stance_versions SET status = 'old'", check);
    refuses(&made, "UPDATE evidence_links SET strength = 'overwhelming'", check);
    refuses(&made, "UPDATE evidence_links SET source_type = 'rumour'", check);
    refuses(&made, "UPDATE interactions SET interaction_type = 'shout'", check);
    refuses(&made, "UPDATE belief_updates SET trigger_type = 'whim'", check);
    refuses(&made, "UPDATE pending_posts SET status = 'lost'", check);
    refuses(&made, "UPDATE personas SET config = 'no JSON'", check);
    let twice = "UNIQUE constraint failed";
    refuses(
        &made,
        "INSERT INTO interactions SELECT 'j', persona_id, content, interaction_type, reddit_id, \
         subreddit, parent_id, metadata, embedding, created_at, updated_at FROM interactions",
        twice,
    );
    refuses(
        &made,
        "INSERT INTO agent_config (id, persona_id, config_key, config_value) \
         SELECT 'again', persona_id, config_key, config_value FROM agent_config",
        twice,
    );
    refuses(
        &made,
        "INSERT INTO personas (id, reddit_username) VALUES ('other', 'demo_agent')",
        twice,
    );
    refuses(
        &made,
        "INSERT INTO admins (id, username, hashed_password) VALUES ('other', 'admin', 'x')",
        twice,
    );
    refuses(
        &made,
        "UPDATE belief_edges SET target_id = 'nothing'",
        "FOREIGN KEY constraint failed",
    );

    // A belief takes along what hangs on it, a persona everything.
    let application = application_of(&made);
    application.execute_batch("DELETE FROM belief_nodes WHERE id = 'demo-belief-3'").unwrap();
    assert_eq!(count(&made, "belief_edges"), "5");
    assert_eq!(count(&made, "stance_versions"), "7");
    application.execute_batch("DELETE FROM personas").unwrap();
    for table in OWNED {
        assert_eq!(count(&made, table), "0", "{table}");
    }
    assert_eq!(count(&made, "admins"), "1");
}

#[test]
fn drift_is_found_as_it_was_by_a_check() {
    let fleet = agent();
    fleet.run_without_a_trace(["verify"]).status(0);
    let made = database(&fleet);
    made.connection()
        .execute_batch(
            "ALTER TABLE personas ADD COLUMN mood TEXT; DROP INDEX ix_interactions_subreddit;",
        )
        .unwrap();
    drop(made);
    let run = fleet.run_without_a_trace(["verify"]);
    run.status(1).stdout_contains("mood").stdout_contains("ix_interactions_subreddit");
    // Nothing is pending all the same.
    fleet.run_without_a_trace(["status", "--exit-code"]).status(0);
}

#[test]
fn a_migration_that_was_released_is_not_edited() {
    let fleet = agent();
    let text = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    let fleet =
        fleet.document(text.replace("username        TEXT NOT NULL UNIQUE", "username TEXT"));
    let run = fleet.run_without_a_trace(["status"]);
    run.status(1).stdout_contains("edited");
    fleet.run(["upgrade"]).status(1).stderr_contains("0.2.0 → 0.3.0");
    let fleet = fleet.document(text);
    fleet.run_without_a_trace(["status"]).status(0);
}

#[test]
fn its_whole_life() {
    Application {
        name: "reddit-agent",
        directory: "data",
        users: &[],
        databases: &["data/reddit_agent.db"],
        seeds: &["admin", "default-config", "demo"],
        versions: &["0.1.0", "0.2.0", "0.3.0"],
        counted: ("belief_nodes", 8),
        extended: "personas",
        revision: &[],
    }
    .live();
}
