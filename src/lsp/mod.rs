//! Answers an editor over the Language Server Protocol: what `tatmig lint` finds, and what is known of
//! the schema at every place of the document. One thread reads the messages, one lints the newest
//! text, two answer requests, and one writes.

pub(crate) mod analysis;
pub(crate) mod analysis_worker;
pub(crate) mod capabilities;
pub(crate) mod document;
pub(crate) mod features;
pub(crate) mod fleet;
pub(crate) mod history;
pub(crate) mod host;
pub(crate) mod methods;
pub(crate) mod model;
pub(crate) mod position;
pub(crate) mod responder;
pub(crate) mod row_sources;
pub(crate) mod server;
pub(crate) mod snapshot;
pub(crate) mod target;
pub(crate) mod transport;
pub(crate) mod uri;

pub use crate::lsp::host::{DocumentSettings, Host, LintLevelsHook};
pub use crate::lsp::server::{ServerExit, serve};
