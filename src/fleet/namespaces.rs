//! Finds the users of a fleet on servers, which a query or a file names: a server cannot list its
//! namespaces.

use crate::fleet::error::FleetError;
use crate::fleet::selection::UserSelection;
use crate::target::TargetDatabase;
use crate::target::layout::FleetConfig;
use crate::target::servers::ServerSet;

/// The users of a fleet on servers.
pub(crate) struct FoundUsers {
    pub(crate) selected: Vec<TargetDatabase>,
    /// The number of all users; `None` if unknown.
    pub(crate) total: Option<usize>,
}

/// Finds the selected users that belong to the configured shard.
pub(crate) fn find_users(
    config: &FleetConfig,
    server_set: &ServerSet,
    selection: &UserSelection,
) -> Result<FoundUsers, FleetError> {
    let is_in_config = |user: &TargetDatabase| config.contains(&user.name);
    match selection {
        UserSelection::Excluded => Ok(FoundUsers { selected: Vec::new(), total: None }),
        // The number is only shown as how many users are not covered, so a list that cannot be read yet
        // is not an error.
        UserSelection::Counted => {
            let users = server_set.all_users().ok();
            let total = users.map(|users| users.iter().filter(|user| is_in_config(user)).count());
            Ok(FoundUsers { selected: Vec::new(), total })
        }
        UserSelection::All => {
            let mut selected = server_set.all_users()?;
            selected.retain(is_in_config);
            Ok(FoundUsers { total: Some(selected.len()), selected })
        }
        UserSelection::Named(names) => {
            let selected = server_set.named_users(names)?;
            Ok(FoundUsers { total: Some(selected.len()), selected })
        }
    }
}
