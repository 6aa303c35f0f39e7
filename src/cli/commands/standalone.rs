//! Runs the commands that need no settings of this run: `lsp`, `completions` and `man`.
//!
//! The last two read neither settings nor a document, so that an invalid `tatmig.toml` cannot break
//! the start of a shell.

use clap_complete::Shell;

use crate::cli::args::global::GlobalArgs;
use crate::cli::args::standalone_commands::StandaloneCommand;
#[cfg(feature = "lsp")]
use crate::cli::commands::lsp;
use crate::cli::commands::man::write_man_pages;
use crate::cli::completion::completion_script;
use crate::cli::report::Report;
use crate::cli::report::exit_status::EXIT_SUCCESS;
use crate::cli::settings::origins::ArgumentSources;

/// Runs a command that needs no settings.
pub(crate) fn run_standalone(
    command: &StandaloneCommand,
    #[cfg_attr(not(feature = "lsp"), expect(unused_variables))] global: &GlobalArgs,
    #[cfg_attr(not(feature = "lsp"), expect(unused_variables))] sources: &ArgumentSources,
) -> anyhow::Result<u8> {
    match command {
        #[cfg(feature = "lsp")]
        StandaloneCommand::Lsp => Ok(lsp::run(global, sources)),
        StandaloneCommand::Completions { shell } => Ok(print_completions(*shell)),
        StandaloneCommand::Man { command: command_name, dir } => {
            write_man_pages(command_name.as_deref(), dir.as_deref())
        }
    }
}

/// Prints the completion script of a shell.
fn print_completions(shell: Shell) -> u8 {
    Report::emit_bytes(&completion_script(shell));
    EXIT_SUCCESS
}
