//! What the document says beside the SQL: every migration has a description, every released one a
//! date, and dates go up along the chain.

use std::ops::Range;

use jiff::civil::Date;

use crate::document::changelog::Changelog;
use crate::document::diagnostic::{Problem, Rule};
use crate::document::migration::Migration;
use crate::source::Source;

pub(crate) fn judge(changelog: &Changelog<'_>, problems: &mut Vec<Problem>) {
    let source = changelog.source();
    let mut latest: Option<(Date, Range<usize>)> = None;
    for migration in changelog.history() {
        if migration.description.is_none() {
            problems.push(
                Problem::new(
                    Rule::MissingDescription,
                    heading(source, migration),
                    format!("the migration `{migration}` has no description"),
                )
                .help("add a line `**Description**: what it is for` under its heading"),
            );
        }
        if migration.planned {
            continue;
        }
        let Some(date) = &migration.date else {
            problems.push(
                Problem::new(
                    Rule::MissingDate,
                    heading(source, migration),
                    format!("the released migration `{migration}` has no date"),
                )
                .help("add a line `**Date**: 2026-01-31` under its heading"),
            );
            continue;
        };
        let span =
            above(source, migration, |line| line.contains("**").then(|| line.rfind(&**date))?)
                .map_or_else(|| migration.span.clone(), |at| at..at + date.len());
        let Ok(date) = date.parse::<Date>() else {
            problems.push(
                Problem::new(
                    Rule::MissingDate,
                    span,
                    format!("the date of `{migration}`, `{date}`, cannot be read"),
                )
                .help("write it as `2026-01-31`"),
            );
            continue;
        };
        match &latest {
            Some((before, place)) if date < *before => problems.push(
                Problem::new(
                    Rule::DatesOutOfOrder,
                    span,
                    format!("`{migration}` is dated {date}, before the version that it builds on"),
                )
                .related(place.clone(), format!("{before}"))
                .help("a migration is released after those before it; mend one of the dates"),
            ),
            _ => latest = Some((date, span)),
        }
    }
}

/// The heading of a migration, else its first tag.
fn heading(source: &Source<'_>, migration: &Migration<'_>) -> Range<usize> {
    let Some(title) = &migration.title else { return migration.span.clone() };
    let found = above(source, migration, |line| {
        let text = line.trim_start_matches([' ', '>']);
        (text.starts_with('#') && text.contains(&**title)).then(|| line.len() - text.len())
    });
    found.map_or_else(
        || migration.span.clone(),
        |at| {
            let line = source.text()[at..].lines().next().unwrap_or("");
            at..at + line.trim_end().len()
        },
    )
}

/// The nearest place above a migration's first tag at which a line has what is looked for.
fn above(
    source: &Source<'_>,
    migration: &Migration<'_>,
    look: impl Fn(&str) -> Option<usize>,
) -> Option<usize> {
    let first = source.line(migration.span.start);
    (1..first).rev().find_map(|line| {
        let range = source.line_range(line);
        look(&source.text()[range.clone()]).map(|at| range.start + at)
    })
}
