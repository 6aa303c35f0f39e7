//! Finds the databases of a fleet, in files or on servers, without opening or creating any file.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;

use crate::document::tag::Scope;
use crate::fleet::directory::DirectoryScan;
use crate::fleet::error::FleetError;
#[cfg(feature = "server")]
use crate::fleet::namespaces;
use crate::fleet::selection::{DatabaseName, Selection, UserSelection};
use crate::fleet::suggestions::UserSuggestions;
use crate::target::layout::FleetConfig;
#[cfg(feature = "server")]
use crate::target::servers::ServerSet;
use crate::target::{Location, TargetDatabase};

/// The databases that an operation covers.
///
/// Closing any descriptor of a file drops every lock that the process holds on that file. An
/// application may have connections to these databases all the same, opened through
/// [`crate::rusqlite`]: the operations close no descriptor of a file that the process has open.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The system database, if the document has blocks for it.
    pub system: Option<TargetDatabase>,
    /// The selected user databases, in the order of their paths.
    pub users: Vec<TargetDatabase>,
    /// What the user should know about the users directory, one message each.
    pub notices: Vec<String>,
    /// What was skipped in the users directory and has to be corrected, such as a directory that
    /// cannot be read, one message each.
    pub problems: Vec<String>,
    /// The number of user databases, selected or not; `None` if unknown.
    pub total_users: Option<usize>,
}

impl Fleet {
    /// The databases of this fleet that `is_wanted` accepts. It is called for each one, in order.
    #[must_use]
    pub fn filtered(&self, mut is_wanted: impl FnMut(&TargetDatabase) -> bool) -> Self {
        let system = self.system.clone().filter(|database| is_wanted(database));
        let users = self.users.iter().filter(|database| is_wanted(database)).cloned().collect();
        let (notices, problems) = (self.notices.clone(), self.problems.clone());
        Self { system, users, notices, problems, total_users: self.total_users }
    }

    /// Finds the selected databases for which a document has blocks.
    ///
    /// # Errors
    ///
    /// A missing system database, users directory or named user. No file is opened or created.
    pub fn discover(
        config: &FleetConfig,
        selection: &Selection,
        has_blocks: impl Fn(Scope) -> bool,
    ) -> Result<Self, FleetError> {
        let selection = selection.within(has_blocks)?;
        #[cfg(feature = "server")]
        if let Some(server_set) = &config.server_set {
            return Self::discover_namespaces(config, server_set, &selection);
        }
        let mut fleet = Self::default();
        if selection.includes_system() {
            if std::fs::symlink_metadata(&config.system_db).is_err() {
                return Err(FleetError::NoSystemDatabase(config.system_db.clone()));
            }
            let location = Location::File(config.system_file().located());
            fleet.system = Some(TargetDatabase { location, ..config.system_database() });
        }
        if selection.users == UserSelection::Excluded {
            return Ok(fleet);
        }
        let scan = DirectoryScan::read(config)?;
        fleet.total_users = Some(scan.targets.len());
        match &selection.users {
            UserSelection::Excluded | UserSelection::Counted => {}
            UserSelection::All => {
                fleet.users = scan.targets;
                fleet.notices = scan.notices;
                fleet.problems = scan.problems;
            }
            UserSelection::Named(names) => {
                let suggestions = UserSuggestions::new(&scan, config, names);
                let users = scan.select_named(config, names);
                fleet.users = users.map_err(|error| suggestions.add_to(error))?;
            }
        }
        Ok(fleet)
    }

    #[cfg(feature = "server")]
    fn discover_namespaces(
        config: &FleetConfig,
        server_set: &ServerSet,
        selection: &Selection,
    ) -> Result<Self, FleetError> {
        let mut fleet = Self::default();
        if selection.includes_system() {
            fleet.system = Some(server_set.require_system()?);
        }
        let found = namespaces::find_users(config, server_set, &selection.users)?;
        Ok(Self { users: found.selected, total_users: found.total, ..fleet })
    }

    /// The named databases, which need not exist. `last_path` is the path, relative to the users
    /// directory, that a database had when it existed, if it is known; a template with `*` needs it.
    ///
    /// # Errors
    ///
    /// A missing users directory, or a name that no file can have.
    pub fn resolve<'p>(
        config: &FleetConfig,
        requested: &[DatabaseName],
        last_path: impl Fn(&DatabaseName) -> Option<&'p Path>,
    ) -> Result<Vec<TargetDatabase>, FleetError> {
        #[cfg(feature = "server")]
        if let Some(server_set) = &config.server_set {
            let resolve_one = |database: &DatabaseName| match database.scope {
                Scope::System => Ok(server_set.system_database()),
                Scope::User => Ok(config.user_database(&database.name)?),
            };
            return requested.iter().map(resolve_one).collect();
        }
        let has_users = requested.iter().any(|database| database.scope == Scope::User);
        let found = if has_users { DirectoryScan::read(config)?.targets } else { Vec::new() };
        let found: HashMap<&OsStr, &TargetDatabase> =
            found.iter().map(|target| (target.name.as_os_str(), target)).collect();
        let resolve_one = |database: &DatabaseName| match database.scope {
            Scope::System => Ok(config.system_database()),
            Scope::User => match found.get(database.name.as_os_str()) {
                Some(target) => Ok(TargetDatabase::clone(target)),
                None => Ok(match last_path(database) {
                    Some(path) if config.path_template.has_wildcard() => {
                        config.user_database_at(&database.name, path)?
                    }
                    _ => config.user_database(&database.name)?,
                }),
            },
        };
        requested.iter().map(resolve_one).collect()
    }

    /// Every database, the system database first.
    pub fn databases(&self) -> impl Iterator<Item = &TargetDatabase> {
        self.system.iter().chain(&self.users)
    }
}
