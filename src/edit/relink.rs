//! Planned migrations put behind a new one: the first starts where the new one ends, and versions
//! that would not be above it go up. Only versions in tags and headings are written anew.

use std::ops::Range;

use semver::Version;

use crate::document::changelog::Changelog;
use crate::document::tag::{Tag, VersionPoint};
use crate::edit::change::TextEdit;
use crate::edit::new_migration::Bump;
use crate::edit::page::DocumentView;
use crate::edit::unchanged::VersionRenames;

/// What the planned migrations are called once a version comes before them.
pub(crate) fn plan_renumbering(changelog: &Changelog<'_>, to: &Version) -> VersionRenames {
    let mut renames = VersionRenames::default();
    let point = |version: &Version| VersionPoint::Version(version.clone());
    let (mut from, mut previous) = (changelog.head().clone(), to.clone());
    for planned in changelog.planned_versions() {
        let new = if *planned > previous { planned.clone() } else { Bump::Patch.apply(&previous) };
        let (old_versions, new_versions) =
            ((point(&from), point(planned)), (point(&previous), point(&new)));
        renames.pairs.insert(
            (old_versions.1.clone(), old_versions.0.clone()),
            (new_versions.1.clone(), new_versions.0.clone()),
        );
        renames.pairs.insert(old_versions, new_versions);
        renames.versions.insert(planned.clone(), new.clone());
        (from, previous) = (planned.clone(), new);
    }
    renames
}

/// The changes of the text that these names make.
pub(crate) fn renumbering_edits(
    view: &DocumentView<'_>,
    renames: &VersionRenames,
) -> Vec<TextEdit> {
    let mut edits = Vec::new();
    for block in &view.blocks.list {
        let Tag::Migration { from, to, .. } = &block.tag else { continue };
        let new = renames.rename_pair(from, to);
        if (from, to) == (&new.0, &new.1) {
            continue;
        }
        let lines = std::iter::once(block.tag_span.clone()).chain(view.end_tag_line(block));
        for line in lines {
            edits.extend(replace_versions(view.text, line, ((from, to), (&new.0, &new.1))));
        }
    }
    for section in &view.blocks.sections {
        let Some((from, to)) = &section.versions else { continue };
        let new = renames.rename_pair(from, to);
        if (from, to) != (&new.0, &new.1) {
            let old_and_new = ((from, to), (&new.0, &new.1));
            edits.extend(replace_versions(view.text, section.span.clone(), old_and_new));
        }
    }
    edits
}

/// The two versions in a tag or a heading, each replaced.
fn replace_versions(
    text: &str,
    line: Range<usize>,
    (old, new): ((&VersionPoint, &VersionPoint), (&VersionPoint, &VersionPoint)),
) -> Vec<TextEdit> {
    let (from, to) = (old.0.to_string(), old.1.to_string());
    let line_text = &text[line.clone()];
    let is_before_arrow = |at: usize| {
        let rest = line_text[at + from.len()..].trim_start();
        rest.starts_with('→') || rest.starts_with("->")
    };
    let start = line_text.match_indices(&from).map(|(at, _)| at).find(|at| is_before_arrow(*at));
    let search_start = start.map_or(0, |at| at + from.len());
    let end = line_text[search_start..].find(&to).map(|at| search_start + at);
    let range_at = |at: usize, word: &str| line.start + at..line.start + at + word.len();
    let mut edits = Vec::new();
    if let Some(at) = start {
        edits.push(TextEdit::new(range_at(at, &from), new.0.to_string()));
    }
    if let Some(at) = end {
        edits.push(TextEdit::new(range_at(at, &to), new.1.to_string()));
    }
    edits
}
