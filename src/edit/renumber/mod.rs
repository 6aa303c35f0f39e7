//! Renumbers a migration that conflicts with another one after a merge: the one that is not
//! released moves behind the other, and all that follows gets higher versions. Only versions in
//! tags and headings change.

pub(crate) mod occurrence;
pub(crate) mod order;
pub(crate) mod references;
pub(crate) mod request;

use std::ops::Range;

use crate::document::changelog::{Changelog, parse_source};
use crate::document::diagnostic::{DocumentError, Rule, Severity};
use crate::document::tag::{Tag, VersionPair, VersionPoint};
use crate::document::tag_syntax::arrow_of;
use crate::edit::change::{TextEdit, apply_edits};
use crate::edit::error::EditError;
use crate::edit::page::DocumentView;
use crate::edit::relink::replace_versions;
use crate::edit::renumber::occurrence::{Occurrence, find_occurrences, outermost_section};
use crate::edit::renumber::order::{NewVersions, Ordering};
use crate::edit::renumber::references::find_references;
pub use crate::edit::renumber::request::{RecordedMigration, RenumberRequest};
use crate::edit::unchanged;
use crate::source::Source;

/// A migration that was renumbered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenumberedMigration {
    /// The line of its first tag in the new document.
    pub line: usize,
    /// The version before it, until now.
    pub old_from: VersionPoint,
    /// The version after it, until now.
    pub old_to: VersionPoint,
    /// The version before it, from now on.
    pub from: VersionPoint,
    /// The version after it, from now on.
    pub to: VersionPoint,
}

/// The result of [`renumber`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Renumbered {
    /// The text of the new document.
    pub text: String,
    /// The migrations with new versions, in their new order.
    pub migrations: Vec<RenumberedMigration>,
    /// The lines of the new document that name an old version and were not changed, each with the
    /// version.
    pub references: Vec<(usize, String)>,
    /// Why the migration that moved was chosen.
    pub notes: Vec<String>,
}

/// The rules that two migrations from one version break. All other errors have to be corrected
/// first.
const CONFLICT_RULES: [Rule; 8] = [
    Rule::DuplicateHeading,
    Rule::DuplicateTag,
    Rule::Fork,
    Rule::Gap,
    Rule::HalfPlanned,
    Rule::ReleasedAfterPlanned,
    Rule::ReverseWithoutForward,
    Rule::BaselineOffChain,
];

/// Moves the migration that is not released behind the one that it conflicts with, and gives higher
/// versions to what follows. Returns the new document.
///
/// ````
/// use tatmig::edit::{RenumberRequest, renumber};
/// use tatmig::Source;
///
/// let block = |tag: &str, sql: &str| {
///     format!("```sql\n-- [user:{tag}:start]\n{sql}\n-- [user:{tag}:end]\n```\n")
/// };
/// let document = [
///     block("baseline→1.0.0", "CREATE TABLE notes (body TEXT);"),
///     "## 1.0.0 → 1.1.0\n".to_owned() + &block("1.0.0→1.1.0", "CREATE TABLE tags (name TEXT);"),
///     "## 1.0.0 → 1.1.0\n".to_owned() + &block("1.0.0→1.1.0", "CREATE TABLE links (url TEXT);"),
/// ]
/// .concat();
/// let version = "1.1.0".parse()?;
/// let request = RenumberRequest { version: &version, after: Some(&version), recorded: &[] };
/// let renumbered = renumber(&Source::new("MIGRATIONS.md", &document), &request)?;
/// assert!(renumbered.text.contains("## 1.1.0 → 1.1.1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ````
///
/// # Errors
///
/// The document has other errors, nothing conflicts, it cannot be decided which migration moves, or
/// the edited document would have errors.
pub fn renumber(
    source: &Source<'_>,
    request: &RenumberRequest<'_>,
) -> Result<Renumbered, EditError> {
    let text = source.text();
    let (_, diagnostics) = parse_source(Source::new(source.name(), text));
    let is_other_error =
        |rule: Rule, severity| severity == Severity::Error && !CONFLICT_RULES.contains(&rule);
    if diagnostics.iter().any(|found| is_other_error(found.rule, found.severity)) {
        let others = diagnostics.into_iter();
        let others = others.filter(|found| is_other_error(found.rule, found.severity)).collect();
        return Err(EditError::UnusableDocument(DocumentError::new(source, others)));
    }
    let view = DocumentView::parse(text);
    let occurrences = find_occurrences(&view, source)?;
    let ordering = Ordering { occurrences: &occurrences, request, document: source.name() };
    let order = ordering.plan()?;
    let edits = edits(&view, &occurrences, &order.new_versions);
    let edited = apply_edits(text, edits);
    let changed_lines = changed_lines(&view, &occurrences, &order.new_versions);
    let reparsed = unchanged::reparse(source, &edited)?;
    check_blocks(&view, &edited, &reparsed)?;
    let mut indexes: Vec<usize> = order.new_versions.keys().copied().collect();
    indexes.sort_by_key(|index| order.new_versions[index].to.clone());
    let new_source = Source::new(source.name(), &edited);
    let migrations = indexes.iter().map(|index| {
        let (old, new) = (&occurrences[*index].versions, &order.new_versions[index]);
        let start = reparsed.find(&new.from, &new.to).map_or(0, |found| found.tag_span.start);
        RenumberedMigration {
            line: new_source.line_number(start),
            old_from: old.from.clone(),
            old_to: old.to.clone(),
            from: new.from.clone(),
            to: new.to.clone(),
        }
    });
    let migrations = migrations.collect();
    // The lines are those of the new document, in which headings were inserted.
    let inserted_lines = |start: usize| -> usize {
        let above =
            occurrences.iter().filter(|found| found.missing_heading.is_some_and(|at| at <= start));
        let headings = above.filter_map(|found| missing_heading(&view, found, &found.versions));
        headings.map(|heading| heading.matches('\n').count()).sum()
    };
    let references = find_references(&view, &occurrences, &indexes, &changed_lines).into_iter();
    let references = references
        .map(|(start, version)| (source.line_number(start) + inserted_lines(start), version))
        .collect();
    Ok(Renumbered { migrations, references, notes: order.notes, text: edited })
}

/// The lines with versions of an occurrence: headings and tags. Each with the versions in it.
fn version_lines(
    view: &DocumentView<'_>,
    occurrence: &Occurrence,
) -> Vec<(Range<usize>, VersionPair)> {
    let mut lines = Vec::new();
    for block in occurrence.blocks.iter().map(|index| &view.blocks.list[*index]) {
        let Tag::Migration { from, to, .. } = &block.tag else { continue };
        let versions = VersionPair::new(from.clone(), to.clone());
        lines.push((block.tag_span.clone(), versions.clone()));
        lines.extend(view.end_tag_line(block).map(|line| (line, versions)));
    }
    for (index, section) in view.blocks.sections.iter().enumerate() {
        let Some(versions) = &section.versions else { continue };
        let is_own = occurrence.versions.matches_either_way(&versions.from, &versions.to)
            && occurrence.range.contains(&section.span.start)
            && outermost_section(view, Some(index), &occurrence.versions) == occurrence.section;
        if is_own {
            lines.push((section.span.clone(), versions.clone()));
        }
    }
    lines
}

fn edits(
    view: &DocumentView<'_>,
    occurrences: &[Occurrence],
    new_versions: &NewVersions,
) -> Vec<TextEdit> {
    let mut edits = Vec::new();
    for (index, new) in new_versions {
        for (line, old) in version_lines(view, &occurrences[*index]) {
            let is_reverse = old.from > old.to;
            let new = if is_reverse { new.reversed() } else { new.clone() };
            edits.extend(replace_versions(view.text, line, &old, &new));
        }
    }
    for (index, occurrence) in occurrences.iter().enumerate() {
        let versions = new_versions.get(&index).unwrap_or(&occurrence.versions);
        let heading = missing_heading(view, occurrence, versions);
        edits.extend(
            occurrence
                .missing_heading
                .zip(heading)
                .map(|(at, heading)| TextEdit::new(at..at, heading)),
        );
    }
    edits
}

/// The lines to insert for a migration to which a merge left no heading.
fn missing_heading(
    view: &DocumentView<'_>,
    occurrence: &Occurrence,
    versions: &VersionPair,
) -> Option<String> {
    let offset = occurrence.missing_heading?;
    let section = &view.blocks.sections[occurrence.section?];
    let eol = view.line_ending;
    let arrow = arrow_of(&view.text[section.span.clone()]);
    let planned = if section.planned { " (Planned)" } else { "" };
    let hashes = "#".repeat(usize::from(section.level));
    let heading = format!("{hashes} {} {arrow} {}{planned}", versions.from, versions.to);
    let before = if view.text[..offset].ends_with('\n') { "" } else { eol };
    let after = if view.text[offset..].starts_with(['\n', '\r']) { "" } else { eol };
    Some(format!("{before}{eol}{heading}{eol}{after}"))
}

fn changed_lines(
    view: &DocumentView<'_>,
    occurrences: &[Occurrence],
    new_versions: &NewVersions,
) -> Vec<Range<usize>> {
    let indexes = new_versions.keys();
    let lines = indexes.flat_map(|index| version_lines(view, &occurrences[*index]));
    lines.map(|(line, _)| line).collect()
}

/// Checks that every block of the old document is in the new one, with the same SQL in the same
/// place.
fn check_blocks(
    view: &DocumentView<'_>,
    edited: &str,
    reparsed: &Changelog<'_>,
) -> Result<(), EditError> {
    let after = DocumentView::parse(edited);
    let (before, after) = (&view.blocks.list, &after.blocks.list);
    let scope_of = |tag: &Tag| match tag {
        Tag::Migration { scope, .. } | Tag::Placeholder { scope, .. } | Tag::Seed { scope, .. } => {
            *scope
        }
    };
    let is_same = before.len() == after.len()
        && before.iter().zip(after).all(|(old, new)| {
            old.sql.text() == new.sql.text() && scope_of(&old.tag) == scope_of(&new.tag)
        });
    if is_same && !reparsed.chain().is_empty() {
        Ok(())
    } else {
        Err(EditError::VerificationFailed("a block would change".to_owned()))
    }
}
