//! A plan that becomes a release: `(Planned)` goes from its heading, the comment marks go from its
//! SQL, and it gets a date if it has none.

use std::collections::BTreeSet;

use rusqlite::Connection;
use semver::Version;

use crate::document::changelog::{Changelog, StepId};
use crate::document::lines::{MetadataField, line_end, line_ranges, parse_metadata_field};
use crate::document::migration::Migration;
use crate::document::tag::{Scope, Tag, VersionPoint};
use crate::edit::change::{TextEdit, apply_edits};
use crate::edit::error::EditError;
use crate::edit::page::DocumentView;
use crate::edit::style::Style;
use crate::edit::unchanged;
use crate::edit::unchanged::VersionRenames;
use crate::migrate::uncomment::comment_markers;

/// The document with its first planned migration released, on the given day if the document does
/// not date it.
///
/// # Errors
///
/// Why the document is better left as it is.
pub fn promote(
    changelog: &Changelog<'_>,
    version: &Version,
    date: &str,
) -> Result<String, EditError> {
    let source = changelog.source();
    let text = source.text();
    let migration = find_planned(changelog, version)?;
    let versions = (migration.from.clone(), migration.to.clone());
    let view = DocumentView::parse(text);
    let mut edits = Vec::new();
    let mut headings = BTreeSet::new();
    for block in view.blocks_of((&versions.0, &versions.1)) {
        headings.extend(
            view.section_ancestors(block.section).filter(|at| view.blocks.sections[*at].planned),
        );
    }
    for heading in &headings {
        edits.push(remove_planned_mark(&view, *heading, (source.name(), &versions))?);
    }
    let connection = Connection::open_in_memory()?;
    let reverse = changelog
        .position(version)
        .filter(|at| *at > 0)
        .and_then(|at| changelog.step(StepId::Reverse(at - 1)));
    for migration in std::iter::once(migration).chain(reverse) {
        for block in Scope::BOTH.into_iter().filter_map(|scope| migration.block(scope)) {
            for marker in comment_markers(&connection, block) {
                let space_len = usize::from(text[marker + 2..].starts_with(' '));
                edits.push(TextEdit::new(marker..marker + 2 + space_len, ""));
            }
        }
    }
    if migration.date.is_none()
        && let Some(heading) = headings.first()
    {
        edits.push(insert_date(&view, changelog, (*heading, migration.tag_span.start, date)));
    }
    let edited = apply_edits(text, edits);
    let reparsed = unchanged::reparse(source, &edited)?;
    unchanged::check_unchanged(
        (Some(changelog), &VersionRenames::default()),
        &reparsed,
        &versions,
    )?;
    let is_released = reparsed.find(&versions.0, &versions.1).is_some_and(|found| {
        !found.planned && found.description == migration.description && found.date.is_some()
    });
    if !is_released {
        return Err(EditError::VerificationFailed(format!("`{migration}` would still be planned")));
    }
    Ok(edited)
}

/// The planned migration that may be released.
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
                format!("planned are {}", plans.join(", "))
            }
        };
        let reason = if is_known { "is released already" } else { "is not in the document" };
        return Err(EditError::NotPlanned(format!("`{version}` {reason}; {plans}")));
    };
    match next {
        Some(next) if next < version => Err(EditError::NotPlanned(format!(
            "`{next}` is planned before `{version}`; `tatmig promote {next}` comes first"
        ))),
        _ => Ok(found),
    }
}

/// A heading without its `(Planned)`, if nothing else is planned by it.
fn remove_planned_mark(
    view: &DocumentView<'_>,
    heading: usize,
    (name, (from, to)): (&str, &(VersionPoint, VersionPoint)),
) -> Result<TextEdit, EditError> {
    let section = &view.blocks.sections[heading];
    let others = view.blocks.list.iter().find(|block| {
        let is_under_heading = view.section_ancestors(block.section).any(|at| at == heading);
        let is_own_block = matches!(&block.tag, Tag::Migration { from: tag_from, to: tag_to, .. }
            if (tag_from, tag_to) == (from, to) || (tag_from, tag_to) == (to, from));
        is_under_heading && !is_own_block
    });
    let line = view.text[..section.span.start].matches('\n').count() + 1;
    if let Some(other) = others {
        return Err(EditError::PlannedConflict {
            message: format!(
                "the heading `{}` ({name}:{line}) plans `{}` too",
                section.title, other.tag
            ),
            help: "give each planned migration a heading with `(Planned)` of its own".to_owned(),
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

/// A line with the date: above the description, else under the heading.
fn insert_date(
    view: &DocumentView<'_>,
    changelog: &Changelog<'_>,
    (heading, first_tag, date): (usize, usize, &str),
) -> TextEdit {
    let eol = view.line_ending;
    let date = Style::from_document(view, Some(changelog)).date_line(date);
    let below_heading =
        line_end(view.text, view.blocks.sections[heading].span.end.saturating_sub(1));
    let description =
        line_ranges(view.text, below_heading..first_tag.max(below_heading)).find(|line| {
            parse_metadata_field(view.text[line.clone()].trim_end())
                .is_some_and(|(name, _)| name == MetadataField::Description)
        });
    match description {
        Some(line) => TextEdit::new(line.start..line.start, format!("{date}{eol}")),
        None => TextEdit::new(below_heading..below_heading, format!("{eol}{date}{eol}")),
    }
}
