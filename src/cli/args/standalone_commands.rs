//! Defines the commands that need no settings of a fleet.

use std::path::PathBuf;

use clap::Subcommand;
use clap_complete::Shell;

/// The commands that need neither settings nor a document.
#[derive(Debug, Subcommand)]
pub(crate) enum StandaloneCommand {
    /// Run a language server for editors
    ///
    /// An editor starts it and speaks the Language Server Protocol over standard input and output.
    /// Settings are those of the tatmig.toml beside each document or above it.
    #[cfg(feature = "lsp")]
    #[command(after_help = "\
Examples:
  tatmig lsp                  what an editor runs; see docs/editors.md")]
    Lsp,
    /// Print shell completions
    #[command(after_help = "\
Examples:
  tatmig completions bash > ~/.local/share/bash-completion/completions/tatmig
  tatmig completions zsh > ~/.zfunc/_tatmig       ~/.zfunc must be in fpath
  tatmig completions fish > ~/.config/fish/completions/tatmig.fish
  tatmig completions powershell >> $PROFILE")]
    Completions {
        /// Shell to complete for
        shell: Shell,
    },
    /// Print a man page
    #[command(after_help = "\
Examples:
  tatmig man | man -l -                        read the page of tatmig
  tatmig man upgrade | man -l -                read the page of a command
  tatmig man --dir ~/.local/share/man/man1     write all pages")]
    Man {
        /// Command to describe, such as `upgrade` or `backup-list` [default: tatmig itself]
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
        /// Write all pages into this directory: `tatmig.1`, `tatmig-upgrade.1` …
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}
