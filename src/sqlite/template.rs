//! New databases are alike as long as statements only define: what the steps make of one is made
//! once, in memory, with every check, and its pages are written to each empty file in one
//! transaction of that file. That is what running the steps there would leave, and takes half the
//! time. The record's rows tell when the image was made.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::database::connection::{Patience, in_memory};
use crate::database::error::DatabaseError;
use crate::database::history;
use crate::database::history_entry::State;
use crate::database::job::{Done, Ending, Order};
use crate::database::template::Image;
use crate::document::tag::Scope;
use crate::schema;
use crate::sql::lexer;
use crate::sqlite::authorizer::Guard;
use crate::sqlite::paths::side_file;
use crate::sqlite::transaction::apply;

impl Image {
    /// What an order makes of an empty file; nothing where a statement may write a row, which may
    /// be another one in each database, and where one fails: running it there tells more.
    pub(crate) fn of(order: &Order<'_>, patience: &Patience) -> Option<Self> {
        let mut statements = order.steps.iter().flat_map(|step| &step.script.statements);
        // There is one system database, and its record keeps more.
        let is_for_many = order.scope == Scope::User && order.ending == Ending::Commit;
        if !is_for_many || !statements.all(|statement| only_defines(statement.sql.text())) {
            return None;
        }
        Self::make(order, patience).ok().flatten()
    }

    fn make(order: &Order<'_>, patience: &Patience) -> Result<Option<Self>, DatabaseError> {
        let mut memory = in_memory(&patience.stop)?;
        let guard = Guard::install(&mut memory)?;
        let done = apply(&memory, &guard, (order, &State::New), &|| patience.stopped())?;
        let State::Recorded(record) = history::state(&memory)? else { return Ok(None) };
        if holds_rows(&memory)? {
            return Ok(None);
        }
        let bytes = memory.serialize("main")?.to_vec();
        Ok(Some(Self { bytes, last: record.id, notes: done.notes }))
    }

    /// Writes it to the file of a connection, if that is still empty, or changes nothing.
    pub(crate) fn put(
        &self,
        connection: &mut Connection,
        (path, patience): (&Path, &Patience),
    ) -> Result<Done, DatabaseError> {
        let started = Instant::now();
        if patience.stopped() {
            return Err(DatabaseError::Interrupted);
        }
        let mut source = Connection::open_in_memory()?;
        source.deserialize_read_exact("main", &*self.bytes, self.bytes.len(), true)?;
        let written = write(&source, connection, path);
        let done = |duration: Duration| Done { notes: self.notes.clone(), duration };
        match written {
            Ok(()) => Ok(done(started.elapsed())),
            Err(error @ (DatabaseError::Moved | DatabaseError::Busy { .. })) => Err(error),
            // What fails behind the point of no return takes nothing back.
            Err(error) => match history::state(connection) {
                Ok(State::Recorded(record)) if record.id == self.last => {
                    Ok(done(started.elapsed()))
                }
                _ => Err(error),
            },
        }
    }
}

/// Copies all pages of a database into an empty file, in one transaction.
fn write(
    source: &Connection,
    connection: &mut Connection,
    path: &Path,
) -> Result<(), DatabaseError> {
    // The name may have come to stand for another file before it was opened.
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    if pages != 0 {
        return Err(DatabaseError::Moved);
    }
    let backup = Backup::new(source, connection)?;
    let step = |pages| match backup.step(pages)? {
        StepResult::Busy | StepResult::Locked => Err(DatabaseError::Busy { holder: None }),
        told => Ok(told),
    };
    // Without a page it begins the transaction: from here on nobody else writes to the file.
    step(0)?;
    let length = std::fs::metadata(path).map(|metadata| metadata.len());
    if !matches!(length, Ok(0)) || side_file(path, "-wal").exists() {
        return Err(DatabaseError::Moved);
    }
    while step(-1)? != StepResult::Done {}
    Ok(())
}

/// Whether a statement changes the schema and no more, so that what it does depends on nothing else.
fn only_defines(statement: &str) -> bool {
    // `CREATE TABLE … AS SELECT …` has no columns in brackets before its `AS`.
    let tokens = lexer::tokens(statement, 0).map(|token| (token.kind, &statement[token.range]));
    let head = tokens.take_while(|(_, text)| *text != "(");
    let words: Vec<String> = head
        .filter(|(kind, _)| *kind == lexer::Kind::Word)
        .map(|(_, word)| word.to_ascii_lowercase())
        .collect();
    let has = |word: &str| words.iter().any(|known| known == word);
    match words.first().map(String::as_str) {
        Some("create") => !(has("table") && has("as")),
        Some(first) => ["alter", "drop", "pragma"].contains(&first),
        None => true,
    }
}

/// Whether any table but the record holds a row: virtual tables write some of their own.
fn holds_rows(connection: &Connection) -> rusqlite::Result<bool> {
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for table in tables.iter().filter(|table| !schema::is_own(table)) {
        let any = format!("SELECT EXISTS (SELECT 1 FROM {})", lexer::quote(table));
        if connection.query_row(&any, [], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::history_entry::{Entry, Event};
    use crate::database::job::{NOTHING, Step};

    fn order() -> Order<'static> {
        let entry = Entry {
            event: Event::Upgrade,
            from: "baseline".to_owned(),
            to: "1.0.0".to_owned(),
            checksum: None,
            chain: None,
            note: None,
        };
        let label = String::new();
        let step = Step { script: &NOTHING, label, entry: Some(entry), applied: Vec::new() };
        Order::of(Scope::User, vec![step])
    }

    #[test]
    fn what_may_write_a_row_does_more_than_define() {
        for sql in [
            "CREATE TABLE t (a TEXT DEFAULT (hex(1)), as_of TEXT)",
            "create temp table t(a)",
            "CREATE VIEW v AS SELECT 1",
            "-- a note\nCREATE UNIQUE INDEX IF NOT EXISTS i ON t (a)",
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END",
            "ALTER TABLE t ADD COLUMN b",
            "DROP TABLE t",
            "PRAGMA user_version = 7",
        ] {
            assert!(only_defines(sql), "{sql}");
        }
        for sql in [
            "CREATE TABLE t AS SELECT random()",
            "CREATE TABLE IF NOT EXISTS main.t /* ( */ as values (1)",
            "create temp table \"a (\" AS SELECT 1",
            "INSERT INTO t SELECT 1 WHERE random() % 2",
            "WITH n AS (SELECT 1) INSERT INTO t SELECT * FROM n",
            "UPDATE t SET a = 1",
            "DELETE FROM t",
            "REPLACE INTO t VALUES (1)",
            "SELECT 1",
            "ANALYZE",
        ] {
            assert!(!only_defines(sql), "{sql}");
        }
    }

    #[test]
    fn it_is_put_into_an_empty_file_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.db");
        let busy_timeout = std::time::Duration::from_secs(1);
        let patience = Patience { busy_timeout, stop: std::sync::Arc::default() };
        let image = Image::of(&order(), &patience).unwrap();
        let mut connection = Connection::open(&path).unwrap();
        image.put(&mut connection, (&path, &patience)).unwrap();
        let State::Recorded(record) = history::state(&connection).unwrap() else { panic!() };
        assert_eq!((record.id, &*record.to), (1, "1.0.0"));

        // Whatever stands there by the time that it is locked stays.
        let path = place.path().join("b.db");
        let mut connection = Connection::open(&path).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE own (x); INSERT INTO own VALUES (7)").unwrap();
        let error = image.put(&mut connection, (&path, &patience)).unwrap_err();
        assert!(matches!(error, DatabaseError::Moved), "{error}");
        let own: i64 = other.query_row("SELECT x FROM own", [], |row| row.get(0)).unwrap();
        assert_eq!((own, history::state(&other).unwrap()), (7, State::Unversioned));
        connection.busy_timeout(std::time::Duration::ZERO).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let error = image.put(&mut connection, (&path, &patience)).unwrap_err();
        assert!(matches!(error, DatabaseError::Busy { .. }), "{error}");
    }
}
