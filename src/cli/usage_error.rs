//! Reports an error of usage, as text and, with `--json`, as a JSON document too. The arguments could
//! not be parsed, so the few words that the report needs are looked for in them.

use std::ffi::OsString;
use std::path::Path;

use crate::cli::args::CliArgs;
use crate::cli::output::OutputFormat;
use crate::cli::report::Report;
use crate::cli::report::views::error::UsageErrorView;

/// Prints the error. Returns the exit status.
pub(crate) fn report_usage_error(error: &clap::Error) -> u8 {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let options: Vec<&OsString> = words.iter().take_while(|word| *word != "--").collect();
    let is_json = options.iter().any(|word| *word == "--json") || is_variable_true("TATMIG_JSON");
    let format = if is_json { OutputFormat::Json } else { OutputFormat::Text };
    let command = options.iter().find_map(|word| find_command(word.to_str()?));
    let file = options.windows(2).find(|pair| pair[0] == "-f" || pair[0] == "--file");
    let file = file.map(|pair| Path::new(pair[1]));
    Report::without_settings(command, file, format).emit(&UsageErrorView::new(error))
}

/// The name of the command that a word names, also by an alias.
fn find_command(word: &str) -> Option<String> {
    let command = CliArgs::clap_command();
    command.find_subcommand(word).map(|command| command.get_name().to_owned())
}

/// Whether an environment variable switches its option on, as clap decides it.
fn is_variable_true(name: &str) -> bool {
    let value = std::env::var(name).unwrap_or_default().to_lowercase();
    !matches!(value.as_str(), "" | "n" | "no" | "f" | "false" | "off" | "0")
}
