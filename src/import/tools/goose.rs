//! Reads migrations of goose: files like `00001_notes.sql` with annotations such as `-- +goose Up`,
//! applied in the order of their numbers. Migrations in Go are left for a person.

use crate::document::imported::MigrationTool;
use crate::import::error::{FileLine, ImportError};
use crate::import::migration::{Chunk, SourceMigration, SourceSection, ToolMigrations, Variables};
use crate::import::source_tree::{SourceFile, SourceTree, has_extension};
use crate::import::tools::files::{NumberedName, left_out_note, outside_transaction_note};

/// The text of an annotation, if a line is one: `Up` of `-- +goose Up`.
fn annotation(line: &str) -> Option<&str> {
    let body = line.trim().strip_prefix("--")?.trim_start();
    let rest = body.get(..6).filter(|word| word.eq_ignore_ascii_case("+goose"))?;
    body[rest.len()..].starts_with(char::is_whitespace).then(|| body[rest.len()..].trim())
}

/// Whether a text has an annotation of goose.
pub(crate) fn has_marker(text: &str) -> bool {
    text.contains("+goose") && text.lines().any(|line| annotation(line).is_some())
}

pub(crate) fn read(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    let mut found = ToolMigrations::default();
    let mut numbered = Vec::new();
    let (mut programs_left_out, mut outside_transaction) = (Vec::new(), Vec::new());
    for path in tree.top_names() {
        let is_go = has_extension(path, "go") && !path.ends_with("_test.go");
        if !is_go && !has_extension(path, "sql") {
            continue;
        }
        let number = NumberedName::parse(path).and_then(|name| name.value());
        let Some(number) = number.filter(|number| *number > 0) else {
            programs_left_out.extend(is_go.then(|| path.to_owned()));
            continue;
        };
        let file = tree.file(path)?;
        let name = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
        let key = number.to_string();
        let migration = if is_go {
            let reason =
                format!("`{path}` is a migration in Go; write the statements that it runs");
            SourceMigration::new(key, name, SourceSection::from_code(&file.display_path, reason))
        } else {
            let parts = parse(file)?;
            if parts.is_outside_transaction {
                outside_transaction.push(name.to_owned());
            }
            let down = (!parts.down.is_empty())
                .then(|| SourceSection::from_chunks(&file.display_path, parts.down));
            let up = SourceSection::from_chunks(&file.display_path, parts.up);
            SourceMigration::new(key, name, up).with_down(down)
        };
        numbered.push(Numbered { number, migration });
    }
    numbered.sort_by_key(|found| found.number);
    found.migrations = numbered.into_iter().map(|found| found.migration).collect();
    found.notes.extend(left_out_note(MigrationTool::Goose, &programs_left_out));
    found.notes.extend(outside_transaction_note(&outside_transaction));
    Ok(found)
}

struct Numbered {
    number: i64,
    migration: SourceMigration,
}

/// What the lines below an annotation belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    Up,
    Down,
}

#[derive(Default)]
struct FileParts {
    up: Vec<Chunk>,
    down: Vec<Chunk>,
    is_outside_transaction: bool,
}

impl FileParts {
    /// Begins a chunk behind an annotation.
    fn begin_chunk(&mut self, part: Part, first_line: usize, variables: Variables) {
        let chunk = Chunk { variables, ..Chunk::new("", first_line) };
        match part {
            Part::Header | Part::Up => self.up.push(chunk),
            Part::Down => self.down.push(chunk),
        }
    }

    fn push_line(&mut self, part: Part, line: &str) {
        let chunks = match part {
            Part::Header | Part::Up => &mut self.up,
            Part::Down => &mut self.down,
        };
        if let Some(chunk) = chunks.last_mut() {
            chunk.text.push_str(line);
        }
    }
}

fn parse(file: &SourceFile) -> Result<FileParts, ImportError> {
    let text = file.text()?;
    let mut parts = FileParts::default();
    let mut part = Part::Header;
    let mut open_statement = None;
    let mut variables = Variables::None;
    let error = |line: usize, message: String| Err(text_error(file, line, message));
    parts.begin_chunk(part, 1, variables);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let number = index + 1;
        let Some(annotation) = annotation(line) else {
            let is_comment = line.trim().is_empty() || line.trim_start().starts_with("--");
            if part == Part::Header && !is_comment {
                return error(number, "a statement above `-- +goose Up`; move it below".to_owned());
            }
            parts.push_line(part, line);
            continue;
        };
        match annotation.to_ascii_lowercase().as_str() {
            "up" if part == Part::Header => part = Part::Up,
            "down" if part == Part::Up && open_statement.is_none() => part = Part::Down,
            "up" | "down" => {
                return error(
                    number,
                    format!(
                        "`+goose {annotation}` is in the wrong place: a file has one `-- +goose Up`, then at most one `-- +goose Down`"
                    ),
                );
            }
            "statementbegin" if part != Part::Header && open_statement.is_none() => {
                open_statement = Some(number);
            }
            "statementend" if open_statement.is_some() => open_statement = None,
            "statementbegin" | "statementend" => {
                return error(
                    number,
                    format!("`+goose {annotation}` has no partner, or is above `-- +goose Up`"),
                );
            }
            "no transaction" => parts.is_outside_transaction = true,
            "envsub on" | "envsubst on" => variables = Variables::Environment,
            "envsub off" | "envsubst off" => variables = Variables::None,
            _ => {
                return error(
                    number,
                    format!("`+goose {annotation}` is not an annotation of goose"),
                );
            }
        }
        parts.begin_chunk(part, number + 1, variables);
    }
    check_end(file, part, open_statement)?;
    Ok(parts)
}

/// Checks that the file has an up part and that every statement of several lines is closed.
fn check_end(
    file: &SourceFile,
    part: Part,
    open_statement: Option<usize>,
) -> Result<(), ImportError> {
    if part == Part::Header {
        let message = "the file has no line `-- +goose Up`, which goose requires; add it";
        return Err(text_error(file, 1, message.to_owned()));
    }
    match open_statement {
        Some(line) => {
            let message = "`-- +goose StatementBegin` without `-- +goose StatementEnd`";
            Err(text_error(file, line, message.to_owned()))
        }
        None => Ok(()),
    }
}

fn text_error(file: &SourceFile, line: usize, message: String) -> ImportError {
    ImportError::Text { at: FileLine { file: file.display_path.clone(), line }, message }
}
