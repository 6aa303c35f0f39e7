//! Which database a call acts on, and what it leaves as it was.

use tatmig::rusqlite::config::DbConfig;
use tatmig::rusqlite::{Connection, hooks};
use tatmig::{Changelog, DatabaseState, ErrorKind, Scope};

use crate::{column, connection_with_a_note, document, notes, upgrade};

const ADD_TITLE: &str = "ALTER TABLE notes ADD COLUMN title TEXT;";

/// Checks that status and upgrade refuse the connection with a message, and that the database is
/// still at 1.0.0 with its note.
#[track_caller]
fn assert_refused(connection: &mut Connection, sql: &str, message: &str) {
    let text = notes(sql);
    let changelog = Changelog::parse(&text).unwrap();
    let errors = [
        changelog.status(connection, Scope::User).unwrap_err(),
        changelog.upgrade(connection, Scope::User).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
        assert_eq!(error.to_string(), message);
    }
    let versions = "SELECT to_version FROM main._tatmig_migrations";
    assert_eq!(column(connection, versions), "1.0.0");
    assert_eq!(column(connection, "SELECT body FROM main.notes"), "tea");
    assert_eq!(
        column(connection, "SELECT name FROM pragma_table_info('notes', 'main')"),
        "id body"
    );
}

#[test]
fn a_connection_with_an_attached_database_is_refused() {
    let mut connection = connection_with_a_note();
    connection.execute_batch("ATTACH ':memory:' AS other; CREATE TABLE other.logs (x)").unwrap();
    assert_refused(
        &mut connection,
        "DROP TABLE IF EXISTS logs;",
        "the connection has the attached database `other`, which names of the document could mean; detach it, or use another connection",
    );
    connection.execute_batch("ATTACH ':memory:' AS third").unwrap();
    assert_refused(
        &mut connection,
        ADD_TITLE,
        "the connection has the attached databases `other`, `third`, which names of the document could mean; detach them, or use another connection",
    );
    assert_eq!(column(&connection, "SELECT name FROM other.sqlite_schema"), "logs");
    connection.execute_batch("DETACH other; DETACH third").unwrap();
    upgrade(&mut connection, &notes(ADD_TITLE)).unwrap();
}

#[test]
fn a_temporary_table_that_hides_a_table_is_refused() {
    let mut connection = connection_with_a_note();
    connection
        .execute_batch(
            "CREATE TEMP TABLE Notes (id, body); INSERT INTO temp.Notes VALUES (2, 'own')",
        )
        .unwrap();
    assert_refused(
        &mut connection,
        "UPDATE notes SET body = 'changed';",
        "the temporary table `Notes` of this connection hides a name of the document; drop it, or use another connection",
    );
    assert_eq!(column(&connection, "SELECT body FROM temp.Notes"), "own");
}

#[test]
fn temporary_views_indexes_and_triggers_that_hide_a_name_are_refused() {
    for (create, kind, name) in [
        ("CREATE TEMP VIEW notes AS SELECT 1 AS id", "view", "notes"),
        ("CREATE TEMP TABLE own (x); CREATE INDEX temp.by_body ON own (x)", "index", "by_body"),
        (
            "CREATE TEMP TABLE own (x); \
             CREATE TEMP TRIGGER logged AFTER INSERT ON own BEGIN SELECT 1; END",
            "trigger",
            "logged",
        ),
        ("CREATE TEMP TABLE \"the table\" (x)", "table", "the table"),
        ("CREATE TEMP TABLE quoted (x)", "table", "quoted"),
    ] {
        let mut connection = connection_with_a_note();
        connection.execute_batch(create).unwrap();
        assert_refused(
            &mut connection,
            "DROP INDEX IF EXISTS by_body; DROP TRIGGER IF EXISTS logged; \
             DROP TABLE IF EXISTS [the table]; DROP TABLE IF EXISTS 'quoted';",
            &format!(
                "the temporary {kind} `{name}` of this connection hides a name of the document; drop it, or use another connection"
            ),
        );
    }
}

#[test]
fn a_temporary_table_named_like_the_history_is_refused() {
    for name in ["_tatmig_migrations", "_TATMIG_SOURCES", "pragma_table_xinfo"] {
        let mut connection = connection_with_a_note();
        connection.execute_batch(&format!("CREATE TEMP TABLE {name} (id, to_version)")).unwrap();
        assert_refused(
            &mut connection,
            ADD_TITLE,
            &format!(
                "the temporary table `{name}` of this connection hides a name of the document; drop it, or use another connection"
            ),
        );
        assert_eq!(column(&connection, &format!("SELECT count(*) FROM temp.{name}")), "0");
    }
}

/// Before the first upgrade, the names of the history must not reach a temporary table either.
#[test]
fn a_new_database_is_refused_before_anything_is_created() {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("CREATE TEMP TABLE notes (x)").unwrap();
    let error = upgrade(&mut connection, &notes(ADD_TITLE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert_eq!(column(&connection, "SELECT count(*) FROM main.sqlite_schema"), "0");
}

#[test]
fn a_temporary_trigger_on_a_table_that_a_migration_changes_is_refused() {
    for sql in [
        "UPDATE notes SET body = body || '!';",
        "CREATE TABLE notes_new (id INTEGER PRIMARY KEY, body TEXT NOT NULL); \
         INSERT INTO notes_new SELECT id, body FROM notes; DROP TABLE notes; \
         ALTER TABLE notes_new RENAME TO notes;",
    ] {
        let mut connection = connection_with_a_note();
        connection
            .execute_batch(
                "CREATE TEMP TABLE seen (x); CREATE TEMP TRIGGER watch AFTER UPDATE ON main.notes \
                 BEGIN INSERT INTO seen VALUES (new.id); END",
            )
            .unwrap();
        let error = upgrade(&mut connection, &notes(sql)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection);
        assert_eq!(
            error.to_string(),
            "the temporary trigger `watch` of this connection is on the table `notes`, which a pending migration changes; drop the trigger before the upgrade"
        );
        assert_eq!(column(&connection, "SELECT body FROM main.notes"), "tea");
        connection.execute_batch("UPDATE notes SET body = 'coffee'").unwrap();
        assert_eq!(column(&connection, "SELECT x FROM seen"), "1");
    }
}

#[test]
fn temporary_objects_of_the_application_survive() {
    let mut connection = connection_with_a_note();
    connection
        .execute_batch(
            "CREATE TEMP TABLE scratch (x); INSERT INTO scratch VALUES (7);
             CREATE TEMP VIEW seven AS SELECT x FROM scratch;
             CREATE INDEX temp.scratch_x ON scratch (x);
             CREATE TEMP TRIGGER double AFTER INSERT ON scratch
                 BEGIN UPDATE scratch SET x = x * 2 WHERE x = new.x; END;
             CREATE TEMP TRIGGER watch AFTER INSERT ON main.notes
                 BEGIN INSERT INTO scratch VALUES (new.id); END;",
        )
        .unwrap();
    let objects = "SELECT name FROM sqlite_temp_schema ORDER BY name";
    let text = notes(
        "PRAGMA legacy_alter_table = ON;
         CREATE TEMP TABLE moved AS SELECT * FROM notes;
         CREATE TEMP VIEW moved_view AS SELECT body FROM moved;
         CREATE INDEX temp.moved_id ON moved (id);
         CREATE TABLE archive (body TEXT);
         INSERT INTO archive SELECT body FROM moved_view;
         ALTER TABLE notes ADD COLUMN title TEXT;",
    );
    upgrade(&mut connection, &text).unwrap();
    assert_eq!(column(&connection, objects), "double scratch scratch_x seven watch");
    assert_eq!(column(&connection, "SELECT x FROM seven"), "7");
    assert_eq!(column(&connection, "SELECT body FROM archive"), "tea");
    connection.execute_batch("INSERT INTO notes (id) VALUES (5)").unwrap();
    assert_eq!(column(&connection, "SELECT x FROM seven"), "7 10");
}

#[test]
fn a_failed_upgrade_leaves_temporary_objects_and_settings_as_before() {
    let mut connection = connection_with_a_note();
    connection
        .execute_batch(
            "PRAGMA temp_store = FILE; PRAGMA foreign_keys = ON; PRAGMA legacy_alter_table = ON;
             CREATE TEMP TABLE scratch (x); INSERT INTO scratch VALUES (7);",
        )
        .unwrap();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false).unwrap();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, true).unwrap();
    let settings = |connection: &Connection| {
        [
            "foreign_keys",
            "legacy_alter_table",
            "trusted_schema",
            "temp_store",
            "defer_foreign_keys",
            "recursive_triggers",
            "synchronous",
            "query_only",
        ]
        .map(|pragma| column(connection, &format!("PRAGMA {pragma}")))
    };
    let before = settings(&connection);
    let text = notes(
        "PRAGMA legacy_alter_table = OFF; PRAGMA defer_foreign_keys = ON; PRAGMA foreign_keys = OFF;
         CREATE TEMP TABLE moved AS SELECT * FROM notes;
         CREATE TABLE strict_notes (body TEXT CHECK (body <> 'tea'));
         INSERT INTO strict_notes SELECT body FROM moved;",
    );
    let error = upgrade(&mut connection, &text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint, "{error}");
    assert_eq!(settings(&connection), before);
    assert!(!connection.db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE).unwrap());
    assert_eq!(column(&connection, "SELECT name FROM sqlite_temp_schema"), "scratch");
    assert_eq!(column(&connection, "SELECT x FROM scratch"), "7");
    assert_eq!(column(&connection, "SELECT name FROM pragma_table_list('strict_notes')"), "");
    // No authorizer is left that would refuse this.
    connection.execute_batch("BEGIN; SAVEPOINT s; RELEASE s; COMMIT").unwrap();
    connection.execute_batch("ATTACH ':memory:' AS other; DETACH other").unwrap();
}

/// A block with a name that only a temporary table of the application has cannot reach it.
#[test]
fn a_block_cannot_reach_a_temporary_object_that_no_block_created() {
    let text = notes("DROP TABLE IF EXISTS temp.scratch;");
    let mut connection = connection_with_a_note();
    connection.execute_batch("CREATE TEMP TABLE scratch (x)").unwrap();
    let error = upgrade(&mut connection, &text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert_eq!(column(&connection, "SELECT name FROM sqlite_temp_schema"), "scratch");
}

#[test]
fn an_authorizer_of_the_application_does_not_stop_status() {
    let mut connection = connection_with_a_note();
    connection
        .authorizer(Some(|context: hooks::AuthContext<'_>| match context.action {
            hooks::AuthAction::Attach { .. } => hooks::Authorization::Deny,
            _ => hooks::Authorization::Allow,
        }))
        .unwrap();
    let text = notes(ADD_TITLE);
    let status = Changelog::parse(&text).unwrap().status(&connection, Scope::User).unwrap();
    assert_eq!(status.state, DatabaseState::Behind);
    // Status does not replace the authorizer.
    assert!(connection.execute_batch("ATTACH ':memory:' AS other").is_err());
}

#[test]
fn temporary_tables_of_blocks_work_in_all_their_kinds() {
    let mut connection = connection_with_a_note();
    let text = document(&[
        ("baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);"),
        (
            "1.0.0→1.1.0",
            "CREATE VIRTUAL TABLE temp.words USING fts5(body);
             INSERT INTO words SELECT body FROM notes;
             CREATE VIRTUAL TABLE temp.boxes USING rtree(id, x0, x1);
             INSERT INTO boxes VALUES (1, 2, 3);
             CREATE TEMP TABLE counted (n INTEGER PRIMARY KEY AUTOINCREMENT, word TEXT UNIQUE);
             INSERT INTO counted (word) SELECT body FROM words WHERE words MATCH 'tea';
             CREATE TEMP TRIGGER on_notes AFTER UPDATE ON notes
                 BEGIN INSERT INTO counted (word) VALUES (new.body || new.id); END;
             UPDATE notes SET body = body || '!';
             ALTER TABLE counted ADD COLUMN more TEXT;
             ALTER TABLE temp.counted RENAME TO kept;
             CREATE TABLE result AS SELECT n, word FROM kept;
             DROP TABLE boxes;",
        ),
        ("1.1.0→1.2.0", "CREATE TEMP TABLE counted (x); CREATE TABLE last (x);"),
    ]);
    upgrade(&mut connection, &text).unwrap();
    assert_eq!(column(&connection, "SELECT word FROM result ORDER BY n"), "tea tea!1");
    assert_eq!(
        column(
            &connection,
            "SELECT count(*) FROM sqlite_temp_schema WHERE name NOT LIKE 'sqlite%'"
        ),
        "0"
    );
}

/// The kind follows SQLite's code: a RAISE may have any text, and so may a name.
#[test]
fn a_failed_constraint_is_recognized_by_its_code() {
    for (sql, kind) in [
        ("UPDATE notes SET body = NULL;", ErrorKind::Constraint),
        ("DELETE FROM notes;", ErrorKind::Constraint),
        (
            "CREATE TABLE numbers (n INTEGER) STRICT; INSERT INTO numbers SELECT body FROM notes;",
            ErrorKind::Constraint,
        ),
        (
            "CREATE TABLE copy AS SELECT json(body) AS \"constraint failed\" FROM notes;",
            ErrorKind::Statement,
        ),
    ] {
        let mut connection = Connection::open_in_memory().unwrap();
        let text = document(&[
            (
                "baseline→1.0.0",
                "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
                 CREATE TRIGGER kept BEFORE DELETE ON notes
                     BEGIN SELECT raise(ABORT, 'notes stay'); END;",
            ),
            ("1.0.0→1.1.0", sql),
        ]);
        upgrade(&mut connection, text.split("\n\n").next().unwrap()).unwrap();
        connection.execute_batch("INSERT INTO notes VALUES (1, 'tea')").unwrap();
        let error = upgrade(&mut connection, &text).unwrap_err();
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        assert_eq!(column(&connection, "SELECT body FROM notes"), "tea");
    }
}

#[test]
fn the_version_table_of_another_tool_decides_for_a_connection() {
    let text = notes("UPDATE notes SET body = upper(body);").replace(
        "```sql\n-- [user:1.0.0",
        "## 1.0.0 → 1.1.0\n\n**Imported**: kysely 002\n\n```sql\n-- [user:1.0.0",
    );
    let changelog = Changelog::parse(&text).unwrap();
    let tables = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);
        INSERT INTO notes (body) VALUES ('tea');
        CREATE TABLE kysely_migration (name TEXT PRIMARY KEY, timestamp TEXT);";
    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(tables).unwrap();
    let status = changelog.status(&connection, Scope::User).unwrap();
    assert_eq!(status.detected.unwrap().to_string(), "1.0.0");
    connection.execute_batch("INSERT INTO kysely_migration VALUES ('002', 'now')").unwrap();
    let report = changelog.upgrade(&mut connection, Scope::User).unwrap();
    assert_eq!(report.from.to_string(), "1.1.0");
    assert_eq!(
        report.notes,
        ["adopted at 1.1.0: `kysely_migration` records 1 migration and the schema matches 1.1.0"]
    );
    assert_eq!(column(&connection, "SELECT body FROM notes"), "tea");

    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(tables).unwrap();
    connection.execute_batch("INSERT INTO kysely_migration VALUES ('009', 'now')").unwrap();
    let status = changelog.status(&connection, Scope::User).unwrap();
    assert_eq!(status.detected, None);
    assert_eq!(status.error.unwrap().kind(), ErrorKind::Unversioned);
    let error = changelog.upgrade(&mut connection, Scope::User).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unversioned);
    assert!(error.to_string().contains("records `009`, which MIGRATIONS.md does not have"));
    assert_eq!(column(&connection, "SELECT body FROM notes"), "tea");
}
