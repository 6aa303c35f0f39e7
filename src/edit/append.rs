//! Adds the next migration to a document.

use semver::Version;

use crate::document::changelog::Changelog;
use crate::document::migration::Migration;
use crate::document::tag::{VersionPair, VersionPoint};
use crate::edit::change::apply_edits;
use crate::edit::error::EditError;
use crate::edit::new_migration::{Bump, NewMigration, PlannedPolicy};
use crate::edit::page::DocumentView;
use crate::edit::style::Style;
use crate::edit::unchanged::VersionRenames;
use crate::edit::{relink, section, unchanged};
use crate::source::Source;
use crate::sql::lexer;

/// Adds a migration above head and before the planned ones. Returns the text of the new document.
///
/// `changelog` is the parsed document, or `None` if it has no migration yet; the new migration is
/// then the first baseline. Every other byte of the document stays the same, except the versions of
/// planned migrations with [`PlannedPolicy::Renumber`].
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
/// let text = append(&source, None, &new, PlannedPolicy::Refuse)?;
/// assert!(text.starts_with("# Migrations\n\n## Baseline: 1.0.0\n"));
/// assert_eq!(Changelog::parse(&text)?.head().to_string(), "1.0.0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ````
///
/// # Errors
///
/// If the new migration lacks a description, is not above head, or conflicts with planned
/// migrations; or if the edited document would have errors or differ in anything else.
pub fn append(
    source: &Source<'_>,
    changelog: Option<&Changelog<'_>>,
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
    let new = &NewMigration { description: &description, ..new.clone() };
    let view = DocumentView::parse(source.text());
    let mut versions =
        VersionPair::new(VersionPoint::Baseline, VersionPoint::Version(new.to.clone()));
    let mut renames = VersionRenames::default();
    if let Some(changelog) = changelog {
        versions.from = VersionPoint::Version(changelog.head().clone());
        if new.to <= *changelog.head() {
            return Err(not_above_head(changelog, &new.to));
        }
        if let Some(first) = changelog.chain().get(changelog.head_position()) {
            if planned == PlannedPolicy::Refuse {
                return Err(planned_conflict(source, changelog, first, &new.to));
            }
            renames = relink::plan_renumbering(changelog, &new.to);
        }
    }
    let mut edits = relink::renumbering_edits(&view, &renames);
    let style = Style::from_document(&view, changelog);
    let section = section::render_section(&view, &style, &versions, new);
    edits.push(section::insert_section(&view, changelog, &style, &section));
    let edited = apply_edits(source.text(), edits);
    let reparsed = unchanged::reparse(source, &edited)?;
    unchanged::check_unchanged(changelog, &renames, &reparsed, &versions)?;
    if !is_as_requested(&reparsed, &versions, new) {
        return Err(EditError::VerificationFailed(format!(
            "`{versions}` would not have the requested content"
        )));
    }
    Ok(edited)
}

/// Whether the edited document contains the new migration, released and at head.
fn is_as_requested(
    reparsed: &Changelog<'_>,
    versions: &VersionPair,
    new: &NewMigration<'_>,
) -> bool {
    let migration = reparsed.find(&versions.from, &versions.to).filter(|found| !found.planned);
    let has_content = migration.is_some_and(|found| {
        found.description.as_deref() == Some(new.description)
            && found.date.as_deref() == Some(new.date)
            && new.blocks.iter().all(|new_block| {
                found.block(new_block.scope).is_some_and(|block| {
                    lexer::normalize(block.sql().text()) == lexer::normalize(&new_block.sql)
                })
            })
    });
    has_content && *reparsed.head() == new.to
}

fn not_above_head(changelog: &Changelog<'_>, to: &Version) -> EditError {
    let head = changelog.head().clone();
    let next_versions =
        [Bump::Patch, Bump::Minor, Bump::Major].map(|bump| format!("`{}`", bump.apply(&head)));
    EditError::NotAboveHead { to: to.clone(), head, next_versions: next_versions.join(", ") }
}

/// The error for a new version that `first`, the first planned migration, is in the way of.
fn planned_conflict(
    source: &Source<'_>,
    changelog: &Changelog<'_>,
    first: &Migration<'_>,
    to: &Version,
) -> EditError {
    let location = format!("{}:{}", source.name(), source.line_number(first.tag_span.start));
    let renumbered: Vec<String> = relink::plan_renumbering(changelog, to)
        .versions
        .into_iter()
        .filter(|(old, new)| old != new)
        .map(|(old, new)| format!("`{old}` becomes `{new}`"))
        .collect();
    let relink_help = format!(
        "pass `--relink` to insert the new migration before the planned ones: {}",
        renumbered.join(", ")
    );
    let planned_versions = changelog.planned_versions();
    let last = planned_versions.iter().rev().find(|version| *version <= to);
    let (message, help) = if planned_versions.contains(to) {
        (
            format!("`{to}` is already planned ({location} and below)"),
            format!(
                "run `tatmig promote {}` to release the next planned migration, or {relink_help}",
                planned_versions[0],
            ),
        )
    } else if let Some(last) = last {
        let message = format!(
            "`{to}` is above `{last}`, which is planned and must be released first ({location} and below)"
        );
        (message, relink_help)
    } else {
        (
            format!(
                "the planned migration `{first}` ({location}) also starts at head, which is {}",
                changelog.head()
            ),
            format!("pass `--relink` to make it start at `{to}`, in its heading and its tags"),
        )
    };
    EditError::PlannedConflict { message, help }
}

/// A text in one line: control characters and runs of white space become single spaces.
fn to_single_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}
