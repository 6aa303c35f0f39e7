//! A database that is not there yet: made empty, so that nobody else can have made it, and brought
//! to the target. Where that fails it goes again.

use std::fs::OpenOptions;
use std::io::ErrorKind;

use crate::database::Look;
use crate::database::connection::Patience;
use crate::database::error::DatabaseError;
use crate::database::history_entry::State;
use crate::database::policy::JournalMode;
#[cfg(feature = "server")]
use crate::libsql::namespace::Namespace;
use crate::migrate::migrator::Ready;
use crate::plan::outcome::{Failure, Verdict};
#[cfg(feature = "server")]
use crate::sqld::admin::Made;
use crate::sqlite::file::SqliteFile;
use crate::sqlite::paths::side_file;
use crate::target::{Home, Member};

/// What came of making a database.
#[derive(Debug)]
pub enum Created {
    /// It was there already, and was left alone.
    There,
    /// It was made, if the verdict says so.
    Tried(Verdict),
}

impl Ready<'_, '_> {
    /// Makes the database of a member, if it is not there, in the journal mode of the practice, and
    /// brings it to the target.
    #[must_use]
    pub fn create_member(&self, member: &Member, patience: &Patience) -> Created {
        match member.openable().and_then(|()| member.home.create(patience)) {
            Ok(Making::There) => return Created::There,
            Ok(Making::Made) => {}
            Err(failure) => return Created::Tried(Verdict::from_failure(None, failure)),
        }
        let verdict = match member.home.keep(self.practice().journal_mode, patience) {
            Ok(()) => self.upgrade_member(member, patience),
            Err(error) => Verdict::from_failure(None, error.into()),
        };
        // Where somebody else uses it already, they would write into a file without a name.
        if !matches!(verdict, Verdict::Upgraded(_)) && !verdict.is_busy() {
            member.home.remove_new(patience);
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

    /// Gives a database that was just made its journal mode: before the first transaction, so
    /// that one that is cut short leaves nothing in another.
    fn keep(&self, mode: JournalMode, patience: &Patience) -> Result<(), DatabaseError> {
        match self {
            Self::File(path) => SqliteFile::set_journal_mode(path, mode, patience),
            // The server keeps every namespace in its own.
            #[cfg(feature = "server")]
            Self::Namespace(..) => Ok(()),
        }
    }

    /// Removes a database that was just made and to which nothing was written, beside its journal
    /// mode.
    fn remove_new(&self, patience: &Patience) {
        match self {
            Self::File(path) => {
                let state = SqliteFile::read(path, patience, Look::state);
                let alone =
                    ["-wal", "-journal"].iter().all(|suffix| !side_file(path, suffix).exists());
                if alone && matches!(state, Ok(State::New)) {
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
