//! Reads from a namespace of a libSQL server, with one request and one read transaction for several
//! queries.

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
use crate::sqld::hrana::{BatchRequest, StreamAfter};
use crate::sqld::protocol::{BatchStep, Condition, StepResults};
use crate::sqld::server::{Server, sleep_unless_cancelled};

/// A server, with the cached analyses of jobs for the schemas of its namespaces.
#[derive(Debug)]
pub struct ServerHandle {
    pub(crate) server: Server,
    pub(crate) analyses: Mutex<HashMap<[u8; 32], Arc<JobAnalysis>>>,
}

/// Two handles are equal if they have the same address.
impl PartialEq for ServerHandle {
    fn eq(&self, other: &Self) -> bool {
        self.server.url() == other.server.url()
    }
}

impl Eq for ServerHandle {}

impl ServerHandle {
    /// Creates a handle with an empty cache.
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

/// The query for the whole schema as one text, without tatmig's own and SQLite's own objects. Equal
/// schemas have equal texts.
pub(crate) const SCHEMA_FINGERPRINT_QUERY: &str = "\
SELECT coalesce(group_concat(o, char(10)), '') FROM (\
SELECT quote(type) || quote(name) || quote(tbl_name) || quote(sql) AS o FROM sqlite_schema \
WHERE lower(substr(name, 1, 7)) <> 'sqlite_' AND lower(substr(name, 1, 8)) <> '_tatmig_' ORDER BY 1)";

/// The query for the path of the file that the server opened.
pub(crate) const DATABASE_FILE_QUERY: &str =
    "SELECT file FROM pragma_database_list WHERE name = 'main'";

/// What was read together with the history state.
#[derive(Clone, Debug)]
pub(crate) struct StateSnapshot {
    /// SQLite's counter of schema changes.
    pub(crate) schema_version: i64,
    pub(crate) fingerprint: String,
    /// Whether the history table exists.
    pub(crate) has_history_table: bool,
    /// The path of the namespace's file on the server.
    pub(crate) server_file: String,
}

/// One namespace of a server.
pub(crate) struct Namespace {
    pub(crate) handle: Arc<ServerHandle>,
    pub(crate) name: String,
    pub(crate) options: ConnectOptions,
    /// The snapshot of the last read of the history state.
    pub(crate) snapshot: RefCell<Option<StateSnapshot>>,
    read_transaction: RefCell<ReadTransaction>,
}

/// The transaction that queries run in.
#[derive(Debug)]
enum ReadTransaction {
    /// Each request has a transaction of its own.
    PerRequest,
    /// The next request begins the transaction.
    NotStarted,
    /// The baton continues the stream with the transaction.
    Open { baton: String },
    /// The server ended the transaction, or its response was lost.
    Lost,
}

impl Namespace {
    /// Creates a client for a namespace. No request is sent yet.
    pub(crate) fn new(handle: &Arc<ServerHandle>, name: &str, options: &ConnectOptions) -> Self {
        Self {
            handle: handle.clone(),
            name: name.to_owned(),
            options: options.clone(),
            snapshot: RefCell::new(None),
            read_transaction: RefCell::new(ReadTransaction::PerRequest),
        }
    }

    /// The name and the server, for messages.
    pub(crate) fn display(&self) -> String {
        format!("{} @ {}", self.name, self.handle.server.url())
    }

    /// Runs `read`, all of whose queries see the state that the first one sees. If the server ends
    /// the transaction meanwhile, `read` is called again.
    pub(crate) fn read_in_one_transaction<T>(
        &self,
        read: impl Fn(&Self) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        const MAX_ATTEMPTS: u32 = 3;
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.read_transaction.replace(ReadTransaction::NotStarted);
            let result = read(self);
            match self.read_transaction.replace(ReadTransaction::PerRequest) {
                ReadTransaction::Lost
                    if attempts < MAX_ATTEMPTS && !self.options.is_cancelled() =>
                {
                    sleep_unless_cancelled(Duration::from_millis(100), &self.options.setup.cancel);
                    continue;
                }
                ReadTransaction::Open { baton } => {
                    let steps = [BatchStep::execute("ROLLBACK", Vec::new())];
                    let batch =
                        BatchRequest { baton: Some(&baton), ..BatchRequest::new_read(&steps) };
                    // If this request fails, the server rolls back after a timeout.
                    let _ = self.handle.server.send_batch(
                        &self.name,
                        batch,
                        &self.options.setup.cancel,
                    );
                }
                _ => {}
            }
            return result;
        }
    }

    /// Sends queries in one read transaction. The result of the first query is at index 1. Each query
    /// may fail alone.
    pub(crate) fn run_read_batch(
        &self,
        queries: Vec<BatchStep>,
    ) -> Result<StepResults, DatabaseError> {
        let is_per_request = matches!(*self.read_transaction.borrow(), ReadTransaction::PerRequest);
        let results = if is_per_request {
            self.send_read_batch(queries)?
        } else {
            self.continue_read_transaction(queries)?
        };
        match &results.steps[0] {
            Ok(_) => Ok(results),
            Err(error) => Err(ServerError::from(error.clone()).into()),
        }
    }

    /// Sends queries in a transaction of their own.
    fn send_read_batch(&self, queries: Vec<BatchStep>) -> Result<StepResults, ServerError> {
        let mut steps = vec![BatchStep::execute("BEGIN", Vec::new())];
        steps.extend(queries);
        steps.push(BatchStep::execute("ROLLBACK", Vec::new()));
        let mut lost_responses = 0;
        loop {
            let batch = BatchRequest::new_read(&steps);
            match self.handle.server.send_batch(&self.name, batch, &self.options.setup.cancel) {
                // Reading again has no side effect.
                Err(ServerError::ResponseLost { .. }) if lost_responses < 2 => {
                    lost_responses += 1;
                    sleep_unless_cancelled(Duration::from_millis(100), &self.options.setup.cancel);
                }
                result => return result,
            }
        }
    }

    /// Sends queries in the open read transaction, which the first batch begins.
    fn continue_read_transaction(
        &self,
        queries: Vec<BatchStep>,
    ) -> Result<StepResults, ServerError> {
        let is_open = || Condition::IsAutocommit.negate();
        let baton = match self.read_transaction.replace(ReadTransaction::Lost) {
            ReadTransaction::Open { baton } => Some(baton),
            _ => None,
        };
        let mut steps = vec![match baton {
            Some(_) => BatchStep::execute("SELECT 1", Vec::new()).with_condition(is_open()),
            None => BatchStep::execute("BEGIN", Vec::new()),
        }];
        steps.extend(queries.into_iter().map(|query| query.with_condition(is_open())));
        let batch = BatchRequest {
            baton: baton.as_deref(),
            stream_after: StreamAfter::KeepOpen,
            ..BatchRequest::new_read(&steps)
        };
        let response = self.handle.server.send_batch(&self.name, batch, &self.options.setup.cancel);
        let mut results = response.inspect_err(|error| {
            if baton.is_none() && !matches!(error, ServerError::ResponseLost { .. }) {
                self.read_transaction.replace(ReadTransaction::NotStarted);
            }
        })?;
        let ended_early = || self.unexpected_response("it ended the transaction".to_owned());
        if matches!(results.steps[0], Ok(None)) {
            return Err(ended_early());
        }
        let baton = results.baton.take().ok_or_else(ended_early)?;
        self.read_transaction.replace(ReadTransaction::Open { baton });
        Ok(results)
    }

    /// Fails if the server opened another namespace: one that does not know the header with the name,
    /// or that is behind a proxy that removes it, opens another namespace without an error.
    pub(crate) fn check_opened_namespace(&self, file: &str) -> Result<(), ServerError> {
        let directory = std::path::Path::new(file).parent().and_then(std::path::Path::file_name);
        match directory.and_then(std::ffi::OsStr::to_str) {
            Some(directory) if file.contains("/dbs/") && directory != self.name => {
                Err(self.unexpected_response(format!(
                    "it opened the namespace `{directory}` instead of `{}`; check whether a proxy removes the header `x-namespace-bin`",
                    self.name
                )))
            }
            _ => Ok(()),
        }
    }

    /// The error for a response that the server cannot give.
    pub(crate) fn unexpected_response(&self, reason: String) -> ServerError {
        ServerError::UnexpectedResponse { url: self.handle.server.url().to_owned(), reason }
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
