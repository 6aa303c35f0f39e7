//! Reads the SQL that Django prints with `sqlmigrate`: one file for each migration, named like
//! `notes.0001_initial.sql` or `notes/0001_initial.sql`, or all in one file with a line
//! `-- notes.0001_initial` above each.

use std::sync::LazyLock;

use regex::Regex;

use crate::document::pattern::constant_pattern;
use crate::import::error::{FileLine, ImportError};
use crate::import::migration::{Chunk, SourceMigration, SourceSection, ToolMigrations};
use crate::import::source_tree::{SourceFile, SourceTree, TreeFile};
use crate::import::tools::files::{Depth, sql_files};
use crate::sql::lexer;

/// `-- notes.0001_initial`, with ` backwards` for the SQL of `sqlmigrate --backwards`.
static MARKER: LazyLock<Regex> = LazyLock::new(|| {
    constant_pattern(
        r"^--\s*(?:\[[ X]\]\s*)?(\w+)[. /](\d{4}_\w+)(\s+backwards)?(?:\s+\(.*\))?\s*$",
    )
});

/// The path of a file of one migration, without `.sql`.
static FILE_NAME: LazyLock<Regex> =
    LazyLock::new(|| constant_pattern(r"^(?:.*/)?(\w+)[./](\d{4}_\w+?)(\.down|\.backwards)?$"));

/// What Django prints for an operation that it cannot print as SQL.
const NOT_SQL: &str = "THIS OPERATION CANNOT BE WRITTEN AS SQL";

/// Whether a text is the output of `sqlmigrate`.
pub(crate) fn has_marker(text: &str) -> bool {
    let has_operation = |line: &str| {
        ["-- Create model ", "-- Add field ", "-- Alter field ", "-- Raw Python operation"]
            .iter()
            .any(|start| line.starts_with(start))
    };
    text.lines().any(|line| has_operation(line) || MARKER.is_match(line))
}

/// The statements of one migration in one direction.
struct Step {
    key: String,
    is_backwards: bool,
    section: SourceSection,
}

pub(crate) fn read(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    let mut found = ToolMigrations::default();
    let mut steps = Vec::new();
    if let Some(file) = tree.single_file() {
        steps = read_file(&file)?;
        if steps.is_empty() {
            return Err(ImportError::File {
                file: file.file.display_path.clone(),
                message: "the file does not say which migrations it holds; write a line such as `-- notes.0001_initial` above each".to_owned(),
            });
        }
    } else {
        for file in sql_files(tree, Depth::Recursive)? {
            steps.extend(read_file(&file)?);
        }
    }
    let (forwards, mut backwards): (Vec<_>, Vec<_>) =
        steps.into_iter().partition(|step| !step.is_backwards);
    for step in forwards {
        let position = backwards.iter().position(|back| back.key == step.key);
        let down = position.map(|position| backwards.remove(position).section);
        let name = step.key.replace('.', "_");
        let migration = SourceMigration::new(step.key.as_str(), &name, step.section);
        found.migrations.push(SourceMigration { date: None, ..migration }.with_down(down));
    }
    if let Some(step) = backwards.first() {
        return Err(ImportError::File {
            file: step.section.file.clone(),
            message: format!("`{}` has no SQL that leads up; add it", step.key),
        });
    }
    if tree.single_file().is_none() && has_several_apps(&found.migrations) {
        found.notes.push("the migrations of several apps are in the order of the names of the apps; for another order, write all of them into one file".to_owned());
    }
    Ok(found)
}

fn has_several_apps(migrations: &[SourceMigration]) -> bool {
    let mut apps = migrations.iter().flat_map(|found| &found.keys).map(|key| key.split('.').next());
    let first = apps.next();
    apps.any(|app| Some(app) != first)
}

/// The migrations of a file: by its marker lines, else by its name.
fn read_file(file: &TreeFile<'_>) -> Result<Vec<Step>, ImportError> {
    let steps = read_marked(file.file)?;
    if !steps.is_empty() {
        return Ok(steps);
    }
    let name = file.path.strip_suffix(".sql").unwrap_or(file.path);
    let Some(captures) = FILE_NAME.captures(name) else { return Ok(Vec::new()) };
    let chunk = Chunk::new(file.file.text()?, 1);
    let step = new_step(
        format!("{}.{}", &captures[1], &captures[2]),
        captures.get(3).is_some(),
        &file.file.display_path,
        &chunk,
    );
    Ok(vec![step])
}

/// The migrations below marker lines; none if the file has no such line.
fn read_marked(file: &SourceFile) -> Result<Vec<Step>, ImportError> {
    let text = file.peek()?;
    let mut pieces: Vec<MarkedPiece> = Vec::new();
    let mut preamble = String::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        match MARKER.captures(line.trim_end()) {
            Some(captures) => pieces.push(MarkedPiece {
                key: format!("{}.{}", &captures[1], &captures[2]),
                is_backwards: captures.get(3).is_some(),
                chunk: Chunk::new("", index + 2),
            }),
            None => match pieces.last_mut() {
                Some(piece) => piece.chunk.text.push_str(line),
                None => preamble.push_str(line),
            },
        }
    }
    if !pieces.is_empty() && !lexer::is_empty(&preamble) {
        return Err(ImportError::Text {
            at: FileLine { file: file.display_path.clone(), line: 1 },
            message: "statements above the first line such as `-- notes.0001_initial`; add the line above them".to_owned(),
        });
    }
    if !pieces.is_empty() {
        file.mark_used();
    }
    let steps = pieces
        .into_iter()
        .map(|piece| new_step(piece.key, piece.is_backwards, &file.display_path, &piece.chunk));
    Ok(steps.collect())
}

struct MarkedPiece {
    key: String,
    is_backwards: bool,
    chunk: Chunk,
}

/// A step; an operation in Python is left for a person where it is.
fn new_step(key: String, is_backwards: bool, file: &str, chunk: &Chunk) -> Step {
    let mut chunks = Vec::new();
    let mut current = Chunk::new("", chunk.first_line);
    for (index, line) in chunk.text.split_inclusive('\n').enumerate() {
        current.text.push_str(line);
        if line.contains(NOT_SQL) {
            let number = chunk.first_line + index;
            let reason = format!(
                "`{key}` runs Python here, which Django does not print; write the statements that it runs"
            );
            chunks.extend([current, Chunk::from_code(reason, number)]);
            current = Chunk::new("", number + 1);
        }
    }
    chunks.push(current);
    Step { key, is_backwards, section: SourceSection::from_chunks(file, chunks) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_lines_and_file_names_name_app_and_migration() {
        let marker =
            |line: &str| MARKER.captures(line).map(|found| format!("{}.{}", &found[1], &found[2]));
        assert_eq!(marker("-- notes.0001_initial").as_deref(), Some("notes.0001_initial"));
        assert_eq!(marker("-- notes 0001_initial").as_deref(), Some("notes.0001_initial"));
        assert_eq!(
            marker("-- [X]  notes.0002_a (2 squashed migrations)").as_deref(),
            Some("notes.0002_a")
        );
        assert_eq!(
            marker("-- notes.0001_initial backwards").as_deref(),
            Some("notes.0001_initial")
        );
        assert_eq!(marker("-- Create model Note"), None);
        assert_eq!(marker("-- see notes.0001_initial for more"), None);
        let file = |name: &str| {
            FILE_NAME.captures(name).map(|found| format!("{}.{}", &found[1], &found[2]))
        };
        assert_eq!(file("notes.0001_initial").as_deref(), Some("notes.0001_initial"));
        assert_eq!(file("notes/0001_initial").as_deref(), Some("notes.0001_initial"));
        assert_eq!(file("sql/notes/0001_initial.down").as_deref(), Some("notes.0001_initial"));
        assert_eq!(file("0001_initial"), None);
    }
}
