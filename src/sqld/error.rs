//! Errors of a libSQL server and of its address.

/// Why a server did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Nothing was sent.
    #[error("the server at `{url}` cannot be reached: {reason}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// Why.
        reason: String,
    },
    /// The answer to a request that was sent did not come.
    #[error("the connection to the server was lost: {reason}")]
    ResponseLost {
        /// Why.
        reason: String,
    },
    /// The server knows no such namespace, or the token does not open it.
    #[error(
        "the server has no namespace `{name}`, or the token does not open it; `tatmig init` makes one"
    )]
    NoNamespace {
        /// Its name.
        name: String,
    },
    /// The token or the key is not the server's.
    #[error("the server refuses {credential} ({status}); {variable} holds it")]
    Unauthorized {
        /// `the token` or `the admin key`.
        credential: &'static str,
        /// The status of the answer.
        status: u16,
        /// The variable that it is taken from.
        variable: &'static str,
    },
    /// Any other answer that is none.
    #[error("the server answers {status}{}", with_colon(.message))]
    HttpStatus {
        /// The status of the answer.
        status: u16,
        /// Its text.
        message: String,
    },
    /// The server's SQLite refused a statement that is tatmig's own.
    #[error("the server says: {message}")]
    Sql {
        /// The kind of error.
        code: String,
        /// In words.
        message: String,
    },
    /// The answer is not what this protocol has.
    #[error(
        "the answer of the server at `{url}` is not understood ({reason}); is that the right address of a libSQL server, 0.24 or newer?"
    )]
    UnexpectedResponse {
        /// Where it came from.
        url: String,
        /// What is strange about it.
        reason: String,
    },
    /// What is read there is not what is written to.
    #[error(
        "what is read there is not what would be written to, as on a replica; `--server` has to name the primary"
    )]
    NotPrimary,
    /// tatmig was told to stop.
    #[error("interrupted")]
    Interrupted,
    /// Something needs the admin address, and it was not named.
    #[error("this needs the server's admin address: `--admin URL` names it")]
    NoAdminUrl,
}

pub(crate) fn with_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// Why an address cannot be a server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not of the form.
    #[error("`{0}` is not the address of a server, such as `http://127.0.0.1:8080`")]
    InvalidUrl(String),
    /// HTTPS without the feature.
    #[error("`{0}`: this tatmig was built without TLS; build it with `--features server-tls`")]
    TlsNotBuilt(String),
}
