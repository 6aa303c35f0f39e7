//! `schema`: what the document describes at a version, printed, or kept between two markers of the
//! document.

use anyhow::{Context, bail};
use semver::Version;
use tatmig::edit::SchemaSection;
use tatmig::schema_diff::SchemaSnapshot;
use tatmig::{Changelog, Scope, edit};

use crate::cli::command_args::{SchemaAction, SchemaArgs};
use crate::cli::commands::{CommandContext, DocumentFile, write_document};
use crate::cli::report::{EXIT_FAILURE, EXIT_SUCCESS};

pub(crate) fn run(context: CommandContext<'_>, args: &SchemaArgs) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    match args.action() {
        SchemaAction::Print => {
            let version_arg = match &args.at {
                Some(version) => Some(Version::parse(version).with_context(|| {
                    format!("`{version}` is not a version; write three numbers")
                })?),
                None => None,
            };
            let scope = args.scope.map(Scope::from);
            let snapshots = snapshots(context, &changelog, (scope, version_arg.as_ref()))?;
            let version = version_arg.as_ref().unwrap_or(changelog.head());
            context.report.print_schemas(
                (&document.name, version),
                &snapshots,
                args.format.unwrap_or_default(),
            );
            Ok(EXIT_SUCCESS)
        }
        action => write_or_check_sections(context, (&document, &changelog), action),
    }
}

/// The schemas of a scope, or of all that the document has, at a version or at head.
fn snapshots(
    context: CommandContext<'_>,
    changelog: &Changelog<'_>,
    (scope, requested_version): (Option<Scope>, Option<&Version>),
) -> anyhow::Result<Vec<(Scope, SchemaSnapshot)>> {
    let version = requested_version.unwrap_or(changelog.head());
    let Some(position) = changelog.index_of(version) else {
        let versions: Vec<_> = changelog.versions().iter().map(|v| format!("`{v}`")).collect();
        bail!("the document has no version `{version}`; it has {}", versions.join(", "));
    };
    let snapshots_from =
        |changelog: &Changelog<'_>| -> anyhow::Result<Vec<(Scope, SchemaSnapshot)>> {
            let replay = context.replay(changelog, position)?;
            Ok(Scope::BOTH
                .into_iter()
                .filter(|candidate| match scope {
                    Some(scope) => *candidate == scope,
                    None => changelog.has_scope(*candidate),
                })
                .map(|scope| (scope, SchemaSnapshot::from_replay(&replay, scope, position)))
                .collect())
        };
    if position <= changelog.head_index() {
        return snapshots_from(changelog);
    }
    // What is planned is there once its SQL counts.
    let uncommented_text = changelog.uncomment_planned(version)?;
    let uncommented_changelog =
        Changelog::parse_named(changelog.source().name(), &uncommented_text)?;
    snapshots_from(&uncommented_changelog.with_released_up_to(position))
}

fn write_or_check_sections(
    context: CommandContext<'_>,
    (document, changelog): (&DocumentFile, &Changelog<'_>),
    action: SchemaAction,
) -> anyhow::Result<u8> {
    let markers = edit::schema_sections(changelog.source())?;
    if markers.is_empty() {
        bail!(
            "`{}` has no place for a schema; put `<!-- tatmig:schema:start -->` and `<!-- tatmig:schema:end -->` into it, each on a line of its own",
            document.name
        );
    }
    let sections = markers
        .into_iter()
        .map(|marker| {
            let snapshots = snapshots(context, changelog, (marker.scope, marker.version.as_ref()))?;
            Ok((marker, snapshots))
        })
        .collect::<anyhow::Result<Vec<(SchemaSection, _)>>>()?;
    let stale_lines: Vec<usize> = sections
        .iter()
        .filter(|section| {
            let updated_text =
                edit::render_schema_sections(changelog.source(), std::slice::from_ref(*section));
            updated_text != document.text
        })
        .map(|(marker, _)| marker.line)
        .collect();
    if action == SchemaAction::Check {
        let status = if stale_lines.is_empty() { EXIT_SUCCESS } else { EXIT_FAILURE };
        context.report.print_schema_check(&document.name, &stale_lines);
        return Ok(status);
    }
    if !stale_lines.is_empty() {
        let edited_text = edit::render_schema_sections(changelog.source(), &sections);
        // The schema is for readers: every migration is what it was.
        let is_unchanged = context
            .parse_changelog(&DocumentFile {
                name: document.name.clone(),
                text: edited_text.clone(),
            })
            .map(|is_unchanged| {
                let chain_checksums = |changelog: &Changelog<'_>| {
                    let last_index =
                        changelog.versions().last().and_then(|last| changelog.index_of(last));
                    Scope::BOTH.map(|scope| {
                        last_index.map(|index| changelog.running_checksum(scope, index))
                    })
                };
                is_unchanged.versions() == changelog.versions()
                    && chain_checksums(&is_unchanged) == chain_checksums(changelog)
            })?;
        if !is_unchanged {
            bail!("with its schema the document would say something else, so it is left as it is");
        }
        write_document::replace_document(&context.settings.file, document, &edited_text)?;
    }
    context.report.print_schema_update(&document.name, &stale_lines);
    Ok(EXIT_SUCCESS)
}
