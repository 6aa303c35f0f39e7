//! Finds and reads the version tables of other migration tools: which of their migrations a database
//! has. What that says about the document is decided in `migrate`.

use std::collections::BTreeSet;

use crate::database::error::DatabaseError;
use crate::database::session::{Query, Session, SessionError};
use crate::database::version_table_rows as rows;
use crate::database::version_table_rows::Records;
use crate::document::imported::MigrationTool;
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::sql::value::Row;

/// The version table of a tool in one database, with what it records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionTable {
    pub(crate) tool: MigrationTool,
    /// The name of the table, as the database spells it.
    pub(crate) name: String,
    pub(crate) records: Records,
}

/// The columns by which the table of a tool is recognized.
#[derive(Clone, Copy, Debug)]
enum Columns {
    /// These and no others, since several tools use the name.
    Exactly(&'static [&'static str]),
    /// These; later releases of the tool have more.
    AtLeast(&'static [&'static str]),
}

impl Columns {
    fn fit(self, object: &Object) -> bool {
        let (names, is_exact) = match self {
            Self::Exactly(names) => (names, true),
            Self::AtLeast(names) => (names, false),
        };
        names.iter().all(|name| object.has_column(name))
            && (!is_exact || object.columns().count() == names.len())
    }
}

/// How the version table of a tool is recognized and read.
#[derive(Debug)]
struct TableFormat {
    tool: MigrationTool,
    table: &'static str,
    columns: Columns,
    query: &'static str,
    read: fn(&[Row]) -> Records,
}

/// Of two formats for one tool, the first whose columns fit counts.
const FORMATS: &[TableFormat] = &[
    TableFormat {
        tool: MigrationTool::Dbmate,
        table: "schema_migrations",
        columns: Columns::Exactly(&["version"]),
        query: "SELECT version FROM main.schema_migrations ORDER BY version",
        read: rows::keys,
    },
    TableFormat {
        tool: MigrationTool::Goose,
        table: "goose_db_version",
        columns: Columns::AtLeast(&["id", "version_id", "is_applied"]),
        query: "SELECT version_id, is_applied FROM main.goose_db_version ORDER BY id",
        read: rows::goose,
    },
    TableFormat {
        tool: MigrationTool::GolangMigrate,
        table: "schema_migrations",
        columns: Columns::Exactly(&["version", "dirty"]),
        query: "SELECT version, dirty FROM main.schema_migrations ORDER BY version",
        read: rows::golang_migrate,
    },
    TableFormat {
        tool: MigrationTool::Sqlx,
        table: "_sqlx_migrations",
        columns: Columns::AtLeast(&["version", "success"]),
        query: "SELECT version, success FROM main._sqlx_migrations ORDER BY version",
        read: rows::sqlx,
    },
    TableFormat {
        tool: MigrationTool::Refinery,
        table: "refinery_schema_history",
        columns: Columns::AtLeast(&["version", "name", "checksum"]),
        query: "SELECT version FROM main.refinery_schema_history ORDER BY version",
        read: rows::keys,
    },
    TableFormat {
        tool: MigrationTool::Diesel,
        table: "__diesel_schema_migrations",
        columns: Columns::AtLeast(&["version", "run_on"]),
        query: "SELECT version FROM main.__diesel_schema_migrations ORDER BY version",
        read: rows::keys,
    },
    TableFormat {
        tool: MigrationTool::Flyway,
        table: "flyway_schema_history",
        columns: Columns::AtLeast(&["installed_rank", "version", "type", "script", "success"]),
        query: "SELECT version, type, script, success FROM main.flyway_schema_history ORDER BY installed_rank",
        read: rows::flyway,
    },
    TableFormat {
        tool: MigrationTool::Drizzle,
        table: "__drizzle_migrations",
        columns: Columns::AtLeast(&["hash", "created_at", "name"]),
        query: "SELECT created_at, hash, name FROM main.__drizzle_migrations ORDER BY created_at",
        read: rows::drizzle,
    },
    TableFormat {
        tool: MigrationTool::Drizzle,
        table: "__drizzle_migrations",
        columns: Columns::AtLeast(&["hash", "created_at"]),
        query: "SELECT created_at, hash FROM main.__drizzle_migrations ORDER BY created_at",
        read: rows::drizzle,
    },
    TableFormat {
        tool: MigrationTool::Prisma,
        table: "_prisma_migrations",
        columns: Columns::AtLeast(&["migration_name", "finished_at", "rolled_back_at"]),
        query: "SELECT migration_name, finished_at, rolled_back_at FROM main._prisma_migrations ORDER BY migration_name",
        read: rows::prisma,
    },
    TableFormat {
        tool: MigrationTool::D1,
        table: "d1_migrations",
        columns: Columns::AtLeast(&["id", "name", "applied_at"]),
        query: "SELECT name FROM main.d1_migrations ORDER BY id",
        read: rows::keys,
    },
    TableFormat {
        tool: MigrationTool::Kysely,
        table: "kysely_migration",
        columns: Columns::AtLeast(&["name", "timestamp"]),
        query: "SELECT name FROM main.kysely_migration ORDER BY name",
        read: rows::keys,
    },
    TableFormat {
        tool: MigrationTool::Knex,
        table: "knex_migrations",
        columns: Columns::AtLeast(&["id", "name", "batch"]),
        query: "SELECT name FROM main.knex_migrations ORDER BY id",
        read: rows::keys,
    },
    TableFormat {
        tool: MigrationTool::Alembic,
        table: "alembic_version",
        columns: Columns::Exactly(&["version_num"]),
        query: "SELECT version_num FROM main.alembic_version ORDER BY version_num",
        read: rows::alembic,
    },
    TableFormat {
        tool: MigrationTool::Django,
        table: "django_migrations",
        columns: Columns::AtLeast(&["app", "name", "applied"]),
        query: "SELECT app || '.' || name FROM main.django_migrations ORDER BY id",
        read: rows::keys,
    },
    TableFormat {
        tool: MigrationTool::Rails,
        table: "schema_migrations",
        columns: Columns::Exactly(&["version"]),
        query: "SELECT version FROM main.schema_migrations ORDER BY version",
        read: rows::keys,
    },
];

/// The table in which Knex notes that a run has started. It keeps the note if the run was interrupted.
const KNEX_LOCK: &str = "knex_migrations_lock";
const KNEX_LOCK_QUERY: &str =
    "SELECT is_locked FROM main.knex_migrations_lock WHERE is_locked <> 0 LIMIT 1";

/// A table that only Rails creates, beside the table whose name and columns are also dbmate's.
const RAILS_METADATA: &str = "ar_internal_metadata";

/// The version tables of some tools in a schema, before they are read.
#[derive(Debug, Default)]
pub(crate) struct FoundTables {
    readable: Vec<ReadableTable>,
    /// For each table that has a tool's name and is not that tool's, a sentence.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug)]
struct ReadableTable {
    format: &'static TableFormat,
    name: String,
    has_knex_lock: bool,
}

impl FoundTables {
    /// Finds the version tables of `tools` by their names and columns.
    pub(crate) fn find(schema: &Schema, tools: &BTreeSet<MigrationTool>) -> Self {
        let mut found = Self::default();
        let is_of_rails = schema.contains_key(&table_key(RAILS_METADATA));
        for tool in tools {
            // One table cannot be that of both.
            let is_other_tools = match tool {
                MigrationTool::Dbmate => is_of_rails && tools.contains(&MigrationTool::Rails),
                MigrationTool::Rails => !is_of_rails && tools.contains(&MigrationTool::Dbmate),
                _ => false,
            };
            if is_other_tools {
                continue;
            }
            let mut formats = FORMATS.iter().filter(|format| format.tool == *tool).peekable();
            let Some(object) =
                formats.peek().and_then(|format| schema.get(&table_key(format.table)))
            else {
                continue;
            };
            let is_table = object.kind == ObjectKind::Table && !object.is_virtual_table();
            match formats.find(|format| is_table && format.columns.fit(object)) {
                Some(format) => found.readable.push(ReadableTable {
                    format,
                    name: object.name.clone(),
                    has_knex_lock: *tool == MigrationTool::Knex
                        && schema
                            .get(&table_key(KNEX_LOCK))
                            .is_some_and(|lock| lock.has_column("is_locked")),
                }),
                None => found.notes.push(format!(
                    "`{}` is not read: it has not the columns of {tool}'s version table",
                    object.name
                )),
            }
        }
        found
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.readable.is_empty()
    }
}

fn table_key(name: &str) -> ObjectKey {
    ObjectKey::new(ObjectKind::Table, name)
}

/// Reads version tables in one read transaction.
pub(crate) fn read<S: Session>(
    session: &S,
    tables: &FoundTables,
) -> Result<Vec<VersionTable>, DatabaseError> {
    let queries: Vec<Query<'_>> = tables
        .readable
        .iter()
        .flat_map(|table| {
            let lock = table.has_knex_lock.then_some(KNEX_LOCK_QUERY);
            std::iter::once(table.format.query).chain(lock).map(Query::new)
        })
        .collect();
    let mut results = session.query_all(&queries).map_err(Into::into)?.into_iter();
    let mut version_tables = Vec::new();
    for table in &tables.readable {
        let mut records = match results.next() {
            Some(Ok(rows)) => (table.format.read)(&rows),
            Some(Err(error)) if error.is_sql_error() => {
                let problems = vec![format!("cannot be read: {}", error.message())];
                Records { problems, ..Records::default() }
            }
            Some(Err(error)) => return Err(error.into()),
            None => Records::default(),
        };
        if table.has_knex_lock {
            let locks = results.next().transpose().map_err(Into::into)?.unwrap_or_default();
            if !locks.is_empty() {
                records.problems.push(format!(
                    "is locked (`{KNEX_LOCK}`): a run of knex has not ended, or was interrupted"
                ));
            }
        }
        let (tool, name) = (table.format.tool, table.name.clone());
        version_tables.push(VersionTable { tool, name, records });
    }
    Ok(version_tables)
}
