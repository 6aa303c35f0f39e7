//! Collects, for migrations that were edited after they were applied, the statements that differ.

use std::collections::BTreeSet;

use tatmig::fleet::{Fleet, FleetOutcome, RunOptions, TargetDatabase};
use tatmig::migrate::{DatabaseStatus, Migrator};
use tatmig::plan::{MigrateError, Outcome, PlanError};

use crate::cli::report::views::failures::StatementDiffs;

/// Compares the applied SQL of edited migrations, which the system database stores, with the SQL of
/// the document. A migration whose SQL is not stored is left out.
pub(crate) fn collect_statement_diffs(
    fleet: &Fleet,
    outcome: &FleetOutcome,
    migrator: &Migrator<'_, '_>,
    options: &RunOptions,
) -> StatementDiffs {
    let failures = outcome.by_database(fleet).filter_map(|(database, outcome)| match outcome {
        Outcome::Failed { error, .. } => Some((database, &**error)),
        _ => None,
    });
    diffs_of_failures(fleet, failures, migrator, options)
}

/// Compares the applied SQL of edited migrations, as [`collect_statement_diffs`] does, for databases
/// that were only read.
pub(crate) fn diffs_of_statuses(
    fleet: &Fleet,
    statuses: &[Option<DatabaseStatus>],
    migrator: &Migrator<'_, '_>,
    options: &RunOptions,
) -> StatementDiffs {
    let failures = fleet
        .databases()
        .zip(statuses)
        .filter_map(|(database, status)| Some((database, status.as_ref()?.error.as_deref()?)));
    diffs_of_failures(fleet, failures, migrator, options)
}

fn diffs_of_failures<'r>(
    fleet: &Fleet,
    failures: impl Iterator<Item = (&'r TargetDatabase, &'r MigrateError)>,
    migrator: &Migrator<'_, '_>,
    options: &RunOptions,
) -> StatementDiffs {
    let mut statement_diffs = StatementDiffs::new();
    let Some(system_database) = &fleet.system else { return statement_diffs };
    let mut seen_checksums = BTreeSet::new();
    for (database, error) in failures {
        let MigrateError::Plan(PlanError::ChecksumMismatch { changed_migrations }) = error else {
            continue;
        };
        for changed_migration in changed_migrations {
            if !seen_checksums.insert(changed_migration.applied_checksum.clone()) {
                continue;
            }
            let diff = migrator.statement_diff(
                changed_migration,
                database.scope,
                system_database,
                &options.connect_options,
            );
            if let Some(diff) = diff {
                statement_diffs.insert(changed_migration.applied_checksum.clone(), diff);
            }
        }
    }
    statement_diffs
}
