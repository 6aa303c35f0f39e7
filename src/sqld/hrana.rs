//! The server's protocol, Hrana 3 over HTTP: statements with conditions on one another in one
//! request, rows and errors in its answer.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use ureq::http::Method;

use crate::sql::value::{Row, Rows, SqlValue};
use crate::sqld::error::ServerError;
use crate::sqld::server::{RequestKind, Server, TOKEN_VARIABLE, sleep_unless_cancelled};

/// How often a namespace is asked for that the server says is missing. One that it closed to make
/// room for another is there again milliseconds later.
const MAX_MISSING_ATTEMPTS: u32 = 9;

/// How often a connection is tried that cannot be made.
const MAX_CONNECT_ATTEMPTS: u32 = 3;

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

/// When a step of a batch runs.
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
    /// A statement whose rows come back.
    pub(crate) fn query(sql: impl Into<String>, args: Vec<SqlValue>) -> Self {
        let stmt = Statement { sql: sql.into(), args, want_rows: true };
        Self { stmt, condition: None }
    }

    /// A statement whose rows, if it has any, are not wanted.
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
enum StreamRequest<'r> {
    Batch { batch: Batch<'r> },
    Close,
}

#[derive(Serialize)]
struct Batch<'r> {
    steps: &'r [BatchStep],
}

#[derive(Serialize)]
struct PipelineRequest<'r> {
    baton: Option<&'r str>,
    requests: Vec<StreamRequest<'r>>,
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
    rows: Rows,
}

/// What the server's SQLite said of a statement.
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

    /// SQLite's words alone, and the byte of the statement that they are about, if told.
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

/// What came of a batch: of each step its rows, its error, or neither where it did not run.
#[derive(Debug)]
pub(crate) struct StepResults {
    pub(crate) steps: Vec<Result<Option<Rows>, SqlError>>,
    /// Carries the stream on to the next request, where it was left open.
    pub(crate) baton: Option<String>,
}

impl StepResults {
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
            || ServerError::ResponseLost { reason: "a step did not run".to_owned() },
            ServerError::from,
        )
    }
}

/// What happens to the stream after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamAfter {
    Close,
    KeepOpen,
}

/// A batch on its way: the stream that it goes on in, if any, and what becomes of that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchRequest<'s> {
    pub(crate) steps: &'s [BatchStep],
    pub(crate) baton: Option<&'s str>,
    pub(crate) stream_after: StreamAfter,
    pub(crate) request_kind: RequestKind,
}

impl<'s> BatchRequest<'s> {
    /// Statements that read, in a stream of their own.
    pub(crate) fn new_read(steps: &'s [BatchStep]) -> Self {
        Self {
            steps,
            baton: None,
            stream_after: StreamAfter::Close,
            request_kind: RequestKind::Read,
        }
    }

    /// Statements that write, in a stream of their own.
    pub(crate) fn new_write(steps: &'s [BatchStep]) -> Self {
        Self { request_kind: RequestKind::Write, ..Self::new_read(steps) }
    }
}

impl Server {
    /// Sends a batch to a namespace. A namespace that the server says is missing, and a connection
    /// that cannot be made, are tried again: nothing has run then. Nothing else is.
    pub(crate) fn send_batch(
        &self,
        namespace: &str,
        batch: BatchRequest<'_>,
        cancel: &AtomicBool,
    ) -> Result<StepResults, ServerError> {
        let mut missing_attempts = 0;
        let mut connect_attempts = 0;
        loop {
            match self.try_send_batch(namespace, batch, cancel) {
                Err(ServerError::NoNamespace { .. })
                    if missing_attempts + 1 < MAX_MISSING_ATTEMPTS && batch.baton.is_none() =>
                {
                    sleep_unless_cancelled(Duration::from_millis(5 << missing_attempts), cancel);
                    missing_attempts += 1;
                }
                Err(ServerError::Unreachable { .. })
                    if connect_attempts + 1 < MAX_CONNECT_ATTEMPTS && batch.baton.is_none() =>
                {
                    connect_attempts += 1;
                    sleep_unless_cancelled(
                        Duration::from_millis(100 * u64::from(connect_attempts)),
                        cancel,
                    );
                }
                Err(ServerError::NoNamespace { .. }) if cancel.load(Ordering::Relaxed) => {
                    return Err(ServerError::Interrupted);
                }
                result => {
                    if result.is_ok() && missing_attempts > 0 {
                        self.missing_retries.fetch_add(1, Ordering::Relaxed);
                    }
                    return result;
                }
            }
        }
    }

    fn try_send_batch(
        &self,
        namespace: &str,
        batch: BatchRequest<'_>,
        cancel: &AtomicBool,
    ) -> Result<StepResults, ServerError> {
        let mut requests = vec![StreamRequest::Batch { batch: Batch { steps: batch.steps } }];
        if batch.stream_after == StreamAfter::Close {
            requests.push(StreamRequest::Close);
        }
        let unexpected =
            |reason: String| ServerError::UnexpectedResponse { url: self.url().to_owned(), reason };
        let body = serde_json::to_vec(&PipelineRequest { baton: batch.baton, requests })
            .map_err(|error| unexpected(error.to_string()))?;
        // The one way that reaches every legal name, whatever stands between.
        let encoded_name = STANDARD_NO_PAD.encode(namespace);
        let authorization = self.config.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers =
            vec![("content-type", "application/json"), ("x-namespace-bin", encoded_name.as_str())];
        headers
            .extend(authorization.as_deref().map(|authorization| ("authorization", authorization)));
        let url = format!("{}/v3/pipeline", self.url());
        let request = Self::build_request(Method::POST, &url, (&headers, body))?;
        let response = self.send_request(request, (batch.request_kind, cancel))?;
        match response.status {
            200 => {}
            401 | 403 => {
                let (credential, variable) = ("the token", TOKEN_VARIABLE);
                return Err(ServerError::Unauthorized {
                    credential,
                    status: response.status,
                    variable,
                });
            }
            404 if response.message().starts_with("Namespace ") => {
                return Err(ServerError::NoNamespace { name: namespace.to_owned() });
            }
            404 => return Err(unexpected(format!("404: {}", response.message()))),
            status => return Err(ServerError::HttpStatus { status, message: response.message() }),
        }
        let pipeline_response: PipelineResponse = serde_json::from_slice(&response.body)
            .map_err(|error| unexpected(error.to_string()))?;
        let first_result = pipeline_response.results.into_iter().next();
        let result = match first_result {
            Some(StreamResult::Ok { response: StreamResponse { result: Some(result) } }) => result,
            Some(StreamResult::Error { error }) => return Err(error.into()),
            Some(StreamResult::Ok { .. }) | None => return Err(unexpected("no result".to_owned())),
        };
        if result.step_results.len() != batch.steps.len()
            || result.step_errors.len() != batch.steps.len()
        {
            return Err(unexpected("not as many results as statements".to_owned()));
        }
        let steps = result
            .step_results
            .into_iter()
            .zip(result.step_errors)
            .map(|(step_rows, error)| {
                error.map_or_else(|| Ok(step_rows.map(|step_rows| step_rows.rows)), Err)
            })
            .collect();
        Ok(StepResults { steps, baton: pipeline_response.baton })
    }
}
