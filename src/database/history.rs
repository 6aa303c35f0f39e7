//! The record that each database carries: table `_tatmig_migrations`, one row an event, never
//! changed. Its last row is the database's version.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::database::error::{DatabaseError, is_sql_error};
use crate::database::history_entry::{
    AppliedSource, HistoryEntry, HistoryEvent, HistoryState, NewHistoryEntry,
};
use crate::document::tag::Scope;

/// The name of the table.
pub(crate) const TABLE_NAME: &str = "_tatmig_migrations";

pub(crate) const CREATE_HISTORY_TABLE: &str = "\
CREATE TABLE IF NOT EXISTS _tatmig_migrations (
    id INTEGER PRIMARY KEY,
    event TEXT NOT NULL,
    from_version TEXT NOT NULL,
    to_version TEXT NOT NULL,
    scope TEXT NOT NULL,
    checksum TEXT,
    chain TEXT,
    applied_at TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    tool_version TEXT NOT NULL,
    note TEXT
)";

/// In the system database alone: the SQL that was applied, once for each checksum, so that an
/// edited migration can be shown beside what ran.
pub(crate) const CREATE_SOURCES_TABLE: &str = "\
CREATE TABLE IF NOT EXISTS _tatmig_sources (
    checksum TEXT PRIMARY KEY,
    scope TEXT NOT NULL,
    from_version TEXT NOT NULL,
    to_version TEXT NOT NULL,
    sql TEXT NOT NULL
) WITHOUT ROWID";

/// Whether a table is as tatmig makes its record.
pub(crate) fn is_history_table_sql(sql: &str) -> bool {
    sql.strip_prefix("CREATE TABLE ")
        == CREATE_HISTORY_TABLE.strip_prefix("CREATE TABLE IF NOT EXISTS ")
}

pub(crate) const ENTRY_COLUMNS: &str = "id, event, from_version, to_version, checksum, chain, applied_at, \
                       duration_ms, tool_version, note";

/// Reads the last row.
pub(crate) fn state(connection: &Connection) -> Result<HistoryState, DatabaseError> {
    // One statement answers for a database with a record, which is nearly every one.
    match last_entry(connection) {
        Ok(Some(entry)) => Ok(HistoryState::Versioned(entry)),
        Ok(None) => Ok(state_without_history(connection)?.0),
        Err(error) if is_sql_error(&error) => match state_without_history(connection)? {
            (state, None) => Ok(state),
            // Another run may have made it since the first look.
            (state, Some(kind)) if kind == "table" => Ok(last_entry(connection)
                .map_err(as_history_table_error)?
                .map_or(state, HistoryState::Versioned)),
            (_, Some(kind)) => {
                Err(DatabaseError::InvalidHistoryTable { reason: format!("is a {kind}") })
            }
        },
        Err(error) => Err(as_history_table_error(error)),
    }
}

fn last_entry(connection: &Connection) -> rusqlite::Result<Option<HistoryEntry>> {
    let sql = format!("SELECT {ENTRY_COLUMNS} FROM {TABLE_NAME} ORDER BY rowid DESC LIMIT 1");
    connection.prepare(&sql)?.query_row([], entry_from_row).optional()
}

/// What a database is that no row of a record speaks of, and what bears the record's name there.
fn state_without_history(
    connection: &Connection,
) -> rusqlite::Result<(HistoryState, Option<String>)> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema \
         WHERE name NOT LIKE 'sqlite$_%' ESCAPE '$' AND name NOT LIKE '$_tatmig$_%' ESCAPE '$'), \
         (SELECT type FROM sqlite_schema WHERE name = '_tatmig_migrations' COLLATE NOCASE)",
        [],
        |row| {
            Ok((
                if row.get(0)? { HistoryState::Unversioned } else { HistoryState::Empty },
                row.get(1)?,
            ))
        },
    )
}

/// Whether the record still ends where it did.
pub(crate) fn is_unchanged(
    connection: &Connection,
    expected: &HistoryState,
) -> Result<bool, DatabaseError> {
    let HistoryState::Versioned(entry) = expected else {
        // As nearly every new database is.
        let mut any_object = connection.prepare("SELECT 1 FROM sqlite_schema")?;
        if !any_object.exists([])? {
            return Ok(*expected == HistoryState::Empty);
        }
        return Ok(match state_without_history(connection)? {
            (current, None) => current.has_same_last_entry(expected),
            (_, Some(_)) => state(connection)?.has_same_last_entry(expected),
        });
    };
    let mut last_id = connection.prepare("SELECT max(rowid) FROM _tatmig_migrations")?;
    let id: Option<i64> = last_id.query_row([], |row| row.get(0))?;
    Ok(id == Some(entry.id))
}

/// Every row, oldest first; none where there is no record.
pub(crate) fn entries(connection: &Connection) -> Result<Vec<HistoryEntry>, DatabaseError> {
    if !matches!(state(connection)?, HistoryState::Versioned(_)) {
        return Ok(Vec::new());
    }
    let mut statement =
        connection.prepare(&format!("SELECT {ENTRY_COLUMNS} FROM {TABLE_NAME} ORDER BY id"))?;
    let rows = statement.query_map([], entry_from_row)?;
    rows.collect::<rusqlite::Result<_>>().map_err(as_history_table_error)
}

/// A table of the right name with other columns is somebody else's.
fn as_history_table_error(error: rusqlite::Error) -> DatabaseError {
    use rusqlite::Error as E;
    match error {
        error if is_sql_error(&error) => {
            let reason =
                format!("is another table: {}", crate::database::error::sqlite_message(&error));
            DatabaseError::InvalidHistoryTable { reason }
        }
        E::InvalidColumnType(..)
        | E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..) => DatabaseError::InvalidHistoryTable {
            reason: format!("holds a row that tatmig did not write: {error}"),
        },
        error => error.into(),
    }
}

fn entry_from_row(row: &Row<'_>) -> rusqlite::Result<HistoryEntry> {
    let event: String = row.get(1)?;
    let event = HistoryEvent::parse(&event).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            1,
            rusqlite::types::Type::Text,
            format!("unknown event `{event}`").into(),
        )
    })?;
    Ok(HistoryEntry {
        id: row.get(0)?,
        event,
        from: row.get(2)?,
        to: row.get(3)?,
        checksum: row.get(4)?,
        chain: row.get(5)?,
        applied_at: row.get(6)?,
        duration_ms: row.get(7)?,
        tool_version: row.get(8)?,
        note: row.get(9)?,
    })
}

/// Makes the table where it is missing.
pub(crate) fn create_table(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(CREATE_HISTORY_TABLE, []).map(drop)
}

/// Appends a row behind the `last` one, and fails where another one is the last; returns its
/// number.
pub(crate) fn append_entry(
    connection: &Connection,
    (scope, last_id): (Scope, i64),
    entry: &NewHistoryEntry,
    duration_and_note: (std::time::Duration, Option<&str>),
) -> Result<i64, DatabaseError> {
    // A trigger that somebody put on the record could keep the row out, or change it.
    let were_triggers_enabled = connection.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let insert_result = insert_entry(connection, scope, entry, duration_and_note);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, were_triggers_enabled)?;
    insert_result?;
    let inserted_id = connection.last_insert_rowid();
    match last_id.checked_add(1) {
        Some(expected_id) if expected_id == inserted_id => Ok(inserted_id),
        // SQLite takes the number behind the highest.
        Some(_) => Err(DatabaseError::ConcurrentChange),
        // Behind the highest number that there is, it takes any that is free.
        None => {
            let reason = format!("holds row {last_id}, which tatmig did not write");
            Err(DatabaseError::InvalidHistoryTable { reason })
        }
    }
}

fn insert_entry(
    connection: &Connection,
    scope: Scope,
    entry: &NewHistoryEntry,
    (duration, note): (std::time::Duration, Option<&str>),
) -> rusqlite::Result<()> {
    let now = jiff::Timestamp::now();
    let mut insert = connection.prepare(
        "INSERT INTO _tatmig_migrations (event, from_version, to_version, scope, checksum, chain, \
         applied_at, duration_ms, tool_version, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    insert.execute(params![
        entry.event.name(),
        entry.from,
        entry.to,
        scope.to_string(),
        entry.checksum.map(|checksum| checksum.to_string()),
        entry.chain.map(|chain| chain.to_string()),
        format!("{now:.3}"),
        i64::try_from(duration.as_millis()).unwrap_or(i64::MAX),
        env!("CARGO_PKG_VERSION"),
        entry.note.as_deref().or(note),
    ])?;
    Ok(())
}

/// Keeps the SQL of what was applied.
pub(crate) fn store_sources(
    connection: &Connection,
    sources: &[AppliedSource],
) -> rusqlite::Result<()> {
    if sources.is_empty() {
        return Ok(());
    }
    connection.execute(CREATE_SOURCES_TABLE, [])?;
    let mut insert = connection.prepare(
        "INSERT OR IGNORE INTO _tatmig_sources (checksum, scope, from_version, to_version, sql) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for source in sources {
        insert.execute(params![
            source.checksum.to_string(),
            source.scope.to_string(),
            source.from,
            source.to,
            source.sql
        ])?;
    }
    Ok(())
}

/// The SQL behind a checksum, where the system database kept it.
pub(crate) fn stored_source(
    connection: &Connection,
    checksum: &str,
) -> rusqlite::Result<Option<String>> {
    let exists: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_tatmig_sources' AND type = 'table')",
        [],
        |row| row.get(0),
    )?;
    if !exists {
        return Ok(None);
    }
    connection
        .query_row("SELECT sql FROM _tatmig_sources WHERE checksum = ?1", [checksum], |row| {
            row.get(0)
        })
        .optional()
}

/// The differences from the document that were accepted when the database was adopted, in the
/// words that they were told with.
pub(crate) fn accepted_drift(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut notes = connection.prepare(
        "SELECT note FROM _tatmig_migrations WHERE event = 'adopt' AND note IS NOT NULL",
    )?;
    let notes: Vec<String> =
        notes.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(notes.iter().flat_map(|note| note.lines().map(str::to_owned)).collect())
}
