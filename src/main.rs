//! Parses the arguments, runs the command and returns its exit status.

mod cli;

use std::process::ExitCode;

use crate::cli::args::{CliArgs, CommandKind};
use crate::cli::commands;
use crate::cli::completion::answer_request;
use crate::cli::output::OutputFormat;
use crate::cli::process_args::ProcessArgs;
use crate::cli::report::run_record::RunRecord;
use crate::cli::report::{Report, panic};
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;
use crate::cli::usage::typed_command::TypedCommand;
use crate::cli::usage_error::report_usage_error;

fn main() -> ExitCode {
    panic::install_hook();
    if answer_request() {
        return ExitCode::SUCCESS;
    }
    let report = || {
        let typed = TypedCommand::from_process();
        Report::without_settings(typed.command(), typed.file(), typed.output_format())
    };
    ExitCode::from(panic::catch_panic(run, report))
}

/// Runs the command of the arguments. Returns the exit status.
fn run() -> u8 {
    let ProcessArgs { args, command: command_name, sources } = match ProcessArgs::parse() {
        Ok(args) => args,
        Err(error) => return report_usage_error(error),
    };
    let format = args.output_format();
    let CliArgs { global, command } = args;
    let emit_error = |error: &anyhow::Error| {
        let report =
            Report::without_settings(Some(command_name.clone()), global.file.as_deref(), format);
        report.emit_command_error(error)
    };
    if let Some(directory) = &global.directory
        && let Err(error) = std::env::set_current_dir(directory)
    {
        let name = tatmig::text::escape_for_display(directory.as_os_str());
        let text = format!("the directory `{name}` of `-C` cannot be entered");
        return emit_error(&anyhow::Error::new(error).context(text));
    }
    let command = match command {
        CommandKind::Configured(command) => command,
        CommandKind::Standalone(standalone) => {
            let result = commands::standalone::run_standalone(&standalone, &global, &sources);
            return result.unwrap_or_else(|error| emit_error(&error));
        }
    };
    let signals = Signals::install_handlers();
    let report_args = command.report_args().cloned().unwrap_or_default();
    let mut settings = match Settings::resolve(&global, &sources, signals.cancel_flag()) {
        Ok(settings) => settings,
        Err(error) => {
            // A file that cannot be written is reported once the settings are right.
            let record = RunRecord::begin(&report_args, None, &signals).unwrap_or_default();
            let report =
                Report::without_settings(Some(command_name), global.file.as_deref(), format);
            return report.with_record(record).emit_command_error(&error);
        }
    };
    let record = match RunRecord::begin(&report_args, Some(&settings), &signals) {
        Ok(record) => record,
        Err(error) => return emit_error(&error),
    };
    if format == OutputFormat::JsonLines {
        settings.format = format;
    }
    let report = Report::new(&settings, command_name, signals.clone()).with_record(record);
    let status = match commands::run(command, &settings, &report, &signals) {
        Ok(status) => status,
        Err(error) => report.emit_command_error(&settings.name_source(error)),
    };
    report.report_interruption();
    report.record_end(status);
    signals.received_signal().map_or(status, |signal| 128 + signal)
}
