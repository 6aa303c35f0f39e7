//! Maps users to databases: where a fleet is, and how its files or namespaces are named.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
#[cfg(feature = "server")]
use std::sync::Arc;

use crate::document::tag::Scope;
use crate::sqlite::database_file::DatabaseFile;
use crate::sqlite::regular_file::SymlinkPolicy;
use crate::target::pattern::{PathTemplate, PathTemplateError};
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
    /// How the files of users are named.
    pub path_template: PathTemplate,
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

    /// The path of a file in the users directory, without a leading `./`.
    pub(crate) fn user_file_path(&self, file: &OsStr) -> PathBuf {
        if self.users_dir == Path::new(".") {
            PathBuf::from(file)
        } else {
            self.users_dir.join(file)
        }
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
        let path = self.user_file_path(&self.path_template.file_name(name)?);
        let location = Location::File(DatabaseFile::new(path, self.symlink_policy));
        Ok(TargetDatabase {
            scope: Scope::User,
            name: name.to_owned(),
            location,
            skip_reason: None,
        })
    }
}
