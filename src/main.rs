//! Arguments in, exit status out.

mod cli;
mod commands;
mod report;
mod signals;

use std::process::ExitCode;

use clap::Parser;

use cli::{Arguments, Settings, Verb};
use report::Report;
use signals::Signals;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let command = match arguments.verb {
        Verb::Work(command) => command,
        Verb::Describe(what) => {
            return match commands::describe(&what) {
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
    let status = match commands::run(command, &settings, &report, &signals) {
        Ok(status) => status,
        Err(error) => report.refuse(&error),
    };
    ExitCode::from(signals.caught().map_or(status, |signal| 128 + signal))
}
