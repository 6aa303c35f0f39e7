//! Reads the files of each tool: which of them are migrations, in which order, and what is up and
//! down. One file for a tool, or for a few whose files have the same form.

pub(crate) mod alembic;
pub(crate) mod dbmate;
pub(crate) mod django;
pub(crate) mod drizzle;
pub(crate) mod files;
pub(crate) mod flyway;
pub(crate) mod foreign_markers;
pub(crate) mod goose;
pub(crate) mod nested;
pub(crate) mod numbered;
pub(crate) mod rails;
pub(crate) mod refinery;
pub(crate) mod scripts;

use crate::document::imported::MigrationTool;
use crate::import::error::ImportError;
use crate::import::migration::ToolMigrations;
use crate::import::source_tree::{SourceTree, has_extension};

/// Reads the migrations of a tool in the order in which it applies them; at least one.
pub(crate) fn read_migrations(
    tree: &SourceTree,
    tool: MigrationTool,
) -> Result<ToolMigrations, ImportError> {
    if let Some(file) = tree.single_file()
        && !reads_single_files(tool)
    {
        return Err(ImportError::File {
            file: file.file.display_path.clone(),
            message: format!("this is a file; name the directory of the migrations of {tool}"),
        });
    }
    let mut found = match tool {
        MigrationTool::Dbmate => dbmate::read(tree),
        MigrationTool::Goose => goose::read(tree),
        MigrationTool::GolangMigrate => numbered::read_golang_migrate(tree),
        MigrationTool::Sqlx => numbered::read_sqlx(tree),
        MigrationTool::D1 => numbered::read_d1(tree),
        MigrationTool::Refinery => refinery::read(tree),
        MigrationTool::Diesel => nested::read_diesel(tree),
        MigrationTool::Prisma => nested::read_prisma(tree),
        MigrationTool::Flyway => flyway::read(tree),
        MigrationTool::Drizzle => drizzle::read(tree),
        MigrationTool::Kysely => scripts::read_kysely(tree),
        MigrationTool::Knex => scripts::read_knex(tree),
        MigrationTool::Alembic => alembic::read(tree),
        MigrationTool::Django => django::read(tree),
        MigrationTool::Rails => rails::read(tree),
    }?;
    if found.migrations.is_empty() {
        return Err(ImportError::NoMigrations {
            directory: tree.name.clone(),
            tool,
            expected: format!("{}{}", expected_files(tool), nested_hint(tree)),
        });
    }
    if !matches!(tool, MigrationTool::Dbmate | MigrationTool::Goose) {
        for migration in &found.migrations {
            foreign_markers::check(tool, migration)?;
        }
    }
    found.notes.extend(files::left_out_note(tool, &tree.unused_sql_files()));
    Ok(found)
}

/// Names the first directory below the one that was named that has files of SQL.
fn nested_hint(tree: &SourceTree) -> String {
    let mut nested = tree.paths().filter(|path| has_extension(path, "sql"));
    match nested.find_map(|path| path.rsplit_once('/')) {
        Some((directory, _)) => {
            format!("; `{}` has files of SQL: name that directory", tree.display_path(directory))
        }
        None => String::new(),
    }
}

/// Whether one file, or standard input, holds all migrations of a tool.
pub(crate) fn reads_single_files(tool: MigrationTool) -> bool {
    matches!(tool, MigrationTool::Alembic | MigrationTool::Django | MigrationTool::Rails)
}

/// The tables in which a tool keeps its own state.
pub(crate) fn version_tables(tool: MigrationTool) -> &'static [&'static str] {
    match tool {
        MigrationTool::Dbmate | MigrationTool::GolangMigrate => &["schema_migrations"],
        MigrationTool::Goose => &["goose_db_version"],
        MigrationTool::Sqlx => &["_sqlx_migrations"],
        MigrationTool::Refinery => &["refinery_schema_history"],
        MigrationTool::Diesel => &["__diesel_schema_migrations"],
        MigrationTool::Flyway => &["flyway_schema_history"],
        MigrationTool::Drizzle => &["__drizzle_migrations"],
        MigrationTool::Prisma => &["_prisma_migrations"],
        MigrationTool::D1 => &["d1_migrations"],
        MigrationTool::Kysely => &["kysely_migration", "kysely_migration_lock"],
        MigrationTool::Knex => &["knex_migrations", "knex_migrations_lock"],
        MigrationTool::Alembic => &["alembic_version"],
        MigrationTool::Django => &["django_migrations"],
        MigrationTool::Rails => &["schema_migrations", "ar_internal_metadata"],
    }
}

/// What the files of a tool look like, and how to get them where they are written in another
/// language.
fn expected_files(tool: MigrationTool) -> &'static str {
    match tool {
        MigrationTool::Dbmate => "its files are named like `20240131120000_notes.sql`",
        MigrationTool::Goose => "its files are named like `00001_notes.sql`",
        MigrationTool::GolangMigrate => "its files are named like `000001_notes.up.sql`",
        MigrationTool::Sqlx => {
            "its files are named like `20240131120000_notes.sql` or `20240131120000_notes.up.sql`"
        }
        MigrationTool::Refinery | MigrationTool::Flyway => {
            "its files are named like `V1__notes.sql`"
        }
        MigrationTool::Diesel => {
            "each migration is a directory like `2024-01-31-120000_notes` with a file `up.sql`"
        }
        MigrationTool::Drizzle => "the directory has a file `meta/_journal.json`",
        MigrationTool::Prisma => {
            "each migration is a directory like `20240131120000_notes` with a file `migration.sql`"
        }
        MigrationTool::D1 => "its files are named like `0001_notes.sql`",
        MigrationTool::Kysely | MigrationTool::Knex => {
            "write the SQL of each migration beside it, in a file like `20240131_notes.ts.sql`"
        }
        MigrationTool::Alembic => {
            "write its SQL with `alembic upgrade head --sql > upgrade.sql` and name that file"
        }
        MigrationTool::Django => {
            "write the SQL of each migration with `python manage.py sqlmigrate notes 0001 > notes.0001_initial.sql`"
        }
        MigrationTool::Rails => {
            "set `config.active_record.schema_format = :sql`, run `bin/rails db:schema:dump` and name `db/structure.sql`"
        }
    }
}
