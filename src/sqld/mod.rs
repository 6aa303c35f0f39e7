//! Implements the protocol of a libSQL server (`sqld`): Hrana over HTTP, the admin interface, the
//! names of namespaces, and the SQL that the server does not support.

#[cfg(feature = "server")]
pub(crate) mod admin;
pub(crate) mod dialect;
#[cfg(feature = "server")]
pub(crate) mod error;
#[cfg(feature = "server")]
pub(crate) mod hrana;
#[cfg(feature = "server")]
pub(crate) mod namespace_name;
#[cfg(feature = "server")]
pub(crate) mod protocol;
#[cfg(feature = "server")]
pub(crate) mod request_body;
#[cfg(feature = "server")]
pub(crate) mod server;

#[cfg(feature = "server")]
pub use error::{ServerError, UrlError};
#[cfg(feature = "server")]
pub use namespace_name::NamespaceNameError;
#[cfg(feature = "server")]
pub use server::{ADMIN_KEY_VARIABLE, Server, ServerConfig, TOKEN_VARIABLE};
