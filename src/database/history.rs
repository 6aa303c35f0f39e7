//! The record that each database carries: table `_tatmig_migrations`, one row an event, never
//! changed. Its last row is the database's version.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::database::error::{DatabaseError, is_about_sql};
use crate::database::history_entry::{Applied, Entry, Event, Record, State};
use crate::document::tag::Scope;

/// The name of the table.
pub(crate) const TABLE: &str = "_tatmig_migrations";

pub(crate) const CREATE: &str = "\
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
pub(crate) const CREATE_SOURCES: &str = "\
CREATE TABLE IF NOT EXISTS _tatmig_sources (
    checksum TEXT PRIMARY KEY,
    scope TEXT NOT NULL,
    from_version TEXT NOT NULL,
    to_version TEXT NOT NULL,
    sql TEXT NOT NULL
) WITHOUT ROWID";

/// Whether a table is as tatmig makes its record.
pub(crate) fn is_own_table(sql: &str) -> bool {
    sql.strip_prefix("CREATE TABLE ") == CREATE.strip_prefix("CREATE TABLE IF NOT EXISTS ")
}

pub(crate) const COLUMNS: &str = "id, event, from_version, to_version, checksum, chain, applied_at, \
                       duration_ms, tool_version, note";

/// Reads the last row.
pub(crate) fn state(connection: &Connection) -> Result<State, DatabaseError> {
    // One statement answers for a database with a record, which is nearly every one.
    match last(connection) {
        Ok(Some(record)) => Ok(State::Recorded(record)),
        Ok(None) => Ok(without_record(connection)?.0),
        Err(error) if is_about_sql(&error) => match without_record(connection)? {
            (state, None) => Ok(state),
            // Another run may have made it since the first look.
            (state, Some(kind)) if kind == "table" => {
                Ok(last(connection).map_err(foreign)?.map_or(state, State::Recorded))
            }
            (_, Some(kind)) => {
                Err(DatabaseError::ForeignHistory { reason: format!("is a {kind}") })
            }
        },
        Err(error) => Err(foreign(error)),
    }
}

fn last(connection: &Connection) -> rusqlite::Result<Option<Record>> {
    let sql = format!("SELECT {COLUMNS} FROM {TABLE} ORDER BY rowid DESC LIMIT 1");
    connection.prepare(&sql)?.query_row([], record).optional()
}

/// What a database is that no row of a record speaks of, and what bears the record's name there.
fn without_record(connection: &Connection) -> rusqlite::Result<(State, Option<String>)> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema \
         WHERE name NOT LIKE 'sqlite$_%' ESCAPE '$' AND name NOT LIKE '$_tatmig$_%' ESCAPE '$'), \
         (SELECT type FROM sqlite_schema WHERE name = '_tatmig_migrations' COLLATE NOCASE)",
        [],
        |row| Ok((if row.get(0)? { State::Unversioned } else { State::New }, row.get(1)?)),
    )
}

/// Whether the record still ends where it did.
pub(crate) fn is_unmoved(connection: &Connection, expected: &State) -> Result<bool, DatabaseError> {
    let State::Recorded(record) = expected else {
        // As nearly every new database is.
        let mut any = connection.prepare("SELECT 1 FROM sqlite_schema")?;
        if !any.exists([])? {
            return Ok(*expected == State::New);
        }
        return Ok(match without_record(connection)? {
            (now, None) => now.same_as(expected),
            (_, Some(_)) => state(connection)?.same_as(expected),
        });
    };
    let mut last = connection.prepare("SELECT max(rowid) FROM _tatmig_migrations")?;
    let id: Option<i64> = last.query_row([], |row| row.get(0))?;
    Ok(id == Some(record.id))
}

/// Every row, oldest first; none where there is no record.
pub(crate) fn records(connection: &Connection) -> Result<Vec<Record>, DatabaseError> {
    if !matches!(state(connection)?, State::Recorded(_)) {
        return Ok(Vec::new());
    }
    let mut all = connection.prepare(&format!("SELECT {COLUMNS} FROM {TABLE} ORDER BY id"))?;
    let rows = all.query_map([], record)?;
    rows.collect::<rusqlite::Result<_>>().map_err(foreign)
}

/// A table of the right name with other columns is somebody else's.
fn foreign(error: rusqlite::Error) -> DatabaseError {
    use rusqlite::Error as E;
    match error {
        error if is_about_sql(&error) => {
            let reason = format!("is another table: {}", crate::database::error::message(&error));
            DatabaseError::ForeignHistory { reason }
        }
        E::InvalidColumnType(..)
        | E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..) => DatabaseError::ForeignHistory {
            reason: format!("holds a row that tatmig did not write: {error}"),
        },
        error => error.into(),
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let event: String = row.get(1)?;
    let event = Event::parse(&event).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            1,
            rusqlite::types::Type::Text,
            format!("unknown event `{event}`").into(),
        )
    })?;
    Ok(Record {
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
pub(crate) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(CREATE, []).map(drop)
}

/// Appends a row behind the `last` one, and fails where another one is the last; returns its
/// number.
pub(crate) fn append(
    connection: &Connection,
    (scope, last): (Scope, i64),
    entry: &Entry,
    how: (std::time::Duration, Option<&str>),
) -> Result<i64, DatabaseError> {
    // A trigger that somebody put on the record could keep the row out, or change it.
    let triggers = connection.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let inserted = insert(connection, scope, entry, how);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, triggers)?;
    inserted?;
    let written = connection.last_insert_rowid();
    match last.checked_add(1) {
        Some(next) if next == written => Ok(written),
        // SQLite takes the number behind the highest.
        Some(_) => Err(DatabaseError::Moved),
        // Behind the highest number that there is, it takes any that is free.
        None => {
            let reason = format!("holds row {last}, which tatmig did not write");
            Err(DatabaseError::ForeignHistory { reason })
        }
    }
}

fn insert(
    connection: &Connection,
    scope: Scope,
    entry: &Entry,
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
pub(crate) fn keep(connection: &Connection, applied: &[Applied]) -> rusqlite::Result<()> {
    if applied.is_empty() {
        return Ok(());
    }
    connection.execute(CREATE_SOURCES, [])?;
    let mut insert = connection.prepare(
        "INSERT OR IGNORE INTO _tatmig_sources (checksum, scope, from_version, to_version, sql) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for part in applied {
        insert.execute(params![
            part.checksum.to_string(),
            part.scope.to_string(),
            part.from,
            part.to,
            part.sql
        ])?;
    }
    Ok(())
}

/// The SQL behind a checksum, where the system database kept it.
pub(crate) fn kept(connection: &Connection, checksum: &str) -> rusqlite::Result<Option<String>> {
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
pub(crate) fn accepted(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut notes = connection.prepare(
        "SELECT note FROM _tatmig_migrations WHERE event = 'adopt' AND note IS NOT NULL",
    )?;
    let notes: Vec<String> =
        notes.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(notes.iter().flat_map(|note| note.lines().map(str::to_owned)).collect())
}
