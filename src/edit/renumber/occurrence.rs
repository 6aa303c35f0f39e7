//! Finds each migration of a document that cannot be ordered: after a merge, two of them may have the
//! same versions, and only their headings separate them.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::document::migration::Checksum;
use crate::document::tag::{Scope, Tag, VersionPair, VersionPoint};
use crate::edit::error::EditError;
use crate::edit::page::DocumentView;
use crate::source::Source;
use crate::sql::lexer;

/// One migration as it occurs in the document: its blocks, its reverse blocks and its heading.
#[derive(Clone, Debug)]
pub(crate) struct Occurrence {
    /// Its versions, from the lower to the higher one.
    pub(crate) versions: VersionPair,
    /// The outermost section whose heading has its versions.
    pub(crate) section: Option<usize>,
    /// Where a heading for it is missing: a merge left one heading for two migrations, and this is
    /// not the first one below it.
    pub(crate) missing_heading: Option<usize>,
    /// Its part of the document; empty if it has no heading.
    pub(crate) range: Range<usize>,
    /// The indexes of its blocks, reverse blocks included, in document order.
    pub(crate) blocks: Vec<usize>,
    pub(crate) planned: bool,
    /// The line of its heading, or of its first tag.
    pub(crate) line: usize,
    /// The byte offset of its first tag.
    pub(crate) start: usize,
    /// The checksums of its blocks of both scopes; that of an empty block where it has none.
    checksums: [Checksum; 2],
}

impl Occurrence {
    pub(crate) fn checksum(&self, scope: Scope) -> Checksum {
        self.checksums[scope as usize]
    }
}

/// The migrations of the chain, not the baselines, in document order.
///
/// # Errors
///
/// A tag occurs twice in one code block, or a block of a migration that occurs twice is outside of
/// both headings.
pub(crate) fn find_occurrences(
    view: &DocumentView<'_>,
    source: &Source<'_>,
) -> Result<Vec<Occurrence>, EditError> {
    let mut by_place: BTreeMap<(VersionPair, Option<usize>), Vec<usize>> = BTreeMap::new();
    for (index, block) in view.blocks.list.iter().enumerate() {
        let Tag::Migration { from, to, .. } = &block.tag else { continue };
        if *from == VersionPoint::Baseline || *to == VersionPoint::Baseline || from == to {
            continue;
        }
        let tag = VersionPair::new(from.clone(), to.clone());
        let versions = if from < to { tag } else { tag.reversed() };
        let section = outermost_section(view, block.section, &versions);
        by_place.entry((versions, section)).or_default().push(index);
    }
    let mut occurrences = Vec::with_capacity(by_place.len());
    for ((versions, section), blocks) in &by_place {
        let has_other =
            || by_place.keys().any(|(other, place)| other == versions && place != section);
        let groups = split_by_tags(view, source, blocks)?;
        let line = source.line_number(view.blocks.list[blocks[0]].tag_span.start);
        if section.is_none() && (has_other() || groups.len() > 1) {
            return Err(EditError::CannotRenumber(format!(
                "the block in line {line} of {} is not below a heading with its versions `{versions}`, and another migration has the same versions; put each block below the heading of its migration",
                source.name()
            )));
        }
        let mut end = section.map_or(0, |section| view.section_range(section).end);
        for (position, group) in groups.iter().enumerate().rev() {
            let previous = position.checked_sub(1).and_then(|before| groups[before].last());
            let missing_heading = previous.map(|last| code_block_end(view, *last));
            let found = Found { versions, section: *section, blocks: group, missing_heading, end };
            let occurrence = found.occurrence(view, source);
            end = occurrence.range.start;
            occurrences.push(occurrence);
        }
    }
    occurrences.sort_by_key(|occurrence| occurrence.start);
    Ok(occurrences)
}

/// What an occurrence is built from.
struct Found<'f> {
    versions: &'f VersionPair,
    section: Option<usize>,
    blocks: &'f [usize],
    missing_heading: Option<usize>,
    /// Where its part of the document ends, if it has a heading.
    end: usize,
}

impl Found<'_> {
    fn occurrence(&self, view: &DocumentView<'_>, source: &Source<'_>) -> Occurrence {
        let list = &view.blocks.list;
        let first = &list[self.blocks[0]];
        let checksum = |wanted: Scope| {
            let sql = self.blocks.iter().map(|index| &list[*index]).find(|block| {
                matches!(&block.tag, Tag::Migration { scope, from, .. }
                    if *scope == wanted && *from == self.versions.from)
            });
            let normalized = sql.map(|block| lexer::normalize(block.sql.text()));
            Checksum::from_text(&normalized.unwrap_or_default())
        };
        let start = first.tag_span.start;
        let heading = self.section.map(|section| view.blocks.sections[section].span.start);
        let part_start = self.missing_heading.or(heading);
        let shown = if self.missing_heading.is_some() { start } else { heading.unwrap_or(start) };
        Occurrence {
            versions: self.versions.clone(),
            section: self.section,
            missing_heading: self.missing_heading,
            range: part_start.map_or(0..0, |start| start..self.end),
            planned: view.blocks.planned_section(first.section).is_some(),
            line: source.line_number(shown),
            checksums: [checksum(Scope::System), checksum(Scope::User)],
            blocks: self.blocks.to_vec(),
            start,
        }
    }
}

/// The outermost section around a block whose heading has the versions, in either direction.
pub(crate) fn outermost_section(
    view: &DocumentView<'_>,
    section: Option<usize>,
    versions: &VersionPair,
) -> Option<usize> {
    let has_versions = |index: &usize| {
        view.blocks.sections[*index]
            .versions
            .as_ref()
            .is_some_and(|pair| versions.matches_either_way(&pair.from, &pair.to))
    };
    view.section_ancestors(section).filter(has_versions).last()
}

/// The end of the code block that holds a block.
fn code_block_end(view: &DocumentView<'_>, block: usize) -> usize {
    view.code_block_range(view.blocks.list[block].tag_span.start).end
}

/// Separates the blocks below one heading into migrations: the second one begins with the first tag
/// that occurs for a second time, in another code block.
fn split_by_tags(
    view: &DocumentView<'_>,
    source: &Source<'_>,
    blocks: &[usize],
) -> Result<Vec<Vec<usize>>, EditError> {
    let list = &view.blocks.list;
    let mut groups: Vec<Vec<usize>> = vec![Vec::new()];
    for index in blocks {
        let tag = &list[*index].tag;
        let Some(group) = groups.last_mut() else { continue };
        let Some(first) = group.iter().find(|first| list[**first].tag == *tag) else {
            group.push(*index);
            continue;
        };
        let start = |index: usize| list[index].tag_span.start;
        let is_in_same_code_block =
            group.last().is_some_and(|last| start(*index) < code_block_end(view, *last));
        if is_in_same_code_block {
            return Err(EditError::CannotRenumber(format!(
                "the block `{tag}` occurs twice below one heading, in lines {} and {} of {}, and no code block ends between the two migrations; give the second one a heading of its own with the same versions, and run the command again",
                source.line_number(start(*first)),
                source.line_number(start(*index)),
                source.name()
            )));
        }
        groups.push(vec![*index]);
    }
    Ok(groups)
}
