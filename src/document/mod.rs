//! The document: from markdown to an ordered changelog. Everything here is pure; it touches no
//! disk and no connection, and borrows from the one source text.

mod block;
pub(crate) mod changelog;
mod lines;
mod markdown;
pub(crate) mod problem;
mod section;
pub(crate) mod source;
pub(crate) mod sql;
pub(crate) mod tag;
