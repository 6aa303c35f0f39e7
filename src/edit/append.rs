//! The next migration's section: where it stands, and what it says.

use std::fmt::Write as _;

use semver::Version;

use crate::document::changelog::Changelog;
use crate::document::migration::Migration;
use crate::document::tag::{Point, Scope};
use crate::edit::change::{Change, changed};
use crate::edit::error::EditError;
use crate::edit::new_migration::{Bump, NewMigration, NewPart, Planned};
use crate::edit::page::{Page, fence_around, with_line_ends};
use crate::edit::style::{Style, is_rule};
use crate::edit::unchanged::Names;
use crate::edit::{marker, relink, unchanged};
use crate::source::Source;
use crate::sql::lexer;

/// The document with one more migration behind head, above the planned ones; `changelog` is none
/// where the document has no migration yet, and then it is the first baseline. Every other byte
/// stays, but for the versions of planned migrations where these are to be linked anew.
///
/// ````
/// use tatmig::edit::{NewMigration, Planned, append};
/// use tatmig::{Changelog, Source};
///
/// let source = Source::new("MIGRATIONS.md", "# Migrations\n");
/// let new = NewMigration {
///     to: "1.0.0".parse()?,
///     description: "Notes",
///     date: "2026-05-04",
///     parts: vec![tatmig::edit::NewPart {
///         scope: tatmig::Scope::User,
///         sql: "CREATE TABLE notes (body TEXT);".to_owned(),
///         reverse: None,
///     }],
/// };
/// let text = append((&source, None), &new, Planned::Keep)?;
/// assert!(text.starts_with("# Migrations\n\n## Baseline: 1.0.0\n"));
/// assert_eq!(Changelog::parse(&text)?.head().to_string(), "1.0.0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ````
///
/// # Errors
///
/// Why the document is better left as it is.
pub fn append(
    (source, changelog): (&Source<'_>, Option<&Changelog<'_>>),
    new: &NewMigration<'_>,
    planned: Planned,
) -> Result<String, EditError> {
    let description = in_a_line(new.description);
    if description.is_empty() {
        return Err(EditError::NoDescription);
    }
    if !new.to.build.is_empty() {
        return Err(EditError::BuildMetadata(new.to.clone()));
    }
    let text = source.text();
    let page = Page::read(text);
    let to = Point::Version(new.to.clone());
    let mut from = Point::Baseline;
    let mut changes = Vec::new();
    let mut names = Names::default();
    if let Some(changelog) = changelog {
        from = Point::Version(changelog.head().clone());
        if new.to <= *changelog.head() {
            return Err(not_above(changelog, &new.to));
        }
        if let Some(first) = changelog.chain().get(changelog.head_position()) {
            if planned == Planned::Keep {
                return Err(in_the_way((source, changelog), first, &new.to));
            }
            names = relink::names(changelog, &new.to);
            changes = relink::changes(&page, &names);
        }
    }
    let style = Style::of(&page, changelog);
    let section = section(&page, &style, ((&from, &to), new, &description));
    changes.push(placed(&page, changelog, (&style, &section)));
    let edited = changed(text, changes);
    let read = unchanged::parse(source, &edited)?;
    unchanged::check((changelog, &names), &read, &(from.clone(), to.clone()))?;
    let found = read.find(&from, &to).filter(|found| !found.planned);
    let says = found.is_some_and(|found| {
        found.description.as_deref() == Some(&description)
            && found.date.as_deref() == Some(new.date)
            && new.parts.iter().all(|part| {
                found.part(part.scope).is_some_and(|written| {
                    lexer::fold(written.sql().text()) == lexer::fold(&part.sql)
                })
            })
    });
    if !says || *read.head() != new.to {
        return Err(EditError::Differs(format!(
            "`{from} → {to}` would not be read as it was written"
        )));
    }
    Ok(edited)
}

fn not_above(changelog: &Changelog<'_>, to: &Version) -> EditError {
    let head = changelog.head().clone();
    let next =
        [Bump::Patch, Bump::Minor, Bump::Major].map(|bump| format!("`{}`", bump.after(&head)));
    EditError::NotAboveHead { to: to.clone(), head, next: next.join(", ") }
}

/// What a planned migration has against a new version.
fn in_the_way(
    (source, changelog): (&Source<'_>, &Changelog<'_>),
    first: &Migration<'_>,
    to: &Version,
) -> EditError {
    let line = source.line(first.span.start);
    let name = source.name();
    let head = changelog.head();
    let last = changelog.planned().iter().rev().find(|version| *version <= to);
    let renumbered = relink::names(changelog, to).versions.into_iter();
    let renumbered: Vec<String> = renumbered
        .filter(|(old, new)| old != new)
        .map(|(old, new)| format!("`{old}` becomes `{new}`"))
        .collect();
    let (what, help) = if changelog.planned().contains(to) {
        (
            format!("`{to}` is planned already ({name}:{line} and below)"),
            format!(
                "`tatmig promote {}` releases what is planned next; `--relink` puts the new migration before the plans: {}",
                changelog.planned()[0],
                renumbered.join(", ")
            ),
        )
    } else if let Some(last) = last {
        (
            format!(
                "`{to}` is above `{last}`, which is planned and comes first ({name}:{line} and below)"
            ),
            format!(
                "`--relink` puts the new migration before the plans: {}",
                renumbered.join(", ")
            ),
        )
    } else {
        (
            format!(
                "the planned migration `{first}` ({name}:{line}) starts at head as well, which is {head}"
            ),
            format!("`--relink` makes it start at `{to}`, in its heading and its tags"),
        )
    };
    EditError::InTheWay { what, help }
}

/// A text in one line, without anything that is no character of it.
fn in_a_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The section's text, with the document's line ends.
fn section(
    page: &Page<'_>,
    style: &Style,
    ((from, to), new, description): ((&Point, &Point), &NewMigration<'_>, &str),
) -> String {
    let eol = page.line_end;
    let mut out = format!(
        "{}{eol}{eol}{}{eol}{}{eol}",
        style.heading(from, to),
        style.date(new.date),
        style.description(description)
    );
    for part in &new.parts {
        if let Some(heading) = style.scope(part.scope) {
            let _ = write!(out, "{eol}{heading}{eol}");
        }
        let NewPart { scope, sql, reverse } = part;
        block(&mut out, (*scope, from, to), (sql, style.tag_arrow, eol));
        if let Some(reverse) = reverse {
            block(&mut out, (*scope, to, from), (reverse, style.tag_arrow, eol));
        }
    }
    out
}

/// A fence with one block in it.
fn block(
    out: &mut String,
    (scope, from, to): (Scope, &Point, &Point),
    (sql, arrow, eol): (&str, &str, &str),
) {
    let fence = fence_around(sql);
    let text = if sql.trim().is_empty() {
        format!(
            "-- the statements for {}",
            match scope {
                Scope::System => "the system database",
                Scope::User => "every user's database",
            }
        )
    } else {
        with_line_ends(sql.trim_end(), eol)
    };
    let _ = write!(
        out,
        "{eol}{fence}sql{eol}-- [{scope}:{from}{arrow}{to}:start]{eol}{text}{eol}-- [{scope}:{from}{arrow}{to}:end]{eol}{fence}{eol}"
    );
}

/// The section at its place: behind the migration that head is, or before it where the document
/// goes from the latest to the first.
fn placed(
    page: &Page<'_>,
    changelog: Option<&Changelog<'_>>,
    (style, section): (&Style, &str),
) -> Change {
    let eol = page.line_end;
    let text = page.text;
    let at = changelog.and_then(|changelog| place(page, changelog)).unwrap_or(text.len());
    let before = text[..at].strip_prefix('\u{feff}').unwrap_or(&text[..at]);
    let mut out = String::new();
    if !before.trim().is_empty() {
        let blank = if before.ends_with("\n\n") || before.ends_with("\n\r\n") {
            0
        } else if before.ends_with('\n') {
            1
        } else {
            2
        };
        out.push_str(&eol.repeat(blank));
    }
    let rule = is_rule(before.trim_end().lines().next_back().unwrap_or(""));
    if style.rules && !rule {
        let _ = write!(out, "---{eol}{eol}");
    }
    out.push_str(section);
    let after = &text[at..];
    if !after.trim().is_empty() {
        if !after.starts_with(['\n', '\r']) {
            out.push_str(eol);
        }
        if rule {
            let _ = write!(out, "---{eol}{eol}");
        }
    }
    Change::new(at..at, out)
}

/// Where in the document the next migration's section begins.
fn place(page: &Page<'_>, changelog: &Changelog<'_>) -> Option<usize> {
    let at = changelog.head_position();
    let step = |at: usize| -> &Migration<'_> {
        if at == 0 { &changelog.baselines()[0] } else { &changelog.chain()[at - 1] }
    };
    let head = step(at);
    let last = page.of((&head.from, &head.to)).last()?;
    let home = page.home(last.section);
    if at > 0 && head.span.start < step(at - 1).span.start {
        let start = home.map(|home| page.extent(home).start);
        return Some(start.unwrap_or_else(|| page.fence(head.span.start).start));
    }
    let fence = page.fence(last.span.start);
    let Some(home) = home else { return Some(fence.end) };
    let end = page.extent(home).end;
    // A schema that is kept up to date behind the migrations stays behind them.
    let marker = marker::starts(page).into_iter().find(|start| (fence.end..end).contains(start));
    Some(marker.unwrap_or(end))
}
