//! Reads migrations that are directories: those of Diesel, with `up.sql` and `down.sql`, and those of
//! Prisma, with `migration.sql`.

use crate::import::error::{FileLine, ImportError};
use crate::import::migration::{SourceMigration, SourceSection, ToolMigrations};
use crate::import::source_tree::SourceTree;
use crate::import::tools::files::outside_transaction_note;
use crate::import::tools::numbered::whole_file;

/// The directories directly below the root that have a file of this name, in the order of their
/// names.
pub(crate) fn directories_with<'t>(tree: &'t SourceTree, file: &str) -> Vec<&'t str> {
    let has_file = |name: &&str| tree.entry(&format!("{name}/{file}")).is_some();
    tree.top_names().filter(|name| tree.is_directory(name)).filter(has_file).collect()
}

pub(crate) fn read_diesel(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    let mut found = ToolMigrations::default();
    let mut outside_transaction = Vec::new();
    let mut versions = Vec::new();
    for name in directories_with(tree, "up.sql") {
        let version = name.split('_').next().unwrap_or("").replace('-', "");
        if version.is_empty() || !name.contains('_') {
            return Err(ImportError::File {
                file: tree.display_path(name),
                message: "the name of the directory has no version before a `_`; rename it"
                    .to_owned(),
            });
        }
        let metadata = format!("{name}/metadata.toml");
        if tree.entry(&metadata).is_some() {
            let text = tree.file(&metadata)?.text()?;
            let runs_outside = |line: &str| {
                line.split_whitespace().collect::<String>() == "run_in_transaction=false"
            };
            if text.lines().any(runs_outside) {
                outside_transaction.push(name.to_owned());
            }
        }
        let up = whole_file(tree.file(&format!("{name}/up.sql"))?)?;
        let down = read_optional(tree, &format!("{name}/down.sql"))?;
        versions.push(Versioned {
            migration: SourceMigration::new(version.as_str(), name, up).with_down(down),
            version,
        });
    }
    // Diesel compares versions as texts.
    versions.sort_by(|left, right| left.version.cmp(&right.version));
    found.migrations = versions.into_iter().map(|found| found.migration).collect();
    found.notes.extend(outside_transaction_note(&outside_transaction));
    Ok(found)
}

struct Versioned {
    version: String,
    migration: SourceMigration,
}

/// Prisma knows no down part. `down.sql` beside `migration.sql` is what its documentation writes with
/// `prisma migrate diff`.
pub(crate) fn read_prisma(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    check_prisma_provider(tree)?;
    let mut found = ToolMigrations::default();
    for name in directories_with(tree, "migration.sql") {
        let up = whole_file(tree.file(&format!("{name}/migration.sql"))?)?;
        let down = read_optional(tree, &format!("{name}/down.sql"))?;
        found.migrations.push(SourceMigration::new(name, name, up).with_down(down));
    }
    Ok(found)
}

/// Fails if the migrations are for another database than SQLite.
fn check_prisma_provider(tree: &SourceTree) -> Result<(), ImportError> {
    const LOCK_FILE: &str = "migration_lock.toml";
    if tree.entry(LOCK_FILE).is_none() {
        return Ok(());
    }
    let file = tree.file(LOCK_FILE)?;
    for (index, line) in file.text()?.lines().enumerate() {
        let Some((name, value)) = line.split_once('=') else { continue };
        let provider = value.trim().trim_matches('"');
        if name.trim() == "provider" && provider != "sqlite" {
            return Err(ImportError::Text {
                at: FileLine { file: file.display_path.clone(), line: index + 1 },
                message: format!(
                    "the migrations are for `{provider}`, and tatmig migrates SQLite databases"
                ),
            });
        }
    }
    Ok(())
}

fn read_optional(tree: &SourceTree, path: &str) -> Result<Option<SourceSection>, ImportError> {
    tree.entry(path).map(|_| whole_file(tree.file(path)?)).transpose()
}
