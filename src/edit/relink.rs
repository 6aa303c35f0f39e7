//! Renumbers planned migrations behind a new one: the first starts where the new one ends, and
//! versions that would not be above it become higher. Only versions in tags and headings change.

use std::ops::Range;

use semver::Version;

use crate::document::changelog::Changelog;
use crate::document::tag::{Tag, VersionPair, VersionPoint};
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
    let is_before_arrow = |at: usize| {
        let rest = line_text[at + from.len()..].trim_start();
        rest.starts_with('→') || rest.starts_with("->")
    };
    let from_start =
        line_text.match_indices(&from).map(|(at, _)| at).find(|at| is_before_arrow(*at));
    let search_start = from_start.map_or(0, |at| at + from.len());
    let to_start = line_text[search_start..].find(&to).map(|at| search_start + at);
    let range_at = |at: usize, word: &str| line.start + at..line.start + at + word.len();
    let mut edits = Vec::new();
    if let Some(at) = from_start {
        edits.push(TextEdit::new(range_at(at, &from), new.from.to_string()));
    }
    if let Some(at) = to_start {
        edits.push(TextEdit::new(range_at(at, &to), new.to.to_string()));
    }
    edits
}
