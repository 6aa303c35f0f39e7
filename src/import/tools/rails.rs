//! Reads `structure.sql` of Rails: the schema, which becomes one baseline, and the versions of the
//! migrations in it, which an INSERT at the end of the file lists.

use std::collections::BTreeSet;

use crate::document::imported::MigrationTool;
use crate::import::date::date_of_name;
use crate::import::error::ImportError;
use crate::import::migration::{SourceMigration, SourceSection, ToolMigrations};
use crate::import::source_tree::{SourceTree, TreeFile};
use crate::import::tools::files::Depth;
use crate::import::tools::files::sql_files;
use crate::schema::is_sqlite_name;
use crate::sql::create_statement::ModuleDefinition;
use crate::sql::lexer::{TokenKind, unquote};
use crate::sql::object_statement::{ObjectStatement, created_table};
use crate::sql::statements::split;
use crate::sql::tokens::Tokens;

/// Whether a text is a `structure.sql`.
pub(crate) fn has_marker(text: &str) -> bool {
    text.contains("schema_migrations") && !versions_of(text).is_empty()
}

pub(crate) fn read(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    let mut found = ToolMigrations::default();
    let files = match tree.single_file() {
        Some(file) => vec![file],
        None => sql_files(tree, Depth::Top)?,
    };
    let mut structures: Vec<TreeFile<'_>> = Vec::new();
    for file in files {
        if has_marker(file.file.peek()?) {
            structures.push(file);
        }
    }
    let file = match structures.as_slice() {
        [] => return Ok(found),
        [file] => file.file,
        [first, second, ..] => {
            return Err(ImportError::File {
                file: second.file.display_path.clone(),
                message: format!(
                    "`{}` is a structure of a Rails database as well; name one of the two files",
                    first.file.display_path
                ),
            });
        }
    };
    let text = file.text()?;
    let mut keys = versions_of(text);
    keys.sort();
    keys.dedup();
    let date = keys.last().and_then(|version| date_of_name(version));
    let name = match keys.as_slice() {
        [only] => format!("structure of {only}"),
        [first, .., last] => format!("structure of {first} to {last}"),
        [] => String::new(),
    };
    let up = without_sqlite_tables(text, &file.display_path, &mut found.notes);
    found.notes.push(format!(
        "{} migrations of {} are one baseline: `structure.sql` holds only the schema",
        keys.len(),
        MigrationTool::Rails
    ));
    found.migrations.push(SourceMigration { keys, name, date, up, down: None });
    Ok(found)
}

/// The versions in each `INSERT INTO schema_migrations`.
fn versions_of(text: &str) -> Vec<String> {
    let mut versions = Vec::new();
    for range in split(text) {
        let tokens = Tokens::new(&text[range.statement]);
        if !tokens.match_seq(0, &["INSERT", "INTO"]) || !tokens.is_name(2, "schema_migrations") {
            continue;
        }
        let values = (3..tokens.len()).filter(|index| {
            tokens.kind(*index) == Some(TokenKind::Quoted) && tokens.text(*index).starts_with('\'')
        });
        versions.extend(values.map(|index| unquote(tokens.text(index)).into_owned()));
    }
    versions
}

/// The text without the statements that create SQLite's own tables and those of its modules, which a
/// dump contains and SQLite refuses.
fn without_sqlite_tables(text: &str, file: &str, notes: &mut Vec<String>) -> SourceSection {
    let shadow_tables = shadow_tables_of(text);
    let mut kept = String::with_capacity(text.len());
    let mut has_own_tables = false;
    for range in split(text) {
        let statement = &text[range.statement.clone()];
        let name = created_table(&Tokens::new(statement)).map(|name| name.to_ascii_lowercase());
        kept.push_str(&text[range.leading]);
        if name.is_some_and(|name| is_sqlite_name(&name) || shadow_tables.contains(&name)) {
            has_own_tables = true;
            // The numbers of the lines stay.
            kept.push_str(&"\n".repeat(statement.matches('\n').count()));
        } else {
            kept.push_str(statement);
        }
    }
    if has_own_tables {
        notes.push("SQLite's own tables, such as `sqlite_sequence` and those of a search index, are left out: SQLite creates them itself".to_owned());
    }
    SourceSection::from_text(file, &kept)
}

/// The names in lower case of the tables that the modules of virtual tables create.
fn shadow_tables_of(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in split(text).into_iter().map(|range| &text[range.statement]) {
        let tokens = Tokens::new(statement);
        let Some(created) = ObjectStatement::parse(&tokens).filter(|_| tokens.is(1, "VIRTUAL"))
        else {
            continue;
        };
        let table = tokens.name(created.name).to_ascii_lowercase();
        let suffixes = ModuleDefinition::parse(statement).shadow_suffixes().unwrap_or_default();
        names.extend(suffixes.iter().map(|suffix| format!("{table}_{suffix}")));
    }
    names
}
