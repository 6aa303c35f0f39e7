//! `schema`: what the document describes at a version, printed, or kept between two markers of the
//! document.

use anyhow::{Context, bail};
use semver::Version;
use tatmig::edit::Marker;
use tatmig::{Changelog, Scope, Shape, edit};

use crate::cli::command_args::{Schema, SchemaAct};
use crate::cli::commands::{Text, Tools, write_document};
use crate::cli::report::{DONE, FAILED};

pub(crate) fn run(tools: Tools<'_>, arguments: &Schema) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    match arguments.act() {
        SchemaAct::Print => {
            let at = match &arguments.at {
                Some(version) => Some(Version::parse(version).with_context(|| {
                    format!("`{version}` is not a version; write three numbers")
                })?),
                None => None,
            };
            let scope = arguments.scope.map(Scope::from);
            let shapes = shapes(tools, &changelog, (scope, at.as_ref()))?;
            let version = at.as_ref().unwrap_or(changelog.head());
            tools.report.schemas(
                (&text.name, version),
                &shapes,
                arguments.format.unwrap_or_default(),
            );
            Ok(DONE)
        }
        act => between_markers(tools, (&text, &changelog), act),
    }
}

/// The schemas of a scope, or of all that the document has, at a version or at head.
fn shapes(
    tools: Tools<'_>,
    changelog: &Changelog<'_>,
    (scope, at): (Option<Scope>, Option<&Version>),
) -> anyhow::Result<Vec<(Scope, Shape)>> {
    let version = at.unwrap_or(changelog.head());
    let Some(position) = changelog.position(version) else {
        let versions: Vec<_> = changelog.versions().iter().map(|v| format!("`{v}`")).collect();
        bail!("the document has no version `{version}`; it has {}", versions.join(", "));
    };
    let shapes = |changelog: &Changelog<'_>| -> anyhow::Result<Vec<(Scope, Shape)>> {
        let replay = tools.replay(changelog, position)?;
        Ok(Scope::BOTH
            .into_iter()
            .filter(|known| match scope {
                Some(scope) => *known == scope,
                None => changelog.has(*known),
            })
            .map(|scope| (scope, Shape::at(&replay, scope, position)))
            .collect())
    };
    if position <= changelog.head_position() {
        return shapes(changelog);
    }
    // What is planned is there once its SQL counts.
    let live = changelog.uncommented(version)?;
    let planned = Changelog::parse_named(changelog.source().name(), &live)?;
    shapes(&planned.released_up_to(position))
}

fn between_markers(
    tools: Tools<'_>,
    (text, changelog): (&Text, &Changelog<'_>),
    act: SchemaAct,
) -> anyhow::Result<u8> {
    let markers = edit::markers(changelog.source())?;
    if markers.is_empty() {
        bail!(
            "`{}` has no place for a schema; put `<!-- tatmig:schema:start -->` and `<!-- tatmig:schema:end -->` into it, each on a line of its own",
            text.name
        );
    }
    let sections = markers
        .into_iter()
        .map(|marker| {
            let shapes = shapes(tools, changelog, (marker.scope, marker.at.as_ref()))?;
            Ok((marker, shapes))
        })
        .collect::<anyhow::Result<Vec<(Marker, _)>>>()?;
    let stale: Vec<usize> = sections
        .iter()
        .filter(|section| {
            let alone = edit::written(changelog.source(), std::slice::from_ref(*section));
            alone != text.text
        })
        .map(|(marker, _)| marker.line)
        .collect();
    if act == SchemaAct::Check {
        let status = if stale.is_empty() { DONE } else { FAILED };
        tools.report.checked(&text.name, &stale);
        return Ok(status);
    }
    if !stale.is_empty() {
        let edited = edit::written(changelog.source(), &sections);
        // The schema is for readers: every migration is what it was.
        let read = tools.changelog(&Text { name: text.name.clone(), text: edited.clone() }).map(
            |read| {
                let sums = |changelog: &Changelog<'_>| {
                    let position = changelog.versions().len() - 1;
                    Scope::BOTH.map(|scope| changelog.chain_checksum(scope, position))
                };
                read.versions() == changelog.versions() && sums(&read) == sums(changelog)
            },
        )?;
        if !read {
            bail!("with its schema the document would say something else, so it is left as it is");
        }
        write_document::replace(&tools.settings.file, text, &edited)?;
    }
    tools.report.refreshed(&text.name, &stale);
    Ok(DONE)
}
