//! Collects the sections and blocks of a document, and checks each block against its heading.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use crate::document::blocks::{Block, Blocks, Section};
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::directive::{BlockState, read_directives};
use crate::document::heading::{heading_versions, is_planned};
use crate::document::heading_checks;
use crate::document::imported::ImportedLine;
use crate::document::invisible::check_characters;
use crate::document::tag::{Tag, VersionPair, VersionPoint};
use crate::document::tag_errors::OpenBlock;
use crate::source::SourceSlice;

/// The document as read so far.
#[derive(Default)]
pub(crate) struct BlockCollector<'a> {
    blocks: Blocks<'a>,
    /// The index of the section that the next line belongs to.
    current_section: Option<usize>,
}

impl<'a> BlockCollector<'a> {
    pub(crate) fn blocks(&self) -> &Blocks<'a> {
        &self.blocks
    }

    pub(crate) fn diagnostics_mut(&mut self) -> &mut Vec<Diagnostic> {
        &mut self.blocks.diagnostics
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.blocks.diagnostics.push(diagnostic);
    }

    pub(crate) fn current_section_mut(&mut self) -> Option<&mut Section<'a>> {
        self.current_section.map(|index| &mut self.blocks.sections[index])
    }

    /// The versions that the current section or one around it binds tags to.
    pub(crate) fn current_versions(&self) -> Option<&VersionPair> {
        self.blocks.ancestors(self.current_section).find_map(|section| section.versions.as_ref())
    }

    /// Starts a section at a heading.
    pub(crate) fn add_section(&mut self, level: u8, title: Cow<'a, str>, span: Range<usize>) {
        let mut parent = self.current_section;
        while let Some(index) = parent.filter(|index| self.blocks.sections[*index].level >= level) {
            parent = self.blocks.sections[index].parent;
        }
        let (versions, planned) = (heading_versions(&title), is_planned(&title));
        self.current_section = Some(self.blocks.sections.len());
        self.blocks.sections.push(Section {
            level,
            parent,
            title,
            span,
            versions,
            planned,
            date: None,
            description: None,
            imported: Vec::new(),
            has_blocks: false,
            has_unbound_blocks: false,
        });
    }

    /// Dates the current section, unless it has a date.
    pub(crate) fn set_date(&mut self, date: Cow<'a, str>) {
        if let Some(section) = self.current_section_mut() {
            section.date.get_or_insert(date);
        }
    }

    /// Describes the current section, unless it has a description.
    pub(crate) fn set_description(&mut self, description: Cow<'a, str>) {
        if let Some(section) = self.current_section_mut() {
            section.description.get_or_insert(description);
        }
    }

    /// Adds a line `**Imported**: …` to the current section.
    pub(crate) fn add_imported(&mut self, line: ImportedLine) {
        match self.current_section_mut() {
            Some(section) => section.imported.push(line),
            None => self.blocks.imported_without_heading.push(line),
        }
    }

    /// Marks the current section and those that contain it as having a block, even a malformed one.
    pub(crate) fn mark_section_as_used(&mut self) {
        let mut next = self.current_section;
        let mut is_bound = false;
        while let Some(index) = next {
            let section = &mut self.blocks.sections[index];
            section.has_blocks = true;
            section.has_unbound_blocks |= !is_bound;
            is_bound |= section.versions.is_some();
            next = section.parent;
        }
    }

    /// Adds the block that starts at `open` and whose end tag begins at `end`, both in `content`.
    pub(crate) fn add_block(&mut self, content: &SourceSlice<'a>, open: OpenBlock, end: usize) {
        let tag_span = content.document_span(open.tag_span);
        let sql = content.slice(open.sql_start..end);
        if let Some(at) = memchr(0, sql.text().as_bytes()) {
            self.report(
                Diagnostic::new(
                    Rule::NulCharacter,
                    sql.document_span(at..at + 1),
                    "a NUL character in a block: SQLite would ignore the rest of the SQL",
                )
                .help("remove the NUL character"),
            );
        }
        if let Tag::Migration { from, to, .. } = &open.tag {
            self.check_heading_versions(&tag_span, from, to);
            if from == to {
                self.report(
                    Diagnostic::new(
                        Rule::SameVersion,
                        tag_span.clone(),
                        format!("this migration starts and ends at `{from}`"),
                    )
                    .help("replace the second version by the one that the block migrates to"),
                );
            }
        }
        let state = match self.blocks.planned_section(self.current_section) {
            Some(_) => BlockState::Planned,
            None => BlockState::Released,
        };
        let diagnostics = &mut self.blocks.diagnostics;
        check_characters(&sql, |found| diagnostics.push(found));
        let allow_directives = read_directives(&sql, state, |found| diagnostics.push(found));
        self.blocks.list.push(Block {
            tag: open.tag,
            tag_span,
            sql,
            section: self.current_section,
            allow_directives,
        });
    }

    /// Reports a tag whose versions are neither those of its heading nor their reverse.
    fn check_heading_versions(
        &mut self,
        tag_span: &Range<usize>,
        from: &VersionPoint,
        to: &VersionPoint,
    ) {
        let heading = self
            .blocks
            .ancestors(self.current_section)
            .find_map(|section| Some((section.versions.as_ref()?, &section.span)));
        let Some((versions, heading_span)) = heading else { return };
        if versions.matches_either_way(from, to) {
            return;
        }
        let diagnostic = Diagnostic::new(
            Rule::HeadingMismatch,
            tag_span.clone(),
            format!("the tag's versions `{from}→{to}` are not those of its heading, `{versions}`"),
        )
        .related(heading_span.clone(), "the heading of this tag")
        .help("correct the versions in the tag, if it was copied from another migration, or in the heading");
        self.report(diagnostic);
    }

    /// The document's blocks, after the checks of its headings.
    pub(crate) fn finish(mut self) -> Blocks<'a> {
        heading_checks::check_sections(&mut self.blocks);
        self.blocks
    }
}
