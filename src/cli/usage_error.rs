//! Reports an error of usage, as text and, with `--json`, as a JSON document too.

use crate::cli::process_args::UsageError;
use crate::cli::report::Report;
use crate::cli::report::views::error::UsageErrorView;
use crate::cli::usage::message::UsageMessage;
use crate::cli::usage::typed_command::TypedCommand;

/// Prints the error. Returns the exit status.
pub(crate) fn report_usage_error(error: UsageError) -> u8 {
    let typed = TypedCommand::from_process();
    let message = match error {
        UsageError::Conflict(message) => UsageMessage::from_conflict(message, &typed),
        UsageError::Parse(error) => UsageMessage::from_clap(&error, &typed),
    };
    Report::without_settings(typed.command(), typed.file(), typed.output_format())
        .emit(&UsageErrorView { message })
}
