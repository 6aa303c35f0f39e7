//! Parses the arguments, runs the command and returns its exit status.

mod cli;

use std::process::ExitCode;

use crate::cli::args::{CliArgs, CommandKind};
use crate::cli::commands;
use crate::cli::output::OutputFormat;
use crate::cli::process_args::ProcessArgs;
use crate::cli::report::Report;
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;
use crate::cli::usage_error::report_usage_error;

fn main() -> ExitCode {
    let ProcessArgs { args, command: command_name, sources } = match ProcessArgs::parse() {
        Ok(args) => args,
        Err(error) => return ExitCode::from(report_usage_error(error)),
    };
    let format = args.output_format();
    let CliArgs { global, command } = args;
    let emit_error = |error: &anyhow::Error| {
        let report =
            Report::without_settings(Some(command_name.clone()), global.file.as_deref(), format);
        ExitCode::from(report.emit_command_error(error))
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
            let result = commands::completions::run_standalone(&standalone);
            return result.map_or_else(|error| emit_error(&error), ExitCode::from);
        }
    };
    let signals = Signals::install_handlers();
    let mut settings = match Settings::resolve(&global, &sources, signals.cancel_flag()) {
        Ok(settings) => settings,
        Err(error) => return emit_error(&error),
    };
    if format == OutputFormat::JsonLines {
        settings.format = format;
    }
    let report = Report::new(&settings, command_name);
    let status = match commands::run(command, &settings, &report, &signals) {
        Ok(status) => status,
        Err(error) => report.emit_command_error(&settings.name_source(error)),
    };
    ExitCode::from(signals.received_signal().map_or(status, |signal| 128 + signal))
}
