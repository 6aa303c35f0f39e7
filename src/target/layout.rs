//! Where a fleet is kept and what its databases are called: patterns, paths, and names as they
//! may be shown.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
#[cfg(feature = "server")]
use std::sync::Arc;

use crate::document::tag::Scope;
use crate::target::pattern::{PathTemplate, PathTemplateError};
#[cfg(feature = "server")]
use crate::target::servers::ServerSet;
use crate::target::shard::Shard;
use crate::target::{Location, TargetDatabase};

/// Where a fleet is kept.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// The system database.
    pub system_db: PathBuf,
    /// The directory of the user databases.
    pub users_dir: PathBuf,
    /// How their files are named.
    pub path_template: PathTemplate,
    /// What to do with symbolic links among them.
    pub symlink_policy: SymlinkPolicy,
    /// The part of the users that is meant, if not all.
    pub shard: Option<Shard>,
    /// Servers that keep the fleet in place of the files.
    #[cfg(feature = "server")]
    pub server_set: Option<Arc<ServerSet>>,
}

/// What to do with a user database that is a symbolic link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SymlinkPolicy {
    /// Refuse it by name.
    #[default]
    Refuse,
    /// Open what it points at.
    Follow,
}

impl FleetConfig {
    /// A fleet of files, all of it, whose links are refused.
    #[must_use]
    pub fn from_paths(system_db: PathBuf, users_dir: PathBuf, path_template: PathTemplate) -> Self {
        Self {
            system_db,
            users_dir,
            path_template,
            symlink_policy: SymlinkPolicy::Refuse,
            shard: None,
            #[cfg(feature = "server")]
            server_set: None,
        }
    }

    /// Whether a user belongs to the part that is meant.
    pub(crate) fn contains(&self, user: &OsStr) -> bool {
        self.shard.is_none_or(|shard| shard.contains(user))
    }

    /// The system database, whether it is there or not.
    #[must_use]
    pub fn system_database(&self) -> TargetDatabase {
        #[cfg(feature = "server")]
        if let Some(server_set) = &self.server_set {
            return server_set.system_database();
        }
        TargetDatabase {
            scope: Scope::System,
            name: "system".into(),
            location: Location::File(self.system_db.clone()),
            skip_reason: None,
        }
    }

    /// The server at an address, if it is one of those named.
    #[cfg(feature = "server")]
    pub(crate) fn handle_by_url(
        &self,
        url: &str,
    ) -> Option<&std::sync::Arc<crate::libsql::namespace::ServerHandle>> {
        self.server_set.as_ref()?.handle_by_url(url)
    }

    /// A file in the users directory, by the shortest path.
    pub(crate) fn user_file_path(&self, file: &OsStr) -> PathBuf {
        if self.users_dir == Path::new(".") {
            PathBuf::from(file)
        } else {
            self.users_dir.join(file)
        }
    }

    /// A user's database, whether it is there or not.
    ///
    /// # Errors
    ///
    /// A name that cannot be a file's.
    pub fn user_database(&self, name: &OsStr) -> Result<TargetDatabase, PathTemplateError> {
        #[cfg(feature = "server")]
        if let Some(server_set) = &self.server_set {
            return Ok(server_set.user_database(name)?);
        }
        let location = Location::File(self.user_file_path(&self.path_template.file_name(name)?));
        Ok(TargetDatabase {
            scope: Scope::User,
            name: name.to_owned(),
            location,
            skip_reason: None,
        })
    }
}
