//! Parses the arguments, runs the command and returns its exit status.

mod cli;

use std::process::ExitCode;

use crate::cli::args::{CliArgs, CommandKind};
use crate::cli::commands;
use crate::cli::report::Report;
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;

fn main() -> ExitCode {
    let args = CliArgs::parse_process_args();
    let command = match args.command {
        CommandKind::Configured(command) => command,
        CommandKind::Standalone(standalone) => {
            return match commands::completions::run_standalone(&standalone) {
                Ok(status) => ExitCode::from(status),
                Err(error) => Report::emit_settings_error(&error, args.global.output_format()),
            };
        }
    };
    let signals = Signals::install_handlers();
    let settings = match Settings::resolve(&args.global, signals.cancel_flag()) {
        Ok(settings) => settings,
        Err(error) => return Report::emit_settings_error(&error, args.global.output_format()),
    };
    let report = Report::new(&settings);
    let status = match commands::run(command, &settings, &report, &signals) {
        Ok(status) => status,
        Err(error) => report.emit_command_error(&error),
    };
    ExitCode::from(signals.received_signal().map_or(status, |signal| 128 + signal))
}
