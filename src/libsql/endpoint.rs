//! Provides one interface for both ends of a transfer, a file and a namespace. Each has one transaction
//! open, and each reads and writes values byte for byte.

use rusqlite::{Connection, params_from_iter};

use crate::database::error::DatabaseError;
use crate::database::session::{Query, Session};
use crate::libsql::error::is_lock_stolen;
use crate::libsql::namespace::{DATABASE_FILE_QUERY, Namespace};
use crate::sql::value::{Rows, SqlValue};
use crate::sqld::error::ServerError;
use crate::sqld::hrana::{BatchRequest, StreamAfter};
use crate::sqld::protocol::{BatchStep, Condition, StepResults};
use crate::sqld::server::RequestKind;

/// A database whose contents are transferred. All of its statements run in one transaction, which
/// is open.
pub(crate) trait TransferEndpoint {
    /// The SQL that selects an expression so that [`TransferEndpoint::query`] returns its value
    /// unchanged.
    fn select_expression(&self, expression: &str) -> String;

    fn query(&mut self, sql: &str) -> Result<Rows, DatabaseError>;

    /// Runs statements in this order.
    fn execute_all(&mut self, statements: Vec<Query<'static>>) -> Result<(), DatabaseError>;

    /// The error for rows that a query cannot have.
    fn unexpected_rows(&self, reason: String) -> DatabaseError;

    /// Runs a query whose rows have `width` columns.
    fn query_width(&mut self, sql: &str, width: usize) -> Result<Rows, DatabaseError> {
        let rows = self.query(sql)?;
        match rows.iter().find(|row| row.0.len() != width) {
            None => Ok(rows),
            Some(row) => {
                let found = row.0.len();
                Err(self.unexpected_rows(format!("a row has {found} values instead of {width}")))
            }
        }
    }
}

impl TransferEndpoint for &Connection {
    fn select_expression(&self, expression: &str) -> String {
        expression.to_owned()
    }

    fn query(&mut self, sql: &str) -> Result<Rows, DatabaseError> {
        Ok(Session::query(*self, sql, &[])?)
    }

    fn execute_all(&mut self, statements: Vec<Query<'static>>) -> Result<(), DatabaseError> {
        for Query { sql, parameters } in statements {
            let mut statement = self.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(parameters))?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    }

    fn unexpected_rows(&self, reason: String) -> DatabaseError {
        DatabaseError::NotADatabase { reason }
    }
}

/// A stream to a namespace with an open transaction, which is rolled back on drop.
pub(crate) struct NamespaceTransaction<'n> {
    namespace: &'n Namespace,
    /// None if the stream is not open, or may not be.
    baton: Option<String>,
    request_kind: RequestKind,
}

impl Drop for NamespaceTransaction<'_> {
    /// If this request fails, the server rolls back after a timeout.
    fn drop(&mut self) {
        if self.baton.is_some() {
            let _ = self.try_send(&[end_step("ROLLBACK")], StreamAfter::Close);
        }
    }
}

impl<'n> NamespaceTransaction<'n> {
    pub(crate) fn begin(
        namespace: &'n Namespace,
        request_kind: RequestKind,
    ) -> Result<Self, DatabaseError> {
        let execute = |sql: &str| BatchStep::execute(sql, Vec::new());
        let mut steps = match request_kind {
            // The server counts the pragma as a write, and a copy may be read-only.
            RequestKind::Read => vec![execute("BEGIN")],
            RequestKind::Write => vec![
                execute("PRAGMA foreign_keys = OFF"),
                execute("BEGIN IMMEDIATE").with_condition(Condition::Ok { step: 0 }),
            ],
        };
        steps.push(
            BatchStep::query(DATABASE_FILE_QUERY, Vec::new())
                .with_condition(Condition::IsAutocommit.negate()),
        );
        let mut transaction = Self { namespace, baton: None, request_kind };
        let results = transaction.send(&steps, StreamAfter::KeepOpen)?;
        let file = results.required_rows(steps.len() - 1)?.first().map(|row| row.text(0));
        namespace.check_opened_namespace(&file.unwrap_or_default())?;
        Ok(transaction)
    }

    fn send(
        &mut self,
        steps: &[BatchStep],
        stream_after: StreamAfter,
    ) -> Result<StepResults, DatabaseError> {
        let results = self.try_send(steps, stream_after)?;
        check_steps(&results, steps.len())?;
        Ok(results)
    }

    /// Sends a batch. An error is that of the request, not of a statement.
    fn try_send(
        &mut self,
        steps: &[BatchStep],
        stream_after: StreamAfter,
    ) -> Result<StepResults, ServerError> {
        let baton = self.baton.take();
        let batch = BatchRequest {
            steps,
            baton: baton.as_deref(),
            stream_after,
            request_kind: self.request_kind,
        };
        let Namespace { handle, name, options, .. } = self.namespace;
        let results = handle.server.send_batch(name, batch, &options.setup.cancel)?;
        if stream_after == StreamAfter::KeepOpen {
            self.baton.clone_from(&results.baton);
        }
        Ok(results)
    }

    /// Decodes a text that `select_expression` encoded as `t` and hexadecimal digits.
    fn decode_text(&self, tagged_hex: &[u8]) -> Result<Vec<u8>, ServerError> {
        let bytes = tagged_hex.strip_prefix(b"t").and_then(|digits| hex::decode(digits).ok());
        bytes.ok_or_else(|| {
            self.namespace.unexpected_response("a text is not in hexadecimal".to_owned())
        })
    }

    /// Commits the transaction. If the response is lost, the error is
    /// [`DatabaseError::OutcomeUnknown`].
    pub(crate) fn commit(mut self) -> Result<(), DatabaseError> {
        let steps = [end_step("COMMIT")];
        let results = self.try_send(&steps, StreamAfter::Close).map_err(|cause| {
            if cause.may_have_run() {
                let hint = "Run the command again".to_owned();
                DatabaseError::OutcomeUnknown { cause, hint }
            } else {
                cause.into()
            }
        })?;
        check_steps(&results, steps.len())
    }
}

/// COMMIT or ROLLBACK, if the transaction is open.
fn end_step(sql: &'static str) -> BatchStep {
    BatchStep::execute(sql, Vec::new()).with_condition(Condition::IsAutocommit.negate())
}

/// Fails unless every step of a transaction ran without an error.
fn check_steps(results: &StepResults, step_count: usize) -> Result<(), DatabaseError> {
    if let Some(error) = results.steps.iter().find_map(|step| step.as_ref().err()) {
        if is_lock_stolen(error) {
            return Err(DatabaseError::LockStolen);
        }
        return Err(ServerError::from(error.clone()).into());
    }
    // A step without a result did not run, because the transaction was over.
    if (0..step_count).all(|step| results.succeeded(step)) {
        Ok(())
    } else {
        Err(DatabaseError::LockStolen)
    }
}

impl TransferEndpoint for NamespaceTransaction<'_> {
    /// JSON has neither infinities nor texts that are not UTF-8. So a text is selected as `t` and
    /// its bytes in hexadecimal, and an infinity as its sign.
    fn select_expression(&self, expression: &str) -> String {
        format!(
            "CASE typeof({expression}) WHEN 'text' THEN 't' || hex({expression}) \
             WHEN 'real' THEN CASE WHEN {expression} = 9e999 THEN '+' WHEN {expression} = -9e999 THEN '-' ELSE {expression} END \
             ELSE {expression} END"
        )
    }

    fn query(&mut self, sql: &str) -> Result<Rows, DatabaseError> {
        let steps = vec![
            BatchStep::query(sql, Vec::new()).with_condition(Condition::IsAutocommit.negate()),
        ];
        let mut results = self.send(&steps, StreamAfter::KeepOpen)?;
        let mut rows = results.take_rows(0).ok_or(DatabaseError::LockStolen)?;
        for value in rows.iter_mut().flat_map(|row| &mut row.0) {
            if let SqlValue::Text(text) = value {
                *value = match text.as_slice() {
                    b"+" => SqlValue::Real(f64::INFINITY),
                    b"-" => SqlValue::Real(f64::NEG_INFINITY),
                    tagged_hex => SqlValue::Text(self.decode_text(tagged_hex)?),
                };
            }
        }
        Ok(rows)
    }

    fn execute_all(&mut self, statements: Vec<Query<'static>>) -> Result<(), DatabaseError> {
        let mut steps = Vec::new();
        for Query { sql, parameters } in statements {
            let mut conds = vec![Condition::IsAutocommit.negate()];
            conds.extend(steps.len().checked_sub(1).map(|step| Condition::Ok { step }));
            steps
                .push(BatchStep::execute(sql, parameters).with_condition(Condition::And { conds }));
        }
        if steps.is_empty() {
            return Ok(());
        }
        self.send(&steps, StreamAfter::KeepOpen).map(drop)
    }

    fn unexpected_rows(&self, reason: String) -> DatabaseError {
        self.namespace.unexpected_response(reason).into()
    }
}
