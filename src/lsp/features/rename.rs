//! Renames a version in all headings and tags, and a table, column or other object that an unreleased
//! migration creates.

use std::collections::BTreeMap;
use std::ops::Range;

use gen_lsp_types as lsp;
use semver::Version;

use crate::database::connection::ConnectionSetup;
use crate::document::changelog::parse_source;
use crate::document::diagnostic::Severity;
use crate::document::tag::{Tag, VersionPair, VersionPoint};
use crate::document::version_text::find_version;
use crate::edit::TextEdit;
use crate::edit::change::apply_edits;
use crate::edit::page::DocumentView;
use crate::edit::relink::renumbering_edits;
use crate::edit::unchanged::VersionRenames;
use crate::lint::session::LintSession;
use crate::lsp::features::navigation::uses_target;
use crate::lsp::history::history_of;
use crate::lsp::model::Model;
use crate::lsp::snapshot::Snapshot;
use crate::lsp::target::{FoundName, Resolver, find_name, schemas_around};
use crate::migrate::chain_cache::CacheUse;
use crate::source::Source;
use crate::sql::lexer::{quote_identifier, quote_if_needed, unquote};
use crate::sql::tokens::Tokens;

/// Why something cannot be renamed, for the user.
pub(crate) type RenameError = String;

/// What is at a place, if it can be renamed.
pub(crate) fn prepare_rename(
    snapshot: &Snapshot,
    position: lsp::Position,
) -> Result<lsp::PrepareRenameResult, RenameError> {
    let offset = snapshot.offset(position);
    let view = snapshot.view();
    let range = match version_at(&view, offset) {
        Some(found) => found.range,
        None => {
            let model = snapshot.model().ok_or(NOT_RUNNABLE)?;
            let found = find_named(snapshot, model, offset)?;
            require_unreleased(model, &found)?;
            found.range
        }
    };
    Ok(lsp::PrepareRenameResult::Range(snapshot.range(range)))
}

const NOT_RUNNABLE: &str = "the document has errors; correct them first";
const NOTHING_TO_RENAME: &str =
    "only versions, and tables, columns and other objects in SQL can be renamed";

pub(crate) fn rename(
    snapshot: &Snapshot,
    position: lsp::Position,
    new_name: &str,
) -> Result<lsp::WorkspaceEdit, RenameError> {
    let offset = snapshot.offset(position);
    let view = snapshot.view();
    let edits = match version_at(&view, offset) {
        Some(found) => rename_version(&view, &found.version, new_name)?,
        None => {
            let model = snapshot.model().ok_or(NOT_RUNNABLE)?;
            let found = find_named(snapshot, model, offset)?;
            rename_name(snapshot, model, &found, new_name)?
        }
    };
    Ok(snapshot.workspace_edit(edits))
}

/// The table, column or other object at a byte. An alias of it, or of a view's column, is not renamed.
fn find_named<'m>(
    snapshot: &Snapshot,
    model: &'m Model,
    offset: usize,
) -> Result<FoundName<'m>, RenameError> {
    let found = find_name(model, offset).filter(|found| {
        let written = unquote(&snapshot.text[found.range.clone()]);
        written.eq_ignore_ascii_case(found.target.name())
    });
    Ok(found.ok_or(NOTHING_TO_RENAME)?)
}

/// A version in a tag or a heading.
struct FoundVersion {
    version: Version,
    range: Range<usize>,
}

fn version_at(view: &DocumentView<'_>, offset: usize) -> Option<FoundVersion> {
    let tags = view.blocks.list.iter().flat_map(|block| {
        let versions = match &block.tag {
            Tag::Migration { from, to, .. } => Some(VersionPair::new(from.clone(), to.clone())),
            _ => None,
        };
        let lines = std::iter::once(block.tag_span.clone()).chain(view.end_tag_line(block));
        lines.filter_map(move |line| Some((line, versions.clone()?)))
    });
    let sections = view.blocks.sections.iter();
    let headings =
        sections.filter_map(|section| Some((section.span.clone(), section.versions.clone()?)));
    let mut lines = tags.chain(headings);
    let (line, versions) = lines.find(|(line, _)| line.start <= offset && offset <= line.end)?;
    let text = &view.text[line.clone()];
    [versions.from, versions.to].into_iter().find_map(|point| {
        let VersionPoint::Version(version) = point else { return None };
        let name = version.to_string();
        let range = find_version(text, &name)
            .map(|found| line.start + found.start..line.start + found.end)
            .find(|range| range.start <= offset && offset <= range.end)?;
        Some(FoundVersion { version, range })
    })
}

fn rename_version(
    view: &DocumentView<'_>,
    old: &Version,
    new_name: &str,
) -> Result<Vec<TextEdit>, RenameError> {
    let Some(VersionPoint::Version(new)) = VersionPoint::parse(new_name.trim()) else {
        return Err(format!("`{new_name}` is not a version; write one such as 1.2.0"));
    };
    let renames =
        VersionRenames { versions: BTreeMap::from([(old.clone(), new)]), pairs: BTreeMap::new() };
    let edits = renumbering_edits(view, &renames);
    let edited = apply_edits(view.text, edits.clone());
    let was_valid = parse_source(Source::new("", view.text)).0.is_ok();
    let (changelog, found) = parse_source(Source::new("", &edited));
    if was_valid && changelog.is_err() {
        let error = found.into_iter().find(|found| found.severity == Severity::Error);
        let reason = error.map(|error| error.message).unwrap_or_default();
        return Err(format!("with this version the document would have an error: {reason}"));
    }
    Ok(edits)
}

/// Requires that an unreleased migration creates what a name means.
fn require_unreleased(model: &Model, found: &FoundName<'_>) -> Result<(), RenameError> {
    let history = history_of(model, found.step, &found.target);
    let creation = history.created.and_then(|origin| model.step_at(origin.span.start));
    match creation {
        Some(step) if step.is_planned || step.is_last_released => Ok(()),
        _ => Err(format!(
            "`{}` is created by a migration that databases may have applied; rename it with a new migration: `ALTER TABLE … RENAME`",
            found.target.name()
        )),
    }
}

fn rename_name(
    snapshot: &Snapshot,
    model: &Model,
    found: &FoundName<'_>,
    new_name: &str,
) -> Result<Vec<TextEdit>, RenameError> {
    require_unreleased(model, found)?;
    let new_name = new_name.trim();
    if new_name.is_empty() || new_name.chars().any(char::is_control) {
        return Err("a name cannot be empty or hold control characters".to_owned());
    }
    let key = found.target.object().key();
    let mut edits = Vec::new();
    for step in model.steps.iter().filter(|step| step.scope == found.step.scope) {
        for statement in model.statements(step) {
            if !uses_target(model, step, statement, &key, &found.target) {
                continue;
            }
            let tokens = Tokens::new(statement.sql.text());
            let schemas = schemas_around(model, step, statement);
            let resolver = Resolver { tokens: &tokens, schemas: &schemas };
            for index in resolver.tokens_meaning(&found.target) {
                let text = if tokens.is_quoted(index) {
                    quote_identifier(new_name)
                } else {
                    quote_if_needed(new_name)
                };
                let span = tokens.span(&statement.sql, index, index);
                edits.push(TextEdit::new(span, text));
            }
        }
    }
    require_same_errors(snapshot, &edits)?;
    Ok(edits)
}

/// Requires that the renamed document has no more errors than before.
fn require_same_errors(snapshot: &Snapshot, edits: &[TextEdit]) -> Result<(), RenameError> {
    let edited = apply_edits(&snapshot.text, edits.to_vec());
    let setup: ConnectionSetup = snapshot.settings.setup.uncancelled();
    let errors = |text: &str| {
        let options = snapshot.settings.options;
        let mut session = LintSession::new(options, setup.clone(), CacheUse::OneRun);
        let run = session.lint(Source::new("", text)).map_err(|error| error.to_string())?;
        let errors = run.report.diagnostics.into_iter();
        Ok::<_, RenameError>(
            errors.filter(|found| found.severity == Severity::Error).collect::<Vec<_>>(),
        )
    };
    let (before, after) = (errors(&snapshot.text)?, errors(&edited)?);
    if after.len() > before.len() {
        let reason = after.first().map(|error| error.message.as_str()).unwrap_or_default();
        return Err(format!("with this name the document would have an error: {reason}"));
    }
    Ok(())
}
