//! Tests databases that Tatlock's own code created before the document existed, as it was at eight
//! ages. All of them reach head, with the later drops released and without.

use crate::application_fleet;
use crate::support::{Database, Fleet};

const MEMORIES: &str = "
PRAGMA foreign_keys = OFF; -- one of the keys is not usable
CREATE TABLE memories (interaction_id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL,
    timestamp TEXT NOT NULL, user_prompt TEXT NOT NULL, llm_reply TEXT NOT NULL,
    full_conversation_history TEXT);
CREATE TABLE topics (topic_id INTEGER PRIMARY KEY AUTOINCREMENT, topic_name TEXT UNIQUE NOT NULL);
CREATE TABLE memory_topics (interaction_id TEXT, topic_id INTEGER,
    PRIMARY KEY (interaction_id, topic_id),
    FOREIGN KEY (interaction_id) REFERENCES memories(interaction_id) ON DELETE CASCADE,
    FOREIGN KEY (topic_id) REFERENCES topics(topic_id) ON DELETE CASCADE);
CREATE TABLE conversation_topics (conversation_id TEXT, topic_id INTEGER,
    first_occurrence TEXT NOT NULL, last_occurrence TEXT NOT NULL, topic_count INTEGER DEFAULT 1,
    PRIMARY KEY (conversation_id, topic_id),
    FOREIGN KEY (conversation_id) REFERENCES memories(conversation_id) ON DELETE CASCADE,
    FOREIGN KEY (topic_id) REFERENCES topics(topic_id) ON DELETE CASCADE);
INSERT INTO memories VALUES ('m1', 'c1', '2025-06-04', 'Tea?', 'Naturally.', '[]'),
    ('m2', 'c1', '2025-06-05', 'Rain?', 'Not today.', NULL);
INSERT INTO topics (topic_name) VALUES ('tea'), ('rain');
INSERT INTO memory_topics VALUES ('m1', 1), ('m2', 2);
INSERT INTO conversation_topics VALUES ('c1', 1, '2025-06-04', '2025-06-05', 2);
";

const CONVERSATIONS: &str = "
CREATE TABLE conversations (conversation_id TEXT PRIMARY KEY, title TEXT,
    started_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, last_activity TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    message_count INTEGER DEFAULT 0);
INSERT INTO conversations (conversation_id, title) VALUES ('c1', 'Tea'), ('c2', 'Rain');
";

/// The columns that 0.3.20 adds, with another default, and its messages with other indexes.
const NEW_CONVERSATIONS: &str = "
CREATE TABLE conversations (conversation_id TEXT PRIMARY KEY, title TEXT,
    started_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, last_activity TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    message_count INTEGER DEFAULT 0, schema_version INTEGER DEFAULT 2, compact_summary TEXT,
    compacted_up_to INTEGER DEFAULT 0);
CREATE TABLE conversation_messages (message_id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL,
    message_number INTEGER NOT NULL, role TEXT NOT NULL CHECK(role IN ('user', 'assistant')),
    content TEXT NOT NULL, timestamp TEXT NOT NULL,
    FOREIGN KEY (conversation_id) REFERENCES conversations(conversation_id) ON DELETE CASCADE);
CREATE INDEX idx_conv_messages ON conversation_messages(conversation_id);
CREATE INDEX idx_conv_messages_number ON conversation_messages(conversation_id, message_number);
INSERT INTO conversations (conversation_id, title, compact_summary) VALUES ('c1', 'Tea', 'short');
INSERT INTO conversation_messages VALUES ('n1', 'c1', 1, 'user', 'Tea?', '2025-09-04');
";

const COMPACTS: &str = "
CREATE TABLE conversation_compacts (compact_id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL,
    compact_timestamp TEXT NOT NULL, messages_up_to INTEGER NOT NULL, compact_summary TEXT NOT NULL,
    topics_covered TEXT,
    FOREIGN KEY (conversation_id) REFERENCES conversations(conversation_id) ON DELETE CASCADE);
CREATE INDEX idx_compacts_conversation ON conversation_compacts(conversation_id);
CREATE INDEX idx_compacts_timestamp ON conversation_compacts(compact_timestamp);
INSERT INTO conversation_compacts VALUES ('k1', 'c1', '2025-08-01', 2, 'tea', NULL);
";

const VARIABLES: &str = "
CREATE TABLE personal_variables (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL,
    value TEXT NOT NULL, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
INSERT INTO personal_variables (key, value) VALUES ('name', 'Ada');
";

const KEYS: &str = "
CREATE TABLE personal_variables_keys (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL);
INSERT INTO personal_variables_keys (key) VALUES ('name');
";

/// An older layout, in which a third table joins keys and values.
const OLD_VARIABLES: &str = "
CREATE TABLE personal_variables (id INTEGER PRIMARY KEY AUTOINCREMENT, value TEXT NOT NULL);
CREATE TABLE personal_variables_join (key_id INTEGER NOT NULL, variable_id INTEGER NOT NULL,
    PRIMARY KEY (key_id, variable_id));
INSERT INTO personal_variables (value) VALUES ('Ada');
INSERT INTO personal_variables_join VALUES (1, 1);
";

const STORAGE: &str = "
CREATE TABLE short_term_storage (id INTEGER PRIMARY KEY AUTOINCREMENT,
    storage_key TEXT UNIQUE NOT NULL, storage_value TEXT NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, expires_at TIMESTAMP);
INSERT INTO short_term_storage (storage_key, storage_value) VALUES ('k', 'v');
";

/// The ages: a name, the database, and a difference that `adopt` shows; none for a match.
fn ages() -> Vec<(&'static str, String, Option<&'static str>)> {
    let baseline = [MEMORIES, CONVERSATIONS, COMPACTS, VARIABLES, KEYS, STORAGE].concat();
    let renewed = [MEMORIES, NEW_CONVERSATIONS, COMPACTS, VARIABLES, KEYS, STORAGE].concat();
    let exact = [
        &*baseline,
        "ALTER TABLE conversations ADD COLUMN schema_version INTEGER DEFAULT 1;
         ALTER TABLE conversations ADD COLUMN compact_summary TEXT;
         ALTER TABLE conversations ADD COLUMN compacted_up_to INTEGER DEFAULT 0;
         CREATE TABLE conversation_messages (message_id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL,
             message_number INTEGER NOT NULL, role TEXT NOT NULL CHECK(role IN ('user', 'assistant')),
             content TEXT NOT NULL, timestamp TEXT NOT NULL,
             FOREIGN KEY (conversation_id) REFERENCES conversations(conversation_id) ON DELETE CASCADE);
         CREATE INDEX idx_messages_conversation_number
             ON conversation_messages(conversation_id, message_number);
         CREATE INDEX idx_messages_timestamp ON conversation_messages(timestamp);",
    ]
    .concat();
    vec![
        ("june", [MEMORIES, CONVERSATIONS, VARIABLES].concat(), None),
        (
            "july",
            [MEMORIES, CONVERSATIONS, OLD_VARIABLES, KEYS].concat(),
            Some("table `personal_variables_join` is not expected"),
        ),
        ("august", baseline.clone(), None),
        (
            "august-more",
            format!("{baseline} ALTER TABLE conversations ADD COLUMN archived INTEGER DEFAULT 0;"),
            Some("column `conversations.archived` is not expected (INTEGER DEFAULT 0)"),
        ),
        (
            "september",
            renewed,
            Some("column `conversations.schema_version` is not expected (INTEGER DEFAULT 2)"),
        ),
        (
            "september-old",
            [MEMORIES, NEW_CONVERSATIONS, OLD_VARIABLES, KEYS].concat(),
            Some("column `personal_variables.key` is missing (TEXT NOT NULL)"),
        ),
        ("october", exact.clone(), None),
        (
            "october-more",
            format!("{exact} ALTER TABLE topics ADD COLUMN colour TEXT;"),
            Some("column `topics.colour` is not expected (TEXT)"),
        ),
    ]
}

/// The number of rows in each table.
fn row_counts(database: &Database) -> Vec<(String, String)> {
    let tables = database.tables().into_iter();
    tables
        .map(|table| {
            let count = database.rows(&format!("SELECT count(*) FROM {table}")).remove(0);
            (table, count)
        })
        .collect()
}

fn old_fleet() -> Fleet {
    let fleet = application_fleet("tatlock", "longterm");
    let fleet = ages().into_iter().fold(fleet, |fleet, (name, sql, _)| {
        fleet.database_file(format!("longterm/{name}_longterm.db"), &sql)
    });
    fleet.run(["init"]).status(0);
    fleet
}

/// Adopts and upgrades every age; the tables in `dropped` are dropped on the way to head.
fn assert_all_reach_head(fleet: &Fleet, head: &str, dropped: &[&str]) {
    let open = |name: &str| Database::open(&fleet.path(format!("longterm/{name}_longterm.db")));
    let before: Vec<_> = ages().iter().map(|(name, ..)| row_counts(&open(name))).collect();
    fleet.run_without_changes(["status"]).status(0);
    fleet.run_without_changes(["upgrade", "--all-users", "--dry-run"]);
    let adopted = fleet.run(["adopt", "--all-users"]);
    let upgraded = fleet.run(["upgrade", "--all-users", "-v"]);
    adopted.status(0).stdout_lacks("will fail");
    upgraded.status(0).stdout_lacks("created at");
    for ((name, _, difference), before) in ages().into_iter().zip(before) {
        if let Some(difference) = difference {
            adopted.stdout_contains(difference);
        }
        let database = open(name);
        assert_eq!(database.version().as_deref(), Some(head), "{name}");
        let after = row_counts(&database);
        for (table, count) in before.iter().filter(|(table, _)| !dropped.contains(&&**table)) {
            assert!(after.contains(&(table.clone(), count.clone())), "{name}: {table}");
        }
        let tables = database.tables();
        for table in [
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
        ] {
            assert_eq!(
                tables.iter().any(|name| name == table),
                !dropped.contains(&table),
                "{name}: {table}"
            );
        }
        let columns = database.columns("conversations");
        for column in ["schema_version", "compact_summary", "compacted_up_to"] {
            let count = columns.iter().filter(|name| *name == column).count();
            assert_eq!(count, 1, "{name}: {column}");
        }
        let indexes = database
            .rows("SELECT name FROM sqlite_schema WHERE name LIKE 'idx_messages%' ORDER BY 1");
        assert_eq!(
            indexes,
            ["idx_messages_conversation_number", "idx_messages_timestamp"],
            "{name}"
        );
    }
    let before = fleet.snapshot();
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("8 already at");
    before.assert_same(&fleet.snapshot());
}

#[test]
fn databases_of_eight_ages_reach_head() {
    let fleet = old_fleet();
    assert_all_reach_head(&fleet, "0.3.20", &[]);
    fleet.run_without_changes(["verify"]).status(0);
}

#[test]
fn databases_of_eight_ages_reach_head_with_the_later_drops_released() {
    let fleet = old_fleet();
    for version in ["0.3.21", "0.3.22", "0.3.23"] {
        fleet.run(["promote", version]).status(0);
    }
    let dropped = ["conversation_compacts", "memories", "memory_topics"];
    assert_all_reach_head(&fleet, "0.3.23", &dropped);
    // The last of the drops leaves topics of conversations without a parent. The schema is right.
    let report = fleet.run_without_changes(["verify", "--json"]).status(1).json();
    for database in report["databases"].as_array().unwrap().iter().skip(1) {
        assert_eq!(
            database["findings"],
            serde_json::json!([
                "`conversation_topics` refers to `memories` by 'c1', which does not exist"
            ])
        );
    }
    for (name, ..) in ages() {
        let database = Database::open(&fleet.path(format!("longterm/{name}_longterm.db")));
        assert_eq!(database.rows("SELECT title FROM conversations LIMIT 1"), ["Tea"], "{name}");
    }
}
