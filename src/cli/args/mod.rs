//! Defines the commands and their help texts.

pub(crate) mod copy;
pub(crate) mod document_commands;
pub(crate) mod global;
pub(crate) mod help;
pub(crate) mod options;
mod output;
pub(crate) mod report_files;
pub(crate) mod selection;
#[cfg(feature = "server")]
pub(crate) mod server;
pub(crate) mod standalone_commands;
mod version;

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use crate::cli::args::document_commands::DocumentCommand;
use crate::cli::args::global::GlobalArgs;
use crate::cli::args::options::{
    AdoptArgs, BackupAction, CreateArgs, DowngradeArgs, LintArgs, QueryArgs, RedoArgs, ResetArgs,
    RestoreArgs, StatusArgs, UpgradeArgs, VerifyArgs,
};
use crate::cli::args::report_files::ReportArgs;
use crate::cli::args::selection::SelectionArgs;
use crate::cli::args::standalone_commands::StandaloneCommand;
use crate::cli::args::version::LONG_VERSION;

/// Migrate SQLite databases, one per user, from one Markdown file
///
/// The file, MIGRATIONS.md, holds the SQL of every migration in tagged code blocks. Each database
/// is fully migrated or left unchanged.
#[derive(Debug, Parser)]
#[command(
    version,
    long_version = LONG_VERSION.as_str(),
    arg_required_else_help = true,
    after_help = "\
Examples:
  tatmig demo                       create a small fleet and upgrade it
  tatmig lint                       check MIGRATIONS.md
  tatmig upgrade --all-users        migrate the system database, then every user database
  tatmig status                     show the version of every database

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

impl CliArgs {
    /// The definition that completions and man pages are generated from.
    pub(crate) fn clap_command() -> clap::Command {
        Self::command()
    }
}

/// The commands that need settings. Most need the document too.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply pending migrations
    ///
    /// The system database is migrated first, to head (the latest released version) or to the
    /// version of --to, then the selected user databases.
    ///
    /// Each database is migrated in one transaction, or left unchanged. If a user database fails,
    /// the others continue; fix the cause and run the command again.
    #[command(aliases = ["up", "migrate"], after_help = "\
Examples:
  tatmig upgrade --all-users                 migrate everything to the latest version
  tatmig upgrade --user ann --user bob       the system database and two users
  tatmig upgrade --user ann --no-system      ann's database alone
  tatmig upgrade --create ann                the same, and create ann's database if it is missing
  tatmig upgrade --all-users --dry-run       print the SQL that would run, change nothing
  tatmig upgrade --all-users --canary 5      five users first, the rest only if they succeed
  tatmig upgrade --to 0.3.20 --all-users     stop at that version
  tatmig upgrade --all-users --rehearse      run everything on the real rows, then roll back
  tatmig upgrade --all-users --all-or-nothing
  tatmig upgrade --all-users --backup        copy databases before they are changed")]
    Upgrade(UpgradeArgs),
    /// Undo migrations with reverse blocks
    ///
    /// The selected user databases are downgraded first, then the system database, which keeps its
    /// version while a user database is at a higher one.
    ///
    /// The tag of a reverse block names the higher version first: `-- [user:0.3.20→0.3.19:start]`.
    /// All missing reverse blocks are reported before any database is changed. Databases are backed
    /// up first unless --no-backup is given.
    #[command(aliases = ["down", "rollback"], after_help = "\
Examples:
  tatmig downgrade --to 0.3.19 --all-users   everything down to 0.3.19
  tatmig downgrade -1 --all-users            one migration down from the highest version found
  tatmig downgrade --to 0.3.19 --user ann    ann's database alone
  tatmig downgrade --to baseline --all-users --dry-run")]
    Downgrade(DowngradeArgs),
    /// Undo the last migration and apply it as it is now
    ///
    /// For development: after an edit of the last migration, the databases that applied it otherwise
    /// undo it with the reverse block that it was applied with, which the system database stores, and
    /// apply it as the file has it now. Both run in one transaction per database. Without an edit,
    /// every selected database at that version does the same.
    ///
    /// What the migration created is deleted and created again, with its rows. Databases are backed
    /// up first unless --no-backup is given.
    #[command(after_help = "\
Examples:
  tatmig redo --all-users            the system database, then every user database
  tatmig redo --user ann             ann's database alone
  tatmig redo --all-users --dry-run  print the SQL that would run, change nothing
  tatmig adopt --user ann            if the schema already has what the edited migration creates")]
    Redo(RedoArgs),
    /// Show versions and pending migrations
    ///
    /// Up to 30 databases are listed; beyond that, counts are shown, and only those databases that
    /// differ from the most common state.
    #[command(aliases = ["info", "current"], after_help = "\
Examples:
  tatmig status                  versions and pending migrations
  tatmig status -v               list every database
  tatmig status --exit-code      exit with 3 if anything is pending
  tatmig status --stats          rows of every table and sizes, summed over the users
  tatmig status --stats --user ann")]
    Status(StatusArgs),
    /// List the document's migrations, or the histories of databases
    #[command(after_help = "\
Examples:
  tatmig history                 the document's migrations, newest last
  tatmig history --user ann      the history of ann's database
  tatmig history --system        the history of the system database
  tatmig history --all-users     the histories of all databases")]
    History {
        #[command(flatten)]
        selection: SelectionArgs,
    },
    /// Check the migration file; no database needed
    ///
    /// The file is checked for errors and risky SQL, and all of its SQL is run in memory.
    ///
    /// --fix applies changes that have one meaning, such as the label of a fence or the case of a tag,
    /// and never changes the SQL of a released migration. The result is checked again, and is written only
    /// if nothing is worse.
    ///
    /// --explain describes a rule. A comment `-- tatmig:allow RULE reason` in a block allows a rule
    /// for that block.
    #[command(after_help = "\
Examples:
  tatmig lint                        exit with 2 if `upgrade` would refuse the document
  tatmig lint --deny warnings        exit with 1 for any warning
  tatmig lint --deny stray-fence     exit with 1 for one kind of warning
  tatmig lint --explain destructive  what a rule reports and how to fix it
  tatmig lint --fix --dry-run        print the changes that --fix would make
  tatmig lint --watch                check again after each save
  tatmig lint --format github        print annotations for a pull request
  tatmig lint --min-sqlite 3.31.0    report what an application's older SQLite cannot read")]
    Lint(LintArgs),
    /// Check integrity, foreign keys, history and schema of databases
    ///
    /// The history and the schema of every database are compared with the document. Databases with
    /// the same result are shown once.
    #[command(after_help = "\
Examples:
  tatmig verify                  exit with 1 if anything is wrong
  tatmig verify --user ann       check ann's database alone
  tatmig verify -v               list every database")]
    Verify(VerifyArgs),
    /// Check before a deployment that an upgrade can run
    ///
    /// Settings with where each came from, the document, directories, permissions, free disk space,
    /// journal modes, databases that other processes have open, SQLite versions, and the limit of
    /// open files. Nothing is changed. The exit status is 1 if an upgrade would fail.
    #[command(after_help = "\
Examples:
  tatmig doctor                  check everything
  tatmig doctor -v               name every database that is in use")]
    Doctor,
    /// Run all migrations on generated rows; no data may be lost
    ///
    /// The migrations are run in memory; no database of the fleet is opened. Rows are inserted at the
    /// baseline and carried to the latest version: NULLs, duplicates and badly typed values wherever
    /// no constraint forbids them. Where reverse blocks exist, each version is also downgraded and
    /// upgraded again. Exits with 1 if a row, a value, an index or a trigger is lost, if a migration
    /// fails, or if a table accepts no row.
    ///
    /// Where no real database has such rows, `-- tatmig:assert reason` above a SELECT that returns
    /// them says so: the rows are then left out, and the test names the assertion.
    #[command(after_help = "\
Examples:
  tatmig test                    test every version
  tatmig test --json             print the result as JSON")]
    Test(ReportArgs),
    /// Create the system database and new user databases
    ///
    /// The system database, if it is missing, and the databases of the users named are created at
    /// head. Existing databases are left unchanged.
    #[command(after_help = "\
Examples:
  tatmig init                    create system.db
  tatmig init --user ann         create ann's database, and system.db if it is missing
  tatmig init --user ann --no-system")]
    Init {
        #[command(flatten)]
        selection: SelectionArgs,
        /// Path of the user's database in the users directory, for a --user-pattern with `*`
        #[arg(long, value_name = "PATH")]
        path: Option<PathBuf>,
        #[command(flatten)]
        create_args: CreateArgs,
    },
    /// Record a version without running or checking anything
    #[command(after_help = "\
Examples:
  tatmig stamp 0.3.19 --all-users    every database is at 0.3.19 from now on
  tatmig stamp head                  the system database has all of the document's schema
  tatmig stamp baseline --user ann   the next upgrade runs the baseline for ann")]
    Stamp {
        /// Version to record: a number, `head` or `baseline`
        version: String,
        #[command(flatten)]
        selection: SelectionArgs,
    },
    /// Detect and record the version of databases without a history
    ///
    /// The version is the one whose schema the database has. If it has none, every likely version is
    /// tried on an empty copy in memory, and the one is recorded from which the rest of the document
    /// leads nearest to the latest schema. What differs now and what will differ after the upgrade
    /// is shown and accepted.
    ///
    /// In a database with a history, `adopt` accepts a migration that was edited after it was
    /// applied, if the schema has what the edited migration creates.
    #[command(after_help = "\
Examples:
  tatmig adopt --all-users           record the version of each, show what differs
  tatmig adopt --user ann --at 0.3.19
  tatmig adopt --user ann --at baseline    a database of another origin; run the baseline next")]
    Adopt(AdoptArgs),
    /// Run one read-only statement on databases
    ///
    /// The statement runs on every selected database, all of them without a selection. The name of
    /// the database is the first column. No byte of a database changes; a statement that writes is
    /// refused. Databases where the statement fails are reported at the end, and the exit status is
    /// then 1.
    ///
    /// In a table and in CSV, all databases must have the same columns. A blob is printed as x'00ff',
    /// and NULL as NULL (in CSV as an empty field).
    #[command(after_help = "\
Examples:
  tatmig query \"SELECT count(*) AS notes FROM notes\" --no-system
  tatmig query \"SELECT count(*) AS notes FROM notes\" --no-system --sum
  tatmig query \"SELECT name FROM accounts\" --system --csv > accounts.csv
  tatmig query --user ann --ndjson \"SELECT * FROM notes\" | jq .body
  tatmig query - < report.sql")]
    Query(QueryArgs),
    /// Run seed blocks
    ///
    /// A seed block, tagged `[user:seed:NAME:start]`, is run in a transaction each time. Seeds have
    /// no version and leave no history entry.
    #[command(after_help = "\
Examples:
  tatmig seed settings                     the system block of the seed `settings`
  tatmig seed sample-data --user ann       the user block of `sample-data`, for ann
  tatmig seed sample-data --all-users      both blocks, for all databases")]
    Seed {
        /// Names of the seeds to run, in this order
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        selection: SelectionArgs,
    },
    /// Copy databases while they are in use
    ///
    /// The copies are written to a new directory, which is named after the time in UTC. They are
    /// checked and synced to disk before the directory gets its name, so a backup is complete or
    /// does not exist.
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "\
Examples:
  tatmig backup --all-users      the system database and every user database
  tatmig backup                  the system database alone
  tatmig backup --user ann       ann's database alone
  tatmig backup list             list the backups
  tatmig backup prune --keep 5   remove all but the newest five"
    )]
    Backup {
        #[command(flatten)]
        selection: SelectionArgs,
        #[command(subcommand)]
        action: Option<BackupAction>,
    },
    /// Restore databases from a backup
    ///
    /// Each copy is compared with its checksum, and each database is overwritten in one transaction,
    /// its history included. The present databases are backed up first unless --no-backup is given. A
    /// database that another program has open is refused.
    #[command(after_help = "\
Examples:
  tatmig restore 20261121T114500Z                everything in that backup
  tatmig restore 20261121T114500Z --user ann     ann's database alone
  tatmig restore latest --system                 the system database from the newest backup")]
    Restore(RestoreArgs),
    /// Replace databases with empty ones (asks first)
    ///
    /// All rows of these databases are deleted; the new databases are at head. The present databases are backed up first unless
    /// --no-backup is given; `tatmig restore` restores them.
    #[command(after_help = "\
Examples:
  tatmig reset                   the system database
  tatmig reset --user ann --yes  ann's database alone, without asking
  tatmig reset --all-users       the system database and every user database")]
    Reset(ResetArgs),
    /// Copy databases from files to a libSQL server
    ///
    /// Each database is copied into its namespace, its history included, and every value is
    /// compared.
    ///
    /// The files stay unchanged; stop writers during the copy. A namespace that holds something
    /// else is left unchanged and reported. Run the command again to finish what failed.
    #[cfg(feature = "server")]
    #[command(after_help = "\
Examples:
  tatmig push --all-users --server http://db.example:8080 --admin http://db.example:9090")]
    Push {
        #[command(flatten)]
        selection: SelectionArgs,
    },
    /// Copy databases from a libSQL server to files
    ///
    /// Each namespace is copied into a file, its history included, and every value is compared.
    ///
    /// The namespaces stay unchanged. A file that holds something else is left unchanged and
    /// reported. Run the command again to finish what failed.
    #[cfg(feature = "server")]
    #[command(after_help = "\
Examples:
  tatmig pull --all-users --server http://db.example:8080 --users-dir users")]
    Pull {
        #[command(flatten)]
        selection: SelectionArgs,
    },
    #[command(flatten)]
    Document(DocumentCommand),
    /// Create a small fleet with data and upgrade it
    ///
    /// The files are kept so that you can experiment.
    #[command(after_help = "\
Examples:
  tatmig demo                    in ./tatmig-demo, or the next free name
  tatmig demo /tmp/fleet         in this directory")]
    Demo {
        /// Directory to create [default: tatmig-demo]
        dir: Option<PathBuf>,
    },
}
