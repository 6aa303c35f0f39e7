//! Reports an error of usage, as text and, with `--json`, as a JSON document too.

use crate::cli::command_line::CommandLine;
use crate::cli::process_args::UsageError;
use crate::cli::report::Report;
use crate::cli::report::views::error::UsageErrorView;
use crate::cli::usage_message::UsageMessage;

/// Prints the error. Returns the exit status.
pub(crate) fn report_usage_error(error: UsageError) -> u8 {
    let line = CommandLine::of_process();
    let message = match error {
        UsageError::Conflict(message) => UsageMessage::new(message),
        UsageError::Parse(error) => UsageMessage::from_clap(&error, &line),
    };
    Report::without_settings(line.command(), line.file(), line.output_format())
        .emit(&UsageErrorView { message })
}
