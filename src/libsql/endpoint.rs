//! The two ends of a carried database's way, a file and a namespace: each with one transaction open,
//! each giving and taking values as the bytes that they are.

use rusqlite::types::{Value as Own, ValueRef};
use rusqlite::{Connection, params_from_iter};
use sha2::{Digest, Sha256};

use crate::database::error::DatabaseError;
use crate::libsql::error::is_lock_stolen;
use crate::libsql::namespace::Namespace;
use crate::sqld::error::ServerError;
use crate::sqld::hrana::{BatchRequest, BatchStep, Condition, StepResults, StreamAfter, Value};
use crate::sqld::server::RequestKind;

/// A value as its bytes are, whatever they are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SqlValue {
    Null,
    Integer(i64),
    Real(f64),
    /// Mostly UTF-8.
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

pub(crate) type SqlValues = Vec<SqlValue>;

impl SqlValue {
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        }
    }

    pub(crate) fn to_integer(&self) -> i64 {
        if let Self::Integer(number) = self { *number } else { 0 }
    }

    pub(crate) fn byte_size(&self) -> usize {
        8 + match self {
            Self::Text(bytes) | Self::Blob(bytes) => bytes.len(),
            Self::Null | Self::Integer(_) | Self::Real(_) => 0,
        }
    }

    pub(crate) fn update_digest(&self, hasher: &mut Sha256) {
        let mut add_tagged = |tag: u8, bytes: &[u8]| {
            hasher.update([tag]);
            hasher.update(bytes.len().to_le_bytes());
            hasher.update(bytes);
        };
        match self {
            Self::Null => add_tagged(0, &[]),
            Self::Integer(number) => add_tagged(1, &number.to_le_bytes()),
            Self::Real(number) => add_tagged(2, &number.to_bits().to_le_bytes()),
            Self::Text(bytes) => add_tagged(3, bytes),
            Self::Blob(bytes) => add_tagged(4, bytes),
        }
    }
}

/// One end of the way. All of its statements are in one transaction.
pub(crate) trait Session {
    /// How an expression is selected so that [`Session::query`] gives it back as it is.
    fn select_expression(&self, expression: &str) -> String;

    fn query(&mut self, sql: &str) -> Result<Vec<SqlValues>, DatabaseError>;

    /// Runs statements in their order.
    fn execute_all(&mut self, statements: Vec<(String, SqlValues)>) -> Result<(), DatabaseError>;
}

impl Session for &Connection {
    fn select_expression(&self, expression: &str) -> String {
        expression.to_owned()
    }

    fn query(&mut self, sql: &str) -> Result<Vec<SqlValues>, DatabaseError> {
        let mut statement = self.prepare(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let values = (0..columns).map(|index| {
                Ok(match row.get_ref(index)? {
                    ValueRef::Null => SqlValue::Null,
                    ValueRef::Integer(number) => SqlValue::Integer(number),
                    ValueRef::Real(number) => SqlValue::Real(number),
                    ValueRef::Text(bytes) => SqlValue::Text(bytes.to_vec()),
                    ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
                })
            });
            found.push(values.collect::<rusqlite::Result<_>>()?);
        }
        Ok(found)
    }

    fn execute_all(&mut self, statements: Vec<(String, SqlValues)>) -> Result<(), DatabaseError> {
        for (sql, parameters) in statements {
            let values = parameters.into_iter().map(|parameter| match parameter {
                SqlValue::Null => Own::Null,
                SqlValue::Integer(number) => Own::Integer(number),
                SqlValue::Real(number) => Own::Real(number),
                SqlValue::Blob(bytes) => Own::Blob(bytes),
                // Bound as bytes and cast back where they are no UTF-8.
                SqlValue::Text(bytes) => String::from_utf8(bytes)
                    .map_or_else(|error| Own::Blob(error.into_bytes()), Own::Text),
            });
            let mut statement = self.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    }
}

/// A stream to a namespace with a transaction open in it.
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
            // The server takes the pragma for a write, and a copy may be closed to writes.
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
        let Namespace { handle: host, name, options: patience, .. } = self.namespace;
        let results = host.server.send_batch(name, batch, &patience.cancel)?;
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

    /// Ends the transaction. An error after COMMIT was sent leaves it unknown what came of it.
    pub(crate) fn end(mut self, end_sql: &'static str) -> Result<(), DatabaseError> {
        let is_transaction_open = Condition::IsAutocommit.negate();
        let steps =
            vec![BatchStep::execute(end_sql, Vec::new()).with_condition(is_transaction_open)];
        match self.send(&steps, StreamAfter::Close) {
            Err(DatabaseError::Server(cause @ ServerError::ResponseLost { .. }))
                if end_sql == "COMMIT" =>
            {
                let history_error = "what is there has to be compared; run it again".to_owned();
                Err(DatabaseError::OutcomeUnknown { cause, history_error })
            }
            result => result.map(drop),
        }
    }
}

impl Session for NamespaceTransaction<'_> {
    /// JSON has neither infinities nor texts that are no UTF-8.
    fn select_expression(&self, expression: &str) -> String {
        format!(
            "CASE typeof({expression}) WHEN 'text' THEN 't' || hex({expression}) \
             WHEN 'real' THEN CASE WHEN {expression} = 9e999 THEN '+' WHEN {expression} = -9e999 THEN '-' ELSE {expression} END \
             ELSE {expression} END"
        )
    }

    fn query(&mut self, sql: &str) -> Result<Vec<SqlValues>, DatabaseError> {
        let steps = vec![
            BatchStep::query(sql, Vec::new()).with_condition(Condition::IsAutocommit.negate()),
        ];
        let results = self.send(&steps, StreamAfter::KeepOpen)?;
        let rows = results.rows(0).ok_or(DatabaseError::LockStolen)?;
        let sql_value = |value: &Value| match value {
            Value::Null => SqlValue::Null,
            Value::Integer(number) => SqlValue::Integer(*number),
            Value::Real(number) => SqlValue::Real(*number),
            Value::Blob(bytes) => SqlValue::Blob(bytes.clone()),
            Value::Text(text) => match text.as_bytes() {
                b"+" => SqlValue::Real(f64::INFINITY),
                b"-" => SqlValue::Real(f64::NEG_INFINITY),
                tagged_hex => SqlValue::Text(decode_hex(tagged_hex.get(1..).unwrap_or_default())),
            },
        };
        Ok(rows.iter().map(|row| row.iter().map(sql_value).collect()).collect())
    }

    fn execute_all(&mut self, statements: Vec<(String, SqlValues)>) -> Result<(), DatabaseError> {
        let mut steps = Vec::new();
        for (sql, parameters) in statements {
            let values = parameters.into_iter().map(|parameter| match parameter {
                SqlValue::Null => Value::Null,
                SqlValue::Integer(number) => Value::Integer(number),
                SqlValue::Real(number) => Value::Real(number),
                SqlValue::Blob(bytes) => Value::Blob(bytes),
                SqlValue::Text(bytes) => String::from_utf8(bytes)
                    .map_or_else(|error| Value::Blob(error.into_bytes()), Value::Text),
            });
            let mut conds = vec![Condition::IsAutocommit.negate()];
            conds.extend(steps.len().checked_sub(1).map(|step| Condition::Ok { step }));
            steps.push(
                BatchStep::execute(sql, values.collect()).with_condition(Condition::And { conds }),
            );
        }
        if steps.is_empty() {
            return Ok(());
        }
        let results = self.send(&steps, StreamAfter::KeepOpen)?;
        results.required_rows(steps.len() - 1).map_err(|_| DatabaseError::LockStolen)?;
        Ok(())
    }
}

fn decode_hex(hex: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0);
    let byte = |pair: &[u8]| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).unwrap_or(0);
    hex.chunks_exact(2).map(byte).collect()
}
