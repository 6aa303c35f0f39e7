//! Infers how a document writes its migrations, so that a new one looks the same: the level and text
//! of headings, the arrow, the fields, the headings of the two scopes, and rules between sections.
//! Anything that the document has no example of is written as in the README.

use crate::document::changelog::Changelog;
use crate::document::lines::{MetadataField, line_ranges, parse_metadata_field};
use crate::document::migration::Migration;
use crate::document::tag::{Scope, VersionPair, VersionPoint};
use crate::document::tag_syntax::arrow_of;
use crate::document::version_text::find_version;
use crate::edit::page::DocumentView;

/// How a document writes its migrations.
pub(crate) struct Style {
    pub(crate) heading_level: u8,
    /// The text before the versions in a heading.
    heading_prefix: String,
    /// The text between the versions in a heading, spaces included.
    heading_arrow: String,
    pub(crate) tag_arrow: &'static str,
    /// The line of each field up to its value.
    date_prefix: String,
    description_prefix: String,
    /// The heading lines above the blocks of each scope, by scope.
    scope_headings: [Option<String>; 2],
    /// Whether a thematic break (`---`) precedes each section.
    pub(crate) has_rules: bool,
}

impl Style {
    /// The style of a document's released migrations. For each property, the latest migration that
    /// shows it decides.
    pub(crate) fn from_document(
        view: &DocumentView<'_>,
        changelog: Option<&Changelog<'_>>,
    ) -> Self {
        let mut style = Self {
            heading_level: 2,
            heading_prefix: String::new(),
            heading_arrow: " → ".to_owned(),
            tag_arrow: "→",
            date_prefix: "**Date**: ".to_owned(),
            description_prefix: "**Description**: ".to_owned(),
            scope_headings: [None, None],
            has_rules: false,
        };
        let Some(changelog) = changelog else { return style };
        let mut migrations: Vec<&Migration<'_>> = changelog.baselines()[..1].iter().collect();
        migrations.extend(&changelog.chain()[..changelog.head_position()]);
        for migration in migrations {
            style.infer(view, migration);
        }
        style
    }

    /// Adopts the style of one migration, as far as the migration shows it.
    fn infer(&mut self, view: &DocumentView<'_>, migration: &Migration<'_>) {
        let versions = VersionPair::new(migration.from.clone(), migration.to.clone());
        let Some(first_block) = view.blocks_of(&versions).next() else { return };
        self.tag_arrow = arrow_of(&view.text[first_block.tag_span.clone()]);
        let Some(owning_section) = view.owning_section(first_block.section) else { return };
        let section = &view.blocks.sections[owning_section];
        self.heading_level = section.level;
        let heading = view.text[section.span.clone()].lines().next().unwrap_or("");
        if migration.from != VersionPoint::Baseline
            && let Some((prefix, arrow)) = split_heading(heading, &versions)
        {
            (self.heading_prefix, self.heading_arrow) = (prefix, arrow);
        }
        let section_range = view.section_range(owning_section);
        let above = view.text[..section_range.start].trim_end();
        self.has_rules = is_thematic_break(above.lines().next_back().unwrap_or(""));
        let metadata_range = section.span.end..first_block.tag_span.start.max(section.span.end);
        for line in line_ranges(view.text, metadata_range) {
            let line = view.text[line].trim_end();
            let Some((name, value)) = parse_metadata_field(line) else { continue };
            let before = &line[..line.len() - value.len()];
            match name {
                MetadataField::Date => before.clone_into(&mut self.date_prefix),
                MetadataField::Description => before.clone_into(&mut self.description_prefix),
                MetadataField::Imported => {}
            }
        }
        for scope in Scope::BOTH {
            if let Some(heading) = find_scope_heading(view, &versions, scope, owning_section) {
                self.scope_headings[scope as usize] = Some(heading.to_owned());
            }
        }
    }

    /// The heading of a migration, without its line end.
    pub(crate) fn heading(&self, versions: &VersionPair) -> String {
        let hashes = "#".repeat(usize::from(self.heading_level));
        let to = &versions.to;
        match &versions.from {
            VersionPoint::Baseline => format!("{hashes} Baseline: {to}"),
            VersionPoint::Version(from) => {
                format!("{hashes} {}{from}{}{to}", self.heading_prefix, self.heading_arrow)
            }
        }
    }

    pub(crate) fn date_line(&self, date: &str) -> String {
        format!("{}{date}", self.date_prefix)
    }

    pub(crate) fn description_line(&self, text: &str) -> String {
        format!("{}{text}", self.description_prefix)
    }

    /// The heading line above the blocks of a scope, if the document uses such headings.
    pub(crate) fn scope_heading(&self, scope: Scope) -> Option<&str> {
        self.scope_headings[scope as usize].as_deref()
    }
}

/// The heading line between the heading of a migration and its block for `scope`, if it is for that
/// scope alone and not for this migration alone: it has no digit and no bracket.
fn find_scope_heading<'v>(
    view: &'v DocumentView<'_>,
    versions: &VersionPair,
    scope: Scope,
    owning_section: usize,
) -> Option<&'v str> {
    let section_of =
        |scope: Scope| view.block_for_scope(versions, scope).and_then(|block| block.section);
    let section = section_of(scope).filter(|section| *section != owning_section)?;
    let is_shared =
        Scope::BOTH.into_iter().any(|other| other != scope && section_of(other) == Some(section));
    let line = view.text[view.blocks.sections[section].span.clone()].trim_end();
    let is_plain = line.starts_with('#')
        && !line.contains(|c: char| c.is_ascii_digit())
        && !line.contains(['\n', '(']);
    (is_plain && !is_shared).then_some(line)
}

/// The text before the versions of a heading, and the text between them.
fn split_heading(heading: &str, versions: &VersionPair) -> Option<(String, String)> {
    let text = heading.trim_start().trim_start_matches('#').trim_start();
    let (from, to) = (versions.from.to_string(), versions.to.to_string());
    let from = find_version(text, &from).next()?;
    let to = find_version(text, &to).find(|to| to.start >= from.end)?;
    let arrow = &text[from.end..to.start];
    let trimmed_arrow = arrow.trim().trim_end_matches('v').trim();
    let prefix = &text[..from.start];
    // A number before the versions, such as `3.`, belongs to this heading alone.
    let is_numbered = prefix.contains(|c: char| c.is_ascii_digit());
    matches!(trimmed_arrow, "→" | "->")
        .then(|| (if is_numbered { String::new() } else { prefix.to_owned() }, arrow.to_owned()))
}

/// Whether a line is a thematic break, such as `---` or `* * *`.
pub(crate) fn is_thematic_break(line: &str) -> bool {
    let without_spaces: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    without_spaces.len() >= 3
        && ["-", "*", "_"].iter().any(|mark| without_spaces.replace(mark, "").is_empty())
}
