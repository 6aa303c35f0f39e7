//! Arguments in, exit status out.

mod cli;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::args::{Arguments, Verb};
use crate::cli::report::Report;
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let command = match arguments.verb {
        Verb::Work(command) => command,
        Verb::Describe(what) => {
            return match crate::cli::commands::describe(&what) {
                Ok(status) => ExitCode::from(status),
                Err(error) => Report::unconfigured(&error, arguments.global.json()),
            };
        }
    };
    let signals = Signals::catch();
    let settings = match Settings::resolve(&arguments.global, signals.stop()) {
        Ok(settings) => settings,
        Err(error) => return Report::unconfigured(&error, arguments.global.json()),
    };
    let report = Report::new(&settings);
    let status = match crate::cli::commands::run(command, &settings, &report, &signals) {
        Ok(status) => status,
        Err(error) => report.refuse(&error),
    };
    ExitCode::from(signals.caught().map_or(status, |signal| 128 + signal))
}
