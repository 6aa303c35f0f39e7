//! The document: from markdown to an ordered changelog. Everything here is pure; it touches no
//! disk and no connection, and borrows from the one source text.

pub(crate) mod block;
mod chain;
pub(crate) mod changelog;
pub(crate) mod grammar;
pub(crate) mod lines;
pub(crate) mod markdown;
pub(crate) mod migration;
mod pairing;
pub(crate) mod problem;
pub(crate) mod section;
pub(crate) mod source;
mod spelling;
pub(crate) mod sql;
pub(crate) mod tag;
