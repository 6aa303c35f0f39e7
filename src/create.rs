//! A database that is not there yet: made empty, so that nobody else can have made it, and brought
//! to the target. Where that fails it goes again.

use std::fs::OpenOptions;
use std::io::ErrorKind;

use crate::database::DatabaseError;
use crate::database::file::Patience;
use crate::executor::{Failure, Ready, Verdict};
use crate::member::{Home, Member};

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
        match member.home.create() {
            Ok(Making::There) => return Created::There,
            Ok(Making::Made) => {}
            Err(failure) => return Created::Tried(Verdict::Failed { at: None, failure }),
        }
        let verdict = self.upgrade_member(member, patience);
        // Where somebody else uses it already, they would write into a file without a name.
        let is_used = |verdict: &Verdict| {
            matches!(
                verdict,
                Verdict::Failed { failure: Failure::Database(DatabaseError::Busy { .. }), .. }
            )
        };
        if !matches!(verdict, Verdict::Upgraded(_)) && !is_used(&verdict) {
            member.home.remove_empty();
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
    fn create(&self) -> Result<Making, Failure> {
        match self {
            Self::File(path) => match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(_) => Ok(Making::Made),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Making::There),
                Err(error) => Err(Failure::NotOpened(format!("it cannot be made: {error}"))),
            },
        }
    }

    /// Removes a database that was just made and to which nothing was written.
    fn remove_empty(&self) {
        match self {
            Self::File(path) => {
                if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0) {
                    let _ = std::fs::remove_file(path);
                }
            }
        }
    }
}
