//! Writes the document of imported migrations, and remembers where in it each statement is, so that
//! errors can be shown with their places in the files.

use std::fmt::Write as _;
use std::ops::Range;

use jiff::civil::Date;
use semver::Version;

use crate::document::imported::{ImportedFrom, MigrationTool};
use crate::document::tag::{Scope, VersionPair, VersionPoint};
use crate::edit::new_migration::Bump;
use crate::edit::page::fence_around;
use crate::import::cleanup::{Action, Section};
use crate::import::comments::comment_out;
use crate::import::error::ImportError;
use crate::import::heading;

/// The migrations of a document that is being written.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) tool: MigrationTool,
    pub(crate) scope: Scope,
    pub(crate) first_version: Version,
    pub(crate) migrations: Vec<DraftMigration>,
}

#[derive(Debug)]
pub(crate) struct DraftMigration {
    pub(crate) imported_from: Vec<ImportedFrom>,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) date: Option<Date>,
    pub(crate) up: Section,
    pub(crate) down: Option<Section>,
}

/// The two directions of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

impl DraftMigration {
    pub(crate) fn section(&self, direction: Direction) -> Option<&Section> {
        match direction {
            Direction::Up => Some(&self.up),
            Direction::Down => self.down.as_ref(),
        }
    }

    pub(crate) fn section_mut(&mut self, direction: Direction) -> Option<&mut Section> {
        match direction {
            Direction::Up => Some(&mut self.up),
            Direction::Down => self.down.as_mut(),
        }
    }
}

/// The text of the document and the places of its statements, ascending.
#[derive(Debug, Default)]
pub(crate) struct RenderedDocument {
    pub(crate) text: String,
    pub(crate) placements: Vec<Placement>,
    /// The SQL of each block as it was written, in document order.
    pub(crate) blocks: Vec<Range<usize>>,
}

/// Where a statement is in the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// With the directive above it, if the statement is commented out.
    pub(crate) range: Range<usize>,
    /// The offset of its first line.
    pub(crate) statement_start: usize,
    pub(crate) migration: usize,
    pub(crate) direction: Direction,
    /// The index of the part of the section.
    pub(crate) part: usize,
}

impl RenderedDocument {
    /// The statement at an offset of the document.
    pub(crate) fn placement_at(&self, offset: usize) -> Option<&Placement> {
        let next = self.placements.partition_point(|placement| placement.range.start <= offset);
        let found = self.placements[..next].last()?;
        // A position behind the last token belongs to the statement as well.
        (offset <= found.range.end).then_some(found)
    }
}

impl Draft {
    /// The versions of every migration, in order.
    pub(crate) fn versions(&self) -> Result<Vec<VersionPair>, ImportError> {
        let mut to = self.first_version.clone();
        let mut from = VersionPoint::Baseline;
        let mut pairs = Vec::with_capacity(self.migrations.len());
        for index in 0..self.migrations.len() {
            if index > 0 {
                if to.pre.is_empty() && to.patch == u64::MAX {
                    return Err(ImportError::VersionOverflow(to));
                }
                to = Bump::Patch.apply(&to);
            }
            let point = VersionPoint::Version(to.clone());
            pairs.push(VersionPair::new(from, point.clone()));
            from = point;
        }
        Ok(pairs)
    }

    /// Writes the document.
    pub(crate) fn render(&self) -> Result<RenderedDocument, ImportError> {
        let mut document = RenderedDocument::default();
        let count = self.migrations.len();
        let _ = write!(
            document.text,
            "# Migrations\n\nImported by `tatmig import` from {}: {count} migration{}.\n",
            self.tool,
            if count == 1 { "" } else { "s" }
        );
        for (index, versions) in self.versions()?.iter().enumerate() {
            self.render_migration(&mut document, index, versions);
        }
        Ok(document)
    }

    fn render_migration(
        &self,
        document: &mut RenderedDocument,
        index: usize,
        versions: &VersionPair,
    ) {
        let migration = &self.migrations[index];
        let out = &mut document.text;
        let _ = write!(out, "\n## {}\n\n", heading::title(versions, &migration.name));
        if let Some(date) = migration.date {
            let _ = writeln!(out, "**Date**: {date}");
        }
        for imported_from in &migration.imported_from {
            let _ = writeln!(out, "{}", imported_line(imported_from));
        }
        if let Some(description) = &migration.description {
            let _ = writeln!(out, "**Description**: {description}");
        }
        self.render_block(document, index, Direction::Up, versions);
        if migration.down.is_some() {
            self.render_block(document, index, Direction::Down, &versions.reversed());
        }
    }

    fn render_block(
        &self,
        document: &mut RenderedDocument,
        migration: usize,
        direction: Direction,
        versions: &VersionPair,
    ) {
        let Some(section) = self.migrations[migration].section(direction) else { return };
        let mut block = BlockText::default();
        for (part, _) in section.parts.iter().enumerate() {
            block.add_part(section, part);
        }
        let sql = block.finish(direction);
        let fence = fence_around(&sql);
        let (scope, VersionPair { from, to }) = (self.scope, versions);
        let out = &mut document.text;
        let _ = write!(out, "\n{fence}sql\n-- [{scope}:{from}→{to}:start]\n");
        let start = out.len();
        let _ = write!(out, "{sql}-- [{scope}:{from}→{to}:end]\n{fence}\n");
        document.blocks.push(start..start + sql.len());
        document.placements.extend(block.ranges.into_iter().map(|found| Placement {
            range: start + found.range.start..start + found.range.end,
            statement_start: start + found.statement_start,
            migration,
            direction,
            part: found.part,
        }));
    }
}

/// The line that names the migration of the tool. A key that Markdown would change is in backticks.
pub(crate) fn imported_line(imported_from: &ImportedFrom) -> String {
    let ImportedFrom { tool, key, .. } = imported_from;
    let is_markdown = key.contains("__") || key.contains(['*', '<', '[', '\\', '&', '~']);
    let quote = if is_markdown && !key.contains('`') { "`" } else { "" };
    format!("**Imported**: {tool} {quote}{key}{quote}")
}

/// The SQL of one block.
#[derive(Default)]
struct BlockText {
    sql: String,
    ranges: Vec<PartRange>,
}

/// Where a part is in the SQL of its block.
struct PartRange {
    range: Range<usize>,
    statement_start: usize,
    part: usize,
}

impl BlockText {
    fn add_part(&mut self, section: &Section, index: usize) {
        let part = &section.parts[index];
        self.add_leading(&part.leading);
        let start = self.sql.len();
        match &part.action {
            Action::Keep => self.sql.push_str(&part.statement),
            Action::Remove(_) => return,
            Action::Todo(reason) => {
                self.end_line();
                let start = self.sql.len();
                let _ = writeln!(
                    self.sql,
                    "-- tatmig:todo {}:{}: {}",
                    section.file,
                    part.line,
                    one_line(reason)
                );
                let statement_start = self.sql.len();
                if !part.statement.is_empty() {
                    self.sql.push_str(&comment_out(&part.statement));
                    self.sql.push('\n');
                }
                let range = start..self.sql.len();
                self.ranges.push(PartRange { range, statement_start, part: index });
                return;
            }
        }
        if !part.statement.is_empty() {
            let range = start..self.sql.len();
            self.ranges.push(PartRange { range, statement_start: start, part: index });
        }
    }

    /// Adds what precedes a statement. Where a statement is left out, neither blank lines nor spaces
    /// at the start of a line add up.
    fn add_leading(&mut self, leading: &str) {
        let is_at_line_start = self.sql.is_empty() || self.sql.ends_with('\n');
        if !leading.trim().is_empty() {
            let trimmed = leading.trim_start_matches([' ', '\t']).trim_start_matches('\n');
            self.sql.push_str(if is_at_line_start { trimmed } else { leading });
            return;
        }
        let Some((line_ends, indentation)) = leading.rsplit_once('\n') else {
            self.sql.push_str(if is_at_line_start { "" } else { leading });
            return;
        };
        if !self.sql.is_empty() {
            let wanted = (line_ends.matches('\n').count() + 1).min(2);
            let existing = self.sql.len() - self.sql.trim_end_matches('\n').len();
            self.sql.push_str(&"\n".repeat(wanted.saturating_sub(existing)));
        }
        self.sql.push_str(indentation);
    }

    fn end_line(&mut self) {
        let visible = self.sql.trim_end_matches([' ', '\t']).len();
        self.sql.truncate(visible);
        if !self.sql.is_empty() && !self.sql.ends_with('\n') {
            self.sql.push('\n');
        }
    }

    /// The SQL with a line end. Without any SQL, a comment says so.
    fn finish(&mut self, direction: Direction) -> String {
        let mut sql = std::mem::take(&mut self.sql);
        sql.truncate(sql.trim_end().len());
        if sql.is_empty() {
            sql.push_str(match direction {
                Direction::Up => "-- the migration has no statements",
                Direction::Down => "-- nothing to undo",
            });
        }
        sql.push('\n');
        sql
    }
}

/// A text in one line, as a comment can contain it.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::migration::SourceSection;

    fn render(text: &str, todo: Option<usize>) -> String {
        let source = SourceSection::from_text("a.sql", text);
        let mut section = Section::from_source(&source, &[]);
        if let Some(index) = todo {
            section.parts[index].action = Action::Todo("no\n reason".to_owned());
        }
        let mut block = BlockText::default();
        for index in 0..section.parts.len() {
            block.add_part(&section, index);
        }
        block.finish(Direction::Up)
    }

    #[test]
    fn statements_are_written_as_they_are() {
        for text in [
            "-- why\nCREATE TABLE a (\n  b -- c\n);\n\n-- d\nSELECT 1; SELECT 2; -- e\nSELECT 3\n",
            "SELECT '\n\n\n';\n",
        ] {
            assert_eq!(render(text, None), text);
        }
        assert_eq!(render("", None), "-- the migration has no statements\n");
        assert_eq!(
            render("\n\n  SELECT 1;\n\n\n\n\nSELECT 2;\n\n", None),
            "  SELECT 1;\n\nSELECT 2;\n"
        );
    }

    #[test]
    fn statements_are_left_out_without_gaps() {
        assert_eq!(render("BEGIN;\nSELECT 1;\nCOMMIT;\n", None), "SELECT 1;\n");
        assert_eq!(
            render("SELECT 1;\n\nPRAGMA foreign_keys=OFF;\n\nSELECT 2;\n", None),
            "SELECT 1;\n\nSELECT 2;\n"
        );
        assert_eq!(render("-- a\nBEGIN; SELECT 1; -- b\nEND;", None), "-- a\nSELECT 1; -- b\n");
    }

    #[test]
    fn a_statement_for_a_person_is_a_comment_below_its_reason() {
        assert_eq!(
            render("SELECT 1; SELECT\n2; SELECT 3;\n", Some(1)),
            "SELECT 1;\n-- tatmig:todo a.sql:1: no reason\n-- SELECT\n-- 2;\nSELECT 3;\n"
        );
        assert_eq!(
            render("SELECT 1; -- one\nSELECT 2; -- two\n", Some(1)),
            "SELECT 1; -- one\n-- tatmig:todo a.sql:2: no reason\n-- SELECT 2;\n-- two\n"
        );
    }

    #[test]
    fn keys_that_markdown_would_change_are_in_backticks() {
        let line =
            |key: &str| imported_line(&ImportedFrom::new(MigrationTool::Kysely, key).unwrap());
        assert_eq!(line("2024_notes"), "**Imported**: kysely 2024_notes");
        assert_eq!(line("__init__"), "**Imported**: kysely `__init__`");
        assert_eq!(line("a`__b"), "**Imported**: kysely a`__b");
    }
}
