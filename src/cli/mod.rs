//! The command line: what was typed (`args`), what it means (`settings`), the commands and their
//! reports.

pub(crate) mod args;
pub(crate) mod command_args;
pub(crate) mod commands;
pub(crate) mod report;
#[cfg(feature = "server")]
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod signals;
