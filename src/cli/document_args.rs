//! Defines the commands that write the document or print its schema, and their help texts.

use clap::Subcommand;

use crate::cli::command_args::{ImportArgs, NewArgs, RenumberArgs, SchemaArgs};

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
