//! Holds the blocks and sections of a document before its migrations are ordered, and looks up the
//! headings of a block from the innermost outwards.

use std::borrow::Cow;
use std::ops::Range;

use crate::document::diagnostic::Diagnostic;
use crate::document::imported::ImportedLine;
use crate::document::migration::{AllowDirective, block_range};
use crate::document::tag::{Tag, VersionPair};
use crate::source::SourceSlice;

/// A heading, and the properties that it gives to the blocks below it.
#[derive(Clone, Debug)]
pub(crate) struct Section<'a> {
    /// 1 to 6, as in HTML.
    pub(crate) level: u8,
    /// The index of the section that contains this one.
    pub(crate) parent: Option<usize>,
    pub(crate) title: Cow<'a, str>,
    pub(crate) span: Range<usize>,
    /// The versions in the title, which the tags below must agree with.
    pub(crate) versions: Option<VersionPair>,
    /// Whether the title holds `(Planned)`.
    pub(crate) planned: bool,
    pub(crate) date: Option<Cow<'a, str>>,
    pub(crate) description: Option<Cow<'a, str>>,
    /// The lines `**Imported**: …`, in document order.
    pub(crate) imported: Vec<ImportedLine>,
    /// Whether a block follows below this heading or below a deeper one, even a malformed block.
    pub(crate) has_blocks: bool,
    /// Whether such a block follows that no deeper heading binds to versions.
    pub(crate) has_unbound_blocks: bool,
}

/// The SQL between a start tag and its end tag.
#[derive(Clone, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) tag: Tag,
    /// The start tag's line.
    pub(crate) tag_span: Range<usize>,
    pub(crate) sql: SourceSlice<'a>,
    /// The index of the innermost section that contains the block.
    pub(crate) section: Option<usize>,
    pub(crate) allow_directives: Vec<AllowDirective>,
}

impl Block<'_> {
    /// The byte range of the block in the document, from its start tag to the end of its SQL.
    pub(crate) fn range(&self) -> Range<usize> {
        block_range(&self.tag_span, &self.sql)
    }
}

/// The blocks and sections of a document, in document order, and the errors found on the way.
#[derive(Debug, Default)]
pub(crate) struct Blocks<'a> {
    pub(crate) list: Vec<Block<'a>>,
    pub(crate) sections: Vec<Section<'a>>,
    /// The lines `**Imported**: …` above the first heading, which belong to no migration.
    pub(crate) imported_without_heading: Vec<ImportedLine>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl<'a> Blocks<'a> {
    /// A section and the sections that contain it, innermost first.
    pub(crate) fn ancestors(&self, section: Option<usize>) -> impl Iterator<Item = &Section<'a>> {
        let mut next = section;
        std::iter::from_fn(move || {
            let section = &self.sections[next?];
            next = section.parent;
            Some(section)
        })
    }

    /// The section whose heading names a migration: the innermost one with versions, else the
    /// innermost one.
    pub(crate) fn title_section(&self, section: Option<usize>) -> Option<&Section<'a>> {
        self.ancestors(section)
            .find(|section| section.versions.is_some())
            .or_else(|| self.ancestors(section).next())
    }

    /// The innermost section whose heading holds `(Planned)`.
    pub(crate) fn planned_section(&self, section: Option<usize>) -> Option<&Section<'a>> {
        self.ancestors(section).find(|section| section.planned)
    }

    pub(crate) fn date(&self, section: Option<usize>) -> Option<Cow<'a, str>> {
        self.nearest_field(section, |section| section.date.as_ref())
    }

    pub(crate) fn description(&self, section: Option<usize>) -> Option<Cow<'a, str>> {
        self.nearest_field(section, |section| section.description.as_ref())
    }

    /// The innermost value of a field, up to the heading that names the migration.
    fn nearest_field(
        &self,
        section: Option<usize>,
        get_field: impl for<'s> Fn(&'s Section<'a>) -> Option<&'s Cow<'a, str>>,
    ) -> Option<Cow<'a, str>> {
        for section in self.ancestors(section) {
            if let Some(value) = get_field(section) {
                return Some(value.clone());
            }
            if section.versions.is_some() {
                return None;
            }
        }
        None
    }
}
