//! Names databases of a fleet: by selection or one by one.

use std::ffi::OsString;

use crate::document::tag::Scope;

/// Which user databases an operation covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserSelection {
    /// None. The users are counted all the same.
    None,
    /// All that exist.
    All,
    /// The named users.
    Named(Vec<OsString>),
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
