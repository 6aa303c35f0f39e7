//! A copy of one database, made, checked, put back and removed: of a file it is another file, of a
//! namespace a fork on the same server, closed to writers and named for the time.

use std::path::{Path, PathBuf};
#[cfg(feature = "server")]
use std::sync::Arc;

use crate::database::DatabaseError;
use crate::database::copy::{self, Copied, digest};
use crate::database::file::Patience;
#[cfg(feature = "server")]
use crate::database::namespace::{Host, Namespace};
use crate::executor::Failure;
use crate::layout::{Layout, shown};
use crate::member::{Home, Member};

/// Where a copy is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Copy {
    File(PathBuf),
    Fork { server: String, name: String },
}

impl Copy {
    /// Its name, as the manifest has it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::File(path) => shown(path.file_name().unwrap_or(path.as_os_str())),
            Self::Fork { server, name } => format!("{name} @ {server}"),
        }
    }

    /// Whether what it holds can be put in the place of a member's database.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn can_be_put_at(&self, member: &Member) -> bool {
        match self {
            Self::File(_) => true,
            #[cfg(feature = "server")]
            Self::Fork { server, .. } => host_of(member, server).is_ok(),
            #[cfg(not(feature = "server"))]
            Self::Fork { .. } => false,
        }
    }

    /// Its size and its checksum as it is now.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn digest(
        &self,
        (member, patience): (&Member, &Patience),
    ) -> Result<(u64, String), Failure> {
        match self {
            Self::File(path) => Ok(digest(path, patience)?),
            #[cfg(feature = "server")]
            Self::Fork { server, name } => {
                let fork = Namespace::new(host_of(member, server)?, name, patience);
                let Copied { size, sha256, .. } = fork.summed()?;
                Ok((size, sha256))
            }
            #[cfg(not(feature = "server"))]
            Self::Fork { server, .. } => Err(elsewhere(server)),
        }
    }

    /// Whether it can be removed by whoever has these settings.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn is_in_reach(&self, layout: &Layout) -> bool {
        match self {
            Self::File(_) => true,
            #[cfg(feature = "server")]
            Self::Fork { server, .. } => {
                layout.host(server).is_some_and(|host| host.server().has_admin())
            }
            #[cfg(not(feature = "server"))]
            Self::Fork { .. } => false,
        }
    }

    /// Takes it back where it was made for nothing.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn withdraw(&self, (member, patience): (&Member, &Patience)) -> Result<(), Failure> {
        match self {
            #[cfg(feature = "server")]
            Self::Fork { server, name } => {
                let fork = Namespace::new(host_of(member, server)?, name, patience);
                Ok(fork.remove().map_err(DatabaseError::from)?)
            }
            _ => Ok(()),
        }
    }

    /// Removes it, where it is not a file in the backup's own directory, which goes as a whole.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn remove(&self, layout: &Layout, patience: &Patience) -> Result<(), DatabaseError> {
        match self {
            #[cfg(feature = "server")]
            Self::Fork { server, name } => match layout.host(server) {
                Some(host) => Ok(Namespace::new(host, name, patience).remove()?),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// The server of a fork, which is that of the database that it is a copy of.
#[cfg(feature = "server")]
fn host_of<'m>(member: &'m Member, server: &str) -> Result<&'m Arc<Host>, Failure> {
    match &member.home {
        Home::Namespace(host, _) if host.server().url() == server => Ok(host),
        _ => Err(elsewhere(server)),
    }
}

fn elsewhere(server: &str) -> Failure {
    Failure::NotOpened(format!("its copy is on {server}"))
}

impl Member {
    /// Whether a copy of it can be made with what is known of its home.
    pub(crate) fn can_be_copied(&self) -> bool {
        match &self.home {
            Home::File(_) => true,
            #[cfg(feature = "server")]
            Home::Namespace(host, _) => host.server().has_admin(),
        }
    }

    /// Makes a consistent copy of it, whatever other programs write meanwhile: in the file, or in
    /// a fork that is named for the time.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn copy_to(
        &self,
        (file, time): (&Path, &str),
        patience: &Patience,
    ) -> Result<(Copied, Copy), Failure> {
        self.openable()?;
        match &self.home {
            Home::File(path) => {
                Ok((copy::copy(path, file, patience)?, Copy::File(file.to_owned())))
            }
            #[cfg(feature = "server")]
            Home::Namespace(host, name) => {
                let (name, copied) = Namespace::new(host, name, patience).fork(time)?;
                Ok((copied, Copy::Fork { server: host.server().url().to_owned(), name }))
            }
        }
    }

    /// Puts what a copy holds in the place of it, at once or not at all; makes it where it is
    /// missing.
    pub(crate) fn restore_from(&self, copy: &Copy, patience: &Patience) -> Result<(), Failure> {
        self.openable()?;
        match (&self.home, copy) {
            (Home::File(path), Copy::File(file)) => Ok(copy::restore(file, path, patience)?),
            #[cfg(feature = "server")]
            (Home::Namespace(host, name), Copy::File(file)) => {
                let target = Namespace::new(host, name, patience);
                Ok(target.restore(|| target.replace_by_file(file))?)
            }
            #[cfg(feature = "server")]
            (Home::Namespace(host, name), Copy::Fork { server, name: fork }) => {
                let source = Namespace::new(host_of(self, server)?, fork, patience);
                let target = Namespace::new(host, name, patience);
                Ok(target.restore(|| target.replace_by_fork(&source))?)
            }
            (Home::File(_), Copy::Fork { server, .. }) => Err(elsewhere(server)),
        }
    }
}
