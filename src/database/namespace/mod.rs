//! A database that is a namespace of a libSQL server. Whatever changes it is one batch of one
//! request: a guard on the record's last row and on the schema, `BEGIN IMMEDIATE`, the statements,
//! the rows of the record, the checks, `COMMIT`; each step runs only if the one before did and the
//! transaction is still open, and what does not reach the end is rolled back. The server takes a
//! lock away from whoever holds it for 5 seconds while another waits, and runs what follows
//! without a transaction: so there is never a second request, and never a step without condition.
//!
//! The decisions that a file's transaction takes between two statements have to be in the SQL
//! here. They come about thus:
//!
//! - *What the schema decides* (an ADD COLUMN that had been done, the post-condition, which
//!   foreign keys there are) is learned once for each schema that an order meets: the order runs
//!   in the real namespace, what it leaves is sent back, and it is rolled back ([`lesson`]). The
//!   batch that commits does so only if it ends in exactly the schema that was judged, so that no
//!   other course of events can be committed. A fleet has few schemas, so nearly every database
//!   takes one request to read and one to migrate.
//! - *What rows decide* is decided by queries in the batch that fail by an overflow: rows of
//!   rebuilt tables are counted before and after into a table of tatmig's own that is dropped
//!   before the commit; no row may lack its parent after the last step, and where one does, the
//!   batch runs once more and counts those of before as well, so that old ones are not blamed.
//!
//! An answer that is lost is never asked for again: the record is read, and it tells whether the
//! batch was committed.
//!
//! Statements are sent as SQLite split them in the replay, and the guard of the replay refused
//! what no block may do before any database was looked for; no splitter is needed here.

mod apply;
mod batch;
mod carry;
mod content;
mod counts;
mod ends;
mod failed;
mod fork;
mod keys;
mod lesson;
mod look;
mod program;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) use self::carry::Carried;
use self::lesson::Lesson;
use super::DatabaseError;
use super::connection::Patience;
use super::schema::told::{self, QUESTIONS, Told};
use crate::server::hrana::{Results, Rows, Send, Step, Value};
use crate::server::{Server, ServerError, pause};

/// A server, and what was learned of the schemas that its namespaces have.
#[derive(Debug)]
pub struct Host {
    pub(crate) server: Server,
    lessons: Mutex<HashMap<[u8; 32], Arc<Lesson>>>,
}

/// Two are one where they are at one address.
impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        self.server.url() == other.server.url()
    }
}

impl Eq for Host {}

impl Host {
    /// A server of which nothing is known yet.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self { server, lessons: Mutex::default() }
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// The whole schema as one text, the same for the same schema. tatmig's own tables and SQLite's
/// are no part of it.
const FINGERPRINT: &str = "\
SELECT coalesce(group_concat(o, char(10)), '') FROM (\
SELECT quote(type) || quote(name) || quote(tbl_name) || quote(sql) AS o FROM sqlite_schema \
WHERE lower(substr(name, 1, 7)) <> 'sqlite_' AND lower(substr(name, 1, 8)) <> '_tatmig_' ORDER BY 1)";

/// Where the server keeps what it opened.
const FILE: &str = "SELECT file FROM pragma_database_list WHERE name = 'main'";

/// What a database looked like when its state was read.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// SQLite's own count of schema changes.
    schema_version: i64,
    fingerprint: String,
    /// Whether the record's table is there.
    has_record: bool,
    /// The file under the server, which tells one namespace from another.
    file: String,
}

/// A namespace.
pub(crate) struct Namespace {
    host: Arc<Host>,
    name: String,
    patience: Patience,
    seen: RefCell<Option<Seen>>,
}

impl Namespace {
    /// Nothing is sent yet.
    pub(crate) fn new(host: &Arc<Host>, name: &str, patience: &Patience) -> Self {
        Self {
            host: host.clone(),
            name: name.to_owned(),
            patience: patience.clone(),
            seen: RefCell::new(None),
        }
    }

    /// Its name and its server.
    pub(crate) fn shown(&self) -> String {
        format!("{} @ {}", self.name, self.host.server.url())
    }

    /// Sends statements that read, in a transaction of their own so that they see one moment; the
    /// answers stand at their places from 1. Each may fail alone.
    fn ask(&self, questions: Vec<Step>) -> Result<Results, DatabaseError> {
        let mut steps = vec![Step::does("BEGIN", Vec::new())];
        steps.extend(questions);
        steps.push(Step::does("ROLLBACK", Vec::new()));
        let mut lost = 0;
        loop {
            let sent =
                self.host.server.batch(&self.name, Send::reading(&steps), &self.patience.stop);
            match sent {
                // What only reads may be asked again.
                Err(ServerError::Lost { .. }) if lost < 2 => {
                    lost += 1;
                    pause(Duration::from_millis(100), &self.patience.stop);
                }
                result => {
                    let results = result?;
                    if let Err(error) = &results.steps[0] {
                        return Err(ServerError::from(error.clone()).into());
                    }
                    return Ok(results);
                }
            }
        }
    }

    /// A server that does not know how tatmig names the namespace, or a proxy that drops the
    /// header, opens another one without a word.
    fn check_file(&self, file: &str) -> Result<(), ServerError> {
        let directory = std::path::Path::new(file).parent().and_then(std::path::Path::file_name);
        match directory.and_then(std::ffi::OsStr::to_str) {
            Some(directory) if file.contains("/dbs/") && directory != self.name => {
                Err(ServerError::Strange {
                    url: self.host.server.url().to_owned(),
                    reason: format!(
                        "asked for the namespace `{}`, it opened `{directory}`; does a proxy drop the header `x-namespace-bin`?",
                        self.name
                    ),
                })
            }
            _ => Ok(()),
        }
    }

    /// The rows of one query.
    fn rows(&self, sql: impl Into<String>, args: Vec<Value>) -> Result<Rows, DatabaseError> {
        let results = self.ask(vec![Step::asks(sql, args)])?;
        Ok(results.need(1)?.clone())
    }

    /// The first column of a query's rows, as texts.
    pub(crate) fn texts(&self, sql: &str) -> Result<BTreeSet<String>, DatabaseError> {
        let rows = self.rows(sql, Vec::new())?;
        Ok(rows.iter().filter_map(|row| row.first()?.shown()).collect())
    }

    fn told(&self) -> Result<Told, DatabaseError> {
        let results =
            self.ask(QUESTIONS.iter().map(|question| Step::asks(*question, Vec::new())).collect())?;
        Ok(told::read([
            results.need(1)?,
            results.need(2)?,
            results.need(3)?,
            results.need(4)?,
            results.need(5)?,
        ]))
    }
}
