//! A libSQL server (`sqld`) as far as tatmig needs it: one namespace for each database, reached
//! over HTTP. Every request has a time-out, an interrupt ends every wait, and what is not known
//! after a lost answer is said to be not known.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ureq::http::{Method, Request};

use crate::sqld::error::{ServerError, UrlError};

/// How often an interrupt is looked for while an answer is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long a request that changes something may still answer after an interrupt. Then it is
/// abandoned: the connection closes with the process, and the server rolls the transaction back.
const CANCEL_GRACE: Duration = Duration::from_secs(2);

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Nothing that tatmig asks for is longer.
const MAX_RESPONSE_BYTES: u64 = 64 << 20;

/// Where a server is, and what opens it. Secrets are never shown.
#[derive(Clone)]
pub struct ServerConfig {
    /// The address that databases are used through: `http://db.example:8080`.
    pub url: String,
    /// The address that namespaces are made and removed through.
    pub admin_url: Option<String>,
    /// What the server was told to demand, as `Authorization: Bearer`.
    pub token: Option<String>,
    /// What its admin address was told to demand, as `Authorization: basic`.
    pub admin_key: Option<String>,
    /// How long any one request may take.
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

/// One server. Its connections are kept and shared among threads.
#[derive(Debug)]
pub struct Server {
    pub(crate) config: ServerConfig,
    agent: ureq::Agent,
    /// How often a namespace was said to be missing that was there a moment later.
    pub(crate) missing_retries: AtomicUsize,
}

/// The variable that the token is taken from.
pub const TOKEN_VARIABLE: &str = "TATMIG_AUTH_TOKEN";
/// The variable that the admin key is taken from.
pub const ADMIN_KEY_VARIABLE: &str = "TATMIG_ADMIN_KEY";

/// Whether a request changes something, so that an interrupt gives it a moment to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Read,
    Write,
}

impl ServerConfig {
    /// Checks the two addresses.
    ///
    /// # Errors
    ///
    /// What is no `http://` or `https://` address, or one that this build has no TLS for.
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

/// An answer: its status and its body.
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl HttpResponse {
    pub(crate) fn message(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        // A page for people, of a proxy or of another program.
        if text.trim_start().starts_with('<') {
            return "a page that is none of a libSQL server's".to_owned();
        }
        let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
        let json_message = json
            .as_ref()
            .and_then(|json| ["error", "message"].iter().find_map(|key| json.get(key)?.as_str()));
        json_message.unwrap_or(&text).trim().chars().take(300).collect()
    }
}

impl Server {
    /// A server; nothing is sent yet.
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

    /// The address.
    #[must_use]
    pub fn url(&self) -> &str {
        self.config.url.trim_end_matches('/')
    }

    /// How often a namespace was said to be missing that was there a moment later: the server
    /// keeps fewer of them open than are in use.
    #[must_use]
    pub fn missing_retries(&self) -> usize {
        self.missing_retries.load(Ordering::Relaxed)
    }

    /// Sends a request on a thread of its own, so that an interrupt need not wait for the answer.
    pub(crate) fn send_request(
        &self,
        request: Request<Vec<u8>>,
        (request_kind, cancel): (RequestKind, &AtomicBool),
    ) -> Result<HttpResponse, ServerError> {
        if cancel.load(Ordering::Relaxed) {
            return Err(ServerError::Interrupted);
        }
        let url = origin(request.uri());
        let agent = self.agent.clone();
        let (sender, receiver) = mpsc::channel();
        let spawned =
            std::thread::Builder::new().name("tatmig-request".to_owned()).spawn(move || {
                let _ = sender.send(run_request(&agent, request));
            });
        if let Err(error) = spawned {
            let reason = format!("no thread can be started: {error}");
            return Err(ServerError::Unreachable { url, reason });
        }
        let mut cancelled_at: Option<Instant> = None;
        loop {
            match receiver.recv_timeout(POLL_INTERVAL) {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => return Err(self.classify_error(&error, url)),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(ServerError::ResponseLost {
                        reason: "the request ended early".to_owned(),
                    });
                }
                Err(mpsc::RecvTimeoutError::Timeout) if cancel.load(Ordering::Relaxed) => {
                    let since = cancelled_at.get_or_insert_with(Instant::now);
                    if request_kind == RequestKind::Read || since.elapsed() >= CANCEL_GRACE {
                        return Err(ServerError::Interrupted);
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn classify_error(&self, error: &ureq::Error, url: String) -> ServerError {
        use std::io::ErrorKind as K;
        use ureq::{Error as E, Timeout as T};
        let reason = match error {
            E::Io(error) => error.to_string(),
            E::Timeout(T::Connect | T::Resolve) => {
                format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs())
            }
            E::Timeout(_) => {
                format!(
                    "no answer within {} seconds; `--server-timeout` waits longer",
                    self.config.timeout.as_secs_f64()
                )
            }
            error => error.to_string(),
        };
        let is_unsent = match error {
            // The standard library's words, for which it has no kind.
            E::Io(error) if error.to_string().starts_with("failed to lookup address") => true,
            E::Io(error) => matches!(
                error.kind(),
                K::ConnectionRefused
                    | K::HostUnreachable
                    | K::NetworkUnreachable
                    | K::AddrNotAvailable
            ),
            E::Timeout(timeout) => matches!(timeout, T::Connect | T::Resolve),
            E::HostNotFound | E::ConnectionFailed | E::BadUri(_) | E::Http(_) => true,
            _ => false,
        };
        if is_unsent {
            ServerError::Unreachable { url, reason }
        } else {
            ServerError::ResponseLost { reason }
        }
    }

    pub(crate) fn build_request(
        method: Method,
        url: &str,
        (headers, body): (&[(&str, &str)], Vec<u8>),
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

/// The address that was typed, without what tatmig asks for there.
fn origin(uri: &ureq::http::Uri) -> String {
    let or_empty = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let authority = uri.authority().map(ureq::http::uri::Authority::as_str);
    format!("{}://{}", or_empty(uri.scheme_str()), or_empty(authority))
}

fn run_request(
    agent: &ureq::Agent,
    request: Request<Vec<u8>>,
) -> Result<HttpResponse, ureq::Error> {
    let mut response = agent.run(request)?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MAX_RESPONSE_BYTES).read_to_vec()?;
    Ok(HttpResponse { status, body })
}

/// A pause between two tries, which an interrupt ends.
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
