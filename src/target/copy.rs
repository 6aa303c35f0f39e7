//! A copy of one database, made, checked, put back and removed: of a file it is another file, of a
//! namespace a fork on the same server, closed to writers and named for the time.

use std::path::{Path, PathBuf};

use crate::database::connection::Patience;
use crate::database::error::DatabaseError;
#[cfg(feature = "server")]
use crate::libsql::namespace::Namespace;
use crate::plan::outcome::Failure;
use crate::sqlite::copy;
use crate::sqlite::copy::{Copied, digest};
use crate::target::layout::Layout;
use crate::target::{Home, Member};
use crate::text::shown;

/// A copy, where it is kept.
pub(crate) enum Copy {
    File(PathBuf),
    #[cfg(feature = "server")]
    Fork(Namespace),
    /// On a server that nobody named.
    Elsewhere {
        server: String,
        name: String,
    },
}

/// What a manifest tells of a copy's place: its name, and the server that it is on, if any.
pub(crate) type Kept<'k> = (&'k Path, Option<&'k str>);

impl Copy {
    /// That of a member, beside its database.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn of(member: &Member, (file, server): Kept<'_>, patience: &Patience) -> Self {
        match (server, &member.home) {
            (None, _) => Self::File(file.to_owned()),
            #[cfg(feature = "server")]
            (Some(server), Home::Namespace(host, _)) if host.server().url() == server => {
                Self::Fork(Namespace::new(host, &name(file), patience))
            }
            (Some(server), _) => Self::Elsewhere { server: server.to_owned(), name: name(file) },
        }
    }

    /// One on any of the servers that are named, where it could be removed.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn within(layout: &Layout, (file, server): Kept<'_>, patience: &Patience) -> Self {
        let Some(server) = server else { return Self::File(file.to_owned()) };
        #[cfg(feature = "server")]
        if let Some(host) = layout.host(server).filter(|host| host.server().has_admin()) {
            return Self::Fork(Namespace::new(host, &name(file), patience));
        }
        Self::Elsewhere { server: server.to_owned(), name: name(file) }
    }

    /// Its name, as it is told.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::File(path) => shown(path.file_name().unwrap_or(path.as_os_str())),
            #[cfg(feature = "server")]
            Self::Fork(fork) => fork.shown(),
            Self::Elsewhere { server, name } => format!("{name} @ {server}"),
        }
    }

    /// Its size and its checksum as it is now.
    pub(crate) fn digest(&self, patience: &Patience) -> Result<(u64, String), Failure> {
        match self {
            Self::File(path) => Ok(digest(path, patience)?),
            #[cfg(feature = "server")]
            Self::Fork(fork) => {
                let Copied { size, sha256, .. } = fork.summed()?;
                Ok((size, sha256))
            }
            Self::Elsewhere { .. } => Err(self.out_of_reach()),
        }
    }

    /// Removes it, where it is not a file in the backup's own directory, which goes as a whole.
    pub(crate) fn remove(&self) -> Result<(), DatabaseError> {
        match self {
            #[cfg(feature = "server")]
            Self::Fork(fork) => Ok(fork.remove()?),
            _ => Ok(()),
        }
    }

    fn out_of_reach(&self) -> Failure {
        Failure::NotOpened(format!("its copy is {}", self.shown()))
    }
}

/// A fork's name stands where a file's would.
fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
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
    /// a fork that is named for the time, whose name and server are returned.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn copy_to(
        &self,
        (file, time): (&Path, &str),
        patience: &Patience,
    ) -> Result<(Copied, Option<(String, String)>), Failure> {
        self.openable()?;
        match &self.home {
            Home::File(path) => Ok((copy::copy(path, file, patience)?, None)),
            #[cfg(feature = "server")]
            Home::Namespace(host, name) => {
                let (name, copied) = Namespace::new(host, name, patience).fork(time)?;
                Ok((copied, Some((name, host.server().url().to_owned()))))
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
            (Home::Namespace(host, name), Copy::Fork(fork)) => {
                let target = Namespace::new(host, name, patience);
                Ok(target.restore(|| target.replace_by_fork(fork))?)
            }
            (_, copy) => Err(copy.out_of_reach()),
        }
    }
}
