//! Brings one database to a version: replay, detection, plan, run and checks.

pub(crate) mod adopt;
pub(crate) mod compile;
pub(crate) mod create;
pub(crate) mod detect;
pub(crate) mod embedded;
pub(crate) mod migrator;
pub(crate) mod replay;
pub(crate) mod reset;
pub(crate) mod sandbox;
pub(crate) mod statement_errors;
pub(crate) mod status;
pub(crate) mod uncomment;
pub(crate) mod verify;
