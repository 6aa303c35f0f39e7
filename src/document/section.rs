//! Sections: what headings say of the blocks under them, looked up from the innermost outwards.

use std::ops::Range;

use super::block::Blocks;
use super::tag::Point;

/// A heading and what it says about the blocks under it.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) level: u8,
    pub(crate) parent: Option<usize>,
    pub(crate) title: String,
    pub(crate) span: Range<usize>,
    pub(crate) binding: Option<(Point, Point)>,
    pub(crate) planned: bool,
    pub(super) date: Option<String>,
    pub(super) description: Option<String>,
    /// Whether a block stands under it or under a heading below it.
    pub(crate) used: bool,
}

impl Blocks<'_> {
    pub(crate) fn ancestors(&self, section: Option<usize>) -> impl Iterator<Item = &Section> {
        let mut next = section;
        std::iter::from_fn(move || {
            let section = &self.sections[next?];
            next = section.parent;
            Some(section)
        })
    }

    /// The heading that a migration is called by: the nearest one that binds, else the nearest.
    pub(crate) fn title(&self, section: Option<usize>) -> Option<&Section> {
        self.ancestors(section)
            .find(|section| section.binding.is_some())
            .or_else(|| self.ancestors(section).next())
    }

    pub(crate) fn planned(&self, section: Option<usize>) -> Option<&Section> {
        self.ancestors(section).find(|section| section.planned)
    }

    pub(crate) fn date(&self, section: Option<usize>) -> Option<&str> {
        self.field(section, |section| section.date.as_deref())
    }

    pub(crate) fn description(&self, section: Option<usize>) -> Option<&str> {
        self.field(section, |section| section.description.as_deref())
    }

    /// The nearest value, looked for no higher than the heading that names the migration.
    fn field(
        &self,
        section: Option<usize>,
        read: impl Fn(&Section) -> Option<&str>,
    ) -> Option<&str> {
        for section in self.ancestors(section) {
            if let Some(value) = read(section) {
                return Some(value);
            }
            if section.binding.is_some() {
                return None;
            }
        }
        None
    }
}
