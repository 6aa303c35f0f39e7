//! A database that is not there yet: made empty, so that nobody else can have made it, and brought
//! to the target. Where that fails it goes again.

use std::fs::OpenOptions;
use std::io::ErrorKind;

use crate::database::DatabaseError;
use crate::database::file::Patience;
#[cfg(feature = "server")]
use crate::database::{Look, history::State, namespace::Namespace};
use crate::executor::{Failure, Ready, Verdict};
use crate::member::{Home, Member};
#[cfg(feature = "server")]
use crate::server::admin::Made;

/// What came of making a database.
#[derive(Debug)]
pub enum Created {
    /// It was there already, and was left alone.
    There,
    /// It was made, if the verdict says so.
    Tried(Verdict),
}

impl Ready<'_, '_> {
    /// Makes the database of a member, if it is not there, and brings it to the target.
    #[must_use]
    pub fn create_member(&self, member: &Member, patience: &Patience) -> Created {
        match member.home.create(patience) {
            Ok(Making::There) => return Created::There,
            Ok(Making::Made) => {}
            Err(failure) => return Created::Tried(Verdict::Failed { at: None, failure }),
        }
        let verdict = self.upgrade_member(member, patience);
        match verdict {
            Verdict::Upgraded(_) => {}
            // Somebody else uses it already, and would write into a file without a name.
            Verdict::Failed { failure: Failure::Database(DatabaseError::Busy { .. }), .. } => {}
            _ => member.home.remove_empty(patience),
        }
        Created::Tried(verdict)
    }
}

enum Making {
    There,
    Made,
}

impl Home {
    /// Makes an empty database.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    fn create(&self, patience: &Patience) -> Result<Making, Failure> {
        match self {
            Self::File(path) => match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(_) => Ok(Making::Made),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Making::There),
                Err(error) => Err(Failure::NotOpened(format!("it cannot be made: {error}"))),
            },
            #[cfg(feature = "server")]
            Self::Namespace(host, name) => match host.server().create(name, &patience.stop) {
                Ok(Made::New) => Ok(Making::Made),
                Ok(Made::There) => Ok(Making::There),
                Err(error) => Err(DatabaseError::from(error).into()),
            },
        }
    }

    /// Removes a database that was just made and to which nothing was written.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    fn remove_empty(&self, patience: &Patience) {
        match self {
            Self::File(path) => {
                if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0) {
                    let _ = std::fs::remove_file(path);
                }
            }
            #[cfg(feature = "server")]
            Self::Namespace(host, name) => {
                let namespace = Namespace::new(host, name, patience);
                if matches!(namespace.state(), Ok(State::New)) {
                    let _ = host.server().delete(name, &patience.stop);
                }
            }
        }
    }
}
