//! Maps users to databases: where a fleet is, and how its files or namespaces are named.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
#[cfg(feature = "server")]
use std::sync::Arc;

use crate::document::tag::Scope;
use crate::sqlite::database_file::DatabaseFile;
use crate::sqlite::regular_file::SymlinkPolicy;
use crate::target::pattern::PathTemplate;
use crate::target::pattern_error::PathTemplateError;
#[cfg(feature = "server")]
use crate::target::servers::ServerSet;
use crate::target::shard::Shard;
use crate::target::{Location, TargetDatabase};

/// Where the databases of a fleet are.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// The system database.
    pub system_db: PathBuf,
    /// The directory of the user databases.
    pub users_dir: PathBuf,
    /// Where the databases of users are in this directory.
    pub path_template: PathTemplate,
    /// The directory of the backups, in which no user database is looked for.
    pub backups_dir: Option<PathBuf>,
    /// What to do with symbolic links among the user databases.
    pub symlink_policy: SymlinkPolicy,
    /// The shard of users to work on; `None` for all users.
    pub shard: Option<Shard>,
    /// The servers of the fleet, if its databases are namespaces instead of files.
    #[cfg(feature = "server")]
    pub server_set: Option<Arc<ServerSet>>,
}

impl FleetConfig {
    /// A fleet of files, without sharding, whose symbolic links are refused.
    #[must_use]
    pub fn from_paths(system_db: PathBuf, users_dir: PathBuf, path_template: PathTemplate) -> Self {
        Self {
            system_db,
            users_dir,
            path_template,
            backups_dir: None,
            symlink_policy: SymlinkPolicy::Refuse,
            shard: None,
            #[cfg(feature = "server")]
            server_set: None,
        }
    }

    /// Whether a user belongs to the configured shard.
    pub(crate) fn contains(&self, user: &OsStr) -> bool {
        self.shard.is_none_or(|shard| shard.contains(user))
    }

    /// The system database, which need not exist.
    #[must_use]
    pub fn system_database(&self) -> TargetDatabase {
        #[cfg(feature = "server")]
        if let Some(server_set) = &self.server_set {
            return server_set.system_database();
        }
        TargetDatabase {
            scope: Scope::System,
            name: "system".into(),
            location: Location::File(self.system_file()),
            skip_reason: None,
        }
    }

    /// The server with a URL, if it is configured.
    #[cfg(feature = "server")]
    pub(crate) fn handle_by_url(
        &self,
        url: &str,
    ) -> Option<&std::sync::Arc<crate::libsql::namespace::ServerHandle>> {
        self.server_set.as_ref()?.handle_by_url(url)
    }

    /// The file of the system database. Its path is the user's own, so a symbolic link is followed.
    pub(crate) fn system_file(&self) -> DatabaseFile {
        DatabaseFile::new(self.system_db.clone(), SymlinkPolicy::Follow)
    }

    /// A file in the users directory, at a path that is relative to this directory.
    pub(crate) fn user_file(&self, path: &Path) -> DatabaseFile {
        DatabaseFile::below(&self.users_dir, path, self.symlink_policy)
    }

    /// A user's database at a path that is relative to the users directory. It need not exist.
    ///
    /// # Errors
    ///
    /// `WrongPath` if the path is not that of a database of this user.
    pub fn user_database_at(
        &self,
        name: &OsStr,
        path: &Path,
    ) -> Result<TargetDatabase, PathTemplateError> {
        let path = self.path_template.require_path(name, path)?;
        Ok(TargetDatabase {
            scope: Scope::User,
            name: name.to_owned(),
            location: Location::File(self.user_file(&path)),
            skip_reason: None,
        })
    }

    /// A user's database, which need not exist.
    ///
    /// # Errors
    ///
    /// A name that no file or namespace can have.
    pub fn user_database(&self, name: &OsStr) -> Result<TargetDatabase, PathTemplateError> {
        #[cfg(feature = "server")]
        if let Some(server_set) = &self.server_set {
            return Ok(server_set.user_database(name)?);
        }
        self.user_database_at(name, &self.path_template.path(name)?)
    }
}
