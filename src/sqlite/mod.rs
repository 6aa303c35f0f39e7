//! A database that is a SQLite file.

pub(crate) mod authorizer;
pub(crate) mod copy;
pub(crate) mod file;
pub(crate) mod file_format;
pub(crate) mod locks;
pub(crate) mod paths;
pub(crate) mod preflight;
pub(crate) mod template;
pub(crate) mod transaction;
