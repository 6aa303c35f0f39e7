//! Runs the command line: parses arguments (`args`), resolves them with the settings file
//! (`settings`), runs one of the `commands`, and reports its result (`report`).

pub(crate) mod args;
pub(crate) mod commands;
pub(crate) mod completion;
pub(crate) mod document_file;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod process_args;
pub(crate) mod report;
pub(crate) mod settings;
pub(crate) mod signals;
pub(crate) mod temporary_file;
pub(crate) mod usage;
pub(crate) mod usage_error;
pub(crate) mod value_parsers;
