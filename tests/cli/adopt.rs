//! Tests `adopt`, `stamp` and `verify` on existing databases: created by other code, partly
//! migrated by hand, or of another program. No row is lost, and differences are named.

use crate::support::Fleet;

const DOCUMENT: &str = include_str!("../../MIGRATIONS.md");

/// The system database at head, and a database from each file of `fixtures/databases`.
fn fleet_of_existing_databases() -> Fleet {
    let fleet = Fleet::new().document(DOCUMENT);
    fleet.run(["init"]).status(0);
    let databases = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/databases");
    std::fs::read_dir(databases).unwrap().fold(fleet, |fleet, entry| {
        let path = entry.unwrap().path();
        let sql = std::fs::read_to_string(&path).unwrap();
        fleet.user(path.file_stem().unwrap().to_str().unwrap(), &sql)
    })
}

#[test]
fn a_version_is_detected_from_the_schema() {
    let fleet = fleet_of_existing_databases();
    fleet
        .run_without_changes(["status"])
        .status(0)
        .stdout_contains("ahead-by-hand   -         unversioned, its schema is that of 0.3.20\n")
        .stdout_contains("empty           -         new, pending 0.3.19, 0.3.20\n")
        .stdout_contains("half-by-hand    -         unversioned, partial match: baseline is nearest, 9 tables found, 1 difference; `adopt` accepts them\n")
        .stdout_contains("other-code      -         unversioned, partial match: baseline is nearest, 8 tables found, 5 differences; `adopt` accepts them\n")
        .stdout_contains(
            "own-migrations  -         unversioned, its schema is that of 0.3.19, pending 0.3.20\n",
        )
        .stdout_contains("unrelated       -         unversioned, unrelated: ");
    let status = fleet.run(["status", "--json"]).status(0).json();
    let detected = |name: &str| {
        let databases = status["databases"].as_array().unwrap();
        databases.iter().find(|database| database["name"] == name).unwrap()["detected"].clone()
    };
    assert_eq!(detected("own-migrations")["match"], "matched");
    assert_eq!(detected("own-migrations")["version"], "0.3.19");
    assert_eq!(detected("own-migrations")["candidates"], serde_json::json!([]));
    assert_eq!(detected("half-by-hand")["match"], "partial");
    assert_eq!(detected("half-by-hand")["version"], "baseline");
    // 0.3.20 lacks what its block creates, so it is further from head's schema.
    let candidates = serde_json::json!(["baseline", "0.3.19", "0.3.20"]);
    assert_eq!(detected("half-by-hand")["candidates"], candidates);
    assert_eq!(
        detected("half-by-hand")["missing"],
        serde_json::json!(["column `conversations.compact_summary` is not expected (TEXT)"])
    );
    assert_eq!(detected("unrelated")["match"], "unrelated");
    assert_eq!(detected("half-by-hand")["there"][0], "table `conversation_compacts`");
    assert_eq!(detected("empty"), serde_json::Value::Null);
}

#[test]
fn an_upgrade_adopts_matching_databases_and_refuses_others() {
    let fleet = fleet_of_existing_databases();
    let refused = ["half-by-hand", "other-code", "unrelated"];
    let before = refused.map(|name| fleet.database(name).dump());
    fleet
        .run(["upgrade", "--all-users", "-v"])
        .status(1)
        .stdout_contains(
            "own-migrations: 0.3.19 → 0.3.20 (adopted at 0.3.19, since its schema is that of this version)\n",
        )
        .stdout_contains("ahead-by-hand: at 0.3.20 (adopted at 0.3.20, since its schema is that of this version)\n")
        .stderr_contains("column `conversations.compact_summary` is not expected (TEXT)")
        .stderr_contains("table `short_term_storage` is missing")
        .stderr_contains("`tatmig adopt --user NAME` records baseline and accepts these differences")
        .stderr_contains("none of the document's tables exists in it")
        .stderr_contains("`tatmig adopt --user NAME --at baseline`");
    assert_eq!(refused.map(|name| fleet.database(name).dump()), before);
    let history =
        fleet.database("own-migrations").rows("SELECT event, to_version FROM _tatmig_migrations");
    assert_eq!(history, ["adopt|0.3.19", "upgrade|0.3.20"]);
}

#[test]
fn adopted_databases_are_upgraded_with_all_their_rows() {
    let fleet = fleet_of_existing_databases();
    fleet
        .run(["adopt", "--all-users"])
        .status(1)
        .stdout_contains(
            "1 user (`other-code`): recorded at baseline, with 4 differences\n  \
             column `memories.full_conversation_history` is missing (TEXT)\n  \
             column `memories.mood` is not expected (TEXT)\n  \
             table `cache` is not expected\n  \
             table `settings` is not expected\n  \
             after the upgrade to 0.3.20, the same differs\n",
        )
        .stdout_contains(
            "1 user (`half-by-hand`): recorded at baseline, with 1 difference\n  \
             column `conversations.compact_summary` is not expected (TEXT)\n  \
             after the upgrade to 0.3.20, 1 difference:\n    \
             the columns of table `conversations` have the order ",
        )
        .stderr_contains("`unrelated` (unrelated_longterm.db): ");
    fleet.run(["adopt", "--user", "unrelated", "--at", "baseline"]).status(0);
    // A database with a history is not adopted again.
    assert_eq!(fleet.database("system").version().as_deref(), Some("0.3.20"));
    fleet.run(["upgrade", "--all-users"]).status(0);
    for name in ["ahead-by-hand", "half-by-hand", "other-code", "own-migrations"] {
        let database = fleet.database(name);
        assert_eq!(database.version().as_deref(), Some("0.3.20"), "{name}");
        assert_eq!(
            database.rows("SELECT interaction_id, user_prompt FROM memories ORDER BY 1"),
            ["i1|hello", "i2|and?"],
            "{name}"
        );
        assert_eq!(database.rows("SELECT topic_name FROM topics"), ["tea", "rain"], "{name}");
        let columns = database.columns("conversations");
        for new in ["schema_version", "compact_summary", "compacted_up_to"] {
            assert_eq!(columns.iter().filter(|name| *name == new).count(), 1, "{name}: {new}");
        }
        assert_eq!(database.rows("SELECT count(*) FROM short_term_storage"), ["0"], "{name}");
    }
    let half = fleet.database("half-by-hand");
    assert_eq!(
        half.rows("SELECT compact_summary FROM conversations WHERE conversation_id = 'c1'"),
        ["short"]
    );
    assert_eq!(fleet.database("other-code").rows("SELECT value FROM settings"), ["dark"]);
    assert_eq!(fleet.database("unrelated").rows("SELECT name FROM recipes"), ["soup", "bread"]);
    fleet
        .run_without_changes(["verify"])
        .status(0)
        .stdout_contains("  note: table `migrations` is not expected (accepted drift)\n")
        .stdout_contains("  note: column `memories.mood` is not expected (TEXT) (accepted drift)\n")
        .stdout_contains("system: OK, matches MIGRATIONS.md\n");
}

#[test]
fn an_edited_migration_is_accepted_once_the_schema_matches_it() {
    let block = |sql: &str| {
        format!(
            "```sql\n-- [user:baseline→1.0.0:start]\n{sql}\n-- [user:baseline→1.0.0:end]\n```\n"
        )
    };
    let fleet = Fleet::new()
        .document(block("CREATE TABLE notes (body TEXT);"))
        .user("ann", "")
        .user("bob", "");
    fleet.run(["upgrade", "--all-users"]).status(0);
    let fleet = fleet
        .document(block("CREATE TABLE notes (body TEXT, title TEXT);"))
        .user("ann", "ALTER TABLE notes ADD COLUMN title TEXT");
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("error[edited]");
    fleet
        .run(["adopt", "--all-users"])
        .status(1)
        .stdout_contains("1 user (`ann`): recorded at 1.0.0\n")
        .stderr_contains("`bob` (bob_longterm.db): the schema does not have what the edited migration creates: column `notes.title` is missing (TEXT)");
    fleet.run(["upgrade", "--user", "ann"]).status(0).stdout("ann: already at 1.0.0\n");
    fleet.run(["upgrade", "--user", "bob"]).status(1);
}

#[test]
fn a_stamp_runs_no_sql_and_leaves_other_databases_unchanged() {
    let fleet = Fleet::new().document(DOCUMENT).user("ann", "").user("bob", "");
    fleet.run(["init"]).status(0);
    fleet.run(["upgrade", "--all-users", "--to", "0.3.19"]).status(0);
    fleet.run(["stamp", "0.3.20", "--user", "ann"]).status(0);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("0.3.20"));
    assert_eq!(fleet.database("bob").version().as_deref(), Some("0.3.19"));
    assert!(!fleet.database("ann").tables().contains(&"conversation_messages".to_owned()));
    fleet
        .run_without_changes(["verify"])
        .status(1)
        .stdout_contains("table `conversation_messages` is missing");
    fleet.run(["stamp", "9.9.9", "--all-users"]).status(2).stderr_contains("version `9.9.9`");
    fleet.run(["stamp", "0.3.19", "--all-users"]).status(0);
    assert_eq!(fleet.database("system").version().as_deref(), Some("0.3.19"));
    fleet.run(["upgrade", "--all-users"]).status(0);
}

#[test]
fn verify_finds_damage_orphans_and_drift_and_groups_equal_findings() {
    let fleet = Fleet::from_blocks(&[(
        "user:baseline→1.0.0",
        "CREATE TABLE a (id INTEGER PRIMARY KEY);\nCREATE TABLE b (a_id INTEGER REFERENCES a (id));",
    )]);
    let fleet = fleet.users(40, "").upgrade_to("1.0.0");
    fleet.run_without_changes(["verify"]).status(0).stdout_contains("40 users (");
    let fleet = fleet
        .user("u003", "CREATE INDEX extra ON b (a_id)")
        .user("u004", "CREATE INDEX extra ON b (a_id)")
        .user("u005", "PRAGMA foreign_keys = OFF; INSERT INTO b VALUES (7)");
    fleet
        .run_without_changes(["verify"])
        .status(1)
        .stdout_contains("37 users (")
        .stdout_contains(
            "2 users (`u003`, `u004`): 1 finding each\n  index `extra` is not expected\n",
        )
        .stdout_contains(
            "1 user (`u005`): 1 finding\n  `b` refers to `a` by 7, which does not exist\n",
        );
    let report = fleet.run(["verify", "--json"]).status(1).json();
    assert_eq!(report["summary"], serde_json::json!({ "total": 40, "wrong": 3 }));
}

#[test]
fn verify_prints_its_findings_with_quiet() {
    let fleet =
        Fleet::from_blocks(crate::support::NOTES).system("").user("ann", "").user("bob", "");
    let fleet = fleet.upgrade_to("1.2.0");
    fleet.run_without_changes(["verify", "-q"]).status(0).stdout("").stderr("");
    let fleet = fleet.user("bob", "DROP INDEX one_body");
    let run = fleet.run_without_changes(["verify", "-q"]);
    run.status(1).stdout("").stderr_contains("1 user (`bob`): 1 finding\n");
    run.stderr_contains("one_body").stderr_lacks("OK").stderr_lacks("ann");
    run.stderr_contains("error: 1 of 3 databases did not pass\n");
    // Without `--quiet`, the findings are results.
    let run = fleet.run_without_changes(["verify"]);
    run.status(1).stdout_contains("1 user (`bob`): 1 finding\n").stdout_contains("one_body");
    run.stderr_contains("error: 1 of 3 databases did not pass\n");
    run.stderr_contains("accept it with `tatmig adopt --accept-drift --user NAME`");
    fleet.run(["adopt", "--accept-drift", "--user", "bob"]).status(0);
    fleet.run_without_changes(["verify"]).status(0).stderr_lacks("accept");
}

#[test]
fn verify_names_views_and_triggers_that_cannot_be_used() {
    let fleet = Fleet::from_blocks(&[(
        "user:baseline→1.0.0",
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b TEXT);\nCREATE VIEW v AS SELECT b FROM a;",
    )]);
    let fleet = fleet.user("ann", "").user("bob", "").upgrade_to("1.0.0");
    let fleet = fleet.user(
        "bob",
        "CREATE TRIGGER t AFTER UPDATE OF b ON a BEGIN INSERT INTO log VALUES (new.id); END;
         CREATE VIEW w AS SELECT missing FROM a",
    );
    fleet.run(["adopt", "--user", "bob", "--accept-drift"]).status(0);
    fleet
        .run_without_changes(["verify"])
        .status(1)
        .stdout_contains("1 user (`ann`): OK")
        .stdout_contains("  trigger `t` cannot be used: no such table: log\n")
        .stdout_contains("  view `w` cannot be used: no such column: missing\n")
        .stdout_contains("  note: trigger `t` is not expected (accepted drift)\n");
}
