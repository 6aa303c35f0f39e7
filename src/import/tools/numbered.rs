//! Reads migrations whose files begin with a number and hold plain SQL: those of golang-migrate, of
//! `SQLx` and of Cloudflare D1.

use std::collections::BTreeMap;

use crate::document::imported::MigrationTool;
use crate::import::error::ImportError;
use crate::import::migration::{SourceMigration, SourceSection, ToolMigrations};
use crate::import::source_tree::{SourceFile, SourceTree, TreeFile};
use crate::import::tools::files::{Depth, NumberedName, outside_transaction_note, sql_files};

/// The direction in which a file leads, according to its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileKind {
    Up,
    Down,
}

/// The two files of a version.
#[derive(Default)]
struct FilePair<'t> {
    up: Option<TreeFile<'t>>,
    down: Option<TreeFile<'t>>,
}

pub(crate) fn read_golang_migrate(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    read_pairs(tree, MigrationTool::GolangMigrate, |rest| {
        let kind_of = |suffix: &str| rest.ends_with(suffix);
        if kind_of(".up.sql") {
            Some(FileKind::Up)
        } else {
            kind_of(".down.sql").then_some(FileKind::Down)
        }
    })
}

pub(crate) fn read_sqlx(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    read_pairs(tree, MigrationTool::Sqlx, |rest| {
        Some(if rest.ends_with(".down.sql") { FileKind::Down } else { FileKind::Up })
    })
}

/// Reads files by the numbers before their first `_`. `kind_of` decides by the rest of the name; of
/// `None` the tool takes no notice.
fn read_pairs(
    tree: &SourceTree,
    tool: MigrationTool,
    kind_of: impl Fn(&str) -> Option<FileKind>,
) -> Result<ToolMigrations, ImportError> {
    let mut pairs: BTreeMap<i64, FilePair<'_>> = BTreeMap::new();
    for file in sql_files(tree, Depth::Top)? {
        let name = NumberedName::parse(file.path);
        let kind = name.and_then(|name| kind_of(name.rest));
        let (Some(name), Some(kind)) = (name, kind) else {
            continue;
        };
        let Some(number) = name.value() else {
            return Err(number_too_large(file.file));
        };
        let pair = pairs.entry(number).or_default();
        let place = match kind {
            FileKind::Up => &mut pair.up,
            FileKind::Down => &mut pair.down,
        };
        if let Some(first) = place.replace(file) {
            let (first, second) = (first.file.display_path.clone(), file.file.display_path.clone());
            return Err(ImportError::DuplicateKey { tool, key: number.to_string(), first, second });
        }
    }
    let mut found = ToolMigrations::default();
    let mut outside_transaction = Vec::new();
    for (number, pair) in pairs {
        let Some(up) = pair.up else {
            let Some(down) = pair.down else { continue };
            return Err(ImportError::File {
                file: down.file.display_path.clone(),
                message: "no file leads up to this version; add it, or remove this one".to_owned(),
            });
        };
        let name = up.path.trim_end_matches(".sql").trim_end_matches(".up");
        if tool == MigrationTool::Sqlx && up.file.text()?.starts_with("-- no-transaction") {
            outside_transaction.push(name.to_owned());
        }
        let down = pair.down.map(|down| whole_file(down.file)).transpose()?;
        let up = whole_file(up.file)?;
        found.migrations.push(SourceMigration::new(number.to_string(), name, up).with_down(down));
    }
    found.notes.extend(outside_transaction_note(&outside_transaction));
    Ok(found)
}

/// Migrations of D1 run in the order of their numbers; a migration is known by its file name.
pub(crate) fn read_d1(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    let mut files = sql_files(tree, Depth::Top)?;
    // As wrangler's `parseInt` reads them: a name without a number comes last.
    files.sort_by_key(|file| {
        let digits = file.path.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("");
        digits.parse::<u128>().unwrap_or(u128::MAX)
    });
    let mut found = ToolMigrations::default();
    for file in files {
        let name = file.path.trim_end_matches(".sql");
        found.migrations.push(SourceMigration::new(file.path, name, whole_file(file.file)?));
    }
    Ok(found)
}

/// A section of a whole file.
pub(crate) fn whole_file(file: &SourceFile) -> Result<SourceSection, ImportError> {
    Ok(SourceSection::from_text(&file.display_path, file.text()?))
}

fn number_too_large(file: &SourceFile) -> ImportError {
    ImportError::File {
        file: file.display_path.clone(),
        message: "the number before the first `_` is too large".to_owned(),
    }
}
