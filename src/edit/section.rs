//! Writes the section of a new migration and finds its position in the document.

use std::fmt::Write as _;

use crate::document::changelog::Changelog;
use crate::document::migration::Migration;
use crate::document::tag::{Scope, VersionPair};
use crate::edit::change::TextEdit;
use crate::edit::marker;
use crate::edit::new_migration::{NewBlock, NewMigration};
use crate::edit::page::{DocumentView, fence_around, with_line_ends};
use crate::edit::style::{Style, is_thematic_break};

/// The text of the section, with the document's line ends.
pub(crate) fn render_section(
    view: &DocumentView<'_>,
    style: &Style,
    versions: &VersionPair,
    new: &NewMigration<'_>,
) -> String {
    let eol = view.line_ending;
    let mut out = format!(
        "{}{eol}{eol}{}{eol}{}{eol}",
        style.heading(versions),
        style.date_line(new.date),
        style.description_line(new.description)
    );
    let writer = BlockWriter { tag_arrow: style.tag_arrow, eol };
    for NewBlock { scope, sql, reverse } in &new.blocks {
        if let Some(heading) = style.scope_heading(*scope) {
            let _ = write!(out, "{eol}{heading}{eol}");
        }
        writer.write(&mut out, *scope, versions, sql);
        if let Some(reverse) = reverse {
            writer.write(&mut out, *scope, &versions.reversed(), reverse);
        }
    }
    out
}

/// Writes blocks in the style of the document.
pub(crate) struct BlockWriter {
    pub(crate) tag_arrow: &'static str,
    pub(crate) eol: &'static str,
}

impl BlockWriter {
    /// Writes a code block with one block of SQL; without SQL, with a comment in its place, for which
    /// `upgrade` refuses the block.
    pub(crate) fn write(&self, out: &mut String, scope: Scope, versions: &VersionPair, sql: &str) {
        let Self { tag_arrow, eol } = self;
        let VersionPair { from, to } = versions;
        let fence = fence_around(sql);
        let text = match scope {
            _ if !sql.trim().is_empty() => with_line_ends(sql.trim_end(), eol),
            Scope::System => {
                "-- tatmig:todo write the statements for the system database".to_owned()
            }
            Scope::User => "-- tatmig:todo write the statements for each user database".to_owned(),
        };
        let _ = write!(
            out,
            "{eol}{fence}sql{eol}-- [{scope}:{from}{tag_arrow}{to}:start]{eol}{text}{eol}-- [{scope}:{from}{tag_arrow}{to}:end]{eol}{fence}{eol}"
        );
    }
}

/// The edit that inserts the section: behind the migration that leads to head, or before it if the
/// document lists the latest migration first.
pub(crate) fn insert_section(
    view: &DocumentView<'_>,
    changelog: Option<&Changelog<'_>>,
    style: &Style,
    section: &str,
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

/// The offset at which the section of the next migration begins; `None` for the end of the document.
fn insertion_offset(view: &DocumentView<'_>, changelog: &Changelog<'_>) -> Option<usize> {
    let position = changelog.head_position();
    let migration_at = |position: usize| -> &Migration<'_> {
        if position == 0 { &changelog.baselines()[0] } else { &changelog.chain()[position - 1] }
    };
    let head = migration_at(position);
    let versions = VersionPair::new(head.from.clone(), head.to.clone());
    let last_block = view.blocks_of(&versions).last()?;
    let owning_section = view.owning_section(last_block.section);
    if position > 0 && head.tag_span.start < migration_at(position - 1).tag_span.start {
        let start = owning_section.map(|section| view.section_range(section).start);
        return Some(start.unwrap_or_else(|| view.code_block_range(head.tag_span.start).start));
    }
    let code_block = view.code_block_range(last_block.tag_span.start);
    let Some(owning_section) = owning_section else { return Some(code_block.end) };
    let end = view.section_range(owning_section).end;
    // A schema between markers behind the migrations stays behind them.
    let marker = marker::start_marker_offsets(view)
        .into_iter()
        .find(|start| (code_block.end..end).contains(start));
    Some(marker.unwrap_or(end))
}
