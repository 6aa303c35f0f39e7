//! Releases a planned migration: removes `(Planned)` from its heading and the comment marks from its
//! SQL, and adds a date if it has none.

use std::collections::BTreeSet;

use semver::Version;

use crate::database::connection::{ConnectionSetup, open_in_memory};
use crate::document::changelog::{Changelog, StepId};
use crate::document::lines::{MetadataField, line_end, line_ranges, parse_metadata_field};
use crate::document::migration::Migration;
use crate::document::tag::{Scope, Tag, VersionPair, VersionPoint};
use crate::edit::change::{TextEdit, apply_edits};
use crate::edit::error::EditError;
use crate::edit::page::DocumentView;
use crate::edit::style::Style;
use crate::edit::unchanged;
use crate::edit::unchanged::VersionRenames;
use crate::migrate::uncomment::comment_markers;

/// Releases the next planned migration, which must lead to `version`. Returns the text of the new
/// document. `date` is written where the document does not date the migration.
///
/// # Errors
///
/// If `version` is not planned, another planned migration comes first, or a heading with `(Planned)`
/// is shared with other migrations; or if the edited document would have errors or differ in anything
/// else.
pub fn promote(
    changelog: &Changelog<'_>,
    version: &Version,
    date: &str,
) -> Result<String, EditError> {
    let source = changelog.source();
    let migration = find_planned(changelog, version)?;
    let versions = VersionPair::new(migration.from.clone(), migration.to.clone());
    let view = DocumentView::parse(source.text());
    let headings: BTreeSet<usize> = view
        .blocks_of(&versions)
        .flat_map(|block| view.section_ancestors(block.section))
        .filter(|section| view.blocks.sections[*section].planned)
        .collect();
    let mut edits = Vec::new();
    for heading in &headings {
        edits.push(remove_planned_mark(&view, *heading, source.name(), &versions)?);
    }
    edits.extend(uncomment_edits(changelog, version, migration)?);
    if migration.date.is_none()
        && let Some(heading) = headings.first()
    {
        let date_line = Style::from_document(&view, Some(changelog)).date_line(date);
        edits.push(insert_date(&view, *heading, migration.tag_span.start, &date_line));
    }
    let edited = apply_edits(source.text(), edits);
    let reparsed = unchanged::reparse(source, &edited)?;
    unchanged::check_unchanged(Some(changelog), &VersionRenames::default(), &reparsed, &versions)?;
    let is_released = reparsed.find(&versions.from, &versions.to).is_some_and(|found| {
        !found.planned
            && found.description == migration.description
            && found.imported == migration.imported
            && found.date.is_some()
    });
    if !is_released {
        return Err(EditError::VerificationFailed(format!("`{migration}` would still be planned")));
    }
    Ok(edited)
}

/// The edits that remove the comment marks from the SQL of a migration and of its reverse.
fn uncomment_edits(
    changelog: &Changelog<'_>,
    version: &Version,
    migration: &Migration<'_>,
) -> Result<Vec<TextEdit>, EditError> {
    let text = changelog.source().text();
    let connection = open_in_memory(&ConnectionSetup::default())?;
    let reverse = changelog
        .position(version)
        .filter(|position| *position > 0)
        .and_then(|position| changelog.step(StepId::Reverse(position - 1)));
    let mut edits = Vec::new();
    for migration in std::iter::once(migration).chain(reverse) {
        for block in Scope::BOTH.into_iter().filter_map(|scope| migration.block(scope)) {
            for marker in comment_markers(&connection, block) {
                let space_len = usize::from(text[marker + 2..].starts_with(' '));
                edits.push(TextEdit::new(marker..marker + 2 + space_len, ""));
            }
        }
    }
    Ok(edits)
}

/// The planned migration that leads to `version`, if it is the next one.
fn find_planned<'c, 'a>(
    changelog: &'c Changelog<'a>,
    version: &Version,
) -> Result<&'c Migration<'a>, EditError> {
    let to = VersionPoint::Version(version.clone());
    let migrations = || changelog.chain().iter().chain(changelog.baselines());
    let next = changelog.planned_versions().first();
    let Some(found) = migrations().find(|migration| migration.planned && migration.to == to) else {
        let is_known = changelog.position(version).is_some();
        let plans = match changelog.planned_versions() {
            [] => "nothing is planned".to_owned(),
            plans => {
                let plans: Vec<String> = plans.iter().map(|plan| format!("`{plan}`")).collect();
                format!("planned: {}", plans.join(", "))
            }
        };
        let reason = if is_known { "is already released" } else { "is not in the document" };
        return Err(EditError::NotPlanned(format!("`{version}` {reason}; {plans}")));
    };
    match next {
        Some(next) if next < version => Err(EditError::NotPlanned(format!(
            "`{next}` is planned before `{version}`; run `tatmig promote {next}` first"
        ))),
        _ => Ok(found),
    }
}

/// The edit that removes `(Planned)` from a heading, which must not plan any other migration.
fn remove_planned_mark(
    view: &DocumentView<'_>,
    heading: usize,
    document_name: &str,
    versions: &VersionPair,
) -> Result<TextEdit, EditError> {
    let section = &view.blocks.sections[heading];
    let others = view.blocks.list.iter().find(|block| {
        let is_under_heading = view.section_ancestors(block.section).any(|at| at == heading);
        let is_own_block = matches!(&block.tag, Tag::Migration { from, to, .. }
            if versions.matches_either_way(from, to));
        is_under_heading && !is_own_block
    });
    let line = view.text[..section.span.start].matches('\n').count() + 1;
    if let Some(other) = others {
        return Err(EditError::PlannedConflict {
            message: format!(
                "the heading `{}` ({document_name}:{line}) also plans `{}`",
                section.title, other.tag
            ),
            help: "give each planned migration its own heading with `(Planned)`".to_owned(),
        });
    }
    let heading_text = &view.text[section.span.clone()];
    let mark_range = heading_text.match_indices('(').find_map(|(open, _)| {
        let close = open + heading_text[open..].find(')')?;
        heading_text[open + 1..close]
            .trim()
            .eq_ignore_ascii_case("planned")
            .then_some((open, close + 1))
    });
    let Some((open, close)) = mark_range else {
        return Err(EditError::VerificationFailed(format!(
            "`(Planned)` is not found in line {line}"
        )));
    };
    let start = heading_text[..open].trim_end_matches([' ', '\t']).len();
    Ok(TextEdit::new(section.span.start + start..section.span.start + close, ""))
}

/// The edit that inserts the line with the date: above the description if one precedes the first
/// tag, else below the heading.
pub(crate) fn insert_date(
    view: &DocumentView<'_>,
    heading: usize,
    first_tag: usize,
    date_line: &str,
) -> TextEdit {
    let eol = view.line_ending;
    let below_heading =
        line_end(view.text, view.blocks.sections[heading].span.end.saturating_sub(1));
    let description =
        line_ranges(view.text, below_heading..first_tag.max(below_heading)).find(|line| {
            parse_metadata_field(view.text[line.clone()].trim_end())
                .is_some_and(|(name, _)| name == MetadataField::Description)
        });
    match description {
        Some(line) => TextEdit::new(line.start..line.start, format!("{date_line}{eol}")),
        None => TextEdit::new(below_heading..below_heading, format!("{eol}{date_line}{eol}")),
    }
}
