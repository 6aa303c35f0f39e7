//! Reads the words of a command line that could not be parsed, as far as an error of usage needs
//! them: the command, its definition, and the format of the output.

use std::ffi::OsString;
use std::path::Path;

use clap::Command;

use crate::cli::args::CliArgs;
use crate::cli::output::OutputFormat;
use crate::cli::value_parsers::parse_switch;

/// The words of a command line.
pub(crate) struct TypedCommand {
    /// The options and arguments, without the name of the program, up to `--`.
    words: Vec<OsString>,
    /// The definition of the program.
    pub(crate) root: Command,
    /// The names of the command and its subcommand.
    path: Vec<String>,
}

impl TypedCommand {
    /// The command line of this process.
    pub(crate) fn from_process() -> Self {
        let words: Vec<OsString> =
            std::env::args_os().skip(1).take_while(|word| word != "--").collect();
        let mut root = CliArgs::clap_command();
        root.build();
        let path = command_path(&root, &words);
        Self { words, root, path }
    }

    /// The command as in `backup list`; `None` if the words name none.
    pub(crate) fn command(&self) -> Option<String> {
        (!self.path.is_empty()).then(|| self.path.join(" "))
    }

    /// The definition of the command, or of the program if the words name no command.
    pub(crate) fn definition(&self) -> &Command {
        self.path.iter().fold(&self.root, |definition, name| {
            definition.find_subcommand(name).unwrap_or(definition)
        })
    }

    /// Whether one of the words is this one.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.words.iter().any(|word| word == option)
    }

    /// The document that the words name.
    pub(crate) fn file(&self) -> Option<&Path> {
        let mut pairs = self.words.windows(2);
        let pair = pairs.find(|pair| pair[0] == "-f" || pair[0] == "--file")?;
        Some(Path::new(&pair[1]))
    }

    /// The output format that the words or the environment ask for.
    pub(crate) fn output_format(&self) -> OutputFormat {
        let is_variable_true =
            || std::env::var("TATMIG_JSON").is_ok_and(|value| parse_switch(&value) == Ok(true));
        if self.has("--json-lines") {
            OutputFormat::JsonLines
        } else if self.has("--json") || is_variable_true() {
            OutputFormat::Json
        } else {
            OutputFormat::Text
        }
    }

    /// The environment variable that the value of an option, as clap shows the option, is from.
    pub(crate) fn variable_with(&self, option: &str, value: &str) -> Option<String> {
        let mut arguments = self.definition().get_arguments().chain(self.root.get_arguments());
        let argument = arguments.find(|argument| argument.to_string() == option)?;
        let variable = argument.get_env()?;
        let is_typed = |word: &OsString| {
            let word = word.to_string_lossy();
            word.strip_suffix(value).is_some_and(|flag| flag.is_empty() || flag.starts_with('-'))
        };
        if std::env::var_os(variable)? != value || self.words.iter().any(is_typed) {
            return None;
        }
        Some(variable.to_string_lossy().into_owned())
    }
}

/// The names of the command and its subcommands that the words name, also by an alias. A word that
/// is the value of an option before it names none.
fn command_path(root: &Command, words: &[OsString]) -> Vec<String> {
    let mut definition = root;
    let mut path = Vec::new();
    let mut is_value = false;
    for word in words.iter().map(|word| word.to_string_lossy()) {
        if std::mem::take(&mut is_value) {
            continue;
        }
        if word.starts_with('-') {
            let mut arguments = definition.get_arguments();
            is_value = arguments.any(|argument| {
                let long = argument.get_long().map(|long| format!("--{long}"));
                let short = argument.get_short().map(|short| format!("-{short}"));
                let is_named = [long, short].into_iter().flatten().any(|name| name == *word);
                is_named
                    && argument.get_action().takes_values()
                    && argument.get_num_args().is_none_or(|range| range.takes_values())
            });
        } else if let Some(found) = definition.find_subcommand(word.as_ref()) {
            path.push(found.get_name().to_owned());
            definition = found;
        } else {
            break;
        }
    }
    path
}
