//! Where a fleet is kept and what its databases are called: patterns, paths, and names as they
//! may be shown.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
#[cfg(feature = "server")]
use std::sync::Arc;

use crate::document::tag::Scope;
use crate::target::pattern::{Pattern, PatternError};
#[cfg(feature = "server")]
use crate::target::servers::Servers;
use crate::target::shard::Shard;
use crate::target::{Home, Member};

/// Where a fleet is kept.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The system database.
    pub system_db: PathBuf,
    /// The directory of the user databases.
    pub users_dir: PathBuf,
    /// How their files are named.
    pub pattern: Pattern,
    /// What to do with symbolic links among them.
    pub links: Links,
    /// The part of the users that is meant, if not all.
    pub shard: Option<Shard>,
    /// Servers that keep the fleet in place of the files.
    #[cfg(feature = "server")]
    pub servers: Option<Arc<Servers>>,
}

/// What to do with a user database that is a symbolic link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Refuse it by name.
    #[default]
    Refuse,
    /// Open what it points at.
    Follow,
}

impl Layout {
    /// A fleet of files, all of it, whose links are refused.
    #[must_use]
    pub fn of_files(system_db: PathBuf, users_dir: PathBuf, pattern: Pattern) -> Self {
        Self {
            system_db,
            users_dir,
            pattern,
            links: Links::Refuse,
            shard: None,
            #[cfg(feature = "server")]
            servers: None,
        }
    }

    /// Whether a user belongs to the part that is meant.
    pub(crate) fn holds(&self, user: &OsStr) -> bool {
        self.shard.is_none_or(|shard| shard.holds(user))
    }

    /// The system database, whether it is there or not.
    #[must_use]
    pub fn system(&self) -> Member {
        #[cfg(feature = "server")]
        if let Some(servers) = &self.servers {
            return servers.system();
        }
        Member {
            scope: Scope::System,
            name: "system".into(),
            home: Home::File(self.system_db.clone()),
            refused: None,
        }
    }

    /// The server at an address, if it is one of those named.
    #[cfg(feature = "server")]
    pub(crate) fn host(
        &self,
        url: &str,
    ) -> Option<&std::sync::Arc<crate::libsql::namespace::Host>> {
        self.servers.as_ref()?.host(url)
    }

    /// A file in the users directory, by the shortest path.
    pub(crate) fn beside_users(&self, file: &OsStr) -> PathBuf {
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
    pub fn user(&self, name: &OsStr) -> Result<Member, PatternError> {
        #[cfg(feature = "server")]
        if let Some(servers) = &self.servers {
            return Ok(servers.user(name)?);
        }
        let home = Home::File(self.beside_users(&self.pattern.file_name(name)?));
        Ok(Member { scope: Scope::User, name: name.to_owned(), home, refused: None })
    }
}
