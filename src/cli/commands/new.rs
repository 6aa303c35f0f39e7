//! Runs `new`: adds the section of the next migration to the document, empty or with the SQL that
//! leads to a database's schema. The edited document is replayed before it replaces the old one.

use anyhow::bail;
use semver::Version;
use tatmig::edit::{Bump, NewBlock, NewMigration};
use tatmig::{Changelog, Rule, Scope, Severity, Source, edit};

use crate::cli::args::document_commands::{NewArgs, VersionArg};
use crate::cli::commands::context::{AlreadyReported, CommandContext};
use crate::cli::commands::new_from_db::DatabaseSource;
use crate::cli::commands::write_document;
use crate::cli::document_file::DocumentFile;
use crate::cli::report::state::State;
use crate::cli::report::views::migration_change::{MigrationChangeView, NoDifferenceView};
use crate::cli::value_parsers::parse_version;

pub(crate) fn run(context: CommandContext<'_>, args: &NewArgs) -> anyhow::Result<u8> {
    let path = &context.settings.file;
    let file_exists = path.symlink_metadata().is_ok();
    let document = if file_exists {
        context.read_document()?
    } else {
        DocumentFile {
            name: tatmig::text::escape_for_display(path.as_os_str()),
            text: "# Migrations\n".to_owned(),
        }
    };
    let source = Source::new(&document.name, &document.text);
    let changelog = parse_if_any(context, &document, &source)?;
    let changelog = changelog.as_ref();
    if !file_exists {
        require_exact_version(args, &document.name)?;
    }
    let to = resolve_version(args.version(), changelog)?;
    let database = args.from_db.as_ref();
    let database =
        database.map(|file| DatabaseSource::new(context, file, changelog, args)).transpose()?;
    let (blocks, mut notes) = match &database {
        None => (empty_blocks(changelog, args), Vec::new()),
        Some(database) => {
            let generated = database.generate_block(changelog, args)?;
            let Some(block) = generated.block else {
                let view = NoDifferenceView::new(
                    &document.name,
                    changelog,
                    database.file,
                    &generated.notes,
                );
                return Ok(context.report.emit(&view));
            };
            (vec![block], generated.notes)
        }
    };
    let today = today();
    let new_migration = NewMigration { to, description: &args.message, date: &today, blocks };
    let edited_text = edit::append(&source, changelog, &new_migration, args.planned())?;
    let edited_changelog = Changelog::parse_named(&document.name, &edited_text)?;
    if let Some(database) = &database {
        database.check_round_trip(&edited_changelog, &new_migration.blocks[0])?;
    }
    context.report.set_head(edited_changelog.head());
    let migration = edited_changelog
        .forward_migrations()
        .find(|migration| migration.to.version() == Some(&new_migration.to));
    let Some(migration) = migration else {
        bail!("the edited document has no version `{}`, so it was not written", new_migration.to)
    };
    if file_exists {
        write_document::replace_document(path, &document, &edited_text)?;
    } else {
        write_document::create_document(path, &edited_text)?;
    }
    notes.extend(renumbered_planned(changelog, &edited_changelog));
    let view = MigrationChangeView::new(&edited_changelog, migration, State::Added, &notes);
    Ok(context.report.emit(&view))
}

/// Refuses a next version of a document that does not exist.
fn require_exact_version(args: &NewArgs, name: &str) -> anyhow::Result<()> {
    if let VersionArg::Exact(_) = args.version() {
        return Ok(());
    }
    bail!(
        "`{name}` does not exist, so it has no next version; name the version of its first baseline: `tatmig new 1.0.0 -m …` creates the file"
    )
}

/// Parses the document. `None` if it has no migration yet.
fn parse_if_any<'a>(
    context: CommandContext<'_>,
    document: &'a DocumentFile,
    source: &Source<'_>,
) -> Result<Option<Changelog<'a>>, AlreadyReported> {
    match Changelog::parse_named(&document.name, &document.text) {
        Ok(changelog) => {
            context.report.set_head(changelog.head());
            Ok(Some(changelog))
        }
        Err(error) => {
            let mut errors =
                error.diagnostics().iter().filter(|found| found.severity == Severity::Error);
            if errors.all(|diagnostic| diagnostic.rule == Rule::NoMigrations) {
                return Ok(None);
            }
            Err(AlreadyReported(context.report.emit_document_error(source, error.diagnostics())))
        }
    }
}

/// Today's date in UTC, such as `2026-11-28`.
pub(crate) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// The version of the new migration; the next patch version if none is requested.
fn resolve_version(
    requested: VersionArg<'_>,
    changelog: Option<&Changelog<'_>>,
) -> anyhow::Result<Version> {
    match (requested, changelog) {
        (VersionArg::Exact(text), _) => parse_version(text),
        (VersionArg::Next(bump), Some(changelog)) => Ok(bump.apply(changelog.head())),
        (VersionArg::Unspecified, Some(changelog)) => Ok(Bump::Patch.apply(changelog.head())),
        (_, None) => bail!(
            "the document has no migration yet, so it has no next version; name the version of the first baseline, such as `tatmig new 1.0.0 -m …`"
        ),
    }
}

/// Blocks without SQL, for the requested scope or for every scope of the document.
fn empty_blocks(changelog: Option<&Changelog<'_>>, args: &NewArgs) -> Vec<NewBlock> {
    let reverse = args.reverse.then(String::new);
    let empty_block = |scope| NewBlock { scope, sql: String::new(), reverse: reverse.clone() };
    match args.scope {
        Some(scope) => vec![empty_block(scope.into())],
        None => Scope::BOTH
            .into_iter()
            .filter(|scope| changelog.is_none_or(|changelog| changelog.has_scope(*scope)))
            .map(empty_block)
            .collect(),
    }
}

/// Notes on the planned migrations that got new versions.
fn renumbered_planned(old: Option<&Changelog<'_>>, new: &Changelog<'_>) -> Vec<String> {
    let planned_migrations = |changelog: &Changelog<'_>| -> Vec<String> {
        let chain = changelog.chain().iter().filter(|migration| migration.planned);
        chain.map(ToString::to_string).collect()
    };
    let old = old.map(planned_migrations).unwrap_or_default();
    let pairs = old.into_iter().zip(planned_migrations(new));
    pairs
        .filter(|(old, new)| old != new)
        .map(|(old, new)| format!("the planned migration `{old}` is now `{new}`"))
        .collect()
}
