//! `promote`: a planned migration released in the document, once it is proved to run.

use anyhow::{Context, bail};
use semver::Version;
use tatmig::{Changelog, edit};

use crate::cli::commands::new::today;
use crate::cli::commands::{CommandContext, write_document};
use crate::cli::report::{EXIT_SUCCESS, MigrationChange};

pub(crate) fn run(context: CommandContext<'_>, version: &str) -> anyhow::Result<u8> {
    let version = Version::parse(version)
        .with_context(|| format!("`{version}` is not a version; write three numbers"))?;
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let edited_text = edit::promote(&changelog, &version, &today())?;
    let edited_changelog = Changelog::parse_named(&document.name, &edited_text)?;
    context.replay(&edited_changelog, edited_changelog.head_index())?;
    let migration = edited_changelog
        .forward_migrations()
        .find(|migration| migration.to.version() == Some(&version));
    let Some(migration) = migration else { bail!("`{version}` is not found any more") };
    write_document::replace_document(&context.settings.file, &document, &edited_text)?;
    context.report.print_migration_change(
        &edited_changelog,
        &MigrationChange { migration, notes: &[], action: "released" },
    );
    Ok(EXIT_SUCCESS)
}
