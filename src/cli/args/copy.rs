//! Defines the options that decide whether databases are backed up before a command changes them, the
//! same in every command that does so, and the rule that applies without them.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// Back up first what would change; `downgrade`, `redo`, `restore` and `reset` do so unless
    /// `--no-backup` is given, `upgrade` with this flag or with `backup = true` in tatmig.toml
    #[arg(long)]
    backup: bool,
    /// Do not back up first
    #[arg(long)]
    no_backup: bool,
}

/// What a command does without an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyRule {
    /// It keeps all rows, and copies only when asked.
    WhenAsked,
    /// It can lose rows, and copies unless an option says otherwise.
    Always,
}

impl CopyArgs {
    /// Whether databases are to be backed up first.
    pub(crate) fn wanted(&self, rule: CopyRule) -> bool {
        self.backup || (rule == CopyRule::Always && !self.no_backup)
    }
}
