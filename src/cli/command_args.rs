//! What each verb can be told.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use tatmig::edit::{Bump, PlannedPolicy};
use tatmig::fleet::UserSelection;
use tatmig::{Scope, SqliteVersion};

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Exit with 3 if anything is pending
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Tell the rows of every table and the sizes, summed over the users
    #[arg(long)]
    pub(crate) stats: bool,
    /// Only this user's database; may be given several times
    #[arg(long = "user", value_name = "NAME")]
    pub(crate) users: Vec<OsString>,
    /// Only the system database
    #[arg(long, conflicts_with = "users")]
    pub(crate) system: bool,
}

/// How databases are made.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The journal mode of databases that are made [default: delete]
    #[arg(long, value_name = "MODE", env = "TATMIG_JOURNAL_MODE", hide_env = true)]
    pub(crate) journal_mode: Option<JournalModeArg>,
}

/// The journal modes that SQLite writes into a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JournalModeArg {
    /// A rollback journal, deleted after each commit
    Delete,
    /// A write-ahead log
    Wal,
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // flags, as typed
pub(crate) struct NewArgs {
    /// The version that it leads to [default: the next patch]
    #[arg(value_name = "VERSION")]
    version: Option<String>,
    /// What it is for
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) message: String,
    /// The next patch version
    #[arg(long, group = "bump", conflicts_with = "version")]
    patch: bool,
    /// The next minor version
    #[arg(long, group = "bump", conflicts_with = "version")]
    minor: bool,
    /// The next major version
    #[arg(long, group = "bump", conflicts_with = "version")]
    major: bool,
    /// The databases that it is for [default: those that the document has]
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<ScopeArg>,
    /// Write the SQL that leads to this database's schema
    #[arg(long, value_name = "FILE")]
    pub(crate) from_db: Option<PathBuf>,
    /// Write the reverse block too
    #[arg(long)]
    reverse: bool,
    /// Put it before the planned migrations, and give these other versions where need be
    #[arg(long)]
    relink: bool,
}

/// What version was asked for.
pub(crate) enum VersionArg<'v> {
    Exact(&'v str),
    Next(Bump),
    /// Nothing was said.
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

    /// Whether the migration gets a reverse block.
    pub(crate) fn has_reverse(&self) -> bool {
        self.reverse
    }

    pub(crate) fn planned(&self) -> PlannedPolicy {
        if self.relink { PlannedPolicy::Renumber } else { PlannedPolicy::Refuse }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// At this version [default: head]
    #[arg(long, value_name = "VERSION")]
    pub(crate) at: Option<String>,
    /// Of these databases [default: those that the document has]
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<ScopeArg>,
    /// How it is told [default: sql]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<SchemaFormat>,
    /// Bring what stands between the markers of the document up to date
    #[arg(long, conflicts_with_all = ["at", "scope", "format"])]
    write: bool,
    /// Exit with 1 if what stands between the markers is stale
    #[arg(long, conflicts_with_all = ["at", "scope", "format", "write"])]
    check: bool,
}

/// What becomes of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemaAction {
    Print,
    Write,
    Check,
}

impl SchemaArgs {
    pub(crate) fn action(&self) -> SchemaAction {
        match (self.write, self.check) {
            (true, _) => SchemaAction::Write,
            (_, true) => SchemaAction::Check,
            _ => SchemaAction::Print,
        }
    }
}

/// How a schema is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaFormat {
    /// The statements that make it
    #[default]
    Sql,
    /// An entity relationship diagram; of two scopes, markdown with one diagram each
    Mermaid,
}

/// A scope, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeArg {
    /// The system database
    System,
    /// Every user's database
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
    /// Fail with exit status 1 for this rule, or for all `warnings`
    #[arg(long, value_name = "RULE")]
    pub(crate) deny: Vec<String>,
    /// Say nothing of this rule
    #[arg(long, value_name = "RULE")]
    pub(crate) allow: Vec<String>,
    /// How the problems are told [default: human]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<LintFormat>,
    /// The oldest SQLite that reads the databases
    #[arg(long, value_name = "VERSION", env = "TATMIG_MIN_SQLITE", hide_env = true)]
    pub(crate) min_sqlite: Option<SqliteVersion>,
}

/// How problems are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintFormat {
    /// Drawn over their source lines
    Human,
    /// One JSON document
    Json,
    /// Workflow commands of GitHub Actions, which become annotations
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    /// Every user database that is found
    #[arg(long, conflicts_with = "users")]
    all_users: bool,
    /// This user's database; may be given several times
    #[arg(long = "user", value_name = "NAME")]
    users: Vec<OsString>,
}

impl UserArgs {
    pub(crate) fn selection(&self) -> UserSelection {
        match (self.all_users, self.users.as_slice()) {
            (true, _) => UserSelection::All,
            (false, []) => UserSelection::None,
            (false, names) => UserSelection::Named(names.to_vec()),
        }
    }
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // flags, as typed
pub(crate) struct UpgradeArgs {
    /// Go no further than this version, or `head`
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) users: UserArgs,
    /// Print the SQL that would run, and touch nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Run and check everything on the real databases, and roll it back
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) rehearse: bool,
    /// Rehearse up to this planned version, its SQL uncommented in memory
    #[arg(long, value_name = "VERSION", requires = "rehearse", conflicts_with = "to")]
    pub(crate) planned: Option<String>,
    /// Rehearse the whole fleet, and commit only if every database passed
    #[arg(long, conflicts_with_all = ["dry_run", "rehearse"])]
    pub(crate) all_or_nothing: bool,
    /// Copy the databases that have something pending first, into the backups directory
    #[arg(long, conflicts_with_all = ["dry_run", "rehearse"])]
    pub(crate) backup: bool,
    /// Start no further database after one has failed
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Migrate this many users first, and go on only if all of them succeed
    #[arg(long, value_name = "N")]
    pub(crate) canary: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("target").required(true).args(["to", "negative_steps", "steps"])))]
#[allow(clippy::struct_excessive_bools)] // flags, as typed
pub(crate) struct DowngradeArgs {
    /// So many migrations down from the highest version found: `-1`
    #[arg(value_name = "-N", allow_negative_numbers = true, value_parser = parse_negative_steps)]
    negative_steps: Option<usize>,
    /// Down to this version, or to nothing with `baseline`
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    /// The same as `-N`
    #[arg(long, value_name = "N")]
    steps: Option<NonZeroUsize>,
    #[command(flatten)]
    pub(crate) users: UserArgs,
    /// Print the SQL that would run, and touch nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Run and check everything on the real databases, and roll it back
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) rehearse: bool,
    /// Change databases without copying them first
    #[arg(long)]
    pub(crate) no_backup: bool,
    /// Start no further database after one has failed
    #[arg(long)]
    pub(crate) fail_fast: bool,
}

impl DowngradeArgs {
    /// How many migrations down, where that was asked for.
    pub(crate) fn steps(&self) -> Option<usize> {
        self.negative_steps.or(self.steps.map(NonZeroUsize::get))
    }
}

fn parse_negative_steps(text: &str) -> Result<usize, String> {
    let number = text.strip_prefix('-').and_then(|number| number.parse().ok());
    number.filter(|number| *number > 0).ok_or_else(|| {
        "a number of migrations with a minus, such as -1; `--to` takes a version".to_owned()
    })
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupAction {
    /// The backups there are, oldest first
    List,
    /// Remove old backups, but never the only copy of a database at some version
    Prune {
        /// How many of the newest stay
        #[arg(long, value_name = "N")]
        keep: usize,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup, as `backup list` names it, or `latest`
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// This user's database alone; may be given several times
    #[arg(long = "user", value_name = "NAME")]
    pub(crate) users: Vec<OsString>,
    /// The system database alone, or beside the users named
    #[arg(long)]
    pub(crate) system: bool,
    /// Replace databases without copying them first
    #[arg(long)]
    pub(crate) no_backup: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ResetArgs {
    #[command(flatten)]
    pub(crate) users: UserArgs,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Replace databases without copying them first
    #[arg(long)]
    pub(crate) no_backup: bool,
}
