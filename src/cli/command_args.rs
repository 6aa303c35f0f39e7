//! Defines the options and arguments of each command.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use tatmig::Scope;
use tatmig::document::MigrationTool;
use tatmig::edit::{Bump, PlannedPolicy};
use tatmig::lint::SqliteVersion;
use tatmig::schema_diff::Rename;

use crate::cli::copy_args::CopyArgs;
use crate::cli::report_args::ReportArgs;
use crate::cli::selection_args::SelectionArgs;
use crate::cli::value_parsers::{parse_count, parse_negative_steps};

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
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub(crate) struct NewArgs {
    /// Version of the new migration [default: the next patch]
    #[arg(value_name = "VERSION")]
    version: Option<String>,
    /// Description of the migration
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) message: String,
    /// Use the next patch version
    #[arg(long, group = "bump", conflicts_with = "version")]
    patch: bool,
    /// Use the next minor version
    #[arg(long, group = "bump", conflicts_with = "version")]
    minor: bool,
    /// Use the next major version
    #[arg(long, group = "bump", conflicts_with = "version")]
    major: bool,
    /// Scope to write a block for [default: each scope that the document has]
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<ScopeArg>,
    /// Write the SQL that leads to the schema of this database
    #[arg(long, value_name = "FILE")]
    pub(crate) from_db: Option<PathBuf>,
    /// Rename a table (`old=new`) or a column (`table.old=new`) instead of dropping and adding it; may
    /// be repeated
    #[arg(long, value_name = "OLD=NEW", requires = "from_db")]
    pub(crate) rename: Vec<Rename>,
    /// Write the reverse block too
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Insert before the planned migrations, and renumber these if necessary
    #[arg(long)]
    relink: bool,
}

/// The version that `new` was asked for.
pub(crate) enum VersionArg<'v> {
    Exact(&'v str),
    Next(Bump),
    Unspecified,
}

impl NewArgs {
    pub(crate) fn version(&self) -> VersionArg<'_> {
        match (&self.version, self.patch, self.minor, self.major) {
            (Some(version), ..) => VersionArg::Exact(version),
            (None, true, ..) => VersionArg::Next(Bump::Patch),
            (None, _, true, _) => VersionArg::Next(Bump::Minor),
            (None, _, _, true) => VersionArg::Next(Bump::Major),
            (None, ..) => VersionArg::Unspecified,
        }
    }

    pub(crate) fn planned(&self) -> PlannedPolicy {
        if self.relink { PlannedPolicy::Renumber } else { PlannedPolicy::Refuse }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Directory of the migrations, or a file of SQL; `-` is standard input
    #[arg(value_name = "DIR")]
    pub(crate) path: PathBuf,
    /// Tool that the migrations are of
    #[arg(long, value_name = "TOOL", default_value = AUTO, value_parser = tool_names())]
    from: String,
    /// Scope of the databases that the migrations are for
    #[arg(long, value_name = "SCOPE", default_value = "user")]
    pub(crate) scope: ScopeArg,
    /// Version of the first migration; each one after it has the next patch version
    #[arg(long, value_name = "VERSION", default_value = "0.1.0")]
    pub(crate) version_from: String,
    /// Make one baseline of all migrations before this one, which is named by its file name or its
    /// version
    #[arg(long, value_name = "NAME")]
    pub(crate) squash_before: Option<String>,
}

/// The value of `--from` that leaves the choice to tatmig.
const AUTO: &str = "auto";

impl ImportArgs {
    /// The tool, unless tatmig is to find it.
    pub(crate) fn tool(&self) -> Option<MigrationTool> {
        self.from.parse().ok()
    }
}

fn tool_names() -> PossibleValuesParser {
    let names = MigrationTool::ALL.iter().map(|tool| tool.name());
    PossibleValuesParser::new(std::iter::once(AUTO).chain(names))
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Version of the schema [default: head]
    #[arg(long, value_name = "VERSION")]
    pub(crate) at: Option<String>,
    /// Scope of the schema [default: each scope that the document has]
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<ScopeArg>,
    /// Output format [default: sql]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<SchemaFormat>,
    /// Update the schema between the markers of the document
    #[arg(long, conflicts_with_all = ["at", "scope", "format"])]
    write: bool,
    /// Exit with 1 if the schema between the markers is out of date, or if --diff finds a difference
    #[arg(long, conflicts_with_all = ["format", "write"])]
    check: bool,
    /// Print what differs from one version to another (`V1..V2`), or from the document to this file: a
    /// database or another document
    #[arg(long, value_name = "V1..V2|FILE", conflicts_with_all = ["format", "write"])]
    pub(crate) diff: Option<String>,
    /// Print what differs from the document to the database of this user
    #[arg(long, value_name = "NAME", conflicts_with_all = ["format", "write", "diff"])]
    pub(crate) diff_user: Option<PathBuf>,
}

/// What `schema` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemaAction {
    Print,
    Write,
    /// A difference is a failure.
    Check,
}

impl SchemaArgs {
    /// Whether two schemas are to be compared.
    pub(crate) fn is_diff(&self) -> bool {
        self.diff.is_some() || self.diff_user.is_some()
    }

    /// Whether options select a schema, which `--check` without a comparison takes from the markers.
    pub(crate) fn selects_schema(&self) -> bool {
        self.at.is_some() || self.scope.is_some()
    }

    pub(crate) fn action(&self) -> SchemaAction {
        match (self.write, self.check) {
            (true, _) => SchemaAction::Write,
            (_, true) => SchemaAction::Check,
            _ => SchemaAction::Print,
        }
    }
}

/// The format of a printed schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaFormat {
    /// SQL statements
    #[default]
    Sql,
    /// Entity relationship diagram; for two scopes, Markdown with a diagram of each
    Mermaid,
}

/// A scope as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeArg {
    /// System database
    System,
    /// User databases
    User,
}

impl From<ScopeArg> for Scope {
    fn from(name: ScopeArg) -> Self {
        match name {
            ScopeArg::System => Self::System,
            ScopeArg::User => Self::User,
        }
    }
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
    #[arg(long, conflicts_with_all = ["fix", "explain"])]
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
    #[arg(long, conflicts_with = "csv")]
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
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) rehearse: bool,
    /// Rehearse up to this planned version, with its SQL uncommented in memory
    #[arg(long, value_name = "VERSION", requires = "rehearse", conflicts_with = "to")]
    pub(crate) planned: Option<String>,
    /// Rehearse the whole fleet first; commit only if every database passes
    #[arg(long, conflicts_with_all = ["dry_run", "rehearse"])]
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
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) json_lines: bool,
    #[command(flatten)]
    pub(crate) files: ReportArgs,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("target").required(true).args(["to", "negative_steps", "steps"])))]
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
    #[arg(long, conflicts_with = "dry_run")]
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
pub(crate) struct RenumberArgs {
    /// Version that the migration leads to
    pub(crate) version: String,
    /// Version to move it behind [default: the last one that databases recorded, else the other
    /// migration]
    #[arg(long, value_name = "VERSION")]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RedoArgs {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Refuse if the migration would be redone on more than N databases, unless `--yes` is given
    #[arg(long, value_name = "N", default_value_t = 10)]
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
        #[arg(long, value_name = "N")]
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
