//! Reads migrations of Drizzle: the files that `meta/_journal.json` lists, in its order; or, as newer
//! versions write them, directories with `migration.sql` and `snapshot.json`.

use jiff::civil::DateTime;
use serde::Deserialize;

use crate::import::date::date_of_milliseconds;
use crate::import::error::ImportError;
use crate::import::migration::{Chunk, SourceMigration, SourceSection, ToolMigrations};
use crate::import::source_tree::{SourceFile, SourceTree};
use crate::import::tools::nested::directories_with;
use crate::sql::lexer;
use crate::sql::lexer::TokenKind;

const JOURNAL: &str = "meta/_journal.json";

/// The comment between two statements.
const BREAKPOINT: &str = "--> statement-breakpoint";

#[derive(Deserialize)]
struct Journal {
    #[serde(default)]
    dialect: String,
    entries: Vec<JournalEntry>,
}

#[derive(Deserialize)]
struct JournalEntry {
    /// Milliseconds since 1970, which identify the migration in the database.
    when: i64,
    tag: String,
}

/// Whether the directories are those of a newer version of Drizzle.
pub(crate) fn has_directories(tree: &SourceTree) -> bool {
    !directories_with(tree, "snapshot.json").is_empty()
        && !directories_with(tree, "migration.sql").is_empty()
}

pub(crate) fn read(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    if tree.entry(JOURNAL).is_none() && has_directories(tree) {
        return read_directories(tree);
    }
    let mut found = ToolMigrations::default();
    if tree.entry(JOURNAL).is_none() {
        return Ok(found);
    }
    let journal_file = tree.file(JOURNAL)?;
    let error = |message: String| {
        Err(ImportError::File { file: journal_file.display_path.clone(), message })
    };
    let journal: Journal = match serde_json::from_str(journal_file.text()?) {
        Ok(journal) => journal,
        Err(found) => return error(format!("this is not a journal of Drizzle: {found}")),
    };
    if !matches!(journal.dialect.as_str(), "" | "sqlite" | "turso") {
        return error(format!(
            "the migrations are for `{}`, and tatmig migrates SQLite databases",
            journal.dialect
        ));
    }
    for entry in &journal.entries {
        let path = format!("{}.sql", entry.tag);
        let file = tree.file(&path)?;
        let migration = SourceMigration::new(entry.when.to_string(), &entry.tag, section(file)?);
        let date = date_of_milliseconds(entry.when);
        found.migrations.push(SourceMigration { date, ..migration });
    }
    Ok(found)
}

fn read_directories(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    let mut found = ToolMigrations::default();
    for name in directories_with(tree, "migration.sql") {
        let file = tree.file(&format!("{name}/migration.sql"))?;
        let Some(when) = milliseconds_of_name(name) else {
            return Err(ImportError::File {
                file: tree.display_path(name),
                message: "the name of the directory does not begin with a time such as `20240131120000`; rename it".to_owned(),
            });
        };
        found.migrations.push(SourceMigration::new(when.to_string(), name, section(file)?));
    }
    Ok(found)
}

/// The time at the beginning of a directory's name, in milliseconds since 1970, which identifies the
/// migration in the database.
fn milliseconds_of_name(name: &str) -> Option<i64> {
    let digits = name.get(..14)?;
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i8>().ok();
    let time = DateTime::new(
        digits.get(..4)?.parse().ok()?,
        number(4..6)?,
        number(6..8)?,
        number(8..10)?,
        number(10..12)?,
        number(12..14)?,
        0,
    );
    let zoned = time.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

/// The statements between the breakpoints.
fn section(file: &SourceFile) -> Result<SourceSection, ImportError> {
    let text = file.text()?;
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut first_line = 1;
    for token in lexer::tokens(text, 0) {
        let is_breakpoint =
            token.kind == TokenKind::Comment && text[token.range.clone()].trim_end() == BREAKPOINT;
        if is_breakpoint {
            let chunk = &text[start..token.range.start];
            chunks.push(Chunk::new(chunk, first_line));
            first_line += chunk.matches('\n').count();
            start = token.range.end;
        }
    }
    chunks.push(Chunk::new(&text[start..], first_line));
    Ok(SourceSection::from_chunks(&file.display_path, chunks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_directory_is_in_milliseconds() {
        assert_eq!(milliseconds_of_name("20240131120000_notes"), Some(1_706_702_400_000));
        assert_eq!(milliseconds_of_name("20241331120000_notes"), None);
        assert_eq!(milliseconds_of_name("0000_notes"), None);
        assert_eq!(milliseconds_of_name("2024é"), None);
    }
}
