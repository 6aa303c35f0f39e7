//! Planned migrations put behind a new one: the first starts where the new one ends, and versions
//! that would not be above it go up. Only versions in tags and headings are written anew.

use std::ops::Range;

use semver::Version;

use crate::document::changelog::Changelog;
use crate::document::tag::{Point, Tag};
use crate::edit::change::Change;
use crate::edit::new_migration::Bump;
use crate::edit::page::Page;
use crate::edit::unchanged::Names;

/// What the planned migrations are called once a version comes before them.
pub(crate) fn names(changelog: &Changelog<'_>, to: &Version) -> Names {
    let mut names = Names::default();
    let point = |version: &Version| Point::Version(version.clone());
    let (mut from, mut last) = (changelog.head().clone(), to.clone());
    for planned in changelog.planned() {
        let new = if *planned > last { planned.clone() } else { Bump::Patch.after(&last) };
        let (old_pair, new_pair) = ((point(&from), point(planned)), (point(&last), point(&new)));
        names.pairs.insert(
            (old_pair.1.clone(), old_pair.0.clone()),
            (new_pair.1.clone(), new_pair.0.clone()),
        );
        names.pairs.insert(old_pair, new_pair);
        names.versions.insert(planned.clone(), new.clone());
        (from, last) = (planned.clone(), new);
    }
    names
}

/// The changes of the text that these names make.
pub(crate) fn changes(page: &Page<'_>, names: &Names) -> Vec<Change> {
    let mut changes = Vec::new();
    for block in &page.blocks.list {
        let Tag::Migration { from, to, .. } = &block.tag else { continue };
        let new = names.pair(from, to);
        if (from, to) == (&new.0, &new.1) {
            continue;
        }
        let lines = std::iter::once(block.span.clone()).chain(page.end_tag(block));
        for line in lines {
            changes.extend(rewritten(page.text, line, ((from, to), (&new.0, &new.1))));
        }
    }
    for section in &page.blocks.sections {
        let Some((from, to)) = &section.binding else { continue };
        let new = names.pair(from, to);
        if (from, to) != (&new.0, &new.1) {
            let pairs = ((from, to), (&new.0, &new.1));
            changes.extend(rewritten(page.text, section.span.clone(), pairs));
        }
    }
    changes
}

/// The two versions in a tag or a heading, each replaced.
fn rewritten(
    text: &str,
    line: Range<usize>,
    (old, new): ((&Point, &Point), (&Point, &Point)),
) -> Vec<Change> {
    let (from, to) = (old.0.to_string(), old.1.to_string());
    let shown = &text[line.clone()];
    let arrow = |at: usize| {
        let rest = shown[at + from.len()..].trim_start();
        rest.starts_with('→') || rest.starts_with("->")
    };
    let start = shown.match_indices(&from).map(|(at, _)| at).find(|at| arrow(*at));
    let behind = start.map_or(0, |at| at + from.len());
    let end = shown[behind..].find(&to).map(|at| behind + at);
    let place = |at: usize, word: &str| line.start + at..line.start + at + word.len();
    let mut changes = Vec::new();
    if let Some(at) = start {
        changes.push(Change::new(place(at, &from), new.0.to_string()));
    }
    if let Some(at) = end {
        changes.push(Change::new(place(at, &to), new.1.to_string()));
    }
    changes
}
