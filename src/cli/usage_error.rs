//! Reports an error of usage, as text and, with `--json`, as a JSON document too. The arguments could
//! not be parsed, so the few words that the report needs are looked for in them.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use semver::Version;

use crate::cli::args::CliArgs;
use crate::cli::output::OutputFormat;
use crate::cli::report::Report;
use crate::cli::report::views::error::UsageErrorView;

/// What users of other tools look for, and what does it here.
const OTHER_NAMES: [(&[&str], &str); 9] = [
    (
        &["create", "setup"],
        "`tatmig init --user NAME` creates a database, `tatmig new` a migration",
    ),
    (
        &["drop", "delete", "clean", "wipe"],
        "`tatmig reset` replaces databases with new ones; no command removes a database",
    ),
    (&["redo"], "run `tatmig downgrade -1`, edit the migration, then run `tatmig upgrade`"),
    (&["apply", "run", "deploy"], "`tatmig upgrade` applies pending migrations"),
    (
        &["generate", "add", "make", "revision"],
        "`tatmig new 1.2.0 -m TEXT` adds a migration to the document",
    ),
    (&["validate", "check"], "`tatmig lint` checks the document, `tatmig verify` the databases"),
    (
        &["repair", "baseline", "fake"],
        "`tatmig adopt` records the version of existing databases, `tatmig stamp` any version",
    ),
    (
        &["dump", "diff"],
        "`tatmig schema` prints the schema, `tatmig new --from-db FILE` writes a difference",
    ),
    (
        &["list", "show", "log"],
        "`tatmig status` lists the databases, `tatmig history` the migrations",
    ),
];

/// Prints the error. Returns the exit status.
pub(crate) fn report_usage_error(mut error: clap::Error) -> u8 {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let options: Vec<&OsStr> =
        words.iter().map(OsString::as_os_str).take_while(|word| *word != "--").collect();
    let has_option = |name: &str| options.iter().any(|word| *word == name);
    let format = if has_option("--json-lines") {
        OutputFormat::JsonLines
    } else if has_option("--json") || is_variable_true("TATMIG_JSON") {
        OutputFormat::Json
    } else {
        OutputFormat::Text
    };
    let command = options.iter().find_map(|word| find_command(word.to_str()?));
    let file = options.windows(2).find(|pair| pair[0] == "-f" || pair[0] == "--file");
    let file = file.map(|pair| Path::new(pair[1]));
    if let Some(tip) = suggest(&error, command.as_deref()) {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
    }
    if let Some(variable) = invalid_variable(&error, &options) {
        let source = format!("{variable} (environment variable)");
        error.insert(ContextKind::InvalidArg, ContextValue::String(source));
    }
    Report::without_settings(command, file, format).emit(&UsageErrorView::new(&error))
}

/// What the user may have meant, where clap does not know it.
fn suggest(error: &clap::Error, command: Option<&str>) -> Option<String> {
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let name = context_text(error, ContextKind::InvalidSubcommand)?;
            let known = OTHER_NAMES.iter().find(|(names, _)| names.contains(&name));
            known.map(|(_, tip)| (*tip).to_owned())
        }
        ErrorKind::UnknownArgument => {
            let word = context_text(error, ContextKind::InvalidArg)?;
            let command = command?;
            let definition = CliArgs::clap_command();
            let definition = definition.find_subcommand(command)?;
            let has_option =
                |name| definition.get_arguments().any(|argument| argument.get_long() == Some(name));
            if word.starts_with('-') {
                None
            } else if Version::parse(word).is_ok() && has_option("to") {
                Some(format!("a version is passed with `--to`: `tatmig {command} --to {word}`"))
            } else if has_option("user") {
                Some(format!("a user is passed with `--user`: `tatmig {command} --user {word}`"))
            } else {
                None
            }
        }
        _ => None,
    }
}

/// The environment variable that an invalid value is from.
fn invalid_variable(error: &clap::Error, options: &[&OsStr]) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return None;
    }
    let invalid = context_text(error, ContextKind::InvalidArg)?;
    let mut definition = CliArgs::clap_command();
    definition.build();
    let argument = definition.get_arguments().find(|argument| argument.to_string() == invalid)?;
    let variable = argument.get_env()?;
    let value = context_text(error, ContextKind::InvalidValue)?;
    let is_typed = |word: &&OsStr| {
        let word = word.to_string_lossy();
        word.strip_suffix(value).is_some_and(|flag| flag.is_empty() || flag.starts_with('-'))
    };
    if std::env::var_os(variable)? != value || options.iter().any(is_typed) {
        return None;
    }
    Some(variable.to_string_lossy().into_owned())
}

fn context_text(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
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
