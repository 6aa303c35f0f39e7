//! A namespace of a libSQL server, and the server with what is cached about its schemas.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::database::connection::Patience;
use crate::database::error::DatabaseError;
use crate::libsql::analysis::Lesson;
use crate::libsql::introspect;
use crate::libsql::introspect::{QUESTIONS, Told};
use crate::sqld::error::ServerError;
use crate::sqld::hrana::{Results, Rows, Send, Step, Value};
use crate::sqld::server::{Server, pause};

/// A server, and what was learned of the schemas that its namespaces have.
#[derive(Debug)]
pub struct Host {
    pub(crate) server: Server,
    pub(crate) lessons: Mutex<HashMap<[u8; 32], Arc<Lesson>>>,
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
pub(crate) const FINGERPRINT: &str = "\
SELECT coalesce(group_concat(o, char(10)), '') FROM (\
SELECT quote(type) || quote(name) || quote(tbl_name) || quote(sql) AS o FROM sqlite_schema \
WHERE lower(substr(name, 1, 7)) <> 'sqlite_' AND lower(substr(name, 1, 8)) <> '_tatmig_' ORDER BY 1)";

/// Where the server keeps what it opened.
pub(crate) const FILE: &str = "SELECT file FROM pragma_database_list WHERE name = 'main'";

/// What a database looked like when its state was read.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// SQLite's own count of schema changes.
    pub(crate) schema_version: i64,
    pub(crate) fingerprint: String,
    /// Whether the record's table is there.
    pub(crate) has_record: bool,
    /// The file under the server, which tells one namespace from another.
    pub(crate) file: String,
}

/// A namespace.
pub(crate) struct Namespace {
    pub(crate) host: Arc<Host>,
    pub(crate) name: String,
    pub(crate) patience: Patience,
    pub(crate) seen: RefCell<Option<Seen>>,
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
    pub(crate) fn ask(&self, questions: Vec<Step>) -> Result<Results, DatabaseError> {
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
    pub(crate) fn check_file(&self, file: &str) -> Result<(), ServerError> {
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
    pub(crate) fn rows(
        &self,
        sql: impl Into<String>,
        args: Vec<Value>,
    ) -> Result<Rows, DatabaseError> {
        let results = self.ask(vec![Step::asks(sql, args)])?;
        Ok(results.need(1)?.clone())
    }

    /// The first column of a query's rows, as texts.
    pub(crate) fn texts(&self, sql: &str) -> Result<BTreeSet<String>, DatabaseError> {
        let rows = self.rows(sql, Vec::new())?;
        Ok(rows.iter().filter_map(|row| row.first()?.shown()).collect())
    }

    pub(crate) fn told(&self) -> Result<Told, DatabaseError> {
        let results =
            self.ask(QUESTIONS.iter().map(|question| Step::asks(*question, Vec::new())).collect())?;
        Ok(introspect::read([
            results.need(1)?,
            results.need(2)?,
            results.need(3)?,
            results.need(4)?,
            results.need(5)?,
        ]))
    }
}
