//! Checks the metadata of migrations: every migration needs a description, every released one needs
//! a date, and dates must not decrease along the chain.

use std::ops::Range;

use jiff::civil::Date;

use crate::document::changelog::Changelog;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::migration::Migration;
use crate::source::Source;

pub(crate) fn check(changelog: &Changelog<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let source = changelog.source();
    let mut latest_date: Option<(Date, Range<usize>)> = None;
    for migration in changelog.forward_migrations() {
        if migration.description.is_none() {
            diagnostics.push(
                Diagnostic::new(
                    Rule::MissingDescription,
                    heading_span(source, migration),
                    format!("the migration `{migration}` has no description"),
                )
                .help("add a line `**Description**: what it is for` under its heading"),
            );
        }
        if migration.planned {
            continue;
        }
        let Some(date) = &migration.date else {
            diagnostics.push(
                Diagnostic::new(
                    Rule::MissingDate,
                    heading_span(source, migration),
                    format!("the released migration `{migration}` has no date"),
                )
                .help("add a line `**Date**: 2026-01-31` under its heading"),
            );
            continue;
        };
        let span = find_line_above(source, migration, |line| {
            line.contains("**").then(|| line.rfind(&**date))?
        })
        .map_or_else(|| migration.tag_span.clone(), |offset| offset..offset + date.len());
        let Ok(date) = date.parse::<Date>() else {
            diagnostics.push(
                Diagnostic::new(
                    Rule::MissingDate,
                    span,
                    format!("`{date}` is not a valid date for the migration `{migration}`"),
                )
                .help("write the date as `2026-01-31`"),
            );
            continue;
        };
        match &latest_date {
            Some((previous_date, previous_span)) if date < *previous_date => diagnostics.push(
                Diagnostic::new(
                    Rule::DatesOutOfOrder,
                    span,
                    format!("the date {date} of `{migration}` is before the date of an earlier migration"),
                )
                .related(previous_span.clone(), format!("{previous_date}"))
                .help("dates must not decrease along the chain; correct one of the two"),
            ),
            _ => latest_date = Some((date, span)),
        }
    }
}

/// The span of a migration's heading, else of its first tag.
fn heading_span(source: &Source<'_>, migration: &Migration<'_>) -> Range<usize> {
    let Some(title) = &migration.title else { return migration.tag_span.clone() };
    let heading_start = find_line_above(source, migration, |line| {
        let text = line.trim_start_matches([' ', '>']);
        (text.starts_with('#') && text.contains(&**title)).then(|| line.len() - text.len())
    });
    heading_start.map_or_else(
        || migration.tag_span.clone(),
        |offset| {
            let line = source.text()[offset..].lines().next().unwrap_or("");
            offset..offset + line.trim_end().len()
        },
    )
}

/// Searches upwards from a migration's first tag for a line in which `find_in_line` finds something.
/// Returns the byte offset in the document.
fn find_line_above(
    source: &Source<'_>,
    migration: &Migration<'_>,
    find_in_line: impl Fn(&str) -> Option<usize>,
) -> Option<usize> {
    let first_line = source.line_number(migration.tag_span.start);
    (1..first_line).rev().find_map(|line| {
        let range = source.line_range(line);
        find_in_line(&source.text()[range.clone()]).map(|offset| range.start + offset)
    })
}
