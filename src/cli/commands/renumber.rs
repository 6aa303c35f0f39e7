//! Runs `renumber`: moves a migration behind another one after a merge. The histories of the fleet,
//! if there is one, decide which migration is released.

use tatmig::edit::{EditError, RecordedMigration, RenumberRequest, renumber};
use tatmig::fleet::{Fleet, Selection};
use tatmig::plan::applied_entries;
use tatmig::{Changelog, Scope, Source};

use crate::cli::args::document_commands::RenumberArgs;
use crate::cli::commands::context::{AlreadyReported, CommandContext};
use crate::cli::commands::write_document;
use crate::cli::report::views::renumber::RenumberView;
use crate::cli::value_parsers::parse_version;

pub(crate) fn run(context: CommandContext<'_>, args: &RenumberArgs) -> anyhow::Result<u8> {
    let version = parse_version(&args.version)?;
    let after = args.after.as_deref().map(parse_version).transpose()?;
    let document = context.read_document()?;
    let source = Source::new(&document.name, &document.text);
    let recorded = recorded_migrations(context);
    let request = RenumberRequest { version: &version, after: after.as_ref(), recorded: &recorded };
    let renumbered = match renumber(&source, &request) {
        Ok(renumbered) => renumbered,
        Err(EditError::UnusableDocument(error)) => {
            let status = context.report.emit_document_error(&source, &error.diagnostics);
            return Err(AlreadyReported(status).into());
        }
        Err(error) => return Err(error.into()),
    };
    let changelog = Changelog::parse_named(&document.name, &renumbered.text)?;
    write_document::replace_document(&context.settings.file, &document, &renumbered.text)?;
    context.report.set_head(changelog.head());
    // The migrations of two branches may not fit together; that takes a person.
    let fails = context.valid_replay(&changelog).is_none();
    Ok(context.report.emit(&RenumberView::new(&document.name, &renumbered, fails)))
}

/// What the databases of the fleet recorded. Empty without a fleet; a database that cannot be read
/// is reported.
fn recorded_migrations(context: CommandContext<'_>) -> Vec<RecordedMigration> {
    let config = &context.settings.fleet_config;
    let has_system = config.system_database().location.exists();
    let has_databases = |scope| scope == Scope::User || has_system;
    let mut fleet = match Fleet::discover(config, &Selection::everything(), has_databases) {
        Ok(fleet) => fleet,
        Err(error) => {
            context.report.print_note(format!("no history of user databases was read: {error}"));
            Fleet::default()
        }
    };
    if fleet.system.is_none() && has_system {
        fleet.system = Some(config.system_database());
    }
    let histories = fleet.histories(&context.run_options(), &mut || {});
    let mut recorded = Vec::new();
    for (database, history) in fleet.databases().zip(histories) {
        let entries = match history {
            Some(Ok(entries)) => entries,
            Some(Err(error)) => {
                context.report.print_note(format!(
                    "the history of `{}` was not read: {error}",
                    database.display_name()
                ));
                continue;
            }
            None => continue,
        };
        let name = database.display_name();
        recorded.extend(applied_entries(&entries).into_iter().map(|entry| RecordedMigration {
            scope: database.scope,
            from: Some(entry.from.clone()),
            to: entry.to.clone(),
            checksum: entry.checksum.clone(),
            database: name.clone(),
        }));
        recorded.extend(entries.last().map(|entry| RecordedMigration {
            scope: database.scope,
            from: None,
            to: entry.to.clone(),
            checksum: None,
            database: name.clone(),
        }));
    }
    recorded
}
