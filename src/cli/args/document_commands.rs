//! Defines the commands that write the document or print its schema, with their help texts and
//! options.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use tatmig::Scope;
use tatmig::document::MigrationTool;
use tatmig::edit::{Bump, PlannedPolicy};
use tatmig::schema_diff::Rename;

/// The commands that write the document or print its schema.
#[derive(Debug, Subcommand)]
pub(crate) enum DocumentCommand {
    /// Add a migration to the file
    ///
    /// The new section, with tags and today's date, is written above the planned migrations.
    ///
    /// With --from-db, its SQL is the difference between the document's schema at head and the
    /// schema of that database, which is only read. The SQL is run in memory first and must lead to
    /// exactly that schema.
    #[command(after_help = "\
Examples:
  tatmig new --minor -m \"Notes can be pinned\"
  tatmig new 1.2.0 -m \"Accounts have a language\" --scope system
  tatmig new --patch -m \"Columns added by hand\" --from-db ann_longterm.db --reverse
  tatmig new 0.3.21 -m \"A fix\" --relink       before planned migrations; renumbers them")]
    New(NewArgs),
    /// Write the file from the migrations of another tool
    ///
    /// Each file becomes one migration with its name, its date and its reverse block. The result is
    /// run in memory before it is written; an existing file is never overwritten.
    ///
    /// What tatmig cannot take over is written as a comment, `-- tatmig:todo`, which `lint` and
    /// `upgrade` refuse until a person has written the SQL; the exit status is then 1. `adopt`
    /// reads from the version table of the tool which migrations a database has.
    #[command(after_help = "\
Examples:
  tatmig import db/migrations                    find the tool and write MIGRATIONS.md
  tatmig import drizzle --from drizzle --scope system
  tatmig import migrations --version-from 1.0.0 --squash-before 20240131120000
  alembic upgrade head --sql | tatmig import - --from alembic
  tatmig import db/structure.sql --from rails")]
    Import(ImportArgs),
    /// Release the next planned migration
    ///
    /// `(Planned)` is removed from its heading, and its SQL is uncommented.
    #[command(after_help = "\
Examples:
  tatmig promote 0.3.21          release the planned migration to 0.3.21")]
    Promote {
        /// Version of the planned migration
        version: String,
    },
    /// Move a migration behind another one after a merge
    ///
    /// Two branches that both added a migration give the file two migrations from one version. The one
    /// that is not released moves behind the other: it and all that follows get higher versions in
    /// their headings and tags, planned migrations included. Text is not changed; lines that name an
    /// old version are listed.
    ///
    /// A migration is released if the history of a database records it. If both have the same
    /// versions and no database recorded either, --after says that the last one in the file moves.
    #[command(after_help = "\
Examples:
  tatmig renumber 0.3.20                 move the migration to 0.3.20 that no database recorded
  tatmig renumber 0.3.20 --after 0.3.21  move it behind 0.3.21")]
    Renumber(RenumberArgs),
    /// Print the schema as SQL or as a Mermaid diagram
    ///
    /// The schema is that of the document at head or at a version.
    ///
    /// --diff prints a table of the differences in comments and the SQL that leads from one schema to
    /// the other; nothing is written. The exit status is 0, with --check 1 if the schemas differ.
    ///
    /// --write and --check use two markers in the document, each on a line of its own:
    /// `<!-- tatmig:schema:start -->` and `<!-- tatmig:schema:end -->`. The first one may contain
    /// `format=sql` or `format=mermaid`, `scope=user` and `at=1.2.0`.
    #[command(after_help = "\
Examples:
  tatmig schema --scope user                   the user schema as SQL
  tatmig schema --at 0.3.19 --format mermaid   a diagram of each scope
  tatmig schema --write                        update the schema in the document
  tatmig schema --check                        exit with 1 if that schema is out of date
  tatmig schema --diff 0.3.19..head            what differs, as a table and as SQL
  tatmig schema --diff ann_longterm.db         from the document to a database
  tatmig schema --diff-user ann --check        exit with 1 if there is a difference")]
    Schema(SchemaArgs),
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
    #[arg(long)]
    patch: bool,
    /// Use the next minor version
    #[arg(long)]
    minor: bool,
    /// Use the next major version
    #[arg(long)]
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
    #[arg(long)]
    write: bool,
    /// Exit with 1 if the schema between the markers is out of date, or if --diff finds a difference
    #[arg(long)]
    check: bool,
    /// Print what differs from one version to another (`V1..V2`), or from the document to this file: a
    /// database or another document
    #[arg(long, value_name = "V1..V2|FILE")]
    pub(crate) diff: Option<String>,
    /// Print what differs from the document to the database of this user
    #[arg(long, value_name = "NAME")]
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
pub(crate) struct RenumberArgs {
    /// Version that the migration leads to
    pub(crate) version: String,
    /// Version to move it behind [default: the last one that databases recorded, else the other
    /// migration]
    #[arg(long, value_name = "VERSION")]
    pub(crate) after: Option<String>,
}
