//! The server's protocol, Hrana 3 over HTTP: statements with conditions on one another in one
//! request, rows and errors in its answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use ureq::http::Method;

use crate::sqld::error::ServerError;
use crate::sqld::server::{Kind, Server, TOKEN_VARIABLE, pause};

/// How often a namespace is asked for that the server says is missing. One that it closed to make
/// room for another is there again milliseconds later.
const MISSING_TRIES: u32 = 9;

/// How often a connection is tried that cannot be made.
const CONNECT_TRIES: u32 = 3;

/// A value of SQLite's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Wire {
    Null,
    Integer { value: String },
    Float { value: Option<f64> },
    Text { value: String },
    Blob { base64: String },
}

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => Wire::Null,
            Self::Integer(value) => Wire::Integer { value: value.to_string() },
            Self::Real(value) => Wire::Float { value: Some(*value) },
            Self::Text(value) => Wire::Text { value: value.clone() },
            Self::Blob(bytes) => Wire::Blob { base64: STANDARD_NO_PAD.encode(bytes) },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Null => Self::Null,
            Wire::Integer { value } => Self::Integer(value.parse().map_err(D::Error::custom)?),
            // JSON has no infinity; whoever needs one asks for its text.
            Wire::Float { value } => Self::Real(value.unwrap_or(f64::INFINITY)),
            Wire::Text { value } => Self::Text(value),
            Wire::Blob { base64 } => Self::Blob(
                STANDARD_NO_PAD.decode(base64.trim_end_matches('=')).map_err(D::Error::custom)?,
            ),
        })
    }
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn optional(text: Option<impl Into<String>>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.into()))
    }

    /// A number or a text as text.
    pub(crate) fn shown(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Real(number) => Some(number.to_string()),
            Self::Null | Self::Blob(_) => None,
        }
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
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
    pub(crate) fn negated(self) -> Self {
        Self::Not { cond: Box::new(self) }
    }
}

#[derive(Debug, Serialize)]
struct Statement {
    sql: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Value>,
    want_rows: bool,
}

/// One statement of a batch.
#[derive(Debug, Serialize)]
pub(crate) struct Step {
    stmt: Statement,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

impl Step {
    /// A statement whose rows come back.
    pub(crate) fn asks(sql: impl Into<String>, args: Vec<Value>) -> Self {
        let stmt = Statement { sql: sql.into(), args, want_rows: true };
        Self { stmt, condition: None }
    }

    /// A statement whose rows, if it has any, are not wanted.
    pub(crate) fn does(sql: impl Into<String>, args: Vec<Value>) -> Self {
        let stmt = Statement { sql: sql.into(), args, want_rows: false };
        Self { stmt, condition: None }
    }

    pub(crate) fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Request<'r> {
    Batch { batch: Batch<'r> },
    Close,
}

#[derive(Serialize)]
struct Batch<'r> {
    steps: &'r [Step],
}

#[derive(Serialize)]
struct Pipeline<'r> {
    baton: Option<&'r str>,
    requests: Vec<Request<'r>>,
}

#[derive(Deserialize)]
struct Answers {
    baton: Option<String>,
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Outcome {
    Ok { response: Response },
    Error { error: SqlError },
}

#[derive(Deserialize)]
struct Response {
    result: Option<BatchResult>,
}

#[derive(Deserialize)]
struct BatchResult {
    step_results: Vec<Option<Ran>>,
    step_errors: Vec<Option<SqlError>>,
}

#[derive(Deserialize)]
struct Ran {
    #[serde(default)]
    rows: Vec<Vec<Value>>,
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
    pub(crate) fn words(&self) -> (String, Option<usize>) {
        let mut words = self.message.as_str();
        for lead in ["SQLite error: ", "SQL input error: ", "SQL string could not be parsed: "] {
            words = words.strip_prefix(lead).unwrap_or(words);
        }
        if let Some((said, offset)) = words.rsplit_once(" (at offset ")
            && let Ok(offset) = offset.trim_end_matches(')').parse()
        {
            return (said.to_owned(), Some(offset));
        }
        (words.to_owned(), None)
    }
}

impl From<SqlError> for ServerError {
    fn from(error: SqlError) -> Self {
        let message = error.words().0;
        Self::Sql { code: error.code.unwrap_or_default(), message }
    }
}

/// What came of a batch: of each step its rows, its error, or neither where it did not run.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) steps: Vec<Result<Option<Rows>, SqlError>>,
    /// Carries the stream on to the next request, where it was left open.
    pub(crate) baton: Option<String>,
}

/// Rows of values.
pub(crate) type Rows = Vec<Vec<Value>>;

impl Results {
    /// The rows of a step that ran.
    pub(crate) fn rows(&self, step: usize) -> Option<&Rows> {
        self.steps.get(step)?.as_ref().ok()?.as_ref()
    }

    pub(crate) fn ran(&self, step: usize) -> bool {
        self.rows(step).is_some()
    }

    /// The rows of a step that had to run.
    pub(crate) fn need(&self, step: usize) -> Result<&Rows, ServerError> {
        match self.steps.get(step) {
            Some(Ok(Some(rows))) => Ok(rows),
            Some(Err(error)) => Err(error.clone().into()),
            Some(Ok(None)) | None => Err(self.first_error()),
        }
    }

    fn first_error(&self) -> ServerError {
        let error = self.steps.iter().find_map(|step| step.as_ref().err().cloned());
        error.map_or_else(
            || ServerError::Lost { reason: "a step did not run".to_owned() },
            ServerError::from,
        )
    }
}

/// What happens to the stream after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Close,
    Keep,
}

/// A batch on its way: the stream that it goes on in, if any, and what becomes of that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Send<'s> {
    pub(crate) steps: &'s [Step],
    pub(crate) baton: Option<&'s str>,
    pub(crate) after: After,
    pub(crate) kind: Kind,
}

impl<'s> Send<'s> {
    /// Statements that read, in a stream of their own.
    pub(crate) fn reading(steps: &'s [Step]) -> Self {
        Self { steps, baton: None, after: After::Close, kind: Kind::Reads }
    }

    /// Statements that write, in a stream of their own.
    pub(crate) fn writing(steps: &'s [Step]) -> Self {
        Self { kind: Kind::Writes, ..Self::reading(steps) }
    }
}

impl Server {
    /// Sends a batch to a namespace. A namespace that the server says is missing, and a connection
    /// that cannot be made, are tried again: nothing has run then. Nothing else is.
    pub(crate) fn batch(
        &self,
        namespace: &str,
        batch: Send<'_>,
        stop: &AtomicBool,
    ) -> Result<Results, ServerError> {
        let mut missing = 0;
        let mut unreachable = 0;
        loop {
            match self.try_batch(namespace, batch, stop) {
                Err(ServerError::NoNamespace { .. })
                    if missing + 1 < MISSING_TRIES && batch.baton.is_none() =>
                {
                    pause(Duration::from_millis(5 << missing), stop);
                    missing += 1;
                }
                Err(ServerError::Unreachable { .. })
                    if unreachable + 1 < CONNECT_TRIES && batch.baton.is_none() =>
                {
                    unreachable += 1;
                    pause(Duration::from_millis(100 * u64::from(unreachable)), stop);
                }
                Err(ServerError::NoNamespace { .. }) if stop.load(Ordering::Relaxed) => {
                    return Err(ServerError::Interrupted);
                }
                result => {
                    if result.is_ok() && missing > 0 {
                        self.evicted.fetch_add(1, Ordering::Relaxed);
                    }
                    return result;
                }
            }
        }
    }

    fn try_batch(
        &self,
        namespace: &str,
        batch: Send<'_>,
        stop: &AtomicBool,
    ) -> Result<Results, ServerError> {
        let mut requests = vec![Request::Batch { batch: Batch { steps: batch.steps } }];
        if batch.after == After::Close {
            requests.push(Request::Close);
        }
        let strange = |reason: String| ServerError::Strange { url: self.url().to_owned(), reason };
        let body = serde_json::to_vec(&Pipeline { baton: batch.baton, requests })
            .map_err(|error| strange(error.to_string()))?;
        // The one way that reaches every legal name, whatever stands between.
        let name = STANDARD_NO_PAD.encode(namespace);
        let bearer = self.access.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers =
            vec![("content-type", "application/json"), ("x-namespace-bin", name.as_str())];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let url = format!("{}/v3/pipeline", self.url());
        let request = Self::request(Method::POST, &url, (&headers, body))?;
        let answer = self.exchange(request, (batch.kind, stop))?;
        match answer.status {
            200 => {}
            401 | 403 => {
                let (what, variable) = ("the token", TOKEN_VARIABLE);
                return Err(ServerError::Denied { what, status: answer.status, variable });
            }
            404 if answer.text().starts_with("Namespace ") => {
                return Err(ServerError::NoNamespace { name: namespace.to_owned() });
            }
            404 => return Err(strange(format!("404: {}", answer.text()))),
            status => return Err(ServerError::Refused { status, message: answer.text() }),
        }
        let answers: Answers =
            serde_json::from_slice(&answer.body).map_err(|error| strange(error.to_string()))?;
        let first = answers.results.into_iter().next();
        let result = match first {
            Some(Outcome::Ok { response: Response { result: Some(result) } }) => result,
            Some(Outcome::Error { error }) => return Err(error.into()),
            Some(Outcome::Ok { .. }) | None => return Err(strange("no result".to_owned())),
        };
        if result.step_results.len() != batch.steps.len()
            || result.step_errors.len() != batch.steps.len()
        {
            return Err(strange("not as many results as statements".to_owned()));
        }
        let steps = result
            .step_results
            .into_iter()
            .zip(result.step_errors)
            .map(|(ran, error)| error.map_or_else(|| Ok(ran.map(|ran| ran.rows)), Err))
            .collect();
        Ok(Results { steps, baton: answers.baton })
    }
}
