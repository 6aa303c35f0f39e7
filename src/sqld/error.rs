//! Declares the errors of a libSQL server and of its address.

/// Why a request to a server failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The server did not get the request, or the request was one that may be repeated.
    #[error("the server at `{url}` cannot be reached: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// The request was sent, but no response arrived.
    #[error("the connection to the server at `{url}` was lost: {reason}")]
    ResponseLost {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// The namespace does not exist, or the token gives no access to it.
    #[error(
        "the server has no namespace `{name}`, or the token gives no access to it; `tatmig init` creates missing databases"
    )]
    NoNamespace {
        /// Its name.
        name: String,
    },
    /// The server does not accept the token or the admin key.
    #[error("the server refuses {credential} ({status}); set it in `{variable}`")]
    Unauthorized {
        /// `the token` or `the admin key`.
        credential: &'static str,
        /// The HTTP status.
        status: u16,
        /// The environment variable with the credential.
        variable: &'static str,
    },
    /// Any other HTTP status.
    #[error("the server at `{url}` responds with status {status}{}", with_colon(.message))]
    HttpStatus {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The text of the response.
        message: String,
    },
    /// The server's SQLite refused a statement of tatmig's own.
    #[error("error of the server: {message}")]
    Sql {
        /// The kind of error.
        code: String,
        /// The message of the server.
        message: String,
    },
    /// The response is not part of the protocol.
    #[error(
        "unexpected response from the server at `{url}` ({reason}); check that this is the address of a libSQL server, version 0.24 or newer"
    )]
    UnexpectedResponse {
        /// The address of the server.
        url: String,
        /// What is unexpected.
        reason: String,
    },
    /// The server reads from one database and forwards writes to another.
    #[error(
        "the server is a replica, which forwards writes to another server; pass the address of the primary to `--server`"
    )]
    NotPrimary,
    /// The run was interrupted, and no request that writes was sent.
    #[error("interrupted")]
    Interrupted,
    /// The run was interrupted while the server worked on a request that writes.
    #[error("the run was interrupted before the server at `{url}` responded")]
    Abandoned {
        /// The address.
        url: String,
    },
    /// The operation needs the admin interface, whose address is not configured.
    #[error("this needs the address of the server's admin interface; pass it with `--admin URL`")]
    NoAdminUrl,
}

impl ServerError {
    /// Whether the server may have run the request, or may run it later.
    pub(crate) fn may_have_run(&self) -> bool {
        match self {
            Self::ResponseLost { .. }
            | Self::HttpStatus { .. }
            | Self::Sql { .. }
            | Self::UnexpectedResponse { .. }
            | Self::Abandoned { .. } => true,
            Self::Unreachable { .. }
            | Self::NoNamespace { .. }
            | Self::Unauthorized { .. }
            | Self::NotPrimary
            | Self::Interrupted
            | Self::NoAdminUrl => false,
        }
    }
}

pub(crate) fn with_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// Why a text is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The text does not have the form of an address.
    #[error("`{0}` is not the address of a server, such as `http://127.0.0.1:8080`")]
    InvalidUrl(String),
    /// The address is HTTPS, and this build has no TLS.
    #[error("`{0}`: this tatmig was built without TLS; build it with `--features server-tls`")]
    TlsNotBuilt(String),
}
