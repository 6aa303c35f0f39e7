//! Words errors of usage. clap says what is wrong with the arguments; the sentences are tatmig's own,
//! as those of all other messages.

use std::error::Error as _;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::usage::error_context::{text, texts};
use crate::cli::usage::tips;
use crate::cli::usage::typed_command::TypedCommand;

/// An error of usage as a message shows it.
#[derive(Debug)]
pub(crate) struct UsageMessage {
    /// What is wrong.
    pub(crate) message: String,
    /// What to do instead.
    pub(crate) tips: Vec<String>,
    /// How the command is called.
    pub(crate) usage: Option<String>,
    /// The help of the program, where it is the whole answer.
    pub(crate) help: Option<StyledStr>,
}

impl UsageMessage {
    /// The message for two options of this command line that exclude each other.
    pub(crate) fn from_conflict(message: String, typed: &TypedCommand) -> Self {
        Self { message, tips: Vec::new(), usage: Some(usage_of(typed)), help: None }
    }

    /// The message for an error of clap about this command line.
    pub(crate) fn from_clap(error: &clap::Error, typed: &TypedCommand) -> Self {
        let message = match error.kind() {
            ErrorKind::InvalidSubcommand => {
                format!("unknown command `{}`", text(error, ContextKind::InvalidSubcommand))
            }
            ErrorKind::UnknownArgument => {
                let word = text(error, ContextKind::InvalidArg);
                let kind =
                    if word.starts_with('-') { "unknown option" } else { "unexpected argument" };
                format!("{kind} `{word}`")
            }
            ErrorKind::MissingRequiredArgument => describe_missing(error),
            ErrorKind::InvalidValue | ErrorKind::ValueValidation => describe_value(error, typed),
            ErrorKind::ArgumentConflict => describe_conflict(error),
            ErrorKind::TooManyValues | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
                let option = shown(&text(error, ContextKind::InvalidArg));
                match text(error, ContextKind::InvalidValue) {
                    value if value.is_empty() => format!("{option} does not have this many values"),
                    value => format!("{option} has no value, but `{value}` was given"),
                }
            }
            ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                "a command is missing".to_owned()
            }
            _ => {
                let rendered = error.render().to_string();
                let text = rendered.strip_prefix("error: ").unwrap_or(&rendered);
                text.split("\n\n").next().unwrap_or(text).trim().replace('\'', "`")
            }
        };
        // clap shows the usage of the option that it guessed.
        let is_unknown =
            matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand);
        let usage = match error.get(ContextKind::Usage) {
            _ if is_unknown => Some(usage_of(typed)),
            Some(ContextValue::StyledStr(usage)) => Some(usage.to_string()),
            _ => None,
        };
        let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
        let help = is_help.then(|| error.render());
        Self { message, tips: tips::tips(error, typed), usage, help }
    }
}

/// How the command is called.
fn usage_of(typed: &TypedCommand) -> String {
    typed.definition().clone().render_usage().to_string()
}

/// An option or argument in backticks. clap shows an optional argument in brackets.
fn shown(argument: &str) -> String {
    let plain = argument.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    format!("`{}`", plain.unwrap_or(argument))
}

fn describe_missing(error: &clap::Error) -> String {
    let missing = texts(error, ContextKind::InvalidArg);
    match missing.as_slice() {
        // Options of which one is required: `<--to <VERSION>|-N|--steps <N>>`.
        [one] if one.starts_with('<') && one.contains('|') => {
            let choices = one.trim_start_matches('<').split('|');
            let choices: Vec<String> =
                choices.map(|choice| shown(choice.replace(">>", ">").as_str())).collect();
            format!("one of {} is required", choices.join(", "))
        }
        [one] => format!("{} is required", shown(one)),
        several => {
            let several: Vec<String> = several.iter().map(|one| shown(one)).collect();
            format!("{} are required", several.join(" and "))
        }
    }
}

fn describe_value(error: &clap::Error, typed: &TypedCommand) -> String {
    let option = text(error, ContextKind::InvalidArg);
    let value = text(error, ContextKind::InvalidValue);
    if value.is_empty() && typed.variable_with(&option, &value).is_none() {
        return format!("{} needs a value", shown(&option));
    }
    let source = match typed.variable_with(&option, &value) {
        Some(variable) => format!("the environment variable `{variable}`"),
        None => shown(&option),
    };
    let reason = match error.source() {
        Some(reason) => reason.to_string(),
        None => {
            let choices: Vec<String> = texts(error, ContextKind::ValidValue)
                .iter()
                .map(|value| format!("`{value}`"))
                .collect();
            format!("must be {}", join_choices(&choices))
        }
    };
    format!("invalid value `{value}` for {source}: {reason}")
}

/// `a`, `b` or `c`.
fn join_choices(choices: &[String]) -> String {
    match choices {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        choices => choices.concat(),
    }
}

fn describe_conflict(error: &clap::Error) -> String {
    let prior = texts(error, ContextKind::PriorArg);
    let command = text(error, ContextKind::InvalidSubcommand);
    if !command.is_empty() {
        let prior: Vec<String> = prior.iter().map(|option| shown(option)).collect();
        return format!("{} cannot be used with the command `{command}`", prior.join(", "));
    }
    let option = text(error, ContextKind::InvalidArg);
    let Some(other) = prior.first() else {
        return format!("{} cannot be used here", shown(&option));
    };
    if option == *other {
        return format!("{} is given twice", shown(&option));
    }
    format!("{} cannot be used with {}", shown(&option), shown(other))
}
