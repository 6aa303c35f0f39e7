//! Runs `schema`: prints the document's schema at a version, or checks and updates the schema
//! sections of the document.

use anyhow::bail;
use semver::Version;
use tatmig::edit::{ScopeSchema, SectionSchemas};
use tatmig::schema_diff::SchemaSnapshot;
use tatmig::{Changelog, Scope, edit};

use crate::cli::args::document_commands::{SchemaAction, SchemaArgs};
use crate::cli::commands::context::CommandContext;
use crate::cli::commands::write_document;
use crate::cli::document_file::DocumentFile;
use crate::cli::report::views::schema::{SchemaCheckView, SchemaUpdateView, SchemaView};
use crate::cli::value_parsers::parse_version_or_head;

pub(crate) fn run(context: CommandContext<'_>, args: &SchemaArgs) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let action = args.action();
    if action != SchemaAction::Print {
        return write_or_check_sections(context, &document, &changelog, action);
    }
    let requested_version = parse_version_or_head(args.at.as_deref())?;
    let scope = args.scope.map(Scope::from);
    let schemas = schemas_at(context, &changelog, scope, requested_version.as_ref())?;
    let version = requested_version.as_ref().unwrap_or(changelog.head());
    let format = args.format.unwrap_or_default();
    Ok(context.report.emit(&SchemaView::new(version, &schemas, format)))
}

/// The schemas at a version (head if `None`) of a scope (every scope of the document if `None`).
pub(crate) fn schemas_at(
    context: CommandContext<'_>,
    changelog: &Changelog<'_>,
    scope: Option<Scope>,
    requested_version: Option<&Version>,
) -> anyhow::Result<Vec<ScopeSchema>> {
    let version = requested_version.unwrap_or(changelog.head());
    let position = match changelog.index_of(version) {
        Some(position) => position,
        None => changelog.target_index(Some(&version.to_string()))?,
    };
    let replay_schemas = |changelog: &Changelog<'_>| -> anyhow::Result<Vec<ScopeSchema>> {
        let replay = context.replay_for_reading(changelog, position)?;
        Ok(Scope::BOTH
            .into_iter()
            .filter(|candidate| match scope {
                Some(scope) => *candidate == scope,
                None => changelog.has_scope(*candidate),
            })
            .map(|scope| ScopeSchema {
                scope,
                schema: SchemaSnapshot::from_replay(&replay, scope, position),
            })
            .collect())
    };
    if position <= changelog.head_index() {
        return replay_schemas(changelog);
    }
    // The SQL of a planned migration may be commented out.
    let uncommented_text = changelog.uncomment_planned(version)?;
    let uncommented_changelog =
        Changelog::parse_named(changelog.source().name(), &uncommented_text)?;
    replay_schemas(&uncommented_changelog.with_released_up_to(position))
}

fn write_or_check_sections(
    context: CommandContext<'_>,
    document: &DocumentFile,
    changelog: &Changelog<'_>,
    action: SchemaAction,
) -> anyhow::Result<u8> {
    let markers = edit::schema_sections(changelog.source())?;
    if markers.is_empty() {
        bail!(
            "`{}` has no schema section; add the lines `<!-- tatmig:schema:start -->` and `<!-- tatmig:schema:end -->`",
            document.name
        );
    }
    let sections = markers
        .into_iter()
        .map(|section| {
            let schemas = schemas_at(context, changelog, section.scope, section.version.as_ref())?;
            Ok(SectionSchemas { section, schemas })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let stale_lines: Vec<usize> = sections
        .iter()
        .filter(|section| {
            let updated_text =
                edit::render_schema_sections(changelog.source(), std::slice::from_ref(*section));
            updated_text != document.text
        })
        .map(|stale| stale.section.line)
        .collect();
    let file = &document.name;
    if action == SchemaAction::Check {
        return Ok(context.report.emit(&SchemaCheckView { file, stale: &stale_lines }));
    }
    if !stale_lines.is_empty() {
        let edited_text = edit::render_schema_sections(changelog.source(), &sections);
        require_same_migrations(context, document, changelog, &edited_text)?;
        write_document::replace_document(&context.settings.file, document, &edited_text)?;
    }
    Ok(context.report.emit(&SchemaUpdateView { file, written: &stale_lines }))
}

/// Requires that an edited document has the same migrations: a schema section is for readers only.
fn require_same_migrations(
    context: CommandContext<'_>,
    document: &DocumentFile,
    changelog: &Changelog<'_>,
    edited_text: &str,
) -> anyhow::Result<()> {
    let edited_document =
        DocumentFile { name: document.name.clone(), text: edited_text.to_owned() };
    let edited_changelog = context.parse_changelog(&edited_document)?;
    let chain_checksums = |changelog: &Changelog<'_>| {
        let last_index = changelog.versions().last().and_then(|last| changelog.index_of(last));
        Scope::BOTH.map(|scope| last_index.map(|index| changelog.running_checksum(scope, index)))
    };
    let is_unchanged = edited_changelog.versions() == changelog.versions()
        && chain_checksums(&edited_changelog) == chain_checksums(changelog);
    if !is_unchanged {
        bail!(
            "the schema section would change the migrations of `{}`, so the document was not changed",
            document.name
        );
    }
    Ok(())
}
