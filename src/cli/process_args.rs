//! Parses the arguments of this process.

use clap::FromArgMatches as _;

use crate::cli::args::CliArgs;
use crate::cli::args::help::group_subcommands;
use crate::cli::settings::origins::ArgumentSources;
use crate::cli::usage::conflicts::find_conflict;

/// The arguments of this process.
pub(crate) struct ProcessArgs {
    pub(crate) args: CliArgs,
    /// The command as in `backup list`, without its options.
    pub(crate) command: String,
    /// Where the values of options are from.
    pub(crate) sources: ArgumentSources,
}

/// Why the arguments cannot be used.
pub(crate) enum UsageError {
    /// clap cannot parse them.
    Parse(clap::Error),
    /// Two of them exclude each other; the message names them.
    Conflict(String),
}

impl From<clap::Error> for UsageError {
    fn from(error: clap::Error) -> Self {
        Self::Parse(error)
    }
}

impl ProcessArgs {
    /// Parses the arguments. Prints help or the version and exits where that is the answer.
    ///
    /// # Errors
    ///
    /// An error of usage.
    pub(crate) fn parse() -> Result<Self, UsageError> {
        let mut command = group_subcommands(without_empty_variables(CliArgs::clap_command()));
        let result = command.try_get_matches_from_mut(std::env::args_os());
        let matches = match result {
            Err(error) if !error.use_stderr() => error.exit(),
            result => result?,
        };
        let args =
            CliArgs::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        let sources = ArgumentSources::new(&matches);
        if let Some(message) = find_conflict(&command, &matches) {
            return Err(UsageError::Conflict(message));
        }
        Ok(Self { args, command: command_name(&matches), sources })
    }
}

/// Leaves out environment variables that are empty: they count as not set.
pub(crate) fn without_empty_variables(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| {
        let value = argument.get_env().and_then(std::env::var_os);
        let is_empty = value.is_some_and(|value| value.is_empty());
        if is_empty { argument.env(None::<&'static str>) } else { argument }
    });
    command.mut_subcommands(without_empty_variables)
}

/// The names of the subcommands, in order.
fn command_name(matches: &clap::ArgMatches) -> String {
    let mut names: Vec<&str> = Vec::new();
    let mut matches = matches;
    while let Some((name, inner)) = matches.subcommand() {
        names.push(name);
        matches = inner;
    }
    names.join(" ")
}
