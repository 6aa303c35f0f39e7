//! Sends HTTP requests to a libSQL server (`sqld`). Every request has a timeout, and an interrupt
//! ends every wait. An error says whether the request may have reached the server.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ureq::SendBody;
use ureq::http::header::CONTENT_LENGTH;
use ureq::http::{Method, Request};

use crate::sqld::error::{ServerError, UrlError};
use crate::sqld::request_body::{Delivery, RequestBody};

/// How often a wait checks for an interrupt.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long tatmig waits for the response to a request that writes after an interrupt. Then it
/// abandons the request, and what the server does with it is unknown.
const CANCEL_GRACE: Duration = Duration::from_secs(2);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The size limit of a response. No response that tatmig expects is larger.
const MAX_RESPONSE_BYTES: u64 = 64 << 20;

/// The addresses and credentials of a server. `Debug` does not show the credentials.
#[derive(Clone)]
pub struct ServerConfig {
    /// The address of the databases, such as `http://db.example:8080`.
    pub url: String,
    /// The address of the admin interface, which creates and deletes namespaces.
    pub admin_url: Option<String>,
    /// The token for `Authorization: Bearer`, if the server requires one.
    pub token: Option<String>,
    /// The key for `Authorization: basic`, if the admin interface requires one.
    pub admin_key: Option<String>,
    /// How long one request may take.
    pub timeout: Duration,
}

impl std::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConfig")
            .field("url", &self.url)
            .field("admin", &self.admin_url)
            .finish_non_exhaustive()
    }
}

/// One server. Its connections are pooled and shared among threads.
#[derive(Debug)]
pub struct Server {
    pub(crate) config: ServerConfig,
    agent: ureq::Agent,
    /// How many times the server reported a namespace as missing that existed a moment later.
    pub(crate) missing_retries: AtomicUsize,
}

/// The environment variable with the token.
pub const TOKEN_VARIABLE: &str = "TATMIG_AUTH_TOKEN";
/// The environment variable with the admin key.
pub const ADMIN_KEY_VARIABLE: &str = "TATMIG_ADMIN_KEY";

/// Whether a request writes. After an interrupt, tatmig waits a moment for such a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Read,
    Write,
}

impl ServerConfig {
    /// Checks both addresses.
    ///
    /// # Errors
    ///
    /// An address does not start with `http://` or `https://`, or this build has no TLS for it.
    pub fn validate(&self) -> Result<(), UrlError> {
        for url in std::iter::once(&self.url).chain(&self.admin_url) {
            let rest = if let Some(rest) = url.strip_prefix("http://") {
                rest
            } else if let Some(rest) = url.strip_prefix("https://") {
                if !cfg!(feature = "server-tls") {
                    return Err(UrlError::TlsNotBuilt(url.clone()));
                }
                rest
            } else {
                return Err(UrlError::InvalidUrl(url.clone()));
            };
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            if host.is_empty() || rest.contains(['?', '#']) || host.contains('@') {
                return Err(UrlError::InvalidUrl(url.clone()));
            }
        }
        Ok(())
    }
}

/// The status and the body of a response.
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl HttpResponse {
    /// The error message in the body, at most 300 characters.
    pub(crate) fn message(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        // A proxy or another program sent an HTML page.
        if text.trim_start().starts_with('<') {
            return "an HTML page, which no libSQL server sends".to_owned();
        }
        let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
        let json_message = json
            .as_ref()
            .and_then(|json| ["error", "message"].iter().find_map(|key| json.get(key)?.as_str()));
        json_message.unwrap_or(&text).trim().chars().take(300).collect()
    }
}

impl Server {
    /// Creates a client for a server. No request is sent yet.
    #[must_use]
    pub fn new(server_config: ServerConfig) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(server_config.timeout))
            .max_idle_connections(256)
            .max_idle_connections_per_host(256)
            .user_agent(concat!("tatmig/", env!("CARGO_PKG_VERSION")));
        #[cfg(feature = "server-tls")]
        let config = config.tls_config(
            ureq::tls::TlsConfig::builder()
                .root_certs(ureq::tls::RootCerts::PlatformVerifier)
                .build(),
        );
        let config = config.build();
        Self {
            config: server_config,
            agent: config.new_agent(),
            missing_retries: AtomicUsize::new(0),
        }
    }

    /// The address of the databases, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        self.config.url.trim_end_matches('/')
    }

    /// How many times the server reported a namespace as missing that existed a moment later. It
    /// does so if fewer namespaces may be open than are in use.
    #[must_use]
    pub fn missing_retries(&self) -> usize {
        self.missing_retries.load(Ordering::Relaxed)
    }

    /// Sends a request on a thread of its own, so that an interrupt does not wait for the response.
    pub(crate) fn send_request(
        &self,
        request: Request<Vec<u8>>,
        request_kind: RequestKind,
        cancel: &AtomicBool,
    ) -> Result<HttpResponse, ServerError> {
        if cancel.load(Ordering::Relaxed) {
            return Err(ServerError::Interrupted);
        }
        let url = origin(request.uri());
        let agent = self.agent.clone();
        let (sender, receiver) = mpsc::channel();
        let delivery = Delivery::default();
        let (parts, body) = request.into_parts();
        let body = RequestBody::new(body, &delivery);
        let spawned =
            std::thread::Builder::new().name("tatmig-request".to_owned()).spawn(move || {
                let _ = sender.send(run_request(&agent, Request::from_parts(parts, body)));
            });
        if let Err(error) = spawned {
            let reason = format!("cannot start a thread: {error}");
            return Err(ServerError::Unreachable { url, reason });
        }
        let mut cancelled_at: Option<Instant> = None;
        loop {
            match receiver.recv_timeout(POLL_INTERVAL) {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => {
                    let reason = self.describe_error(&error);
                    return Err(if delivery.has_started() {
                        ServerError::ResponseLost { url, reason }
                    } else {
                        ServerError::Unreachable { url, reason }
                    });
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let reason = "the thread of the request ended early".to_owned();
                    return Err(ServerError::ResponseLost { url, reason });
                }
                Err(mpsc::RecvTimeoutError::Timeout) if cancel.load(Ordering::Relaxed) => {
                    let since = cancelled_at.get_or_insert_with(Instant::now);
                    if request_kind == RequestKind::Read || delivery.withdraw() {
                        return Err(ServerError::Interrupted);
                    }
                    if since.elapsed() >= CANCEL_GRACE {
                        return Err(ServerError::Abandoned { url });
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Why a request has no response.
    fn describe_error(&self, error: &ureq::Error) -> String {
        use ureq::{Error as E, Timeout as T};
        match error {
            E::Io(error) => error.to_string(),
            E::Timeout(T::Connect | T::Resolve) => {
                format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs())
            }
            E::Timeout(_) => {
                format!(
                    "no response within {} seconds; `--server-timeout` sets a longer time",
                    self.config.timeout.as_secs_f64()
                )
            }
            error => error.to_string(),
        }
    }

    pub(crate) fn build_request(
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Request<Vec<u8>>, ServerError> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body).map_err(|error| ServerError::Unreachable {
            url: url.to_owned(),
            reason: error.to_string(),
        })
    }
}

/// The scheme and the authority of an address, as the user gave it.
fn origin(uri: &ureq::http::Uri) -> String {
    let or_empty = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let authority = uri.authority().map(ureq::http::uri::Authority::as_str);
    format!("{}://{}", or_empty(uri.scheme_str()), or_empty(authority))
}

fn run_request(
    agent: &ureq::Agent,
    request: Request<RequestBody>,
) -> Result<HttpResponse, ureq::Error> {
    let (mut parts, body) = request.into_parts();
    let mut response = if body.is_empty() {
        agent.run(Request::from_parts(parts, ()))?
    } else {
        parts.headers.insert(CONTENT_LENGTH, body.len().into());
        agent.run(Request::from_parts(parts, SendBody::from_owned_reader(body)))?
    };
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MAX_RESPONSE_BYTES).read_to_vec()?;
    Ok(HttpResponse { status, body })
}

/// Waits before another attempt. An interrupt ends the wait.
pub(crate) fn sleep_unless_cancelled(duration: Duration, cancel: &AtomicBool) {
    let deadline = Instant::now() + duration;
    while !cancel.load(Ordering::Relaxed) {
        let remaining = deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return;
        }
        std::thread::sleep(remaining.min(POLL_INTERVAL));
    }
}
