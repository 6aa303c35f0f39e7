//! Tests databases that another migration tool migrated before: its version table and the schema
//! together give the version, and what they do not agree on is refused and shown.

use serde_json::json;

use crate::support::{Fleet, RunOutput};

/// The migrations of every document here. The third changes rows only, so that the schema does not
/// show it.
const MIGRATIONS: [(&str, &str); 4] = [
    ("baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);"),
    ("1.0.0→1.1.0", "ALTER TABLE notes ADD COLUMN size INTEGER;"),
    ("1.1.0→1.2.0", "UPDATE notes SET size = coalesce(size, 0) + length(body);"),
    ("1.2.0→1.3.0", "CREATE TABLE tags (note INTEGER NOT NULL, tag TEXT NOT NULL);"),
];

/// A document whose migrations were imported. A key is below the heading of the migration at the same
/// index; one that is empty is left out.
fn document(tool: &str, keys: [&str; 4]) -> String {
    let section = |((versions, sql), key): ((&str, &str), &str)| {
        let imported = match key {
            "" => String::new(),
            key => format!("**Imported**: {tool} {key}\n"),
        };
        let heading = versions.replace("baseline→", "Baseline: ").replace('→', " → ");
        format!(
            "## {heading}\n\n**Date**: 2026-01-01\n**Description**: d\n{imported}\n```sql\n-- [user:{versions}:start]\n{sql}\n-- [user:{versions}:end]\n```\n\n"
        )
    };
    MIGRATIONS.into_iter().zip(keys).map(section).collect()
}

/// The schema after the first `count` migrations, with one note that the third has not changed.
fn schema(count: usize) -> String {
    let ddl = MIGRATIONS[..count].iter().filter(|(versions, _)| *versions != "1.1.0→1.2.0");
    let mut sql: String = ddl.map(|(_, sql)| *sql).collect();
    if count > 0 {
        sql += "INSERT INTO notes (body) VALUES ('tea');";
    }
    sql
}

/// How a tool creates its version table, and a row for a key.
struct Tool {
    name: &'static str,
    table: &'static str,
    keys: [&'static str; 4],
    create: &'static str,
    /// With `KEY` in place of the key.
    insert: &'static str,
}

const GOOSE: Tool = Tool {
    name: "goose",
    table: "goose_db_version",
    keys: ["00001", "2", "3", "4"],
    create: "CREATE TABLE goose_db_version (
        id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL,
        is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')));
        INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1);",
    insert: "INSERT INTO goose_db_version (version_id, is_applied) VALUES (KEY, 1);",
};

const DBMATE: Tool = Tool {
    name: "dbmate",
    table: "schema_migrations",
    keys: ["20240101000000", "20240102000000", "20240103000000", "20240104000000"],
    create: "CREATE TABLE \"schema_migrations\" (version varchar(128) primary key);",
    insert: "INSERT INTO schema_migrations VALUES ('KEY');",
};

const GOLANG_MIGRATE: Tool = Tool {
    name: "golang-migrate",
    table: "schema_migrations",
    keys: ["000001", "000002", "000003", "000004"],
    create: "CREATE TABLE schema_migrations (version uint64,dirty bool);
        CREATE UNIQUE INDEX version_unique ON schema_migrations (version);",
    insert: "DELETE FROM schema_migrations; INSERT INTO schema_migrations VALUES (KEY, 0);",
};

const FLYWAY: Tool = Tool {
    name: "flyway",
    table: "flyway_schema_history",
    keys: ["1", "1_1", "2.0", "10"],
    create: "CREATE TABLE flyway_schema_history (
        installed_rank INT NOT NULL PRIMARY KEY, version VARCHAR(50),
        description VARCHAR(200) NOT NULL, type VARCHAR(20) NOT NULL,
        script VARCHAR(1000) NOT NULL, checksum INT, installed_by VARCHAR(100) NOT NULL,
        installed_on TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f','now')),
        execution_time INT NOT NULL, success BOOLEAN NOT NULL);
        CREATE INDEX flyway_schema_history_s_idx ON flyway_schema_history (success);",
    insert: "INSERT INTO flyway_schema_history SELECT (SELECT count(*) FROM flyway_schema_history),
        replace('KEY', '_', '.'), 'd', 'SQL', 'VKEY__d.sql', 1, 'me', 'now', 1, 1;",
};

const ALEMBIC: Tool = Tool {
    name: "alembic",
    table: "alembic_version",
    keys: ["1b2c3d4e5f60", "a7", "0099ff", "c0ffee"],
    create: "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,
        CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));",
    insert: "DELETE FROM alembic_version; INSERT INTO alembic_version VALUES ('KEY');",
};

const PRISMA: Tool = Tool {
    name: "prisma",
    table: "_prisma_migrations",
    keys: ["20240101_init", "20240102_size", "20240103_fill", "20240104_tags"],
    create: "CREATE TABLE \"_prisma_migrations\" (
        \"id\" TEXT PRIMARY KEY NOT NULL, \"checksum\" TEXT NOT NULL, \"finished_at\" DATETIME,
        \"migration_name\" TEXT NOT NULL, \"logs\" TEXT, \"rolled_back_at\" DATETIME,
        \"started_at\" DATETIME NOT NULL DEFAULT current_timestamp,
        \"applied_steps_count\" INTEGER UNSIGNED NOT NULL DEFAULT 0);",
    insert: "INSERT INTO _prisma_migrations VALUES
        (hex(randomblob(8)), 'x', 1700000000000, 'KEY', NULL, NULL, 1700000000000, 1);",
};

const KNEX: Tool = Tool {
    name: "knex",
    table: "knex_migrations",
    keys: ["1_init.js", "2_size.js", "3_fill.js", "4_tags.js"],
    create: "CREATE TABLE `knex_migrations` (`id` integer not null primary key autoincrement,
        `name` varchar(255), `batch` integer, `migration_time` datetime);
        CREATE TABLE `knex_migrations_lock` (`index` integer not null primary key autoincrement,
        `is_locked` integer);
        INSERT INTO knex_migrations_lock (is_locked) VALUES (0);",
    insert: "INSERT INTO knex_migrations (name, batch, migration_time) VALUES ('KEY', 1, 17);",
};

const DRIZZLE: Tool = Tool {
    name: "drizzle",
    table: "__drizzle_migrations",
    keys: ["1700000000001", "1700000000002", "hash-1700000000003", "1700000000004"],
    create: "CREATE TABLE __drizzle_migrations (
        id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric);",
    insert: "INSERT INTO __drizzle_migrations (hash, created_at)
        VALUES ('hash-' || replace('KEY', 'hash-', ''), replace('KEY', 'hash-', ''));",
};

const TOOLS: &[Tool] = &[
    GOOSE,
    DBMATE,
    GOLANG_MIGRATE,
    FLYWAY,
    ALEMBIC,
    PRISMA,
    KNEX,
    DRIZZLE,
    Tool {
        name: "sqlx",
        table: "_sqlx_migrations",
        keys: ["20240101000000", "20240102000000", "20240103000000", "20240104000000"],
        create: "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY,
            description TEXT NOT NULL, installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
            success BOOLEAN NOT NULL, checksum BLOB NOT NULL, execution_time BIGINT NOT NULL);",
        insert: "INSERT INTO _sqlx_migrations VALUES (KEY, 'd', 'now', 1, x'00', 7);",
    },
    Tool {
        name: "refinery",
        table: "refinery_schema_history",
        keys: ["1", "2", "3", "4"],
        create: "CREATE TABLE refinery_schema_history (version INT4 PRIMARY KEY,
            name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255));",
        insert: "INSERT INTO refinery_schema_history VALUES (KEY, 'd', 'now', '1');",
    },
    Tool {
        name: "diesel",
        table: "__diesel_schema_migrations",
        keys: ["20240101000000", "20240102000000", "20240103000000", "20240104000000"],
        create: "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL,
            run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);",
        insert: "INSERT INTO __diesel_schema_migrations (version) VALUES ('KEY');",
    },
    Tool {
        name: "d1",
        table: "d1_migrations",
        keys: ["0001_init.sql", "0002_size.sql", "0003_fill.sql", "0004_tags.sql"],
        create: "CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL);",
        insert: "INSERT INTO d1_migrations (name) VALUES ('KEY');",
    },
    Tool {
        name: "kysely",
        table: "kysely_migration",
        keys: ["001", "002", "003", "004"],
        create: "CREATE TABLE \"kysely_migration\" (\"name\" varchar(255) not null primary key,
            \"timestamp\" varchar(255) not null);
            CREATE TABLE \"kysely_migration_lock\" (\"id\" varchar(255) not null primary key,
            \"is_locked\" integer default 0 not null);",
        insert: "INSERT INTO kysely_migration VALUES ('KEY', 'now');",
    },
    Tool {
        name: "django",
        table: "django_migrations",
        keys: ["notes.0001_initial", "notes 0002_size", "notes.0003_fill", "notes.0004_tags"],
        create: "CREATE TABLE \"django_migrations\" (
            \"id\" integer NOT NULL PRIMARY KEY AUTOINCREMENT, \"app\" varchar(255) NOT NULL,
            \"name\" varchar(255) NOT NULL, \"applied\" datetime NOT NULL);",
        insert: "INSERT INTO django_migrations (app, name, applied)
            VALUES ('notes', replace(replace('KEY', 'notes.', ''), 'notes ', ''), 'now');",
    },
    Tool {
        name: "rails",
        table: "schema_migrations",
        keys: ["001", "2", "3", "20240104000000"],
        create: "CREATE TABLE \"schema_migrations\" (\"version\" varchar NOT NULL PRIMARY KEY);
            CREATE TABLE \"ar_internal_metadata\" (\"key\" varchar NOT NULL PRIMARY KEY,
            \"value\" varchar, \"created_at\" datetime(6) NOT NULL, \"updated_at\" datetime(6) NOT NULL);",
        insert: "INSERT INTO schema_migrations VALUES (ltrim('KEY', '0'));",
    },
];

impl Tool {
    fn document(&self) -> String {
        document(self.name, self.keys)
    }

    /// The version table with these keys.
    fn table(&self, keys: &[&str]) -> String {
        let rows = keys.iter().map(|key| self.insert.replace("KEY", key));
        format!("{}{}", self.create, rows.collect::<String>())
    }

    /// A fleet with the user `ann`, whose schema is that after `schema_count` migrations, and whose
    /// version table records the first `recorded_count`.
    fn fleet(&self, schema_count: usize, recorded_count: usize) -> Fleet {
        self.fleet_with(schema_count, &self.table(&self.keys[..recorded_count]))
    }

    fn fleet_with(&self, schema_count: usize, table: &str) -> Fleet {
        let sql = format!("{}{table}", schema(schema_count));
        Fleet::new().document(self.document()).user("ann", &sql)
    }

    #[track_caller]
    fn records(&self, fleet: &Fleet) -> Vec<String> {
        fleet.database("ann").rows(&format!("SELECT * FROM {}", self.table))
    }
}

/// Asserts that no command takes the version of `ann` for known, that each shows why, and that
/// `adopt --at` decides.
#[track_caller]
fn assert_refused(fleet: &Fleet, texts: &[&str]) {
    let shows = |run: &RunOutput<'_>| {
        let output = format!("{}{}", run.stdout_text(), run.stderr_text());
        for text in texts {
            assert!(output.contains(text), "no {text:?} in\n{}", run.describe());
        }
    };
    let before = fleet.database("ann").dump();
    for command in ["adopt", "upgrade"] {
        shows(fleet.run([command, "--user", "ann"]).status(1));
    }
    shows(fleet.run_without_changes(["status"]).status(0));
    let status = fleet.run_without_changes(["status", "--json"]).status(0).json();
    let ann = &status["databases"][0];
    assert_eq!(ann["state"], "unversioned");
    assert_eq!(ann["detected"]["version"], json!(null));
    let message = ann["error"]["message"].as_str().unwrap();
    assert!(texts.iter().all(|text| message.contains(text)), "{message}");
    assert_eq!(fleet.database("ann").dump(), before);
    let decided = fleet.copy();
    decided.run(["adopt", "--user", "ann", "--at", "1.1.0"]).status(0);
    assert_eq!(decided.database("ann").version().as_deref(), Some("1.1.0"));
}

#[test]
fn each_tools_table_decides_where_the_schema_fits_several_versions() {
    for tool in TOOLS {
        for (recorded, version, size) in [(2, "1.1.0", 3), (3, "1.2.0", 0)] {
            let fleet = tool.fleet(3, recorded);
            let records = tool.records(&fleet);
            let run = fleet.run(["adopt", "--all-users"]);
            run.status(0)
                .stdout_contains(&format!("1 user (`ann`): recorded at {version}\n"))
                .stdout_contains(&format!("  note: `{}` records ", tool.table))
                .stdout_contains(&format!(" and the schema matches {version}\n"));
            assert_eq!(tool.records(&fleet), records, "{}", tool.name);
            fleet.run(["upgrade", "--all-users"]).status(0);
            let ann = fleet.database("ann");
            assert_eq!(ann.version().as_deref(), Some("1.3.0"), "{}", tool.name);
            let expected = format!("tea|{size}").replace("|0", "|NULL");
            assert_eq!(ann.rows("SELECT body, size FROM notes"), [expected], "{}", tool.name);
            assert_eq!(tool.records(&fleet), records, "{}", tool.name);
            fleet.run_without_changes(["verify"]).status(0);
        }
    }
}

#[test]
fn each_tools_table_is_held_against_the_schema() {
    for tool in TOOLS {
        let fleet = tool.fleet(4, 3);
        let table = format!("`{}` records ", tool.table);
        let texts = [
            &table,
            "up to 1.2.0; the schema matches 1.3.0",
            "`tatmig adopt --user NAME --at 1.2.0`",
        ];
        assert_refused(&fleet, &texts);
        // A table without a row records nothing.
        let fleet = tool.fleet(4, 0);
        let table = format!("`{}` records no migration; the schema matches 1.3.0", tool.table);
        assert_refused(&fleet, &[&table]);
        // A migration that is not in the document.
        let unknown = if tool.name == "django" { "notes.0009_x" } else { "20990109" };
        let mut keys = tool.keys.to_vec();
        keys.push(unknown);
        let fleet = tool.fleet_with(4, &tool.table(&keys));
        assert_refused(&fleet, &[unknown, "which MIGRATIONS.md does not have", "newer"]);
    }
}

#[test]
fn an_upgrade_adopts_what_table_and_schema_agree_on() {
    let fleet =
        GOOSE.fleet(2, 2).user("bob", &format!("{}{}", schema(4), GOOSE.table(&GOOSE.keys)));
    fleet
        .run_without_changes(["status"])
        .status(0)
        .stdout_contains("ann  -         unversioned, its schema is that of 1.1.0, `goose_db_version` records 2 migrations, pending 1.2.0, 1.3.0\n")
        .stdout_contains("bob  -         unversioned, its schema is that of 1.3.0, `goose_db_version` records 4 migrations\n");
    let status = fleet.run_without_changes(["status", "--json"]).status(0).json();
    let ann = &status["databases"][0];
    assert_eq!(ann["pending"], json!(["1.2.0", "1.3.0"]));
    let sources = json!([{ "tool": "goose", "table": "goose_db_version", "version": "1.1.0",
                           "records": "2 migrations", "problems": [] }]);
    let expected = json!({ "match": "matched", "version": "1.1.0", "candidates": [], "there": [],
                           "missing": [], "sources": sources });
    assert_eq!(ann["detected"], expected);
    fleet
        .run(["upgrade", "--all-users", "-v"])
        .status(0)
        .stdout_contains("ann: 1.1.0 → 1.3.0 (adopted at 1.1.0: `goose_db_version` records 2 migrations and the schema matches 1.1.0)\n")
        .stdout_contains("bob: at 1.3.0 (adopted at 1.3.0: `goose_db_version` records 4 migrations and the schema matches 1.3.0)\n");
    assert_eq!(fleet.database("ann").rows("SELECT body, size FROM notes"), ["tea|3"]);
    assert_eq!(fleet.database("bob").rows("SELECT body, size FROM notes"), ["tea|NULL"]);
}

#[test]
fn unfinished_migrations_are_refused() {
    let with = |tool: &Tool, sql: &str| {
        tool.fleet_with(2, &format!("{}{sql}", tool.table(&tool.keys[..2])))
    };
    let fleet = with(&GOLANG_MIGRATE, "UPDATE schema_migrations SET version = 3, dirty = 1");
    assert_refused(&fleet, &["`schema_migrations` marks `3` as dirty", "the schema matches 1.1.0"]);
    let fleet = with(&GOLANG_MIGRATE, "INSERT INTO schema_migrations VALUES (1, 0)");
    assert_refused(&fleet, &["`schema_migrations` has 2 rows"]);
    let sqlx = TOOLS.iter().find(|tool| tool.name == "sqlx").unwrap();
    let fleet =
        with(sqlx, "UPDATE _sqlx_migrations SET success = 0 WHERE version > 20240101000000");
    assert_refused(&fleet, &["`_sqlx_migrations` marks `20240102000000` as failed"]);
    let fleet = with(&FLYWAY, "UPDATE flyway_schema_history SET success = 0 WHERE version = '1.1'");
    assert_refused(&fleet, &["`flyway_schema_history` marks `1.1` as failed"]);
    let fleet = with(&PRISMA, "UPDATE _prisma_migrations SET finished_at = NULL");
    assert_refused(&fleet, &["`_prisma_migrations` has no time at which `20240101_init` finished"]);
    let fleet = with(&KNEX, "UPDATE knex_migrations_lock SET is_locked = 1");
    assert_refused(&fleet, &["`knex_migrations` is locked (`knex_migrations_lock`)"]);
    let fleet = with(&ALEMBIC, "INSERT INTO alembic_version VALUES ('c0ffee')");
    assert_refused(&fleet, &["has the heads of several branches: `a7`, `c0ffee`"]);
    let fleet = with(&DBMATE, "INSERT INTO schema_migrations VALUES (NULL)");
    assert_refused(&fleet, &["`schema_migrations` has a row without a key"]);
}

#[test]
fn what_a_tool_undid_is_not_applied() {
    let with = |tool: &Tool, sql: &str| {
        tool.fleet_with(2, &format!("{}{sql}", tool.table(&tool.keys[..3])))
    };
    for fleet in [
        with(&GOOSE, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (3, 0)"),
        with(
            &PRISMA,
            "UPDATE _prisma_migrations SET rolled_back_at = 17, finished_at = NULL WHERE migration_name = '20240103_fill'",
        ),
        with(
            &FLYWAY,
            "INSERT INTO flyway_schema_history VALUES (9, '2.0', 'd', 'UNDO_SQL', 'U', 1, 'me', 'now', 1, 1)",
        ),
    ] {
        fleet
            .run(["adopt", "--all-users"])
            .status(0)
            .stdout_contains("recorded at 1.1.0\n")
            .stdout_contains("records 2 migrations and the schema matches 1.1.0\n");
    }
}

#[test]
fn a_gap_in_the_table_is_refused() {
    let fleet = GOOSE.fleet_with(4, &GOOSE.table(&["1", "2", "4"]));
    assert_refused(
        &fleet,
        &[
            "`goose_db_version` records `4` (1.3.0) and not `3` (1.2.0), which the document has before it",
        ],
    );
    // Two keys of one migration: a squashed baseline.
    let squashed =
        GOOSE.document().replace("goose 00001\n", "goose 00001\n**Imported**: goose 11\n");
    let fleet = GOOSE.fleet_with(1, &GOOSE.table(&["1"])).document(&squashed);
    assert_refused(&fleet, &["records `00001` and not `11`, and 1.0.0 contains all of them"]);
    let fleet = GOOSE.fleet_with(1, &GOOSE.table(&["11", "1"])).document(&squashed);
    fleet
        .run(["adopt", "--all-users"])
        .status(0)
        .stdout_contains("records 2 migrations and the schema matches 1.0.0\n");
}

#[test]
fn a_migration_that_is_only_planned_is_refused() {
    let planned = GOOSE.document().replace("1.2.0 → 1.3.0", "1.2.0 → 1.3.0 (Planned)");
    let planned = planned.replace("CREATE TABLE tags", "-- CREATE TABLE tags");
    let fleet = GOOSE.fleet(3, 4).document(planned);
    assert_refused(&fleet, &["records `4`, and its version 1.3.0 is only planned"]);
}

#[test]
fn a_baseline_of_flyway_counts_all_versions_up_to_it() {
    let baseline = "INSERT INTO flyway_schema_history
        VALUES (1, '1.5', 'd', 'BASELINE', 'd', NULL, 'me', 'now', 0, 1);";
    let table = format!("{}{baseline}", FLYWAY.create);
    FLYWAY.fleet_with(3, &table).run(["adopt", "--all-users"]).status(0).stdout_contains(
        "  note: `flyway_schema_history` records 2 migrations, those up to its baseline `1.5` included and the schema matches 1.1.0\n",
    );
    // A repeatable migration has no place in the order.
    let insert = "INSERT INTO flyway_schema_history
        VALUES (2, NULL, 'd', 'SQL', 'R__views.sql', 1, 'me', 'now', 0, 1);";
    FLYWAY
        .fleet_with(3, &format!("{table}{insert}"))
        .run(["adopt", "--all-users"])
        .status(0)
        .stdout_contains("recorded at 1.1.0\n")
        .stdout_contains("  note: `flyway_schema_history` also records `R__views.sql`, which the document has no part of\n");
}

#[test]
fn a_repeatable_migration_of_flyway_counts_once_all_before_it_are_applied() {
    // The last migration only changes rows, and is recorded by the name of its file.
    let text = document("flyway", ["1", "2", "3", "R__fill.sql"]).replace(
        "CREATE TABLE tags (note INTEGER NOT NULL, tag TEXT NOT NULL);",
        "UPDATE notes SET size = 0;",
    );
    let insert = "INSERT INTO flyway_schema_history
        VALUES (9, NULL, 'd', 'SQL', 'R__fill.sql', 1, 'me', 'now', 0, 1);";
    let fleet = |versions: &[&str], insert: &str| {
        FLYWAY.fleet_with(3, &format!("{}{insert}", FLYWAY.table(versions))).document(&text)
    };
    for (versions, insert, expected) in [
        (&["1", "2", "3"][..], insert, "1.3.0"),
        (&["1", "2", "3"], "", "1.2.0"),
        (&["1", "2"], insert, "1.1.0"),
    ] {
        let fleet = fleet(versions, insert);
        let run = fleet.run(["adopt", "--all-users"]);
        run.status(0).stdout_contains(&format!("recorded at {expected}\n")).stdout_lacks("also");
    }
}

#[test]
fn migrations_of_other_django_apps_are_named() {
    let django = TOOLS.iter().find(|tool| tool.name == "django").unwrap();
    let others = "INSERT INTO django_migrations (app, name, applied)
        VALUES ('auth', '0001_initial', 'now'), ('admin', '0001_initial', 'now');";
    let fleet = django.fleet_with(2, &format!("{}{others}", django.table(&django.keys[..2])));
    fleet
        .run(["adopt", "--all-users"])
        .status(0)
        .stdout_contains("  note: `django_migrations` records 2 migrations and the schema matches 1.1.0\n")
        .stdout_contains("  note: `django_migrations` also records `auth.0001_initial`, `admin.0001_initial`, which the document has no part of\n");
}

#[test]
fn a_table_with_other_columns_is_not_that_of_the_tool() {
    for table in [
        "CREATE TABLE schema_migrations (version TEXT, inserted_at TEXT);",
        "CREATE TABLE schema_migrations (version uint64, dirty bool);",
        "CREATE VIEW schema_migrations AS SELECT 1 AS version;",
        "CREATE VIRTUAL TABLE schema_migrations USING fts5 (version);",
    ] {
        let note =
            "`schema_migrations` is not read: it has not the columns of dbmate's version table";
        DBMATE
            .fleet_with(4, table)
            .run(["adopt", "--all-users"])
            .status(0)
            .stdout_contains("recorded at 1.3.0\n")
            .stdout_contains(&format!("  note: {note}\n"));
        DBMATE
            .fleet_with(4, table)
            .run(["upgrade", "--all-users", "-v"])
            .status(0)
            .stdout_contains(note);
        // The schema alone does not show whether the third migration ran.
        DBMATE.fleet_with(3, table).run(["adopt", "--all-users"]).status(1);
    }
    // Without an imported migration, no table is read, as broken as it may be.
    let fleet = DBMATE.fleet_with(4, "CREATE TABLE schema_migrations (version, dirty);");
    let fleet = fleet.document(document("dbmate", [""; 4]));
    fleet.run(["adopt", "--all-users"]).status(0).stdout("1 user (`ann`): recorded at 1.3.0\n");
}

#[test]
fn the_tables_of_several_tools_must_agree() {
    let both = GOOSE
        .document()
        .replace("goose 00001\n", "goose 00001\n**Imported**: dbmate 20240101000000\n")
        .replace("goose 2\n", "goose 2\n**Imported**: dbmate 20240102000000\n");
    let tables = |goose: usize, dbmate: usize| {
        format!("{}{}", GOOSE.table(&GOOSE.keys[..goose]), DBMATE.table(&DBMATE.keys[..dbmate]))
    };
    // dbmate was given up after the second migration.
    let fleet = GOOSE.fleet_with(3, &tables(3, 2)).document(&both);
    fleet.run(["adopt", "--all-users"]).status(0).stdout_contains("recorded at 1.2.0\n").stdout_contains(
        "  note: `schema_migrations` records 2 migrations, up to 1.1.0; `goose_db_version` records 3 migrations, up to 1.2.0, and the schema matches 1.2.0\n",
    );
    let fleet = GOOSE.fleet_with(3, &tables(3, 1)).document(&both);
    assert_refused(
        &fleet,
        &[
            "`schema_migrations` records 1 migration, up to 1.0.0; `goose_db_version` records 3 migrations, up to 1.2.0; the schema matches 1.1.0 and 1.2.0",
        ],
    );
    // Of dbmate and Rails, only one can have the table.
    let rails = TOOLS.iter().find(|tool| tool.name == "rails").unwrap();
    let either = DBMATE
        .document()
        .replace("dbmate 20240101000000\n", "dbmate 20240101000000\n**Imported**: rails 1\n");
    let fleet = rails.fleet_with(1, &rails.table(&["1"])).document(&either);
    fleet.run(["adopt", "--all-users"]).status(0).stdout_contains("recorded at 1.0.0\n");
    let fleet = DBMATE.fleet(1, 1).document(&either);
    fleet.run(["adopt", "--all-users"]).status(0).stdout_contains("recorded at 1.0.0\n");
}

#[test]
fn migrations_that_no_tool_has_are_decided_by_the_schema() {
    // The document went on after the import.
    let keys = ["1", "2", "", ""];
    let fleet = GOOSE.fleet(2, 2).document(document("goose", keys));
    fleet.run(["adopt", "--all-users"]).status(0).stdout_contains("recorded at 1.1.0\n");
    let fleet = GOOSE.fleet(4, 2).document(document("goose", keys));
    fleet.run(["adopt", "--all-users"]).status(0).stdout_contains(
        "  note: `goose_db_version` records 2 migrations, up to 1.1.0, and the schema matches 1.3.0\n",
    );
    // The tool does not have the first migration of the document.
    let fleet = GOOSE.fleet(1, 0).document(document("goose", ["", "2", "3", "4"]));
    fleet.run(["adopt", "--all-users"]).status(0).stdout_contains(
        "  note: `goose_db_version` records no migration, and the schema matches 1.0.0\n",
    );
}

#[test]
fn a_database_with_drift_is_adopted_where_the_table_is_as_near_as_any_version() {
    let drift = "ALTER TABLE notes ADD COLUMN own TEXT;";
    let table = |count: usize| format!("{drift}{}", GOOSE.table(&GOOSE.keys[..count]));
    let fleet = GOOSE.fleet_with(4, &table(4));
    // `upgrade` leaves drift to a person.
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("`tatmig adopt --user NAME` records 1.3.0");
    fleet
        .run(["adopt", "--all-users"])
        .status(0)
        .stdout_contains("1 user (`ann`): recorded at 1.3.0, with 1 difference\n  column `notes.own` is not expected (TEXT)\n")
        .stdout_contains("  note: `goose_db_version` records 4 migrations, up to 1.3.0\n");
    // The table of tags is missing, which 1.3.0 creates.
    let fleet = GOOSE.fleet_with(3, &table(4));
    assert_refused(
        &fleet,
        &[
            "`goose_db_version` records 4 migrations, up to 1.3.0; the schema matches no version; ",
            "compared with 1.3.0, column `notes.own` is not expected (TEXT), table `tags` is missing",
        ],
    );
}

#[test]
fn a_database_without_tables_is_new_only_if_the_table_records_nothing() {
    let fleet = GOOSE.fleet(0, 0);
    fleet.run_without_changes(["status"]).status(0).stdout_contains("new, pending 1.0.0");
    fleet.run(["upgrade", "--all-users"]).status(0).stdout("ann: created at 1.3.0\n");
    let fleet = GOOSE.fleet(0, 2);
    let texts = [
        "`goose_db_version` records 2 migrations, up to 1.1.0; the database has no table of the document",
    ];
    let before = fleet.database("ann").dump();
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains(texts[0]);
    fleet.run(["adopt", "--all-users"]).status(1).stderr_contains(texts[0]);
    assert_eq!(fleet.database("ann").dump(), before);
    // An unrelated database, whatever its table records.
    let fleet = GOOSE.fleet_with(0, &format!("CREATE TABLE own (x);{}", GOOSE.table(&["1"])));
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("records 1 migration, up to 1.0.0; none of the document's tables exists");
}

#[test]
fn hostile_rows_are_refused_and_shown_without_control_characters() {
    for (value, shown) in [
        ("'\u{1b}[31mred'", "red"),
        ("x'00ff'", "without a key"),
        ("1e300", "1.0e+300"),
        ("'' || char(10) || 'a' || char(10) || 'b'", "which MIGRATIONS.md does not have"),
    ] {
        let table = format!("{}INSERT INTO schema_migrations VALUES ({value});", DBMATE.create);
        let fleet = DBMATE.fleet_with(2, &table);
        let run = fleet.run(["adopt", "--all-users"]);
        run.status(1).stderr_contains(shown).stderr_lacks("\u{1b}");
    }
    // A table that cannot be read stops no other database.
    let table = "CREATE TABLE schema_migrations (version uint64, dirty bool);
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'uint64', 'uint64 COLLATE own')
        WHERE name = 'schema_migrations';";
    let fleet = GOLANG_MIGRATE.fleet_with(2, table).user("bob", "");
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stdout_contains("1 upgraded to 1.3.0")
        .stderr_contains("`schema_migrations` cannot be read: no such collation sequence: own");
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.3.0"));
}
