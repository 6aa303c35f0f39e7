//! Defines the options and arguments of the commands that act on databases, and those of `lint`.

use std::ffi::OsString;
use std::num::NonZeroUsize;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use tatmig::lint::SqliteVersion;

use crate::cli::args::copy::CopyArgs;
use crate::cli::args::report_files::ReportArgs;
use crate::cli::args::selection::SelectionArgs;
use crate::cli::value_parsers::{parse_count, parse_negative_steps, parse_number};

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Exit with 3 if anything is pending
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Show the rows of every table and sizes, summed over the users
    #[arg(long)]
    pub(crate) stats: bool,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) files: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) files: ReportArgs,
}

/// How databases are created.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Journal mode of the databases that are created [default: delete]
    #[arg(long, value_name = "MODE", env = "TATMIG_JOURNAL_MODE", hide_env_values = true)]
    pub(crate) journal_mode: Option<JournalModeArg>,
}

/// The journal modes that SQLite stores in the database file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JournalModeArg {
    /// Rollback journal, deleted after each commit
    Delete,
    /// Write-ahead log
    Wal,
}

#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// Exit with 1 for this rule, or for all `warnings`; may be repeated
    #[arg(long, value_name = "RULE")]
    pub(crate) deny: Vec<String>,
    /// Ignore this rule; may be repeated
    #[arg(long, value_name = "RULE")]
    pub(crate) allow: Vec<String>,
    /// Output format [default: human]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<LintFormat>,
    /// Apply the mechanical changes that need no person and change no released migration
    #[arg(long)]
    pub(crate) fix: bool,
    /// With --fix, print the changes as a diff and write nothing
    #[arg(long, requires = "fix")]
    pub(crate) dry_run: bool,
    /// Check the document again whenever it is saved, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
    /// Print what this rule reports and how to fix it; read no document
    #[arg(long, value_name = "RULE")]
    pub(crate) explain: Option<String>,
    /// Oldest SQLite version that opens the databases
    #[arg(long, value_name = "VERSION", env = "TATMIG_MIN_SQLITE", hide_env_values = true)]
    pub(crate) min_sqlite: Option<SqliteVersion>,
    #[command(flatten)]
    pub(crate) files: ReportArgs,
}

/// The format of diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintFormat {
    /// Source lines with the problem underlined
    Human,
    /// One JSON document
    Json,
    /// Workflow commands of GitHub Actions, shown as annotations
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// SQL statement, which must only read; `-` reads it from standard input
    #[arg(value_name = "SQL")]
    pub(crate) sql: String,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Add numeric columns over all rows of all databases
    #[arg(long)]
    pub(crate) sum: bool,
    /// Print CSV (RFC 4180)
    #[arg(long)]
    pub(crate) csv: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) ndjson: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AdoptArgs {
    /// Record this version, or `baseline`, even if the schema differs; without `--user` or
    /// `--system`, only databases without a history are changed
    #[arg(long, value_name = "VERSION")]
    pub(crate) at: Option<String>,
    /// Accept the present drift of databases that have a history already
    #[arg(long)]
    pub(crate) accept_drift: bool,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub(crate) struct UpgradeArgs {
    /// Stop at this version [default: head]
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Select this user's database, and create it if it does not exist; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "Selection of databases")]
    pub(crate) create: Vec<OsString>,
    /// Print the SQL that would run; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Run and check everything on the real databases, then roll back
    #[arg(long)]
    pub(crate) rehearse: bool,
    /// Rehearse up to this planned version, with its SQL uncommented in memory
    #[arg(long, value_name = "VERSION", requires = "rehearse")]
    pub(crate) planned: Option<String>,
    /// Rehearse the whole fleet first; commit only if every database passes
    #[arg(long)]
    pub(crate) all_or_nothing: bool,
    #[command(flatten)]
    pub(crate) copies: CopyArgs,
    /// Start no other database after a failure
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Migrate N users first; continue only if all of them succeed
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(crate) canary: Option<NonZeroUsize>,
    /// Print one JSON object a line: one for each database as it ends, then a summary
    #[arg(long)]
    pub(crate) json_lines: bool,
    #[command(flatten)]
    pub(crate) files: ReportArgs,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("target").required(true).multiple(true).args(["to", "negative_steps", "steps"])))]
pub(crate) struct DowngradeArgs {
    /// Number of migrations to undo, from the highest version found: `-1`
    #[arg(value_name = "-N", allow_negative_numbers = true, value_parser = parse_negative_steps)]
    negative_steps: Option<NonZeroUsize>,
    /// Stop at this version; `baseline` undoes everything
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    /// Same as `-N`
    #[arg(long, value_name = "N", value_parser = parse_count)]
    steps: Option<NonZeroUsize>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Print the SQL that would run; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Run and check everything on the real databases, then roll back
    #[arg(long)]
    pub(crate) rehearse: bool,
    #[command(flatten)]
    pub(crate) copies: CopyArgs,
    /// Start no other database after a failure
    #[arg(long)]
    pub(crate) fail_fast: bool,
    #[command(flatten)]
    pub(crate) files: ReportArgs,
}

impl DowngradeArgs {
    /// The number of migrations to undo; `None` with `--to`.
    pub(crate) fn steps(&self) -> Option<usize> {
        self.negative_steps.or(self.steps).map(NonZeroUsize::get)
    }
}

#[derive(Debug, Args)]
pub(crate) struct RedoArgs {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Refuse if the migration would be redone on more than N databases, unless `--yes` is given
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = parse_number)]
    pub(crate) max: usize,
    /// Redo it on any number of databases
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Print the SQL that would run; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) copies: CopyArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupAction {
    /// List the backups, oldest first
    List,
    /// Remove old backups, but never the only copy of a database at some version
    Prune {
        /// Number of newest backups to keep
        #[arg(long, value_name = "N", value_parser = parse_number)]
        keep: usize,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Backup to restore: a name from `backup list`, or `latest`
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) copies: CopyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ResetArgs {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) copies: CopyArgs,
}
