//! Prints the databases that failed, with the position in the document if the error has one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tatmig::database::DatabaseError;
use tatmig::fleet::TargetDatabase;
use tatmig::migrate::StatementDiff;
use tatmig::plan::{MigrateError, PlanError};
use tatmig::text::list_names;
use tatmig::{Diagnostic, Rule, Source};

use crate::cli::report::console::Console;
use crate::cli::report::format::{escape_for_terminal, plural};

/// The differences of edited migrations, by the checksum of the migration as it was applied.
pub(crate) type StatementDiffs = BTreeMap<String, StatementDiff>;

/// One error, and every database that failed with it.
struct FailureGroup<'r> {
    error: &'r MigrateError,
    message: String,
    databases: Vec<&'r TargetDatabase>,
}

/// Prints each distinct error once, with the databases that it concerns.
pub(crate) fn print_failures<'r>(
    console: &Console,
    failures: impl Iterator<Item = (&'r TargetDatabase, &'r MigrateError)>,
    source: &Source<'_>,
    statement_diffs: &StatementDiffs,
) {
    let mut groups: Vec<FailureGroup<'r>> = Vec::new();
    for (database, error) in failures {
        let message = error.to_string();
        match groups
            .iter_mut()
            .find(|group| group.message == message && group.error.span() == error.span())
        {
            Some(group) => group.databases.push(database),
            None => groups.push(FailureGroup { error, message, databases: vec![database] }),
        }
    }
    for group in &groups {
        print_group(console, group, source, statement_diffs);
    }
}

/// `` `ann` (ann_longterm.db)``: the name of a database in an error, and its path or URL.
pub(crate) fn name_and_location(database: &TargetDatabase) -> String {
    format!("`{}` ({})", database.display_name(), database.location.display())
}

/// `` `ann` (ann_longterm.db)`` or ``2 databases (`ann`, `bob`)``.
pub(crate) fn describe_databases(databases: &[&TargetDatabase]) -> String {
    match databases {
        [database] => name_and_location(database),
        _ => {
            let names: Vec<String> =
                databases.iter().map(|database| database.display_name()).collect();
            format!("{} ({})", plural(names.len(), "database"), list_names(&names))
        }
    }
}

/// Prints one error: with an excerpt of the document if the error has a position in it, and with the
/// statements of edited migrations.
fn print_group(
    console: &Console,
    group: &FailureGroup<'_>,
    source: &Source<'_>,
    statement_diffs: &StatementDiffs,
) {
    let FailureGroup { error, message, databases } = group;
    let subject = describe_databases(databases);
    let text = format!("{subject}: {message}");
    let Some(span) = error.span() else {
        console.error(text);
        return;
    };
    let mut diagnostic =
        Diagnostic::new(error.rule().unwrap_or(Rule::Sql), span, escape_for_terminal(&text));
    if let Some(help) = edited_help(error, statement_diffs) {
        diagnostic.help = Some(help);
    }
    if let Some(help) = error.help() {
        diagnostic.help = Some(escape_for_terminal(&help));
    }
    if let MigrateError::Database(DatabaseError::ConstraintFailed { .. }) = error
        && let [database, _, ..] = databases.as_slice()
        && let Some(help) = &mut diagnostic.help
    {
        // The rows are those of the first database.
        help.insert_str(0, &format!("in `{}`: ", database.display_name()));
    }
    console.diagnostics(source, &[diagnostic]);
}

/// For migrations that were edited after they were applied: the statements that differ, and what to
/// do. `None` for another error.
pub(crate) fn edited_help(
    error: &MigrateError,
    statement_diffs: &StatementDiffs,
) -> Option<String> {
    let MigrateError::Plan(PlanError::ChecksumMismatch { changed_migrations }) = error else {
        return None;
    };
    let mut help = String::new();
    for migration in changed_migrations {
        let Some(diff) = statement_diffs.get(&migration.applied_checksum) else { continue };
        let (from, to) = (&migration.from, &migration.to);
        for statement in &diff.applied {
            let _ = writeln!(help, "{from} → {to} as applied: {statement}");
        }
        for statement in &diff.current {
            let _ = writeln!(help, "{from} → {to} now: {statement}");
        }
    }
    help.push_str(
        "restore the original SQL and add a new migration; in development, `redo` undoes the last migration and applies it as it is now; if the schema already matches, `adopt` accepts the edit",
    );
    Some(escape_for_terminal(&help))
}
