//! The databases of a fleet on servers: the system namespace, and those of the users that a query
//! or a file names. A server lists none.

use crate::database::policy::JournalMode;
use crate::document::tag::Scope;
use crate::fleet::error::FleetError;
use crate::fleet::{Fleet, RunOptions, UserSelection, parallel_map};
use crate::target::TargetDatabase;
use crate::target::layout::FleetConfig;
use crate::target::servers::ServerSet;
use crate::target::transfer::TransferOutcome;

impl Fleet {
    /// Carries every database to its place in another layout, where files are made in that journal
    /// mode; `done` is told of each. Returns the places beside what became of each; none where it was not begun.
    pub fn transfer_to(
        &self,
        (target_config, journal_mode): (&FleetConfig, JournalMode),
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Vec<(TargetDatabase, Option<TransferOutcome>)> {
        let sources: Vec<TargetDatabase> = self.databases().cloned().collect();
        let destinations: Vec<TargetDatabase> =
            sources.iter().map(|source| target_in(target_config, source)).collect();
        let connect_options = &options.connect_options;
        let pairs: Vec<(TargetDatabase, TargetDatabase)> =
            sources.into_iter().zip(destinations).collect();
        let work = |(from, target_config): &(TargetDatabase, TargetDatabase)| {
            from.transfer_to(target_config, (journal_mode, connect_options))
        };
        let is_cancelled = || connect_options.is_cancelled();
        let outcomes = parallel_map(&pairs, options.jobs, (&work, &is_cancelled), on_done);
        pairs.into_iter().map(|(_, destination)| destination).zip(outcomes).collect()
    }
}

/// Where a member's database is in a layout.
fn target_in(config: &FleetConfig, source: &TargetDatabase) -> TargetDatabase {
    let target = match source.scope {
        Scope::System => Ok(config.system_database()),
        Scope::User => config.user_database(&source.name),
    };
    target.unwrap_or_else(|error| TargetDatabase {
        skip_reason: Some(error.to_string()),
        ..source.clone()
    })
}

/// Finds the namespaces for which a document has blocks.
pub(crate) fn discover(
    (config, server_set): (&FleetConfig, &ServerSet),
    has_blocks: impl Fn(Scope) -> bool,
    selection: &UserSelection,
) -> Result<Fleet, FleetError> {
    let mut fleet = Fleet::default();
    if has_blocks(Scope::System) {
        fleet.system = Some(server_set.require_system()?);
    }
    if !has_blocks(Scope::User) {
        return match selection {
            UserSelection::Named(_) => Err(FleetError::NoUserBlocks),
            UserSelection::None | UserSelection::All => Ok(fleet),
        };
    }
    match selection {
        // Only to tell how many are left alone: a list that cannot be had yet is none.
        UserSelection::None => {
            let users = server_set.all_users().ok();
            let is_in_config = |user: &&crate::target::TargetDatabase| config.contains(&user.name);
            fleet.total_users = users.map(|users| users.iter().filter(is_in_config).count());
        }
        UserSelection::All => {
            fleet.users = server_set.all_users()?;
            fleet.users.retain(|user| config.contains(&user.name));
            fleet.total_users = Some(fleet.users.len());
        }
        UserSelection::Named(names) => {
            fleet.users = server_set.named_users(names)?;
            fleet.total_users = Some(fleet.users.len());
        }
    }
    Ok(fleet)
}
