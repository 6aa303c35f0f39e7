//! Sends batches of statements to a namespace, with the protocol Hrana 3 over HTTP.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ureq::http::Method;

use crate::sqld::error::ServerError;
use crate::sqld::protocol::{
    Batch, BatchStep, PipelineRequest, ResponseError, StepResults, StreamRequest,
};
use crate::sqld::server::{
    HttpResponse, RequestKind, Server, TOKEN_VARIABLE, sleep_unless_cancelled,
};

/// How many times tatmig sends a batch to a namespace that the server reports as missing. A
/// namespace that the server closed to make room for another is available milliseconds later.
const MAX_MISSING_ATTEMPTS: u32 = 9;

/// How many times tatmig tries to connect.
const MAX_CONNECT_ATTEMPTS: u32 = 3;

/// What happens to the stream after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamAfter {
    Close,
    KeepOpen,
}

/// A batch, with the open stream that it continues, if any, and what happens to that stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchRequest<'s> {
    pub(crate) steps: &'s [BatchStep],
    pub(crate) baton: Option<&'s str>,
    pub(crate) stream_after: StreamAfter,
    pub(crate) request_kind: RequestKind,
}

impl<'s> BatchRequest<'s> {
    /// A batch that only reads, in its own stream.
    pub(crate) fn new_read(steps: &'s [BatchStep]) -> Self {
        Self {
            steps,
            baton: None,
            stream_after: StreamAfter::Close,
            request_kind: RequestKind::Read,
        }
    }

    /// A batch that writes, in its own stream.
    pub(crate) fn new_write(steps: &'s [BatchStep]) -> Self {
        Self { request_kind: RequestKind::Write, ..Self::new_read(steps) }
    }
}

impl Server {
    /// Sends a batch to a namespace. Tries again only if no statement can have run: the server
    /// reports the namespace as missing, or the connection fails.
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
        let body = serde_json::to_vec(&PipelineRequest { baton: batch.baton, requests })
            .map_err(|error| self.unexpected_response(error.to_string()))?;
        // This header works for every valid name, also behind a proxy.
        let encoded_name = STANDARD_NO_PAD.encode(namespace);
        let authorization = self.config.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers =
            vec![("content-type", "application/json"), ("x-namespace-bin", encoded_name.as_str())];
        headers
            .extend(authorization.as_deref().map(|authorization| ("authorization", authorization)));
        let url = format!("{}/v3/pipeline", self.url());
        let request = Self::build_request(Method::POST, &url, &headers, body)?;
        let response = self.send_request(request, batch.request_kind, cancel)?;
        self.check_status(namespace, &response)?;
        self.parse_results(&response, batch.steps.len())
    }

    fn check_status(&self, namespace: &str, response: &HttpResponse) -> Result<(), ServerError> {
        match response.status {
            200 => Ok(()),
            status @ (401 | 403) => {
                let (credential, variable) = ("the token", TOKEN_VARIABLE);
                Err(ServerError::Unauthorized { credential, status, variable })
            }
            404 if response.message().starts_with("Namespace ") => {
                Err(ServerError::NoNamespace { name: namespace.to_owned() })
            }
            404 => Err(self.unexpected_response(format!("404: {}", response.message()))),
            status => Err(ServerError::HttpStatus {
                url: self.url().to_owned(),
                status,
                message: response.message(),
            }),
        }
    }

    fn parse_results(
        &self,
        response: &HttpResponse,
        step_count: usize,
    ) -> Result<StepResults, ServerError> {
        StepResults::parse(&response.body, step_count, self.url()).map_err(|error| match error {
            ResponseError::Sql(error) => error.into(),
            ResponseError::Malformed(reason) => self.unexpected_response(reason),
        })
    }

    fn unexpected_response(&self, reason: String) -> ServerError {
        ServerError::UnexpectedResponse { url: self.url().to_owned(), reason }
    }
}
