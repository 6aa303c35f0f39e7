//! Decides what a command writes: the format of standard output, and the files about its run.

use crate::cli::args::report_files::ReportArgs;
use crate::cli::args::{CliArgs, Command, CommandKind};
use crate::cli::output::OutputFormat;

impl Command {
    /// The files that the command writes about its run.
    pub(crate) fn report_args(&self) -> Option<&ReportArgs> {
        match self {
            Self::Upgrade(args) => Some(&args.files),
            Self::Downgrade(args) => Some(&args.files),
            Self::Status(args) => Some(&args.files),
            Self::Lint(args) => Some(&args.files),
            Self::Verify(args) => Some(&args.files),
            Self::Test(files) => Some(files),
            _ => None,
        }
    }
}

impl CommandKind {
    /// Whether the results are printed as lines of JSON.
    pub(crate) fn wants_json_lines(&self) -> bool {
        matches!(self, Self::Configured(Command::Upgrade(args)) if args.json_lines)
    }
}

impl CliArgs {
    /// The output format according to flags and variables, for errors before `tatmig.toml` is
    /// read.
    pub(crate) fn output_format(&self) -> OutputFormat {
        match (self.command.wants_json_lines(), self.global.json) {
            (true, _) => OutputFormat::JsonLines,
            (false, Some(true)) => OutputFormat::Json,
            (false, _) => OutputFormat::Text,
        }
    }
}
