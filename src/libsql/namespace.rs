//! A namespace of a libSQL server, and the server with what is cached about its schemas.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::database::session::{Query, Session};
use crate::libsql::analysis::JobAnalysis;
use crate::sql::value::{Rows, SqlValue};
use crate::sqld::error::ServerError;
use crate::sqld::hrana::BatchRequest;
use crate::sqld::protocol::{BatchStep, StepResults};
use crate::sqld::server::{Server, sleep_unless_cancelled};

/// A server, and what was learned of the schemas that its namespaces have.
#[derive(Debug)]
pub struct ServerHandle {
    pub(crate) server: Server,
    pub(crate) analyses: Mutex<HashMap<[u8; 32], Arc<JobAnalysis>>>,
}

/// Two are one where they are at one address.
impl PartialEq for ServerHandle {
    fn eq(&self, other: &Self) -> bool {
        self.server.url() == other.server.url()
    }
}

impl Eq for ServerHandle {}

impl ServerHandle {
    /// A server of which nothing is known yet.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self { server, analyses: Mutex::default() }
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// The whole schema as one text, the same for the same schema. tatmig's own tables and SQLite's
/// are no part of it.
pub(crate) const SCHEMA_FINGERPRINT_QUERY: &str = "\
SELECT coalesce(group_concat(o, char(10)), '') FROM (\
SELECT quote(type) || quote(name) || quote(tbl_name) || quote(sql) AS o FROM sqlite_schema \
WHERE lower(substr(name, 1, 7)) <> 'sqlite_' AND lower(substr(name, 1, 8)) <> '_tatmig_' ORDER BY 1)";

/// Where the server keeps what it opened.
pub(crate) const DATABASE_FILE_QUERY: &str =
    "SELECT file FROM pragma_database_list WHERE name = 'main'";

/// What a database looked like when its state was read.
#[derive(Clone, Debug)]
pub(crate) struct StateSnapshot {
    /// SQLite's own count of schema changes.
    pub(crate) schema_version: i64,
    pub(crate) fingerprint: String,
    /// Whether the record's table is there.
    pub(crate) has_history_table: bool,
    /// The file under the server, which tells one namespace from another.
    pub(crate) server_file: String,
}

/// A namespace.
pub(crate) struct Namespace {
    pub(crate) handle: Arc<ServerHandle>,
    pub(crate) name: String,
    pub(crate) options: ConnectOptions,
    pub(crate) snapshot: RefCell<Option<StateSnapshot>>,
}

impl Namespace {
    /// Nothing is sent yet.
    pub(crate) fn new(handle: &Arc<ServerHandle>, name: &str, options: &ConnectOptions) -> Self {
        Self {
            handle: handle.clone(),
            name: name.to_owned(),
            options: options.clone(),
            snapshot: RefCell::new(None),
        }
    }

    /// Its name and its server.
    pub(crate) fn display(&self) -> String {
        format!("{} @ {}", self.name, self.handle.server.url())
    }

    /// Sends statements that read, in a transaction of their own so that they see one moment; the
    /// answers stand at their places from 1. Each may fail alone.
    pub(crate) fn run_read_batch(
        &self,
        queries: Vec<BatchStep>,
    ) -> Result<StepResults, DatabaseError> {
        let mut steps = vec![BatchStep::execute("BEGIN", Vec::new())];
        steps.extend(queries);
        steps.push(BatchStep::execute("ROLLBACK", Vec::new()));
        let mut lost_responses = 0;
        loop {
            let response = self.handle.server.send_batch(
                &self.name,
                BatchRequest::new_read(&steps),
                &self.options.cancel,
            );
            match response {
                // What only reads may be asked again.
                Err(ServerError::ResponseLost { .. }) if lost_responses < 2 => {
                    lost_responses += 1;
                    sleep_unless_cancelled(Duration::from_millis(100), &self.options.cancel);
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
    pub(crate) fn check_opened_namespace(&self, file: &str) -> Result<(), ServerError> {
        let directory = std::path::Path::new(file).parent().and_then(std::path::Path::file_name);
        match directory.and_then(std::ffi::OsStr::to_str) {
            Some(directory) if file.contains("/dbs/") && directory != self.name => {
                Err(ServerError::UnexpectedResponse {
                    url: self.handle.server.url().to_owned(),
                    reason: format!(
                        "asked for the namespace `{}`, it opened `{directory}`; does a proxy drop the header `x-namespace-bin`?",
                        self.name
                    ),
                })
            }
            _ => Ok(()),
        }
    }

    /// The first column of a query's rows, as texts.
    pub(crate) fn query_texts(&self, sql: &str) -> Result<BTreeSet<String>, DatabaseError> {
        Ok(self.query(sql, &[])?.iter().filter_map(|row| row.optional_text(0)).collect())
    }
}

impl Session for Namespace {
    type Error = DatabaseError;

    fn query_all(
        &self,
        queries: &[Query<'_>],
    ) -> Result<Vec<Result<Rows, DatabaseError>>, DatabaseError> {
        let steps = queries
            .iter()
            .map(|query| BatchStep::query(query.sql.clone(), query.parameters.clone()))
            .collect();
        let mut results = self.run_read_batch(steps)?;
        let steps = 1..=queries.len();
        Ok(steps
            .map(|step| match results.take_rows(step) {
                Some(rows) => Ok(rows),
                None => Err(results.step_error(step).into()),
            })
            .collect())
    }

    fn query(&self, sql: &str, parameters: &[SqlValue]) -> Result<Rows, DatabaseError> {
        let query = Query { sql: sql.into(), parameters: parameters.to_vec() };
        Ok(self.query_each(&[query])?.pop().unwrap_or_default())
    }
}
