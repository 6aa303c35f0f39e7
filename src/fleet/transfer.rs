//! Copies a whole fleet from files to namespaces or back.

use std::collections::HashMap;
use std::ffi::OsString;

use crate::database::policy::JournalMode;
use crate::document::tag::Scope;
use crate::fleet::directory::DirectoryScan;
use crate::fleet::discover::Fleet;
use crate::fleet::pool::{WorkValue, parallel_map};
use crate::fleet::run::RunOptions;
use crate::plan::outcome::MigrateError;
use crate::target::TargetDatabase;
use crate::target::layout::FleetConfig;
use crate::target::transfer::TransferOutcome;

/// Where a fleet is copied to.
#[derive(Clone, Copy, Debug)]
pub struct TransferDestination<'c> {
    /// The configuration of the new fleet.
    pub config: &'c FleetConfig,
    /// The journal mode of files that are created.
    pub journal_mode: JournalMode,
}

/// The transfer of one database.
#[derive(Debug)]
#[non_exhaustive]
pub struct Transferred {
    /// The new database.
    pub destination: TargetDatabase,
    /// What happened; `None` if the transfer was not started before an interrupt.
    pub outcome: Option<TransferOutcome>,
}

impl Fleet {
    /// Copies every database to another fleet. `on_done` is called after each one with the database
    /// that was copied.
    pub fn transfer_to(
        &self,
        destination: TransferDestination<'_>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(&TargetDatabase, &TransferOutcome),
    ) -> Vec<Transferred> {
        struct Transfer<'f> {
            source: &'f TargetDatabase,
            destination: TargetDatabase,
        }
        let connect_options = &options.connect_options;
        let existing = existing_destinations(destination.config);
        let destination_of = |source: &TargetDatabase| match existing.get(&source.name) {
            Some(existing) if source.scope == Scope::User => existing.clone(),
            _ => destination_of(source, destination.config),
        };
        let transfers: Vec<Transfer<'_>> = self
            .databases()
            .map(|source| Transfer { source, destination: destination_of(source) })
            .collect();
        let work = |transfer: &Transfer<'_>| {
            transfer.source.transfer_to(
                &transfer.destination,
                destination.journal_mode,
                connect_options,
            )
        };
        let is_cancelled = || connect_options.is_cancelled();
        let mut on_done = |transfer: &Transfer<'_>, outcome: &_| on_done(transfer.source, outcome);
        let outcomes = parallel_map(&transfers, options.jobs, &work, &is_cancelled, &mut on_done);
        transfers
            .into_iter()
            .zip(outcomes)
            .map(|(transfer, outcome)| Transferred { destination: transfer.destination, outcome })
            .collect()
    }
}

impl WorkValue for TransferOutcome {
    fn from_failure(error: MigrateError) -> Self {
        Self::Failed(error)
    }
}

/// The files of users that exist, if their names do not determine their paths.
fn existing_destinations(config: &FleetConfig) -> HashMap<OsString, TargetDatabase> {
    if config.server_set.is_some() || !config.path_template.has_wildcard() {
        return HashMap::new();
    }
    // Without a list, each user is refused for the reason that the path is not known.
    let found = DirectoryScan::read(config).map(|scan| scan.targets).unwrap_or_default();
    found.into_iter().map(|target| (target.name.clone(), target)).collect()
}

/// The database of the same name in another fleet.
fn destination_of(source: &TargetDatabase, config: &FleetConfig) -> TargetDatabase {
    let destination = match source.scope {
        Scope::System => Ok(config.system_database()),
        Scope::User => config.user_database(&source.name),
    };
    destination.unwrap_or_else(|error| TargetDatabase {
        skip_reason: Some(error.to_string()),
        ..source.clone()
    })
}
