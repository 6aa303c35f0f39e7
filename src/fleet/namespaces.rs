//! The databases of a fleet on servers: the system namespace, and those of the users that a query
//! or a file names. A server lists none.

use crate::database::policy::JournalMode;
use crate::document::tag::Scope;
use crate::fleet::error::FleetError;
use crate::fleet::{Fleet, Options, Selection, map};
use crate::target::Member;
use crate::target::layout::Layout;
use crate::target::servers::Servers;
use crate::target::transfer::Moved;

impl Fleet {
    /// Carries every database to its place in another layout, where files are made in that journal
    /// mode; `done` is told of each. Returns the places beside what became of each; none where it was not begun.
    pub fn move_to(
        &self,
        (to, made_in): (&Layout, JournalMode),
        options: &Options,
        done: &mut dyn FnMut(),
    ) -> Vec<(Member, Option<Moved>)> {
        let members: Vec<Member> = self.members().cloned().collect();
        let places: Vec<Member> = members.iter().map(|member| place(to, member)).collect();
        let patience = &options.patience;
        let pairs: Vec<(Member, Member)> = members.into_iter().zip(places).collect();
        let work = |(from, to): &(Member, Member)| from.move_to(to, (made_in, patience));
        let stop = || patience.stopped();
        let moved = map(&pairs, options.jobs, (&work, &stop), done);
        pairs.into_iter().map(|(_, place)| place).zip(moved).collect()
    }
}

/// Where a member's database is in a layout.
fn place(layout: &Layout, member: &Member) -> Member {
    let place = match member.scope {
        Scope::System => Ok(layout.system()),
        Scope::User => layout.user(&member.name),
    };
    place.unwrap_or_else(|error| Member { refused: Some(error.to_string()), ..member.clone() })
}

/// Finds the namespaces for which a document has blocks.
pub(crate) fn discover(
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
            let ours = |user: &&crate::target::Member| layout.holds(&user.name);
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
