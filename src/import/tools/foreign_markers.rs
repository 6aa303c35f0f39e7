//! Refuses files with the markers of another tool than the one whose migrations are read: the up part
//! and the down part would both run.

use std::sync::LazyLock;

use regex::Regex;

use crate::document::imported::MigrationTool;
use crate::document::pattern::constant_pattern;
use crate::import::error::{FileLine, ImportError};
use crate::import::migration::{SourceMigration, SourceSection};

/// Comment lines that separate up from down in some tool.
static MARKER: LazyLock<Regex> = LazyLock::new(|| {
    constant_pattern(
        r"(?im)^[ \t]*(?:--|\#)[ \t\-/]*(migrate:(?:up|down)\b|\+goose[ \t]+\w+|\+migrate[ \t]+(?:up|down)\b|![ ]?(?:ups|downs)\b|@undo\b|rambler[ \t]+(?:up|down)\b|={2,}[ \t]*(?:up|down)[ \t]*={2,}|create above / drop below|rollback\b[ \t]*$|tern:)",
    )
});

/// Checks the SQL of a migration of a tool that has no markers.
pub(crate) fn check(tool: MigrationTool, migration: &SourceMigration) -> Result<(), ImportError> {
    for section in std::iter::once(&migration.up).chain(&migration.down) {
        check_section(tool, section)?;
    }
    Ok(())
}

fn check_section(tool: MigrationTool, section: &SourceSection) -> Result<(), ImportError> {
    for chunk in &section.chunks {
        let Some(found) = MARKER.captures(&chunk.text).and_then(|captures| captures.get(1)) else {
            continue;
        };
        let line = chunk.first_line + chunk.text[..found.start()].matches('\n').count();
        let marker = found.as_str();
        let owner = match marker.to_ascii_lowercase() {
            marker if marker.starts_with("migrate:") => {
                "; it is a marker of dbmate: use `--from dbmate`"
            }
            marker if marker.starts_with("+goose") => {
                "; it is a marker of goose: use `--from goose`"
            }
            _ => {
                "; it separates the up part from the down part in another tool, and both would run: split the file"
            }
        };
        return Err(ImportError::Text {
            at: FileLine { file: section.file.clone(), line },
            message: format!("`{marker}` means nothing to {tool}{owner}"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_of_other_tools_are_found() {
        for (line, expected) in [
            ("-- migrate:down", true),
            ("--migrate:up transaction:false", true),
            ("-- +goose Down", true),
            ("-- +migrate Down", true),
            ("# --- !Ups", true),
            ("-- !Downs", true),
            ("-- // @UNDO", true),
            ("--//@UNDO", true),
            ("-- rambler down", true),
            ("-- ==== DOWN ====", true),
            ("---- create above / drop below ----", true),
            ("-- down", false),
            ("-- rolls back a rollback of notes", false),
            ("SELECT '-- x';", false),
        ] {
            assert_eq!(MARKER.is_match(line), expected, "{line}");
        }
    }
}
