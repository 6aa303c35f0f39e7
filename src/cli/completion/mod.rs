//! Completes command lines for shells. `tatmig completions SHELL` prints a script; at each request
//! for completions, the script runs this program with [`VARIABLE`] set and the words of the command
//! line after `--`.
//!
//! A request never writes, never prints an error, and answers nothing where something is wrong:
//! with an invalid `tatmig.toml`, the names of commands and options are still completed.

mod arguments;
mod candidates;
mod scripts;
mod words;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use clap::FromArgMatches as _;
use clap_complete::CompleteEnv;

use crate::cli::args::CliArgs;
use crate::cli::args::global::GlobalArgs;
use crate::cli::completion::arguments::with_completers;
use crate::cli::completion::candidates::Candidates;
pub(crate) use crate::cli::completion::scripts::completion_script;
use crate::cli::completion::words::RequestWords;
use crate::cli::process_args::without_empty_variables;
use crate::cli::settings::Settings;
use crate::cli::settings::origins::ArgumentSources;

/// The variable that a script sets to the name of its shell.
const VARIABLE: &str = "_TATMIG_COMPLETE";

/// Answers a request for completions. Returns whether there was one.
pub(crate) fn answer_request() -> bool {
    let Some(shell) = std::env::var_os(VARIABLE).filter(|shell| !shell.is_empty()) else {
        return false;
    };
    // After a panic, the person at the shell sees no completions and no error.
    std::panic::set_hook(Box::new(|_| {}));
    let _ = catch_unwind(AssertUnwindSafe(|| answer(&shell)));
    true
}

fn answer(shell: &OsString) {
    let Some(words) = RequestWords::new(std::env::args_os(), shell) else { return };
    let start_directory = std::env::current_dir().ok();
    let settings = resolve_settings(words.before_cursor());
    let current_directory = std::env::current_dir().ok();
    let candidates = Arc::new(Candidates::new(settings, start_directory));
    let command = || with_completers(CliArgs::clap_command(), &candidates);
    let completion = CompleteEnv::with_factory(command).var(VARIABLE);
    let _ = completion.try_complete(words.into_arguments(), current_directory.as_deref());
}

/// The settings that the words before the cursor result in, with the variables and `tatmig.toml`.
/// Enters the directory of `-C`. `None` if a setting is invalid.
fn resolve_settings(words: &[OsString]) -> Option<Settings> {
    let command = without_empty_variables(CliArgs::clap_command());
    let matches = command.ignore_errors(true).try_get_matches_from(words).ok()?;
    let global = GlobalArgs::from_arg_matches(&matches).ok()?;
    if let Some(directory) = &global.directory {
        std::env::set_current_dir(directory).ok()?;
    }
    Settings::resolve(&global, &ArgumentSources::default(), Arc::default()).ok()
}
