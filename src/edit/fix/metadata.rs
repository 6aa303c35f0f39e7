//! Adds the date and the description that a migration lacks.

use crate::document::diagnostic::Diagnostic;
use crate::document::lines::line_end;
use crate::document::migration::Migration;
use crate::document::tag::VersionPair;
use crate::edit::change::TextEdit;
use crate::edit::fix::context::FixContext;
use crate::edit::fix::proposal::{Fix, FixSafety};
use crate::edit::promote::insert_date;
use crate::edit::style::Style;

/// Adds a date: today's for the latest migration, else that of the migration before it, so that
/// dates do not decrease.
pub(crate) fn add_date(context: &FixContext<'_>, finding: &Diagnostic) -> Option<Fix> {
    let changelog = context.changelog.as_ref()?;
    let migrations: Vec<&Migration<'_>> = changelog.forward_migrations().collect();
    let index = migrations.iter().position(|migration| {
        migration.date.is_none() && !migration.planned && owns(context, migration, finding)
    })?;
    let migration = migrations[index];
    let later = migrations[index + 1..].iter().find_map(|later| later.date.as_deref());
    let earlier = migrations[..index].iter().rev().find_map(|earlier| earlier.date.as_deref());
    let date = match later {
        Some(later) => earlier.unwrap_or(later),
        None => context.today,
    };
    let section = title_section(context, migration)?;
    let date_line = Style::from_document(&context.view, Some(changelog)).date_line(date);
    let edit = insert_date(&context.view, section, migration.tag_span.start, &date_line);
    let title = format!("add the date {date}");
    Some(Fix::new(finding, FixSafety::NeedsPerson, title, vec![edit]))
}

/// Adds the field of the description, with a text to fill in.
pub(crate) fn add_description(context: &FixContext<'_>, finding: &Diagnostic) -> Option<Fix> {
    let changelog = context.changelog.as_ref()?;
    let migration = changelog
        .forward_migrations()
        .find(|migration| migration.description.is_none() && owns(context, migration, finding))?;
    let view = &context.view;
    let section = title_section(context, migration)?;
    let style = Style::from_document(view, Some(changelog));
    let line = style.description_line("what it is for");
    let eol = view.line_ending;
    let below_heading =
        line_end(view.text, view.blocks.sections[section].span.end.saturating_sub(1));
    let date_end = migration.date.as_deref().and_then(|date| {
        let fields = view.text.get(below_heading..migration.tag_span.start)?;
        let at = fields.find(date)?;
        Some(line_end(view.text, below_heading + at))
    });
    let edit = match date_end {
        Some(end) => TextEdit::new(end..end, format!("{line}{eol}")),
        None => TextEdit::new(below_heading..below_heading, format!("{eol}{line}{eol}")),
    };
    Some(Fix::new(finding, FixSafety::NeedsPerson, "add a description", vec![edit]))
}

/// Whether a finding about the heading or the first tag is about this migration.
fn owns(context: &FixContext<'_>, migration: &Migration<'_>, finding: &Diagnostic) -> bool {
    let heading = title_section(context, migration)
        .map(|section| context.view.blocks.sections[section].span.clone());
    migration.tag_span.contains(&finding.span.start)
        || heading.is_some_and(|span| span.contains(&finding.span.start))
}

/// The section whose heading names a migration.
fn title_section(context: &FixContext<'_>, migration: &Migration<'_>) -> Option<usize> {
    let versions = VersionPair::new(migration.from.clone(), migration.to.clone());
    let block = context.view.blocks_of(&versions).next()?;
    let section = block.section;
    context.view.owning_section(section).or(section)
}
