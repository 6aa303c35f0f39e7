//! Declares the JSON of the server's protocol, Hrana 3: batches of statements with conditions, and
//! the rows and errors of a response.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::sql::value::{Row, Rows, SqlValue};
use crate::sqld::error::ServerError;

/// A value in the JSON of the protocol.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum WireValue<'v> {
    Null,
    Integer { value: Cow<'v, str> },
    Float { value: Option<f64> },
    Text { value: Cow<'v, str> },
    Blob { base64: Cow<'v, str> },
}

impl Serialize for SqlValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let blob = |bytes| WireValue::Blob { base64: STANDARD_NO_PAD.encode(bytes).into() };
        match self {
            Self::Null => WireValue::Null,
            Self::Integer(value) => WireValue::Integer { value: value.to_string().into() },
            Self::Real(value) => WireValue::Float { value: Some(*value) },
            // JSON cannot contain a text that is not UTF-8. Statements with such a parameter cast
            // the bytes back.
            Self::Text(bytes) => std::str::from_utf8(bytes)
                .map_or_else(|_| blob(bytes), |text| WireValue::Text { value: text.into() }),
            Self::Blob(bytes) => blob(bytes),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SqlValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        Ok(match WireValue::deserialize(deserializer)? {
            WireValue::Null => Self::Null,
            WireValue::Integer { value } => Self::Integer(value.parse().map_err(D::Error::custom)?),
            // JSON has no infinity. A query that may return one has to select it as text.
            WireValue::Float { value } => Self::Real(value.unwrap_or(f64::INFINITY)),
            WireValue::Text { value } => Self::from_text(value),
            WireValue::Blob { base64 } => Self::Blob(
                STANDARD_NO_PAD.decode(base64.trim_end_matches('=')).map_err(D::Error::custom)?,
            ),
        })
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self)
    }
}

/// The condition that a step of a batch runs under.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Condition {
    Ok { step: usize },
    Error { step: usize },
    Not { cond: Box<Self> },
    And { conds: Vec<Self> },
    Or { conds: Vec<Self> },
    IsAutocommit,
}

impl Condition {
    pub(crate) fn negate(self) -> Self {
        Self::Not { cond: Box::new(self) }
    }
}

#[derive(Debug, Serialize)]
struct Statement {
    sql: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<SqlValue>,
    want_rows: bool,
}

/// One statement of a batch.
#[derive(Debug, Serialize)]
pub(crate) struct BatchStep {
    stmt: Statement,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

impl BatchStep {
    /// A statement whose rows are returned.
    pub(crate) fn query(sql: impl Into<String>, args: Vec<SqlValue>) -> Self {
        let stmt = Statement { sql: sql.into(), args, want_rows: true };
        Self { stmt, condition: None }
    }

    /// A statement whose rows are not returned.
    pub(crate) fn execute(sql: impl Into<String>, args: Vec<SqlValue>) -> Self {
        let stmt = Statement { sql: sql.into(), args, want_rows: false };
        Self { stmt, condition: None }
    }

    pub(crate) fn with_condition(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum StreamRequest<'r> {
    Batch { batch: Batch<'r> },
    Close,
}

#[derive(Serialize)]
pub(crate) struct Batch<'r> {
    pub(crate) steps: &'r [BatchStep],
}

#[derive(Serialize)]
pub(crate) struct PipelineRequest<'r> {
    pub(crate) baton: Option<&'r str>,
    pub(crate) requests: Vec<StreamRequest<'r>>,
}

#[derive(Deserialize)]
struct PipelineResponse {
    baton: Option<String>,
    results: Vec<StreamResult>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum StreamResult {
    Ok { response: StreamResponse },
    Error { error: SqlError },
}

#[derive(Deserialize)]
struct StreamResponse {
    result: Option<BatchResult>,
}

#[derive(Deserialize)]
struct BatchResult {
    step_results: Vec<Option<StepRows>>,
    step_errors: Vec<Option<SqlError>>,
}

#[derive(Deserialize)]
struct StepRows {
    #[serde(default)]
    cols: Vec<Column>,
    #[serde(default)]
    rows: Rows,
}

/// A column of a result.
#[derive(Deserialize)]
struct Column {
    name: Option<String>,
}

/// The error of a statement.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SqlError {
    #[serde(default)]
    pub(crate) code: Option<String>,
    pub(crate) message: String,
}

impl SqlError {
    pub(crate) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// SQLite's message without the server's prefixes, and the byte of the statement that the
    /// message is about, if the server reported one.
    pub(crate) fn message_and_offset(&self) -> (String, Option<usize>) {
        let mut message = self.message.as_str();
        for prefix in ["SQLite error: ", "SQL input error: ", "SQL string could not be parsed: "] {
            message = message.strip_prefix(prefix).unwrap_or(message);
        }
        if let Some((text, offset)) = message.rsplit_once(" (at offset ")
            && let Ok(offset) = offset.trim_end_matches(')').parse()
        {
            return (text.to_owned(), Some(offset));
        }
        (message.to_owned(), None)
    }
}

impl From<SqlError> for ServerError {
    fn from(error: SqlError) -> Self {
        let message = error.message_and_offset().0;
        Self::Sql { code: error.code.unwrap_or_default(), message }
    }
}

/// A response that has no results.
#[derive(Debug)]
pub(crate) enum ResponseError {
    /// The server refused the whole batch, or could not return its results.
    Sql(SqlError),
    /// The response is not part of the protocol, for the reason given.
    Malformed(String),
}

/// The results of a batch: for each step its rows or its error, or neither if it did not run.
#[derive(Debug)]
pub(crate) struct StepResults {
    pub(crate) steps: Vec<Result<Option<Rows>, SqlError>>,
    /// The names of the columns of each step that ran.
    columns: Vec<Vec<String>>,
    /// Continues the stream in the next request, if the stream is open.
    pub(crate) baton: Option<String>,
    /// The address of the server, for errors.
    server_url: String,
}

impl StepResults {
    /// Reads the response to a request whose first part is a batch of `step_count` steps.
    pub(crate) fn parse(
        body: &[u8],
        step_count: usize,
        server_url: &str,
    ) -> Result<Self, ResponseError> {
        let malformed = |reason: String| ResponseError::Malformed(reason);
        let response: PipelineResponse =
            serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
        let result = match response.results.into_iter().next() {
            Some(StreamResult::Ok { response: StreamResponse { result: Some(result) } }) => result,
            Some(StreamResult::Error { error }) => return Err(ResponseError::Sql(error)),
            Some(StreamResult::Ok { .. }) | None => return Err(malformed("no result".to_owned())),
        };
        if result.step_results.len() != step_count || result.step_errors.len() != step_count {
            return Err(malformed("not as many results as statements".to_owned()));
        }
        let mut steps = Vec::with_capacity(step_count);
        let mut columns = Vec::with_capacity(step_count);
        for (step_rows, error) in result.step_results.into_iter().zip(result.step_errors) {
            let names = step_rows.iter().flat_map(|step| &step.cols);
            columns.push(names.map(|column| column.name.clone().unwrap_or_default()).collect());
            steps.push(match (step_rows, error) {
                (_, Some(error)) => Err(error),
                (None, None) => Ok(None),
                (Some(StepRows { cols, rows }), None) => {
                    if let Some(row) = rows.iter().find(|row| row.0.len() != cols.len()) {
                        let (values, columns) = (row.0.len(), cols.len());
                        let reason = format!("a row has {values} values for {columns} columns");
                        return Err(malformed(reason));
                    }
                    Ok(Some(rows))
                }
            });
        }
        Ok(Self { steps, columns, baton: response.baton, server_url: server_url.to_owned() })
    }

    /// Moves the names of the columns of a step out.
    pub(crate) fn take_columns(&mut self, step: usize) -> Vec<String> {
        self.columns.get_mut(step).map(std::mem::take).unwrap_or_default()
    }

    /// The rows of a step that ran.
    pub(crate) fn rows(&self, step: usize) -> Option<&Rows> {
        self.steps.get(step)?.as_ref().ok()?.as_ref()
    }

    /// Moves the rows of a step out, if it ran, and leaves none.
    pub(crate) fn take_rows(&mut self, step: usize) -> Option<Rows> {
        self.steps.get_mut(step)?.as_mut().ok()?.as_mut().map(std::mem::take)
    }

    pub(crate) fn succeeded(&self, step: usize) -> bool {
        self.rows(step).is_some()
    }

    /// The rows of a step that had to run.
    pub(crate) fn required_rows(&self, step: usize) -> Result<&Rows, ServerError> {
        self.rows(step).ok_or_else(|| self.step_error(step))
    }

    /// Why a step has no rows: its own error, or the first error of the batch if it did not run.
    pub(crate) fn step_error(&self, step: usize) -> ServerError {
        let own_error = self.steps.get(step).and_then(|step| step.as_ref().err());
        let error =
            own_error.or_else(|| self.steps.iter().find_map(|step| step.as_ref().err())).cloned();
        error.map_or_else(
            || self.unexpected("a statement has no result".to_owned()),
            ServerError::from,
        )
    }

    /// The error for results that the statements cannot have.
    pub(crate) fn unexpected(&self, reason: String) -> ServerError {
        ServerError::UnexpectedResponse { url: self.server_url.clone(), reason }
    }
}
