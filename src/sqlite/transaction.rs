//! One database, one transaction: lock, look again, run every step, check, record, commit. Any
//! error rolls all of it back.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode};

use crate::database::error::{DatabaseError, message};
use crate::database::error_span::error_span;
use crate::database::foreign_keys::Census;
use crate::database::history;
use crate::database::history_entry::State;
use crate::database::job::{ColumnChange, Done, Ending, Order, Script, Statement, Step};
use crate::database::policy::ForeignKeys;
use crate::document::diagnostic::Rule;
use crate::schema::Table;
use crate::source::whole_span;
use crate::sql::lexer;
use crate::sqlite::authorizer::Guard;

/// Applies an order on a connection whose foreign keys are off. `stop` is asked between
/// statements.
pub(crate) fn apply(
    connection: &Connection,
    guard: &Guard,
    (order, expected): (&Order<'_>, &State),
    stop: &dyn Fn() -> bool,
) -> Result<Done, DatabaseError> {
    let started = Instant::now();
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let run = Run { connection, guard, order, stop };
    let result = run.inside(expected).and_then(|notes| {
        if stop() {
            return Err(DatabaseError::Interrupted);
        }
        match order.ending {
            Ending::Commit => commit(connection, (order, expected))?,
            Ending::Rollback => connection.execute_batch("ROLLBACK")?,
        }
        Ok(Done { notes, duration: started.elapsed() })
    });
    if result.is_err() && !connection.is_autocommit() {
        // A rollback can only fail when there is nothing left to roll back.
        let _ = connection.execute_batch("ROLLBACK");
    }
    result.map_err(|error| match error {
        DatabaseError::Interrupted | DatabaseError::Busy { .. } => error,
        // What was made for the database as it was may have failed for that.
        error => match (history::is_unmoved(connection, expected), &error) {
            (Ok(false), _) => DatabaseError::Moved,
            // No statement is to blame where not even the record can be read.
            (Err(other), DatabaseError::Statement { .. }) => other,
            (Ok(true) | Err(_), _) => error,
        },
    })
}

/// Commits. What fails behind the point of no return, giving back a lock for instance, takes
/// nothing back: then the record tells that it is done.
fn commit(
    connection: &Connection,
    (order, expected): (&Order<'_>, &State),
) -> Result<(), DatabaseError> {
    let written = connection.last_insert_rowid();
    let Err(error) = connection.execute_batch("COMMIT") else { return Ok(()) };
    if !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    let is_recorded = order.steps.iter().any(|step| step.entry.is_some())
        && history::state(connection).is_ok_and(|state| {
            !state.same_as(expected) && matches!(state, State::Recorded(last) if last.id == written)
        });
    if is_recorded { Ok(()) } else { Err(error.into()) }
}

/// Whether columns were there, each by its table and its name.
type ColumnsBefore<'o> = BTreeMap<(&'o str, &'o str), bool>;

struct Run<'r> {
    connection: &'r Connection,
    guard: &'r Guard,
    order: &'r Order<'r>,
    stop: &'r dyn Fn() -> bool,
}

impl Run<'_> {
    /// Everything between BEGIN and COMMIT; returns the notes.
    fn inside(&self, expected: &State) -> Result<Vec<String>, DatabaseError> {
        let (connection, order) = (self.connection, self.order);
        let is_recorded = order.steps.iter().any(|step| step.entry.is_some());
        let mut last = match expected {
            // The number of the row that is written behind the last one tells that it is.
            State::Recorded(record) if is_recorded => record.id,
            _ if !history::is_unmoved(connection, expected)? => return Err(DatabaseError::Moved),
            State::Recorded(record) => record.id,
            State::New | State::Unversioned => {
                if is_recorded {
                    history::create(connection)?;
                }
                0
            }
        };
        let columns = self.columns_before()?;
        let before = Census::take(connection, &order.touched)?;
        let mut notes = Vec::new();
        for step in &order.steps {
            let started = Instant::now();
            let mut satisfied = Vec::new();
            let rows_before = self.rows(step.script)?;
            for statement in &step.script.statements {
                if (self.stop)() {
                    return Err(DatabaseError::Interrupted);
                }
                satisfied.extend(self.statement(statement, &step.label, &columns)?);
            }
            if step.script.leaves_state {
                put_back(connection)?;
            }
            self.check_rows(step, &rows_before)?;
            let note = (!satisfied.is_empty()).then(|| satisfied.join("; "));
            if let Some(entry) = &step.entry {
                let how = (started.elapsed(), note.as_deref());
                last = history::append(connection, (order.scope, last), entry, how)?;
            }
            history::keep(connection, &step.applied)?;
            notes.extend(note);
        }
        self.check_keys(&before, &mut notes)?;
        let mut missing = order.effects.missing_from(connection)?;
        if !missing.is_empty() {
            let accepted = history::accepted(connection)?;
            missing.retain(|words| !accepted.contains(words));
        }
        if !missing.is_empty() {
            return Err(DatabaseError::Effects { missing });
        }
        Ok(notes)
    }

    /// The columns that steps add or drop, each with its table, and whether it was there before
    /// the run; without those of tables that were not there.
    fn columns_before(&self) -> Result<ColumnsBefore<'_>, DatabaseError> {
        let (connection, main) = (self.connection, Some("main"));
        let mut columns = ColumnsBefore::new();
        let statements = self.order.steps.iter().flat_map(|step| &step.script.statements);
        for change in statements.filter_map(|statement| statement.column.as_ref()) {
            let (table, column) = (change.table(), change.column());
            if connection.table_exists(main, table)? {
                let there = connection.column_exists(main, table, column)?;
                columns.insert((table, column), there);
                continue;
            }
            // It may stand under the name that a step of this run takes from it.
            let back = self.order.renames.iter().rev();
            let first = back.fold(table.to_ascii_lowercase(), |name, (from, to)| {
                if *to == name { from.clone() } else { name }
            });
            if connection.table_exists(main, first.as_str())? {
                let there = connection.column_exists(main, first.as_str(), column)?;
                columns.insert((table, column), there);
            }
        }
        Ok(columns)
    }

    /// How many rows the tables hold that a step makes anew; none of a table that is not there.
    fn rows(&self, script: &Script<'_>) -> Result<Vec<Option<i64>>, DatabaseError> {
        if script.allows(Rule::RowLoss) {
            return Ok(Vec::new());
        }
        let count = |table: &String| {
            let exists: bool = self.connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE)",
                [table],
                |row| row.get(0),
            )?;
            if !exists {
                return Ok(None);
            }
            // The table itself: a damaged index may hold fewer rows, and a copy made through it.
            let sql = format!("SELECT count(*) FROM {} NOT INDEXED", lexer::quote(table));
            Ok(Some(self.connection.query_row(&sql, [], |row| row.get(0))?))
        };
        script.rebuilt.iter().map(count).collect()
    }

    /// The row guard: a table that was made anew holds no fewer rows than before.
    fn check_rows(&self, step: &Step<'_, '_>, before: &[Option<i64>]) -> Result<(), DatabaseError> {
        if before.is_empty() {
            return Ok(());
        }
        let after = self.rows(step.script)?;
        for ((table, before), after) in step.script.rebuilt.iter().zip(before).zip(after) {
            let (before, after) = (before.unwrap_or(0), after.unwrap_or(0));
            if after < before {
                let (table, migration) = (table.clone(), step.label.clone());
                return Err(DatabaseError::RowLoss { migration, table, before, after });
            }
        }
        Ok(())
    }

    /// Runs one statement; returns a note if what it does had been done before this run.
    fn statement(
        &self,
        statement: &Statement<'_>,
        migration: &str,
        before: &ColumnsBefore<'_>,
    ) -> Result<Option<String>, DatabaseError> {
        self.guard.raise();
        let result = step(self.connection, statement.sql.text());
        self.guard.lower();
        let migration = migration.to_owned();
        if let Err(error) = &result
            && is_outside(error)
        {
            // It rolls back the transaction as well, and no statement is to blame.
            return Err(result.err().map_or(DatabaseError::Interrupted, DatabaseError::from));
        }
        if self.connection.is_autocommit() {
            let (message, span) = match result {
                Err(error) => (message(&error), error_span(&statement.sql, &error)),
                Ok(()) => ("it committed".to_owned(), whole_span(&statement.sql)),
            };
            return Err(DatabaseError::EndedTransaction { migration, message, span });
        }
        let Err(error) = result else { return Ok(None) };
        let span = error_span(&statement.sql, &error);
        if let Some(message) = self.guard.refused() {
            return Err(DatabaseError::Statement { migration, message, span });
        }
        if let Some(change) = &statement.column {
            let was_there = before.get(&(change.table(), change.column())).copied();
            if let Some(note) = self.satisfied((change, was_there), &error, (&migration, &span))? {
                return Ok(Some(note));
            }
        }
        Err(match DatabaseError::from(error) {
            DatabaseError::Sqlite(error) => {
                DatabaseError::Statement { migration, message: message(&error), span }
            }
            other => other,
        })
    }

    /// Whether a failed ADD or DROP COLUMN had been done before this run, to the same end.
    fn satisfied(
        &self,
        (change, was_there): (&ColumnChange, Option<bool>),
        error: &rusqlite::Error,
        (migration, span): (&str, &Range<usize>),
    ) -> Result<Option<String>, DatabaseError> {
        let message = message(error);
        match change {
            ColumnChange::Added { table, definition }
                if message.starts_with("duplicate column name") && was_there == Some(true) =>
            {
                let column = &definition.column.name;
                let Some(found) = Table::read(self.connection, table)?.definition(column) else {
                    return Ok(None);
                };
                if definition.matches(&found) {
                    return Ok(Some(format!("column `{table}.{column}` was already there")));
                }
                Err(DatabaseError::ColumnDiffers {
                    migration: migration.to_owned(),
                    table: table.clone(),
                    column: column.clone(),
                    found: found.to_string(),
                    expected: definition.to_string(),
                    span: span.clone(),
                })
            }
            ColumnChange::Dropped { table, column }
                if message.starts_with("no such column") && was_there == Some(false) =>
            {
                Ok(Some(format!("column `{table}.{column}` was already gone")))
            }
            _ => Ok(None),
        }
    }

    fn check_keys(&self, before: &Census, notes: &mut Vec<String>) -> Result<(), DatabaseError> {
        let order = self.order;
        if order.touched.is_empty() {
            return Ok(());
        }
        let mut touched = order.touched.clone();
        touched.extend(order.renames.iter().map(|(_, to)| to.clone()));
        let after = Census::take(self.connection, &touched)?;
        let (mut broken, rows) = after.new_since(before, &order.renames);
        let allowed = order.foreign_keys == ForeignKeys::Told
            || order.steps.iter().any(|step| step.script.allows(Rule::ForeignKeys));
        if rows > 0 && !allowed {
            if broken.len() > Census::SHOWN {
                let more = broken.len() - Census::SHOWN;
                broken.truncate(Census::SHOWN);
                broken.push(format!("and {more} more"));
            }
            return Err(DatabaseError::ForeignKeys { broken, rows });
        }
        if after.total() > 0 {
            let rows = after.total();
            let noun = if rows == 1 { "row refers" } else { "rows refer" };
            let why = if allowed { "that are missing" } else { "that were missing before already" };
            notes.push(format!("{rows} {noun} to parents {why}"));
        }
        for key in after.unusable.difference(&before.unusable) {
            notes.push(format!(
                "SQLite cannot use the foreign key {key}: its parent columns are not unique"
            ));
        }
        Ok(())
    }
}

/// Whether what went wrong has nothing to do with the statement.
fn is_outside(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::OperationInterrupted
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ReadOnly
        )
    )
}

/// Runs a statement to its end, whether it returns rows or not.
pub(crate) fn step(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(())
}

/// Takes back what a block may have left on the connection, so that each block starts as it
/// would alone.
pub(crate) fn put_back(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, false)?;
    let mut leftovers = connection.prepare(
        "SELECT type, name FROM sqlite_temp_schema WHERE type IN ('table', 'view', 'trigger') \
         AND name NOT LIKE 'sqlite$_%' ESCAPE '$' ORDER BY type = 'table'",
    )?;
    let leftovers: Vec<(String, String)> = leftovers
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (kind, name) in leftovers {
        connection.execute_batch(&format!("DROP {kind} IF EXISTS temp.{}", lexer::quote(&name)))?;
    }
    Ok(())
}
