//! Collects, for migrations that were edited after they were applied, the statements that differ.

use std::collections::BTreeSet;

use tatmig::fleet::{Fleet, FleetOutcome, RunOptions};
use tatmig::migrate::Migrator;
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
    let mut statement_diffs = StatementDiffs::new();
    let Some(system_database) = &fleet.system else { return statement_diffs };
    let mut seen_checksums = BTreeSet::new();
    for (database, database_outcome) in outcome.by_database(fleet) {
        let Outcome::Failed { error, .. } = database_outcome else { continue };
        let MigrateError::Plan(PlanError::ChecksumMismatch { changed_migrations }) = &**error
        else {
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
