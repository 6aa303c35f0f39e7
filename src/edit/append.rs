//! The next migration's section: where it stands, and what it says.

use std::fmt::Write as _;

use semver::Version;

use crate::document::changelog::Changelog;
use crate::document::migration::Migration;
use crate::document::tag::{Scope, VersionPoint};
use crate::edit::change::{TextEdit, apply_edits};
use crate::edit::error::EditError;
use crate::edit::new_migration::{Bump, NewBlock, NewMigration, PlannedPolicy};
use crate::edit::page::{DocumentView, fence_around, with_line_ends};
use crate::edit::style::{Style, is_thematic_break};
use crate::edit::unchanged::VersionRenames;
use crate::edit::{marker, relink, unchanged};
use crate::source::Source;
use crate::sql::lexer;

/// The document with one more migration behind head, above the planned ones; `changelog` is none
/// where the document has no migration yet, and then it is the first baseline. Every other byte
/// stays, but for the versions of planned migrations where these are to be linked anew.
///
/// ````
/// use tatmig::edit::{NewMigration, PlannedPolicy, append};
/// use tatmig::{Changelog, Source};
///
/// let source = Source::new("MIGRATIONS.md", "# Migrations\n");
/// let new = NewMigration {
///     to: "1.0.0".parse()?,
///     description: "Notes",
///     date: "2026-05-04",
///     blocks: vec![tatmig::edit::NewBlock {
///         scope: tatmig::Scope::User,
///         sql: "CREATE TABLE notes (body TEXT);".to_owned(),
///         reverse: None,
///     }],
/// };
/// let text = append((&source, None), &new, PlannedPolicy::Refuse)?;
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
    planned: PlannedPolicy,
) -> Result<String, EditError> {
    let description = to_single_line(new.description);
    if description.is_empty() {
        return Err(EditError::MissingDescription);
    }
    if !new.to.build.is_empty() {
        return Err(EditError::BuildMetadata(new.to.clone()));
    }
    let text = source.text();
    let view = DocumentView::parse(text);
    let to = VersionPoint::Version(new.to.clone());
    let mut from = VersionPoint::Baseline;
    let mut edits = Vec::new();
    let mut renames = VersionRenames::default();
    if let Some(changelog) = changelog {
        from = VersionPoint::Version(changelog.head().clone());
        if new.to <= *changelog.head() {
            return Err(not_above_head(changelog, &new.to));
        }
        if let Some(first) = changelog.chain().get(changelog.head_position()) {
            if planned == PlannedPolicy::Refuse {
                return Err(planned_conflict((source, changelog), first, &new.to));
            }
            renames = relink::plan_renumbering(changelog, &new.to);
            edits = relink::renumbering_edits(&view, &renames);
        }
    }
    let style = Style::from_document(&view, changelog);
    let section = render_section(&view, &style, ((&from, &to), new, &description));
    edits.push(section_insertion(&view, changelog, (&style, &section)));
    let edited = apply_edits(text, edits);
    let reparsed = unchanged::reparse(source, &edited)?;
    unchanged::check_unchanged((changelog, &renames), &reparsed, &(from.clone(), to.clone()))?;
    let migration = reparsed.find(&from, &to).filter(|found| !found.planned);
    let is_as_requested = migration.is_some_and(|found| {
        found.description.as_deref() == Some(&description)
            && found.date.as_deref() == Some(new.date)
            && new.blocks.iter().all(|part| {
                found.block(part.scope).is_some_and(|block| {
                    lexer::normalize(block.sql().text()) == lexer::normalize(&part.sql)
                })
            })
    });
    if !is_as_requested || *reparsed.head() != new.to {
        return Err(EditError::VerificationFailed(format!(
            "`{from} → {to}` would not be read as it was written"
        )));
    }
    Ok(edited)
}

fn not_above_head(changelog: &Changelog<'_>, to: &Version) -> EditError {
    let head = changelog.head().clone();
    let next_versions =
        [Bump::Patch, Bump::Minor, Bump::Major].map(|bump| format!("`{}`", bump.apply(&head)));
    EditError::NotAboveHead { to: to.clone(), head, next_versions: next_versions.join(", ") }
}

/// What a planned migration has against a new version.
fn planned_conflict(
    (source, changelog): (&Source<'_>, &Changelog<'_>),
    first: &Migration<'_>,
    to: &Version,
) -> EditError {
    let line = source.line_number(first.tag_span.start);
    let name = source.name();
    let head = changelog.head();
    let last = changelog.planned_versions().iter().rev().find(|version| *version <= to);
    let renumbered = relink::plan_renumbering(changelog, to).versions.into_iter();
    let renumbered: Vec<String> = renumbered
        .filter(|(old, new)| old != new)
        .map(|(old, new)| format!("`{old}` becomes `{new}`"))
        .collect();
    let (message, help) = if changelog.planned_versions().contains(to) {
        (
            format!("`{to}` is planned already ({name}:{line} and below)"),
            format!(
                "`tatmig promote {}` releases what is planned next; `--relink` puts the new migration before the plans: {}",
                changelog.planned_versions()[0],
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
    EditError::PlannedConflict { message, help }
}

/// A text in one line, without anything that is no character of it.
fn to_single_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The section's text, with the document's line ends.
fn render_section(
    view: &DocumentView<'_>,
    style: &Style,
    ((from, to), new, description): ((&VersionPoint, &VersionPoint), &NewMigration<'_>, &str),
) -> String {
    let eol = view.line_ending;
    let mut out = format!(
        "{}{eol}{eol}{}{eol}{}{eol}",
        style.heading(from, to),
        style.date_line(new.date),
        style.description_line(description)
    );
    for new_block in &new.blocks {
        if let Some(heading) = style.scope_heading(new_block.scope) {
            let _ = write!(out, "{eol}{heading}{eol}");
        }
        let NewBlock { scope, sql, reverse } = new_block;
        render_block(&mut out, (*scope, from, to), (sql, style.tag_arrow, eol));
        if let Some(reverse) = reverse {
            render_block(&mut out, (*scope, to, from), (reverse, style.tag_arrow, eol));
        }
    }
    out
}

/// A fence with one block in it.
fn render_block(
    out: &mut String,
    (scope, from, to): (Scope, &VersionPoint, &VersionPoint),
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
fn section_insertion(
    view: &DocumentView<'_>,
    changelog: Option<&Changelog<'_>>,
    (style, section): (&Style, &str),
) -> TextEdit {
    let eol = view.line_ending;
    let text = view.text;
    let offset =
        changelog.and_then(|changelog| insertion_offset(view, changelog)).unwrap_or(text.len());
    let before = text[..offset].strip_prefix('\u{feff}').unwrap_or(&text[..offset]);
    let mut out = String::new();
    if !before.trim().is_empty() {
        let newline_count = if before.ends_with("\n\n") || before.ends_with("\n\r\n") {
            0
        } else if before.ends_with('\n') {
            1
        } else {
            2
        };
        out.push_str(&eol.repeat(newline_count));
    }
    let has_rule_before = is_thematic_break(before.trim_end().lines().next_back().unwrap_or(""));
    if style.has_rules && !has_rule_before {
        let _ = write!(out, "---{eol}{eol}");
    }
    out.push_str(section);
    let after = &text[offset..];
    if !after.trim().is_empty() {
        if !after.starts_with(['\n', '\r']) {
            out.push_str(eol);
        }
        if has_rule_before {
            let _ = write!(out, "---{eol}{eol}");
        }
    }
    TextEdit::new(offset..offset, out)
}

/// Where in the document the next migration's section begins.
fn insertion_offset(view: &DocumentView<'_>, changelog: &Changelog<'_>) -> Option<usize> {
    let at = changelog.head_position();
    let migration_at = |at: usize| -> &Migration<'_> {
        if at == 0 { &changelog.baselines()[0] } else { &changelog.chain()[at - 1] }
    };
    let head = migration_at(at);
    let last_block = view.blocks_of((&head.from, &head.to)).last()?;
    let owning_section = view.owning_section(last_block.section);
    if at > 0 && head.tag_span.start < migration_at(at - 1).tag_span.start {
        let start = owning_section.map(|home| view.section_range(home).start);
        return Some(start.unwrap_or_else(|| view.code_block_range(head.tag_span.start).start));
    }
    let fence = view.code_block_range(last_block.tag_span.start);
    let Some(home) = owning_section else { return Some(fence.end) };
    let end = view.section_range(home).end;
    // A schema that is kept up to date behind the migrations stays behind them.
    let marker = marker::start_marker_offsets(view)
        .into_iter()
        .find(|start| (fence.end..end).contains(start));
    Some(marker.unwrap_or(end))
}
