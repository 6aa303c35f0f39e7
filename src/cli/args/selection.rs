//! Defines the options that select databases, the same in every command that acts on databases, and
//! resolves them.

use std::ffi::OsString;

use anyhow::bail;
use clap::Args;
use tatmig::fleet::{Selection, SystemSelection, UserSelection};

#[derive(Debug, Args)]
#[command(next_help_heading = "Selection of databases")]
pub(crate) struct SelectionArgs {
    /// Select this user's database; may be repeated
    #[arg(long = "user", value_name = "NAME")]
    users: Vec<OsString>,
    /// Select every user database and the system database
    #[arg(long)]
    pub(crate) all_users: bool,
    /// Select the system database, alone or with the users named
    #[arg(long)]
    pub(crate) system: bool,
    /// Leave the system database out
    #[arg(long)]
    no_system: bool,
}

/// What a command covers without a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultSelection {
    /// Every database.
    Everything,
    /// The system database alone. The users are counted.
    SystemDatabase,
}

impl SelectionArgs {
    /// Whether nothing is selected. `--no-system` alone selects nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty() && !self.all_users && !self.system
    }

    /// Whether databases are selected by their names: `--user NAME`, or `--system` that does not
    /// merely repeat a part of `--all-users`.
    pub(crate) fn names_databases(&self) -> bool {
        !self.is_empty() && !self.all_users
    }

    /// Whether `--no-system` was given.
    pub(crate) fn excludes_system(&self) -> bool {
        self.no_system
    }

    /// Whether none of the options was given.
    pub(crate) fn is_absent(&self) -> bool {
        self.is_empty() && !self.no_system
    }

    /// The selected databases.
    ///
    /// # Errors
    ///
    /// `--no-system` leaves nothing.
    pub(crate) fn resolve(&self, default: DefaultSelection) -> anyhow::Result<Selection> {
        let is_everything =
            self.all_users || (self.is_empty() && default == DefaultSelection::Everything);
        let users = if is_everything {
            UserSelection::All
        } else if !self.users.is_empty() {
            UserSelection::Named(self.users.clone())
        } else if self.system {
            UserSelection::Excluded
        } else if self.no_system {
            bail!("`--no-system` leaves no database; add `--all-users` or `--user NAME`");
        } else {
            UserSelection::Counted
        };
        let system = if self.no_system {
            SystemSelection::Excluded
        } else if self.system {
            SystemSelection::Named
        } else if self.users.is_empty() {
            SystemSelection::Implied
        } else {
            SystemSelection::Excluded
        };
        Ok(Selection { system, users })
    }

    /// The selected databases of a command that covers the system database always, unless
    /// `--no-system` leaves it out.
    ///
    /// # Errors
    ///
    /// As for [`Self::resolve`].
    pub(crate) fn resolve_with_system(
        &self,
        default: DefaultSelection,
    ) -> anyhow::Result<Selection> {
        let mut selection = self.resolve(default)?;
        if !self.no_system && !selection.includes_system() {
            selection.system = SystemSelection::Implied;
        }
        Ok(selection)
    }

    /// The databases that exist of a command that also creates some: the system database, unless
    /// `--no-system` leaves it out, and the users named here or in `existing`.
    pub(crate) fn resolve_with_created(&self, existing: &[OsString]) -> Selection {
        let users: Vec<OsString> = self.users.iter().chain(existing).cloned().collect();
        let users =
            if users.is_empty() { UserSelection::Excluded } else { UserSelection::Named(users) };
        let system = match (self.no_system, self.system) {
            (true, _) => SystemSelection::Excluded,
            (_, true) => SystemSelection::Named,
            _ => SystemSelection::Implied,
        };
        Selection { system, users }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct TestArgs {
        #[command(flatten)]
        selection: SelectionArgs,
    }

    fn parse(arguments: &str) -> SelectionArgs {
        let arguments = ["test"].into_iter().chain(arguments.split_whitespace());
        TestArgs::try_parse_from(arguments).unwrap().selection
    }

    fn named(names: &[&str]) -> UserSelection {
        UserSelection::Named(names.iter().map(OsString::from).collect())
    }

    #[test]
    fn options_select_the_same_with_either_default() {
        use SystemSelection::{Excluded, Implied, Named};
        for (arguments, system, users) in [
            ("--user a", Excluded, named(&["a"])),
            ("--user a --user b", Excluded, named(&["a", "b"])),
            ("--user a --no-system", Excluded, named(&["a"])),
            ("--system", Named, UserSelection::Excluded),
            ("--system --user a", Named, named(&["a"])),
            ("--all-users", Implied, UserSelection::All),
            ("--all-users --no-system", Excluded, UserSelection::All),
            ("--all-users --system", Named, UserSelection::All),
        ] {
            for default in [DefaultSelection::Everything, DefaultSelection::SystemDatabase] {
                let selection = parse(arguments).resolve(default).unwrap();
                assert_eq!(selection, Selection { system, users: users.clone() }, "{arguments}");
            }
        }
    }

    #[test]
    fn without_a_selection_the_default_counts() {
        let everything = parse("").resolve(DefaultSelection::Everything).unwrap();
        assert_eq!(everything, Selection::everything());
        let system = parse("").resolve(DefaultSelection::SystemDatabase).unwrap();
        assert_eq!(system.users, UserSelection::Counted);
        assert!(system.includes_system());
        let users = parse("--no-system").resolve(DefaultSelection::Everything).unwrap();
        assert_eq!(
            users,
            Selection { system: SystemSelection::Excluded, users: UserSelection::All }
        );
        assert!(parse("--no-system").resolve(DefaultSelection::SystemDatabase).is_err());
    }

    #[test]
    fn a_command_that_needs_the_system_database_adds_it_to_the_users() {
        let default = DefaultSelection::SystemDatabase;
        let selection = parse("--user a").resolve_with_system(default).unwrap();
        assert_eq!(selection.system, SystemSelection::Implied);
        let selection = parse("--user a --no-system").resolve_with_system(default).unwrap();
        assert_eq!(selection.system, SystemSelection::Excluded);
    }
}
