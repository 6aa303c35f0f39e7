//! Defines which databases of a fleet an operation covers: a selection, or names one by one.

use std::ffi::OsString;

use crate::document::tag::Scope;
use crate::fleet::error::FleetError;

/// Which databases of a fleet an operation covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Whether the system database is covered.
    pub system: SystemSelection,
    /// Which user databases are covered.
    pub users: UserSelection,
}

/// Whether an operation covers the system database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemSelection {
    /// It is left out, and need not exist.
    Excluded,
    /// It is covered if the document has blocks for it.
    Implied,
    /// It was selected by name, so the document must have blocks for it.
    Named,
}

/// Which user databases an operation covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserSelection {
    /// None. They are not looked for.
    Excluded,
    /// None. They are counted, so that it can be reported how many were left.
    Counted,
    /// All that exist, if the document has blocks for them.
    All,
    /// The named users.
    Named(Vec<OsString>),
}

impl Selection {
    /// Every database of a fleet.
    #[must_use]
    pub fn everything() -> Self {
        Self { system: SystemSelection::Implied, users: UserSelection::All }
    }

    /// Whether the system database is covered.
    #[must_use]
    pub fn includes_system(&self) -> bool {
        self.system != SystemSelection::Excluded
    }

    /// Whether all users, or some by name, are covered.
    #[must_use]
    pub fn includes_users(&self) -> bool {
        matches!(self.users, UserSelection::All | UserSelection::Named(_))
    }

    /// The part of the selection for which a document has blocks.
    ///
    /// # Errors
    ///
    /// The system database or a user was selected by name, and the document has no block for it.
    pub(crate) fn within(&self, has_blocks: impl Fn(Scope) -> bool) -> Result<Self, FleetError> {
        let system = match self.system {
            _ if has_blocks(Scope::System) => self.system,
            SystemSelection::Named => return Err(FleetError::NoSystemBlocks),
            SystemSelection::Implied | SystemSelection::Excluded => SystemSelection::Excluded,
        };
        let users = match self.users {
            _ if has_blocks(Scope::User) => self.users.clone(),
            UserSelection::Named(_) => return Err(FleetError::NoUserBlocks),
            UserSelection::All | UserSelection::Counted | UserSelection::Excluded => {
                UserSelection::Excluded
            }
        };
        Ok(Self { system, users })
    }
}

/// The name of one database of a fleet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseName {
    /// System or user.
    pub scope: Scope,
    /// The user, or `system`.
    pub name: OsString,
}

impl DatabaseName {
    /// The name of the system database.
    #[must_use]
    pub fn system() -> Self {
        Self { scope: Scope::System, name: "system".into() }
    }

    /// The name of a user's database.
    #[must_use]
    pub fn user(name: OsString) -> Self {
        Self { scope: Scope::User, name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_limited_to_the_scopes_of_the_document() {
        let all = Selection::everything();
        let only_users = all.within(|scope| scope == Scope::User).unwrap();
        assert!(!only_users.includes_system() && only_users.includes_users());
        let only_system = all.within(|scope| scope == Scope::System).unwrap();
        assert!(only_system.includes_system() && !only_system.includes_users());
    }

    #[test]
    fn what_is_selected_by_name_must_have_blocks() {
        let users = UserSelection::Named(vec!["ann".into()]);
        let selection = Selection { system: SystemSelection::Named, users };
        let error = |scope| selection.within(|has_blocks| has_blocks != scope).unwrap_err();
        assert!(matches!(error(Scope::System), FleetError::NoSystemBlocks));
        assert!(matches!(error(Scope::User), FleetError::NoUserBlocks));
        assert_eq!(selection.within(|_| true).unwrap(), selection);
    }
}
