//! Runs `promote`: releases a planned migration in the document, after a replay of the result.

use anyhow::bail;
use tatmig::{Changelog, edit};

use crate::cli::commands::context::CommandContext;
use crate::cli::commands::new::today;
use crate::cli::commands::write_document;
use crate::cli::report::state::State;
use crate::cli::report::views::migration_change::MigrationChangeView;
use crate::cli::value_parsers::parse_version;

pub(crate) fn run(context: CommandContext<'_>, version: &str) -> anyhow::Result<u8> {
    let version = parse_version(version)?;
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let edited_text = edit::promote(&changelog, &version, &today())?;
    let edited_changelog = Changelog::parse_named(&document.name, &edited_text)?;
    context.replay(&edited_changelog, edited_changelog.head_index())?;
    let migration = edited_changelog
        .forward_migrations()
        .find(|migration| migration.to.version() == Some(&version));
    let Some(migration) = migration else {
        bail!("the edited document has no version `{version}`, so it was not written")
    };
    write_document::replace_document(&context.settings.file, &document, &edited_text)?;
    context.report.set_head(edited_changelog.head());
    let view = MigrationChangeView::new(&edited_changelog, migration, State::Released, &[]);
    Ok(context.report.emit(&view))
}
