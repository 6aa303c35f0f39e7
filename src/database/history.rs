//! Reads and writes the history of a database: the table `_tatmig_migrations`, which has one row
//! for each event. Rows are only appended. The last row is the version of the database.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, params, params_from_iter};

use crate::database::error::DatabaseError;
use crate::database::history_entry::{
    AppliedSource, HistoryEntry, HistoryEvent, HistoryState, NewHistoryEntry,
};
use crate::database::session::{Query, Session, SessionError};
use crate::document::tag::Scope;
use crate::schema::difference::AcceptedDrift;
use crate::sql::value::{Row, Rows, SqlValue};

/// The name of the history table.
pub(crate) const TABLE_NAME: &str = "_tatmig_migrations";

pub(crate) const CREATE_HISTORY_TABLE: &str = "\
CREATE TABLE IF NOT EXISTS main._tatmig_migrations (
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

/// Only in the system database: the SQL of applied blocks, once for each checksum, so that an
/// edited migration can be compared with the SQL that ran, and of the reverse blocks that undo
/// them, so that it can be undone. The key of a reverse block is a
/// [`reverse_key`](crate::database::history_entry::reverse_key).
pub(crate) const CREATE_SOURCES_TABLE: &str = "\
CREATE TABLE IF NOT EXISTS main._tatmig_sources (
    checksum TEXT PRIMARY KEY,
    scope TEXT NOT NULL,
    from_version TEXT NOT NULL,
    to_version TEXT NOT NULL,
    sql TEXT NOT NULL
) WITHOUT ROWID";

/// Whether this is the SQL of a history table that tatmig created.
pub(crate) fn is_history_table_sql(sql: &str) -> bool {
    sql.strip_prefix("CREATE TABLE ")
        == CREATE_HISTORY_TABLE.strip_prefix("CREATE TABLE IF NOT EXISTS main.")
}

/// The columns of a history entry, in the order in which this file reads them.
const ENTRY_COLUMNS: &str = "id, event, from_version, to_version, checksum, chain, applied_at, \
                             duration_ms, tool_version, note";

/// The query for the last entry.
pub(crate) fn last_entry_query() -> String {
    format!("SELECT {ENTRY_COLUMNS} FROM main.{TABLE_NAME} ORDER BY rowid DESC LIMIT 1")
}

/// The query for what a database without a history entry contains: whether it has an object that
/// belongs neither to SQLite nor to tatmig, and the type of the object that has the name of the
/// history table, or NULL.
pub(crate) const OBJECTS_QUERY: &str = "\
SELECT EXISTS (SELECT 1 FROM main.sqlite_schema \
WHERE name NOT LIKE 'sqlite$_%' ESCAPE '$' AND name NOT LIKE '$_tatmig$_%' ESCAPE '$'), \
(SELECT type FROM main.sqlite_schema WHERE name = '_tatmig_migrations' COLLATE NOCASE)";

/// Reads the last entry of the history. The error is [`DatabaseError::InvalidHistoryTable`] if
/// something that tatmig did not create has the name of the history table.
pub(crate) fn state<S: Session>(session: &S) -> Result<HistoryState, DatabaseError> {
    let last_entry = || session.query(&last_entry_query(), &[]);
    state_from_results(last_entry(), || session.query(OBJECTS_QUERY, &[]), last_entry)
}

/// Reads the state from the results of [`last_entry_query`] and [`OBJECTS_QUERY`]. `objects` is
/// only called if there is no entry, and nearly every database has one. `retry` runs
/// [`last_entry_query`] again.
pub(crate) fn state_from_results<E: SessionError>(
    last_entry: Result<Rows, E>,
    objects: impl FnOnce() -> Result<Rows, E>,
    retry: impl FnOnce() -> Result<Rows, E>,
) -> Result<HistoryState, DatabaseError> {
    let error = match last_entry {
        Ok(rows) => match rows.into_iter().next() {
            Some(row) => return Ok(HistoryState::Versioned(entry_from_row(row)?)),
            None => None,
        },
        Err(error) if error.is_sql_error() => Some(error),
        Err(error) => return Err(error.into()),
    };
    let objects = objects().map_err(Into::into)?.into_iter().next().unwrap_or_default();
    let state = if objects.is_true(0) { HistoryState::Unversioned } else { HistoryState::Empty };
    match (error, objects.value(1).as_text()) {
        (None, _) | (Some(_), None) => Ok(state),
        // Another run may have created the table after the first query failed.
        (Some(_), Some("table")) => match retry().map_err(as_history_table_error)?.pop() {
            Some(row) => Ok(HistoryState::Versioned(entry_from_row(row)?)),
            None => Ok(state),
        },
        (Some(_), Some(kind)) => {
            Err(DatabaseError::InvalidHistoryTable { reason: format!("is a {kind}") })
        }
    }
}

/// Whether the history still ends with the entry that was expected.
pub(crate) fn is_unchanged(
    connection: &Connection,
    expected: &HistoryState,
) -> Result<bool, DatabaseError> {
    let HistoryState::Versioned(entry) = expected else {
        // Nearly every new database has no object at all.
        let mut any_object = connection.prepare("SELECT 1 FROM main.sqlite_schema")?;
        if !any_object.exists([])? {
            return Ok(*expected == HistoryState::Empty);
        }
        return Ok(state(connection)?.has_same_last_entry(expected));
    };
    let mut last_id = connection.prepare("SELECT max(rowid) FROM main._tatmig_migrations")?;
    let id: Option<i64> = last_id.query_row([], |row| row.get(0))?;
    Ok(id == Some(entry.id))
}

/// Reads every entry, oldest first. The history table must exist.
pub(crate) fn entries<S: Session>(session: &S) -> Result<Vec<HistoryEntry>, DatabaseError> {
    let sql = format!("SELECT {ENTRY_COLUMNS} FROM main.{TABLE_NAME} ORDER BY id");
    let rows = session.query(&sql, &[]).map_err(as_history_table_error)?;
    rows.into_iter().map(entry_from_row).collect()
}

/// A table of this name with other columns is another program's.
fn as_history_table_error<E: SessionError>(error: E) -> DatabaseError {
    if error.is_sql_error() {
        let reason = format!("is another table: {}", error.message());
        DatabaseError::InvalidHistoryTable { reason }
    } else {
        error.into()
    }
}

fn entry_from_row(mut row: Row) -> Result<HistoryEntry, DatabaseError> {
    let wrong_row = |reason: String| DatabaseError::InvalidHistoryTable {
        reason: format!("has a row that tatmig did not write: {reason}"),
    };
    let column_count = ENTRY_COLUMNS.split(", ").count();
    if row.0.len() != column_count {
        return Err(wrong_row(format!("{} columns instead of {column_count}", row.0.len())));
    }
    let column_name = |column: usize| ENTRY_COLUMNS.split(", ").nth(column).unwrap_or_default();
    for (column, value) in row.0.iter().enumerate() {
        let has_valid_type = match column {
            0 | 7 => value.as_integer().is_some(),
            4 | 5 | 9 => *value == SqlValue::Null || value.as_text().is_some(),
            _ => value.as_text().is_some(),
        };
        if !has_valid_type {
            return Err(wrong_row(format!("wrong type in column `{}`", column_name(column))));
        }
    }
    let event = row.take_text(1);
    let event =
        HistoryEvent::parse(&event).ok_or_else(|| wrong_row(format!("unknown event `{event}`")))?;
    let mut optional_text =
        |column: usize| (*row.value(column) != SqlValue::Null).then(|| row.take_text(column));
    let (checksum, chain, note) = (optional_text(4), optional_text(5), optional_text(9));
    Ok(HistoryEntry {
        id: row.integer(0),
        event,
        from: row.take_text(2),
        to: row.take_text(3),
        checksum,
        chain,
        applied_at: row.take_text(6),
        duration_ms: row.integer(7),
        tool_version: row.take_text(8),
        note,
    })
}

/// Creates the history table if it does not exist.
pub(crate) fn create_table(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(CREATE_HISTORY_TABLE, []).map(drop)
}

/// An entry to append, with what is known only after its statements ran.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CompletedStep<'e> {
    pub(crate) entry: &'e NewHistoryEntry,
    pub(crate) scope: Scope,
    /// How long the statements took.
    pub(crate) duration: Duration,
    /// A note about the run, for an entry that has none of its own.
    pub(crate) note: Option<&'e str>,
}

/// Appends an entry after the entry `last_id` and returns its id. The error is
/// [`DatabaseError::ConcurrentChange`] if the history ends with another entry.
pub(crate) fn append_entry(
    connection: &Connection,
    last_id: i64,
    step: CompletedStep<'_>,
) -> Result<i64, DatabaseError> {
    // A trigger on the history table could suppress the row or change it.
    let were_triggers_enabled = connection.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let insert_result = insert_entry(connection, step);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, were_triggers_enabled)?;
    insert_result?;
    let inserted_id = connection.last_insert_rowid();
    match last_id.checked_add(1) {
        Some(expected_id) if expected_id == inserted_id => Ok(inserted_id),
        // SQLite assigns the largest id plus one.
        Some(_) => Err(DatabaseError::ConcurrentChange),
        // After the largest possible id, SQLite assigns any free one.
        None => {
            let reason = format!("has row {last_id}, which tatmig did not write");
            Err(DatabaseError::InvalidHistoryTable { reason })
        }
    }
}

fn insert_entry(connection: &Connection, step: CompletedStep<'_>) -> rusqlite::Result<()> {
    let CompletedStep { entry, scope, duration, note } = step;
    let now = jiff::Timestamp::now();
    let mut insert = connection.prepare(
        "INSERT INTO main._tatmig_migrations (event, from_version, to_version, scope, checksum, chain, \
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

/// Stores the SQL of applied blocks and their reverse blocks in the system database. Of two reverse
/// blocks for the same applied block, the later one counts.
pub(crate) fn store_sources(
    connection: &Connection,
    sources: &[AppliedSource],
) -> rusqlite::Result<()> {
    if sources.is_empty() {
        return Ok(());
    }
    connection.execute(CREATE_SOURCES_TABLE, [])?;
    let mut insert = connection.prepare(INSERT_SOURCE)?;
    for source in sources {
        insert.execute(params_from_iter(source_parameters(source)))?;
    }
    Ok(())
}

/// Stores one [`AppliedSource`], whose values are [`source_parameters`].
pub(crate) const INSERT_SOURCE: &str = "\
INSERT OR REPLACE INTO main._tatmig_sources (checksum, scope, from_version, to_version, sql) \
VALUES (?1, ?2, ?3, ?4, ?5)";

pub(crate) fn source_parameters(source: &AppliedSource) -> [SqlValue; 5] {
    [
        SqlValue::from_text(source.key.clone()),
        SqlValue::from_text(source.scope.to_string()),
        SqlValue::from_text(source.from.clone()),
        SqlValue::from_text(source.to.clone()),
        SqlValue::from_text(source.sql.clone()),
    ]
}

/// Reads the SQL of an applied block by its checksum, or of a reverse block by its key, if this
/// database stores it.
pub(crate) fn stored_source<S: Session>(
    session: &S,
    checksum: &str,
) -> Result<Option<String>, S::Error> {
    let mut results = session.query_all(&[
        Query::new(
            "SELECT 1 FROM main.sqlite_schema WHERE name = '_tatmig_sources' AND type = 'table'",
        ),
        Query::with_text("SELECT sql FROM main._tatmig_sources WHERE checksum = ?1", checksum),
    ])?;
    let (source, table) = (results.pop(), results.pop());
    if table.transpose()?.is_none_or(|rows| rows.is_empty()) {
        return Ok(None);
    }
    Ok(source.transpose()?.and_then(|rows| rows.first()?.optional_text(0)))
}

/// Begins each line of accepted drift in the note of a downgrade, which may hold other remarks.
pub(crate) const ACCEPTED_DRIFT_PREFIX: &str = "accepted drift: ";

/// Reads the accepted drift: the differences from the document that `adopt` recorded, or a reverse
/// block that allows `reverse-differs`, in the words in which they were reported. The history table
/// must exist.
pub(crate) fn accepted_drift<S: Session>(session: &S) -> Result<AcceptedDrift, S::Error> {
    let rows = session.query(
        "SELECT event, note FROM main._tatmig_migrations \
         WHERE event IN ('adopt', 'downgrade') AND note IS NOT NULL",
        &[],
    )?;
    let mut lines = Vec::new();
    for row in &rows {
        let (is_adopt, note) = (row.text(0) == "adopt", row.text(1));
        lines.extend(note.lines().filter_map(|line| {
            let accepted =
                if is_adopt { Some(line) } else { line.strip_prefix(ACCEPTED_DRIFT_PREFIX) };
            accepted.map(str::to_owned)
        }));
    }
    Ok(AcceptedDrift::new(lines))
}
