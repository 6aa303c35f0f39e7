//! What was typed, and what it means: flags come before variables, variables before the file
//! `tatmig.toml`, the file before the defaults. The only place that knows clap and toml.

#[cfg(feature = "server")]
mod server;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::builder::BoolishValueParser;
use clap::{ArgGroup, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
#[cfg(feature = "server")]
use tatmig::Patience;
use tatmig::edit::{Bump, Planned};
use tatmig::fleet::{DEFAULT_JOBS, Selection};
use tatmig::{
    ForeignKeys, JournalMode, Layout, Links, Pattern, Practice, Scope, Shard, SqliteVersion,
};

/// Migrate a fleet of SQLite databases, one per user, from one markdown document.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  tatmig demo                       make a small fleet and upgrade it
  tatmig lint                       what is wrong or risky in MIGRATIONS.md
  tatmig upgrade --all-users        the system database, then every user's
  tatmig status                     where every database stands

Exit status: 0 done, 1 a database failed or has problems, 2 wrong usage or a document that cannot
be used, 3 something is pending (status --exit-code), 129/130/143 ended by a signal."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    #[command(flatten)]
    Work(Command),
    #[command(flatten)]
    Describe(Describe),
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
#[allow(clippy::struct_excessive_bools)] // flags, as typed
pub(crate) struct Global {
    /// The document [default: MIGRATIONS.md]
    #[arg(short, long, global = true, env = "TATMIG_FILE", value_name = "PATH", hide_env = true)]
    file: Option<PathBuf>,
    /// The system database [default: system.db]
    #[arg(long, global = true, env = "TATMIG_SYSTEM_DB", value_name = "PATH", hide_env = true)]
    system_db: Option<PathBuf>,
    /// The directory of the user databases [default: .]
    #[arg(long, global = true, env = "TATMIG_USERS_DIR", value_name = "DIR", hide_env = true)]
    users_dir: Option<PathBuf>,
    /// How their files are named [default: {username}_longterm.db]
    #[arg(
        long,
        global = true,
        env = "TATMIG_USER_PATTERN",
        value_name = "PATTERN",
        hide_env = true
    )]
    user_pattern: Option<String>,
    /// The directory of the backups [default: backups]
    #[arg(long, global = true, env = "TATMIG_BACKUPS_DIR", value_name = "DIR", hide_env = true)]
    backups_dir: Option<PathBuf>,
    /// Settings in TOML [default: tatmig.toml, if it is there]
    #[arg(long, global = true, env = "TATMIG_CONFIG", value_name = "PATH", hide_env = true)]
    config: Option<PathBuf>,
    /// Open user databases that are symbolic links
    #[arg(long, global = true, env = "TATMIG_FOLLOW_SYMLINKS", value_parser = BoolishValueParser::new(), hide_env = true, num_args = 0, default_missing_value = "true")]
    follow_symlinks: Option<bool>,
    /// Say nothing but errors
    #[arg(short, long, global = true, env = "TATMIG_QUIET", value_parser = BoolishValueParser::new(), hide_env = true, num_args = 0, default_missing_value = "true")]
    quiet: Option<bool>,
    /// Name every database
    #[arg(short, long, global = true, env = "TATMIG_VERBOSE", value_parser = BoolishValueParser::new(), hide_env = true, num_args = 0, default_missing_value = "true")]
    verbose: Option<bool>,
    /// How long to wait for a database that another program has locked, in seconds [default: 10]
    #[arg(long, global = true, env = "TATMIG_BUSY_TIMEOUT", value_name = "SECONDS", value_parser = seconds, hide_env = true)]
    busy_timeout: Option<Duration>,
    /// How many databases are worked on at once [default: 32, as the descriptor limit allows]
    #[arg(long, global = true, env = "TATMIG_JOBS", value_name = "N", hide_env = true)]
    jobs: Option<NonZeroUsize>,
    /// When to use colours [default: auto]
    #[arg(long, global = true, env = "TATMIG_COLOR", value_name = "WHEN", hide_env = true)]
    color: Option<When>,
    /// Only the users of this part of the fleet: `2/8` is the second of eight
    #[arg(long, global = true, env = "TATMIG_SHARD", value_name = "I/N", hide_env = true)]
    shard: Option<Shard>,
    /// Print one JSON document
    #[arg(long, global = true, env = "TATMIG_JSON", value_parser = BoolishValueParser::new(), hide_env = true, num_args = 0, default_missing_value = "true")]
    json: Option<bool>,
    #[cfg(feature = "server")]
    #[command(flatten)]
    servers: server::Flags,
}

impl Global {
    /// The form of the results as far as it was typed.
    pub(crate) fn json(&self) -> Format {
        if self.json == Some(true) { Format::Json } else { Format::Text }
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum When {
    /// On a terminal.
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring databases to head: the system database first, then the users named
    #[command(visible_aliases = ["up", "migrate"], after_help = "\
Examples:
  tatmig upgrade --all-users                 everything to head
  tatmig upgrade --user ann --user bob       the system database and two users
  tatmig upgrade --all-users --dry-run       print what would run; touch nothing
  tatmig upgrade --all-users --canary 5      five users first, the rest only if they succeed
  tatmig upgrade --to 0.3.20 --all-users     not further than that version
  tatmig upgrade --all-users --rehearse      everything, on the real rows, rolled back
  tatmig upgrade --all-users --all-or-nothing
  tatmig upgrade --all-users --backup        copies of what it changes first

Each database is migrated in one transaction, or not touched. Run it again to finish what failed.")]
    Upgrade(Upgrade),
    /// Bring databases down by reverse blocks: the users named first, then the system database
    #[command(visible_aliases = ["down", "rollback"], after_help = "\
Examples:
  tatmig downgrade --to 0.3.19 --all-users   everything down to 0.3.19
  tatmig downgrade -1 --all-users            one migration down from the highest version found
  tatmig downgrade --to 0.3.19 --user ann    one user; the system database stays above the others
  tatmig downgrade --to baseline --all-users --dry-run

A reverse block is tagged with the higher version first: `-- [user:0.3.20→0.3.19:start]`. Every one
that is missing is named before anything is touched. What is changed is copied first; see `backup`.")]
    Downgrade(Downgrade),
    /// Tell the version of every database and what is pending
    #[command(visible_aliases = ["info", "current"], after_help = "\
Examples:
  tatmig status                  past 30 databases: counts, and those that differ from the most
  tatmig status -v               every database
  tatmig status --exit-code      exit status 3 if anything is pending
  tatmig status --stats          rows of every table and sizes, summed over the users
  tatmig status --stats --user ann")]
    Status(Status),
    /// List the document's migrations, or what one database went through
    #[command(after_help = "\
Examples:
  tatmig history                 the document's migrations, newest last
  tatmig history --user ann      what ann's database went through")]
    History {
        /// What this user's database went through
        #[arg(long, value_name = "NAME", conflicts_with = "system")]
        user: Option<OsString>,
        /// What the system database went through
        #[arg(long)]
        system: bool,
    },
    /// Tell everything that is wrong or risky in the document, without a database
    #[command(after_help = "\
Examples:
  tatmig lint                        exit status 2 where upgrade would refuse the document
  tatmig lint --deny warnings        exit status 1 for any warning
  tatmig lint --deny stray-fence     exit status 1 for one kind of warning
  tatmig lint --format github        as annotations of a pull request
  tatmig lint --min-sqlite 3.31.0    what an application's older SQLite cannot read

Every rule is told in docs/lints.md; `-- tatmig:allow RULE why` in a block lifts it there.")]
    Lint(Lint),
    /// Check every database: its pages, its foreign keys, its record and schema against the document
    #[command(after_help = "\
Examples:
  tatmig verify                  exit status 1 if anything is wrong
  tatmig verify -v               name every database")]
    Verify,
    /// Test the document against itself: rows at every version, all of them kept up to head
    #[command(after_help = "\
Examples:
  tatmig test                    every version, filled with rows and upgraded, in memory
  tatmig test --json             the same for programs

No database of the fleet is opened. Where reverse blocks lead down from head, each database goes
down and up again. Exit status 1 if a row, an index or a trigger is lost, or a migration fails.")]
    Test,
    /// Make the system database, and the users named, at head
    #[command(after_help = "\
Examples:
  tatmig init                    make system.db
  tatmig init --user ann         make system.db if it is missing, and ann's database")]
    Init {
        /// Make this user's database
        #[arg(long = "user", value_name = "NAME")]
        users: Vec<OsString>,
        #[command(flatten)]
        making: Making,
    },
    /// Record a version without running or looking at anything
    #[command(after_help = "\
Examples:
  tatmig stamp 0.3.19 --all-users    every database is at 0.3.19 from now on
  tatmig stamp head                  the system database has all that the document makes
  tatmig stamp baseline --user ann   the next upgrade runs the baseline for ann")]
    Stamp {
        /// The version, `head` or `baseline`
        version: String,
        #[command(flatten)]
        users: Users,
    },
    /// Find the version of databases without a record from their schema, and record it
    #[command(after_help = "\
Examples:
  tatmig adopt --all-users           the version that fits best, and what differs from it
  tatmig adopt --user ann --at 0.3.19
  tatmig adopt --user ann --at baseline    a database of other origin: run the baseline next

It also accepts a migration that was edited after it ran, once the schema is proved to have what
the document makes.")]
    Adopt {
        /// Record this version, or `baseline`, whatever the schema tells
        #[arg(long, value_name = "VERSION")]
        at: Option<String>,
        #[command(flatten)]
        users: Users,
    },
    /// Run a seed block, `[user:seed:NAME:start]`, in a transaction; it has no version
    #[command(after_help = "\
Examples:
  tatmig seed settings                     the system part of the seed `settings`
  tatmig seed sample-data --user ann       its system part, and its user part for ann")]
    Seed {
        /// The seeds to run, in this order
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        users: Users,
    },
    /// Copy databases while they are in use, into a directory named for the time
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "\
Examples:
  tatmig backup --all-users      the system database and every user's, into backups/20261121T114500Z
  tatmig backup                  the system database alone
  tatmig backup list             the backups there are
  tatmig backup prune --keep 5   remove all but the newest five

A backup is whole or not there: its copies are checked and on the disk before it has its name."
    )]
    Backup {
        #[command(flatten)]
        users: Users,
        #[command(subcommand)]
        action: Option<BackupAction>,
    },
    /// Put databases back as a backup holds them, with their record
    #[command(after_help = "\
Examples:
  tatmig restore 20261121T114500Z                all that the backup holds
  tatmig restore 20261121T114500Z --user ann     one user's database; no other is touched
  tatmig restore latest --system                 the system database from the last backup

Each is put back in one transaction, once its copy is proved to be the one that was written. What is
there now is copied first unless `--no-backup`. A database that another program has open is refused.")]
    Restore(Restore),
    /// Put new, empty databases at head in the place of those named; asks first
    #[command(after_help = "\
Examples:
  tatmig reset                   the system database, after a question
  tatmig reset --user ann --yes  ann's database alone, without one
  tatmig reset --all-users       the system database and every user's

Every row of them goes. What is there now is copied first unless `--no-backup`; see `restore`.")]
    Reset(Reset),
    /// Copy the databases of files into the namespaces of a libSQL server, and compare them
    #[cfg(feature = "server")]
    #[command(after_help = "\
Examples:
  tatmig push --all-users --server http://db.example:8080 --admin http://db.example:9090

The files stay as they are. A namespace that holds something else is left alone; run it again to
finish what failed. Nobody should write meanwhile.")]
    Push {
        #[command(flatten)]
        users: Users,
    },
    /// Copy the namespaces of a libSQL server into files, and compare them
    #[cfg(feature = "server")]
    #[command(after_help = "\
Examples:
  tatmig pull --all-users --server http://db.example:8080 --users-dir users

The namespaces stay as they are. A file that holds something else is left alone; run it again to
finish what failed.")]
    Pull {
        #[command(flatten)]
        users: Users,
    },
    /// Put the next migration into the document: its section, its tags, today's date
    #[command(after_help = "\
Examples:
  tatmig new --minor -m \"Notes can be pinned\"
  tatmig new 1.2.0 -m \"Accounts know their language\" --scope system
  tatmig new --patch -m \"What the application does by now\" --from-db ann_longterm.db --reverse
  tatmig new 0.3.21 -m \"A fix\" --relink       in front of the planned migrations

With --from-db the SQL is the difference between the document's schema at head and that database's,
which is only read. It is run in memory first: what is written leads to exactly that schema.")]
    New(New),
    /// Release the next planned migration: its `(Planned)` goes, its SQL is uncommented
    #[command(after_help = "\
Examples:
  tatmig promote 0.3.21          the planned migration to 0.3.21 is released")]
    Promote {
        /// The version that it leads to
        version: String,
    },
    /// Print the schema that the document describes, as SQL or as a Mermaid diagram
    #[command(after_help = "\
Examples:
  tatmig schema --scope user                   as SQL, at head
  tatmig schema --at 0.3.19 --format mermaid   a diagram of each scope
  tatmig schema --write                        between the markers of the document
  tatmig schema --check                        exit status 1 if what stands there is stale

The markers are `<!-- tatmig:schema:start -->` and `<!-- tatmig:schema:end -->`, each on a line of
its own; the first may say `format=sql` or `format=mermaid`, `scope=user`, `at=1.2.0`.")]
    Schema(Schema),
    /// Make a small fleet with data in it, upgrade it, and leave it there to be played with
    #[command(after_help = "\
Examples:
  tatmig demo                    in ./tatmig-demo, or the next free name
  tatmig demo /tmp/fleet         in a directory of your own")]
    Demo {
        /// The directory to make
        dir: Option<PathBuf>,
    },
}

/// The command line told to shells and readers.
#[derive(Debug, Subcommand)]
pub(crate) enum Describe {
    /// Print a script that completes what is typed, for a shell
    #[command(after_help = "\
Examples:
  tatmig completions bash > ~/.local/share/bash-completion/completions/tatmig
  tatmig completions zsh > ~/.zfunc/_tatmig       ~/.zfunc being in fpath
  tatmig completions fish > ~/.config/fish/completions/tatmig.fish
  tatmig completions powershell >> $PROFILE")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page of tatmig, or of one of its commands
    #[command(after_help = "\
Examples:
  tatmig man | man -l -                        read it
  tatmig man upgrade | man -l -                read that of a command
  tatmig man --dir ~/.local/share/man/man1     write every page there")]
    Man {
        /// The command [default: tatmig itself]
        #[arg(value_name = "COMMAND")]
        of: Option<String>,
        /// Write every page into this directory, as `tatmig.1`, `tatmig-upgrade.1` …
        #[arg(long, value_name = "DIR", conflicts_with = "of")]
        dir: Option<PathBuf>,
    },
}

impl Arguments {
    /// The definitions that all of this is made from.
    pub(crate) fn definitions() -> clap::Command {
        Self::command()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Status {
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
pub(crate) struct Making {
    /// The journal mode of databases that are made [default: delete]
    #[arg(long, value_name = "MODE", env = "TATMIG_JOURNAL_MODE", hide_env = true)]
    pub(crate) journal_mode: Option<Journal>,
}

/// The journal modes that SQLite writes into a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Journal {
    /// A rollback journal, deleted after each commit
    Delete,
    /// A write-ahead log
    Wal,
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // flags, as typed
pub(crate) struct New {
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
    pub(crate) scope: Option<ScopeName>,
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
pub(crate) enum Asked<'v> {
    Named(&'v str),
    Next(Bump),
    /// Nothing was said.
    Any,
}

/// Whether something is to be written that need not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Yes,
    No,
}

impl New {
    pub(crate) fn version(&self) -> Asked<'_> {
        match (&self.version, self.patch, self.minor, self.major) {
            (Some(version), ..) => Asked::Named(version),
            (None, true, ..) => Asked::Next(Bump::Patch),
            (None, _, true, _) => Asked::Next(Bump::Minor),
            (None, _, _, true) => Asked::Next(Bump::Major),
            (None, ..) => Asked::Any,
        }
    }

    pub(crate) fn reverse(&self) -> Wanted {
        if self.reverse { Wanted::Yes } else { Wanted::No }
    }

    pub(crate) fn planned(&self) -> Planned {
        if self.relink { Planned::Relink } else { Planned::Keep }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// At this version [default: head]
    #[arg(long, value_name = "VERSION")]
    pub(crate) at: Option<String>,
    /// Of these databases [default: those that the document has]
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<ScopeName>,
    /// How it is told [default: sql]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<SchemaForm>,
    /// Bring what stands between the markers of the document up to date
    #[arg(long, conflicts_with_all = ["at", "scope", "format"])]
    write: bool,
    /// Exit with 1 if what stands between the markers is stale
    #[arg(long, conflicts_with_all = ["at", "scope", "format", "write"])]
    check: bool,
}

/// What becomes of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemaAct {
    Print,
    Write,
    Check,
}

impl Schema {
    pub(crate) fn act(&self) -> SchemaAct {
        match (self.write, self.check) {
            (true, _) => SchemaAct::Write,
            (_, true) => SchemaAct::Check,
            _ => SchemaAct::Print,
        }
    }
}

/// How a schema is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaForm {
    /// The statements that make it
    #[default]
    Sql,
    /// An entity relationship diagram; of two scopes, markdown with one diagram each
    Mermaid,
}

/// A scope, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeName {
    /// The system database
    System,
    /// Every user's database
    User,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::System => Self::System,
            ScopeName::User => Self::User,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Lint {
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
    min_sqlite: Option<SqliteVersion>,
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
pub(crate) struct Users {
    /// Every user database that is found
    #[arg(long, conflicts_with = "users")]
    all_users: bool,
    /// This user's database; may be given several times
    #[arg(long = "user", value_name = "NAME")]
    users: Vec<OsString>,
}

impl Users {
    pub(crate) fn selection(&self) -> Selection {
        match (self.all_users, self.users.as_slice()) {
            (true, _) => Selection::All,
            (false, []) => Selection::None,
            (false, names) => Selection::Named(names.to_vec()),
        }
    }
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // flags, as typed
pub(crate) struct Upgrade {
    /// Go no further than this version, or `head`
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) users: Users,
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
#[command(group(ArgGroup::new("target").required(true).args(["to", "back", "steps"])))]
#[allow(clippy::struct_excessive_bools)] // flags, as typed
pub(crate) struct Downgrade {
    /// So many migrations down from the highest version found: `-1`
    #[arg(value_name = "-N", allow_negative_numbers = true, value_parser = back)]
    back: Option<usize>,
    /// Down to this version, or to nothing with `baseline`
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    /// The same as `-N`
    #[arg(long, value_name = "N")]
    steps: Option<NonZeroUsize>,
    #[command(flatten)]
    pub(crate) users: Users,
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

impl Downgrade {
    /// How many migrations down, where that was asked for.
    pub(crate) fn steps(&self) -> Option<usize> {
        self.back.or(self.steps.map(NonZeroUsize::get))
    }
}

fn back(text: &str) -> Result<usize, String> {
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
pub(crate) struct Restore {
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
pub(crate) struct Reset {
    #[command(flatten)]
    pub(crate) users: Users,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Replace databases without copying them first
    #[arg(long)]
    pub(crate) no_backup: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| "a number of seconds, such as 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// `tatmig.toml`: every key may be missing, and no other may be there.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    file: Option<PathBuf>,
    system_db: Option<PathBuf>,
    users_dir: Option<PathBuf>,
    user_pattern: Option<String>,
    backups_dir: Option<PathBuf>,
    follow_symlinks: Option<bool>,
    quiet: Option<bool>,
    verbose: Option<bool>,
    color: Option<When>,
    json: Option<bool>,
    jobs: Option<NonZeroUsize>,
    busy_timeout: Option<f64>,
    min_sqlite: Option<String>,
    shard: Option<String>,
    #[cfg(feature = "server")]
    server: Option<server::OneOrMore>,
    #[cfg(feature = "server")]
    admin: Option<server::OneOrMore>,
    #[cfg(feature = "server")]
    namespace_pattern: Option<String>,
    #[cfg(feature = "server")]
    system_namespace: Option<String>,
    #[cfg(feature = "server")]
    users_from: Option<String>,
    #[cfg(feature = "server")]
    users_on: Option<PathBuf>,
    #[cfg(feature = "server")]
    server_timeout: Option<f64>,
    journal_mode: Option<Journal>,
    #[allow(clippy::struct_field_names)] // the key's own name
    foreign_keys: Option<bool>,
    #[serde(default)]
    lint: LintKeys,
}

/// The table `[lint]` of `tatmig.toml`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LintKeys {
    pub(crate) deny: Vec<String>,
    pub(crate) allow: Vec<String>,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    Quiet,
    Normal,
    Verbose,
}

/// The form of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// What was meant.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) file: PathBuf,
    pub(crate) layout: Layout,
    pub(crate) backups_dir: PathBuf,
    pub(crate) volume: Volume,
    pub(crate) color: When,
    pub(crate) format: Format,
    /// How many databases at once.
    pub(crate) jobs: usize,
    pub(crate) busy_timeout: Duration,
    min_sqlite: Option<SqliteVersion>,
    /// As the file says; [`Settings::practice`] puts a flag over it.
    practice: Practice,
    pub(crate) lint: LintKeys,
}

impl Settings {
    /// Puts flags and variables over the settings file and the defaults.
    #[cfg_attr(not(feature = "server"), allow(unused_mut, unused_variables))]
    pub(crate) fn resolve(global: &Global, stop: Arc<AtomicBool>) -> anyhow::Result<Self> {
        let (mut keys, base) = Keys::load(global.config.as_deref())?;
        #[cfg(feature = "server")]
        let server_keys = keys.take_servers();
        let pattern = global
            .user_pattern
            .clone()
            .or(keys.user_pattern)
            .unwrap_or_else(|| "{username}_longterm.db".to_owned());
        let path = |flag: &Option<PathBuf>, key: Option<PathBuf>, default: &str| {
            flag.clone().or(key).unwrap_or_else(|| PathBuf::from(default))
        };
        let links = match global.follow_symlinks.or(keys.follow_symlinks) {
            Some(true) => Links::Follow,
            Some(false) | None => Links::Refuse,
        };
        let volume = volume((global.quiet, global.verbose), (keys.quiet, keys.verbose))?;
        let json = global.json.or(keys.json).unwrap_or_default();
        let busy_timeout = match global.busy_timeout {
            Some(timeout) => timeout,
            None => {
                let seconds = keys.busy_timeout.unwrap_or(10.0);
                Duration::try_from_secs_f64(seconds)
                    .with_context(|| format!("`busy_timeout = {seconds}` in tatmig.toml"))?
            }
        };
        #[cfg(feature = "server")]
        let servers = {
            let patience = Patience { busy_timeout, stop };
            server::resolve(&global.servers, (server_keys, &base), patience)?
        };
        Ok(Self {
            file: path(&global.file, keys.file, "MIGRATIONS.md"),
            layout: Layout {
                system_db: path(&global.system_db, keys.system_db, "system.db"),
                users_dir: path(&global.users_dir, keys.users_dir, "."),
                pattern: pattern.parse::<Pattern>()?,
                links,
                shard: match (global.shard, keys.shard) {
                    (Some(shard), _) => Some(shard),
                    (None, Some(text)) => Some(text.parse().context("`shard` in tatmig.toml")?),
                    (None, None) => None,
                },
                #[cfg(feature = "server")]
                servers,
            },
            backups_dir: path(&global.backups_dir, keys.backups_dir, "backups"),
            volume,
            color: global.color.or(keys.color).unwrap_or_default(),
            format: if json { Format::Json } else { Format::Text },
            jobs: global.jobs.or(keys.jobs).map_or(DEFAULT_JOBS, NonZeroUsize::get),
            busy_timeout,
            min_sqlite: keys
                .min_sqlite
                .map(|text| text.parse().context("`min_sqlite` in tatmig.toml"))
                .transpose()?,
            practice: Practice {
                journal_mode: keys.journal_mode.map_or_else(JournalMode::default, Journal::mode),
                foreign_keys: match keys.foreign_keys {
                    Some(false) => ForeignKeys::Told,
                    Some(true) | None => ForeignKeys::Held,
                },
            },
            lint: keys.lint,
        })
    }

    /// The practice of the fleet's application; of a command that makes databases, with its flag.
    pub(crate) fn practice(&self, making: Option<&Making>) -> Practice {
        let flag = making.and_then(|making| making.journal_mode);
        let journal_mode = flag.map_or(self.practice.journal_mode, Journal::mode);
        Practice { journal_mode, ..self.practice }
    }

    pub(crate) fn min_sqlite(&self, lint: &Lint) -> Option<SqliteVersion> {
        lint.min_sqlite.or(self.min_sqlite)
    }

    /// `--format` comes before `--json`, which is one of its values.
    pub(crate) fn lint_format(&self, lint: &Lint) -> LintFormat {
        lint.format.unwrap_or(match self.format {
            Format::Text => LintFormat::Human,
            Format::Json => LintFormat::Json,
        })
    }
}

impl Journal {
    fn mode(self) -> JournalMode {
        match self {
            Self::Delete => JournalMode::Delete,
            Self::Wal => JournalMode::Wal,
        }
    }
}

/// How much is said: a flag goes before a variable, either goes before the file.
fn volume(
    (quiet, verbose): (Option<bool>, Option<bool>),
    (key_quiet, key_verbose): (Option<bool>, Option<bool>),
) -> anyhow::Result<Volume> {
    let set = |name| std::env::var_os(name).is_some();
    let (quiet_typed, verbose_typed) = (!set("TATMIG_QUIET"), !set("TATMIG_VERBOSE"));
    Ok(match (quiet == Some(true), verbose == Some(true)) {
        (true, true) if quiet_typed == verbose_typed => {
            bail!("`--quiet` and `--verbose` ask for opposite things");
        }
        (true, true) if quiet_typed => Volume::Quiet,
        (true, false) => Volume::Quiet,
        (_, true) => Volume::Verbose,
        (false, false) if quiet.is_none() && key_quiet == Some(true) => Volume::Quiet,
        (false, false) if verbose.is_none() && key_verbose == Some(true) => Volume::Verbose,
        (false, false) => Volume::Normal,
    })
}

impl Keys {
    /// What is about servers, to be resolved apart.
    #[cfg(feature = "server")]
    fn take_servers(&mut self) -> server::Keys {
        server::Keys {
            server: self.server.take(),
            admin: self.admin.take(),
            namespace_pattern: self.namespace_pattern.take(),
            system_namespace: self.system_namespace.take(),
            users_from: self.users_from.take(),
            users_on: self.users_on.take(),
            server_timeout: self.server_timeout.take(),
        }
    }

    /// The keys, and the directory that their paths are relative to.
    fn load(named: Option<&Path>) -> anyhow::Result<(Self, PathBuf)> {
        let path = named.unwrap_or(Path::new("tatmig.toml"));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
                return Ok(Default::default());
            }
            Err(error) => bail!("the settings file `{}` cannot be read: {error}", path.display()),
        };
        let mut keys: Self = toml::from_str(&text)
            .with_context(|| format!("in the settings file `{}`", path.display()))?;
        let base = path.parent().unwrap_or(Path::new(""));
        let paths =
            [&mut keys.file, &mut keys.system_db, &mut keys.users_dir, &mut keys.backups_dir];
        for path in paths.into_iter().flatten() {
            *path = base.join(&*path);
            if path.as_os_str().is_empty() {
                *path = PathBuf::from(".");
            }
        }
        Ok((keys, base.to_owned()))
    }
}
