//! Provides one interface for both ends of a transfer, a file and a namespace. Each has one transaction
//! open, and each reads and writes values byte for byte.

use rusqlite::{Connection, params_from_iter};

use crate::database::error::DatabaseError;
use crate::database::session::{Query, Session};
use crate::libsql::error::is_lock_stolen;
use crate::libsql::namespace::Namespace;
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
}

/// A stream to a namespace with an open transaction.
pub(crate) struct NamespaceTransaction<'n> {
    namespace: &'n Namespace,
    baton: Option<String>,
    request_kind: RequestKind,
}

impl<'n> NamespaceTransaction<'n> {
    pub(crate) fn begin(
        namespace: &'n Namespace,
        request_kind: RequestKind,
    ) -> Result<Self, DatabaseError> {
        let execute = |sql: &str| BatchStep::execute(sql, Vec::new());
        let steps = match request_kind {
            // The server counts the pragma as a write, and a copy may be read-only.
            RequestKind::Read => vec![execute("BEGIN")],
            RequestKind::Write => vec![
                execute("PRAGMA foreign_keys = OFF"),
                execute("BEGIN IMMEDIATE").with_condition(Condition::Ok { step: 0 }),
            ],
        };
        let mut transaction = Self { namespace, baton: None, request_kind };
        transaction.send(&steps, StreamAfter::KeepOpen)?;
        Ok(transaction)
    }

    fn send(
        &mut self,
        steps: &[BatchStep],
        stream_after: StreamAfter,
    ) -> Result<StepResults, DatabaseError> {
        let batch = BatchRequest {
            steps,
            baton: self.baton.as_deref(),
            stream_after,
            request_kind: self.request_kind,
        };
        let Namespace { handle, name, options, .. } = self.namespace;
        let results = handle.server.send_batch(name, batch, &options.cancel)?;
        self.baton.clone_from(&results.baton);
        if let Some(error) = results.steps.iter().find_map(|step| step.as_ref().err()) {
            if is_lock_stolen(error) {
                return Err(DatabaseError::LockStolen);
            }
            return Err(ServerError::from(error.clone()).into());
        }
        if steps.len() > 1 || stream_after == StreamAfter::Close {
            results.required_rows(steps.len() - 1).map_err(|_| DatabaseError::LockStolen)?;
        }
        Ok(results)
    }

    /// Decodes a text that `select_expression` encoded as `t` and hexadecimal digits.
    fn decode_text(&self, tagged_hex: &[u8]) -> Result<Vec<u8>, ServerError> {
        let digits = tagged_hex.strip_prefix(b"t").unwrap_or(tagged_hex);
        hex::decode(digits).map_err(|error| ServerError::UnexpectedResponse {
            url: self.namespace.handle.server.url().to_owned(),
            reason: format!("a text is not in hexadecimal: {error}"),
        })
    }

    /// Ends the transaction. If the response to COMMIT is lost, the error is
    /// [`DatabaseError::OutcomeUnknown`].
    pub(crate) fn end(mut self, end_sql: &'static str) -> Result<(), DatabaseError> {
        let is_transaction_open = Condition::IsAutocommit.negate();
        let steps =
            vec![BatchStep::execute(end_sql, Vec::new()).with_condition(is_transaction_open)];
        match self.send(&steps, StreamAfter::Close) {
            Err(DatabaseError::Server(cause @ ServerError::ResponseLost { .. }))
                if end_sql == "COMMIT" =>
            {
                let history_error = "run the command again, which compares the contents".to_owned();
                Err(DatabaseError::OutcomeUnknown { cause, history_error })
            }
            result => result.map(drop),
        }
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
        let results = self.send(&steps, StreamAfter::KeepOpen)?;
        results.required_rows(steps.len() - 1).map_err(|_| DatabaseError::LockStolen)?;
        Ok(())
    }
}
