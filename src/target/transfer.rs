//! A fleet moved from files to namespaces and back: each database whole, compared, or not at all. A
//! second run finishes what the first did not, since what is there already is compared alone.

use crate::database::connection::Patience;
use crate::database::error::DatabaseError;
use crate::database::policy::JournalMode;
use crate::libsql::Carried;
use crate::libsql::namespace::Namespace;
use crate::plan::outcome::Failure;
use crate::sqlite::file::SqliteFile;
use crate::target::{Home, Member};

/// What became of a database that was to be moved.
#[derive(Debug)]
pub enum Moved {
    /// It is there, and was compared.
    Carried,
    /// It was there already, the same.
    There,
    /// It was not moved, and what is at its new place is as it was.
    Failed(Failure),
}

impl From<Result<Carried, Failure>> for Moved {
    fn from(result: Result<Carried, Failure>) -> Self {
        match result {
            Ok(Carried::Done) => Self::Carried,
            Ok(Carried::Same) => Self::There,
            Ok(Carried::Other(difference)) => Self::Failed(Failure::NotOpened(format!(
                "something else is there already, which was left alone: {difference}"
            ))),
            Err(failure) => Self::Failed(failure),
        }
    }
}

impl Member {
    /// Carries its database to another place, which holds nothing or the same. The one is a file
    /// and the other a namespace, which is made where an admin address is known; a file that is
    /// made is in the journal mode.
    #[must_use]
    pub fn move_to(&self, to: &Self, how: (JournalMode, &Patience)) -> Moved {
        self.try_move(to, how).into()
    }

    fn try_move(
        &self,
        to: &Self,
        (made_in, patience): (JournalMode, &Patience),
    ) -> Result<Carried, Failure> {
        for member in [self, to] {
            if let Some(reason) = &member.refused {
                return Err(Failure::NotOpened(reason.clone()));
            }
        }
        match (&self.home, &to.home) {
            (Home::File(path), Home::Namespace(host, name)) => {
                // What is no database, or not a whole one, is told before anything is made.
                self.read(patience, |file| file.state())?;
                if host.server().has_admin() {
                    host.server().create(name, &patience.stop).map_err(DatabaseError::from)?;
                }
                let namespace = Namespace::new(host, name, patience);
                Ok(SqliteFile::read(path, patience, |file| {
                    namespace.fill_from(file.connection()?)
                })?)
            }
            (Home::Namespace(host, name), Home::File(path)) => {
                Ok(Namespace::new(host, name, patience).copy_to(path, made_in)?)
            }
            _ => Err(Failure::NotOpened("both places are of one kind".to_owned())),
        }
    }
}
