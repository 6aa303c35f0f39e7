//! Defines the options that decide whether databases are backed up before a command changes them, the
//! same in every command that does so, and the rule that applies without them.

use clap::Args;

use crate::cli::settings::Settings;

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// Back up first what would change; `downgrade`, `redo`, `restore` and `reset` always do,
    /// `upgrade` does with this flag or with `backup = true` in tatmig.toml
    #[arg(long)]
    backup: bool,
    /// Do not back up first
    #[arg(long)]
    no_backup: bool,
}

/// What a command does without an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyRule {
    /// It keeps all rows, and copies only when asked, by an option or by the settings file.
    WhenAsked,
    /// It can lose rows, and copies unless an option says otherwise.
    Always,
}

impl CopyArgs {
    /// Whether databases are to be backed up first.
    pub(crate) fn wanted(&self, rule: CopyRule, settings: &Settings) -> bool {
        let by_default = match rule {
            CopyRule::WhenAsked => settings.backs_up,
            CopyRule::Always => true,
        };
        self.backup || (by_default && !self.no_backup)
    }
}
