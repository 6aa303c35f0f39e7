//! A plan that becomes a release: `(Planned)` goes from its heading, the comment marks go from its
//! SQL, and it gets a date if it has none.

use std::collections::BTreeSet;

use rusqlite::Connection;
use semver::Version;

use crate::document::changelog::{Changelog, StepId};
use crate::document::lines::{Field, field, line_end, lines};
use crate::document::migration::Migration;
use crate::document::tag::{Point, Scope, Tag};
use crate::edit::change::{Change, changed};
use crate::edit::error::EditError;
use crate::edit::page::Page;
use crate::edit::style::Style;
use crate::edit::unchanged;
use crate::edit::unchanged::Names;
use crate::migrate::uncomment::marks;

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
    let migration = planned(changelog, version)?;
    let pair = (migration.from.clone(), migration.to.clone());
    let page = Page::read(text);
    let mut changes = Vec::new();
    let mut headings = BTreeSet::new();
    for block in page.of((&pair.0, &pair.1)) {
        headings.extend(page.chain(block.section).filter(|at| page.blocks.sections[*at].planned));
    }
    for heading in &headings {
        changes.push(released(&page, *heading, (source.name(), &pair))?);
    }
    let connection = Connection::open_in_memory()?;
    let reverse = changelog
        .position(version)
        .filter(|at| *at > 0)
        .and_then(|at| changelog.step(StepId::Reverse(at - 1)));
    for migration in std::iter::once(migration).chain(reverse) {
        for part in Scope::BOTH.into_iter().filter_map(|scope| migration.part(scope)) {
            for mark in marks(&connection, part) {
                let blank = usize::from(text[mark + 2..].starts_with(' '));
                changes.push(Change::new(mark..mark + 2 + blank, ""));
            }
        }
    }
    if migration.date.is_none()
        && let Some(heading) = headings.first()
    {
        changes.push(dated(&page, changelog, (*heading, migration.span.start, date)));
    }
    let edited = changed(text, changes);
    let read = unchanged::parse(source, &edited)?;
    unchanged::check((Some(changelog), &Names::default()), &read, &pair)?;
    let is_released = read.find(&pair.0, &pair.1).is_some_and(|found| {
        !found.planned && found.description == migration.description && found.date.is_some()
    });
    if !is_released {
        return Err(EditError::Differs(format!("`{migration}` would still be planned")));
    }
    Ok(edited)
}

/// The planned migration that may be released.
fn planned<'c, 'a>(
    changelog: &'c Changelog<'a>,
    version: &Version,
) -> Result<&'c Migration<'a>, EditError> {
    let to = Point::Version(version.clone());
    let all = || changelog.chain().iter().chain(changelog.baselines());
    let next = changelog.planned().first();
    let Some(found) = all().find(|migration| migration.planned && migration.to == to) else {
        let is_known = changelog.position(version).is_some();
        let plans = match changelog.planned() {
            [] => "nothing is planned".to_owned(),
            plans => {
                let plans: Vec<String> = plans.iter().map(|plan| format!("`{plan}`")).collect();
                format!("planned are {}", plans.join(", "))
            }
        };
        let what = if is_known { "is released already" } else { "is not in the document" };
        return Err(EditError::NotPlanned(format!("`{version}` {what}; {plans}")));
    };
    match next {
        Some(next) if next < version => Err(EditError::NotPlanned(format!(
            "`{next}` is planned before `{version}`; `tatmig promote {next}` comes first"
        ))),
        _ => Ok(found),
    }
}

/// A heading without its `(Planned)`, if nothing else is planned by it.
fn released(
    page: &Page<'_>,
    heading: usize,
    (name, (from, to)): (&str, &(Point, Point)),
) -> Result<Change, EditError> {
    let section = &page.blocks.sections[heading];
    let others = page.blocks.list.iter().find(|block| {
        let under = page.chain(block.section).any(|at| at == heading);
        let own = matches!(&block.tag, Tag::Migration { from: x, to: y, .. }
            if (x, y) == (from, to) || (x, y) == (to, from));
        under && !own
    });
    let line = page.text[..section.span.start].matches('\n').count() + 1;
    if let Some(other) = others {
        return Err(EditError::InTheWay {
            what: format!(
                "the heading `{}` ({name}:{line}) plans `{}` too",
                section.title, other.tag
            ),
            help: "give each planned migration a heading with `(Planned)` of its own".to_owned(),
        });
    }
    let shown = &page.text[section.span.clone()];
    let mark = shown.match_indices('(').find_map(|(open, _)| {
        let close = open + shown[open..].find(')')?;
        shown[open + 1..close].trim().eq_ignore_ascii_case("planned").then_some((open, close + 1))
    });
    let Some((open, close)) = mark else {
        return Err(EditError::Differs(format!("`(Planned)` is not found in line {line}")));
    };
    let start = shown[..open].trim_end_matches([' ', '\t']).len();
    Ok(Change::new(section.span.start + start..section.span.start + close, ""))
}

/// A line with the date: above the description, else under the heading.
fn dated(
    page: &Page<'_>,
    changelog: &Changelog<'_>,
    (heading, first_tag, date): (usize, usize, &str),
) -> Change {
    let eol = page.line_end;
    let date = Style::of(page, Some(changelog)).date(date);
    let under = line_end(page.text, page.blocks.sections[heading].span.end.saturating_sub(1));
    let description = lines(page.text, under..first_tag.max(under)).find(|line| {
        field(page.text[line.clone()].trim_end())
            .is_some_and(|(name, _)| name == Field::Description)
    });
    match description {
        Some(line) => Change::new(line.start..line.start, format!("{date}{eol}")),
        None => Change::new(under..under, format!("{eol}{date}{eol}")),
    }
}
