//! Renumbers planned migrations behind a new one: the first starts where the new one ends, and
//! versions that would not be above it become higher. Only versions in tags and headings change.

use std::ops::Range;

use semver::Version;

use crate::document::changelog::Changelog;
use crate::document::tag::{Tag, VersionPair, VersionPoint};
use crate::document::version_text::find_version;
use crate::edit::change::TextEdit;
use crate::edit::new_migration::Bump;
use crate::edit::page::DocumentView;
use crate::edit::unchanged::VersionRenames;

/// The new versions of the planned migrations once `to` precedes them.
pub(crate) fn plan_renumbering(changelog: &Changelog<'_>, to: &Version) -> VersionRenames {
    let mut renames = VersionRenames::default();
    let pair = |from: &Version, to: &Version| {
        VersionPair::new(VersionPoint::Version(from.clone()), VersionPoint::Version(to.clone()))
    };
    let (mut from, mut previous) = (changelog.head().clone(), to.clone());
    for planned in changelog.planned_versions() {
        let new = if *planned > previous { planned.clone() } else { Bump::Patch.apply(&previous) };
        let (old_pair, new_pair) = (pair(&from, planned), pair(&previous, &new));
        renames.pairs.insert(old_pair.reversed(), new_pair.reversed());
        renames.pairs.insert(old_pair, new_pair);
        renames.versions.insert(planned.clone(), new.clone());
        (from, previous) = (planned.clone(), new);
    }
    renames
}

/// The edits that apply `renames` to the tags and headings of the document.
pub(crate) fn renumbering_edits(
    view: &DocumentView<'_>,
    renames: &VersionRenames,
) -> Vec<TextEdit> {
    let mut edits = Vec::new();
    for block in &view.blocks.list {
        let Tag::Migration { from, to, .. } = &block.tag else { continue };
        let old = VersionPair::new(from.clone(), to.clone());
        let new = renames.rename_pair(&old);
        if old == new {
            continue;
        }
        let lines = std::iter::once(block.tag_span.clone()).chain(view.end_tag_line(block));
        for line in lines {
            edits.extend(replace_versions(view.text, line, &old, &new));
        }
    }
    for section in &view.blocks.sections {
        let Some(old) = &section.versions else { continue };
        let new = renames.rename_pair(old);
        if *old != new {
            edits.extend(replace_versions(view.text, section.span.clone(), old, &new));
        }
    }
    edits
}

/// The edits that replace the two versions in a tag or a heading.
pub(crate) fn replace_versions(
    text: &str,
    line: Range<usize>,
    old: &VersionPair,
    new: &VersionPair,
) -> Vec<TextEdit> {
    let (from, to) = (old.from.to_string(), old.to.to_string());
    let line_text = &text[line.clone()];
    let is_before_arrow = |range: &Range<usize>| {
        let rest = line_text[range.end..].trim_start();
        rest.starts_with('→') || rest.starts_with("->")
    };
    let from_range = find_version(line_text, &from).find(is_before_arrow);
    let from_end = from_range.as_ref().map_or(0, |range| range.end);
    let to_range = find_version(line_text, &to).find(|range| range.start >= from_end);
    let edit = |range: Range<usize>, new: &VersionPoint| {
        TextEdit::new(line.start + range.start..line.start + range.end, new.to_string())
    };
    let from_edit = from_range.map(|range| edit(range, &new.from));
    from_edit.into_iter().chain(to_range.map(|range| edit(range, &new.to))).collect()
}
