//! Finds the places in prose that name versions which a migration had before it was renumbered.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::document::lines::line_ranges;
use crate::document::version_text::find_version;
use crate::edit::page::DocumentView;
use crate::edit::renumber::occurrence::Occurrence;

/// The lines that name an old version and that the edit does not change: inside the section of a
/// renumbered migration its own versions, and elsewhere the versions that no other migration ends
/// at. `edited` are the ranges that change. Returns the start of each line, with the version.
pub(crate) fn find_references(
    view: &DocumentView<'_>,
    occurrences: &[Occurrence],
    renumbered: &[usize],
    edited: &[Range<usize>],
) -> Vec<(usize, String)> {
    let ends = |occurrence: &Occurrence| occurrence.versions.to.to_string();
    let kept: BTreeSet<String> = (0..occurrences.len())
        .filter(|index| !renumbered.contains(index))
        .map(|index| ends(&occurrences[index]))
        .collect();
    let unique: BTreeSet<String> = renumbered
        .iter()
        .map(|index| ends(&occurrences[*index]))
        .filter(|version| !kept.contains(version))
        .collect();
    let mut found = Vec::new();
    for line in line_ranges(view.text, 0..view.text.len()) {
        if edited.iter().any(|edit| edit.start < line.end && line.start < edit.end) {
            continue;
        }
        let mut moved = renumbered.iter().map(|index| &occurrences[*index]);
        let own = moved.find(|occurrence| occurrence.range.contains(&line.start));
        let text = &view.text[line.clone()];
        let own_version = own.map(ends).filter(|version| names_version(text, version));
        let version = own_version
            .or_else(|| unique.iter().find(|version| names_version(text, version)).cloned());
        found.extend(version.map(|version| (line.start, version)));
    }
    found
}

/// Whether a line holds a version that is not part of a longer one.
fn names_version(line: &str, version: &str) -> bool {
    find_version(line, version).next().is_some()
}
