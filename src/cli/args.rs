//! What was typed, and what it means: flags come before variables, variables before the file
//! `tatmig.toml`, the file before the defaults. The only place that knows clap and toml.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use tatmig::fleet::Shard;

use crate::cli::command_args::{
    BackupAction, CreateArgs, DowngradeArgs, LintArgs, NewArgs, ResetArgs, RestoreArgs, SchemaArgs,
    StatusArgs, UpgradeArgs, UserArgs,
};
#[cfg(feature = "server")]
use crate::cli::server;
use crate::cli::settings::OutputFormat;

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
pub(crate) struct CliArgs {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: CommandKind,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CommandKind {
    #[command(flatten)]
    Configured(Command),
    #[command(flatten)]
    Standalone(StandaloneCommand),
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
#[allow(clippy::struct_excessive_bools)] // flags, as typed
pub(crate) struct GlobalArgs {
    /// The document [default: MIGRATIONS.md]
    #[arg(short, long, global = true, env = "TATMIG_FILE", value_name = "PATH", hide_env = true)]
    pub(crate) file: Option<PathBuf>,
    /// The system database [default: system.db]
    #[arg(long, global = true, env = "TATMIG_SYSTEM_DB", value_name = "PATH", hide_env = true)]
    pub(crate) system_db: Option<PathBuf>,
    /// The directory of the user databases [default: .]
    #[arg(long, global = true, env = "TATMIG_USERS_DIR", value_name = "DIR", hide_env = true)]
    pub(crate) users_dir: Option<PathBuf>,
    /// How their files are named [default: {username}_longterm.db]
    #[arg(
        long,
        global = true,
        env = "TATMIG_USER_PATTERN",
        value_name = "PATTERN",
        hide_env = true
    )]
    pub(crate) user_pattern: Option<String>,
    /// The directory of the backups [default: backups]
    #[arg(long, global = true, env = "TATMIG_BACKUPS_DIR", value_name = "DIR", hide_env = true)]
    pub(crate) backups_dir: Option<PathBuf>,
    /// Settings in TOML [default: tatmig.toml, if it is there]
    #[arg(long, global = true, env = "TATMIG_CONFIG", value_name = "PATH", hide_env = true)]
    pub(crate) config: Option<PathBuf>,
    /// Open user databases that are symbolic links
    #[arg(long, global = true, env = "TATMIG_FOLLOW_SYMLINKS", value_parser = BoolishValueParser::new(), hide_env = true, num_args = 0, default_missing_value = "true")]
    pub(crate) follow_symlinks: Option<bool>,
    /// Say nothing but errors
    #[arg(short, long, global = true, env = "TATMIG_QUIET", value_parser = BoolishValueParser::new(), hide_env = true, num_args = 0, default_missing_value = "true")]
    pub(crate) quiet: Option<bool>,
    /// Name every database
    #[arg(short, long, global = true, env = "TATMIG_VERBOSE", value_parser = BoolishValueParser::new(), hide_env = true, num_args = 0, default_missing_value = "true")]
    pub(crate) verbose: Option<bool>,
    /// How long to wait for a database that another program has locked, in seconds [default: 10]
    #[arg(long, global = true, env = "TATMIG_BUSY_TIMEOUT", value_name = "SECONDS", value_parser = parse_seconds, hide_env = true)]
    pub(crate) busy_timeout: Option<Duration>,
    /// How many databases are worked on at once [default: 32, as the descriptor limit allows]
    #[arg(long, global = true, env = "TATMIG_JOBS", value_name = "N", hide_env = true)]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// When to use colours [default: auto]
    #[arg(long, global = true, env = "TATMIG_COLOR", value_name = "WHEN", hide_env = true)]
    pub(crate) color: Option<ColorWhen>,
    /// Only the users of this part of the fleet: `2/8` is the second of eight
    #[arg(long, global = true, env = "TATMIG_SHARD", value_name = "I/N", hide_env = true)]
    pub(crate) shard: Option<Shard>,
    /// Print one JSON document
    #[arg(long, global = true, env = "TATMIG_JSON", value_parser = BoolishValueParser::new(), hide_env = true, num_args = 0, default_missing_value = "true")]
    pub(crate) json: Option<bool>,
    #[cfg(feature = "server")]
    #[command(flatten)]
    pub(crate) servers: server::ServerArgs,
}

impl GlobalArgs {
    /// The form of the results as far as it was typed.
    pub(crate) fn json(&self) -> OutputFormat {
        if self.json == Some(true) { OutputFormat::Json } else { OutputFormat::Text }
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ColorWhen {
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
    Upgrade(UpgradeArgs),
    /// Bring databases down by reverse blocks: the users named first, then the system database
    #[command(visible_aliases = ["down", "rollback"], after_help = "\
Examples:
  tatmig downgrade --to 0.3.19 --all-users   everything down to 0.3.19
  tatmig downgrade -1 --all-users            one migration down from the highest version found
  tatmig downgrade --to 0.3.19 --user ann    one user; the system database stays above the others
  tatmig downgrade --to baseline --all-users --dry-run

A reverse block is tagged with the higher version first: `-- [user:0.3.20→0.3.19:start]`. Every one
that is missing is named before anything is touched. What is changed is copied first; see `backup`.")]
    Downgrade(DowngradeArgs),
    /// Tell the version of every database and what is pending
    #[command(visible_aliases = ["info", "current"], after_help = "\
Examples:
  tatmig status                  past 30 databases: counts, and those that differ from the most
  tatmig status -v               every database
  tatmig status --exit-code      exit status 3 if anything is pending
  tatmig status --stats          rows of every table and sizes, summed over the users
  tatmig status --stats --user ann")]
    Status(StatusArgs),
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
    Lint(LintArgs),
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
        create_args: CreateArgs,
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
        users: UserArgs,
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
        users: UserArgs,
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
        users: UserArgs,
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
        users: UserArgs,
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
    Restore(RestoreArgs),
    /// Put new, empty databases at head in the place of those named; asks first
    #[command(after_help = "\
Examples:
  tatmig reset                   the system database, after a question
  tatmig reset --user ann --yes  ann's database alone, without one
  tatmig reset --all-users       the system database and every user's

Every row of them goes. What is there now is copied first unless `--no-backup`; see `restore`.")]
    Reset(ResetArgs),
    /// Copy the databases of files into the namespaces of a libSQL server, and compare them
    #[cfg(feature = "server")]
    #[command(after_help = "\
Examples:
  tatmig push --all-users --server http://db.example:8080 --admin http://db.example:9090

The files stay as they are. A namespace that holds something else is left alone; run it again to
finish what failed. Nobody should write meanwhile.")]
    Push {
        #[command(flatten)]
        users: UserArgs,
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
        users: UserArgs,
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
    New(NewArgs),
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
    Schema(SchemaArgs),
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
pub(crate) enum StandaloneCommand {
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
        command: Option<String>,
        /// Write every page into this directory, as `tatmig.1`, `tatmig-upgrade.1` …
        #[arg(long, value_name = "DIR", conflicts_with = "command")]
        dir: Option<PathBuf>,
    },
}

impl CliArgs {
    /// The definitions that all of this is made from.
    pub(crate) fn clap_command() -> clap::Command {
        Self::command()
    }
}

pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| "a number of seconds, such as 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
