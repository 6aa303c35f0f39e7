//! Whole databases carried between files and namespaces, both ways, value by value: what arrives is
//! read back and compared before it is committed. A reader sees one moment; a writer writes all in
//! one transaction, in which every statement waits for the one before and for the transaction to be
//! still open, so that a lock that the server takes away ends in nothing.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::database::error::DatabaseError;
use crate::database::policy::JournalMode;
use crate::libsql::contents::{carry, content, difference};
use crate::libsql::endpoint::{Cells, End, Stream};
use crate::libsql::namespace::Namespace;
use crate::sql::lexer;
use crate::sqld::server::Kind;

/// What came of carrying a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// It is there now.
    Done,
    /// It was there already, the same.
    Same,
    /// Something else is there, which was left alone.
    Other(String),
}

impl Namespace {
    /// Makes a namespace that holds nothing hold what a database holds.
    pub(crate) fn fill_from(&self, source: &Connection) -> Result<Carried, DatabaseError> {
        let mut stream = Stream::begin(self, Kind::Writes)?;
        let result = (|| {
            if !content(&mut stream)?.made.is_empty() {
                let found = difference(&mut &*source, &mut stream)?;
                return Ok(found.map_or(Carried::Same, Carried::Other));
            }
            carry(&mut &*source, &mut stream)?;
            compared(difference(&mut &*source, &mut stream)?)
        })();
        settle(stream, result)
    }

    /// Puts what a database holds in the place of what is there, in one transaction.
    pub(crate) fn replace_by(&self, mut source: &Connection) -> Result<(), DatabaseError> {
        self.replace(&mut source)
    }

    /// The same with what a file holds.
    pub(crate) fn replace_by_file(&self, file: &Path) -> Result<(), DatabaseError> {
        let source = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        self.replace_by(&source)
    }

    /// The same with what another namespace holds.
    pub(crate) fn replace_by_fork(&self, fork: &Self) -> Result<(), DatabaseError> {
        let mut source = Stream::begin(fork, Kind::Reads)?;
        let result = self.replace(&mut source);
        let _ = source.end("ROLLBACK");
        result
    }

    fn replace(&self, source: &mut dyn End) -> Result<(), DatabaseError> {
        let mut stream = Stream::begin(self, Kind::Writes)?;
        let result = (|| {
            let there = content(&mut stream)?;
            let shadows: Vec<&str> = there
                .sheets
                .iter()
                .filter(|sheet| sheet.shadow)
                .map(|sheet| sheet.name.as_str())
                .collect();
            let mut drops = Vec::new();
            for kind in ["trigger", "view"] {
                drops.extend(there.made.iter().filter(|made| made.kind == kind));
            }
            drops.extend(
                there
                    .made
                    .iter()
                    .filter(|made| made.kind == "table" && !shadows.contains(&made.name.as_str())),
            );
            let drops = drops.into_iter().map(|made| {
                (format!("DROP {} {}", made.kind, lexer::quote(&made.name)), Cells::new())
            });
            stream.run(drops.collect())?;
            carry(source, &mut stream)?;
            compared(difference(source, &mut stream)?)
        })();
        settle(stream, result).map(drop)
    }

    /// Writes what one moment's reader sees to a new file; one that is there holds nothing.
    pub(crate) fn copy_to(
        &self,
        file: &Path,
        made_in: JournalMode,
    ) -> Result<Carried, DatabaseError> {
        let mut stream = Stream::begin(self, Kind::Reads)?;
        let there = file.symlink_metadata().is_ok();
        let mode = (!there).then_some(made_in);
        let result = fill_file(&mut stream, (file, mode));
        if !there && !matches!(result, Ok(Carried::Done)) {
            // Nothing was committed, and nobody else knew of it.
            let _ = std::fs::remove_file(file);
        }
        stream.end("ROLLBACK")?;
        result
    }
}

fn fill_file(
    stream: &mut Stream<'_>,
    (file, made_in): (&Path, Option<JournalMode>),
) -> Result<Carried, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    if made_in == Some(JournalMode::Wal) {
        let found: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if found != "wal" {
            return Err(DatabaseError::JournalMode { found });
        }
    }
    connection
        .execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = FULL; BEGIN IMMEDIATE")?;
    let mut end = &connection;
    if !content(&mut end)?.made.is_empty() {
        let found = difference(stream, &mut end)?;
        return Ok(found.map_or(Carried::Same, Carried::Other));
    }
    carry(stream, &mut end)?;
    let carried = compared(difference(stream, &mut end)?)?;
    connection.execute_batch("COMMIT")?;
    Ok(carried)
}

/// What was written is what was read, or nothing is kept.
fn compared(difference: Option<String>) -> Result<Carried, DatabaseError> {
    match difference {
        None => Ok(Carried::Done),
        Some(difference) => Err(DatabaseError::NotTheSame { difference }),
    }
}

fn settle(
    stream: Stream<'_>,
    result: Result<Carried, DatabaseError>,
) -> Result<Carried, DatabaseError> {
    match result {
        Ok(Carried::Done) => stream.end("COMMIT").map(|()| Carried::Done),
        Ok(other) => {
            let _ = stream.end("ROLLBACK");
            Ok(other)
        }
        Err(error) => {
            // The server rolls back a stream that nobody goes on with, if this does not arrive.
            let _ = stream.end("ROLLBACK");
            Err(error)
        }
    }
}
