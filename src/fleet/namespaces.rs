//! The databases of a fleet on servers: the system namespace, and those of the users that a query
//! or a file names. A server lists none.

use super::{Fleet, FleetError, Selection};
use crate::document::tag::Scope;
use crate::layout::Layout;
use crate::servers::Servers;

/// Finds the namespaces for which a document has blocks.
pub(super) fn discover(
    (layout, servers): (&Layout, &Servers),
    has: impl Fn(Scope) -> bool,
    selection: &Selection,
) -> Result<Fleet, FleetError> {
    let mut fleet = Fleet::default();
    if has(Scope::System) {
        fleet.system = Some(servers.find_system()?);
    }
    if !has(Scope::User) {
        return match selection {
            Selection::Named(_) => Err(FleetError::NoUserBlocks),
            Selection::None | Selection::All => Ok(fleet),
        };
    }
    match selection {
        // Only to tell how many are left alone: a list that cannot be had yet is none.
        Selection::None => {
            let users = servers.all().ok();
            let ours = |user: &&crate::Member| layout.holds(&user.name);
            fleet.users_found = users.map(|users| users.iter().filter(ours).count());
        }
        Selection::All => {
            fleet.users = servers.all()?;
            fleet.users.retain(|user| layout.holds(&user.name));
            fleet.users_found = Some(fleet.users.len());
        }
        Selection::Named(names) => {
            fleet.users = servers.named(names)?;
            fleet.users_found = Some(fleet.users.len());
        }
    }
    Ok(fleet)
}
