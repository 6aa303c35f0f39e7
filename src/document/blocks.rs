//! Sections: what headings say of the blocks under them, looked up from the innermost outwards.

use std::borrow::Cow;
use std::ops::Range;

use crate::document::diagnostic::Diagnostic;
use crate::document::migration::AllowDirective;
use crate::document::tag::{Tag, VersionPoint};
use crate::source::SourceSlice;

/// A heading and what it says about the blocks under it.
#[derive(Clone, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) level: u8,
    pub(crate) parent: Option<usize>,
    pub(crate) title: Cow<'a, str>,
    pub(crate) span: Range<usize>,
    pub(crate) versions: Option<(VersionPoint, VersionPoint)>,
    pub(crate) planned: bool,
    pub(crate) date: Option<Cow<'a, str>>,
    pub(crate) description: Option<Cow<'a, str>>,
    /// Whether a block stands under it or under a heading below it.
    pub(crate) has_blocks: bool,
}

impl<'a> Blocks<'a> {
    pub(crate) fn ancestors(&self, section: Option<usize>) -> impl Iterator<Item = &Section<'a>> {
        let mut next = section;
        std::iter::from_fn(move || {
            let section = &self.sections[next?];
            next = section.parent;
            Some(section)
        })
    }

    /// The heading that a migration is called by: the nearest one that binds, else the nearest.
    pub(crate) fn title_section(&self, section: Option<usize>) -> Option<&Section<'a>> {
        self.ancestors(section)
            .find(|section| section.versions.is_some())
            .or_else(|| self.ancestors(section).next())
    }

    pub(crate) fn planned_section(&self, section: Option<usize>) -> Option<&Section<'a>> {
        self.ancestors(section).find(|section| section.planned)
    }

    pub(crate) fn date(&self, section: Option<usize>) -> Option<Cow<'a, str>> {
        self.nearest_field(section, |section| section.date.as_ref())
    }

    pub(crate) fn description(&self, section: Option<usize>) -> Option<Cow<'a, str>> {
        self.nearest_field(section, |section| section.description.as_ref())
    }

    /// The nearest value, looked for no higher than the heading that names the migration.
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

/// The SQL between a start tag and its end tag.
#[derive(Clone, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) tag: Tag,
    /// The start tag's line.
    pub(crate) tag_span: Range<usize>,
    pub(crate) sql: SourceSlice<'a>,
    pub(crate) section: Option<usize>,
    pub(crate) allow_directives: Vec<AllowDirective>,
}

/// All that the document holds, before any thought of order.
#[derive(Debug, Default)]
pub(crate) struct Blocks<'a> {
    pub(crate) list: Vec<Block<'a>>,
    pub(crate) sections: Vec<Section<'a>>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}
